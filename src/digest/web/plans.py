"""The desk's plans: series, calendar, threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.web import calendar_page, series_page, threads_page

if TYPE_CHECKING:
    from digest.web.routing import Page

PAGES: tuple[Page, ...] = (
    *series_page.PAGES,
    *calendar_page.PAGES,
    *threads_page.PAGES,
)
