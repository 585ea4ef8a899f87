"""OAuth 1.0a as X checks it, written from its documents and without the library that signs.

https://docs.x.com/fundamentals/authentication/oauth-1-0a/creating-a-signature
https://docs.x.com/fundamentals/authentication/oauth-1-0a/authorizing-a-request
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

HOST = "https://api.twitter.com"
#: Seconds by which a request's clock may be wrong.
STALE = 300


@dataclass
class Keys:
    """The keys of one app and of the accounts that let it act for them."""

    consumer_key: str
    consumer_secret: str
    #: Secrets by access token.
    tokens: dict[str, str] = field(default_factory=dict)
    nonces: set[tuple[str, str]] = field(default_factory=set)

    def signer(self, method: str, target: str, headers, body: bytes) -> str | None:
        """The access token in whose name a request is made; None where it is not to be trusted."""
        given = _parameters(headers.get("Authorization", ""))
        token = given.get("oauth_token", "")
        if not self._is_known(given, token) or not self._is_fresh(given):
            return None
        form = headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
        signed = [(key, value) for key, value in given.items() if key != "oauth_signature"]
        signed += parse_qsl(urlsplit(target).query, keep_blank_values=True)
        signed += parse_qsl(body.decode(), keep_blank_values=True) if form else []
        expected = self._signature(method, HOST + urlsplit(target).path, signed, token)
        if not hmac.compare_digest(expected, given.get("oauth_signature", "")):
            return None
        self.nonces.add((token, given["oauth_nonce"]))
        return token

    def _is_known(self, given: dict[str, str], token: str) -> bool:
        return (
            token in self.tokens
            and given.get("oauth_consumer_key") == self.consumer_key
            and given.get("oauth_signature_method") == "HMAC-SHA1"
            and given.get("oauth_version", "1.0") == "1.0"
        )

    def _is_fresh(self, given: dict[str, str]) -> bool:
        stamp, nonce = given.get("oauth_timestamp", ""), given.get("oauth_nonce", "")
        if not stamp.isdigit() or not nonce or abs(time.time() - int(stamp)) > STALE:
            return False
        return (given["oauth_token"], nonce) not in self.nonces

    def _signature(self, method, url, parameters, token) -> str:
        encoded = sorted((_encoded(key), _encoded(value)) for key, value in parameters)
        collected = "&".join(f"{key}={value}" for key, value in encoded)
        base = "&".join(map(_encoded, (method.upper(), url, collected)))
        key = f"{_encoded(self.consumer_secret)}&{_encoded(self.tokens[token])}"
        return base64.b64encode(
            hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()
        ).decode()


def _parameters(header: str) -> dict[str, str]:
    kind, _, rest = header.partition(" ")
    if kind != "OAuth":
        return {}
    pairs = (part.strip().partition("=") for part in rest.split(","))
    return {unquote(key): unquote(value.strip('"')) for key, _, value in pairs}


def _encoded(value: str) -> str:
    return quote(value, safe="-._~")
