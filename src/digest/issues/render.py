"""From content to what goes out: Jinja fills the templates, the guard makes HTML of the MJML.

Equal content and templates give equal bytes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from digest.errors import ConfigError
from digest.issues import words
from digest.issues.content import Rendered
from digest.issues.filling import fault, fill, fill_text
from digest.issues.guard import MjmlError, mjml_to_html
from digest.issues.links import with_utm
from digest.issues.preflight import preflight
from digest.issues.specimen import specimens
from digest.model import SETTINGS_MARK, UNSUBSCRIBE_MAILTO_MARK, UNSUBSCRIBE_MARK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from digest.config import Config, Newsletter, Site
    from digest.errors import Problem
    from digest.issues.content import IssueContent, Item
    from digest.model import Part

OPT_IN_FILES = ("subject.txt", "body.mjml", "body.txt")
#: What a newsletter's template must hold.
FILES = ("subject.txt", "subject-fallback.txt", "preheader.txt", "body.mjml", "body.txt")
#: Longer preheaders are cut off by every client.
PREHEADER_MOST = 130


def subjects(content: IssueContent, templates: Path) -> tuple[str, str]:
    """The whole issue's subject, and the fallback for variants that lack the post it names.

    `templates` is the folder that holds `email/`. ConfigError where a template is at fault.
    """
    context, folder = _context(content), content.template
    subject = content.typed_subject or fill(f"{folder}/subject.txt", context, templates)
    fallback = fill(f"{folder}/subject-fallback.txt", context, templates)
    return words.line(subject), words.line(fallback)


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
    context, folder = _context(content), content.template
    subject = words.line(subject or subjects(content, templates)[0])
    preheader = fill(f"{folder}/preheader.txt", context, templates)
    preheader = words.shorten(preheader, PREHEADER_MOST)
    context |= {"subject": subject, "preheader": preheader}
    html = mjml_to_html(fill(f"{folder}/body.mjml", context, templates))
    text = fill_text(f"{folder}/body.txt", context, templates)
    checks = preflight(content, html=html, text=text, subject=subject, preheader=preheader)
    return Rendered(subject, preheader, html, text, checks)


def render_opt_in(
    templates: Path, site: Site, newsletter: Newsletter, token: str
) -> tuple[str, str, str]:
    """Subject, HTML and text of the mail that asks a reader to confirm a subscription."""
    context = _opt_in_context(site, newsletter, token)
    context["subject"] = words.line(fill("opt-in/subject.txt", context, templates))
    html = mjml_to_html(fill("opt-in/body.mjml", context, templates))
    return context["subject"], html, fill_text("opt-in/body.txt", context, templates)


def template_problems(templates: Path, config: Config) -> list[Problem]:
    """Every fault of the templates in use, found by rendering built-in content."""
    newsletters = config.newsletters.values()
    used = {n.template for n in newsletters} | {n.series_template for n in newsletters}
    problems = {problem for folder in used for problem in _problems_of(folder, templates)}
    for newsletter in newsletters:
        context = _opt_in_context(config.site, newsletter, "token") | {"subject": "Subject"}
        problems.update(_problems_on("opt-in", OPT_IN_FILES, context, templates))
    return sorted(problems)


def folder_problems(templates: Path) -> list[Problem]:
    """Every fault of the templates there are, where config cannot say which are in use."""
    folders = [
        path.name
        for path in (templates / "email").glob("*")
        if path.is_dir() and not path.name.startswith("_") and path.name != "opt-in"
    ]
    return sorted({problem for folder in folders for problem in _problems_of(folder, templates)})


def _opt_in_context(site: Site, newsletter: Newsletter, token: str) -> dict[str, Any]:
    return {
        "language": site.language,
        "direction": words.direction(site.language),
        "newsletter_title": newsletter.title,
        "site_name": site.name,
        "site_url": site.url,
        "postal_address": site.postal_address,
        "confirm_url": f"{site.links_url.rstrip('/')}/c/{quote(token, safe='')}",
        "confirm_mailto": f"mailto:{quote(newsletter.reply_to, safe='@')}"
        f"?subject={quote(f'confirm {token}')}",
    }


def _context(content: IssueContent) -> dict[str, Any]:
    """What every template may show; the texts in it are one line each."""
    issue = words.in_lines(content)
    return {
        "issue": issue,
        "language": issue.language,
        "items": issue.items,
        "period": words.period_label(issue.period, issue.scheduled_at, issue.time_zone),
        "direction": words.direction(issue.language),
        "day": partial(words.day, time_zone=issue.time_zone),
        "fit": words.fit,
        "link": partial(with_utm, content=issue),
        "scope_part": partial(_scope_part, issue.scope),
        "unsubscribe": UNSUBSCRIBE_MARK,
        "unsubscribe_mailto": UNSUBSCRIBE_MAILTO_MARK,
        "settings": SETTINGS_MARK,
    }


def _scope_part(scope: str, item: Item) -> Part | None:
    """Where the item stands in the series that the issue is about."""
    return next((part for part in item.parts if f"series:{part.slug}" == scope), None)


def _problems_of(folder: str, templates: Path) -> Iterator[Problem]:
    if not (templates / "email" / folder).is_dir():
        yield fault(folder, None, f"no such folder; it must hold {', '.join(FILES)}")
        return
    for content in specimens(folder):
        context = _context(content) | {"subject": "Subject", "preheader": "Preheader"}
        yield from _problems_on(folder, FILES, context, templates)


def _problems_on(
    folder: str, files: tuple[str, ...], context: dict[str, Any], templates: Path
) -> Iterator[Problem]:
    for file in files:
        name = f"{folder}/{file}"
        try:
            filled = fill(name, context, templates)
            if name.endswith(".mjml"):
                mjml_to_html(filled)
        except ConfigError as error:
            yield from error.problems
        except MjmlError as error:
            yield fault(name, None, str(error))
