"""Editors' pages: an issue exactly as it goes out, and what would be composed for a request.

The bytes shown are those of `digest preview`: both are made by `digest.previews` (rule 8).
Whoever has the address may look, so it is signed; no page shows a reader's address.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from selectolax.lexbor import LexborHTMLParser
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse

from digest.errors import UsageError
from digest.issues import words
from digest.issues.compose import Request as Wanted
from digest.issues.freeze import forecast, forecast_unstored
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
from digest.web.shield import MAIL_POLICY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from digest.bootstrap import App
    from digest.issues.freeze import Share
    from digest.issues.preview import Preview
    from digest.model import Account
    from digest.previews import PreviewFiles
    from digest.store.issues import Issue, Transition
    from digest.web.pages import Web


@dataclass(frozen=True, slots=True)
class _Found:
    """What an address is about: a stored issue, or what would be composed as wanted."""

    app: App
    shown: Preview
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
    base = f"{web.prefix}/preview/{request.path_params['token']}"
    return _page(web, found, f"{base}/mail", f"{base}/text")


def preview_mail(web: Web, request: Request) -> Response:
    return _mail(_of_token(web, request))


def preview_text(web: Web, request: Request) -> Response:
    return _text(_of_token(web, request))


def look_page(web: Web, request: Request) -> Response:
    found = _of_query(web, request)
    base, query = f"{web.prefix}/look", request.url.query
    return _page(web, found, f"{base}/mail?{query}", f"{base}/text?{query}")


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
        return _of_issue(app, issue_id)
    except UsageError as error:
        raise HTTPException(404, f"{error}.") from None


def _of_query(web: Web, request: Request) -> _Found:
    app = web.current()
    fields = fields_of_look(app.secret, request.url.query)
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
            return _of_issue(app, shown.issue_id)
        made = preview_files(app, shown, None, wanted.scheduled_at)
        return _Found(app, shown, made, wanted)
    except UsageError as error:
        raise HTTPException(404, f"{error}.") from None


def _of_issue(app: App, issue_id: int) -> _Found:
    with app.store.read() as c:
        issue = issue_store.get_issue(c, issue_id)
        shown = preview_of_issue(c, issue)
        steps = issue_store.transitions_of(c, issue_id)
    made = preview_files(app, shown, None, issue.scheduled_at)
    return _Found(app, shown, made, None, issue, steps)


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


def _page(web: Web, found: _Found, mail: str, text: str) -> Response:
    shown, made, content = found.shown, found.made, found.shown.content
    html = made.files.get("issue.html", b"")
    return web.page(
        "preview.html",
        issue=found.issue,
        content=content,
        subject=made.subject,
        fallback="" if shown.both[1] == shown.both[0] else shown.both[1],
        preheader=_preheader(html),
        covers=words.period_label(content.period, content.scheduled_at, content.time_zone),
        due=content.scheduled_at.astimezone(ZoneInfo(content.time_zone)),
        shares=_shares(web, found),
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
        mail_url=mail,
        text_url=text,
    )


def _shares(web: Web, found: _Found) -> list[Share] | None:
    """Who would get what; None where that is settled, or where there is nothing to get."""
    app, shown, issue = found.app, found.shown, found.issue
    if shown.nothing:
        return None
    if wanted := found.wanted:
        content, both = shown.content, shown.both
        return web.shares.get(
            (wanted, both), lambda: forecast_unstored(app.store, wanted, content, both)
        )
    if issue is None or issue.state not in BEFORE_FREEZE:
        return None
    return web.shares.get((issue.id, issue.hash), lambda: forecast(app.store, issue))


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
