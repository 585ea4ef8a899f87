"""Counting, by the tables of each network's own documents."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.social.networks import BLUESKY, MASTODON, NETWORKS, X, links_in

FAMILY = "👨‍👩‍👧‍👦"


@pytest.mark.parametrize(
    ("text", "weight"),
    [
        ("", 0),
        ("hello", 5),
        ("Crèche", 6),
        ("Cre\u0300che", 6),  # composed first
        ("“curly” – and — dashes", 22),
        ("…", 2),
        ("•→", 4),
        ("日本", 4),
        ("ไทย", 3),
        ("😀", 2),
        (FAMILY, 2),
        ("👍🏽", 2),
        ("https://commonthreads.org/a/very/long/path?with=a&query=string", 23),
        ("http://t.co", 23),
        ("see care.social now", 4 + 23 + 4),
        ("wp.me/p1", 23),
        ("node.js and v4.17", 17),
        ("#SocialCareFuture", 17),
        ("two https://a.org https://b.org", 4 + 23 + 1 + 23),
    ],
)
def test_x_weighs(text, weight):
    assert X.measure(text) == weight


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("", 0),
        ("hello", 5),
        (FAMILY, 1),
        ("https://commonthreads.org/a/very/long/path?with=a&query=string", 23),
        ("https://a.org", 23),
        ("(see https://a.org/b_(c)).", 5 + 23 + 2),
        ("https://a.org/x, then", 23 + 6),
        ("care.social", 11),
        ("@ada@example.social hi", 7),
        ("mail ada@example.social", 23),
    ],
)
def test_mastodon_counts(text, characters):
    assert MASTODON.measure(text) == characters


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a" * 300, True),
        ("a" * 301, False),
        ("é" * 300, True),
        (FAMILY * 120, True),  # 25 bytes each: 3,000
        (FAMILY * 121, False),
        ("https://commonthreads.org/" + "a" * 274, True),
        ("https://commonthreads.org/" + "a" * 275, False),
    ],
)
def test_bluesky_takes(text, fits):
    assert BLUESKY.fits(text) is fits


def test_limits():
    assert X.fits("a" * 280)
    assert not X.fits("a" * 281)
    assert X.fits("a " * 128 + "https://example.org/" + "b" * 500)
    assert MASTODON.fits("a" * 500)
    assert not MASTODON.fits("a" * 501)


def test_links_are_found_as_the_strictest_network_finds_them():
    text = "care.social, https://a.org/b. and node.js"
    assert sorted(links_in(text)) == ["care.social", "https://a.org/b"]


@pytest.mark.parametrize("hostile", ["a." * 20_000, "a. " * 3000, "👍." * 300, "www." * 1000,
                                     "https://x" + ")" * 9000, "@a" * 9000, "a" * 100_000])  # fmt: skip
def test_a_hostile_text_is_measured_at_once_and_never_fits(hostile):
    assert not any(network.fits(hostile) for network in NETWORKS.values())


@settings(deadline=None)  # the first measuring loads the parser
@given(st.text(max_size=200), st.text(max_size=50))
def test_a_line_more_never_makes_a_text_shorter(text, more):
    for network in NETWORKS.values():
        assert network.measure(f"{text}\n{more}") >= network.measure(text)
