"""Text of a feed -> XML that a strict parser takes, saving what can be saved of a broken one.

feedparser's second, lenient parser is never reached: on hostile text it can take minutes,
and it makes half posts out of truncated feeds. What is wrong in many feeds is repaired here
(bare "&", HTML's entities, control characters); where more is wrong, each entry is tried on
its own and the broken ones are named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from html.entities import html5
from typing import TYPE_CHECKING
from xml.parsers import expat
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

#: feedparser's pattern for mail addresses takes quadratic time on an author
#: (https://github.com/kurtmckee/feedparser/pull/580): 64 KB held it for 19 seconds.
MAX_AUTHOR = 1024
#: A page of a feed has a few hundred; each costs time in Python.
MAX_ELEMENTS = 200_000
#: What precedes the entries is read again with each of them when a broken feed is saved.
_MAX_HEAD = 64 * 1024
_ENTRY = frozenset({"item", "entry"})
_ATTRIBUTES = r"""(?:[^<>"']|"[^"]*"|'[^']*')*+"""
_TOKEN = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)"
    r"|<(?P<end>/?)(?P<name>(?:[\w.-]+:)?"
    r"(?P<local>item|entry|author|creator|publisher|managingeditor|webmaster|owner))"
    rf"(?=[\s/>]){_ATTRIBUTES}>",
    re.IGNORECASE | re.DOTALL,
)
_REFERENCE = re.compile(
    r"(?P<other><!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z))"
    r"|&(?:#(?P<number>[0-9]{1,7}|x[0-9a-f]{1,6});|(?P<name>[a-z][a-z0-9]{0,31};)|)",
    re.IGNORECASE | re.DOTALL,
)
#: XML 1.0, 2.2: these may not stand in a document in any form.
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_XML_NAMES = frozenset({"amp;", "lt;", "gt;", "quot;", "apos;"})
_NAMED = re.compile(
    r"<(guid|id|title|link)[^<>]{0,200}>(?:<!\[CDATA\[)?([^<\]]{1,200})", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class WellFormed:
    """XML for a strict parser; `problems` say what had to be left out.

    `cut_off`: the text broke off, so that entries may be missing. `long_authors` holds the
    numbers (from 0) of entries whose author was left out.
    """

    xml: str
    problems: tuple[str, ...] = ()
    cut_off: bool = False
    long_authors: frozenset[int] = frozenset()
    fault: str = ""


def make_well_formed(text: str) -> WellFormed:
    """The whole of `text`, or as many of its entries as can be read."""
    text = _ILLEGAL.sub("", text)
    found = WellFormed(text)
    if _fault(text):
        text = _REFERENCE.sub(_repaired, text)
        found = WellFormed(text) if not (fault := _fault(text)) else _salvage(text, fault)
    if found.fault:
        return found
    return _without_long_authors(found)


@dataclass
class _Counter:
    elements: int = 0

    def __call__(self, _name: str, _attributes: dict[str, str]) -> None:
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            raise OverflowError(f"has more than {MAX_ELEMENTS:,} elements")


def _fault(xml: str) -> str:
    """Why a strict parser would not take it; empty where it would."""
    parser = expat.ParserCreate("utf-8", " ")
    parser.StartElementHandler = _Counter()
    try:
        parser.Parse(xml.encode("utf-8"), True)
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code)
        return f"is not well-formed: {what}, line {error.lineno}"
    except OverflowError as error:
        return str(error)
    return ""


def _repaired(found: re.Match[str]) -> str:
    """A reference that XML knows, in place of one that it does not."""
    if found["other"]:
        return found[0]
    if found["number"]:
        digits = found["number"].lower()
        code = int(digits[1:], 16) if digits.startswith("x") else int(digits)
        legal = 0 < code <= 0x10FFFF and not _ILLEGAL.match(chr(code))  # noqa: PLR2004
        return found[0].replace("X", "x") if legal else ""
    name = found["name"]
    if name in _XML_NAMES:
        return found[0]
    return escape(html5.get(name, f"&{name}")) if name else "&amp;"


@dataclass
class _Entries:
    """Where entries and authors stand in a text, found in one pass."""

    entries: list[tuple[int, int]] = field(default_factory=list)
    #: Number of the entry (-1: the feed itself), start and end of the author's content.
    authors: list[tuple[int, int, int]] = field(default_factory=list)
    unclosed: int | None = None


def _find_entries(text: str) -> _Entries:
    found = _Entries()
    depth, start, opened = 0, 0, -1
    author_depth, author_start = 0, 0
    for tag in _tags(text):
        step = -1 if tag["end"] else 0 if tag[0].endswith("/>") else 1
        if tag["local"].lower() in _ENTRY:
            if step > 0 and depth == 0:
                start, opened = tag.start(), opened + 1
            depth = max(0, depth + step)
            if step < 0 and depth == 0:
                found.entries.append((start, tag.end()))
        elif step:
            if author_depth == 0:
                author_start = tag.end()
            author_depth = max(0, author_depth + step)
            if author_depth == 0:
                number = opened if depth else -1
                found.authors.append((number, author_start, tag.start()))
    found.unclosed = start if depth else None
    return found


def _tags(text: str) -> Iterator[re.Match[str]]:
    return (found for found in _TOKEN.finditer(text) if found["name"])


def _without_long_authors(found: WellFormed) -> WellFormed:
    """Empty the authors that are too long, and look once more that the rest is well-formed."""
    long = [a for a in _find_entries(found.xml).authors if a[2] - a[1] > MAX_AUTHOR]
    if not long:
        return found
    pieces, position = [], 0
    for _, start, end in long:
        pieces.append(found.xml[position:start])
        position = end
    xml = "".join(pieces) + found.xml[position:]
    if fault := _fault(xml):
        return WellFormed("", fault=fault)
    return replace(found, xml=xml, long_authors=frozenset(number for number, _, _ in long))


def _salvage(text: str, fault: str) -> WellFormed:
    """Keep the entries that are well-formed, each tried on its own."""
    found = _find_entries(text)
    starts = [start for start, _ in found.entries]
    first = min([*starts, *([found.unclosed] if found.unclosed is not None else [])], default=0)
    head, tail = text[:first], _closing_tags(text[:first])
    if not tail or first > _MAX_HEAD or _fault(head + tail):
        return WellFormed("", fault=fault)
    kept, problems = [], []
    for number, (start, end) in enumerate(found.entries, 1):
        entry = text[start:end]
        if why := _fault(head + entry + tail):
            problems.append(f"{_name_of(entry, number)}: left out, its markup {why}")
        else:
            kept.append(entry)
    if found.unclosed is not None:
        half = _name_of(text[found.unclosed :], len(found.entries) + 1)
        problems.append(f"{half}: left out, the feed breaks off in the middle of it")
    xml = "".join((head, *kept, tail))
    if (not kept and not problems) or _fault(xml):
        return WellFormed("", fault=fault)
    cut_off = found.unclosed is not None or tail[tail.rfind("</") :] not in text
    return WellFormed(xml, tuple(problems), cut_off)


def _closing_tags(head: str) -> str:
    """End tags for all that is open at the end of `head`; empty where it cannot be read."""
    stack: list[str] = []
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = lambda name, _attributes: stack.append(name)
    parser.EndElementHandler = lambda _name: stack.pop()
    try:
        parser.Parse(head.encode("utf-8"), False)
    except expat.ExpatError:
        return ""
    return "".join(f"</{name}>" for name in reversed(stack))


def _name_of(entry: str, number: int) -> str:
    """The guid of a broken entry where it can be made out, or else its title."""
    named = {found[1].lower(): found[2].strip() for found in _NAMED.finditer(entry[:20_000])}
    return next((named[k] for k in ("guid", "id", "title", "link") if k in named), f"no. {number}")
