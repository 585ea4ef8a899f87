"""What publishing costs: by the price of each call, in exact decimal dollars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from digest.social.networks import links_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digest.config_social import Prices

_MILLION = 1_000_000
_PLURALS = {"post": "posts", "post with a link": "posts with a link", "alt text": "alt texts"}


@dataclass(frozen=True, slots=True)
class Line:
    """So many calls of a kind at a price each."""

    #: One of them: "post", "post with a link", "alt text".
    what: str
    count: int
    each: Decimal

    @property
    def total(self) -> Decimal:
        return self.count * self.each


@dataclass(frozen=True, slots=True)
class Cost:
    """What a thread costs to publish, line by line."""

    lines: tuple[Line, ...] = ()
    #: Everything that is charged as a link: the position of its snippet, from 1, and itself.
    links: tuple[tuple[int, str], ...] = ()

    @property
    def total(self) -> Decimal:
        return sum((line.total for line in self.lines), Decimal(0))


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in UTC: `begins` is in it, `ends` is the first moment after it."""

    begins: datetime
    ends: datetime

    def __str__(self) -> str:
        return f"{self.begins:%Y-%m}"


def cost_of(texts: Sequence[str], pictures: int, prices: Prices) -> Cost:
    """What these snippets cost, `pictures` of them with a picture that has an alt text."""
    links = [(number, link) for number, text in enumerate(texts, 1) for link in links_in(text)]
    bearing = len({number for number, _ in links})
    return Cost(_lines(len(texts), bearing, pictures, prices), tuple(links))


def in_words(cost: Cost) -> str:
    """Such as "about $0.32: 8 posts at $0.015, 1 with a link at $0.200"."""
    if not cost.total:
        return "costs nothing"
    return f"about {dollars(cost.total)}: {', '.join(_said(line, cost) for line in cost.lines)}"


def link_hint(posts: int, pictures: int, prices: Prices) -> str | None:
    """What links in every snippet cost beside a link in one alone; None where it is the same."""
    every = Cost(_lines(posts, posts, pictures, prices)).total
    one = Cost(_lines(posts, min(posts, 1), pictures, prices)).total
    if every == one:
        return None
    return f"a link in every snippet costs {dollars(every)}, in one alone {dollars(one)}"


def dollars(amount: Decimal, *, places: int = 2) -> str:
    """Such as "$0.32", with so many decimal places at least; nothing is rounded away."""
    whole, _, fraction = f"{amount:.6f}".partition(".")
    return f"${whole}.{fraction.rstrip('0').ljust(places, '0')}"


def month_of(now: datetime) -> Month:
    """The month in which a cap counts what is spent now."""
    today = now.astimezone(UTC)
    begins = datetime(today.year, today.month, 1, tzinfo=UTC)
    years, month = divmod(begins.month, 12)
    return Month(begins, begins.replace(year=begins.year + years, month=month + 1))


def to_micros(amount: Decimal) -> int:
    """Dollars as whole millionths, as they are stored; ValueError where they are not whole."""
    numerator, denominator = amount.as_integer_ratio()
    micros, rest = divmod(numerator * _MILLION, denominator)
    if rest:
        raise ValueError(f"${amount} is not a whole number of millionths")
    return micros


def from_micros(micros: int) -> Decimal:
    """Stored millionths as dollars."""
    return Decimal(f"{micros}e-6")


def _lines(posts: int, bearing: int, pictures: int, prices: Prices) -> tuple[Line, ...]:
    lines = (
        Line("post", posts - bearing, prices.create),
        Line("post with a link", bearing, prices.create_with_link),
        Line("alt text", pictures, prices.media),
    )
    return tuple(line for line in lines if line.count and line.each)


def _said(line: Line, cost: Cost) -> str:
    what = line.what if line.count == 1 else _PLURALS[line.what]
    if line.what == "post with a link" and line is not cost.lines[0]:
        what = "with a link"
    return f"{line.count} {what} at {dollars(line.each, places=3)}"
