"""Hashtags: which, how they are written, and where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.social.hashtags import TagPlan, camel_case, choose_tags, fault, into_text, tags_in


def chosen(campaign="IPC", categories=(), *, use=False, **plan):
    return choose_tags(campaign, categories, TagPlan(categories=use, **plan))


def test_the_campaign_tag_comes_first_then_other_themes_then_categories():
    tags = chosen(categories=("mental health",), others=("Funding",), use=True)
    assert tags.shown == ("IPC", "Funding", "MentalHealth")
    assert tags.campaign == "IPC"


def test_categories_are_tags_only_where_config_says_so():
    assert chosen(categories=("mental health",)).shown == ("IPC",)


@pytest.mark.parametrize(
    ("category", "tag"),
    [
        ("mental health", "MentalHealth"),
        ("co-production", "CoProduction"),
        ("children’s services", "ChildrensServices"),
        ("Health & Social Care", "HealthAndSocialCare"),
        ("PbR", "PbR"),
        ("#ipc", "Ipc"),
        ("über uns", "ÜberUns"),
        ("हिन्दी समाचार", "हिन्दीसमाचार"),
        ("介護", "介護"),
    ],
)
def test_a_category_becomes_a_tag_that_a_screen_reader_can_read(category, tag):
    assert camel_case(category) == tag
    assert fault(tag) == ""


def test_config_spells_tags():
    tags = chosen("socialcarefuture", ("pbr",), spelling=("SocialCareFuture", "PbR"), use=True)
    assert tags.shown == ("SocialCareFuture", "PbR")


def test_a_declared_tag_stays_as_it_is_declared():
    assert chosen("socialcarefuture").shown == ("socialcarefuture",)


@pytest.mark.parametrize(
    ("category", "reason"),
    [
        ("2026", "a hashtag needs a letter"),
        ("C++", "'+' ends a hashtag"),
        ("R&D", "'&' ends a hashtag"),
        ("a.b", "'.' ends a hashtag"),
        ("-", "a hashtag needs a letter"),
        ("", "a hashtag needs a letter"),
        ("👍", "a hashtag needs a letter"),
        ("care👍", "'👍' ends a hashtag"),
        ("uncategorised", "it says nothing"),
        ("x" * 65, "over 64 characters"),
        ("Housing", "it is on the block list"),
    ],
)
def test_what_makes_no_tag_is_refused_with_the_reason(category, reason):
    tags = chosen(categories=(category,), use=True, block=("housing",))
    assert tags.shown == ("IPC",)
    assert tags.notes == (f"no hashtag of {category!r}: {reason}",)


def test_tags_that_differ_in_case_are_one():
    tags = chosen(categories=("ipc", "FUNDING", "funding"), others=("Funding",), use=True)
    assert tags.shown == ("IPC", "Funding")


def test_what_is_over_the_cap_is_kept_apart():
    tags = chosen(others=("A1", "B1", "C1"), most=2)
    assert (tags.shown, tags.over) == (("IPC", "A1"), ("B1", "C1"))
    assert chosen(most=0).shown == ()


def test_a_blocked_campaign_has_no_tag():
    tags = chosen(block=("ipc",))
    assert (tags.campaign, tags.shown) == (None, ())


@pytest.mark.parametrize(
    ("text", "tag", "expected"),
    [
        (
            "On payment by results, again",
            "PaymentByResults",
            "On #PaymentByResults, again",
        ),
        ("A social care future. Social care future!", "SocialCareFuture", None),
        ("the SOCIALCAREFUTURE", "SocialCareFuture", "the #SocialCareFuture"),
        ("#socialcarefuture is", "SocialCareFuture", "#SocialCareFuture is"),
        ("IPC, explained", "IPC", "#IPC, explained"),
        ("what it is", "IT", "what it is"),
        ("care.social/socialcarefuture", "SocialCareFuture", "care.social/socialcarefuture"),
        ("“social care future”", "SocialCareFuture", "“social care future”"),
        ("social care future’s end", "SocialCareFuture", "social care future’s end"),
        ("an anti-funding vote", "Funding", "an anti-funding vote"),
        ("fundings", "Funding", "fundings"),
        ("no mention", "Funding", "no mention"),
        ("social\ncare future", "SocialCareFuture", "social\ncare future"),
        ("मानसिक स्वास्थ्य है", "मानसिकस्वास्थ्य", "मानसिक स्वास्थ्य है"),
    ],
)
def test_the_first_mention_of_a_tags_words_becomes_the_tag(text, tag, expected):
    if expected is None:
        expected = text.replace("social care future", "#SocialCareFuture", 1)
    assert (into_text(text, tag) or text) == expected


def test_a_tag_in_text_is_one_on_every_network():
    assert tags_in("#A (#B) #C, x#D #हिन्दी. #2026 “#E” #F…") == ["A", "C", "हिन्दी", "F"]


@given(st.text(max_size=100))
def test_any_category_is_a_good_tag_or_refused(category):
    tags = chosen(categories=(category,), use=True)
    assert len(tags.shown) == 2 or tags.notes or tags.shown == ("IPC",)
    assert tags_in(" ".join(f"#{tag}" for tag in tags.shown)) == list(tags.shown)
