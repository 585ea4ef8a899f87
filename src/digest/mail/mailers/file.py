"""The local mailbox: a Maildir, with a page to read it by.

A mail is named by a hash of its Message-ID, so that the same mail submitted twice is one file
and whether it was accepted can be looked up. Any mail program may open the folder
(https://cr.yp.to/proto/maildir.html).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from digest.errors import Unavailable, Uncertain
from digest.files import sync_folder
from digest.mail.mailers.mailbox_page import refresh_pages
from digest.model import MailerTraits, Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digest.ports import Clock, Mail, Outcome, Trouble


class MaildirMailer:
    """Keeps mail in the Maildir `root`; `close` brings its `index.html` up to date."""

    name = "file"
    traits = MailerTraits(can_find=True, finds_absence=True)

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock

    def submit(self, mails: Sequence[Mail], key: str) -> tuple[Outcome, ...]:
        """Write each message whole or not at all; a full disk is `Unavailable`."""
        return tuple(self._submit(mail) for mail in mails)

    def find(self, message_id: str) -> Receipt | Trouble | None:
        """Return the receipt of a message that lies in the mailbox, read or unread."""
        try:
            return self._find(message_id)
        except OSError as error:
            return Unavailable(f"the mailbox cannot be read: {error.strerror}")

    def _submit(self, mail: Mail) -> Outcome:
        message_id = mail.envelope.message_id
        try:
            found = self._find(message_id)
            if found is not None:
                return found
            temporary = self._write(mail.message())
        except OSError as error:
            return Unavailable(f"the mailbox cannot be written: {error.strerror}")
        return self._accept(temporary, _file_name(message_id))

    def _find(self, message_id: str) -> Receipt | None:
        name = _file_name(message_id)
        try:
            return _receipt(self._root / "new" / name, name)
        except FileNotFoundError:
            seen = _seen(self._root / "cur", name)
        return _receipt(seen, name) if seen else None

    def close(self) -> None:
        """Write the pages anew, from what lies in the Maildir."""
        if self._root.exists():
            refresh_pages(self._root)

    def _write(self, message: bytes) -> Path:
        for folder in ("tmp", "new", "cur"):
            self._root.joinpath(folder).mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._root / "tmp")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(message)
                file.flush()
                os.fsync(file.fileno())
            moment = self._clock().timestamp()
            os.utime(temporary, (moment, moment))
        except OSError:
            temporary.unlink()
            raise
        return temporary

    def _accept(self, temporary: Path, name: str) -> Outcome:
        target = self._root / "new" / name
        try:
            temporary.replace(target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            return Unavailable(f"the mailbox cannot be written: {error.strerror}")
        try:
            sync_folder(target.parent)
        except OSError as error:
            return Uncertain(f"the mail was written, and may not last: {error.strerror}")
        return _receipt(target, name)


def _file_name(message_id: str) -> str:
    return hashlib.sha256(message_id.encode()).hexdigest()[:32] + ".eml"


def _seen(cur: Path, name: str) -> Path | None:
    """Find a mail that a mail program moved here, adding its flags to the name."""
    try:
        # Not glob, which takes a folder it may not read for an empty one.
        return next((path for path in cur.iterdir() if path.name.startswith(name)), None)
    except FileNotFoundError:
        return None


def _receipt(path: Path, name: str) -> Receipt:
    return Receipt(
        remote_id=name,
        at=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        url=path.absolute().as_uri(),
    )
