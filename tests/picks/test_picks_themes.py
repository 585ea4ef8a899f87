"""Themes: found by weighted terms, quiet where a term is only mentioned."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from digest.config import Matcher, Theme
from digest.model import Post
from digest.picks.themes import theme_finder

DAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
FILLER = "The bus went past the library and on to the sea. "


def a_post(text="", title="A title", categories=()) -> Post:
    return Post(
        1, "g", "https://blog.example/1/", title, "A. Writer", DAY, DAY, tuple(categories),
        "", text, "", None, 1,
    )  # fmt: skip


def why(post: Post, terms: dict[str, float], **more) -> str | None:
    theme = Theme(title=more.pop("title", "Funding"), hashtag="T", terms=terms, **more)
    return theme_finder({"t": theme})(post).get("t")


def test_a_long_post_that_mentions_a_term_once_is_not_about_it():
    terms = {"funding": 3}
    assert why(a_post(FILLER * 80 + "So much for funding."), terms) is None
    assert why(a_post("Funding! The funding of this funding; funding." + FILLER * 20), terms)


def test_repeating_one_term_has_diminishing_returns():
    assert why(a_post("money " * 300), {"money": 1}) is None


def test_a_tag_or_title_weighs_more_than_the_text():
    terms = {"funding": 2}
    assert why(a_post(FILLER, title="On funding"), terms)
    assert why(a_post(FILLER, categories=["Funding"]), terms)
    assert why(a_post(FILLER + "funding"), terms) is None


def test_the_reason_names_what_was_found_strongest_first():
    post = a_post("Budgets, a budget, budgets." + FILLER, "On cuts", ["Funding"])
    reason = why(post, {"funding": 3, "cuts": 2, "budget*": 1})
    assert reason == "about funding: tag “Funding”, “cuts” in the title, “budgets” ×2, “budget”"


def test_a_reason_names_four_findings_at_most_and_says_that_there_are_more():
    terms = dict.fromkeys(["one", "two", "three", "four", "five"], 3)
    reason = why(a_post("one two three four five"), terms)
    assert reason
    assert reason.count("“") == 4
    assert reason.endswith(", …")


@pytest.mark.parametrize(
    "text", ["co-production", "co production", "Co–Production", "co\nproduction"]
)
def test_a_term_of_several_words_matches_across_hyphen_and_white_space(text):
    assert why(a_post(text), {"co-production": 9})


@pytest.mark.parametrize(
    "text", ["co. Production", "co, production", "coproduction", "co-productions"]
)
def test_but_not_across_a_sentence_nor_as_part_of_a_word(text):
    assert why(a_post(text), {"co-production": 9}) is None


def test_a_star_matches_endings_only():
    terms = {"integrat*": 9}
    assert why(a_post("integrated care"), terms)
    assert why(a_post("the integrator’s tale"), terms)
    assert why(a_post("disintegrating"), terms) is None


def test_the_longest_term_takes_its_words():
    terms = {"budget*": 9, "personal budget*": 0.1}
    assert why(a_post("a personal budget"), terms) is None
    assert why(a_post("a budget"), terms)


def test_two_themes_may_share_a_word():
    themes = {
        slug: Theme(title=slug, hashtag="T", terms={"personal budget": 9}) for slug in ("b", "a")
    }
    assert list(theme_finder(themes)(a_post("a personal budget"))) == ["b", "a"]


def test_addresses_are_not_read():
    assert why(a_post("see https://x.example/funding/funding-cuts"), {"funding": 9}) is None


def test_two_terms_in_one_tag_count_once():
    terms = {"mental": 1, "health": 1}
    assert why(a_post(FILLER, categories=["Mental health"]), terms) is None


def test_excludes_win():
    post = a_post("funding", categories=["Funding"])
    assert why(post, {"funding": 3}, exclude=Matcher(categories=("funding",))) is None


def test_a_title_in_capitals_stays_so_in_the_reason():
    assert (why(a_post("nhs"), {"nhs": 9}, title="NHS") or "").startswith("about NHS: ")


def test_an_empty_post_is_about_nothing():
    assert why(a_post("", ""), {"funding": 9}) is None
