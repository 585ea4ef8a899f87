"""The line to X: each request signed by tweepy, with a timeout, its answer as it came.

tweepy's own `request` makes exceptions of answers, and stumbles over those that are not as it
expects; so requests go out on its session, and are judged by `x_answers`.
"""

from __future__ import annotations

import logging
import ssl
from functools import cached_property
from typing import TYPE_CHECKING, Any

import urllib3.exceptions
from requests import ConnectTimeout
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from digest.errors import Unavailable
from digest.social.channels.x_answers import Answer, lost, trouble_in

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

    from digest.config_social import XAccount
    from digest.ports import Clock, Trouble
    from digest.social.channels.x_answers import Call

#: What tweepy speaks to, and signs for.
HOST = "https://api.twitter.com"

#: They tell the log the tokens they sign with.
_INDISCREET = ("oauthlib", "requests_oauthlib")


class Line:
    """Speaks for one account. Nothing is imported or connected before the first call."""

    def __init__(self, account: XAccount, timeout: float, clock: Clock) -> None:
        self._account = account
        self._timeout = timeout
        self._clock = clock

    def ask(self, call: Call, method: str, route: str, **content: Any) -> Answer | Trouble:
        """Make one request; an Answer where X did what was asked.

        `content` as requests takes it: params, json, data, files.
        """
        try:
            response = self._send(method, route, **content)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            return _no_answer(error, call)
        answer = Answer(response.status_code, _headers(response), _json(response))
        return trouble_in(answer, call, self._clock()) or answer

    def _send(self, method: str, route: str, **content: Any) -> Response:
        client, auth = self._client, self._auth
        response: Response = client.session.request(
            method,
            HOST + route,
            headers={"User-Agent": client.user_agent},
            auth=auth.apply_auth(),
            # A redirect would make a second request of a post.
            allow_redirects=False,
            **content,
        )
        return response

    @cached_property
    def _client(self) -> Any:
        from tweepy import Client  # type: ignore[import-untyped]  # it ships no types

        for name in _INDISCREET:
            logging.getLogger(name).setLevel(logging.INFO)
        client = Client()
        client.session.mount(HOST, _Transport(self._account.api_url, self._timeout))
        return client

    @cached_property
    def _auth(self) -> Any:
        from tweepy import OAuth1UserHandler

        return OAuth1UserHandler(
            self._account.consumer_key.get_secret_value(),
            self._account.consumer_secret.get_secret_value(),
            self._account.access_token.get_secret_value(),
            self._account.access_token_secret.get_secret_value(),
        )


class _Transport(HTTPAdapter):
    """Gives every request its timeout, and brings it to where the API is.

    The signature stays that for X's own host, and so does the header that names it.
    """

    def __init__(self, base: str, timeout: float) -> None:
        self._base = base
        self._timeout = timeout
        super().__init__()

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        options["timeout"] = self._timeout
        if self._base != HOST:
            request.headers["Host"] = HOST.removeprefix("https://")
            request.url = self._base + (request.url or "").removeprefix(HOST)
            options["proxies"] = get_environ_proxies(request.url)
        return super().send(request, *args, **options)


def _headers(response: Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _json(response: Response) -> object:
    try:
        body: object = response.json()
    except (ValueError, RecursionError):
        return None
    return body


def _no_answer(error: Exception, call: Call) -> Trouble:
    cause = _cause(error)
    name = type(cause).__name__
    if _never_began(error, cause):
        return Unavailable(f"X cannot be reached: {name}")
    return lost(call, f"no answer from X: {name}")


def _cause(error: Exception) -> BaseException:
    """What urllib3 gave up for, which requests hides in its own exception."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return reason if isinstance(reason, BaseException) else error


def _never_began(error: Exception, cause: BaseException) -> bool:
    """Whether there was no connection on which anything could have been said."""
    if isinstance(error, ConnectTimeout):
        return True
    if isinstance(cause, urllib3.exceptions.SSLError):
        return bool(cause.args) and isinstance(cause.args[0], ssl.SSLCertVerificationError)
    if isinstance(cause, urllib3.exceptions.ProxyError):
        # urllib3 says so too where a proxy took the request, and hung up without an answer.
        cause = cause.original_error
    return isinstance(cause, urllib3.exceptions.NewConnectionError)
