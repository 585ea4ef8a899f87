"""What the snippets after the first say: key sentences of a post, or the whole of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.social.fit import Split, beginning, split_over
from digest.social.key import key_pieces

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.social.composing import Making

#: The largest numbers of one digit, and of two.
_ONE_DIGIT, _TWO_DIGITS = 9, 99


@dataclass(frozen=True, slots=True)
class Body:
    """Pieces of a post in its order, for as many snippets.

    Of its `words` the last `left` are in none of them, nor are those of `left_out`, which no
    snippet could hold.
    """

    pieces: tuple[str, ...]
    left: int = 0
    words: int = 0
    left_out: tuple[str, ...] = ()


def key_body(m: Making) -> Body:
    """Key sentences that fit wherever they come to stand, under the longest counter there is."""
    most = m.style.most
    if most == 1:
        return Body(())
    fits = _either(_item(m, most, most), _last(m, most, most))
    return Body(key_pieces(m.post.title, m.post.text, fits, most - 1))


def whole_body(m: Making) -> Body:
    """All of the text, or as much of it as the most snippets hold."""
    most, count = m.style.most, len(m.post.text.split())
    if most == 1 or not count or not _has_room_for_link(m):
        return Body((), count, count)
    found = _pieces(m, _ONE_DIGIT)
    if most > _ONE_DIGIT and len(found.pieces) >= _ONE_DIGIT:
        found = _pieces(m, _TWO_DIGITS)
    if len(found.pieces) < most:
        return Body(found.pieces, 0, count, found.left_out)
    kept = found.pieces[: most - 2]
    end = beginning(found.pieces[most - 2], _last(m, most, most, more=True))
    said = sum(len(piece.split()) for piece in (*kept, end)) + len(found.left_out)
    return Body((*kept, end), max(1, count - said), count, found.left_out)


def _pieces(m: Making, total: int) -> Split:
    """The whole text, the last piece of which has room for what stands on the last snippet.

    Of `total` only the number of digits is of account.
    """
    found = split_over(m.post.text, lambda position: _item(m, position + 2, total))
    if not found.pieces:
        return found
    *before, end = found.pieces
    number = len(before) + 2
    if _last(m, number, total)(end):
        return Split((*before, end), found.left_out)
    ends = split_over(
        end, lambda more: _either(_item(m, number + more, total), _last(m, number + more, total))
    )
    # Where no word has room beside the link, the link has a snippet of its own.
    pieces = (*before, end, "") if ends.left_out or not ends.pieces else (*before, *ends.pieces)
    return Split(pieces, found.left_out)


def _has_room_for_link(m: Making) -> bool:
    most = m.style.most
    return all(_last(m, most, most, more=more)("") for more in (False, True))


def _item(m: Making, number: int, total: int) -> Callable[[str], bool]:
    place = m.after(f"{number}/{total}", last=False)
    return lambda text: m.fits("item", place, text=text)


def _last(m: Making, number: int, total: int, *, more: bool = False) -> Callable[[str], bool]:
    place = m.after(f"{number}/{total}", last=True)
    return lambda text: m.fits("last", place, text=text, more=more)


def _either(one: Callable[[str], bool], other: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda text: one(text) and other(text)
