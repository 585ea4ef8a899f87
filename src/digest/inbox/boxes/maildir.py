"""A Maildir, such as Postfix and Dovecot deliver to (https://cr.yp.to/proto/maildir.html).

A mail's marks stand at the end of its name; to mark it is to rename it, which is whole or not
done. Mails that a mail program has put from `new` to `cur` without anybody opening them are
read too.
"""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from digest.errors import Unavailable
from digest.inbox.box import Waiting
from digest.inbox.letter import LARGEST, LARGEST_HEAD

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from digest.inbox.box import Trouble

_SEEN, _FLAGGED = "S", "F"
#: A person, or we, have dealt with it: draft, flagged, passed, replied, seen, trashed.
_DEALT_WITH = frozenset("DFPRST")
_INFO = ":2,"


class MaildirBox:
    """The Maildir `root`."""

    can_mark = True

    def __init__(self, root: Path) -> None:
        self._root = root

    def waiting(self) -> Iterator[Waiting | Trouble]:
        try:
            found = sorted(self._unread(), key=lambda one: (one[1].st_mtime_ns, one[0]))
        except OSError as error:
            yield self._trouble(error)
            return
        for key, about in found:
            head = self._beginning(key, LARGEST_HEAD)
            if head is not None:
                arrived = datetime.fromtimestamp(about.st_mtime, UTC)
                # Without a head a person has to look: perhaps we may not read the file.
                yield Waiting(key, arrived, about.st_size, head if isinstance(head, bytes) else b"")

    def whole(self, key: str) -> bytes | Trouble | None:
        return self._beginning(key, LARGEST)

    def file(self, key: str) -> Trouble | None:
        return self._mark(key, _SEEN)

    def flag(self, key: str) -> Trouble | None:
        return self._mark(key, _FLAGGED)

    def close(self) -> None:
        """Nothing is open."""

    def _unread(self) -> Iterator[tuple[str, os.stat_result]]:
        for folder in ("new", "cur"):
            for path in self._root.joinpath(folder).iterdir():
                marks = path.name.partition(_INFO)[2]
                if path.name.startswith(".") or _DEALT_WITH & set(marks):
                    continue
                try:
                    about = path.lstat()
                except FileNotFoundError:  # a person moved it
                    continue
                if stat.S_ISREG(about.st_mode):  # nothing else was ever delivered
                    yield f"{folder}/{path.name}", about

    def _beginning(self, key: str, most: int) -> bytes | Trouble | None:
        try:
            with self._root.joinpath(key).open("rb") as file:
                return file.read(most)
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._trouble(error)

    def _mark(self, key: str, mark: str) -> Trouble | None:
        name, _, marks = key.partition("/")[2].partition(_INFO)
        target = f"{name}{_INFO}{''.join(sorted({*marks, mark}))}"
        try:
            self._root.joinpath(key).rename(self._root / "cur" / target)
        except FileNotFoundError:
            # Moved by a person, unless the folder it should go to is not there.
            return None if self._root.joinpath("cur").is_dir() else self._no_maildir()
        except OSError as error:
            return self._trouble(error)
        return None

    def _trouble(self, error: OSError) -> Trouble:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return self._no_maildir()
        return Unavailable(f"the Maildir {self._root} cannot be used: {error.strerror}")

    def _no_maildir(self) -> Trouble:
        return Unavailable(f"{self._root} is no Maildir: it has no new/ and cur/")
