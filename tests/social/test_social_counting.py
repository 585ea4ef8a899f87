"""Counting as X does: never less than its own library, and where more, for a reason."""

from __future__ import annotations

import json
import random
import subprocess
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.social.hashtags import tags_in
from digest.social.networks import X, network_of
from digest.social.weighing import weight, x_links

HERE = Path(__file__).parent / "twitter_text"
#: What twitter-text 3.1.0, X's own library, made of the texts of texts.py.
OFFICIAL = json.loads((HERE / "counts.json").read_text())

#: Where we count more than X's library of 2021, and why that is right to do.
DIFFERENCES = {
    "a host by itself costs its own length where that is more than a link: its ending may go": [
        "a-very-long-name-of-a-house-by-itself.org",
        "care.social/a/very/long/path/that/goes/on/and/on?and=on",
        "one.two.three.four.five.six.seven.eight.nine.ten.eleven.twelve.thirteen.uk",
    ],
    "an ending that is unknown today may be one tomorrow, and then a link": [
        "socialcare.future",
        "a.newtld and another.unknownending/path",
        "https://a.newtld/a/path/that/is/long/enough/to/tell",
        "end.Next sentence.Here we go.Then",
        "care.socialx",
        "fish.and.chips and.so.on",
    ],
    "no two parsers agree on where a host without a scheme begins and ends amid other letters": [
        "commonthreads.org/über",
        "care.sociäl",
        "müller.de",
    ],
    "emoji that the library knows by a form that Unicode no longer lists": [
        "👁‍🗨",
        "🤵‍♀️",
        "3⃣",
    ],
    "signs that the parser takes for emoji always, the library only where they are made so": [
        "© ®",
        "©«¬®",
    ],
}
KNOWN = tuple(chain.from_iterable(DIFFERENCES.values()))


def test_the_texts_are_many():
    assert len(OFFICIAL) >= 500


def test_a_text_weighs_what_x_says():
    wrong = [one for one in OFFICIAL if not _is_known(one) and weight(one["text"]) != one["weight"]]
    assert wrong == []


def test_or_more_for_a_known_reason():
    known = [one for one in OFFICIAL if _is_known(one)]
    assert all(weight(one["text"]) > one["weight"] for one in known)
    assert all(any(fragment in one["text"] for one in known) for fragment in KNOWN)


def test_links_are_those_that_x_makes():
    for official in OFFICIAL:
        assert x_links(official["text"]) == official["links"]


def test_what_we_call_a_tag_is_one_on_x():
    for official in OFFICIAL:
        assert set(tags_in(official["text"])) <= set(official["tags"])


@given(st.lists(st.sampled_from([one["text"] for one in OFFICIAL]), min_size=1, max_size=5))
def test_words_weigh_the_same_wherever_they_stand(texts):
    parts = [text.strip(" \n") for text in texts]
    assert weight(" ".join(parts)) == sum(map(weight, parts)) + len(parts) - 1


def test_defusing_a_link_costs_no_more_than_the_mark():
    assert weight("care\N{WORD JOINER}.social") == len("care.social") + 2


def test_an_instance_says_how_much_it_takes_and_what_links_cost():
    from digest.model import Limits

    limits = Limits(5000, 30, 1, ())
    mastodon = network_of("mastodon", limits)
    assert (mastodon.limit, mastodon.link_weight) == (5000, 30)
    assert mastodon.measure("see https://commonthreads.org/2026/the-joins/and/more") == 34
    assert network_of("x", None) == X


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        # Mastodon may make no link of these, and then counts them as they are.
        ("http://127.0.0.1:8765/2026/01/05/the-joins/", 43),
        ("https://localhost/a", 23),
        ("https://a.newtld", 23),
        # A newer Unicode takes conjuncts together; an older server does not.
        ("क्ष", 2),
    ],
)
def test_in_doubt_mastodon_is_counted_at_its_dearest(text, characters):
    assert network_of("mastodon").measure(text) == characters


@pytest.mark.npm
def test_x_itself_still_counts_so():
    texts = [one["text"] for one in OFFICIAL]
    assert _count(texts) == OFFICIAL


@pytest.mark.npm
def test_every_emoji_weighs_what_x_says_or_more():
    assert weight("😀") == 2  # loads the parser, which warns of itself where nobody listens
    from twitter_text.regexp.emoji import emoji_list

    emoji = [one.emoji for one in emoji_list]
    toned = [f"{one}{tone}" for one in emoji if len(one) == 1 for tone in "🏻🏿"]
    for official in _count([*emoji, *toned]):
        assert weight(official["text"]) >= official["weight"], official


@pytest.mark.npm
@pytest.mark.parametrize("seed", range(4))
def test_a_jumble_weighs_what_x_says_or_more(seed):
    chance = random.Random(seed)
    jumbles = ["".join(_scrap(chance) for _ in range(chance.randint(1, 8))) for _ in range(10_000)]
    for official in _count(jumbles):
        assert weight(official["text"]) >= official["weight"], official


def _is_known(official: dict) -> bool:
    return any(fragment in official["text"] for fragment in KNOWN)


def _scrap(chance: random.Random) -> str:
    ranges = [(32, 0x2FF), (0x2000, 0x2FFF), (0x1F000, 0x1FFFF), (0x200D, 0x200D), (0xFE0F, 0xFE0F)]
    return chance.choice(
        [
            chance.choice(OFFICIAL)["text"][: chance.randint(1, 20)],
            chr(chance.randint(*chance.choice(ranges))),
            chance.choice([".", "://", "https://a.org", "/", "-", "@", "#", "x.com", ".co", " "]),
        ]
    )


def _count(texts: list[str]) -> list[dict]:
    counted = subprocess.run(
        ["node", "count.mjs"],
        cwd=HERE,
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(counted.stdout)
