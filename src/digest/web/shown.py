"""An issue as pages for editors show it: a mail that readers get, its picks, who gets it.

Of an issue's variants it is the one that most get, or the one asked for. The bytes are those of
`digest preview`: both are made by `digest.previews` (rule 8). No address of a reader is in it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from selectolax.lexbor import LexborHTMLParser
from starlette.exceptions import HTTPException

from digest.issues import words
from digest.issues.lifecycle import BEFORE_FREEZE
from digest.issues.preflight import SIZE_LIMIT
from digest.issues.preview import preview_of_issue
from digest.model import Severity
from digest.previews import preview_files
from digest.store import accounts
from digest.store import issues as issue_store
from digest.web import variants

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from digest.bootstrap import App
    from digest.issues.compose import Request as Wanted
    from digest.issues.preview import Preview
    from digest.model import Account
    from digest.previews import PreviewFiles
    from digest.store.issues import Issue, Transition
    from digest.web.pages import Web
    from digest.web.variants import Variants


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page is about: a stored issue, or what would be composed as wanted."""

    app: App
    #: The whole issue.
    shown: Preview
    #: What the pages show of it, and its files.
    variants: Variants
    made: PreviewFiles
    wanted: Wanted | None = None
    issue: Issue | None = None
    steps: Sequence[Transition] = ()


@dataclass(frozen=True, slots=True)
class Frozen:
    """What became of an issue's recipients."""

    account: Account
    left_out: Mapping[str, int]

    @property
    def terms(self) -> list[tuple[int, str]]:
        """The account as an equation's right side; states at zero are left out."""
        counts = asdict(self.account)
        total = counts.pop("recipients")
        found = [(count, state) for state, count in counts.items() if count]
        return found or [(total, "recipients")]


def shown_issue(web: Web, request: Request, app: App, issue_id: int) -> Shown:
    """A stored issue. Raises UsageError where there is none of that number."""
    with app.store.read() as c:
        issue = issue_store.get_issue(c, issue_id)
        shown = preview_of_issue(c, issue)
        steps = issue_store.transitions_of(c, issue_id)
    return shown_variant(web, request, app, shown, issue=issue, steps=steps)


def shown_variant(
    web: Web,
    request: Request,
    app: App,
    shown: Preview,
    *,
    wanted: Wanted | None = None,
    issue: Issue | None = None,
    steps: Sequence[Transition] = (),
) -> Shown:
    """The variant that the request asks for, or that most readers get."""
    shares = variants.shares_of(web, app, shown, wanted, issue)
    chosen = variants.choose(request, shown.content.mask, shares)
    part = replace(shown, rendered=variants.render_shown(app, shown, issue, chosen))
    made = preview_files(app, part, None, shown.content.scheduled_at)
    return Shown(app, shown, chosen, made, wanted, issue, steps)


def file_of(found: Shown, name: str) -> bytes:
    """One of the preview's files. Raises HTTPException where there is nothing to send."""
    if name not in found.made.files:
        raise HTTPException(404, f"There is nothing to send: {found.shown.nothing}.")
    return found.made.files[name]


def values_of(found: Shown, path: str, query: str) -> dict[str, Any]:
    """What the templates are filled with; `path` and `query` are the page without the variant."""
    shown, made, content, chosen = found.shown, found.made, found.shown.content, found.variants
    html = made.files.get("issue.html", b"")
    return {
        "issue": found.issue,
        "content": content,
        "subject": made.subject,
        "whole_subject": shown.both[0],
        "fallback": shown.both[1],
        "preheader": _preheader(html),
        "covers": words.period_label(content.period, content.scheduled_at, content.time_zone),
        "due": content.scheduled_at.astimezone(ZoneInfo(content.time_zone)),
        "variants": chosen,
        "settled": found.issue is not None and found.issue.state not in BEFORE_FREEZE,
        "kept": {item.post.post_id for item in content.variant(chosen.mask).items},
        "frozen": frozen_of(found),
        "checks": sorted(made.preflight, key=lambda check: list(Severity).index(check.severity)),
        "size": len(html),
        "limit": SIZE_LIMIT,
        "picks_in": [line for line in made.picks if line.pick.is_in],
        "picks_out": [line for line in made.picks if not line.pick.is_in],
        "nothing": shown.nothing,
        "repeat": shown.repeat,
        "steps": found.steps,
        "text": made.files.get("issue.txt", b"").decode(),
        "page_url": partial(variants.with_mask, path, query),
        "mail_url": variants.with_mask(f"{path}/mail", query, chosen.mask),
        "frame_url": variants.with_mask(f"{path}/frame", query, chosen.mask),
        "text_url": variants.with_mask(f"{path}/text", query, chosen.mask),
    }


def frozen_of(found: Shown) -> Frozen | None:
    """What became of the recipients; None before they were drawn."""
    if found.issue is None or found.issue.state in BEFORE_FREEZE:
        return None
    with found.app.store.read() as c:
        account = accounts.account(c, found.issue.id)
        left_out = accounts.exclusion_counts(c, found.issue.id)
    return Frozen(account, left_out) if account.recipients or left_out else None


def _preheader(html: bytes) -> str:
    """What inboxes show after the subject: the mail's first hidden text, without its padding."""
    hidden = LexborHTMLParser(html.decode()).css_first('div[style*="display:none"]')
    return words.line(hidden.text().rstrip("\u034f\u200c\xa0 ")) if hidden else ""
