"""TODO"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from digest.web.routing import Page

PAGES: tuple[Page, ...] = ()
