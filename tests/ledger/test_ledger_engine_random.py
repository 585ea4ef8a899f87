"""Two workers with eight connections each, and every answer that there is, by chance."""

from collections import Counter
from random import Random
from threading import Lock, Thread

import pytest

from digest.config_mailers import Brakes
from digest.errors import Refused, Throttled, Unavailable, Uncertain
from digest.model import MailerTraits
from fakes.delivering import accepted, name_of

pytestmark = pytest.mark.long

REACHES = ("item", "domain", "mailer")
#: Nobody got it, for certain: it may be said again.
FREE = {"Throttled", "Unavailable"}
DOMAINS = [f"{letter}.example" for letter in "abcdefghij"]


def some_outcome(dice, recipient):
    chance = dice.random()
    if chance < 0.85:
        return accepted(recipient)
    if chance < 0.88:
        return Refused("no such user", "550 5.1.1", address_fault=True)
    if chance < 0.90:
        return Refused("not like this", "554")
    if chance < 0.94:
        return Throttled("later", "450", reach=dice.choice(REACHES))
    return Unavailable("nobody there") if chance < 0.97 else Uncertain("no answer")


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_answered_each_gets_it_once_and_none_is_lost(new_engine, seed, batch):
    dice = Random(seed)
    readers = [f"{name_of(number)}@{DOMAINS[number % len(DOMAINS)]}" for number in range(500)]
    # No brake: by chance more than so many are refused.
    engine = new_engine(readers, brakes=Brakes(refused_percent=100))
    engine.server.traits = MailerTraits(batch=batch)
    answered, lock = {}, Lock()

    def answer(recipient):
        with lock:
            outcome = some_outcome(dice, recipient)
            answered.setdefault(recipient, []).append(outcome)
        return outcome

    engine.server.answer = answer
    faults = []

    def shift():
        try:
            engine.deliver(connections=8)
        except BaseException as fault:  # noqa: BLE001  told below
            faults.append(fault)

    for _ in range(80):
        shares = [Thread(target=shift) for _ in range(2)]
        for share in shares:
            share.start()
        for share in shares:
            share.join(60)
        assert faults == []
        assert not engine.states().keys() & {"claimed", "submitting"}
        if "pending" not in engine.states():
            break
        engine.clock.later(3600)
    states = engine.states()
    assert states.keys() <= {"submitted", "refused", "failed", "uncertain"}
    assert sum(states.values()) == len(answered) == 500

    # What the ledger says of each is what the mailer said last; nothing was said after an answer
    # that may have been a yes, or a no for good.
    said = {row.address: row.state for row in engine.rows()}
    words = {"Receipt": "submitted", "Refused": "refused", "Uncertain": "uncertain"}
    for recipient, outcomes in answered.items():
        *before, last = [type(outcome).__name__ for outcome in outcomes]
        assert set(before) <= FREE
        assert said[recipient] == words.get(last, "failed")
    # No request was said twice, and none of another issue's.
    assert max(Counter(engine.server.keys).values()) == 1


def test_requests_of_two_issues_are_never_mixed(new_engine):
    first = new_engine(30)
    second = new_engine([name_of(number) for number in range(100, 130)])
    second.server = first.server
    first.server.traits = MailerTraits(batch=7)
    workers = [Thread(target=one.deliver, kwargs={"connections": 3}) for one in (first, second)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert first.states() == {"submitted": 30}
    # Who was there before has a second issue.
    assert second.states() == {"submitted": 60}
    keys = [{row.request for row in one.rows()} for one in (first, second)]
    assert not keys[0] & keys[1]
    assert sorted(first.server.keys) == sorted(keys[0] | keys[1])
