"""Matching by rule: what fits, what does not, and the reason given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from digest.config import Matcher, Theme
from digest.model import Post
from digest.picks.match import match

DAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


def a_post(number=1, *, title="A title", text="Some words.", categories=(), url="", day=0) -> Post:
    url = url or f"https://blog.example/{number}/"
    when = DAY + timedelta(days=day)
    return Post(
        number, f"https://blog.example/?p={number}", url, title, "A. Writer", when, when,
        tuple(categories), "", text, "", None, 1,
    )  # fmt: skip


@pytest.mark.parametrize("category", ["PbR", "pbr", "#PBR", "  pbr "])
def test_a_category_is_compared_without_case_or_hash(category):
    assert match(a_post(categories=["News", category]), Matcher(categories=("pbr",)))


def test_the_reason_shows_the_category_as_the_blog_writes_it():
    why = match(a_post(categories=["PbR"]), Matcher(categories=("#pbr",)))
    assert why == "category “PbR”"


def test_a_part_of_a_category_is_not_the_category():
    assert match(a_post(categories=["PbR news"]), Matcher(categories=("pbr",))) is None


@pytest.mark.parametrize(
    "title", ["The blog’s introduction", "The blog's  Introduction", "The blog\u00a0s introduction"]
)
def test_a_title_is_searched_without_case(title):
    assert match(a_post(title=title), Matcher(titles=("introduction",)))


def test_a_typed_quote_in_a_pattern_fits_a_curly_one():
    why = match(a_post(title="The minister’s visit"), Matcher(titles=("minister's",)))
    assert why == "title matches “minister's”"


@pytest.mark.parametrize(
    "text",
    [
        "This post is one in a series on Payment by Results, written in haste.",
        "This post is ONE IN A SERIES\n\non  Payment by\u00a0Results.",
        "one in a se\u00adries on payment by results",
    ],
)
def test_a_phrase_is_found_however_it_was_typed(text):
    matcher = Matcher(phrases=("one in a series on Payment by Results",))
    assert match(a_post(text=text), matcher) == "text says “one in a series on Payment by Results”"


@pytest.mark.parametrize("text", ["someone in a series on PbR", "one in a series on PbRs"])
def test_a_phrase_respects_word_boundaries(text):
    assert match(a_post(text=text), Matcher(phrases=("one in a series on PbR",))) is None


def test_curly_quotes_and_dashes_are_as_good_as_typed_ones():
    matcher = Matcher(phrases=('a "whole-system" view',))
    assert match(a_post(text="Take a “whole–system” view of it"), matcher)


@pytest.mark.parametrize(
    "text",
    ["#socialcarefuture", "(#SocialCareFuture)", "see #socialcarefuture.", "＃socialcarefuture"],
)
def test_a_hashtag_is_found_as_a_whole_tag(text):
    why = match(a_post(text=text), Matcher(hashtags=("socialcarefuture",)))
    assert why == "hashtag #socialcarefuture in the text"


@pytest.mark.parametrize(
    "text",
    [
        "#socialcarefutures",
        "#socialcarefuture2",
        "https://x.example/#socialcarefuture",
        "https://x.example/a#socialcarefuture",
        "&#socialcarefuture",
        "socialcarefuture",
        "##socialcarefuture",
    ],
)
def test_what_only_looks_like_the_hashtag_is_not(text):
    assert match(a_post(text=text), Matcher(hashtags=("socialcarefuture",))) is None


def test_a_hashtag_in_the_title_says_so():
    why = match(a_post(title="On #IPC"), Matcher(hashtags=("ipc",)))
    assert why == "hashtag #ipc in the title"


@pytest.mark.parametrize(
    "declared",
    ["https://blog.example/7/", "http://BLOG.example/7", "https://blog.example/?p=7"],
)
def test_a_post_can_be_named_by_url_or_permanent_id(declared):
    assert match(a_post(number=7), Matcher(urls=(declared,))) == "named by its URL"
    assert match(a_post(number=8), Matcher(urls=(declared,))) is None


def test_hostile_posts_are_simply_not_of_the_series():
    matcher = Matcher(
        categories=("a",), titles=("a{2}b",), phrases=("a b",), hashtags=("a",), urls=("http://a/",)
    )
    broken = a_post(url="http://[", title="(" * 999, text="\\1 (?:#" * 999, categories=["", "#"])
    assert match(broken, matcher) is None


def test_an_empty_matcher_matches_nothing():
    assert match(a_post(categories=[""], text=""), Matcher()) is None


@pytest.mark.parametrize("term", ["*", "a*", "in*tegration", "one, two", "people's", "a  b", ""])
def test_a_term_that_could_never_or_always_be_found_is_refused(term):
    with pytest.raises(ValidationError):
        Theme(title="T", hashtag="T", terms={term: 1})
