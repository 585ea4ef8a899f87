"""Who may come to the desk: sessions, roles, and that a form was ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.web.pages import Web


def admit(
    web: Web, request: Request, role: Literal["viewer", "editor"], *, doing: bool
) -> Response | None:
    """Sets `request.state.editor` and `request.state.csrf`; else what is answered instead."""
    _ = web, request, role, doing
    raise HTTPException(403)
