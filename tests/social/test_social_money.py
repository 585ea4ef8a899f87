"""Money: what a thread costs on X, exactly, before it goes out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.config_social import X_PRICES, Prices
from digest.social.money import (
    cost_of,
    dollars,
    from_micros,
    in_words,
    link_hint,
    month_of,
    to_micros,
)

AMOUNTS = st.decimals(0, 1_000_000, places=6)
LINK = "https://blog.example/1/"


def test_a_link_in_the_last_of_nine():
    cost = cost_of(["Words."] * 8 + [f"Words. {LINK}"], 0, X_PRICES)
    assert cost.total == Decimal("0.32")
    assert in_words(cost) == "about $0.32: 8 posts at $0.015, 1 with a link at $0.200"
    assert cost.links == ((9, LINK),)


def test_a_link_in_every_snippet_and_pictures():
    cost = cost_of([f"Words. {LINK}"] * 9, 2, X_PRICES)
    words = "about $1.81: 9 posts with a link at $0.200, 2 alt texts at $0.005"
    assert in_words(cost) == words


def test_one_snippet():
    assert in_words(cost_of([LINK], 1, X_PRICES)) == (
        "about $0.205: 1 post with a link at $0.200, 1 alt text at $0.005"
    )
    assert in_words(cost_of(["Words."], 0, X_PRICES)) == "about $0.015: 1 post at $0.015"


def test_a_domain_that_nobody_meant_as_a_link_is_charged_and_pointed_out():
    cost = cost_of(["What care.social says.", "Nothing."], 0, X_PRICES)
    assert cost.total == Decimal("0.215")
    assert cost.links == ((1, "care.social"),)


def test_two_links_in_a_snippet_are_charged_once():
    cost = cost_of([f"{LINK} {LINK}2"], 0, X_PRICES)
    assert (cost.total, len(cost.links)) == (Decimal("0.200"), 2)


def test_where_calls_are_free_nothing_is_said_of_money():
    assert in_words(cost_of([LINK, "Words."], 3, Prices())) == "costs nothing"
    assert link_hint(9, 3, Prices()) is None


def test_what_links_in_every_snippet_cost():
    hint = link_hint(9, 0, X_PRICES)
    assert hint == "a link in every snippet costs $1.80, in one alone $0.32"
    assert link_hint(1, 0, X_PRICES) is None


@given(st.tuples(*[st.integers(0, 25)] * 3), st.tuples(*[AMOUNTS] * 3))
def test_the_lines_make_up_the_cost(counts, amounts):
    (plain, linked, pictures), (create, with_link, media) = counts, amounts
    prices = Prices(create=create, create_with_link=with_link, media=media)
    cost = cost_of(["Words."] * plain + [LINK] * linked, pictures, prices)
    assert cost.total == plain * create + linked * with_link + pictures * media
    assert cost.total == sum(line.count * line.each for line in cost.lines)


@given(st.integers(-(10**30), 10**30))
def test_stored_amounts_come_back_as_they_were(micros):
    assert to_micros(from_micros(micros)) == micros


@given(AMOUNTS)
def test_amounts_are_stored_and_said_exactly(amount):
    assert from_micros(to_micros(amount)) == amount
    assert Decimal(dollars(amount).removeprefix("$")) == amount


@pytest.mark.parametrize("amount", ["0.0000001", "NaN"])
def test_what_cannot_be_stored_exactly_is_refused(amount):
    with pytest.raises(ValueError, match=r"million|NaN"):
        to_micros(Decimal(amount))


def test_months_are_those_of_utc():
    month = month_of(datetime(2026, 12, 31, 20, tzinfo=timezone(timedelta(hours=-5))))
    assert str(month) == "2027-01"
    assert month.begins == datetime(2027, 1, 1, tzinfo=UTC)
    assert month.ends == datetime(2027, 2, 1, tzinfo=UTC)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_moment_is_in_its_month_and_months_meet(now):
    month = month_of(now)
    assert month.begins <= now < month.ends
    assert month_of(month.ends).begins == month.ends
