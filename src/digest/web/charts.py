"""The desk's charts: subscribers over time, deliveries by state, bounces and complaints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.store import figures as store
from digest.web import figures
from digest.web.frame import desk_page
from digest.web.routing import Page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.web.pages import Web


def look(web: Web, request: Request) -> Response:
    """Every chart, with its sentence and its table."""
    app = web.current()
    zone, now = app.config.site.zone, app.clock()
    moments = figures.week_starts(now, zone)
    with app.store.read() as c:
        found = store.stretches(c, moments)
        issues = store.last_issues(c, figures.ISSUES)
    whole, groups = figures.lines_of(found, len(moments), app.config)
    return desk_page(
        web,
        request,
        "desk/figures.html",
        "figures",
        growth=figures.growth(whole, groups, moments, zone),
        newsletters=len(app.config.newsletters),
        outcome=figures.outcome(issues),
        bounced=figures.share_chart(
            issues, "bounces", figures.BOUNCED_LIMIT, lambda issue: issue.bounced
        ),
        complained=figures.share_chart(
            issues, "complaints", figures.COMPLAINED_LIMIT, lambda issue: issue.complained
        ),
        issues=issues,
        as_of=now.astimezone(zone),
    )


PAGES: tuple[Page, ...] = (
    Page("/desk/figures", "subscribers, deliveries and bounces as charts", look, looks="viewer"),
)
