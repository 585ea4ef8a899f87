"""Uploading a picture to X, in pieces: https://docs.x.com/x-api/media/quickstart/media-upload-chunked"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from digest.errors import Refused, Unavailable
from digest.social.channels.untrusted import dig, text
from digest.social.channels.x_answers import Answer, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.model import Picture
    from digest.ports import Trouble
    from digest.social.channels.x_line import Line

#: Bytes in one request; X takes 5 MB at most.
PIECE = 2_000_000
#: Seconds to wait for X's processing where it does not say, and at most at a time.
CHECK_AFTER = 1.0
LONGEST_CHECK = 10.0

_ID = re.compile(r"[0-9]{1,20}")


def upload(
    line: Line, picture: Picture, *, patience: float, sleep: Callable[[float], None]
) -> str | Trouble:
    """Bring the picture to X with its alt text, and return its id there.

    Waits for X's processing, `patience` seconds at most.
    """
    media_id = _begun(line, picture)
    if not isinstance(media_id, str):
        return media_id
    return (
        _sent(line, media_id, picture.content)
        or _finished(line, media_id, patience=patience, sleep=sleep)
        or _described(line, media_id, picture.alt)
        or media_id
    )


def id_in(answer: Answer) -> str:
    """The id that X gave to what it accepted; empty where it named none."""
    found = text(dig(answer.body, "data", "id"))
    return found if _ID.fullmatch(found) else ""


def _begun(line: Line, picture: Picture) -> str | Trouble:
    wanted = {
        "media_type": picture.media_type,
        "total_bytes": len(picture.content),
        "media_category": "tweet_gif" if picture.media_type == "image/gif" else "tweet_image",
    }
    answer = line.ask("media", "POST", "/2/media/upload/initialize", json=wanted)
    if not isinstance(answer, Answer):
        return answer
    return id_in(answer) or unreadable("media")


def _sent(line: Line, media_id: str, content: bytes) -> Trouble | None:
    route = f"/2/media/upload/{media_id}/append"
    for number, start in enumerate(range(0, len(content), PIECE)):
        piece = {"media": ("picture", content[start : start + PIECE], "application/octet-stream")}
        answer = line.ask("media", "POST", route, data={"segment_index": number}, files=piece)
        if not isinstance(answer, Answer):
            return answer
    return None


def _finished(
    line: Line, media_id: str, *, patience: float, sleep: Callable[[float], None]
) -> Trouble | None:
    answer = line.ask("media", "POST", f"/2/media/upload/{media_id}/finalize")
    while isinstance(answer, Answer):
        state = dig(answer.body, "data", "processing_info", "state")
        if state in {None, "succeeded"}:
            return None if id_in(answer) else unreadable("media")
        if state == "failed":
            return _not_processed(answer)
        wait = _wait(answer)
        patience -= wait
        if patience < 0:
            return Unavailable("X is still processing the picture")
        sleep(wait)
        asked = {"command": "STATUS", "media_id": media_id}
        answer = line.ask("media", "GET", "/2/media/upload", params=asked)
    return answer


def _wait(answer: Answer) -> float:
    asked = dig(answer.body, "data", "processing_info", "check_after_secs")
    if isinstance(asked, bool) or not isinstance(asked, int | float):
        return CHECK_AFTER
    return min(max(float(asked), CHECK_AFTER), LONGEST_CHECK)


def _not_processed(answer: Answer) -> Trouble:
    name = text(dig(answer.body, "data", "processing_info", "error", "name"))
    reason = f"X cannot process the picture: {name or 'it does not say why'}"
    return (
        Refused(reason, name)
        if name.startswith(("Invalid", "Unsupported"))
        else Unavailable(reason)
    )


def _described(line: Line, media_id: str, alt: str) -> Trouble | None:
    if not alt:
        return None
    described = {"id": media_id, "metadata": {"alt_text": {"text": alt}}}
    answer = line.ask("media", "POST", "/2/media/metadata/create", json=described)
    return None if isinstance(answer, Answer) else answer
