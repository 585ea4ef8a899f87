"""Threads: root, key sentences of the post, the link once, all proved to fit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.errors import ConfigError
from digest.model import Image, Part, Post, PostLink
from digest.social.hashtags import TagPlan
from digest.social.networks import BLUESKY, NETWORKS, X, links_in
from digest.social.style import Style
from digest.social.thread import Subject, Thread, Unthreadable, make_thread
from digest.social.wording import fill, inert

TEMPLATES = Path(__file__).parents[2] / "templates"
DAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
URL = "https://commonthreads.org/2026/01/05/the-joins/"
TEXT = """The joins tell you whether a jumper will last, and nobody looks at them.

Services are judged by what they do in the middle. People live with what happens at the joins \
between services. A plan is only as good as the joins between the people who hold it.

But it is the joins that nobody is paid for. Somebody ought to be."""


def a_post(title="The joins", text=TEXT, url=URL) -> Post:
    image = Image("https://commonthreads.org/joins.png", "A jumper, inside out")
    return Post(1, "g", url, title, "A. Writer", DAY, DAY, (), "", text, "", image, 1)


def a_subject(part=2, title="Integrated Personal Commissioning") -> Subject:
    link = PostLink("One", "https://commonthreads.org/one/")
    stands = part and Part("ipc", title, "IPC", part, 5, "why", link, link, None)
    return Subject("series:ipc", title, "IPC", stands or None)


def a_style(**asked) -> Style:
    usual = {
        "form": "thread",
        "most": 5,
        "text": "key",
        "link": "last",
        "card": True,
        "pictures": True,
        "alt_text": "required",
        "tags": TagPlan(),
    }
    return Style(**(usual | asked))


def a_thread(post, network=X, most=5, *, subject=None, templates=TEMPLATES, **asked):
    def say(name, **values):
        return fill(templates, f"{name}.txt", **values)

    style = a_style(most=most, **asked)
    return make_thread(post, subject or a_subject(), network, style, say)


def texts(thread) -> list[str]:
    assert isinstance(thread, Thread), thread
    return [snippet.text for snippet in thread.snippets]


def test_the_root_says_what_it_is_part_of():
    root, *_ = texts(a_thread(a_post()))
    assert root == "The joins\n\nPart 2 of 5: Integrated Personal Commissioning\n\n1/5\n\n#IPC"


def test_a_thread_under_a_theme_has_no_part():
    root, *_ = texts(a_thread(a_post(), subject=a_subject(part=None, title="Funding")))
    assert root == "The joins\n\nFunding\n\n1/5\n\n#IPC"


def test_a_series_of_one_is_not_counted():
    alone = replace(a_subject(), part=replace(a_subject().part, part=1, of=1))
    root, *_ = texts(a_thread(a_post(), subject=alone))
    assert root.split("\n\n")[1] == "Integrated Personal Commissioning"


def test_items_are_sentences_of_the_post_in_its_order():
    _, *items, last = texts(a_thread(a_post()))
    said = [text.split("\n")[0] for text in (*items, last)]
    assert all(sentence in TEXT for sentence in said)
    assert said == sorted(said, key=TEXT.index)
    assert [text.rsplit("\n")[-1] for text in (*items, last)] == ["2/5", "3/5", "4/5", "5/5"]


def test_the_link_stands_on_the_last_snippet_only():
    *before, last = texts(
        a_thread(a_post(text=f"{TEXT}\n\nSee https://other.org/x and care.social for it."))
    )
    assert links_in(last) == [URL]
    assert not any(links_in(text) for text in before)


def test_what_looks_like_a_link_or_a_mention_in_a_post_stays_text():
    thread = a_thread(a_post(title="care.social, https://x.org and @ada"))
    root, *_ = texts(thread)
    assert links_in(root) == []
    assert "@ada" not in root
    assert root.replace("\N{WORD JOINER}", "").startswith("care.social, https://x.org and @ada")


def test_the_image_stands_on_the_root_only():
    thread = a_thread(a_post())
    assert [snippet.image is not None for snippet in thread.snippets] == [
        True,
        False,
        False,
        False,
        False,
    ]


def test_measured_is_what_the_network_counts():
    for network in NETWORKS.values():
        for snippet in a_thread(a_post(), network).snippets:
            assert snippet.measured == network.measure(snippet.text) <= network.limit


def test_one_snippet_alone_bears_the_link_and_no_counter():
    (only,) = texts(a_thread(a_post(), most=1))
    assert only == f"The joins\n\nPart 2 of 5: Integrated Personal Commissioning\n\n{URL}\n\n#IPC"


@pytest.mark.parametrize("text", ["", "   \n\n "])
def test_a_post_without_text_is_one_snippet(text):
    assert len(texts(a_thread(a_post(text=text)))) == 1


def test_a_list_without_sentences_is_taken_from_its_beginning():
    _, last = texts(a_thread(a_post(text="bread\n\nsalt\n\nwater")))
    assert last.startswith("bread salt water")


def test_a_title_too_long_is_cut_at_a_word_and_noted():
    thread = a_thread(a_post(title="word " * 200))
    assert texts(thread)[0].split("\n")[0].endswith("word…")
    assert thread.notes == ("the title was cut to fit",)


def test_a_link_too_long_for_a_network_is_said_not_cut():
    post = a_post(url=URL + "x" * 300)
    found = a_thread(post, BLUESKY)
    assert isinstance(found, Unthreadable)
    assert "over the 300 characters of Bluesky" in found.reason
    assert isinstance(a_thread(post, X), Thread)


@pytest.mark.parametrize(
    "note",
    [
        "This post is one in a series on Integrated Personal Commissioning, so the joins matter.",
        "The full series on the joins between services is introduced and linked to here.",
    ],
)
def test_a_note_on_the_series_is_no_key_sentence(note):
    assert not any(note in item for item in texts(a_thread(a_post(text=f"{note} {TEXT}"))))


def test_post_text_is_never_a_template():
    hostile = "{{ 7*7 }} {% raw %} {{ title.__class__ }} stands here for all to see, unchanged."
    thread = a_thread(a_post(title="{{ 7*7 }}", text=hostile))
    assert texts(thread)[0].startswith("{{ 7*7 }}")
    assert texts(thread)[1].startswith("{{ 7*7 }} {% raw %}")


def test_a_template_cannot_reach_out_of_its_values(tmp_path):
    (tmp_path / "social/thread").mkdir(parents=True)
    for name in ("root", "item", "last"):
        (tmp_path / f"social/thread/{name}.txt").write_text("{{ ''.__class__.__mro__ }}")
    with pytest.raises(ConfigError, match=r"templates/social/thread/item\.txt"):
        a_thread(a_post(), templates=tmp_path)


def test_an_unknown_value_or_missing_template_names_the_file(tmp_path):
    (tmp_path / "social").mkdir()
    (tmp_path / "social/a.txt").write_text("{{ nothing }}")
    with pytest.raises(ConfigError, match=r"a\.txt: line 1: UndefinedError"):
        fill(tmp_path, "a.txt")
    with pytest.raises(ConfigError, match=r"b\.txt: TemplateNotFound"):
        fill(tmp_path, "b.txt")


def test_characters_that_networks_refuse_go():
    assert inert("a\x00b\ufeffc\ud800d\x1be") == "abcde"


WORDS = st.sampled_from(
    [
        "joins",
        "Services",
        "care.social",
        "https://x.org/a",
        "@ada@b.social",
        "#tag",
        "👨‍👩‍👧‍👦",
        "日本語",
        "end.",
        "“So?”",
        "\n\n",
        "a." * 30,
        "x" * 400,
        "{{ x }}",
        "\x00",
        "…",
    ]
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(WORDS, max_size=80).map(" ".join) | st.text(max_size=300),
    st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=80),
    st.sampled_from(list(NETWORKS.values())),
    st.integers(1, 25),
)
def test_any_post_gives_snippets_that_fit_with_the_link_once(text, title, network, most):
    thread = a_thread(a_post(title, text), network, most)
    assert 1 <= len(thread.snippets) <= most
    assert all(network.fits(snippet.text) for snippet in thread.snippets)
    assert [links_in(text) for text in texts(thread)] == [[]] * (len(thread.snippets) - 1) + [[URL]]


def test_the_same_post_gives_the_same_thread():
    again = partial(a_thread, a_post())
    assert again() == again()
