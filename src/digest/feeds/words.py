"""A tree of HTML -> its words as blocks: paragraphs, lists, tables, readable as plain text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selectolax.lexbor import LexborNode

_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_LISTS = frozenset({"ul", "ol"})
_CAPTIONS = frozenset({"figcaption", "caption"})
_CONTAINERS = frozenset({"div", "blockquote", "figure", "dl", "body"})
_LINES = frozenset({"p", "dt", "dd", "li", *_HEADINGS, *_CAPTIONS})
_SPACE = re.compile(r"[^\S\n]+")


@dataclass(frozen=True, slots=True)
class Block:
    """`kind` is "paragraph", "heading", "caption", "list", "table" or "code"."""

    kind: str
    text: str


def blocks_of(body: LexborNode) -> tuple[Block, ...]:
    """The blocks in order, none of them empty."""
    return tuple(block for block in _blocks(body) if block.text)


def _blocks(node: LexborNode) -> Iterator[Block]:
    """Words between two blocks make a paragraph of their own."""
    loose: list[LexborNode] = []
    for child in node.iter(include_text=True):
        if not _is_block(child):
            loose.append(child)
            continue
        yield Block("paragraph", _text_of(loose))
        loose = []
        yield from _block(child)
    yield Block("paragraph", _text_of(loose))


def _is_block(node: LexborNode) -> bool:
    tag = node.tag
    return tag in _CONTAINERS or tag in _LINES or tag in _LISTS or tag in {"table", "pre", "hr"}


def _block(node: LexborNode) -> Iterator[Block]:
    tag = node.tag
    if tag in _CONTAINERS:
        yield from _blocks(node)
    elif tag in _LISTS:
        yield Block("list", "\n".join(_items(node, "")))
    elif tag == "table":
        yield from _table(node)
    elif tag == "pre":
        yield Block("code", (node.text() or "").strip("\n").rstrip())
    elif tag in _HEADINGS:
        yield Block("heading", _text_of([node]))
    elif tag in _CAPTIONS:
        yield Block("caption", _text_of([node]))
    else:
        yield Block("paragraph", _text_of([node]))


def _items(node: LexborNode, indent: str) -> Iterator[str]:
    """One line for each item; lists inside are indented."""
    number = 0
    for child in node.iter(include_text=True):
        if child.tag in _LISTS:
            yield from _items(child, indent + "  ")
            continue
        inner = list(child.iter(include_text=True)) if child.tag == "li" else [child]
        lists = [part for part in inner if part.tag in _LISTS]
        words = _text_of([part for part in inner if part.tag not in _LISTS])
        if words:
            number += 1
            mark = f"{number}." if node.tag == "ol" else "-"
            yield f"{indent}{mark} " + words.replace("\n", f"\n{indent}  ")
        for part in lists:
            yield from _items(part, indent + "  ")


def _table(node: LexborNode) -> Iterator[Block]:
    """One line for each row; a table of one column is there for its looks, and is no table."""
    caption = next((part for part in node.iter() if part.tag == "caption"), None)
    yield Block("caption", _text_of([caption]) if caption else "")
    rows = [[cell for cell in row.iter() if cell.tag in {"td", "th"}] for row in _rows(node)]
    if all(len(row) <= 1 for row in rows):
        for cell in (cell for row in rows for cell in row):
            yield from _blocks(cell)
        return
    lines = [" | ".join(_text_of([cell]).replace("\n", " ") for cell in row) for row in rows]
    yield Block("table", "\n".join(line for line in lines if line.strip(" |")))


def _rows(node: LexborNode) -> Iterator[LexborNode]:
    """The table's own rows, not those of tables inside it."""
    for part in node.iter():
        if part.tag == "tr":
            yield part
        elif part.tag in {"thead", "tbody", "tfoot"}:
            yield from (row for row in part.iter() if row.tag == "tr")


def _text_of(nodes: list[LexborNode]) -> str:
    """Words on one line, but for the line breaks that the author set."""
    lines = "".join(part for node in nodes for part in _inline(node)).split("\n")
    folded = (_SPACE.sub(" ", line).strip() for line in lines)
    return "\n".join(line for line in folded if line)


def _inline(node: LexborNode) -> Iterator[str]:
    tag = node.tag
    if tag == "-text":
        yield (node.text_content or "").replace("\n", " ")
    elif tag == "br":
        yield "\n"
    else:
        edge = " " if _is_block(node) or tag in {"tr", "td", "th"} else ""
        yield edge
        for child in node.iter(include_text=True):
            yield from _inline(child)
        yield edge
