"""Publishes on Bluesky: a whole thread in one atomic write, each record under a name of its own.

https://docs.bsky.app/docs/api/com-atproto-repo-apply-writes. The names are chosen beforehand and
say which snippet stands there, so that nothing can be written twice, and whether something was
accepted is seen by looking there. Reads ask the PDS, never the AppView, which lags behind.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from digest.errors import Refused, Uncertain
from digest.model import Limits, Traits
from digest.social.channels.bluesky_records import (
    POSTS,
    Body,
    Name,
    bodies_of,
    card_embed,
    picture_embed,
    same_words,
    seen,
)
from digest.social.channels.untrusted import dig, items, text
from digest.social.networks import BLUESKY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from digest.config_social import BlueskyAccount
    from digest.model import Place, ReadySnippet, Receipt, Seen
    from digest.ports import Bodies, Clock, Receipts, Trouble
    from digest.social.channels.bluesky_line import Line
    from digest.social.channels.bluesky_records import Json

_log = logging.getLogger(__name__)

_PICTURE_BYTES = 2_000_000
_THUMB_BYTES = 1_000_000
#: Bluesky's own app takes no more; the lexicon names no limit.
_ALT_CHARACTERS = 2000
#: A name is never given twice, for however long the record stands there.
_FOR_EVER = timedelta(days=3650)


class BlueskyChannel:
    """Publishes on the account of `account`; its session is kept in `session_file`.

    An instance belongs to one thread.
    """

    name = "bluesky"
    traits = Traits(
        atomic=True,
        can_find=True,
        seen_after=timedelta(0),
        same_for=_FOR_EVER,
        can_edit=True,
    )

    def __init__(
        self, account: BlueskyAccount, *, session_file: Path, timeout: float, clock: Clock
    ) -> None:
        self._account = account
        self._session_file = session_file
        self._timeout = timeout
        self._clock = clock
        self._opened: Line | None = None

    def limits(self) -> Limits:
        """The lexicon's, which are the same on every server."""
        return Limits(
            characters=BLUESKY.limit,
            link_weight=None,
            picture_bytes=_PICTURE_BYTES,
            picture_types=("image/jpeg", "image/png", "image/webp"),
            alt_characters=_ALT_CHARACTERS,
            card_bytes=_THUMB_BYTES,
        )

    def prepare(self, snippets: Sequence[ReadySnippet], place: Place | None) -> Bodies | Trouble:
        """Upload what the records show; what no server would take is refused by its number."""
        for number, snippet in enumerate(snippets, start=1):
            fault = _fault(snippet)
            if fault:
                return Refused(f"snippet {number}: {fault}")
        did = self._line.did()
        if not isinstance(did, str):
            return did
        embeds: list[Json | None] = []
        for snippet in snippets:
            embed = self._embed(snippet)
            if not (embed is None or isinstance(embed, dict)):
                return embed
            embeds.append(embed)
        return tuple(body.to_json() for body in bodies_of(did, snippets, embeds, place))

    def publish(self, bodies: Sequence[str]) -> Receipts | Trouble:
        """Create all records by one applyWrites: all of them are out, or none.

        To create again what is there is answered by 500, which is Uncertain: `find` tells.
        """
        wanted = [Body.from_json(body) for body in bodies]
        if not wanted:
            return ()
        document = {
            # Of the bodies, not of the session: under another account they would be others.
            "repo": wanted[0].name.did,
            "validate": True,
            "writes": [_create(body) for body in wanted],
        }
        answer = self._line.tell("applyWrites", document)
        if not isinstance(answer, dict):
            return answer
        cids = [text(dig(result, "cid")) for result in items(answer.get("results"))]
        if len(cids) != len(wanted) or not all(cids):
            return Uncertain("the server took the write, and does not say what became of it")
        now = self._clock()
        return tuple(_receipt(body, now, cid=cid) for body, cid in zip(wanted, cids, strict=True))

    def find(self, bodies: Sequence[str]) -> Receipts | Trouble | None:
        """Look under the names of the bodies.

        One write made them all: if one is there all were accepted, and what is there no more was
        deleted since. Something else under a name is of another hand, or was edited: Uncertain.
        """
        receipts: list[Receipt] = []
        there = 0
        for body in map(Body.from_json, bodies):
            found = self._line.record(body.name)
            if found is None:
                receipts.append(body.receipt(body.at, cid=body.cid))
                continue
            if not isinstance(found, dict):
                return found
            cid = text(found.get("cid"))
            if cid != body.cid and not same_words(found["value"], body.record):
                return Uncertain(f"another record stands at {body.uri}", "taken")
            there += 1
            receipts.append(_receipt(body, body.at, cid=cid or body.cid))
        return tuple(receipts) if there else None

    def read(self, receipts: Sequence[Receipt]) -> tuple[Seen | None, ...] | Trouble:
        """Each record as the PDS has it now."""
        shown: list[Seen | None] = []
        for receipt in receipts:
            found = self._line.record(Name.of(receipt.remote_id))
            if found is None:
                shown.append(None)
            elif isinstance(found, dict):
                shown.append(seen(found["value"]))
            else:
                return found
        return tuple(shown)

    def edit(self, receipt: Receipt, body: str) -> Receipts | Trouble:
        """Put another record in the place of the one that the receipt is for, and of no other.

        Where the other one stands there already, by an edit whose answer was lost, nothing happens.
        """
        name = Name.of(receipt.remote_id)
        wanted = Body.from_json(body)
        document = {
            "repo": name.did,
            "collection": POSTS,
            "rkey": name.rkey,
            "validate": True,
            "record": wanted.record,
            **({"swapRecord": receipt.version} if receipt.version else {}),
        }
        answer = self._line.tell("putRecord", document)
        edited = Body(name.uri, wanted.cid, wanted.record)
        if not isinstance(answer, dict):
            return answer
        return (_receipt(edited, self._clock(), cid=text(answer.get("cid")) or wanted.cid),)

    def delete(self, receipt: Receipt) -> Trouble | None:
        """Delete a record; a PDS answers alike where there is none."""
        name = Name.of(receipt.remote_id)
        document = {"repo": name.did, "collection": POSTS, "rkey": name.rkey}
        answer = self._line.tell("deleteRecord", document, window="delete")
        return None if isinstance(answer, dict) else answer

    @property
    def _line(self) -> Line:
        if self._opened is None:
            # Late: the SDK takes two seconds.
            from digest.social.channels.bluesky_line import Line

            self._opened = Line(
                self._account,
                session_file=self._session_file,
                timeout=self._timeout,
                clock=self._clock,
            )
        return self._opened

    def _embed(self, snippet: ReadySnippet) -> Json | Trouble | None:
        """A post has one embed: the picture, or else the card."""
        if snippet.picture:
            blob = self._line.upload(snippet.picture.content, snippet.picture.media_type)
            return picture_embed(snippet.picture, blob) if isinstance(blob, dict) else blob
        if not snippet.card:
            return None
        card = snippet.card
        if not card.picture:
            return card_embed(card.url, card.title, card.description, None)
        thumb = self._line.upload(card.picture.content, card.picture.media_type)
        if not isinstance(thumb, dict):
            return thumb
        return card_embed(card.url, card.title, card.description, thumb)


def _create(body: Body) -> Json:
    return {
        "$type": "com.atproto.repo.applyWrites#create",
        "collection": POSTS,
        "rkey": body.name.rkey,
        "value": body.record,
    }


def _receipt(body: Body, at: datetime, *, cid: str) -> Receipt:
    """The version that the server names is the true one, whatever was predicted.

    A record that answers another names that one's CID: where that was mispredicted the thread is
    out, shown rightly (networks go by the URI), and wrong in a way that nobody can see.
    """
    if cid != body.cid:
        _log.error("%s has the CID %s, not %s as was predicted", body.uri, cid, body.cid)
    return body.receipt(at, cid=cid)


def _fault(snippet: ReadySnippet) -> str:
    """Why no server would take a snippet; empty where it may."""
    size = len(snippet.text.encode())
    if not BLUESKY.fits(snippet.text):
        return f"{BLUESKY.measure(snippet.text)} characters in {size} bytes are too long"
    if snippet.picture and len(snippet.picture.content) > _PICTURE_BYTES:
        return f"its picture is over {_PICTURE_BYTES} bytes"
    card = None if snippet.picture else snippet.card
    if card and card.picture and len(card.picture.content) > _THUMB_BYTES:
        return f"the picture of its card is over {_THUMB_BYTES} bytes"
    return ""
