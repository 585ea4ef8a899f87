"""What is odd about a series is told, and nothing is that is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from digest.model import Post
from digest.picks.gaps import Numbering, backwards, number_in, numbering, out_of_turn, spans

AT = datetime(2026, 11, 1, tzinfo=UTC)


def post(title, day=0):
    at = AT + timedelta(days=day)
    return replace(_POST, title=title, published=at)


_POST = Post(1, "g", "http://b.example/", "", "Ann", AT, AT, (), "", "", "", None, 1)


@pytest.mark.parametrize(
    ("title", "number"),
    [
        ("Personal budgets, Part 2", 2),
        ("PART TWO: who pays", 2),
        ("Part II – who pays", 2),
        ("Episode IX", 9),
        ("Who pays? (3/5)", 3),
        ("Who pays? (3 of 5)", 3),
        ("Who pays, 3 of 5", 3),
        ("#4: who pays", 4),
        ("Instalment 12", 12),
        ("Pt. 7", 7),
        ("No. 10", 10),
        ("Part of the problem", None),
        ("Part I", 1),
        ("In part I agree", None),
        ("Part 2026 of a long story", None),
        ("Part 1,500 pounds", None),
        ("Party 3", None),
        ("What #2026 brings", None),
        ("24 hours", None),
        ("One of 5 ways", None),
        ("", None),
    ],
)
def test_numbers_are_read_as_people_write_them(title, number):
    assert number_in(title) == number


@pytest.mark.parametrize(
    ("titles", "found"),
    [
        ((), Numbering((), ())),
        (("Part 4",), Numbering((), ())),
        (("Part 1", "Part 3"), Numbering((2,), ())),
        (("Part 2", "Part 3", "An aside"), Numbering((1,), ())),
        (("Part 1", "Part 2", "Part two"), Numbering((), (2,))),
        (("Episode 118", "Episode 120"), Numbering((119,), ())),
        (("What it is", "Why it matters"), Numbering((), ())),
    ],
)
def test_missing_and_doubled_numbers(titles, found):
    assert numbering(titles) == found


def test_parts_that_came_out_after_what_follows_them():
    parts = [post("Introduction", 5), post("Part 2", 1), post("Part 3", 2), post("Part 4", 2)]
    assert list(out_of_turn(parts)) == [1]


def test_titles_that_count_backwards():
    assert list(backwards([post("Part 1"), post("Part 3"), post("An aside"), post("Part 2")])) == [
        (3, 2)
    ]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((), ""),
        ((3,), "3"),
        ((3, 4), "3 and 4"),
        ((5, 1, 2, 3), "1 to 3 and 5"),
        ((1, 2, 4, 6, 7, 8, 9), "1, 2, 4 and 6 to 9"),
        ((2, 2), "2"),
    ],
)
def test_numbers_in_words(numbers, words):
    assert spans(numbers) == words
