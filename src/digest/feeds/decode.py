"""Bytes of a feed -> text without its prolog. Linear in the size of what it reads.

feedparser would do this too, but with regular expressions that a hostile first line holds
for minutes, and with any codec a feed names (punycode takes quadratic time).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: XML appendix F: how "<?" looks in UTF-16 without a byte order mark.
_UNMARKED = ((b"<\0?\0", "utf-16-le"), (b"\0<\0?", "utf-16-be"))
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})")
#: Codecs of written text; Python knows others that are slow, or no encodings of text at all.
_TEXT_CODEC = re.compile(
    r"utf[-_]?(8|16|32)|(us-?)?ascii|iso[-_]?8859|latin|windows-|cp125|koi8|gb|big5|shift|euc",
    re.IGNORECASE,
)
#: Where PHP prints warnings before the feed, the feed begins within this many characters.
_JUNK = 4000
_ROOT = re.compile(r"<(?:[\w.-]+:)?(rss|feed|rdf)[\s>]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Text:
    """A feed's text from its root element on; or the reason why there is none."""

    text: str
    declares_entities: bool = False
    fault: str = ""


def decode_feed(body: bytes, content_type: str) -> Text:
    """The text of a feed, its prolog and what stood before it cut off.

    Entities that it declares are dropped with the prolog, and any bomb made of them.
    """
    text = _decoded(body, content_type).strip("\ufeff \t\r\n")
    if not text:
        return Text("", fault="is empty")
    start = _skip_junk(text)
    root, entities = _root(text, start)
    head = text[root : root + 6].lower()
    if root < 0 or not head.startswith("<") or head.startswith("<html"):
        what = "an HTML page" if "<html" in text[:_JUNK].lower() else "no XML"
        return Text("", fault=f"is {what}, not a feed")
    return Text(text[root:], entities)


def _decoded(body: bytes, content_type: str) -> str:
    """Decoded by byte order mark, charset, declaration (RFC 7303, 3), else as UTF-8."""
    for mark, codec in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    for codec in (*_stated(body, content_type), "utf-8"):
        try:
            return body.decode(codec)
        except (UnicodeDecodeError, LookupError):
            continue
    return body.decode("windows-1252", "replace")


def _stated(body: bytes, content_type: str) -> list[str]:
    unmarked = [codec for start, codec in _UNMARKED if body.startswith(start)]
    charset = _CHARSET.search(content_type[:1000])
    declared = _DECLARED.match(body[:300].lstrip())
    names = [charset[1]] if charset else []
    names += [declared[1].decode("ascii", "replace")] if declared else []
    return unmarked + [name for name in names if _TEXT_CODEC.match(name)]


def _skip_junk(text: str) -> int:
    """Where the document begins, if something was printed before it."""
    if text.startswith(("<?xml", "<!")) or _ROOT.match(text):
        return 0
    declaration = text.find("<?xml", 0, _JUNK)
    if declaration >= 0:
        return declaration
    root = _ROOT.search(text, 0, _JUNK)
    return root.start() if root else 0


def _root(text: str, start: int) -> tuple[int, bool]:
    """Where the root element begins, or -1; and whether the prolog declares entities."""
    entities = False
    position = start
    while text.startswith(("<?", "<!"), position):
        end = _end_of_prolog_part(text, position)
        if end < 0:
            return -1, entities
        entities = entities or (
            text.startswith("<!DOCTYPE", position) and "<!ENTITY" in text[position:end]
        )
        position = end
        while position < len(text) and text[position].isspace():
            position += 1
    return position, entities


def _end_of_prolog_part(text: str, position: int) -> int:
    closer = ">"
    if text.startswith("<?", position):
        closer = "?>"
    elif text.startswith("<!--", position):
        closer = "-->"
    elif "[" in text[position : text.find(">", position) + 1]:
        subset = re.compile(r"\]\s*>").search(text, position)
        return subset.end() if subset else -1
    end = text.find(closer, position)
    return end + len(closer) if end >= 0 else -1
