"""The addresses of a feed's pages."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


def page_url(url: str, number: int) -> str:
    """WordPress's address of a page: `?paged=N`, from 1; the first is the feed itself."""
    if number == 1:
        return url
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "paged"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("paged", str(number))])))
