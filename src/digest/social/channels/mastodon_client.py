"""Mastodon.py, made to say what became of each call.

Its exceptions do not tell: a rate limit carries no time, every fault of the line has one class,
and a header it cannot read makes an error of a status that was accepted. So the answer itself is
kept at the transport, and judged by `mastodon_answers`.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

import requests
from requests.adapters import HTTPAdapter

from digest.errors import Unauthorized
from digest.social.channels.mastodon_answers import Asked, trouble_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mastodon import Mastodon

    from digest.ports import Clock, Trouble

T = TypeVar("T")

_TOKEN = re.compile(r"[!-~]+")


class Client:
    """Asks the instance at `url` with a token."""

    def __init__(self, url: str, token: str, *, timeout: float, clock: Clock) -> None:
        self._url = url
        self._token = token
        self._timeout = timeout
        self._clock = clock
        self._transport = _Transport()
        self._api: Mastodon | None = None

    def ask(
        self, question: Callable[[Mastodon], T], *, window: str = "read", publishing: bool = False
    ) -> T | Trouble:
        """What the question brings back, or why it brings nothing.

        `publishing` says that it must not be asked twice, so that what may have been accepted
        is Uncertain.
        """
        if not _TOKEN.fullmatch(self._token):
            # An exception about a header would spell it out.
            return Unauthorized("the access token has characters that no access token has")
        # That it cannot even be made is no answer of an instance.
        api = self._mastodon()
        self._transport.forget()
        try:
            return question(api)
        except Exception as error:  # noqa: BLE001 - answers are untrusted, Mastodon.py trusts them
            # What was never given to the transport, no one can have accepted.
            in_doubt = publishing and self._transport.was_used
            asked = Asked(window=window, publishing=in_doubt, secret=self._token)
            return trouble_of(error, self._transport.answer, asked, self._clock())

    def raw(self) -> object:
        """The last answer as it came: Mastodon.py makes of it whatever it expects."""
        answer = self._transport.answer
        return None if answer is None else answer.json()

    def _mastodon(self) -> Mastodon:
        if self._api is None:
            self._api = _connected(self._url, self._token, self._timeout, self._transport)
        return self._api


class _Transport(HTTPAdapter):
    """Keeps the answer to the last request; None while there is none."""

    answer: requests.Response | None = None
    was_used = False

    def forget(self) -> None:
        self.answer, self.was_used = None, False

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        if request.method != "GET":
            # On a new line: one that died while it was idle looks like an answer that was lost.
            self.close()
        self.answer, self.was_used = None, True
        self.answer = super().send(request, *args, **kwargs)
        return self.answer


def _connected(url: str, token: str, timeout: float, transport: _Transport) -> Mastodon:
    from mastodon import Mastodon
    from mastodon.errors import MastodonDeprecationWarning

    # An instance deprecates what others have nothing else for.
    warnings.filterwarnings("ignore", category=MastodonDeprecationWarning)
    api = Mastodon(
        api_base_url=url,
        session=_session(transport),
        request_timeout=timeout,
        ratelimit_method="throw",
        # Left to find out, it asks the server twice before the first upload, and takes the old
        # way of uploading where that fails. Nothing that we call is newer than this.
        mastodon_version="4.0.0",
        version_check_mode="created",
        user_agent="digest",
        # Some answers can be told apart by their words alone.
        lang="en",
    )
    # Given to the constructor, a token that is also the name of a file would be read from it.
    api.access_token = token
    return api


def _session(transport: _Transport) -> requests.Session:
    session = requests.Session()
    session.mount("https://", transport)
    session.mount("http://", transport)
    # A post that is sent on elsewhere becomes another request, or the same one twice.
    session.max_redirects = 0
    return session
