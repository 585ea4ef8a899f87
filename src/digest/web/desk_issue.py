"""One issue at the desk: the mail in every light, why it is so, what became of it, what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse

from digest import asking, deciding
from digest.errors import UsageError
from digest.issues.content import from_json
from digest.model import IssueState
from digest.store import accounts
from digest.store import desk as queries
from digest.store import issues as issue_store
from digest.up.connection import read_connection
from digest.web.frame import desk_page
from digest.web.framed import framed
from digest.web.progress import lines_of
from digest.web.routing import NUMBER, TEXT, Page
from digest.web.shield import MAIL_POLICY
from digest.web.shown import file_of, shown_issue, values_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.bootstrap import App
    from digest.deciding import Decision, Word
    from digest.store.issues import Issue
    from digest.web.pages import Web
    from digest.web.progress import Line

#: Issues are numbered within a 64-bit integer.
_HIGHEST = 2**63 - 1
_RUNS = 10

#: The mail as it is shown: in the words of the page, by the word of the address.
VIEWS = {
    "": "As sent",
    "light": "Light",
    "dark": "Dark",
    "plain": "Images off",
    "dark-plain": "Dark, images off",
}
_DARK_RULES = re.compile(r"@media\s*\(\s*prefers-color-scheme\s*:\s*dark\s*\)")
_SCHEMES = re.compile(r"(color-schemes?(?:\"\s+content=\"|:\s*))light dark")

#: States that somebody who looks on waits to see the next of: a run goes on by itself.
_MOVING = (IssueState.APPROVED, IssueState.FROZEN, IssueState.SENDING)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an issue stands, whatever config and posts are like now."""

    issue: Issue
    line: Line
    #: What may be decided about it now.
    choices: tuple[Decision, ...]
    steps: tuple[issue_store.Transition, ...]
    left_out: dict[str, int]
    runs: tuple[queries.RunRow, ...]
    ask: queries.AskRow | None

    @property
    def moving(self) -> bool:
        return self.issue.state in _MOVING


def issue_page(web: Web, request: Request) -> Response:
    return show_issue(web, request)


def show_issue(
    web: Web, request: Request, *, status: int = 200, wrong: str = "", typed: Word | None = None
) -> Response:
    """The issue's page; `wrong` says why a decision was not taken, and `typed` what it was."""
    app, issue_id = web.current(), issue_id_of(request)
    found = standing(app, issue_id)
    path = f"{web.prefix}/desk/issues/{issue_id}"
    view = request.query_params.get("view", "")
    if view not in VIEWS:
        raise HTTPException(404)
    content = from_json(found.issue.content)
    values: dict[str, Any] = {
        "issue": found.issue,
        "found": found,
        "wrong": wrong,
        "typed": typed,
        "may": [str(one) for one in found.choices],
        "introduction": content.introduction,
        "items": content.items,
        "run_url": partial(_run_url, read_connection(app.home, app.config).ui_url),
        "trouble": "",
        "deadline": "",
    }
    try:
        shown = shown_issue(web, request, app, issue_id)
        values |= values_of(shown, path, "")
        values["deadline"] = asking.deadline(app, found.issue)
    except UsageError as error:
        # Its newsletter is gone from config: it can still be ended, and its account be read.
        values["trouble"] = str(error)
        return desk_page(web, request, "desk/issue.html", "issues", status, **values)
    headers = shown.made.files.get("issue.eml", b"").partition(b"\r\n\r\n")[0]
    mask = shown.variants.mask
    values["headers"] = headers.decode()
    values["views"] = [
        (words, f"{path}?{urlencode({'mask': mask, 'view': name})}#mail", name == view)
        for name, words in VIEWS.items()
    ]
    values["view"] = view
    query = urlencode({"mask": mask, "view": view})
    values |= {"mail_url": f"{path}/mail?{query}", "frame_url": f"{path}/frame?{query}"}
    return desk_page(web, request, "desk/issue.html", "issues", status, **values)


def account_page(web: Web, request: Request) -> Response:
    """The account alone: what the page of an issue looks at again while it moves."""
    found = standing(web.current(), issue_id_of(request))
    name = "desk/account.html"
    return desk_page(web, request, name, "issues", issue=found.issue, found=found)


def mail(web: Web, request: Request) -> Response:
    """The mail's HTML, byte for byte; or, asked for so, as a program in that light shows it."""
    return _mail(request, _file(web, request, "issue.html"))


def frame(web: Web, request: Request) -> Response:
    """The mail for the frames of its page."""
    return _mail(request, framed(_file(web, request, "issue.html").decode()).encode())


def _mail(request: Request, html: bytes) -> Response:
    view = request.query_params.get("view", "")
    if view not in VIEWS:
        raise HTTPException(404)
    policy = MAIL_POLICY
    if "plain" in view:
        policy = policy.replace("img-src http: https: data:", "img-src 'none'")
    scheme = view.partition("-")[0]
    if scheme in {"light", "dark"}:
        html = in_scheme(html.decode(), scheme).encode()
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def text(web: Web, request: Request) -> Response:
    """The mail's text part."""
    return PlainTextResponse(_file(web, request, "issue.txt"))


def in_scheme(html: str, scheme: str) -> str:
    """The mail as it looks where everything is light, or dark, whatever this browser prefers."""
    head, end, body = html.partition("</head>")
    head = _DARK_RULES.sub("@media all" if scheme == "dark" else "@media not all", head)
    return _SCHEMES.sub(rf"\g<1>{scheme}", head) + end + body


def standing(app: App, issue_id: int) -> Standing:
    """Where the issue stands. Raises HTTPException where there is none of that number."""
    with app.store.read() as c:
        try:
            issue = issue_store.get_issue(c, issue_id)
        except UsageError as error:
            raise HTTPException(404, f"{error}.") from None
        return _standing(c, app, issue)


def _standing(c: Connection, app: App, issue: Issue) -> Standing:
    undecided = queries.undecided(c, issue.id)
    rows = queries.page_of_issues(c, queries.Filter(ids=(issue.id,)), most=1)
    line = lines_of(app, c, rows, undecided)[0]
    account = line.account
    return Standing(
        issue=issue,
        line=line,
        choices=deciding.choices(
            issue,
            failed=account.failed if account else 0,
            undecided=line.undecided,
            uncertain=account.uncertain if account else 0,
        ),
        steps=tuple(issue_store.transitions_of(c, issue.id)),
        left_out=accounts.exclusion_counts(c, issue.id),
        runs=tuple(queries.runs_of(c, issue.id, _RUNS)),
        ask=queries.last_ask(c, issue.id),
    )


def issue_id_of(request: Request) -> int:
    """The number in the address."""
    found: int = request.path_params["issue"]
    if found > _HIGHEST:
        raise HTTPException(404)
    return found


def _file(web: Web, request: Request, name: str) -> bytes:
    try:
        return file_of(shown_issue(web, request, web.current(), issue_id_of(request)), name)
    except UsageError as error:
        raise HTTPException(404, f"{error}.") from None


def _run_url(ui_url: str, run_id: str) -> str:
    """Where Prefect shows a run; empty where it has no address that a browser may follow."""
    return f"{ui_url}/runs/flow-run/{run_id}" if ui_url.startswith(("http://", "https://")) else ""


_QUERY = {"mask": NUMBER, "view": TEXT}
PAGES: tuple[Page, ...] = (
    Page("/desk/issues/{issue:int}", "one issue", look=issue_page, looks="viewer", query=_QUERY),
    Page("/desk/issues/{issue:int}/account", "its account", look=account_page, looks="viewer"),
    Page("/desk/issues/{issue:int}/mail", "its HTML", look=mail, looks="viewer", query=_QUERY),
    Page(
        "/desk/issues/{issue:int}/frame",
        "it, for a frame",
        look=frame,
        looks="viewer",
        query=_QUERY,
    ),
    Page(
        "/desk/issues/{issue:int}/text",
        "its text",
        look=text,
        looks="viewer",
        query={"mask": NUMBER},
    ),
)
