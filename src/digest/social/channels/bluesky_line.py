"""The line to an account's PDS: signed in, by a session that is kept in a file.

Logging in is limited to 300 a day, and to fewer on some servers, so that a session is used for as
long as its refresh token lives. The SDK turns to the PDS that the account's DID document names,
whatever service one logs in at. It takes two seconds to import: import this late.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import httpx
from atproto_client import Client, SessionEvent
from atproto_client.models import ComAtprotoRepoGetRecord
from atproto_client.request import Request

from digest.config_social import may_carry_secrets
from digest.errors import Refused, Unauthorized, Unavailable
from digest.files import replace_text
from digest.social.channels.bluesky_errors import FOREIGN, after, before, is_token_refused, name_of
from digest.social.channels.bluesky_records import POSTS, blob_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from atproto_client import Session
    from atproto_client.request import Response

    from digest.config_social import BlueskyAccount
    from digest.ports import Clock, Trouble
    from digest.social.channels.bluesky_records import Json, Name

_log = logging.getLogger(__name__)


class Line:
    """Asks and tells the PDS of `account`. An instance belongs to one thread."""

    def __init__(
        self, account: BlueskyAccount, *, session_file: Path, timeout: float, clock: Clock
    ) -> None:
        self._account = account
        self._file = session_file
        self._timeout = timeout
        self._clock = clock
        self._client: Client | None = None
        self._did = ""

    def did(self) -> str | Trouble:
        """Who we are."""
        client = self._signed_in()
        return self._did if isinstance(client, Client) else client

    def upload(self, content: bytes, media_type: str) -> Json | Trouble:
        """Put a picture at the account's disposal; the blob that a record refers to it by."""
        answer = self._ask(
            lambda client: client.invoke_procedure(
                "com.atproto.repo.uploadBlob",
                content=content,
                headers={"Content-Type": media_type},
            ),
            window="media",
        )
        if not isinstance(answer, dict):
            return answer
        unsaid = Unavailable("the server took the picture, and does not say as what")
        return blob_of(answer) or unsaid

    def record(self, name: Name) -> Json | Trouble | None:
        """What stands under a name, as {"cid", "value"}; None for nothing."""
        params = ComAtprotoRepoGetRecord.Params(repo=name.did, collection=POSTS, rkey=name.rkey)
        answer = self._ask(
            lambda client: client.invoke_query("com.atproto.repo.getRecord", params), window="read"
        )
        if isinstance(answer, dict) and not isinstance(answer.get("value"), dict):
            return Unavailable("the server found the record, and does not show it")
        gone = isinstance(answer, Refused) and answer.code == "RecordNotFound"
        return None if gone else answer

    def tell(self, method: str, document: Json, *, window: str = "post") -> Json | Trouble:
        """Change something in the repository, in one call, said byte for byte as it is here.

        Its own methods would make models of the records, and add to them what no CID counted.
        """
        content = json.dumps(document, ensure_ascii=False).encode()

        def work(client: Client) -> Response:
            # Checked sessions may be refreshed first: another call, of another outcome.
            return client.invoke_procedure(
                f"com.atproto.repo.{method}",
                content=content,
                input_encoding="application/json",
                ignore_session_check=True,
            )

        return self._try(work, lambda error: after(error, self._clock, window=window))

    def _ask(self, work: Callable[[Client], Response], *, window: str) -> Json | Trouble:
        return self._try(work, lambda error: before(error, self._clock, window=window))

    def _try(
        self, work: Callable[[Client], Response], judge: Callable[[Exception], Trouble]
    ) -> Json | Trouble:
        client = self._signed_in()
        if not isinstance(client, Client):
            return client
        try:
            return _document(work(client))
        except FOREIGN as error:
            if not is_token_refused(error):
                return judge(error)
        # Certainly not looked at: once more, with a token that is good.
        renewed = self._renewed(client)
        if not isinstance(renewed, Client):
            return renewed
        try:
            return _document(work(renewed))
        except FOREIGN as error:
            return judge(error)

    def _signed_in(self) -> Client | Trouble:
        if self._client is not None:
            return self._client
        kept = self._kept()
        return self._logged_in() if kept is None else self._renewed(kept)

    def _renewed(self, client: Client) -> Client | Trouble:
        """Ask who we are: the SDK refreshes the session where it must. A dead one is replaced."""
        try:
            client.com.atproto.server.get_session()
        except FOREIGN as error:
            return self._logged_in() if is_token_refused(error) else before(error, self._clock)
        self._client = client
        return client

    def _logged_in(self) -> Client | Trouble:
        self._client = None
        client = self._new_client()
        password = self._account.app_password.get_secret_value()
        try:
            client.login(self._account.identifier, password, fetch_bsky_profile=False)
        except FOREIGN as error:
            trouble = before(error, self._clock, window="post")
            # Whatever is wrong with what we are called, no snippet is at fault.
            refused = isinstance(trouble, Refused)
            return Unauthorized(trouble.reason, name_of(error)) if refused else trouble
        self._client = client
        return client

    def _kept(self) -> Client | None:
        """A client with the session of the file; None where it is no session of this account."""
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            if {key: kept[key] for key in ("service", "identifier")} != self._whose():
                return None
            client = self._new_client()
            client.login(session_string=kept["session"], fetch_bsky_profile=False)
        except FileNotFoundError:
            return None
        except (*FOREIGN, LookupError, TypeError, AttributeError):
            _log.warning("the kept session in %s cannot be read: logging in anew", self._file)
            return None
        return client

    def _new_client(self) -> Client:
        # A connection a call: one that was kept open may be closed at the other end just when
        # something is said on it, and nobody could tell whether it was heard.
        limits = httpx.Limits(max_keepalive_connections=0)
        request = Request(
            timeout=self._timeout,
            limits=limits,
            # Where a server leads elsewhere, a password or a thread would be said there again.
            max_redirects=0,
            event_hooks={"request": [_guard]},
        )
        client = Client(base_url=self._account.service, request=request)
        client.on_session_change(self._keep)
        return client

    def _keep(self, event: SessionEvent, session: Session) -> None:
        self._did = session.did
        if event is not SessionEvent.IMPORT:
            document = {**self._whose(), "session": session.encode()}
            self._file.parent.mkdir(parents=True, exist_ok=True)
            replace_text(self._file, json.dumps(document), mode=0o600)

    def _whose(self) -> dict[str, str]:
        return {"service": self._account.service, "identifier": self._account.identifier}


def _guard(request: httpx.Request) -> None:
    """The SDK goes wherever the DID document says, with the tokens."""
    if not may_carry_secrets(str(request.url)):
        raise httpx.UnsupportedProtocol("not https")


def _document(response: Response) -> Json:
    content: Any = response.content
    if not isinstance(content, dict):
        raise ValueError("the answer is no JSON object")  # noqa: TRY004  # caught as one of FOREIGN
    return content
