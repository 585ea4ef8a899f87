"""The file of a backup: a tar.gz that says what it holds and proves that it is whole.

    tables/<name>.jsonl   one JSON object per row, tables before those that refer to them
    secret                the signing secret, where there is one
    manifest.json         last, so that a file cut short has none

Nothing is ever unpacked to disk. Memory does not grow with the rows.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003  pydantic reads it at run time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from pydantic import TypeAdapter, ValidationError

from digest.errors import UsageError
from digest.files import sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SECRET = "secret"  # noqa: S105  the name of a member
_MANIFEST = "manifest.json"
_BLOCK = 1 << 16
#: No manifest is larger; a foreign file may be.
_LARGEST_MANIFEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One member: how many rows (0 for the secret), and the SHA-256 of its bytes in hex."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds: the schema's revision, when it was made (UTC), every member."""

    format: Literal["digest-backup-1"]
    revision: str
    created: datetime
    members: dict[str, Member]


_manifests = TypeAdapter(Manifest)


def table_member(table: str) -> str:
    """The name of a table's member."""
    return f"tables/{table}.jsonl"


@dataclass(slots=True)
class ArchiveWriter:
    """Adds members to an open archive and remembers what the manifest will say."""

    tar: tarfile.TarFile
    folder: Path
    now: datetime
    members: dict[str, Member] = field(default_factory=dict)

    def add_table(self, table: str, lines: Iterable[bytes]) -> int:
        """Add one table; returns how many rows it has. Each line ends in a line feed."""
        rows = 0
        # A tar names a member's size before its bytes, so they wait in a file without a name,
        # of which a kill leaves nothing behind.
        with tempfile.TemporaryFile(dir=self.folder) as spool:
            for line in lines:
                spool.write(line)
                rows += 1
            self._add(table_member(table), spool, rows)
        return rows

    def add_secret(self, secret: bytes) -> None:
        self._add(SECRET, io.BytesIO(secret), rows=0)

    def finish(self, revision: str) -> None:
        manifest = Manifest("digest-backup-1", revision, self.now, self.members)
        said = _manifests.dump_json(manifest, indent=2)
        self.tar.addfile(self._info(_MANIFEST, len(said)), io.BytesIO(said))

    def _add(self, name: str, content: IO[bytes], rows: int) -> None:
        size = content.seek(0, io.SEEK_END)
        content.seek(0)
        self.members[name] = Member(rows, _digest(content))
        content.seek(0)
        self.tar.addfile(self._info(name, size), content)

    def _info(self, name: str, size: int) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, self.now.timestamp()
        return info


@contextmanager
def writing(file: Path, now: datetime) -> Iterator[ArchiveWriter]:
    """Write an archive that takes its name, mode 0600, only when it is whole.

    Until then, and after a failure or a kill, an older file of that name stays as it is.
    Raises `UsageError` where the file cannot be written.
    """
    try:
        with replacing(file) as out, tarfile.open(fileobj=out, mode="w:gz", compresslevel=6) as tar:
            yield ArchiveWriter(tar, file.parent, now)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error


@contextmanager
def replacing(file: Path) -> Iterator[IO[bytes]]:
    """Write a file of mode 0600 beside its place, and put it there when all is on the disk."""
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).replace(file)
    finally:
        Path(temporary).unlink(missing_ok=True)
    sync_folder(file.parent)


@contextmanager
def reading(file: Path) -> Iterator[IO[bytes]]:
    """Open a backup; raises `UsageError` where it cannot be read or turns out damaged."""
    try:
        with file.open("rb") as raw:
            yield raw
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise damaged(file, f"it is cut short or changed: {error}") from error
    except OSError as error:
        raise damaged(file, error.strerror or str(error)) from error


def damaged(file: Path, why: str) -> UsageError:
    """The error for a file that is not a whole backup."""
    return UsageError(f"{file} is not a backup that can be restored ({why}); nothing was changed")


def verified(file: Path, raw: IO[bytes]) -> Manifest:
    """Read all of a backup once and return its manifest; `UsageError` where a byte is wrong."""
    found: dict[str, str] = {}
    manifest = None
    for name, content in members(raw):
        if name == _MANIFEST:
            manifest = _parsed(file, content.read(_LARGEST_MANIFEST))
        elif name in found:
            raise damaged(file, f"it holds {name} twice")
        else:
            found[name] = _digest(content)
    if manifest is None:
        raise damaged(file, "it has no manifest")
    stated = {name: member.sha256 for name, member in manifest.members.items()}
    wrong = sorted(name for name, _ in stated.items() ^ found.items())
    if wrong:
        raise damaged(file, f"{wrong[0]} is not what the manifest says")
    return manifest


def _parsed(file: Path, said: bytes) -> Manifest:
    try:
        return _manifests.validate_json(said)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise damaged(file, f"manifest: {place} {first['msg']}") from error


def members(raw: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """The members in their order, each to be read before the next one is asked for."""
    raw.seek(0)
    with tarfile.open(fileobj=raw, mode="r:gz") as tar:
        for info in tar:
            content = tar.extractfile(info)
            if content is not None:
                yield info.name, content


def _digest(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := content.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
