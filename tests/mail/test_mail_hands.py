"""Connections that one thread drives: none holds up another, and each is told of for sure."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from digest.mail.hands import Order, hands_of
from digest.mail.parking import READ, Lot, aside, ready
from digest.model import MailerTraits, Receipt
from fakes.mails import NOW, answer_of, numbered, relay, secure_relay

HANG, DRIBBLE = "hang", "dribble"


@pytest.fixture
def pairs():
    """Makes two ends of a line."""
    with ExitStack() as lines:

        def pair():
            here, there = socket.socketpair()
            lines.enter_context(here)
            lines.enter_context(there)
            here.setblocking(False)
            return here, there

        yield pair


@contextmanager
def at_work(make, most: int, traits=None):
    hands = hands_of(make, most, traits or MailerTraits(parks=True))
    try:
        yield hands
    finally:
        hands.close()


def order(number: int) -> Order[int]:
    return Order(f"request {number}", [number], [numbered(number)])


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def all_of(hands, count: int):
    """What so many orders came to, by number, in the order in which they came."""
    done = []
    while len(done) < count:
        done += hands.take(5)
    return {one.order.known[0]: one.outcomes[0] for one in done}


@dataclass
class Told:
    """A mailer that answers as it is told, and says nothing to anybody."""

    name = "told"
    traits: MailerTraits
    answers: list[object] = field(default_factory=list)
    closed: int = 0

    def submit(self, mails, key):
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def find(self, message_id):
        raise NotImplementedError

    def close(self):
        self.closed += 1


# --- waiting -----------------------------------------------------------------------------------


def test_whoever_stands_alone_waits_where_it_stands(pairs) -> None:
    here, there = pairs()
    assert not ready(here, READ, 0.01)
    there.send(b"x")
    assert ready(here, READ, 5)


def test_what_waits_lets_the_others_go_on(pairs) -> None:
    lot, heard, lines = Lot(), [], [pairs() for _ in range(3)]

    def listen(number: int) -> None:
        for _ in range(2):
            assert ready(lines[number][0], READ, 5)
            heard.append((number, lines[number][0].recv(1)))

    for number in range(3):
        lot.start(lambda number=number: listen(number))
    for number in (2, 0, 2, 1, 1, 0):
        lines[number][1].send(b"x")
        assert lot.go_on(5)
    assert [number for number, _ in heard] == [2, 0, 2, 1, 1, 0]
    assert not lot.occupied


def test_each_has_its_own_time(pairs) -> None:
    lot, ended, [quiet, talking] = Lot(), {}, [pairs(), pairs()]

    def listen(name: str, line, seconds: float) -> None:
        ended[name] = ready(line[0], READ, seconds)

    lot.start(lambda: listen("quiet", quiet, 0.05))
    lot.start(lambda: listen("talking", talking, 60))
    began = monotonic()
    while not ended:
        lot.go_on(30)
    assert ended == {"quiet": False}
    assert monotonic() - began < 10
    talking[1].send(b"x")
    lot.go_on(5)
    assert ended == {"quiet": False, "talking": True}


def test_what_came_in_time_counts_though_nobody_looked(pairs) -> None:
    """A machine that stood still must not take an answer for none."""
    lot, [here, there], ended = Lot(), pairs(), []
    lot.start(lambda: ended.append(ready(here, READ, 0)))
    there.send(b"x")
    lot.go_on(0)
    assert ended == [True]


def test_what_goes_wrong_comes_out(pairs) -> None:
    lot, [here, there] = Lot(), pairs()

    def fail() -> None:
        ready(here, READ, 5)
        raise ZeroDivisionError

    lot.start(fail)
    there.send(b"x")
    with pytest.raises(ZeroDivisionError):
        lot.go_on(5)
    assert not lot.occupied


def test_all_that_is_ended_cleans_up(pairs) -> None:
    lot, left = Lot(), []

    def stay(number: int) -> None:
        try:
            ready(pairs()[0], READ, 60)
        finally:
            left.append(number)

    for number in range(3):
        lot.start(lambda number=number: stay(number))
    lot.end_all()
    assert left == [0, 1, 2]
    assert not lot.occupied


def test_two_cannot_wait_for_one_socket(pairs) -> None:
    lot, [here, there], ended = Lot(), pairs(), []
    lot.start(lambda: ended.append(ready(here, READ, 5)))
    with pytest.raises(RuntimeError, match="already"):
        lot.start(lambda: ready(here, READ, 5))
    there.send(b"x")
    lot.go_on(5)
    assert ended == [True]


def test_what_stands_still_is_done_aside() -> None:
    lot, ended, go = Lot(), [], Event()
    lot.start(lambda: ended.append(aside(lambda: go.wait(30), 20)))
    lot.start(lambda: ended.append("other"))
    assert ended == ["other"]
    go.set()
    while lot.occupied:
        lot.go_on(5)
    assert ended == ["other", True]


def test_what_goes_wrong_aside_comes_back_and_what_takes_too_long_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        aside(lambda: 1 // 0, 5)
    never = Event()
    with pytest.raises(TimeoutError):
        aside(never.wait, 0.02)
    never.set()


# --- connections -------------------------------------------------------------------------------


@pytest.mark.usefixtures("trusted")
def test_many_secure_connections_at_once(real_server) -> None:
    with at_work(lambda: secure_relay(real_server.port), 8) as hands:
        hands.prepare(8)
        for number in range(8):
            hands.give(order(number))
        assert (hands.busy, hands.free) == (8, 0)
        told = all_of(hands, 8)
        assert (hands.busy, hands.free) == (0, 8)
    assert {type(outcome) for outcome in told.values()} == {Receipt}
    arrived = sorted(recipients for _, recipients, _ in real_server.inbox.mails)
    assert arrived == [[f"reader{number}@example.org"] for number in range(8)]


def test_one_that_hangs_holds_up_no_other(scripted) -> None:
    server = scripted(answers={"end": [HANG]}, extensions=("PIPELINING",))
    with at_work(lambda: relay(server.port, timeout_seconds=1), 2) as hands:
        hands.prepare(2)
        hands.give(order(0))
        while server.answers["end"]:
            assert hands.take(0.01) == []
        began = monotonic()
        for number in range(1, 20):
            hands.prepare(1)
            hands.give(order(number))
            assert isinstance(all_of(hands, 1)[number], Receipt)
        assert monotonic() - began < 1
        [late] = all_of(hands, 1).values()
        assert type(late).__name__ == "Uncertain"
    assert len(server.accepted) == 19
    assert server.connections == 2


def test_a_byte_at_a_time_is_heard_beside_others(scripted) -> None:
    server = scripted(answers={"end": [DRIBBLE, DRIBBLE]})
    with at_work(lambda: relay(server.port, timeout_seconds=5), 3) as hands:
        hands.prepare(3)
        for number in range(3):
            hands.give(order(number))
        told = all_of(hands, 3)
    assert {type(outcome) for outcome in told.values()} == {Receipt}


def test_a_name_that_nobody_knows_holds_up_no_other(scripted, monkeypatch) -> None:
    server, known, asked = scripted(), Event(), []

    def look_up(host, port, *args, flags=0, **kwargs):
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        asked.append(host)
        if len(asked) > 1:
            known.wait(30)
        return original("127.0.0.1", port, *args, **kwargs)

    original = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with at_work(lambda: relay(server.port, host="relay.example"), 2) as hands:
        hands.prepare(2)
        for number in range(2):
            hands.give(order(number))
        [first] = all_of(hands, 1)
        hands.prepare(1)
        hands.give(order(2))
        assert isinstance(all_of(hands, 1)[2], Receipt)
        known.set()
        [last] = all_of(hands, 1).values()
    assert (first, type(last)) == (0, Receipt)
    assert len(server.accepted) == 3


def test_the_next_address_is_tried_and_the_last_one_told_of(scripted, monkeypatch) -> None:
    server = scripted()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()
    here = ("127.0.0.1", server.port)
    unknown = (999, socket.SOCK_STREAM, 0, "", here)
    addresses = [
        unknown,
        *((socket.AF_INET, socket.SOCK_STREAM, 0, "", at) for at in (nobody, here)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    assert isinstance(answer_of(relay(server.port)), Receipt)
    addresses.pop()
    assert "Connection refused" in answer_of(relay(server.port)).reason
    addresses.clear()
    assert "has no address" in answer_of(relay(server.port)).reason


def test_whoever_never_stops_talking_holds_up_no_answer(scripted) -> None:
    chatty = scripted(answers={"MAIL": "endless"})
    server = scripted()
    made = iter([relay(server.port), relay(chatty.port, timeout_seconds=30)])
    with at_work(made.__next__, 2) as hands:
        hands.prepare(2)
        hands.give(order(0))
        began = monotonic()
        hands.give(order(1))
        assert isinstance(all_of(hands, 2)[1], Receipt)
        assert monotonic() - began < 5


def test_all_say_goodbye(scripted) -> None:
    server = scripted()
    with at_work(lambda: relay(server.port), 3) as hands:
        hands.prepare(3)
        for number in range(3):
            hands.give(order(number))
        all_of(hands, 3)
    assert server.verbs.count("QUIT") == 3


@pytest.mark.parametrize("step", ["connect", "EHLO", "DATA"])
def test_who_is_left_in_the_middle_is_cut_off(scripted, step: str) -> None:
    """Whoever gives up on its hands knows nothing of this mail; the server must not wait for it."""
    server = scripted(answers={step: HANG})
    with at_work(lambda: relay(server.port, timeout_seconds=60), 1) as hands:
        hands.prepare(1)
        hands.give(order(0))
        while not (step in server.verbs or (step == "connect" and server.connections)):
            assert hands.take(0.01) == []
        began, open_before = monotonic(), open_files()
    assert monotonic() - began < 5
    assert server.accepted == []
    # Not by whoever collects garbage, some time.
    assert open_files() < open_before


# --- of either kind ----------------------------------------------------------------------------


@pytest.fixture(params=[True, False], ids=["one thread", "a thread each"])
def traits(request):
    return MailerTraits(parks=request.param)


def test_a_surprise_comes_back_with_its_order(traits) -> None:
    made = [Told(traits, [ZeroDivisionError()]), Told(traits, [(Receipt("a", NOW),)])]
    with at_work(iter(made).__next__, 1, traits) as hands:
        hands.prepare(1)
        hands.give(order(0))
        [done] = hands.take(5)
        assert (done.order.known, type(done.surprise)) == ([0], ZeroDivisionError)
        hands.prepare(1)
        hands.give(order(1))
        assert isinstance(all_of(hands, 1)[1], Receipt)
    # What surprised is not used again, nor spoken to.
    assert [mailer.closed for mailer in made] == [0, 1]


def test_too_few_answers_are_a_surprise(traits) -> None:
    with at_work(lambda: Told(traits, [()]), 1, traits) as hands:
        hands.prepare(1)
        hands.give(order(1))
        [done] = hands.take(5)
    assert str(done.surprise) == "0 answers to 1 mails"


def test_nothing_to_hear_takes_no_longer_than_it_may(traits) -> None:
    with at_work(lambda: Told(traits), 1, traits) as hands:
        began = monotonic()
        assert hands.take(0.02) == []
        assert 0.01 < monotonic() - began < 5
