"""URLs as feeds state them, made absolute and safe to show. They stay as written otherwise."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from url_normalize import url_normalize

from digest.model import UNSUBSCRIBE_MARK

#: Parameters that say where a reader came from and never which post is meant.
TRACKING = re.compile(
    r"utm_\w+|mtm_\w+|pk_(campaign|kwd|source|medium|content)|fbclid|gclid|dclid|gbraid|wbraid"
    r"|msclkid|twclid|yclid|igshid|mc_(cid|eid)|_hs(enc|mi)|oly_(anon|enc)_id|vero_id|mkt_tok"
    r"|wt\.mc_id|ref_src",
    re.IGNORECASE,
)
#: The host of our marks, which nothing from a feed may spell.
MARK_HOST = urlsplit(UNSUBSCRIBE_MARK).hostname or ""
_MARK = re.compile(re.escape(MARK_HOST), re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9_.-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
#: Kept as they are in paths and queries; all else is percent-encoded (RFC 3986, 2.2 and 3.3).
_SAFE = "/%:@!$&'()*+,;=~?[]"
_MAX_LENGTH = 2000


def absolute(url: str, base: str = "") -> str | None:
    """The http(s) URL that `url` means on a page at `base`; None where it is none to use.

    None too for a host under .invalid, which is where our marks are, and for one with a
    user name before it, which shows a reader another host than it leads to.
    """
    try:
        parts = urlsplit(urljoin(base, url.strip()))
        netloc = _netloc(parts.scheme, parts.netloc)
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not netloc:
        return None
    tidy = urlunsplit(
        (
            parts.scheme,
            netloc,
            _quoted(parts.path) or "/",
            _quoted(parts.query),
            _quoted(parts.fragment),
        )
    )
    return tidy if len(tidy) <= _MAX_LENGTH else None


def post_url(url: str, base: str) -> str | None:
    """`absolute`, without the fragment and the parameters that only track."""
    found = absolute(url, base)
    if found is None:
        return None
    parts = urlsplit(found)
    kept = [
        pair
        for pair in parts.query.split("&")
        if pair and not TRACKING.fullmatch(unquote(pair.partition("=")[0]))
    ]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "&".join(kept), ""))


def link_target(url: str, base: str) -> str | None:
    """What a link in a post may lead to: `absolute`, or a mail address."""
    if url.strip().lower().startswith("mailto:"):
        return None if ".invalid" in unquote(url).lower() else url.strip()
    return absolute(url, base)


def _netloc(scheme: str, netloc: str) -> str:
    """Host and port in ASCII and lower case; empty where it cannot be used."""
    if scheme not in {"http", "https"} or not netloc or "@" in netloc or "\\" in netloc:
        return ""
    host = urlsplit(url_normalize(f"{scheme}://{netloc}/") or "").netloc
    name = urlsplit(f"//{host}").hostname or ""
    if not _HOST.fullmatch(host) or (urlsplit(f"//{host}").port or 1) > 65535:  # noqa: PLR2004
        return ""
    return "" if name.rstrip(".").endswith((".invalid", "..")) or name == "invalid" else host


def _quoted(text: str) -> str:
    """Percent-encode what may not stand there, and the dot of a mark's host."""
    return _MARK.sub(lambda found: found[0].replace(".", "%2E"), quote(text, safe=_SAFE))
