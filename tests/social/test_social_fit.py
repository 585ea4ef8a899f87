"""Splitting: whole where it can be, and every piece fits."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.social.fit import ELLIPSIS, sentences, shorten, split
from digest.social.networks import BLUESKY, NETWORKS, X


def room(limit):
    return lambda text: len(text) <= limit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith met Mrs. Jones. They spoke.", ["Dr. Smith met Mrs. Jones.", "They spoke."]),
        ("See No. 5, e.g. this. Then go.", ["See No. 5, e.g. this.", "Then go."]),
        ("T. S. Eliot wrote it. I know.", ["T. S. Eliot wrote it.", "I know."]),
        ("“Quiet night?” And we say yes.", ["“Quiet night?”", "And we say yes."]),
        ("“You type,” she said. “I look.”", ["“You type,” she said.", "“I look.”"]),
        ("Wait… what? it cost 3.5 pounds", ["Wait… what? it cost 3.5 pounds"]),
        ("A list\n\nof  lines", ["A list", "of lines"]),
        ("1. Clusters. And more.\n2. Risk.", ["1. Clusters.", "And more.", "2. Risk."]),
        ("We began in 2024. In 25. we end", ["We began in 2024.", "In 25. we end"]),
        ("", []),
    ],
)
def test_sentences(text, expected):
    assert sentences(text) == expected


def test_what_fits_is_left_alone():
    assert split("One. Two.", room(9)).pieces == ("One. Two.",)


def test_sentences_come_first():
    assert split("One two. Three four.", room(12)).pieces == ("One two.", "Three four.")


def test_then_clauses():
    pieces = split("We came early, we stayed until they closed the doors.", room(32)).pieces
    assert pieces == ("We came early, we stayed until…", "they closed the doors.")
    pieces = split("We came very early, we stayed until closing.", room(30)).pieces
    assert pieces == ("We came very early,…", "we stayed until closing.")


def test_then_words():
    pieces = split("one two three four five six", room(14)).pieces
    assert pieces == ("one two three…", "four five six")


def test_a_word_too_long_is_cut_between_graphemes_and_shows_it():
    pieces = split("👨‍👩‍👧‍👦" * 9, lambda text: len(regex.findall(r"\X", text)) <= 4).pieces
    assert pieces == (
        "👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦…",
        "👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦…",
        "👨‍👩‍👧‍👦👨‍👩‍👧‍👦👨‍👩‍👧‍👦",
    )


@pytest.mark.parametrize(
    "whole", ["https://example.org/a/long/way", "#AVeryLongHashtag", "@somebody", "care.social"]
)
def test_a_link_or_tag_too_long_is_left_out_and_named(whole):
    found = split(f"See {whole} now", room(8))
    assert found.left_out == (whole,)
    assert found.pieces == ("See…", "now")


def test_shorten_ends_at_a_word():
    assert shorten("A title that goes on", room(12)) == "A title…"
    assert shorten("A title", room(12)) == "A title"
    assert shorten("Donaudampfschifffahrt", room(5)) == "Dona…"
    assert shorten("Anything", room(0)) == ""
    assert shorten("", room(0)) == ""


TEXTS = st.lists(
    st.sampled_from(
        [
            "word",
            "Sentence.",
            "clause,",
            "–",
            "#SocialCareFuture",
            "https://example.org/x?y=z#a",
            "care.social",
            "@ada@example.social",
            "👨‍👩‍👧‍👦",
            "日本語の文章",
            "ไทยไทย",
            "Zoë’s",
            "x" * 90,
            "e\u0301\u0302",
            "\n",
        ]
    ),
    max_size=60,
).map(" ".join)


@settings(deadline=None)  # the first measuring loads the parser
@given(TEXTS, st.sampled_from(list(NETWORKS.values())), st.integers(30, 120))
def test_every_piece_fits_and_nothing_is_lost(text, network, limit):
    found = split(text, lambda piece: network.measure(piece) <= limit)
    assert all(network.measure(piece) <= limit for piece in found.pieces)
    kept = "".join("".join(found.pieces).replace(ELLIPSIS, "").split())
    for word in found.left_out:
        text = text.replace(word, "", 1)
    assert sorted(kept) == sorted("".join(text.split()))


@settings(deadline=None)  # the first measuring loads the parser
@given(st.text(max_size=600))
def test_any_text_at_all_is_split_to_fit(text):
    for network in (X, BLUESKY):
        assert all(network.fits(piece) for piece in split(text, network.fits).pieces)
