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


@dataclass(frozen=True, slots=True)
class Line:
    """So many calls of a kind at a price each. `what` counts one: "post", "alt text"."""

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
        return f"{self.begins:%B %Y}"


def cost_of(texts: Sequence[str], pictures: int, prices: Prices) -> Cost:
    """What these snippets cost, `pictures` of them with a picture that has an alt text."""
    links = [(number, link) for number, text in enumerate(texts, 1) for link in links_in(text)]
    bearing = len({number for number, _ in links})
    return Cost(_lines(len(texts), bearing, pictures, prices), tuple(links))


def in_words(cost: Cost) -> str:
    """ "about $0.32: 8 posts at $0.015, 1 with a link at $0.200"."""
    raise NotImplementedError


def link_hint(texts: Sequence[str], pictures: int, prices: Prices) -> str | None:
    """What links in every snippet cost beside a link in one alone; None where it is the same."""
    raise NotImplementedError


def _lines(posts: int, bearing: int, pictures: int, prices: Prices) -> tuple[Line, ...]:
    lines = (
        Line("post", posts - bearing, prices.create),
        Line("with a link", bearing, prices.create_with_link),
        Line("alt text", pictures, prices.media),
    )
    return tuple(line for line in lines if line.count and line.each)


def month_of(now: datetime) -> Month:
    """The month in which a cap counts what is spent now."""
    begins = datetime(now.year, now.month, 1, tzinfo=UTC)
    years, month = divmod(begins.month, 12)
    return Month(begins, begins.replace(year=begins.year + years, month=month + 1))


def within_cap(spent: Decimal, cost: Decimal, cap: Decimal | None) -> bool:
    """Whether this can still be spent in a month in which `spent` was; None caps nothing."""
    return cap is None or spent + cost <= cap


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
