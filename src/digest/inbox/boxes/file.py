"""A file of mails that is only read: an mbox (RFC 4155), or a single mail.

Nothing in it is marked or moved, for other programs may write to it meanwhile: what was dealt with
is remembered in the store.
"""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from digest.errors import Unavailable
from digest.inbox.box import Waiting
from digest.inbox.letter import LARGEST, LARGEST_HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from digest.inbox.box import Trouble

#: Of a longer line no more is held at a time.
_LONGEST_LINE = 64 * 1024


class FileBox:
    """The file at `path`."""

    can_mark = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def waiting(self) -> Iterator[Waiting | Trouble]:
        try:
            about = self._path.stat()
            if not stat.S_ISREG(about.st_mode):
                yield Unavailable(f"{self._path} is no file")
                return
            written = datetime.fromtimestamp(about.st_mtime, UTC)
            with self._path.open("rb") as file:
                for start, end, said in _mails(file):
                    head = self._beginning(start, min(end - start, LARGEST_HEAD))
                    yield Waiting(f"{start}-{end}", _arrived(said, written), end - start, head)
        except OSError as error:
            yield self._trouble(error)

    def whole(self, key: str) -> bytes | Trouble | None:
        start, _, end = key.partition("-")
        try:
            return self._beginning(int(start), min(int(end) - int(start), LARGEST))
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._trouble(error)

    def file(self, key: str) -> Trouble | None:
        """Nothing is marked."""

    def flag(self, key: str) -> Trouble | None:
        """Nothing is marked."""

    def close(self) -> None:
        """Nothing is open."""

    def _beginning(self, start: int, most: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(most)

    def _trouble(self, error: OSError) -> Trouble:
        return Unavailable(f"the file {self._path} cannot be read: {error.strerror}")


def _mails(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Where each mail begins and ends, and the line that parts it from the one before.

    A file that does not begin with such a line is one mail.
    """
    start = at = 0
    said = b""
    after_blank = True
    while line := file.readline(_LONGEST_LINE):
        if after_blank and line.startswith(b"From ") and (said or at == 0):
            if said:
                yield start, at, said
            start, said = at + len(line), line
        after_blank = line in {b"\n", b"\r\n"}
        at += len(line)
    if at > start:
        yield start, at, said


def _arrived(said: bytes, written: datetime) -> datetime:
    """When a mail came, by its "From " line, in UTC as RFC 4155 has it; else when the file did."""
    moment = " ".join(said.decode("ascii", errors="replace").split()[-5:])
    try:
        arrived = datetime.strptime(moment, "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return written
    return min(arrived, written)
