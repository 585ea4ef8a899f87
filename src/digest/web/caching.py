"""Pages that are the same for everybody: kept for a while, and asked for again by their mark.

https://www.rfc-editor.org/rfc/rfc9110#section-13
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

_SECONDS = 300
#: What speaks of a body, where there is none.
_OF_THE_BODY = ("content-length", "content-type")


def shared(request: Request, response: Response, modified: datetime | None = None) -> Response:
    """The response for anyone's cache, or 304 where the asker has it as it is.

    `modified` (aware) is when it last changed, where that is known.
    """
    headers = response.headers
    headers["Cache-Control"] = f"public, max-age={_SECONDS}"
    headers["ETag"] = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    if modified is not None:
        headers["Last-Modified"] = format_datetime(modified.astimezone(UTC), usegmt=True)
    if not _has_it(request, headers["ETag"], modified):
        return response
    # With every header of the page: caches put them in the place of those they have.
    kept = {name: value for name, value in headers.items() if name not in _OF_THE_BODY}
    return Response(status_code=304, headers=kept)


def _has_it(request: Request, etag: str, modified: datetime | None) -> bool:
    """A date counts only where no mark is given."""
    marks = request.headers.get("if-none-match")
    if marks is not None:
        known = {mark.strip().removeprefix("W/") for mark in marks.split(",")}
        return bool(known & {etag, "*"})
    since = _date(request.headers.get("if-modified-since", ""))
    return bool(since and modified and modified.replace(microsecond=0) <= since)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
