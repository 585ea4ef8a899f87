"""How headers are written: what the standard library gets wrong for bulk mail is done here.

Two faults of `email.policy` matter. A header with an unbreakable token longer than a line is
RFC 2047-encoded, and mail programs ignore an encoded List-Unsubscribe. And text that looks like
an encoded word is decoded on assignment and written bare, which lets `=?utf-8?q?=0D=0ABcc...?=`
add a header (CVE-2024-6923, https://github.com/python/cpython/issues/121650). So headers are
written as given here: plain ASCII, folded between words and never in one.
"""

from __future__ import annotations

import re
from email.header import Header

from digest.errors import DigestError

#: RFC 2045, 6.7, for bodies; headers keep to it as well.
LINE = 76
#: RFC 5322, 2.1.1: no line may be longer, without its CRLF.
LONGEST_LINE = 998

#: Read by people. All others are read by machines, which decode nothing.
_WORDED = frozenset({"From", "Subject"})

_NOT_IN_A_LINE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_LONGEST_PLAIN_WORD = 60


class MessageError(DigestError, ValueError):
    """A message cannot be built from what was given; it was not made half."""


def header_line(name: str, value: str) -> bytes:
    """Return the header, folded, with CRLF at its end.

    Raises MessageError for anything but printable ASCII, for an encoded word where nobody
    decodes it, and for a word that no line can hold.
    """
    if not value.isascii() or not value.isprintable():
        raise MessageError(f"{name} may hold printable ASCII only, not {value!r}")
    if "=?" in value and name not in _WORDED:
        raise MessageError(f"{name} may not hold an encoded word: {value!r}")
    line = f"{name}: {value}\r\n"
    return (line if len(line) <= LINE else _folded(name, value)).encode("ascii")


def one_line(text: str) -> str:
    """Return the text with each run of blanks, line ends and control characters as one space."""
    return _NOT_IN_A_LINE.sub(" ", text).strip()


def encoded_text(name: str, text: str) -> str:
    """Return any text as ASCII for the header `name`: as it is, or as RFC 2047 encoded words."""
    text = one_line(text)
    if text.isascii() and "=?" not in text and _longest_word(text) <= _LONGEST_PLAIN_WORD:
        return text
    return Header(text, "utf-8", header_name=name, maxlinelen=LINE).encode(linesep="")


def _longest_word(text: str) -> int:
    return max(map(len, text.split(" ")))


def _folded(name: str, value: str) -> str:
    first, *words = value.split(" ")
    # The first word stays with the name, however long: a line of the name alone misleads readers.
    lines = [f"{name}: {first}"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) <= LINE:
            lines[-1] += f" {word}"
        else:
            lines.append(f" {word}")
    if max(map(len, lines)) > LONGEST_LINE:
        raise MessageError(f"{name} has a word too long for a line: {value[:60]}...")
    return "".join(f"{line}\r\n" for line in lines)
