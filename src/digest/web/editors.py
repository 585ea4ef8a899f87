"""Editors' pages: an issue exactly as it goes out, and what would be composed for a request.

What is shown is a mail that readers get: of an issue's variants the one that most get, or the
one asked for. The bytes are those of `digest preview`: both are made by `digest.previews` (rule 8).
Whoever has the address may look, so it is signed; no page shows a reader's address.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from selectolax.lexbor import LexborHTMLParser
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse

from digest.errors import UsageError
from digest.issues import words
from digest.issues.compose import Request as Wanted
from digest.issues.lifecycle import BEFORE_FREEZE
from digest.issues.preflight import SIZE_LIMIT
from digest.issues.preview import preview, preview_of_issue
from digest.issues.scope import parse_scope
from digest.links import fields_of_look
from digest.model import Rhythm, Severity
from digest.previews import preview_files
from digest.readers.tokens import read_token
from digest.store import accounts
from digest.store import issues as issue_store
from digest.web import variants
from digest.web.routing import NUMBER, TEXT, Page
from digest.web.shield import MAIL_POLICY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from digest.bootstrap import App
    from digest.issues.preview import Preview
    from digest.model import Account
    from digest.previews import PreviewFiles
    from digest.store.issues import Issue, Transition
    from digest.web.pages import Web
    from digest.web.variants import Variants


@dataclass(frozen=True, slots=True)
class _Found:
    """What an address is about: a stored issue, or what would be composed as wanted."""

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
class _Frozen:
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


def preview_page(web: Web, request: Request) -> Response:
    found = _of_token(web, request)
    return _page(web, found, f"{web.prefix}/preview/{request.path_params['token']}", "")


def preview_mail(web: Web, request: Request) -> Response:
    return _mail(_of_token(web, request))


def preview_text(web: Web, request: Request) -> Response:
    return _text(_of_token(web, request))


def look_page(web: Web, request: Request) -> Response:
    found = _of_query(web, request)
    return _page(web, found, f"{web.prefix}/look", variants.without_mask(request))


def look_mail(web: Web, request: Request) -> Response:
    return _mail(_of_query(web, request))


def look_text(web: Web, request: Request) -> Response:
    return _text(_of_query(web, request))


# --- what is asked for -------------------------------------------------------------------------


def _of_token(web: Web, request: Request) -> _Found:
    app = web.current()
    issue_id = read_token(app.secret, "preview", request.path_params["token"])
    if issue_id is None:
        raise HTTPException(404)
    try:
        return _of_issue(web, request, app, issue_id)
    except UsageError as error:
        raise HTTPException(404, f"{error}.") from None


def _of_query(web: Web, request: Request) -> _Found:
    app = web.current()
    fields = fields_of_look(app.secret, variants.without_mask(request))
    if fields is None:
        raise HTTPException(404)
    wanted = Wanted(
        newsletter=fields["newsletter"],
        scope=parse_scope(fields["scope"]),
        rhythm=Rhythm(fields["rhythm"]),
        scheduled_at=datetime.fromisoformat(fields["as_of"]),
        repeat=fields["repeat"] == "1",
        edition=int(fields["edition"]),
        post_id=int(fields["post"]) if "post" in fields else None,
    )
    try:
        with app.store.read() as c:
            shown = preview(c, app.config, app.templates, wanted)
        if shown.issue_id is not None:
            return _of_issue(web, request, app, shown.issue_id)
        return _chosen(web, request, app, shown, wanted=wanted)
    except UsageError as error:
        raise HTTPException(404, f"{error}.") from None


def _of_issue(web: Web, request: Request, app: App, issue_id: int) -> _Found:
    with app.store.read() as c:
        issue = issue_store.get_issue(c, issue_id)
        shown = preview_of_issue(c, issue)
        steps = issue_store.transitions_of(c, issue_id)
    return _chosen(web, request, app, shown, issue=issue, steps=steps)


def _chosen(
    web: Web,
    request: Request,
    app: App,
    shown: Preview,
    *,
    wanted: Wanted | None = None,
    issue: Issue | None = None,
    steps: Sequence[Transition] = (),
) -> _Found:
    shares = variants.shares_of(web, app, shown, wanted, issue)
    chosen = variants.choose(request, shown.content.mask, shares)
    part = replace(shown, rendered=variants.render_shown(app, shown, issue, chosen))
    made = preview_files(app, part, None, shown.content.scheduled_at)
    return _Found(app, shown, chosen, made, wanted, issue, steps)


# --- what is shown -----------------------------------------------------------------------------


def _mail(found: _Found) -> Response:
    """The mail's HTML, byte for byte."""
    html = _file(found, "issue.html")
    return HTMLResponse(html, headers={"Content-Security-Policy": MAIL_POLICY})


def _text(found: _Found) -> Response:
    return PlainTextResponse(_file(found, "issue.txt"))


def _file(found: _Found, name: str) -> bytes:
    if name not in found.made.files:
        raise HTTPException(404, f"There is nothing to send: {found.shown.nothing}.")
    return found.made.files[name]


def _page(web: Web, found: _Found, path: str, query: str) -> Response:
    """The page; `path` and `query` are its address without the variant."""
    shown, made, content, chosen = found.shown, found.made, found.shown.content, found.variants
    html = made.files.get("issue.html", b"")
    return web.page(
        "preview.html",
        issue=found.issue,
        content=content,
        subject=made.subject,
        whole_subject=shown.both[0],
        fallback=shown.both[1],
        preheader=_preheader(html),
        covers=words.period_label(content.period, content.scheduled_at, content.time_zone),
        due=content.scheduled_at.astimezone(ZoneInfo(content.time_zone)),
        variants=chosen,
        settled=found.issue is not None and found.issue.state not in BEFORE_FREEZE,
        kept={item.post.post_id for item in content.variant(chosen.mask).items},
        frozen=_frozen(found),
        checks=sorted(made.preflight, key=lambda check: list(Severity).index(check.severity)),
        size=len(html),
        limit=SIZE_LIMIT,
        picks_in=[line for line in made.picks if line.pick.is_in],
        picks_out=[line for line in made.picks if not line.pick.is_in],
        nothing=shown.nothing,
        repeat=shown.repeat,
        steps=found.steps,
        text=made.files.get("issue.txt", b"").decode(),
        page_url=partial(variants.with_mask, path, query),
        mail_url=variants.with_mask(f"{path}/mail", query, chosen.mask),
        text_url=variants.with_mask(f"{path}/text", query, chosen.mask),
    )


def _frozen(found: _Found) -> _Frozen | None:
    """What became of the recipients; None before they were drawn."""
    if found.issue is None or found.issue.state in BEFORE_FREEZE:
        return None
    with found.app.store.read() as c:
        account = accounts.account(c, found.issue.id)
        left_out = accounts.exclusion_counts(c, found.issue.id)
    return _Frozen(account, left_out) if account.recipients or left_out else None


def _preheader(html: bytes) -> str:
    """What inboxes show after the subject: the mail's first hidden text, without its padding."""
    hidden = LexborHTMLParser(html.decode()).css_first('div[style*="display:none"]')
    return words.line(hidden.text().rstrip("\u034f\u200c\xa0 ")) if hidden else ""


_MASK = {"mask": NUMBER}
_LOOK = {
    **_MASK,
    **dict.fromkeys(("newsletter", "scope", "rhythm", "as_of", "repeat", "edition", "sig"), TEXT),
}
PAGES: tuple[Page, ...] = (
    Page("/preview/{token}", "an issue as it goes out", look=preview_page, query=_MASK),
    Page("/preview/{token}/mail", "its HTML", look=preview_mail, query=_MASK),
    Page("/preview/{token}/text", "its text", look=preview_text, query=_MASK),
    Page("/look", "what would be composed", look=look_page, query=_LOOK),
    Page("/look/mail", "its HTML", look=look_mail, query=_LOOK),
    Page("/look/text", "its text", look=look_text, query=_LOOK),
)
