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
from digest.links import confirm_url
from digest.model import SETTINGS_MARK, UNSUBSCRIBE_MAILTO_MARK, UNSUBSCRIBE_MARK
from digest.readers.wishes import WishInWords

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from digest.config import Config, Newsletter, Site
    from digest.errors import Problem
    from digest.issues.content import IssueContent, Item
    from digest.model import Part

#: The folders of notices, and what each must hold.
NOTICES = ("opt-in", "sign-up", "settings-link")
NOTICE_FILES = ("subject.txt", "body.mjml", "body.txt")
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
    return _notice("opt-in", _opt_in_context(site, newsletter, token), templates)


def render_sign_up(
    templates: Path, site: Site, wishes: Sequence[WishInWords], url: str
) -> tuple[str, str, str]:
    """Subject, HTML and text of the mail that asks to confirm a sign-up at `url`."""
    return _notice("sign-up", _sign_up_context(site, wishes, url), templates)


def render_settings_link(templates: Path, site: Site, url: str) -> tuple[str, str, str]:
    """Subject, HTML and text of the mail that leads a reader to their settings at `url`."""
    return _notice("settings-link", _site_context(site) | {"settings_url": url}, templates)


def _notice(folder: str, context: dict[str, Any], templates: Path) -> tuple[str, str, str]:
    subject = words.line(fill(f"{folder}/subject.txt", context, templates))
    context = context | {"subject": subject}
    html = mjml_to_html(fill(f"{folder}/body.mjml", context, templates))
    return subject, html, fill_text(f"{folder}/body.txt", context, templates)


def template_problems(templates: Path, config: Config) -> list[Problem]:
    """Every fault of the templates in use, found by rendering built-in content."""
    newsletters = config.newsletters.values()
    used = {n.template for n in newsletters} | {n.series_template for n in newsletters}
    problems = {problem for folder in used for problem in _problems_of(folder, templates)}
    for folder, context in _specimen_notices(config):
        filled = context | {"subject": "Subject"}
        problems.update(_problems_on(folder, NOTICE_FILES, filled, templates))
    return sorted(problems)


def _specimen_notices(config: Config) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each notice as some reader could get it."""
    site = config.site
    for newsletter in config.newsletters.values():
        yield "opt-in", _opt_in_context(site, newsletter, "token")
        everything = WishInWords(newsletter.title, (), "once a week")
        chosen = WishInWords(newsletter.title, ("A series (#Series)",), "once a month")
        for wishes in ([everything], [everything, chosen]):
            yield "sign-up", _sign_up_context(site, wishes, site.links_url)
    yield "settings-link", _site_context(site) | {"settings_url": site.links_url}


def folder_problems(templates: Path) -> list[Problem]:
    """Every fault of the templates there are, where config cannot say which are in use."""
    folders = [
        path.name
        for path in (templates / "email").glob("*")
        if path.is_dir() and not path.name.startswith("_") and path.name not in NOTICES
    ]
    return sorted({problem for folder in folders for problem in _problems_of(folder, templates)})


def _site_context(site: Site) -> dict[str, Any]:
    return {
        "language": site.language,
        "direction": words.direction(site.language),
        "site_name": site.name,
        "site_url": site.url,
        "postal_address": site.postal_address,
    }


def _opt_in_context(site: Site, newsletter: Newsletter, token: str) -> dict[str, Any]:
    return _site_context(site) | {
        "newsletter_title": newsletter.title,
        "confirm_url": confirm_url(site.links_url, token),
        "confirm_mailto": f"mailto:{quote(newsletter.reply_to, safe='@')}"
        f"?subject={quote(f'confirm {token}')}",
    }


def _sign_up_context(site: Site, wishes: Sequence[WishInWords], url: str) -> dict[str, Any]:
    return _site_context(site) | {"wishes": wishes, "join_url": url}


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
