"""From content to what goes out: Jinja fills the templates, the guard makes HTML of the MJML.

Equal content and templates give equal bytes. What a post says is only ever a value in a
template, never a template.
"""

from __future__ import annotations

import re
import textwrap
import traceback
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from digest.errors import ConfigError, Problem
from digest.issues import words
from digest.issues.content import Rendered
from digest.issues.guard import MjmlError, mjml_to_html
from digest.issues.links import with_utm
from digest.issues.preflight import preflight
from digest.issues.specimen import specimens
from digest.model import UNSUBSCRIBE_MAILTO_MARK, UNSUBSCRIBE_MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from digest.config import Config
    from digest.issues.content import IssueContent, Item
    from digest.model import Part

#: What a template folder must hold.
FILES = ("subject.txt", "subject-fallback.txt", "preheader.txt", "body.mjml", "body.txt")
#: Longer preheaders are cut off by every client.
PREHEADER_MOST = 130
TEXT_COLUMNS = 72


def subjects(content: IssueContent, templates: Path) -> tuple[str, str]:
    """The whole issue's subject, and the fallback for variants that lack the post it names.

    `templates` is the folder that holds `email/`. ConfigError where a template is at fault.
    """
    context = _context(content)
    subject = content.typed_subject or _fill("subject.txt", context, templates)
    return words.line(subject), words.line(_fill("subject-fallback.txt", context, templates))


def subject_for(variant: IssueContent, whole: IssueContent, both: tuple[str, str]) -> str:
    """Which of the issue's `subjects` fits a variant of it.

    The template's subject names the first post of the issue; a typed one names the posts
    whose titles it quotes.
    """
    kept = {item.position for item in variant.items}
    subject, fallback = both
    named = (
        [item for item in whole.items if words.line(item.post.title) in subject]
        if whole.typed_subject
        else whole.items[:1]
    )
    return subject if all(item.position in kept for item in named) else fallback


def render(content: IssueContent, templates: Path, *, subject: str | None = None) -> Rendered:
    """One variant as it goes out, with the findings of its preflight.

    `subject` is the one of `subjects` that fits it; None stands for the first. ConfigError
    where a template is at fault, MjmlError where it is filled in but is not MJML.
    """
    context = _context(content)
    subject = words.line(subject or subjects(content, templates)[0])
    preheader = words.shorten(_fill("preheader.txt", context, templates), PREHEADER_MOST)
    context |= {"subject": subject, "preheader": preheader}
    html = mjml_to_html(_fill("body.mjml", context, templates))
    text = _tidy(_fill("body.txt", context, templates))
    checks = preflight(content, html=html, text=text, subject=subject, preheader=preheader)
    return Rendered(subject, preheader, html, text, checks)


def template_problems(templates: Path, config: Config) -> list[Problem]:
    """Every fault of the newsletters' templates, found by rendering built-in content."""
    used = {n.template for n in config.newsletters.values()}
    used |= {n.series_template for n in config.newsletters.values()}
    return sorted({problem for name in used for problem in _problems_of(name, templates)})


# --- filling -----------------------------------------------------------------------------------


def _fill(file: str, context: dict[str, Any], templates: Path) -> str:
    name = f"{context['issue'].template}/{file}"
    try:
        return _environment(templates).get_template(name).render(context)
    except Exception as error:
        # Whatever an expression in a template can raise is that template's fault.
        raise ConfigError([_problem(error, templates, name)]) from error


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


def _context(content: IssueContent) -> dict[str, Any]:
    """What every template may show; the texts in it are one line each."""
    issue = words.in_lines(content)
    return {
        "issue": issue,
        "items": issue.items,
        "period": words.period_label(issue.period, issue.scheduled_at, issue.time_zone),
        "direction": words.direction(issue.language),
        "day": partial(words.day, time_zone=issue.time_zone),
        "fit": words.fit,
        "link": partial(with_utm, content=issue),
        "scope_part": partial(_scope_part, issue.scope),
        "unsubscribe": UNSUBSCRIBE_MARK,
        "unsubscribe_mailto": UNSUBSCRIBE_MAILTO_MARK,
    }


def _scope_part(scope: str, item: Item) -> Part | None:
    """Where the item stands in the series that the issue is about."""
    return next((part for part in item.parts if f"series:{part.slug}" == scope), None)


def _wrap(text: str) -> str:
    return textwrap.fill(text, TEXT_COLUMNS, break_long_words=False, break_on_hyphens=False)


def _tidy(text: str) -> str:
    """At most one blank line in a row, however the template's branches fell."""
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip("\n") + "\n"


# --- faults ------------------------------------------------------------------------------------


def _problem(error: Exception, templates: Path, name: str) -> Problem:
    folder = templates / "email"
    if isinstance(error, TemplateSyntaxError):
        return _fault(error.name or name, error.lineno, error.message or "not Jinja")
    if isinstance(error, TemplateNotFound):
        missing = error.name or name
        return _fault(
            name, None, "is missing" if missing == name else f"needs {missing}: no such file"
        )
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(str(folder)):
            return _fault(frame.filename[len(str(folder)) + 1 :], frame.lineno, _said(error))
    return _fault(name, None, _said(error))


def _fault(name: str, line: int | None, message: str) -> Problem:
    return Problem(f"templates/email/{name}", f"line {line}" if line else "", message)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _problems_of(name: str, templates: Path) -> Iterator[Problem]:
    folder = templates / "email" / name
    if not folder.is_dir():
        yield Problem(
            f"templates/email/{name}", "", f"no such folder; it must hold {', '.join(FILES)}"
        )
        return
    for content in specimens(name):
        context = _context(content) | {"subject": "Subject", "preheader": "Preheader"}
        for file in FILES:
            yield from _problems_on(file, context, templates)


def _problems_on(file: str, context: dict[str, Any], templates: Path) -> Iterable[Problem]:
    try:
        filled = _fill(file, context, templates)
        if file.endswith(".mjml"):
            mjml_to_html(filled)
    except ConfigError as error:
        return error.problems
    except MjmlError as error:
        return [_fault(f"{context['issue'].template}/{file}", None, str(error))]
    return ()
