"""Files that are whole or not there: what several rooms write by."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from digest.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


def replace_text(path: Path, text: str, *, mode: int) -> None:
    """Write a file beside its place and move it there: a reader sees the old one or the new."""
    replace_bytes(path, text.encode(), mode=mode)


def replace_bytes(path: Path, content: bytes, *, mode: int) -> None:
    """`replace_text` for what is no text."""
    with replacing(path, mode=mode) as out:
        out.write(content)


@contextmanager
def replacing(path: Path, *, mode: int) -> Iterator[BinaryIO]:
    """Yields what is written beside a file's place, and moved there once the block is through."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
        Path(draft).chmod(mode)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)


def must_be_replaceable(path: Path) -> None:
    """Raise UsageError where something else than a file stands: a folder, or a device."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no file; nothing was written")


def make_folder(folder: Path) -> None:
    """Have a folder that we can write to. Raises UsageError where that cannot be."""
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        raise UsageError(f"cannot write to {folder}: it is a file, not a folder") from None
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror or error}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write to {folder}: permission denied")


def sync_folder(folder: Path) -> None:
    """Put a folder's names on the disk, so that a file just put there survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
