"""Who asks: what a proxy of ours says is believed, and what anybody may write is not."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from digest.web.clients import client_of

PROXIES = ("10.0.0.1", "192.168.0.0/16", "fd00::/8")


def client(peer, *forwarded, trusted=PROXIES):
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    seen = (peer, 5000) if peer is not None else None
    return client_of(Request({"type": "http", "client": seen, "headers": headers}), trusted)


SEEN = {
    "nobody between": ("203.0.113.9", [], "203.0.113.9"),
    "a lie to us directly": ("203.0.113.9", ["1.2.3.4"], "203.0.113.9"),
    "through our proxy": ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
    "a lie told to our proxy": ("10.0.0.1", ["1.2.3.4, 203.0.113.9"], "203.0.113.9"),
    "lies in several headers": ("10.0.0.1", ["1.2.3.4", "203.0.113.9"], "203.0.113.9"),
    "through two proxies of ours": ("10.0.0.1", ["203.0.113.9, 192.168.7.7"], "203.0.113.9"),
    "a lie that names our proxy": (
        "10.0.0.1",
        ["1.2.3.4, 192.168.7.7, 203.0.113.9"],
        "203.0.113.9",
    ),
    "one of our own house": ("10.0.0.1", ["192.168.7.7"], "192.168.7.7"),
    "nothing said": ("10.0.0.1", [], "10.0.0.1"),
    "nonsense": ("10.0.0.1", ["<script>"], "10.0.0.1"),
    "nonsense before the truth": ("10.0.0.1", ["<script>, 203.0.113.9"], "203.0.113.9"),
    "nonsense after it": ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),
    "a port": ("10.0.0.1", ["203.0.113.9:80"], "10.0.0.1"),
    "empty": ("10.0.0.1", [""], "10.0.0.1"),
    "commas": ("10.0.0.1", [",,,"], "10.0.0.1"),
    "mapped into IPv6": ("::ffff:10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
    "one of IPv6's many": ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
    "another of the same house": ("2001:db8:1:2:ffff::1", [], "2001:db8:1:2::/64"),
    "IPv6 through our proxy": ("fd00::1", ["2001:db8:9::1"], "2001:db8:9::/64"),
    "a socket": ("", ["1.2.3.4"], ""),
    "no peer": (None, ["1.2.3.4"], ""),
    "a name": ("testclient", ["1.2.3.4"], "testclient"),
    "a zone": ("fe80::1%eth0", [], "fe80::/64"),
    "ten thousand hops": ("10.0.0.1", ["192.168.1.1, " * 10_000 + "203.0.113.9"], "203.0.113.9"),
}


@pytest.mark.parametrize("what", SEEN)
def test_who_asks(what):
    peer, forwarded, found = SEEN[what]
    assert client(peer, *forwarded) == found


def test_without_trusted_proxies_nothing_is_believed():
    assert client("10.0.0.1", "203.0.113.9", trusted=()) == "10.0.0.1"
