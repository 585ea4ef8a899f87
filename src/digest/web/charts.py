"""The desk's charts: subscribers over time, deliveries by state, bounces and complaints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.store import figures as store
from digest.web import figures
from digest.web.frame import desk_page
from digest.web.routing import Page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from digest.bootstrap import App
    from digest.store.figures import Figures
    from digest.web.pages import Web


def look(web: Web, request: Request) -> Response:
    """Every chart, with its sentence and its table."""
    app = web.current()
    zone = app.config.site.zone
    moments = figures.week_starts(app.clock(), zone)
    # The last moment is now, and another one each time.
    counted = web.figures.get(moments[:-1], lambda: _count(app, moments))
    whole, groups = figures.lines_of(counted.stretches, len(counted.moments), app.config)
    issues = counted.issues
    return desk_page(
        web,
        request,
        "desk/figures.html",
        "figures",
        growth=figures.growth(whole, groups, counted.moments, zone),
        newsletters=len(app.config.newsletters),
        outcome=figures.outcome(issues),
        bounced=figures.share_chart(
            issues, "bounces", figures.BOUNCED_LIMIT, lambda issue: issue.bounced
        ),
        complained=figures.share_chart(
            issues, "complaints", figures.COMPLAINED_LIMIT, lambda issue: issue.complained
        ),
        issues=issues,
        as_of=counted.moments[-1],
    )


def _count(app: App, moments: Sequence[datetime]) -> Figures:
    with app.store.read() as c:
        return store.figures(c, moments, figures.ISSUES)


PAGES: tuple[Page, ...] = (
    Page("/desk/figures", "subscribers, deliveries and bounces as charts", look, looks="viewer"),
)
