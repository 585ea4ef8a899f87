"""Periods, days, texts and pictures as templates put them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from digest.issues.words import fit, paragraphs, period_label, shorten
from digest.model import Image


@pytest.mark.parametrize(
    ("period", "label"),
    [
        ("2026-W47", "16–22 November 2026"),
        ("2026-W49", "30 November – 6 December 2026"),
        ("2026-W53", "28 December 2026 – 3 January 2027"),
        ("2026-11", "November 2026"),
        ("2026-W47.2", "16–22 November 2026, second edition"),
        ("2026-11.12", "November 2026, edition 12"),
        ("post:17", "25 October 2026"),
    ],
)
def test_a_period_in_words(period: str, label: str) -> None:
    # 23:30 in London on the day that summer time ends is the same day; in UTC too.
    scheduled = datetime(2026, 10, 25, 23, 30, tzinfo=UTC)
    assert period_label(period, scheduled, "Europe/London") == label


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        ("short", 10, "short"),
        ("one two three", 9, "one two…"),
        ("one two, three", 10, "one two…"),
        ("unbreakable", 6, "unbre…"),
        ("ends exactly", 12, "ends exactly"),
    ],
)
def test_a_text_is_shortened_at_a_word(text: str, most: int, short: str) -> None:
    assert shorten(text, most) == short


def test_paragraphs_are_parted_by_blank_lines() -> None:
    assert paragraphs("a\nb\r\n \r\nc\n\n\n\nd\n") == ["a b", "c", "d"]


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((1200, 600), (600, 300)),
        ((300, 1200), (112, 450)),
        ((200, 100), (200, 100)),
        ((0, 0), (600, 0)),
    ],
)
def test_a_picture_fits_its_box_and_is_never_enlarged(
    size: tuple[int, int], box: tuple[int, int]
) -> None:
    assert fit(Image("https://blog.example/a.png", "", *size), 600, 450) == box
