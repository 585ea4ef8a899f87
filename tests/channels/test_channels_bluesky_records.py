"""Bluesky's records, made without a network: facets, names, versions."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.model import Picture, Place, ReadySnippet, Receipt
from digest.social.channels.bluesky_facets import facets_of
from digest.social.channels.bluesky_records import (
    Body,
    Name,
    bodies_of,
    card_embed,
    cid_of,
    picture_embed,
    same_words,
    seen,
    tid,
)

AT = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
DID = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
BLOB = {
    "$type": "blob",
    "ref": {"$link": "bafkreig7lcmapfkic7huvtuca27jarcjq7btsoozbsn6xvc2qvgqupwxpm"},
    "mimeType": "image/png",
    "size": 77,
}


def found(text: str) -> list[str]:
    """The pieces of a text that facets lie on."""
    raw = text.encode()
    return [
        raw[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode()
        for facet in facets_of(text)
    ]


def said(text: str = "Words", *, key: str = "k", at: datetime = AT, **more) -> ReadySnippet:
    return ReadySnippet(key, text, at, **more)


def records(*snippets: ReadySnippet, place: Place | None = None, embeds=None) -> list[dict]:
    bodies = bodies_of(DID, snippets, embeds or [None] * len(snippets), place)
    return [body.record for body in bodies]


# --- facets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Crèche 🧡 #socialcarefuture", ["#socialcarefuture"]),
        ("#One #Two_3, (#three) “#four”", ["#One", "#Two_3", "#three", "#four"]),
        ("#हिन्दी и #Кириллица, #介護", ["#हिन्दी", "#Кириллица", "#介護"]),
        ("#2026 #_ #1a C#x a#b ##c &#39; #️⃣ #", ["#1a"]),
        ("#don't", ["#don"]),
        (
            "see https://x.org/a_(b), or (https://y.org/c).",
            ["https://x.org/a_(b)", "https://y.org/c"],
        ),
        (
            "https://x.org/#top “https://y.org/?q=ü&r=1”",
            ["https://x.org/#top", "https://y.org/?q=ü&r=1"],
        ),
        ("care.social x@y.org @name http:// https:///x xhttps://y.org", []),
        ("HTTPS://X.org!", ["HTTPS://X.org"]),
        (
            "#" + "x" * 64 + " #" + "x" * 65 + " #" + "é\u0301" * 64,
            ["#" + "x" * 64, "#" + "é\u0301" * 64],
        ),
        ("https://x.org/(#no)?q=‘#no (#yes)", ["https://x.org/(#no)?q=‘#no", "#yes"]),
        ("#https://x.org", ["https://x.org"]),
        ("", []),
    ],
)
def test_facets_lie_on_hashtags_and_whole_links(text, pieces):
    assert found(text) == pieces


PIECES = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            [
                "#",
                " #",
                "\n#IPC",
                "(#IPC",
                "https://",
                " https://x.org/",
                "(",
                ")",
                ".",
                "’s",
                "🧡",
                "ü",
                "👩‍👩‍👧",
                " ",
                "\u2060",
            ]
        ),
    ),
    max_size=12,
).map("".join)


@given(PIECES)
def test_whatever_the_text_each_facet_lies_on_its_own_tag_or_link_and_none_on_another(text):
    raw, here = text.encode(), 0
    for facet in facets_of(text):
        start, end = facet["index"]["byteStart"], facet["index"]["byteEnd"]
        assert here <= start < end <= len(raw)
        here = end
        (feature,) = facet["features"]
        piece = raw[start:end].decode()
        assert piece == feature.get("uri", "#" + feature.get("tag", ""))


# --- names ------------------------------------------------------------------------------------


def test_a_name_is_the_same_for_the_same_snippet_and_another_for_another():
    assert tid(AT, "a") == tid(AT, "a")
    assert tid(AT, "a") != tid(AT, "b")
    assert tid(AT, "a")[:10] == tid(AT, "b")[:10]
    assert tid(AT.astimezone(), "a") == tid(AT, "a")


@given(
    st.integers(0, 10**9).map(
        lambda seconds: AT + timedelta(seconds=seconds, microseconds=seconds)
    ),
    st.text(),
    st.text(),
)
def test_names_are_tids_that_rise_with_time(at, key, other):
    name, later = tid(at, key), tid(at + timedelta(microseconds=1), other)
    assert name < later
    assert len(name) == 13
    assert name[0] in "234567abcdefghij"
    assert set(name) <= set("234567abcdefghijklmnopqrstuvwxyz")


def test_a_body_comes_back_from_its_json_and_tells_its_permalink():
    (body,) = bodies_of(DID, [said("Crèche 🧡 #IPC", tags=("NHS",))], [None], None)
    assert Body.from_json(body.to_json()) == body
    rkey = json.loads(body.to_json())["rkey"]
    receipt = body.receipt(AT, cid=body.cid)
    assert receipt == Receipt(
        f"at://{DID}/app.bsky.feed.post/{rkey}",
        AT,
        f"https://bsky.app/profile/{DID}/post/{rkey}",
        version=body.cid,
    )
    assert Name.of(receipt.remote_id) == Name(DID, rkey)
    assert body.at == AT


# --- versions ---------------------------------------------------------------------------------


def test_a_version_is_what_the_pds_of_its_makers_computes():
    """Taken from PDS 0.5.35 for this record, which refers to another one and to a picture."""
    parent = {
        "uri": f"at://{DID}/app.bsky.feed.post/3n2xsyhyajcrd",
        "cid": "bafyreigbpbzovtvpsi7dwa57k6qg7hdaabvfetiuon5p7h4bz2xl5mnsai",
    }
    record = {
        "$type": "app.bsky.feed.post",
        "text": "Crèche 🧡 #IPC",
        "createdAt": "2026-11-23T09:30:00.000000Z",
        "facets": facets_of("Crèche 🧡 #IPC"),
        "reply": {"root": parent, "parent": parent},
        "embed": picture_embed(Picture(b"", "image/png", "Grün", 4, 3), BLOB),
    }
    assert cid_of(record) == "bafyreigqkz6v7faqbzr4wmuyj5wskipcsmhczbp2klam2xqsylsph7zf2m"


def test_a_version_does_not_depend_on_the_order_of_keys():
    (record,) = records(said("Words #IPC"))
    assert cid_of(dict(reversed(record.items()))) == cid_of(record)
    assert cid_of({**record, "text": "Other words"}) != cid_of(record)


# --- threads ----------------------------------------------------------------------------------


def thread(count: int) -> list[ReadySnippet]:
    return [
        said(f"{n}", key=f"k{n}", at=AT + timedelta(milliseconds=n)) for n in range(1, count + 1)
    ]


def test_each_record_of_a_thread_answers_the_one_before_it_and_names_the_first():
    bodies = bodies_of(DID, thread(3), [None] * 3, None)
    one, two, three = ({"uri": body.uri, "cid": body.cid} for body in bodies)
    assert "reply" not in bodies[0].record
    assert bodies[1].record["reply"] == {"root": one, "parent": one}
    assert bodies[2].record["reply"] == {"root": one, "parent": two}
    assert three["uri"] > two["uri"] > one["uri"]
    made = [body.record["createdAt"] for body in bodies]
    assert made == sorted(set(made))


def test_a_later_thread_answers_where_it_is_placed():
    place = Place(Receipt("at://r", AT, version="cr"), Receipt("at://p", AT, version="cp"))
    first, second = bodies_of(DID, thread(2), [None] * 2, place)
    root = {"uri": "at://r", "cid": "cr"}
    assert first.record["reply"] == {"root": root, "parent": {"uri": "at://p", "cid": "cp"}}
    parent = {"uri": first.uri, "cid": first.cid}
    assert second.record["reply"] == {"root": root, "parent": parent}


def test_a_record_says_when_in_which_language_and_under_which_hidden_tags():
    hidden = ("ipc", "NHS", "nhs", "x" * 65, *(f"Tag{n}" for n in range(9)))
    (record,) = records(said("Words #IPC", language="en-GB", tags=hidden))
    assert record["createdAt"] == "2026-11-23T09:30:00.000000Z"
    assert record["langs"] == ["en-GB"]
    assert record["tags"] == ["NHS", *(f"Tag{n}" for n in range(7))]


def test_what_a_record_does_not_have_is_not_in_it():
    (record,) = records(said("Words", language=""))
    assert record.keys() == {"$type", "text", "createdAt"}


def test_a_record_is_read_back_in_our_words():
    embed = picture_embed(Picture(b"", "image/png", "A field.", 4, 3), BLOB)
    items = [said("One"), said("Two #IPC #NHS", key="l", tags=("nhs", "Hidden"))]
    bodies = bodies_of(DID, items, [None, embed], None)
    shown = seen(bodies[1].record)
    assert shown.text == "Two #IPC #NHS"
    assert shown.reply_to == bodies[0].uri
    assert shown.tags == ("IPC", "NHS", "Hidden")
    assert shown.alts == ("A field.",)


def test_what_another_program_wrote_is_read_without_a_fault():
    for record in ({}, {"text": "x", "embed": {"record": {}}, "facets": [{}], "reply": None}):
        assert seen(record).alts == ()
    mention = {"features": [{"$type": "app.bsky.richtext.facet#mention", "did": DID}]}
    assert seen({"text": "x", "facets": [mention]}).tags == ()


def test_a_card_is_of_its_link_with_a_picture_where_there_is_one():
    assert "thumb" not in card_embed("https://x.org", "T", "D", None)["external"]
    assert card_embed("https://x.org", "T", "D", BLOB)["external"]["thumb"] == BLOB


def test_a_picture_of_unknown_measures_names_none():
    unknown = picture_embed(Picture(b"", "image/png", "", 0, 0), BLOB)
    assert "aspectRatio" not in unknown["images"][0]


def test_the_same_words_are_told_from_others():
    one, other = thread(2)
    (record,), (same,) = records(one), records(replace(one, language="de"))
    assert same_words(record, same)
    assert not same_words(record, records(other)[0])
    assert not same_words(record, {**record, "reply": {"parent": {"uri": "at://p"}}})


def test_the_sdk_is_not_imported_before_something_is_asked():
    code = (
        "import sys; from digest.social.channels.bluesky import BlueskyChannel as B;"
        "B(None, session_file=None, timeout=1, clock=None).limits();"
        "print([m for m in sys.modules if m.startswith(('atproto', 'httpx'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
