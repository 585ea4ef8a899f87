"""SIGKILL at every step of a delivery, while the relay does everything wrong that relays do.

On each home a round of kills, then the trouble is over, and a last run. Whatever happened: no
reader has two copies, none is lost or unseen, and of each kill and of each answer that the relay
kept back at most the mails on the connections are in doubt.
"""

from __future__ import annotations

import random
import threading
from contextlib import contextmanager

import pytest

from fakes.blockade import DRAFT_STEPS, LEDGER_STEPS, moments
from fakes.camp import DATABASES
from fakes.relay import DRIBBLE, DROP, GARBAGE, HANG, STEPS, Misdeed

pytestmark = pytest.mark.soak

SEED = 20261122
ALWAYS, ONCE = None, 1

#: What the relay does wrong, until it is put right.
TROUBLES = {
    "none": (),
    **{f"drops at {step}": (Misdeed(step, DROP, percent=20),) for step in STEPS[:-1]},
    **{f"garbage at {step}": (Misdeed(step, GARBAGE, percent=20),) for step in STEPS[:-1]},
    **{
        f"451 at {step}": (Misdeed(step, "451 4.3.0 try again later", percent=30),)
        for step in ("MAIL", "RCPT", "DATA", "end")
    },
    **{
        f"554 at {step}": (Misdeed(step, "554 5.0.0 no", percent=10),)
        for step in ("MAIL", "RCPT", "DATA", "end")
    },
    "421 at random": tuple(
        Misdeed(step, "421 4.3.2 closing", percent=5) for step in ("connect", *STEPS[2:7])
    ),
    "one domain waits": (Misdeed("RCPT", "450 4.7.1 greylisted", domain="two.example"),),
    "one domain is refused": (Misdeed("RCPT", "550 5.1.1 nobody", domain="two.example"),),
    "throttled": (Misdeed("MAIL", "454 4.7.0 throttling, maximum rate exceeded", percent=50),),
    "one domain's policy": (Misdeed("RCPT", "550 5.7.1 listed", domain="two.example"),),
    "policy": (Misdeed("end", "550 5.7.1 listed", times=2),),
}
#: These take the mailer's time limit each time.
SLOW = {
    **{f"hangs at {step}": (Misdeed(step, HANG, times=3),) for step in STEPS[:-1]},
    **{f"crawls at {step}": (Misdeed(step, DRIBBLE, times=3),) for step in ("RCPT", "accepted")},
}


def kill_round(siege, seed, half):
    """A kill at every other step of a message, in as many states of the ledger, and at random.

    The two halves are by turns, so that neighbours in trouble make up the whole.
    """
    dice = random.Random(seed)
    for step in STEPS[half::2]:
        siege.resume()
        number = 1 if step in {"connect", "EHLO"} else dice.randint(1, 6)
        siege.killed_at(step, number, siege.start_later)
    for query in list(LEDGER_STEPS.values())[half::2]:
        siege.killed_when(query, siege.start_later, most=4)
    for moment in moments(2, seed, 0.05):
        siege.killed_after(moment, siege.start_later, mail=True)


@pytest.mark.parametrize(("turn", "name"), list(enumerate(TROUBLES)))
def test_kills_in_every_trouble(besiege, turn, name):
    with besiege(readers=150) as siege:
        siege.relay.pace = 0.002
        siege.relay.misbehave(*TROUBLES[name])
        kill_round(siege, SEED + turn, turn % 2)
        siege.relay.behave()
        siege.until_done()
        siege.check()
        assert siege.kills >= 3


@pytest.mark.parametrize("name", TROUBLES | SLOW)
def test_the_same_trouble_without_kills(besiege, name):
    with besiege(seconds=1) as siege:
        siege.relay.misbehave(*(TROUBLES | SLOW)[name])
        for _ in range(2):
            siege.wait(siege.start_later())
        siege.relay.behave()
        siege.until_done()
        account = siege.check()
        assert account["uncertain"] <= siege.relay.unanswered


@pytest.mark.parametrize("name", SLOW)
def test_kills_while_it_waits_for_an_answer(besiege, name):
    with besiege(seconds=1) as siege:
        for moment in (0.1, 0.5, 1.05):
            siege.relay.misbehave(*SLOW[name])
            siege.killed_after(
                moment, siege.start_later, mail="connect" not in name and "EHLO" not in name
            )
        siege.relay.behave()
        siege.until_done()
        siege.check()


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("seed", range(SEED, SEED + 2))
def test_kills_of_two_workers(besiege, database, seed):
    """Now one of them, now both at once; the relay is not well either, every other time."""
    dice = random.Random(seed)
    with besiege(database, readers=150) as siege:
        siege.relay.pace = 0.003
        if seed % 2:
            siege.relay.misbehave(
                Misdeed("MAIL", "421 4.3.2 closing", percent=5),
                Misdeed("accepted", DROP, percent=5),
            )
        for step in STEPS[2:]:
            siege.power_cut = dice.random() < 0.5
            siege.killed_at(step, dice.randint(1, 8), siege.start_two)
        siege.relay.behave()
        siege.until_done()
        siege.check()


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_kills_from_the_first_draft_on_and_at_random(besiege, database, seed):
    with besiege(database, readers=150, begun=False) as siege:
        siege.relay.pace = 0.002

        def send():
            return siege.start("send", "weekly")

        for query in DRAFT_STEPS.values():
            siege.killed_when(query, send)
        for moment in moments(6, seed, 1.2):
            siege.killed_after(moment, send)
        siege.run("send", "weekly")
        siege.until_done()
        siege.check()


@contextmanager
def restarts(relay, every):
    """The relay goes away for a tenth of a second, again and again."""
    over = threading.Event()

    def restart():
        while not over.wait(every):
            relay.stop()
            over.wait(0.1)
            relay.start()

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("kills", [False, True])
def test_a_relay_that_is_restarted_again_and_again(besiege, kills):
    with besiege(readers=150) as siege:
        siege.relay.pace = 0.005
        with restarts(siege.relay, every=0.3):
            for moment in moments(6, SEED, 0.5):
                if kills:
                    siege.killed_after(moment, siege.start_later)
                else:
                    siege.wait(siege.start_later())
        siege.until_done()
        siege.check()


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_kills_at_random_with_a_mailbox_of_files(besiege, seed):
    with besiege(relayed=False) as siege:
        for moment in moments(6, seed, 0.4):
            siege.killed_after(moment, siege.start_later)
        siege.until_done()
        assert siege.balance() == {"submitted": 60}
        assert set(siege.in_mailbox().values()) == {1}
        assert len(siege.in_mailbox()) == 60
