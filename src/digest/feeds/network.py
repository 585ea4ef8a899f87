"""Where a request may go: public addresses, and private ones only where a feed's config says so.

Both sessions ignore proxies and credentials of the environment: behind a proxy nobody here
would see which address a name leads to.
"""

from __future__ import annotations

import logging
import socket
from http.cookiejar import DefaultCookiePolicy
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from requests_hardened import Config, HTTPSession

if TYPE_CHECKING:
    from ipaddress import IPv4Address

# It logs each refused address as a warning; the feed's report says it, with the feed's name.
logging.getLogger("requests_hardened.ip_filter").setLevel(logging.ERROR)


class Sessions:
    """A hardened session for the world and a plain one for private addresses.

    Requests run one after the other, so that there is one connection per host.
    """

    def __init__(self, user_agent: str) -> None:
        hardened = Config(
            ip_filter_enable=True,
            ip_filter_allow_loopback_ips=False,
            never_redirect=True,
            default_timeout=(20, 20),
        )
        self.hardened: requests.Session = _plain(HTTPSession(hardened), user_agent)
        self.plain: requests.Session = _plain(requests.Session(), user_agent)

    def for_url(self, url: str, private_kinds: frozenset[str]) -> requests.Session:
        """The session that may ask for `url`.

        `private_kinds` are the kinds of private address that the feed itself lives at; only a
        host that is wholly of them is asked over the plain session. OSError where the host
        cannot be resolved, ValueError where there is none.
        """
        if private_kinds and kinds_of(url) <= private_kinds:
            return self.plain
        return self.hardened

    def close(self) -> None:
        self.hardened.close()
        self.plain.close()


def private_kinds_of(url: str) -> frozenset[str]:
    """The kinds of private address that the URL's host has; empty for a public host."""
    return kinds_of(url) - {"public"}


def kinds_of(url: str) -> frozenset[str]:
    """What the host's addresses are: "public", "loopback", "link-local", "private"."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = socket.getaddrinfo(parts.hostname or "", port, type=socket.SOCK_STREAM)
    return frozenset(_kind(ip_address(str(info[4][0]).partition("%")[0])) for info in found)


def _kind(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return "loopback"
    # Cloud machines keep their credentials at 169.254.169.254.
    if address.is_link_local:
        return "link-local"
    return "public" if address.is_global and not address.is_multicast else "private"


def _plain(session: requests.Session, user_agent: str) -> requests.Session:
    session.trust_env = False
    session.headers.clear()
    session.headers["User-Agent"] = user_agent
    session.headers["Accept-Encoding"] = "gzip"
    # Feeds are read without memory: a cookie of one reading has no place in the next.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session
