"""Who got an issue, who did not, and why: addresses, for editors alone.

An address is searched for by a form, for what stands in an address of a page is kept in
histories and logs.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

from digest.mail.addresses import AddressProblem, parse_address
from digest.model import DeliveryState
from digest.recording import recorded
from digest.store import desk as queries
from digest.web.desk_issue import issue_id_of, standing
from digest.web.frame import desk_page, number_of
from digest.web.routing import NUMBER, TEXT, Page, text_of
from digest.who_csv import ENCODING, write_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Connection
    from starlette.requests import Request

    from digest.store.desk import Who
    from digest.web.desk_issue import Standing
    from digest.web.pages import Web

_ON_A_PAGE = 100
#: Beside the states of a delivery.
LEFT_OUT = "left-out"


def who_page(web: Web, request: Request) -> Response:
    """Those in one state, so many to a page."""
    state = _state(request.query_params.get("state", DeliveryState.SUBMITTED))
    issue_id, number = issue_id_of(request), number_of(request, "page")
    found = standing(web.current(), issue_id)
    counts = _counts(found)
    last = max(1, -(-counts[state] // _ON_A_PAGE))
    if number > last:
        raise HTTPException(404)
    with web.current().store.read() as c:
        skip = (number - 1) * _ON_A_PAGE
        lines = _those(c, issue_id, state, most=_ON_A_PAGE, skip=skip)
    return desk_page(
        web,
        request,
        "desk/who.html",
        "issues",
        issue=found.issue,
        state=state,
        counts=counts,
        lines=lines,
        number=number,
        last=last,
        asked=None,
    )


def search(web: Web, request: Request) -> Response:
    """What became of one reader."""
    issue_id, typed = issue_id_of(request), text_of(request, "address")
    found = standing(web.current(), issue_id)
    address = parse_address(typed)
    lines: Iterable[Who] = ()
    if not isinstance(address, AddressProblem):
        with web.current().store.read() as c:
            lines = queries.who_is(c, issue_id, address.key)
    return desk_page(
        web,
        request,
        "desk/who.html",
        "issues",
        issue=found.issue,
        state="",
        counts=_counts(found),
        lines=lines,
        number=1,
        last=1,
        asked=typed[:254],
    )


def download(web: Web, request: Request) -> Response:
    """Those in one state, or all, as CSV; that somebody took it is kept as a run."""
    app, issue_id = web.current(), issue_id_of(request)
    asked = text_of(request, "state")
    states = [_state(asked)] if asked else [*DeliveryState, LEFT_OUT]
    found = standing(app, issue_id)
    actor, parameters = request.state.editor.name, {"issue": issue_id, "state": asked}
    with recorded(app, "download who", actor, parameters) as run:
        with app.store.read() as c:
            lines = [line for state in states for line in _those(c, issue_id, state)]
        run.issue_id, run.counts = issue_id, {"addresses": len(lines)}
    name = f"{found.issue.newsletter}-{issue_id}-{asked or 'all'}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(as_csv(lines), media_type="text/csv; charset=utf-8", headers=headers)


def as_csv(lines: Iterable[Who]) -> bytes:
    """A table that a spreadsheet opens, and of which it runs nothing."""
    written = io.StringIO()
    write_table(written, lines)
    return written.getvalue().encode(ENCODING)


def _those(
    c: Connection, issue_id: int, state: str, *, most: int | None = None, skip: int = 0
) -> list[Who]:
    if state == LEFT_OUT:
        return queries.excluded(c, issue_id, most=most, skip=skip)
    return queries.who(c, issue_id, DeliveryState(state), most=most, skip=skip)


def _state(text: str) -> str:
    if text != LEFT_OUT and text not in list(DeliveryState):
        raise HTTPException(404)
    return text


def _counts(found: Standing) -> dict[str, int]:
    """How many stand in which state; states where nobody stands are at 0."""
    account = found.line.account
    counts = {str(state): int(getattr(account, state)) if account else 0 for state in DeliveryState}
    return {**counts, LEFT_OUT: sum(found.left_out.values())}


PAGES: tuple[Page, ...] = (
    Page(
        "/desk/issues/{issue:int}/who",
        "who got an issue",
        look=who_page,
        looks="editor",
        query={"state": TEXT, "page": NUMBER},
        do=search,
        does="editor",
        form={"csrf": TEXT, "address": TEXT},
    ),
    Page(
        "/desk/issues/{issue:int}/who.csv",
        "the same as a table",
        do=download,
        does="editor",
        form={"csrf": TEXT, "state": TEXT},
    ),
)
