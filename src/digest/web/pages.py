"""Pages out of `templates/web/`: rendered on the server, in one look, without a script."""

from __future__ import annotations

import hashlib
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from threading import Event
from typing import TYPE_CHECKING

from jinja2 import FileSystemLoader, StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from starlette.responses import HTMLResponse

from digest.errors import ConfigError, Problem
from digest.issues.words import day
from digest.web.limits import Limiter
from digest.web.remembered import Remembered
from digest.web.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from jinja2 import Environment

    from digest.bootstrap import App
    from digest.issues.freeze import Share
    from digest.store.figures import Figures

_FOLDER = "templates/web"
_STYLE = "style.css"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages are made with."""

    content: bytes
    media_type: str

    @property
    def version(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Web:
    """What every page works with."""

    #: The app with config as it stands on disk now.
    current: Callable[[], App]
    #: The path that our addresses begin with: "" or such as "/letters".
    prefix: str
    #: By name: "style.css".
    assets: Mapping[str, Asset]
    templates: Environment
    #: Who would get an issue: drawing the recipients takes the lock of freezing.
    shares: Remembered[list[Share]] = field(default_factory=Remembered)
    #: What the charts are drawn from: all that ever happened to subscriptions is read for it.
    figures: Remembered[Figures] = field(default_factory=Remembered)
    limiter: Limiter = field(default_factory=Limiter)
    #: Set by whoever queued a notice, so that it leaves soon.
    queued: Event = field(default_factory=Event)
    traffic: Traffic = field(default_factory=Traffic)
    #: Through which readers' changes go, one at a time.
    turnstile: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "turnstile"))

    def page(self, name: str, status: int = 200, **values: object) -> HTMLResponse:
        """The page `name`, such as "message.html", filled in."""
        site = self.current().config.site
        html = self.templates.get_template(name).render(
            site=site, prefix=self.prefix, asset=self.asset, **values
        )
        return HTMLResponse(html, status)

    def asset(self, name: str) -> str:
        """The address of a file, another one whenever the file is."""
        return f"{self.prefix}/{name}?{self.assets[name].version}"

    def message(
        self, heading: str, *paragraphs: str, status: int = 200, contact: str = ""
    ) -> HTMLResponse:
        """A page that says one thing; `contact` is an address to write to."""
        values = {"heading": heading, "paragraphs": paragraphs, "contact": contact}
        return self.page("message.html", status, **values)


def load_pages(current: Callable[[], App], prefix: str) -> Web:
    """Read the style and try every template. Raises ConfigError naming what is at fault."""
    folder = current().templates / "web"
    return Web(current, prefix, _assets(folder), _environment(folder))


def _assets(folder: Path) -> dict[str, Asset]:
    names = {_STYLE} | {path.name for path in folder.glob("*") if path.suffix in _MEDIA_TYPES}
    assets = {}
    for name in sorted(names):
        path = folder / name
        try:
            assets[name] = Asset(path.read_bytes(), _MEDIA_TYPES[path.suffix])
        except OSError as error:
            problem = Problem(f"{_FOLDER}/{name}", "", f"cannot be read: {error.strerror}")
            raise ConfigError([problem]) from error
    return assets


def _environment(folder: Path) -> Environment:
    """The templates, each tried; a file that was changed since the last time is read again."""
    environment = _compiled(folder.resolve())
    for name in environment.list_templates(extensions=["html"]):
        try:
            environment.get_template(name)
        except TemplateSyntaxError as error:
            where = f"line {error.lineno}"
            problem = Problem(f"{_FOLDER}/{name}", where, error.message or "not Jinja")
            raise ConfigError([problem]) from error
    return environment


@cache
def _compiled(folder: Path) -> Environment:
    """One of each folder: compiling takes longer than all else that pages begin with."""
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["day"] = day
    return environment
