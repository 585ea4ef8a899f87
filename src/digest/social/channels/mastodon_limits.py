"""What an instance takes, as it states it: https://docs.joinmastodon.org/entities/Instance/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from digest.model import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHARACTERS = 500
_LINK_WEIGHT = 23
#: What every Mastodon since 3.1 took.
_PICTURE_BYTES = 8 * 1024 * 1024
_PICTURE_PIXELS = 16_777_216
_PICTURE_TYPES = ("image/jpeg", "image/png", "image/gif")
_ALT_CHARACTERS = 1500


def limits_of(instance: Mapping[str, Any]) -> Limits:
    """The limits of /api/v2/instance or /api/v1/instance, Mastodon's own where it states none.

    Pleroma, snac and others state `max_toot_chars` at the top.
    """
    statuses = _part(instance, "configuration", "statuses")
    media = _part(instance, "configuration", "media_attachments")
    most = _number(instance, "max_toot_chars", _CHARACTERS)
    return Limits(
        characters=_number(statuses, "max_characters", most),
        link_weight=_number(statuses, "characters_reserved_per_url", _LINK_WEIGHT),
        picture_bytes=_number(media, "image_size_limit", _PICTURE_BYTES),
        picture_types=_pictures(media.get("supported_mime_types")) or _PICTURE_TYPES,
        picture_pixels=_number(media, "image_matrix_limit", _PICTURE_PIXELS),
        alt_characters=_number(media, "description_limit", _ALT_CHARACTERS),
    )


def _part(value: Any, *names: str) -> Mapping[str, Any]:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _number(part: Mapping[str, Any], name: str, default: int) -> int:
    stated = part.get(name)
    return stated if isinstance(stated, int) and stated > 0 else default


def _pictures(stated: Sequence[object] | None) -> tuple[str, ...]:
    if not isinstance(stated, list):
        return ()
    return tuple(kind for kind in stated if isinstance(kind, str) and kind.startswith("image/"))
