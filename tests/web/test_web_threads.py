"""Threads at the desk: how each stands, and decisions by the steps of the commands, once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import insert, select, update

from digest.social.plan import plan
from digest.social.workshop import publish
from digest.store import tables

from .conftest import NOW, client_of, sign_in


def text_of(page):
    return " ".join(LexborHTMLParser(page.text).body.text(separator=" ").split())


def thread(house, *states, channel="mastodon", text="What it says.", **values):
    """A thread of a new post, with a snippet in each of these states."""
    post_id = house.post(values.pop("title", ""))
    with house.app.store.write() as c:
        row = {"channel": channel, "post_id": post_id, "scope": "series:ipc", "reason": "r"}
        add = insert(tables.threads).values(**row, planned_at=NOW, **values)
        thread_id = c.execute(add.returning(tables.threads.c.id)).scalar()
        for position, state in enumerate(states, 1):
            out = state == "submitted"
            c.execute(
                insert(tables.publications).values(
                    thread_id=thread_id,
                    channel=channel,
                    position=position,
                    text=text,
                    measured=6,
                    state=state,
                    slot=NOW + timedelta(minutes=2 * position),
                    state_at=NOW,
                    remote_id=f"{thread_id}-{position}" if out else None,
                    url=f"https://{channel}.example/{thread_id}/{position}" if out else None,
                )
            )
        return thread_id


def states(house, thread_id):
    query = select(tables.publications.c.state).order_by(tables.publications.c.position)
    with house.app.store.read() as c:
        return list(c.scalars(query.where(tables.publications.c.thread_id == thread_id)))


def stops(house):
    with house.app.store.read() as c:
        return [(row.channel, row.actor, row.reason) for row in c.execute(select(tables.stops))]


def runs(house):
    with house.app.store.read() as c:
        return [(r.what, r.actor, r.outcome) for r in c.execute(select(tables.runs))]


# --- looking -----------------------------------------------------------------------------------


def test_threads_newest_first_with_state_and_links(any_house):
    house = any_house
    thread(house, "submitted", "submitted", title="The older")
    thread(house, "submitted", "uncertain", "pending", channel="x", title="The newer")
    page = sign_in(house).get("/desk/threads")
    text = text_of(page)
    assert text.index("The newer") < text.index("The older")
    assert "2 of 2 out" in text
    assert "snippet 2 uncertain: looked up at the next publishing" in text
    assert 'href="https://mastodon.example/1/1"' in page.text
    assert "1 uncertain" in text
    assert "next Mon 23 Nov 2026, 08:06" in text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {"waits", "doubt", "held", "refused", "gone", "out", "differs"}),
        ("kind=to+come", {"waits", "held"}),
        ("kind=uncertain", {"doubt"}),
        ("kind=held", {"held"}),
        ("kind=in+trouble", {"refused", "differs"}),
        ("kind=taken+down", {"gone"}),
        ("kind=out", {"out", "refused", "differs"}),
        ("channel=x", {"waits"}),
        ("channel=x&kind=held", set()),
    ],
)
def test_threads_by_channel_and_kind(any_house, query, shown):
    house = any_house
    thread(house, "pending", channel="x", title="waits")
    thread(house, "uncertain", title="doubt")
    thread(house, "pending", title="held", held_at=NOW, held_why="edited")
    thread(house, "submitted", "refused", title="refused")
    thread(house, "submitted", title="gone", undo_at=NOW, undo_by="Maya", undo_why="wrong")
    thread(house, "submitted", title="out")
    thread(house, "submitted", title="differs", differs="snippet 1 reads otherwise")
    page = LexborHTMLParser(sign_in(house).get(f"/desk/threads?{query}").text)
    assert {node.text() for node in page.css("section[aria-labelledby=list] h3")} == shown


def test_fifty_to_a_page(house, editor):
    for _ in range(51):
        thread(house, "pending")
    first = editor.get("/desk/threads")
    assert "51 threads" in text_of(first)
    assert "Page 1 of 2" in text_of(first)
    assert first.text.count("Thread ") == 50
    second = editor.get("/desk/threads?page=2&channel=&kind=")
    assert "Post 1</a>" in second.text


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=3",
        "page=x",
        "page=" + "9" * 30,
        "kind=nothing",
        "channel=nothing",
        "channel=%00",
        "kind=%00",
    ],
)
def test_what_there_is_none_of(any_editor, query):
    assert any_editor.get(f"/desk/threads?{query}").status_code in {400, 404}


@pytest.mark.parametrize("number", ["7", "0", "9" * 19, "9" * 40, "-1", "x"])
def test_threads_there_are_none_of(any_editor, number):
    assert any_editor.get(f"/desk/threads/{number}").status_code == 404


def test_one_thread_says_all_of_it(house, editor):
    number = thread(house, "submitted", "pending", text="Line one\n\nLine <b>two</b> " + "w" * 300)
    with house.app.store.write() as c:
        mine = tables.publications.c.position == 1
        values = {"image_url": "http://b/i.png", "image_alt": "A <i>table</i>", "note": "no card"}
        c.execute(update(tables.publications).where(mine).values(**values))
    page = editor.get(f"/desk/threads/{number}")
    assert "Line one\n\nLine &lt;b&gt;two&lt;/b&gt; " + "w" * 300 in page.text
    assert "Picture: A &lt;i&gt;table&lt;/i&gt;" in page.text
    assert "no card" in page.text
    assert 'href="/desk/series/ipc"' in page.text


def test_an_address_that_is_none_is_no_link(house, editor):
    number = thread(house, "submitted")
    with house.app.store.write() as c:
        c.execute(update(tables.publications).values(url="javascript:alert(1)"))
    for path in ("/desk/threads", f"/desk/threads/{number}"):
        assert "javascript:" not in editor.get(path).text


def test_channels_say_what_keeps_them(house, editor):
    with house.app.store.write() as c:
        row = {"channel": "x", "what": "money", "reason": "the cap of $5 is reached"}
        c.execute(insert(tables.waits).values(**row, until=NOW + timedelta(days=7)))
        c.execute(insert(tables.stops).values(channel="all", at=NOW, actor="Maya", reason="storm"))
    text = text_of(editor.get("/desk/threads"))
    assert "Waits with publishing until Mon 30 Nov 2026, 08:00 : the cap of $5 is reached" in text
    assert "All are stopped by Maya" in text
    assert "Lift the stop of all" in text


def test_a_home_without_threads_or_channels_says_so(house, editor):
    assert "No thread has been planned yet" in text_of(editor.get("/desk/threads"))
    path = house.app.home / "config" / "channels.toml"
    path.write_text("", encoding="utf-8")
    assert "No channel stands in config" in text_of(editor.get("/desk/threads"))


def test_a_thread_on_a_channel_that_config_forgot_can_be_looked_at_alone(house, editor):
    number = thread(house, "pending", channel="gone", held_at=NOW, held_why="edited")
    page = editor.get(f"/desk/threads/{number}")
    assert "which config names no more" in page.text
    assert "Decide" not in page.text
    answer = editor.post(f"/desk/threads/{number}", decision="release")
    assert answer.status_code == 409
    assert "config does not name any more" in answer.text


# --- deciding ----------------------------------------------------------------------------------


def test_a_channel_is_stopped_and_goes_on(any_house):
    house, maya = any_house, sign_in(any_house)
    done = maya.post("/desk/threads", decision="stop", channel="x", reason=" election  week ")
    assert done.headers["location"] == "/desk/threads"
    assert stops(house) == [("x", "Maya", "election week")]
    assert "Stopped: x." in maya.get("/desk/threads").text
    maya.post("/desk/threads", decision="stop", channel="x")
    assert "x was stopped already, by Maya." in maya.get("/desk/threads").text
    maya.post("/desk/threads", decision="stop", channel="", reason="storm")
    assert len(stops(house)) == 2
    maya.post("/desk/threads", decision="start", channel="x")
    maya.post("/desk/threads", decision="start", channel="")
    assert stops(house) == []
    assert runs(house)[0] == ("social stop", "Maya", "done")
    assert runs(house)[1] == ("social stop", "Maya", "nothing")


def test_a_held_thread_goes_on(any_house):
    house, maya = any_house, sign_in(any_house)
    number = thread(house, "pending", held_at=NOW, held_why="its post was edited")
    assert "Make it anew" in maya.get(f"/desk/threads/{number}").text
    done = maya.post(f"/desk/threads/{number}", decision="release")
    assert done.headers["location"] == f"/desk/threads/{number}"
    assert (
        "by the first publishing after Mon 23 Nov, 08:02"
        in maya.get(f"/desk/threads/{number}").text
    )
    again = maya.post(f"/desk/threads/{number}", decision="release")
    assert again.status_code == 409
    assert "is not held" in again.text


def test_what_has_begun_is_not_made_anew(house, editor):
    number = thread(house, "submitted", "pending", held_at=NOW, held_why="edited")
    assert "Make it anew" not in editor.get(f"/desk/threads/{number}").text
    assert editor.post(f"/desk/threads/{number}", decision="anew").status_code == 409


def test_taking_down_is_asked_about_once_more(any_house):
    house = any_house
    with house.app.store.write() as c:
        c.execute(insert(tables.channels).values(slug="mastodon", since=NOW - timedelta(days=9)))
    house.post()
    plan(house.app, channel="mastodon")
    house.turn(days=1)
    publish(house.app, channel="mastodon")
    house.turn(hours=1)
    publish(house.app, channel="mastodon")
    assert set(states(house, 1)) == {"submitted"}
    # A session does not last that long.
    maya = sign_in(house)
    asked = maya.post("/desk/threads/1", decision="undo")
    assert asked.status_code == 200
    assert "Take this thread down?" in asked.text
    assert set(states(house, 1)) == {"submitted"}
    maya.post("/desk/threads/1", decision="undo", sure="yes", reason="wrong figures")
    text = text_of(maya.get("/desk/threads/1"))
    assert "taken down; what had not gone out never will" in text
    assert "taken down, by Maya: wrong figures" in text
    assert ("social undo", "Maya", "done") in runs(house)


def test_what_is_uncertain_is_left_or_sent_again(any_house):
    house, maya = any_house, sign_in(any_house)
    first = thread(house, "uncertain", "pending")
    second = thread(house, "uncertain", channel="x")
    maya.post("/desk/threads", decision="leave", channel="mastodon")
    assert "1 uncertain snippet decided." in maya.get("/desk/threads").text
    assert states(house, first)[0] == "uncertain"
    asked = maya.post("/desk/threads", decision="resend", channel="x")
    assert "Send the uncertain ones again?" in asked.text
    assert states(house, second) == ["uncertain"]
    maya.post("/desk/threads", decision="resend", channel="x", sure="yes")
    assert states(house, second) == ["pending"]
    maya.post("/desk/threads", decision="resend", channel="x", sure="yes")
    assert "Nothing could be decided" in maya.get("/desk/threads").text


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/desk/threads", {"decision": "stop", "channel": "nothing"}, 409),
        ("/desk/threads", {"decision": "look", "channel": "nothing"}, 409),
        ("/desk/threads", {"decision": "undo", "sure": "yes"}, 400),
        ("/desk/threads", {"decision": ""}, 400),
        ("/desk/threads", {"decision": "stop", "reason": "x" * 501}, 400),
        ("/desk/threads/1", {"decision": "stop"}, 400),
        ("/desk/threads/7", {"decision": "undo", "sure": "yes"}, 404),
        ("/desk/threads/" + "9" * 30, {"decision": "undo"}, 404),
    ],
)
def test_what_no_page_of_ours_sends_changes_nothing(house, editor, path, fields, status):
    thread(house, "pending")
    before = {name: rows for name, rows in house.dump().items() if name != "runs"}
    assert editor.post(path, **fields).status_code == status
    assert {name: rows for name, rows in house.dump().items() if name != "runs"} == before


def test_viewers_look_and_decide_nothing(house, viewer):
    number = thread(house, "pending", held_at=NOW, held_why="edited")
    for path in ("/desk/threads", f"/desk/threads/{number}"):
        page = viewer.get(path)
        assert page.status_code == 200
        assert 'name="decision"' not in page.text
        assert viewer.post(path, decision="stop").status_code == 403
    assert stops(house) == []


def test_nobody_else_and_no_foreign_form(house, editor):
    number = thread(house, "pending")
    nobody = client_of(house)
    assert nobody.get(f"/desk/threads/{number}").status_code == 303
    assert nobody.post("/desk/threads", data={"decision": "stop"}).status_code == 403
    assert editor.client.post("/desk/threads", data={"decision": "stop"}).status_code == 403
    foreign = {"origin": "https://evil.example"}
    data = {"csrf": editor.csrf, "decision": "stop"}
    assert editor.client.post("/desk/threads", data=data, headers=foreign).status_code == 403
    assert stops(house) == []
