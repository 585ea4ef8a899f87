"""The local preview channel: keeps what was published as files, beside the page that shows it.

A snippet is one file named by its key, so that the same one published twice is one file and
whether it was accepted can be looked up.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from digest.errors import Refused, Unavailable, Uncertain
from digest.files import replace_text, sync_folder
from digest.model import Limits, Receipt, Seen, Traits
from digest.social.hashtags import tags_in
from digest.social.preview import anchor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from digest.model import Place, ReadySnippet
    from digest.ports import Bodies, Clock, Receipts, Trouble
    from digest.social.networks import Network

_EVER = timedelta(days=365_000)


class PreviewChannel:
    """Publishes the channel `slug` into `folder`, where the preview page stands."""

    name = "preview"
    traits = Traits(
        atomic=True,
        can_find=True,
        seen_after=timedelta(0),
        same_for=_EVER,
        can_edit=True,
    )

    def __init__(self, folder: Path, slug: str, network: Network, clock: Clock) -> None:
        self._page = folder / "index.html"
        self._posted = folder / "published" / slug
        self._network = network
        self._clock = clock

    def limits(self) -> Limits:
        """Those of the network that is previewed; pictures are shown from where they are."""
        network = self._network
        return Limits(network.limit, network.link_weight, 2**31, ("image/jpeg", "image/png"))

    def prepare(self, snippets: Sequence[ReadySnippet], place: Place | None) -> Bodies | Trouble:
        """What each file will hold."""
        for snippet in snippets:
            if not self._network.fits(snippet.text):
                return Refused(f"longer than {self._network.name} takes: {snippet.text[:40]}...")
        parent = place.parent.remote_id if place else None
        bodies = []
        for snippet in snippets:
            bodies.append(json.dumps(_document(snippet, parent), ensure_ascii=False))
            parent = snippet.key
        return tuple(bodies)

    def publish(self, bodies: Sequence[str]) -> Receipts | Trouble:
        """Write each snippet whole or not at all; a full disk is `Unavailable`."""
        try:
            self._posted.mkdir(parents=True, exist_ok=True)
            for document in map(json.loads, bodies):
                if self._receipt(document["key"]) is None:
                    self._write({**document, "at": self._clock().isoformat()})
        except OSError as error:
            return Unavailable(f"the preview channel cannot be written: {error.strerror}")
        try:
            sync_folder(self._posted)
        except OSError as error:
            return Uncertain(f"the snippet was written, and may not last: {error.strerror}")
        return self.find(bodies) or Uncertain("the snippet was written, and is gone")

    def find(self, bodies: Sequence[str]) -> Receipts | None:
        """Return the receipts of snippets that lie in the folder, all of them."""
        found = [self._receipt(json.loads(body)["key"]) for body in bodies]
        receipts = tuple(receipt for receipt in found if receipt)
        return receipts if len(receipts) == len(bodies) else None

    def read(self, receipts: Sequence[Receipt]) -> tuple[Seen | None, ...]:
        """Each as its file has it."""
        return tuple(_seen(self._document(receipt.remote_id)) for receipt in receipts)

    def edit(self, receipt: Receipt, body: str) -> Receipts | Trouble:
        """Put another text into the file."""
        before = self._document(receipt.remote_id)
        if before is None:
            return Refused("it is there no more")
        self._write({**before, **json.loads(body), "key": before["key"], "at": before["at"]})
        return (replace(receipt),)

    def delete(self, receipt: Receipt) -> Trouble | None:
        """Remove the file."""
        try:
            self._file(receipt.remote_id).unlink(missing_ok=True)
        except OSError as error:
            return Unavailable(f"the preview channel cannot be written: {error.strerror}")
        return None

    def _receipt(self, key: str) -> Receipt | None:
        document = self._document(key)
        if document is None:
            return None
        url = f"{self._page.absolute().as_uri()}#{anchor(key)}"
        return Receipt(remote_id=key, at=datetime.fromisoformat(document["at"]), url=url)

    def _document(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._file(key).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found

    def _write(self, document: dict[str, Any]) -> None:
        text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        replace_text(self._file(document["key"]), text, mode=0o600)

    def _file(self, key: str) -> Path:
        return self._posted / f"{key}.json"


def _document(snippet: ReadySnippet, parent: str | None) -> dict[str, Any]:
    card = snippet.card
    return {
        "key": snippet.key,
        "text": snippet.text,
        "language": snippet.language,
        "reply_to": parent,
        "tags": list(snippet.tags),
        "alts": [snippet.picture.alt] if snippet.picture else [],
        "card": {"url": card.url, "title": card.title} if card else None,
    }


def _seen(document: dict[str, Any] | None) -> Seen | None:
    if document is None:
        return None
    tags = (*tags_in(document["text"]), *document["tags"])
    return Seen(document["text"], document["reply_to"], tags, tuple(document["alts"]))
