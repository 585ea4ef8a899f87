"""Our own addresses, all below `site.links_url`, and the signature of the one with a query.

Leaving has its addresses in `digest.mail.message`, for they stand in mails.
"""

from __future__ import annotations

import hmac
from datetime import UTC
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from digest.readers.tokens import make_token, signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from digest.issues.compose import Request

#: Stand where a reader's own token would: in previews, and in editors' test copies.
PREVIEW_TOKEN = "PREVIEW"  # noqa: S105  the token of nobody
TEST_TOKEN = "TEST"  # noqa: S105  the token of nobody

_HERE = ("localhost", "127.0.0.1", "::1")
_SIGNATURE = "sig"
#: In the order in which they are signed.
_FIELDS = ("newsletter", "scope", "rhythm", "as_of", "repeat", "edition", "post")


def preview_url(links_url: str, secret: bytes, issue_id: int) -> str:
    """Where editors see an issue exactly as it goes out; whoever has the address may look."""
    return _below(links_url, "preview", make_token(secret, "preview", issue_id))


def look_url(links_url: str, secret: bytes, request: Request) -> str:
    """Where editors see what would be composed for a request; nothing is stored for it."""
    query = _canonical(_fields(request))
    signed = urlencode({_SIGNATURE: signature(secret, "look", query)})
    return _below(links_url, "look", query=f"{query}&{signed}")


def issue_url(links_url: str, newsletter: str, scope: str, period: str) -> str:
    """Where anyone reads an issue that went out: `/issues/weekly/series-ipc/2026-W47`."""
    return _below(links_url, "issues", newsletter, scope.replace(":", "-", 1), period)


def leave_url(links_url: str) -> str:
    """The page that tells how to leave; personal links lead there where a mail is shown to all."""
    return _below(links_url, "leave")


def manage_url(links_url: str) -> str:
    """The page where a reader asks for a link to their settings, without a mail at hand."""
    return _below(links_url, "manage")


def confirm_url(links_url: str, token: str) -> str:
    """The link of an opt-in mail: `token` is of purpose "opt-in"."""
    return _below(links_url, "c", token)


def join_url(links_url: str, token: str) -> str:
    """The link that confirms a sign-up: `token` is of purpose "sign-up"."""
    return _below(links_url, "join", token)


def own_url(links_url: str, token: str) -> str:
    """A reader's own settings: `token` is of purpose "settings"."""
    return _below(links_url, "me", token)


def archives_url(links_url: str) -> str:
    """The page of every newsletter whose archive is public."""
    return _below(links_url, "archive")


def sitemap_url(links_url: str) -> str:
    """The map of the public archive, for search engines."""
    return _below(links_url, "sitemap.xml")


def archive_url(links_url: str, newsletter: str, scope: str = "all") -> str:
    """The issues that went out: `/archive/weekly`, `/archive/weekly/series-ipc`."""
    parts = ("archive", newsletter) if scope == "all" else _archive_parts(newsletter, scope)
    return _below(links_url, *parts)


def archive_feed_url(links_url: str, newsletter: str, scope: str = "all") -> str:
    """The Atom feed of an archive: its address and `/feed.atom`."""
    return f"{archive_url(links_url, newsletter, scope)}/feed.atom"


def desk_url(links_url: str, *parts: str) -> str:
    """A page of the editors' desk: `desk_url(url, "issues", "7")`."""
    return _below(links_url, "desk", *parts)


def path_prefix(links_url: str) -> str:
    """The path that all our addresses begin with: "" or such as "/letters"."""
    return urlsplit(links_url).path.rstrip("/")


def port_here(links_url: str) -> int | None:
    """The port of this machine that our addresses name; None where they name another machine."""
    parts = urlsplit(links_url)
    return parts.port if parts.hostname in _HERE else None


def scope_from_path(part: str) -> str:
    """The scope as `issue_url` wrote it: "series:ipc" from "series-ipc"."""
    return part if part == "all" else part.replace("-", ":", 1)


def fields_of_look(secret: bytes, query: str) -> Mapping[str, str] | None:
    """What the query of a look asks for; None where we did not write it.

    A program that passed it on may have escaped it anew or changed its order; nothing else.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    signed = given.pop(_SIGNATURE, "")
    if len(given) != len(pairs) - 1 or not given.keys() <= set(_FIELDS):
        return None
    expected = signature(secret, "look", _canonical(given))
    genuine = hmac.compare_digest(signed.encode(errors="replace"), expected.encode())
    return given if genuine else None


def _archive_parts(newsletter: str, scope: str) -> tuple[str, ...]:
    return "archive", newsletter, scope.replace(":", "-", 1)


def _fields(request: Request) -> dict[str, str]:
    fields = {
        "newsletter": request.newsletter,
        "scope": str(request.scope),
        "rhythm": str(request.rhythm),
        # Without a plus sign, which some programs take for a space.
        "as_of": request.scheduled_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "repeat": str(int(request.repeat)),
        "edition": str(request.edition),
    }
    if request.post_id is not None:
        fields["post"] = str(request.post_id)
    return fields


def _canonical(fields: Mapping[str, str]) -> str:
    return urlencode([(name, fields[name]) for name in _FIELDS if name in fields])


def _below(links_url: str, *parts: str, query: str = "") -> str:
    base = urlsplit(links_url)
    path = "/".join([path_prefix(links_url), *(quote(part, safe=":") for part in parts)])
    return urlunsplit((base.scheme, base.netloc, path, query, ""))
