"""What the flows show of threads: lists that fit a phone, with nothing of a post as markup."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from digest.config import Config
from digest.reporting import published_markdown, published_words, threads_markdown
from digest.social.planned import Planned, PlanReport
from digest.social.press import Line, PublishReport
from digest.store.social import PlannedSnippet

SLOT = datetime(2026, 7, 6, 8, 30, tzinfo=UTC)
SITE = {"name": "Common Threads", "url": "https://c.org/", "contact": "c@c.org",
        "postal_address": "1 Road", "links_url": "https://c.org/"}  # fmt: skip
CONFIG = Config.model_validate(
    {"site": SITE, "mailers": {}, "feeds": {}, "newsletters": {}, "channels": {"x": {"network": "x"}}}
)  # fmt: skip
EVIL = "[a](http://evil.example) <b> | `x` # https://evil.example"


def said(markdown: str) -> str:
    """The words as they show: nothing stands for itself but what was escaped."""
    return markdown.replace("\\", "").replace("\N{WORD JOINER}", "")


def a_plan(*planned, **fields):
    return PlanReport(planned, dry_run=False, **fields)


def a_thread(**fields):
    snippets = (PlannedSnippet("First\n\nwords", 41, None, SLOT),)
    thread = Planned("x", 1, "A title", "part 1 of 2", "series:s", is_in=True, snippets=snippets)
    return replace(thread, thread_id=7, limit=280, **fields)


def test_a_plan_shows_each_snippet_with_its_slot_and_count():
    told = said(
        threads_markdown(
            a_plan(
                a_thread(cost="about $0.20", price=Decimal("0.2"), notes=("the title was cut",)),
                Planned("x", 2, "Another", "in no series that x takes", ""),
                silent={"x": "silent on 2026-07-06"},
            ),
            CONFIG,
        )
    )
    assert told.startswith("**1** threads planned; x about $0.20.\n")
    assert "#### Thread 7 on x: A title\n" in told
    assert "1. Mon 06 Jul 2026 09:30 BST · 41 of 280 · First words\n" in told
    for words in ("part 1 of 2", "about $0.20", "the title was cut"):
        assert f"- {words}\n" in told
    assert "#### Left out: 1\n\n- x: Another: in no series that x takes\n" in told
    assert "Nothing old is brought back on x: silent on 2026-07-06." in told


def test_a_plan_of_nothing_says_so():
    assert "No post has arrived" in threads_markdown(a_plan(), CONFIG)


def test_a_long_plan_says_how_much_it_does_not_show():
    told = threads_markdown(a_plan(*[a_thread(title=f"T{n}") for n in range(60)]), CONFIG)
    assert told.count("#### Thread") == 50
    assert "and 10 before these" in told


def a_report(*lines, **fields):
    return PublishReport(lines, **({"faults": {}, "uncertain": 0, "dry_run": False} | fields))


def test_what_was_published_stands_under_its_thread_with_its_address():
    url = "https://n.example/@a/1"
    lines = [
        Line("x", "A title", 1, 2, "submitted", url=url, thread=7),
        Line("x", "A title", 2, 2, "refused", "too long", thread=7),
    ]
    told = said(
        published_markdown(
            a_report(*lines, notices=("x was stopped: 401",), faults={"x": "401", "y": "no room"})
        )
    )
    assert "#### Thread 7 on x: A title\n\n- 1 of 2: [submitted](<https://n.example/@a/1>)" in told
    assert "- 2 of 2: refused, too long" in told
    assert "**Notice**: x was stopped: 401." in told
    assert "y is not through: no room" in told
    # The notice has said it.
    assert "x is not through" not in told


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///home/x", "", "https://n/>)[x](y"])
def test_no_address_breaks_out_of_its_link(url):
    told = published_markdown(a_report(Line("x", "T", 1, 1, "submitted", url=url, thread=1)))
    row = next(line for line in told.splitlines() if line.startswith("- 1 of 1"))
    assert row in {"- 1 of 1: submitted", "- 1 of 1: [submitted](<https://n/%3E%29%5Bx%5D%28y>)"}


def test_nothing_of_a_post_or_network_becomes_markup():
    told = threads_markdown(a_plan(a_thread(title=EVIL, reason=EVIL, notes=(EVIL,))), CONFIG)
    told += published_markdown(
        a_report(Line("x", EVIL, 1, 1, "refused", EVIL, thread=1), notices=(EVIL,))
    )
    assert "](http" not in told
    assert "<b>" not in told
    assert "https://evil" not in told


def test_a_run_says_it_in_a_sentence():
    assert published_words(a_report()) == "no slot has come since the last run"
    lines = [Line("x", "T", n, 3, "submitted") for n in (1, 2)]
    full = a_report(*lines, faults={"x": "401"}, notices=("x was stopped: 401",), uncertain=1)
    assert published_words(full) == (
        "2 submitted; x was stopped: 401; 1 uncertain: looked up by the next run, or settle them"
    )
    assert published_words(a_report(faults={"x": "quiet"})) == "x is not through: quiet"
