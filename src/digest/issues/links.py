"""UTM parameters, on the blog's own links only; and which addresses a mail may link to."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from digest.issues.content import IssueContent


def with_utm(url: str, content: IssueContent) -> str:
    """The URL with the newsletter's UTM parameters, before its fragment.

    Unchanged where the host is not the blog's own, where nothing is missing, and where it is
    no http(s) URL; a parameter that is there already keeps its value.
    """
    parts = _own(url, content)
    if parts is None:
        return url
    present = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    missing = [(name, value) for name, value in content.utm if name not in present]
    if not missing:
        return url
    query = "&".join(part for part in (parts.query, urlencode(missing)) if part)
    return parts._replace(path=parts.path or "/", query=query).geturl()


def is_web(url: str) -> bool:
    """Whether this is an address of the web: http or https, with a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _own(url: str, content: IssueContent) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        home = urlsplit(content.site_url).hostname
    except ValueError:  # brackets that are no IPv6 address: shown as it stands
        return None
    own = {host.casefold() for host in (home, *content.own_hosts) if host}
    return parts if parts.scheme in {"http", "https"} and parts.hostname in own else None
