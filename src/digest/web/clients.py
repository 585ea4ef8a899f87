"""Who asks, as far as a proxy that is trusted can tell.

`X-Forwarded-For` may be written by anyone: each proxy adds whom it saw at its end, so that what
stands right of the last trusted proxy is true and all before it is hearsay
(https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Forwarded-For).
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

_Address: TypeAlias = IPv4Address | IPv6Address

#: One household has all of it.
_IPV6_PREFIX = 64


def client_of(request: Request, trusted: Sequence[str]) -> str:
    """A key for whoever asks, for limits: an IPv4 address, or an IPv6 network of a household.

    `trusted` are the addresses and networks of proxies that are believed. Never logged or stored.
    """
    peer = request.client.host if request.client else ""
    found = _parsed(peer)
    if found is None or not _is_trusted(found, trusted):
        return _key(found, peer)
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for hop in reversed(hops):
        address = _parsed(hop.strip())
        if address is None:
            break
        found = address
        if not _is_trusted(address, trusted):
            break
    return _key(found, peer)


def _key(found: _Address | None, peer: str) -> str:
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, _IPV6_PREFIX), strict=False))
    return str(found) if found else peer


def _parsed(text: str) -> _Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _is_trusted(address: _Address, trusted: Sequence[str]) -> bool:
    return any(address in _network(network) for network in trusted)


_network = lru_cache(ip_network)
