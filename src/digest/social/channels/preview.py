"""The local preview channel: keeps what was published as files, beside the page that shows it.

A snippet is one file named by its key, so that the same one published twice is one file and
whether it was accepted can be looked up.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from digest.errors import Unavailable, Uncertain
from digest.files import replace_text, sync_folder
from digest.model import Receipt
from digest.social.preview import anchor

if TYPE_CHECKING:
    from pathlib import Path

    from digest.model import ReadySnippet
    from digest.ports import Clock, Outcome


class PreviewChannel:
    """Publishes the channel `slug` into `folder`, where the preview page stands."""

    name = "preview"
    can_find = True

    def __init__(self, folder: Path, slug: str, clock: Clock) -> None:
        self._page = folder / "index.html"
        self._posted = folder / "published" / slug
        self._clock = clock

    def publish(self, snippet: ReadySnippet, reply_to: Receipt | None) -> Outcome:
        """Write the snippet whole or not at all; a full disk is `Unavailable`."""
        try:
            found = self.find(snippet.key)
            if found is not None:
                return found
            self._posted.mkdir(parents=True, exist_ok=True)
            replace_text(self._file(snippet.key), self._document(snippet, reply_to), mode=0o600)
        except OSError as error:
            return Unavailable(f"the preview channel cannot be written: {error.strerror}")
        try:
            sync_folder(self._posted)
        except OSError as error:
            return Uncertain(f"the snippet was written, and may not last: {error.strerror}")
        receipt = self.find(snippet.key)
        return receipt or Uncertain("the snippet was written, and is gone")

    def find(self, key: str) -> Receipt | None:
        """Return the receipt of a snippet that lies in the folder."""
        try:
            document = json.loads(self._file(key).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        url = f"{self._page.absolute().as_uri()}#{anchor(key)}"
        return Receipt(remote_id=key, at=datetime.fromisoformat(document["at"]), url=url)

    def _file(self, key: str) -> Path:
        return self._posted / f"{key}.json"

    def _document(self, snippet: ReadySnippet, reply_to: Receipt | None) -> str:
        document = {
            "at": self._clock().isoformat(),
            "text": snippet.text,
            "image": snippet.image.url if snippet.image else None,
            "alt": snippet.image.alt if snippet.image else None,
            "reply_to": reply_to.remote_id if reply_to else None,
        }
        return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
