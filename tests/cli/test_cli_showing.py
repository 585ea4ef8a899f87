"""What runs show as Markdown: words from outside stay words."""

from __future__ import annotations

import pytest

from digest.issues.freeze import Share
from digest.issues.preview import PickLine
from digest.model import Check, Pick, Severity
from digest.showing import checks_markdown, picks_markdown, plain, shares_markdown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a | b", r"a \| b"),
        ("# no heading", r"\# no heading"),
        ("[x](y)", r"\[x\]\(y\)"),
        ("<img src=x>", r"\<img src\=x\>"),
        ("two\nlines", "two lines"),
        ("“quoted” – naïve", "“quoted” – naïve"),
    ],
)
def test_punctuation_is_only_punctuation(text, shown):
    assert plain(text) == shown


@pytest.mark.parametrize(
    "text", ["http://x.example/", "www.x.example", "HTTPS://X.example", "a@b.c"]
)
def test_an_address_does_not_become_a_link(text):
    assert "\N{WORD JOINER}" in plain(text)
    assert plain(text).replace("\N{WORD JOINER}", "").replace("\\", "") == text


def test_picks_in_and_out_stand_with_their_reasons():
    lines = [
        PickLine("1", "In | or out", Pick(1, is_in=True, position=1, reason="new", code="in")),
        PickLine("2", "Out", Pick(2, is_in=False, position=None, reason="the cap", code="cap")),
    ]
    shown = picks_markdown(lines)
    assert r"| 1 | In \| or out | new |" in shown
    assert "| out | Out | the cap |" in shown
    assert picks_markdown([]) == "No post was a candidate.\n"


def test_errors_come_first():
    checks = [Check("a", Severity.NOTE, "small"), Check("b", Severity.ERROR, "large")]
    shown = checks_markdown(checks)
    assert shown.index("large") < shown.index("small")


def test_variants_are_counted_and_named():
    shown = shares_markdown([Share(5, 3, "All of it"), Share(2, 1, "Less")], 3)
    assert "**7** recipients in **2** variants" in shown
    assert "| 2 | 1 | Less |" in shown
    assert shares_markdown([Share(5, 3, "All")], 3) == "**5** recipients, one variant.\n"
    assert "one variant of 2 of the 3 posts" in shares_markdown([Share(5, 2, "All")], 3)
    assert shares_markdown([], 3) == "As things stand nobody would get it.\n"
