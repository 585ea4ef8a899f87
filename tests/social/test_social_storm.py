"""Troubles, crashes and pauses by chance: each snippet is out once, in its place, in the end."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest

from digest.errors import Throttled, Unavailable, Uncertain
from digest.model import Act
from digest.store.social import ask_undo
from fakes.scripted import MINUTE, Killed, Lost, kill

pytestmark = pytest.mark.long

SECOND = timedelta(seconds=1)
#: Storms that found something once.
SEEDS = (1, 5, 7, 11)
RUNS = 15
FOR_WEEKS = {"max_late_hours": 336}


class Storm:
    """Threads on a channel, and everything that can happen to a run."""

    def __init__(self, house, slug, seed):
        self.house, self.slug, self.chance = house, slug, random.Random(seed)
        pace = self.chance.choice([0, 2])
        self.network = house.add_channel(slug, slots={"pace_minutes": pace}, **FOR_WEEKS)
        self.network.takes_no_twins = slug == "x"
        self.network.lag = self.network.traits.seen_after * self.chance.choice([0, 1])
        self.texts = self._plan(pace)

    def _plan(self, pace):
        options = {"channel": self.slug, "pace": pace}
        first = self.house.instalment("a", items=3, **options)
        self.house.plan("b", items=2, minutes=1, **options)
        self.house.instalment("c", items=2, after=first, minutes=2, **options)
        return ["a1", "a2", "a3", "b1", "b2", "c1", "c2"]

    def rage(self):
        """One run, in which anything goes wrong, and what comes after it."""
        pick = self.chance.choice
        doubt = Uncertain("no answer")
        slow = Throttled("slow", retry_after=5 * MINUTE)
        self.network.answers = [
            pick([None, None, None, Lost(doubt), doubt, slow, Unavailable("away")])
            for _ in range(4)
        ]
        self.network.finding = [pick([None, None, Unavailable("away"), slow]) for _ in range(3)]
        self.network.reading = [pick([None, None, Unavailable("away")]) for _ in range(3)]
        self.network.preparing = [pick([None, None, None, Unavailable("away")]) for _ in range(4)]
        self._perhaps_die()
        with suppress(Killed):
            self.house.publish()
        self._live()
        self.house.later(pick([5 * SECOND, MINUTE, 3 * MINUTE, 10 * MINUTE, 70 * MINUTE]))

    def _perhaps_die(self):
        moment = self.chance.choice(["", "", "before", "after", "prepare", "find", "read"])
        left = [self.chance.randrange(3)]

        def now_and_then(*_):
            left[0] -= 1
            if left[0] < 0:
                kill()

        def after(bodies):
            left[0] -= 1
            if left[0] < 0:
                for body in bodies:
                    self.network._accept(body)
                kill()

        if moment == "before":
            self.network.before = now_and_then
        elif moment == "after":
            self.network.before = after
        elif moment:
            ask = getattr(self.network, moment)
            setattr(self.network, moment, lambda *given: now_and_then() or ask(*given))

    def _live(self):
        self.network.before = lambda bodies: None
        for name in ("prepare", "find", "read"):
            vars(self.network).pop(name, None)

    def calm(self):
        """Nothing goes wrong any more."""
        for script in ("answers", "finding", "reading", "preparing", "deleting"):
            setattr(self.network, script, [])
        for _ in range(60):
            self.house.later(3 * MINUTE)
            report = self.house.publish()
            if not report.lines and not report.uncertain and not report.faults:
                return
        raise AssertionError((self.house.states(), report))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("slug", ["x", "mastodon", "bluesky"])
def test_every_snippet_is_out_once_and_in_its_place(*, house, slug, seed):
    storm = Storm(house, slug, seed)
    for _ in range(RUNS):
        storm.rage()
    storm.calm()
    network = storm.network
    assert Counter(network.texts) == Counter(storm.texts)
    assert set(house.states()) == {"submitted"}
    assert network.parents == {
        "a1": None, "a2": "a1", "a3": "a2", "b1": None, "b2": "b1", "c1": "a3", "c2": "c1",
    }  # fmt: skip
    for text in storm.texts:
        assert house.row(text).remote_id == network.of(text).id
    assert [house.thread(number).differs for number in (1, 2, 3)] == [None] * 3


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("slug", ["x", "mastodon", "bluesky"])
def test_what_is_taken_down_on_the_way_leaves_nothing_behind(*, house, slug, seed):
    storm = Storm(house, slug, seed)
    for run in range(RUNS):
        if run == RUNS // 2:
            with house.store.write() as c:
                for thread in (1, 2, 3):
                    ask_undo(c, thread, Act("Maya", house.now, "a mistake"))
        storm.network.deleting = [storm.chance.choice([None, Unavailable("away")])] * 2
        storm.rage()
    storm.calm()
    assert storm.network.texts == []
    assert all(
        count == 1 for count in Counter(one.text for one in storm.network.posts.values()).values()
    )
    assert set(house.states()) <= {"submitted", "cancelled"}
