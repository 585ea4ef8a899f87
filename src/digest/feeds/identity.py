"""Which post an entry is: by its guid first, then by its canonical URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from url_normalize import url_normalize

from digest.feeds.urls import post_url

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Guids that no two publishers share: URLs, and tag: (RFC 4151) and urn: (RFC 8141) names.
_GLOBAL = re.compile(r"(https?|tag|urn):", re.IGNORECASE)
_MAX_KEY = 1000
_HTTP = re.compile(r"http:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Key:
    """One thing a post is known by; `kind` is "guid" or "url"."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Identified:
    """The stored post that keys lead to, or None; and, where they disagree, the other one."""

    post_id: int | None
    conflict_id: int | None = None


def canonical_url(url: str) -> str:
    """The form in which two URLs of one post are equal; the text itself where it is no URL.

    Tracking parameters and the fragment are off; `?p=N`, which is WordPress's own, stays.
    """
    found = post_url(url, "")
    if found is None:
        return url.strip()
    try:
        return url_normalize(found) or found
    except ValueError:
        return found


def identity_keys(feed: str, guid: str, url: str) -> tuple[Key, ...]:
    """Everything the post is known by, strongest first.

    A guid that is no global name is the feed's own: two feeds may both have a post "17".
    """
    keys = [Key("guid", _bounded(_guid_value(feed, guid.strip())))] if guid.strip() else []
    if is_http_url(url):
        keys.append(Key("url", _bounded(_secure(canonical_url(url)))))
    return tuple(keys)


def identify(keys: tuple[Key, ...], known: Mapping[Key, int]) -> Identified:
    """The guid wins over the URL; the post that the URL leads to is then told as conflict."""
    ids = [known[key] for key in keys if key in known]
    if not ids:
        return Identified(None)
    return Identified(ids[0], next((other for other in ids[1:] if other != ids[0]), None))


def is_http_url(url: str) -> bool:
    """Whether the text is an http(s) URL at all."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _guid_value(feed: str, guid: str) -> str:
    if not _GLOBAL.match(guid):
        return f"feed:{feed}:{guid}"
    return _secure(guid)


def _bounded(value: str) -> str:
    """A value short enough for an index of PostgreSQL, which takes 2,704 bytes."""
    encoded = value.encode("utf-8", "replace")
    return value if len(encoded) <= _MAX_KEY else f"sha256:{sha256(encoded).hexdigest()}"


def _secure(url: str) -> str:
    """A blog that moves to https changes no post: both schemes are one here."""
    return _HTTP.sub("https:", url, count=1) if _HTTP.match(url) else url
