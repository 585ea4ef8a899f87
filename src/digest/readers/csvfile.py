"""Reading CSV as spreadsheets really write it: encodings, separators, quotes.

Only lexical matters; what the cells mean is `digest.readers.importing`'s. Memory does not
grow with the file.
"""

from __future__ import annotations

import codecs
import csv
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

_BLOCK = 1 << 20
_SEPARATORS = ",;\t"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line it starts on, counted from 1, and its cells."""

    line: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class BadRow:
    """Lines that are not CSV, and why."""

    line: int
    message: str
    cure: str


@contextmanager
def open_csv(path: Path) -> Iterator[Iterator[Row | BadRow]]:
    """The rows of a file, the header first; blank ones are left out."""
    with path.open(encoding=_encoding(path), errors="replace", newline="") as file:
        yield _rows(file)


def _encoding(path: Path) -> str:
    """UTF-16 by its mark, as Excel's "Unicode text"; else UTF-8; else what old Excel writes."""
    with path.open("rb") as file:
        if file.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
            return "utf-16"
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


def _rows(file: TextIO) -> Iterator[Row | BadRow]:
    separator, skipped = _separator(file)
    # Strict, or an unclosed quote would swallow the rest of the file without a word.
    reader = csv.reader(file, delimiter=separator, strict=True)
    while True:
        line = skipped + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _bad(line, skipped + reader.line_num, error)
            continue
        if any(cell.strip() for cell in cells):
            yield Row(line, cells)


def _separator(file: TextIO) -> tuple[str, int]:
    """The separator, and how many lines are not part of the table; leaves the file after them.

    Excel says "sep=;" in a line of its own, which it does not show.
    """
    first = file.readline()
    said = first.rstrip("\r\n")
    if said[:-1].casefold() == "sep=" and said[-1] in _SEPARATORS:
        return said[-1], 1
    file.seek(0)
    return max(_SEPARATORS, key=first.count), 0


def _bad(first: int, last: int, error: csv.Error) -> BadRow:
    where = f"line {first}" if last <= first else f"lines {first} to {last}"
    return BadRow(
        first,
        f"{where} could not be read: {error}",
        'look for a quotation mark " that is not closed, or stands alone within a cell',
    )
