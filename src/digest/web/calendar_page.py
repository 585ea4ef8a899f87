"""The desk's calendar: what is due, what was, and what nobody may have noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.calendar import WEEKS_BACK, WEEKS_ON, read_plan
from digest.up.connection import read_connection
from digest.web.frame import desk_page
from digest.web.routing import Page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.web.pages import Web


def look(web: Web, request: Request) -> Response:
    """The next weeks by day, and the last."""
    app = web.current()
    now = app.clock()
    return desk_page(
        web,
        request,
        "desk/calendar.html",
        "calendar",
        plan=read_plan(app.store, app.config, now),
        today=now.astimezone(app.config.site.zone).date(),
        weeks=(WEEKS_BACK, WEEKS_ON),
        schedules_url=_schedules_url(read_connection(app.home, app.config).ui_url),
    )


def _schedules_url(ui_url: str) -> str:
    """Where Prefect switches schedules on and off; empty where it has no pages of its own."""
    return f"{ui_url}/deployments" if ui_url.startswith(("http://", "https://")) else ""


PAGES: tuple[Page, ...] = (
    Page("/desk/calendar", "what is due and what was", look, looks="viewer"),
)
