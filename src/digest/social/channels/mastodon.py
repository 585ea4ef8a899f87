"""Publishes on an account of a Mastodon instance, or of another server that speaks its API.

An instance makes one status of two posts with the same Idempotency-Key, for an hour and only
where nothing is scheduled (https://docs.joinmastodon.org/methods/statuses/#create): slots are
kept by us. Cards are made by the instances that show a status, and there are no hidden tags.

An instance of the class belongs to one thread.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from digest.errors import Refused, Unavailable
from digest.model import Traits
from digest.ports import Trouble
from digest.social.channels.mastodon_body import Body
from digest.social.channels.mastodon_client import Client
from digest.social.channels.mastodon_limits import limits_of
from digest.social.channels.mastodon_reading import has_account, receipt_of, search, seen
from digest.social.channels.mastodon_upload import upload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from mastodon import Mastodon
    from mastodon.return_types import Status

    from digest.config_social import MastodonAccount
    from digest.model import Limits, Picture, Place, ReadySnippet, Receipt, Seen
    from digest.ports import Bodies, Clock, Receipts

#: What an instance answers for a key whose status was taken down within the hour; for a parent
#: that is gone it has a sentence of its own.
_TAKEN_DOWN = "record not found"
_NOT_THERE = {"404", "410"}


class MastodonChannel:
    """Publishes on `account`; each call to its instance is given up after `timeout` seconds."""

    name = "mastodon"
    traits = Traits(
        atomic=False,
        can_find=True,
        # The key is kept only after the status is, and a timeline may lag behind.
        seen_after=timedelta(seconds=10),
        same_for=timedelta(hours=1),
        can_edit=True,
    )

    def __init__(self, account: MastodonAccount, *, timeout: float, clock: Clock) -> None:
        self._replies = account.replies
        self._timeout = timeout
        self._clock = clock
        token = account.access_token.get_secret_value()
        self._client = Client(account.url, token, timeout=timeout, clock=clock)
        self._account_id = ""

    def limits(self) -> Limits | Trouble:
        """What the instance states; Mastodon's own numbers where it states none."""
        return self._client.ask(lambda api: limits_of(_instance(api)))

    def prepare(self, snippets: Sequence[ReadySnippet], place: Place | None) -> Bodies | Trouble:
        """Upload the picture and wait until it is ready; asks nothing where there is none."""
        (snippet,) = snippets
        media = self._uploaded(snippet.picture)
        if isinstance(media, Trouble):
            return media
        visibility = self._replies if place and not snippet.opens else "public"
        return (Body.of(snippet, place, visibility=visibility, media=media).to_json(),)

    def publish(self, bodies: Sequence[str]) -> Receipts | Trouble:
        """Post one status."""
        (text,) = bodies
        body = Body.from_json(text)
        answer = self._client.ask(
            lambda api: self._receipt(api.status_post(**body.parameters())),
            window="post",
            publishing=True,
        )
        if isinstance(answer, Refused) and answer.code == "404":
            return _missing(answer, body)
        return answer if isinstance(answer, Trouble) else (answer,)

    def find(self, bodies: Sequence[str]) -> Receipts | Trouble | None:
        """Look for the status among those of the account since it was first tried."""
        (text,) = bodies
        body = Body.from_json(text)
        found = self._client.ask(lambda api: self._found(api, body))
        return found if found is None or isinstance(found, Trouble) else (found,)

    def read(self, receipts: Sequence[Receipt]) -> tuple[Seen | None, ...] | Trouble:
        """Each status with its source, where the server tells that."""
        return self._client.ask(
            lambda api: tuple(seen(api, receipt.remote_id) for receipt in receipts)
        )

    def edit(self, receipt: Receipt, body: str) -> Receipts | Trouble:
        """Change text and pictures; a body without pictures keeps those that are there."""
        new = Body.from_json(body)
        answer = self._client.ask(
            lambda api: self._edited(api, receipt.remote_id, new), window="post"
        )
        if isinstance(answer, Refused | Unavailable) and answer.code in _NOT_THERE:
            return self._still_there(receipt, answer.reason) or Refused(answer.reason, "gone")
        return answer if isinstance(answer, Trouble) else (answer,)

    def delete(self, receipt: Receipt) -> Trouble | None:
        """Take the status down."""
        answer = self._client.ask(lambda api: api.status_delete(receipt.remote_id), window="delete")
        if isinstance(answer, Refused | Unavailable) and answer.code in _NOT_THERE:
            return self._still_there(receipt, answer.reason)
        return answer if isinstance(answer, Trouble) else None

    def _uploaded(self, picture: Picture | None) -> tuple[str, ...] | Trouble:
        if picture is None:
            return ()
        answer = self._client.ask(
            lambda api: upload(api, picture, patience=self._timeout), window="media"
        )
        if isinstance(answer, Trouble):
            return answer
        if answer is None:
            return Unavailable("the instance is still at work on the picture", "media-not-ready")
        return (answer,)

    def _me(self, api: Mastodon) -> str:
        if not self._account_id:
            self._account_id = has_account(api)
        return self._account_id

    def _found(self, api: Mastodon, body: Body) -> Receipt | Unavailable | None:
        status = search(api, self._me(api), body, self._client.raw)
        return status if isinstance(status, Unavailable | None) else self._receipt(status)

    def _receipt(self, status: Status) -> Receipt:
        return receipt_of(status, self._clock())

    def _edited(self, api: Mastodon, status_id: str, new: Body) -> Receipt:
        # An edit without media takes the pictures off.
        media = list(new.media_ids) or [
            str(medium.id) for medium in api.status(status_id).media_attachments
        ]
        return self._receipt(api.status_update(status_id, new.text, media_ids=media))

    def _still_there(self, receipt: Receipt, reason: str) -> Trouble | None:
        """None where the status is gone: some servers say so of whatever they cannot do."""
        still = self.read([receipt])
        if isinstance(still, Trouble):
            return still
        if still[0] is None:
            return None
        return Refused(f"this server cannot do that to a status: {reason}", "unsupported")


def _instance(api: Mastodon) -> Mapping[str, Any]:
    from mastodon import MastodonNotFoundError

    stated: Mapping[str, Any]
    try:
        stated = api.instance_v2()
    except MastodonNotFoundError:
        stated = api.instance_v1()
    return stated


def _missing(answer: Refused, body: Body) -> Refused:
    if body.in_reply_to_id is None or answer.reason.lower().endswith(_TAKEN_DOWN):
        reason = f"the instance knows this as a status that was taken down: {answer.reason}"
        return Refused(reason, "taken-down")
    return Refused(f"what it answers is gone: {answer.reason}", "parent-gone")
