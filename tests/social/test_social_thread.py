"""Threads: root, key sentences of the post, the link once, all proved to fit."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.config_social import Channel, Hashtags
from digest.errors import ConfigError
from digest.model import Image, Limits, Part, Post, PostLink
from digest.social.fit import sentences
from digest.social.graphemes import graphemes
from digest.social.hashtags import TagPlan, tags_in
from digest.social.networks import BLUESKY, MASTODON, NETWORKS, X, links_in, network_of
from digest.social.style import Style, style_of
from digest.social.thread import LinkCard, Subject, Thread, Unthreadable, make_thread
from digest.social.wording import WORD_JOINER, fill, inert

#: What Mastodon makes a hashtag of, or anything that is like one.
MASTODON_TAG = re.compile(r"(?<![\w&/])#(\w*[^\W\d_]\w*)")
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
    assert last.startswith("bread\nsalt\nwater\n\n")


def test_what_is_cut_short_announces_nothing_more():
    text = "The list of " + ", ".join(f"thing {n}" for n in range(200)) + ": that was all"
    _, last = texts(a_thread(a_post(text=text)))
    assert re.search(r"\w…\n", last)


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


WHOLE = (
    "One sentence stands here. Another one follows it, longer than the first was. "
    "And a third, which ends the paragraph.\n\nA new paragraph begins. "
) * 6


def said(snippet: str) -> str:
    """The words of the post in a snippet, as they stood there."""
    text = re.split(r"\n\n(?:\d+/\d+|Read the whole|There is more|https)", f"\n\n{snippet}")[0]
    return text.strip().replace(WORD_JOINER, "")


def test_the_whole_text_is_split_at_sentences_over_the_snippets():
    _, *rest = texts(a_thread(a_post(text=WHOLE), text="whole", most=25))
    assert "\n\n".join(map(said, rest)).split() == WHOLE.split()
    assert all(said(text).endswith(".") for text in rest)
    assert [text.split("\n\n")[-1] for text in rest] == ["2/5", "3/5", "4/5", "5/5"]
    assert "begins.\n\nOne" not in rest[0]
    assert "paragraph.\n\nA new" in rest[0]


def test_what_the_most_snippets_cannot_hold_is_left_to_the_link_and_said():
    thread = a_thread(a_post(text=WHOLE), text="whole", most=3)
    *_, last = texts(thread)
    assert len(texts(thread)) == 3
    assert f"There is more to read: {URL}" in last
    kept = sum(len(said(text).split()) for text in texts(thread)[1:])
    total = len(WHOLE.split())
    assert f"the last {total - kept} of {total} words are left to the link" in thread.notes


def test_counters_of_two_digits_have_their_room():
    thread = a_thread(a_post(text=WHOLE * 3), text="whole", most=25)
    assert len(texts(thread)) > 10
    assert [text.split("\n\n")[-1] for text in texts(thread)[1:]] == [
        f"{n}/{len(texts(thread))}" for n in range(2, len(texts(thread)) + 1)
    ]


def test_a_word_that_no_snippet_can_hold_is_named():
    long = "https://example.org/" + "a" * 300
    thread = a_thread(a_post(text=f"See {long} for it."), text="whole")
    assert f"left out, for no snippet can hold it: {long}" in thread.notes


@pytest.mark.parametrize(
    ("policy", "bears"), [("last", "last"), ("root", "root"), ("every", "all")]
)
def test_the_link_stands_where_config_says(policy, bears):
    found = [bool(links_in(text)) for text in texts(a_thread(a_post(), link=policy))]
    expected = {"last": (False, True), "root": (True, False), "all": (True, True)}[bears]
    assert (found[0], found[-1]) == expected
    assert all(found[1:-1]) is (bears == "all")


def test_the_rest_of_a_text_is_linked_at_the_root_where_the_link_stands_there():
    *_, last = texts(a_thread(a_post(text=WHOLE), text="whole", most=3, link="root"))
    assert links_in(last) == []
    assert "There is more to read in the post, linked at the top." in last


@pytest.mark.parametrize(("policy", "position"), [("last", -1), ("root", 0), ("every", 0)])
def test_bluesky_shows_one_card_where_the_link_stands_first(policy, position):
    snippets = a_thread(a_post(), BLUESKY, link=policy).snippets
    card = snippets[position].card
    assert card == LinkCard(URL, "The joins", "", a_post().image)
    assert sum(snippet.card is not None for snippet in snippets) == 1


def test_a_card_takes_the_place_of_the_picture():
    assert a_thread(a_post(), BLUESKY, link="root").snippets[0].image is None
    assert a_thread(a_post(), BLUESKY, link="last").snippets[0].image is not None


def test_other_networks_make_their_cards_themselves():
    assert not any(s.card for n in (X, MASTODON) for s in a_thread(a_post(), n).snippets)
    assert not any(s.card for s in a_thread(a_post(), BLUESKY, card=False).snippets)


def test_a_card_tells_of_the_post_in_whole_sentences():
    excerpt = "A sentence of some length stands in here. " * 20
    card = a_thread(replace(a_post(), excerpt=excerpt), BLUESKY).snippets[-1].card
    assert len(card.description) <= 300
    assert card.description.endswith("here.")


def test_a_picture_without_alt_text_is_left_out_or_goes_and_it_is_said():
    post = replace(a_post(), image=Image("https://commonthreads.org/joins.png", " "))
    thread = a_thread(post)
    assert thread.snippets[0].image is None
    assert thread.notes == ("the picture is left out: it has no alt text",)
    thread = a_thread(post, alt_text="wanted")
    assert thread.snippets[0].image == post.image
    assert thread.notes == ("the picture goes out without alt text: it has none",)
    thread = a_thread(post, pictures=False)
    assert (thread.snippets[0].image, thread.notes) == (None, ())


FUTURE = Subject("series:scf", "Social care future", "SocialCareFuture", None)


def test_the_root_does_not_say_the_topic_that_its_title_says():
    title = "Integrated personal commissioning: an introduction"
    root, *_ = texts(a_thread(a_post(title=title)))
    assert root == f"{title}\n\nPart 2 of 5\n\n1/5\n\n#IPC"


def test_a_tag_whose_words_the_root_says_stands_there_and_not_at_the_end():
    post = a_post(title="What a social care future is")
    root, *_ = texts(a_thread(post, subject=FUTURE))
    assert root == "What a #SocialCareFuture is\n\n1/5"


def test_or_at_the_end_where_config_says_so():
    post = a_post(title="What a social care future is")
    root, *_ = texts(a_thread(post, subject=FUTURE, tags=TagPlan(in_text=False)))
    assert root.endswith("1/5\n\n#SocialCareFuture")
    assert root.count("#") == 1


def test_tags_that_are_added_stand_alone_on_the_last_line():
    tags = TagPlan(others=("Funding", "Integration"))
    for network in NETWORKS.values():
        root, *rest = texts(a_thread(a_post(), network, tags=tags))
        assert root.rsplit("\n", 1)[-1] == "#IPC #Funding #Integration"
        assert not any(tags_in(text) for text in rest)


def test_the_campaign_tag_is_repeated_where_config_says_so():
    tags = TagPlan(on="every", others=("Funding",))
    root, *rest = texts(a_thread(a_post(), tags=tags))
    assert tags_in(root) == ["IPC", "Funding"]
    assert all(tags_in(text) == ["IPC"] for text in rest)


def test_tags_over_the_cap_are_hidden_on_bluesky_and_named_elsewhere():
    tags = TagPlan(most=1, others=tuple(f"Tag{letter}" for letter in "ABCDEFGHIJ"))
    thread = a_thread(a_post(), BLUESKY, tags=tags)
    assert thread.snippets[0].tags == tuple(f"Tag{letter}" for letter in "ABCDEFGH")
    assert thread.notes == ("over the 1 hashtags of a snippet: #TagI #TagJ",)
    thread = a_thread(a_post(), X, tags=TagPlan(most=1, others=("Funding",)))
    assert thread.snippets[0].tags == ()
    assert thread.notes == ("over the 1 hashtags of a snippet: #Funding",)


def test_tags_but_the_first_make_room_for_the_title():
    tags = TagPlan(others=("x" * 60, "y" * 60))
    instance = network_of("mastodon", Limits(90, 23, 1, ()))
    thread = a_thread(a_post(), instance, tags=tags)
    assert tags_in(texts(thread)[0]) == ["IPC"]
    assert f"no room for: #{'x' * 60} #{'y' * 60}" in thread.notes


def test_a_blocked_tag_in_the_text_stays_text():
    thread = a_thread(
        a_post(text="We talk about #Housing here, as we did before."),
        text="whole",
        tags=TagPlan(block=("housing",)),
    )
    assert not any("Housing" in tags_in(text) for text in texts(thread))


def test_a_posts_own_hashtags_are_written_so_that_they_can_be_read_aloud():
    post = a_post(text="A post for the #socialcarefuture series, and for #housing too.")
    _, item = texts(a_thread(post, subject=FUTURE, text="whole"))
    assert "#SocialCareFuture series, and for #housing too." in item


def test_a_posts_own_hashtags_are_under_the_cap_too():
    post = a_post("On #One and #one", "We are #1: #Two, (#Three) #Four; C#x, #IPC and #Five_5.")
    root, item = texts(thread := a_thread(post, text="whole", tags=TagPlan(most=2)))
    assert tags_in(root) == ["One", "one", "IPC"]
    assert tags_in(item) == ["Two"]
    assert MASTODON_TAG.findall(item) == ["Two", "Three"]
    assert "We are #1: " in item
    assert f"#{WORD_JOINER}Four" in item
    assert "#Four, #IPC, #Five_5 would have been hashtags: they stand as text" in thread.notes


def test_a_hashtag_over_the_cap_becomes_no_link_instead():
    post = a_post("/#One", "#care.social is what we talk about, and #Two.")
    thread = a_thread(post, text="whole", tags=TagPlan(most=0))
    assert [link for text in texts(thread) for link in links_in(text)] == [URL]
    assert f"/#{WORD_JOINER}One" in texts(thread)[0]


def test_a_channel_without_hashtags_has_none_of_the_posts_own():
    post = a_post("On #One", "A post for #Two, and nobody else.")
    thread = a_thread(post, text="whole", tags=TagPlan(most=0))
    assert not any(MASTODON_TAG.findall(text) for text in texts(thread))


def test_an_address_within_the_link_calls_nobody():
    """Mastodon looks for mentions before it looks for links, and not behind a slash."""
    post = a_post(url="https://commonthreads.org/@writer/?to=@a&-@eve@example.social")
    link = links_in(texts(a_thread(post, MASTODON))[-1])[0]
    assert link == "https://commonthreads.org/@writer/?to=@a&-%40eve@example.social"


@pytest.mark.parametrize(("network", "most"), [(X, 1000), (MASTODON, 1500), (BLUESKY, 2000)])
def test_an_alt_text_longer_than_its_network_takes_is_cut_at_a_word_and_it_is_said(network, most):
    long = "Rows of knitting " * 200
    post = replace(a_post(), image=Image("https://commonthreads.org/joins.png", long))
    thread = a_thread(post, network)
    alt = thread.snippets[0].image.alt
    assert most - 20 < len(alt) <= most
    assert alt.endswith(("knitting…", "of…", "Rows…"))
    assert thread.notes == (f"the alt text was cut to the {most} characters of {network.name}",)


def test_an_instance_says_how_long_an_alt_text_may_be():
    post = replace(a_post(), image=Image("https://commonthreads.org/joins.png", "Wool " * 30))
    instance = network_of("mastodon", Limits(500, 23, 1, (), alt_characters=100))
    assert len(a_thread(post, instance).snippets[0].image.alt) <= 100


def test_stock_symbols_stay_text():
    assert "$T" not in inert("$T and $GE")


def test_what_would_have_been_a_link_is_named():
    thread = a_thread(a_post(title="On care.social and node.js"))
    assert thread.notes == ("care.social would have been a link: it stands as text",)


def test_a_link_in_a_template_is_named(tmp_path):
    shutil.copytree(TEMPLATES / "social", tmp_path / "social")
    (tmp_path / "social/thread/last.txt").write_text("{{ text }} at care.social {{ link }}")
    assert a_thread(a_post(), templates=tmp_path).notes == (
        "care.social in the template becomes a link too",
    )


def test_a_template_that_spoils_the_tag_is_named(tmp_path):
    shutil.copytree(TEMPLATES / "social", tmp_path / "social")
    (tmp_path / "social/thread/root.txt").write_text("{{ title }}x{{ tags }}")
    assert a_thread(a_post(), templates=tmp_path).notes == (
        "#IPC is no hashtag where the template puts it, or the template leaves it out",
    )


def test_a_snippet_says_title_best_sentence_link_and_tag():
    (only,) = texts(a_thread(a_post(), form="snippet", most=1))
    title, sentence, link, tag = only.split("\n\n")
    assert (title, link, tag) == ("The joins", URL, "#IPC")
    assert sentence in TEXT


def test_each_repeat_says_another_thing_in_other_words():
    made = [texts(a_thread(a_post(), form="snippet", most=1, repeat=n))[0] for n in range(4)]
    said_of = [next(s for s in sentences(TEXT) if s in text) for text in made]
    assert len(set(made)) == len(set(said_of)) == 4
    assert made[1].startswith("From 2026, and still worth reading: The joins")


def test_a_post_of_one_sentence_is_repeated_in_other_words():
    post = a_post(text="The joins tell you whether a jumper will last, and nobody looks at them.")
    made = {texts(a_thread(post, form="snippet", most=1, repeat=n))[0] for n in range(4)}
    assert len(made) == 4


def test_a_refrain_is_said_once():
    thread = a_thread(a_post(text=f"{TEXT}\n\n{TEXT}\n\n{TEXT}"))
    words = [said(text) for text in texts(thread)]
    assert len(set(words)) == len(words)


def test_a_url_in_letters_is_escaped_so_that_it_is_a_link_to_its_end():
    thread = a_thread(a_post(url="https://commonthreads.org/日本 語/"))
    assert links_in(texts(thread)[-1]) == [
        "https://commonthreads.org/%E6%97%A5%E6%9C%AC%20%E8%AA%9E/"
    ]


def test_a_host_of_other_letters_stays_as_it_is():
    thread = a_thread(a_post(url="https://bücher.de/ü"))
    assert links_in(texts(thread)[-1]) == ["https://bücher.de/%C3%BC"]


def test_a_channel_and_its_scope_make_the_style():
    channel = Channel.model_validate(
        {"network": "x", "form": "standing", "forms": {"pbr": "snippet"}, "max_items": 9}
    )
    standing = style_of(channel, "series:ipc", Hashtags(), others=("Funding",))
    assert (standing.form, standing.most, standing.tags.others) == ("thread", 9, ("Funding",))
    assert style_of(channel, "series:pbr", Hashtags()).form == "snippet"
    assert style_of(channel, "theme:funding", Hashtags()).form == "thread"
    assert style_of(channel, "series:ipc", Hashtags(), repeat=2).form == "snippet"


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


FAMILY, ACCENTED, FLAG = "👨‍👩‍👧‍👦", "e\u0301\u0302", "🇬🇧"
WHOLE_WORDS = ("https://x.org/a?b=c#d", "#tag", "@ada@b.social", "care.social")
PIECES = st.sampled_from(
    [
        *WHOLE_WORDS,
        "word",
        "Sentence.",
        "Social care future",
        "“So?”",
        "clause,",
        "Dr. Who",
        "\n\n",
        "日本語の文章です。",
        "ไทยไทยไทย",
        "क्षत्रिय",
        "שלום עולם.",
        "مرحبا بالعالم!",
        "\u202eabc\u202c",
        FAMILY * 3,
        FAMILY * 150,
        ACCENTED * 300,
        FLAG * 150,
        "x" * 400,
        "$T",
        "{{ x }}",
    ]
)
CHANNELS = st.one_of(
    st.sampled_from([X, BLUESKY]),
    st.builds(
        lambda limit, link: network_of("mastodon", Limits(limit, link, 1, ())),
        st.integers(60, 5000),
        st.integers(20, 40),
    ),
)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(PIECES, max_size=40).map(" ".join) | st.text(max_size=800),
    CHANNELS,
    st.sampled_from(["last", "root", "every"]),
    st.sampled_from(["root", "every"]),
    st.integers(2, 25),
)
def test_any_text_is_said_whole_in_order_and_nothing_in_it_is_cut(text, network, link, on, most):
    subject = replace(FUTURE, title="Future")
    style = {"text": "whole", "link": link, "tags": TagPlan(on=on)}
    thread = a_thread(a_post("T", text), network, most, subject=subject, **style)
    if isinstance(thread, Unthreadable):
        assert network.limit < 100
        return
    assert all(network.fits(snippet.text) for snippet in thread.snippets)
    _, *rest = map(said_in_whole, texts(thread))
    left_out = words_left_out(thread)
    expected = text.split()
    for word in left_out:
        expected.remove(word)
    joined, source = bare("".join(rest)), bare("".join(expected))
    assert source.startswith(joined)
    assert joined == source or any("are left to the link" in note for note in thread.notes)
    for piece in rest:
        assert not any(
            set(cluster) & set(whole) and cluster != whole
            for whole in (FAMILY, ACCENTED, FLAG)
            for cluster in graphemes(piece)
            if len(cluster) > 1
        )
        assert all(word in whole_words(text) for word in whole_words(piece))


def said_in_whole(snippet: str) -> str:
    """The words of the post in a snippet of the whole text, tags in it undone."""
    words = f"\n\n{snippet}"
    for tail in (
        r"\n\n#SocialCareFuture$",
        r"\n\n\d+/\d+$",
        rf"\n\n(There is more to read: |Read the whole post: )?{URL}$",
        r"\n\nThere is more to read in the post, linked at the top\.$",
    ):
        words = re.sub(tail, "", words)
    return words


def words_left_out(thread) -> list[str]:
    found = [note.split(": ", 1)[1] for note in thread.notes if note.startswith("left out, for")]
    return [word for note in found for word in note.split(", ")]


def bare(text: str) -> str:
    """What must be the same: not white space, ellipses, marks that defuse, or how tags stand."""
    text = inert(text).replace(WORD_JOINER, "").casefold()
    return re.sub(r"[\s…#]", "", text)


def whole_words(text: str) -> list[str]:
    text = text.replace(WORD_JOINER, "").replace("…", " ")
    return [word for word in text.split() if re.match(r"https|#t|@a|care", word)]
