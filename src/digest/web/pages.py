"""Pages out of `templates/web/`: rendered on the server, in one look, without a script."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jinja2 import FileSystemLoader, StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from starlette.responses import HTMLResponse

from digest.errors import ConfigError, Problem
from digest.issues.words import day
from digest.web.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jinja2 import Environment

    from digest.bootstrap import App
    from digest.issues.freeze import Share

_FOLDER = "templates/web"
_STYLE = "style.css"


@dataclass(frozen=True, slots=True)
class Web:
    """What every page works with."""

    #: The app with config as it stands on disk now.
    current: Callable[[], App]
    #: The path that our addresses begin with: "" or such as "/letters".
    prefix: str
    style: bytes
    templates: Environment
    #: Who would get an issue: drawing the recipients takes the lock of freezing.
    shares: Remembered[list[Share]] = field(default_factory=Remembered)

    def page(self, name: str, status: int = 200, **values: object) -> HTMLResponse:
        """The page `name`, such as "message.html", filled in."""
        site = self.current().config.site
        html = self.templates.get_template(name).render(
            site=site, prefix=self.prefix, style_version=_version(self.style), **values
        )
        return HTMLResponse(html, status)

    def message(
        self, heading: str, *paragraphs: str, status: int = 200, contact: str = ""
    ) -> HTMLResponse:
        """A page that says one thing; `contact` is an address to write to."""
        values = {"heading": heading, "paragraphs": paragraphs, "contact": contact}
        return self.page("message.html", status, **values)


def load_pages(current: Callable[[], App], prefix: str) -> Web:
    """Read the style and try every template. Raises ConfigError naming what is at fault."""
    folder = current().templates / "web"
    try:
        style = (folder / _STYLE).read_bytes()
    except OSError as error:
        problem = Problem(f"{_FOLDER}/{_STYLE}", "", f"cannot be read: {error.strerror}")
        raise ConfigError([problem]) from error
    return Web(current, prefix, style, _environment(folder))


def _environment(folder: Path) -> Environment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["day"] = day
    for name in environment.list_templates(extensions=["html"]):
        try:
            environment.get_template(name)
        except TemplateSyntaxError as error:
            where = f"line {error.lineno}"
            problem = Problem(f"{_FOLDER}/{name}", where, error.message or "not Jinja")
            raise ConfigError([problem]) from error
    return environment


def _version(style: bytes) -> str:
    return hashlib.sha256(style).hexdigest()[:12]
