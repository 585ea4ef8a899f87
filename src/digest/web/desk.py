"""The front of the desk, and the list of issues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from digest.model import IssueState
from digest.overdue import overdue
from digest.store import desk as queries
from digest.store.desk import Filter
from digest.web import desk_decide, desk_issue, desk_who
from digest.web.frame import desk_page, number_of
from digest.web.progress import lines_of
from digest.web.routing import NUMBER, TEXT, Page

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.bootstrap import App
    from digest.web.pages import Web
    from digest.web.progress import Line

_NEWEST = 20
_ON_A_PAGE = 50
#: More than anybody decides on; the list of issues has the others.
_MOST = 100

_WANT_A_DECISION = (IssueState.DRAFT, IssueState.HELD, IssueState.PAUSED)
_ON_THEIR_WAY = (IssueState.APPROVED, IssueState.FROZEN, IssueState.SENDING)


def front(web: Web, request: Request) -> Response:
    """What wants a decision, what is being sent, what is overdue, and the newest issues."""
    app = web.current()
    with app.store.read() as c:
        undecided = queries.undecided(c)
        waiting = _lines(app, c, Filter(states=_WANT_A_DECISION), undecided, most=_MOST)
        sending = _lines(app, c, Filter(states=_ON_THEIR_WAY), undecided, most=_MOST)
        newest = _lines(app, c, Filter(), undecided, most=_NEWEST)
        told = {line.row.id for line in (*waiting, *sending)}
        doubtful = _doubtful(app, c, undecided, told)
    return desk_page(
        web,
        request,
        "desk/front.html",
        "",
        waiting=[*waiting, *doubtful],
        sending=sending,
        overdue=overdue(app.store, app.config, app.clock()),
        newest=newest,
    )


def list_page(web: Web, request: Request) -> Response:
    """All issues, so many to a page, of a newsletter or in a state where that is asked for."""
    app = web.current()
    newsletter, state = (request.query_params.get(name, "") for name in ("newsletter", "state"))
    if state and state not in list(IssueState):
        raise HTTPException(404)
    which = Filter(newsletter, (IssueState(state),) if state else ())
    number = number_of(request, "page")
    with app.store.read() as c:
        count = queries.count_issues(c, which)
        last = max(1, -(-count // _ON_A_PAGE))
        if number > last:
            raise HTTPException(404)
        skip = (number - 1) * _ON_A_PAGE
        lines = _lines(app, c, which, {}, most=_ON_A_PAGE, skip=skip)
        newsletters = queries.newsletters_of_issues(c)
    return desk_page(
        web,
        request,
        "desk/issues.html",
        "issues",
        lines=lines,
        count=count,
        number=number,
        last=last,
        newsletters=newsletters,
        newsletter=newsletter,
        states=list(IssueState),
        state=state,
    )


def _lines(
    app: App,
    c: Connection,
    which: Filter,
    undecided: dict[int, int],
    *,
    most: int,
    skip: int = 0,
) -> list[Line]:
    rows = queries.page_of_issues(c, which, most=most, skip=skip)
    return lines_of(app, c, rows, undecided)


def _doubtful(app: App, c: Connection, undecided: dict[int, int], known: set[int]) -> list[Line]:
    """Issues at their end of which something is uncertain still."""
    ids = tuple(sorted(undecided.keys() - known, reverse=True)[:_MOST])
    rows = queries.page_of_issues(c, Filter(ids=ids), most=_MOST) if ids else []
    return lines_of(app, c, rows, undecided)


PAGES: tuple[Page, ...] = (
    Page("/desk", "the front of the desk", look=front, looks="viewer"),
    Page(
        "/desk/issues",
        "all issues",
        look=list_page,
        looks="viewer",
        query={"newsletter": TEXT, "state": TEXT, "page": NUMBER},
    ),
    *desk_issue.PAGES,
    *desk_decide.PAGES,
    *desk_who.PAGES,
)
