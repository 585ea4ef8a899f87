"""Uploading a picture: https://docs.joinmastodon.org/methods/media/."""

from __future__ import annotations

import mimetypes
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mastodon import Mastodon

    from digest.model import Picture

#: Between two looks, in seconds.
_PAUSE = 0.25


def upload(api: Mastodon, picture: Picture, *, patience: float) -> str | None:
    """Upload a picture; its id once it may be attached, None where that takes too long."""
    until = time.monotonic() + patience
    medium = api.media_post(
        picture.content,
        mime_type=picture.media_type,
        description=picture.alt or None,
        file_name=f"picture{mimetypes.guess_extension(picture.media_type) or ''}",
    )
    # Not Mastodon.py's `synchronous`, which looks for ever and takes every fault for one cause.
    while not medium.url:
        if time.monotonic() > until:
            return None
        time.sleep(_PAUSE)
        medium = api.media(medium.id)
    return str(medium.id)
