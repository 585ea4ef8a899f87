"""Filling templates of `templates/email/`, and naming the file and line of what is wrong in them.

What a post says is only ever a value in a template, never a template.
"""

from __future__ import annotations

import re
import textwrap
import traceback
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from digest.errors import ConfigError, Problem
from digest.issues import words

if TYPE_CHECKING:
    from pathlib import Path

TEXT_COLUMNS = 72


def fill(name: str, context: dict[str, Any], templates: Path) -> str:
    """The template `name`, such as "weekly/body.mjml", filled in.

    `templates` is the folder that holds `email/`. ConfigError where a template is at fault.
    """
    try:
        return _environment(templates).get_template(name).render(context)
    except Exception as error:
        # Whatever an expression in a template can raise is that template's fault.
        raise ConfigError([_problem(error, templates, name)]) from error


def fill_text(name: str, context: dict[str, Any], templates: Path) -> str:
    """A text part, with at most one blank line in a row, however its branches fell."""
    lines = "\n".join(line.rstrip() for line in fill(name, context, templates).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n") + "\n"


def fault(name: str, line: int | None, message: str) -> Problem:
    """What is wrong with the template `name`."""
    return Problem(f"templates/email/{name}", f"line {line}" if line else "", message)


@cache
def _environment(templates: Path) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(templates / "email"),
        undefined=StrictUndefined,
        # Jinja's select_autoescape() does not know .mjml.
        autoescape=lambda name: name is None or not name.endswith(".txt"),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        paragraphs=words.paragraphs, shorten=words.shorten, wrap=_wrap, line=words.line
    )
    return environment


def _wrap(text: str) -> str:
    return textwrap.fill(text, TEXT_COLUMNS, break_long_words=False, break_on_hyphens=False)


def _problem(error: Exception, templates: Path, name: str) -> Problem:
    folder = templates / "email"
    if isinstance(error, TemplateSyntaxError):
        return fault(error.name or name, error.lineno, error.message or "not Jinja")
    if isinstance(error, TemplateNotFound):
        missing = error.name or name
        return fault(
            name, None, "is missing" if missing == name else f"needs {missing}: no such file"
        )
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(str(folder)):
            return fault(frame.filename[len(str(folder)) + 1 :], frame.lineno, _said(error))
    return fault(name, None, _said(error))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
