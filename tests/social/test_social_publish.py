"""Publishing: each snippet once, in its chain, through crashes, outages and two at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.model import Act, Image, ReadySnippet, Receipt
from digest.social.channels.preview import PreviewChannel
from digest.social.publish import Press, foreseen, publish_due
from digest.social.settle import look, settle
from digest.store.social import PlannedSnippet, add_thread
from digest.store.tables import posts, publications

MINUTE = timedelta(minutes=1)


@dataclass
class Network:
    """A network that keeps what it accepted, and answers what a test tells it to."""

    moment: list
    answers: list = field(default_factory=list)
    accepted: list = field(default_factory=list)
    #: Called with each snippet before it is accepted.
    at_step: object = lambda snippet: None
    can_find: bool = False
    name: str = "fake"

    def publish(self, snippet, reply_to):
        self.at_step(snippet)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            return answer
        self.accepted.append((snippet.text, reply_to.remote_id if reply_to else None))
        return Receipt(f"r-{snippet.text}", self.moment[0], f"https://n.example/{snippet.key}")

    def find(self, key):
        assert self.can_find
        found = [text for text, _ in self.accepted if key.split("-")[0] in text]
        return Receipt(f"r-{found[0]}", self.moment[0]) if found else None

    @property
    def texts(self):
        return [text for text, _ in self.accepted]


@pytest.fixture
def moment(now):
    return [now]


@pytest.fixture
def network(moment):
    return Network(moment)


@pytest.fixture
def press(any_store, network, tmp_path, moment):
    return Press(any_store, {"x": network}, tmp_path / "run", lambda: moment[0])


@pytest.fixture
def thread(any_store, now):
    """Plans a thread of texts such as "a1", "a2" whose first slot is so many minutes from now."""

    def plan(name, *, items=3, minutes=0, channel="x"):
        with any_store.write() as c:
            post = c.execute(
                insert(posts).returning(posts.c.id).values(
                    guid=name, url=f"https://c.org/{name}", title=f"Post {name}", author="A",
                    published=now, first_seen=now, arrived=now, categories=[], html="", text="",
                    excerpt="", reading_minutes=1, content_hash="h",
                )
            ).scalar_one()  # fmt: skip
            start = now + minutes * MINUTE
            snippets = [
                PlannedSnippet(f"{name}{n + 1}", 2, None, start + 2 * n * MINUTE)
                for n in range(items)
            ]
            add_thread(
                c, channel=channel, post_id=post, scope="series:s", reason="r",
                snippets=snippets, now=now,
            )  # fmt: skip
        return post

    return plan


def states(store, name=""):
    with store.read() as c:
        query = select(publications.c.text, publications.c.state).order_by(publications.c.id)
        return [state for text, state in c.execute(query) if text.startswith(name)]


def row(store, text):
    with store.read() as c:
        return c.execute(select(publications).where(publications.c.text == text)).one()


def test_what_is_due_goes_out_in_order_each_answering_the_one_before(
    any_store, press, network, thread, moment
):
    thread("a", minutes=-4)
    thread("b", items=1, minutes=30)
    report = publish_due(press)
    assert network.accepted == [("a1", None), ("a2", "r-a1"), ("a3", "r-a2")]
    assert [(line.position, line.of, line.state) for line in report.lines] == [
        (1, 3, "submitted"),
        (2, 3, "submitted"),
        (3, 3, "submitted"),
    ]
    assert report.lines[0].url.startswith("https://n.example/")
    assert (row(any_store, "a1").remote_id, row(any_store, "a1").attempts) == ("r-a1", 1)
    assert states(any_store, "b") == ["pending"]
    assert publish_due(press).lines == ()
    assert len(network.accepted) == 3


def test_a_snippet_waits_for_its_slot(press, network, thread, moment):
    thread("a", minutes=0)
    publish_due(press)
    assert network.texts == ["a1"]
    moment[0] += 2 * MINUTE
    publish_due(press)
    assert network.accepted[1:] == [("a2", "r-a1")]


def test_a_dry_run_says_what_would_go_out_and_changes_nothing(any_store, press, network, thread):
    thread("a", minutes=-2)
    thread("old", items=2, minutes=-2000)
    report = foreseen(press)
    assert [(line.title, line.position, line.state) for line in report.lines] == [
        ("Post old", 1, "cancelled"),
        ("Post a", 1, "pending"),
        ("Post a", 2, "pending"),
    ]
    assert network.accepted == []
    assert set(states(any_store)) == {"pending"}


@dataclass
class Killed(BaseException):
    pass


@pytest.mark.parametrize("accepted", [True, False])
def test_a_crash_while_it_is_said_leaves_one_in_doubt_that_is_never_repeated(
    *, any_store, press, network, thread, moment, accepted
):
    thread("a", minutes=-10)
    thread("b", items=1, minutes=-5)

    def die(snippet):
        if snippet.text == "a2":
            if accepted:
                network.accepted.append((snippet.text, "r-a1"))
            raise Killed

    network.at_step = die
    with pytest.raises(Killed):
        publish_due(press)
    assert states(any_store, "a") == ["submitted", "submitting", "pending"]
    network.at_step = lambda snippet: None
    moment[0] += 10 * MINUTE
    report = publish_due(press)
    assert states(any_store, "a") == ["submitted", "uncertain", "pending"]
    assert report.uncertain == 1
    # Its thread waits; others go on.
    assert network.texts == ["a1", *(["a2"] if accepted else []), "b1"]
    moment[0] += timedelta(days=3)
    publish_due(press)
    assert states(any_store, "a") == ["submitted", "uncertain", "pending"]


def test_left_in_doubt_the_rest_of_the_thread_is_cancelled(
    any_store, press, network, thread, moment
):
    thread("a", minutes=-10)
    network.answers = [Uncertain("no answer")]
    publish_due(press)
    assert settle(press, Act("Maya", moment[0], "settle"), resend=False) == 1
    assert settle(press, Act("Maya", moment[0], "settle"), resend=False) == 0
    report = publish_due(press)
    assert states(any_store) == ["uncertain", "cancelled", "cancelled"]
    assert "did not go out" in report.lines[0].reason
    assert row(any_store, "a1").settled == "leave, by Maya"
    assert network.accepted == []
    assert report.uncertain == 0


def test_a_second_doubt_is_somebodys_to_decide_again(any_store, press, network, thread, moment):
    thread("a", minutes=-10)
    network.answers = [Uncertain("no answer"), Uncertain("no answer")]
    publish_due(press)
    assert settle(press, Act("Maya", moment[0], "settle"), resend=True) == 1
    report = publish_due(press)
    assert states(any_store) == ["uncertain", "pending", "pending"]
    assert report.uncertain == 1
    assert row(any_store, "a1").settled is None


def test_published_again_by_an_editor_the_thread_goes_on_as_paced(
    any_store, press, network, thread, moment
):
    thread("a", minutes=-10)
    network.answers = [Uncertain("no answer")]
    publish_due(press)
    moment[0] += timedelta(days=3)
    assert settle(press, Act("Maya", moment[0], "settle"), resend=True) == 1
    publish_due(press)
    assert network.texts == ["a1"]
    moment[0] += 4 * MINUTE
    publish_due(press)
    assert network.texts == ["a1", "a2", "a3"]


@pytest.mark.parametrize("accepted", [True, False])
def test_a_channel_that_can_find_proves_what_was_in_doubt(
    *, any_store, press, network, thread, moment, accepted
):
    thread("a", items=2, minutes=-10)
    network.answers = [Uncertain("no answer")]
    publish_due(press)
    network.can_find = True
    if accepted:
        network.accepted.append((f"a{row(any_store, 'a1').id}", None))
    assert look(press) == 1
    assert states(any_store) == ["submitted" if accepted else "pending", "pending"]
    publish_due(press)
    assert states(any_store) == ["submitted", "submitted"]
    assert len(network.accepted) == 2


def test_what_is_a_day_late_is_cancelled_with_the_reason_and_floods_nobody(
    any_store, press, network, thread
):
    for name in "abc":
        thread(name, minutes=-25 * 60)
    thread("d", items=1, minutes=-23 * 60)
    report = publish_due(press)
    assert network.texts == ["d1"]
    assert states(any_store)[:9] == ["cancelled"] * 9
    assert row(any_store, "a1").reason == "more than 24 hours after its slot"
    assert len(report.lines) == 10


def test_a_thread_that_broke_off_for_days_is_not_taken_up_again(
    any_store, press, network, thread, moment
):
    thread("a", minutes=0)
    publish_due(press)
    moment[0] += timedelta(days=2)
    publish_due(press)
    assert network.texts == ["a1"]
    assert states(any_store) == ["submitted", "cancelled", "cancelled"]


def test_what_a_channel_took_away_from_config_left_behind_is_given_up(any_store, press, thread):
    thread("a", items=1, minutes=-25 * 60, channel="gone")
    publish_due(press)
    assert states(any_store) == ["pending"]
    publish_due(press, everywhere=True)
    assert states(any_store) == ["cancelled"]


@pytest.mark.parametrize(
    "answer", [Unavailable("down"), Throttled("slow"), Unauthorized("no", "401")]
)
def test_a_channel_that_is_not_there_is_tried_by_the_next_run(
    any_store, press, network, thread, answer
):
    thread("a", items=1, minutes=-3)
    thread("b", items=1, minutes=-2)
    network.answers = [answer]
    report = publish_due(press)
    assert report.faults == {"x": answer.reason}
    assert (network.texts, states(any_store)) == ([], ["pending", "pending"])
    assert publish_due(press).faults == {}
    assert network.texts == ["a1", "b1"]


def test_a_person_is_called_for_once_for_each_new_doubt_and_while_a_channel_is_locked(
    press, network, thread
):
    thread("a", items=1, minutes=-3)
    network.answers = [Unauthorized("token revoked"), Uncertain("no answer")]
    assert publish_due(press).for_person
    doubt = publish_due(press)
    assert (doubt.for_person, doubt.uncertain) == (True, 1)
    later = publish_due(press)
    assert (later.for_person, later.uncertain) == (False, 1)


def test_what_was_tried_in_vain_for_a_day_has_failed_and_says_why(
    any_store, press, network, thread, moment
):
    thread("a", items=1, minutes=-3)
    network.answers = [Unavailable("down")]
    publish_due(press)
    moment[0] += timedelta(days=1)
    publish_due(press)
    assert states(any_store) == ["failed"]
    assert row(any_store, "a1").reason == "more than 24 hours after its slot; last: down"


def test_a_network_that_names_a_time_is_left_alone_until_then(press, network, thread, moment):
    thread("a", items=1, minutes=-3)
    network.answers = [Throttled("slow", retry_after=timedelta(hours=1))]
    publish_due(press)
    moment[0] += timedelta(minutes=59)
    publish_due(press)
    assert network.texts == []
    moment[0] += timedelta(minutes=1)
    publish_due(press)
    assert network.texts == ["a1"]


def test_a_refused_snippet_ends_its_thread_and_no_other(any_store, press, network, thread):
    thread("a", minutes=-10)
    thread("b", items=1, minutes=-5)
    network.answers = [Refused("duplicate", "403")]
    report = publish_due(press)
    assert states(any_store, "a") == ["refused", "cancelled", "cancelled"]
    assert network.texts == ["b1"]
    assert report.faults == {}
    assert (row(any_store, "a1").reason, row(any_store, "a1").code) == ("duplicate", "403")


def test_a_post_that_is_gone_is_not_advertised(any_store, press, network, thread, now):
    post = thread("a", minutes=-10)
    with any_store.write() as c:
        c.execute(update(posts).where(posts.c.id == post).values(gone_at=now))
    publish_due(press)
    assert network.texts == []
    assert states(any_store) == ["cancelled"] * 3
    assert row(any_store, "a1").reason == "its post is gone"


def test_several_at_once_publish_each_snippet_once_and_in_order(any_store, press, network, thread):
    names = "abcdefgh"
    for name in names:
        thread(name, minutes=-10)
    barrier = threading.Barrier(3)

    def run():
        barrier.wait()
        publish_due(press)

    workers = [threading.Thread(target=run) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(network.texts) == [f"{name}{n}" for name in names for n in (1, 2, 3)]
    assert all(
        [text for text in network.texts if text[0] == name] == [f"{name}{n}" for n in (1, 2, 3)]
        for name in names
    )
    assert set(states(any_store)) == {"submitted"}


# --- the preview channel -----------------------------------------------------------------------


@pytest.fixture
def preview(store, tmp_path, moment):
    return PreviewChannel(tmp_path / "social", "x", lambda: moment[0])


def test_the_preview_channel_takes_a_snippet_once_and_finds_it_again(preview, tmp_path, now):
    assert preview.find("1-k") is None
    snippet = ReadySnippet("1-k", "Text", Image("https://c.org/i.png", "A loom"))
    first = preview.publish(snippet, None)
    assert preview.publish(snippet, None) == first == preview.find("1-k")
    assert first == Receipt(
        "1-k", now, f"{(tmp_path / 'social/index.html').as_uri()}#publication-1-k"
    )
    (file,) = (tmp_path / "social" / "published" / "x").iterdir()
    assert file.name == "1-k.json"


def test_a_preview_channel_that_cannot_write_accepts_nothing(preview, tmp_path):
    (tmp_path / "social").write_text("in the way")
    assert isinstance(preview.publish(ReadySnippet("1-k", "Text"), None), Unavailable)
