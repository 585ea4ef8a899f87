"""Notices that wait: none lost, none twice, and whether one leaves is decided when it is sent."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy import JSON, String, cast, literal, select, update

from digest import housekeeping, notices
from digest.bootstrap import App
from digest.config_mailers import Rates
from digest.errors import Refused, Throttled, Unauthorized, Unavailable, Uncertain
from digest.links import own_url
from digest.mail.addresses import parse_address
from digest.mail.pacing import earliest
from digest.model import Interests, Receipt, Rhythm
from digest.readers.erasure import erase_reader
from digest.readers.sign_up import Asked, ask
from digest.readers.tokens import make_token
from digest.readers.wishes import Wish
from digest.store import tables
from digest.web.outbox import sending

ACCEPTED = "accepted"
AT = datetime(2026, 11, 23, 8, tzinfo=UTC)


@dataclass
class Line:
    """A mailer that answers as told, and counts."""

    answers: list[Any] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    closed: int = 0
    name: str = "line"

    def submit(self, mails, key):
        (mail,) = mails
        self.said.append(mail.envelope.recipient)
        answer = self.answers.pop(0) if self.answers else ACCEPTED
        if isinstance(answer, Exception):
            raise answer
        return (Receipt("1", AT) if answer is ACCEPTED else answer,)

    def find(self, message_id):
        raise NotImplementedError

    def close(self):
        self.closed += 1


@dataclass(frozen=True)
class Wired(App):
    """The app with that mailer."""

    line: Line = field(default_factory=Line)

    def mailer(self, slug):
        return self.line


def at_most(app, *pace):
    """The same, with a pace for each of its mailers."""
    mailers = {
        slug: declared.model_copy(update={"pace": TypeAdapter(Rates).validate_python(pace)})
        for slug, declared in app.config.mailers.items()
    }
    config = app.config.model_copy(update={"mailers": mailers})
    return Wired(app.home, config, app.store, app.clock, app.line)


@pytest.fixture
def app(house):
    return wired(house)


@pytest.fixture
def any_app(any_house):
    return wired(any_house)


def wired(house):
    app = house.app
    return Wired(app.home, app.config, app.store, app.clock, Line())


def signed_up(app, *names, newsletter="weekly"):
    for name in names:
        wish = Wish(newsletter, Interests(), Rhythm.WEEKLY)
        asked = Asked(parse_address(f"{name}@example.org"), (wish,), "sign-up page", "Yes")
        ask(app.store, app.config, app.secret, asked, app.clock())


def rows(app):
    with app.store.read() as c:
        return c.execute(select(tables.notices).order_by(tables.notices.c.id)).all()


def states(app):
    return [row.state for row in rows(app)]


def test_what_is_accepted_has_left(any_app):
    signed_up(any_app, "ann", "bob")
    done = notices.send_due(any_app)
    assert any_app.line.said == ["ann@example.org", "bob@example.org"]
    assert done.states == {"submitted": 2}
    ann, _ = rows(any_app)
    assert (ann.kind, ann.newsletter, ann.attempts, ann.worker) == ("sign-up", "weekly", 1, None)
    assert notices.send_due(any_app).states == {}
    assert any_app.line.closed == 1


@pytest.mark.parametrize("answer", [Throttled("4.7.1 later", "451"), Unavailable("not there")])
def test_what_was_certainly_not_accepted_is_tried_again_later(house, app, answer):
    app.line.answers = [answer]
    signed_up(app, "ann")
    notices.send_due(app)
    (row,) = rows(app)
    assert (row.state, row.attempts, row.reason) == ("pending", 1, answer.reason)
    assert row.not_before > app.clock()
    notices.send_due(app)
    assert len(app.line.said) == 1
    house.turn(minutes=5)
    notices.send_due(app)
    assert states(app) == ["submitted"]


def test_attempts_end_within_two_days(house, app):
    app.line.answers = [Throttled("later")] * 50
    signed_up(app, "ann")
    for _ in range(48 * 4):
        notices.send_due(app)
        house.turn(minutes=15)
    (row,) = rows(app)
    assert row.state in {"failed", "cancelled"}
    assert 5 <= row.attempts <= 13


def test_who_is_throttled_holds_up_nobody_and_a_mailer_that_is_away_is_asked_once(app):
    app.line.answers = [Throttled("greylisted"), ACCEPTED, Unavailable("gone")]
    signed_up(app, "ann", "bob", "cyd", "dan", "eve")
    done = notices.send_due(app)
    assert states(app) == ["pending", "submitted", "pending", "pending", "pending"]
    assert len(app.line.said) == 3
    assert done.faults == ("gone",)


def test_a_mailer_that_does_not_let_us_in_is_told_and_costs_no_attempt(house, app, caplog):
    app.line.answers = [Unauthorized("bad password", "535")]
    signed_up(app, "ann")
    notices.send_due(app)
    (row,) = rows(app)
    assert (row.state, row.attempts) == ("pending", 0)
    assert "bad password" in caplog.text
    assert "ann@" not in caplog.text
    notices.send_due(app)
    assert len(app.line.said) == 1
    house.turn(minutes=2)
    notices.send_due(app)
    assert states(app) == ["submitted"]


def test_a_policy_that_refuses_one_holds_up_no_other_and_is_told(house, app, caplog):
    said = "<ann@example.org> gets none of it"
    app.line.answers = [Refused(said, "550 5.7.1", address_fault=True), ACCEPTED]
    signed_up(app, "ann", "bob")
    done = notices.send_due(app)
    assert states(app) == ["pending", "submitted"]
    words = "example.org refuses our mail by policy: 550 5.7.1 <<address>> gets none of it"
    assert done.faults == (words,)
    assert words in caplog.text
    house.turn(minutes=61)
    notices.send_due(app)
    assert states(app) == ["submitted", "submitted"]


def test_a_dead_address_is_suppressed(app):
    app.line.answers = [Refused("no such user", "550 5.1.1", address_fault=True)]
    signed_up(app, "ann")
    notices.send_due(app)
    assert states(app) == ["refused"]
    with app.store.read() as c:
        assert c.scalar(select(tables.suppressions.c.address_key)) == "ann@example.org"


def test_what_may_have_been_accepted_is_never_said_again(house, app):
    app.line.answers = [Uncertain("no answer")]
    signed_up(app, "ann")
    notices.send_due(app)
    house.turn(hours=5)
    notices.send_due(app)
    assert states(app) == ["uncertain"]
    assert len(app.line.said) == 1


def test_notices_keep_to_the_pace_of_their_mailer(any_house):
    app = at_most(wired(any_house), "2/hour")
    signed_up(app, "ann", "bob", "cid")
    assert notices.send_due(app).states == {"submitted": 2}
    assert states(app) == ["submitted", "submitted", "pending"]
    any_house.turn(minutes=59)
    assert notices.send_due(app).states == {}
    any_house.turn(minutes=4)
    assert notices.send_due(app).states == {"submitted": 1}


def test_a_worker_that_died_while_submitting_leaves_a_doubt(any_house, any_app):
    class Killed(BaseException):
        """What no code of ours catches."""

    def dies(envelope, message):
        raise Killed

    any_app.line.submit = dies
    signed_up(any_app, "ann", "bob")
    with pytest.raises(Killed):
        notices.send_due(any_app)
    assert states(any_app) == ["submitting", "pending"]
    again = wired(any_house)
    notices.send_due(again)
    assert states(again) == ["uncertain", "submitted"]
    assert again.line.said == ["bob@example.org"]


KILLED = """
import os, signal, sys
from pathlib import Path
from digest import notices
from digest.bootstrap import App, utc_now
from digest.config import StoreSettings
from digest.settings import load_config
from digest.store.engine import open_store

class Killing:
    def submit(self, mails, key):
        os.kill(os.getpid(), signal.SIGKILL)

class Wired(App):
    def mailer(self, slug):
        return Killing()

home = Path(sys.argv[1])
store = open_store(StoreSettings(url="sqlite:///test.db"), home.parent)
notices.send_due(Wired(home, load_config(home, {}), store, utc_now))
"""


def test_a_process_killed_while_submitting_leaves_a_doubt(house, app):
    house.moment[0] = datetime.now(UTC) - timedelta(minutes=1)
    signed_up(app, "ann", "bob")
    command = [sys.executable, "-c", KILLED, str(house.app.home)]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    assert states(app) == ["submitting", "pending"]
    notices.send_due(app)
    assert states(app) == ["uncertain", "submitted"]
    assert app.line.said == ["bob@example.org"]


def test_what_a_living_worker_is_submitting_is_left_alone(app):
    begun, end = threading.Event(), threading.Event()
    usual = app.line.submit

    def slow(mails, key):
        begun.set()
        assert end.wait(10)
        return usual(mails, key)

    app.line.submit = slow
    signed_up(app, "ann")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(notices.send_due, app)
        assert begun.wait(10)
        assert notices.send_due(app).states == {}
        assert states(app) == ["submitting"]
        end.set()
        assert first.result().states == {"submitted": 1}


def test_a_worker_of_elsewhere_is_given_an_hour(house, app):
    signed_up(app, "ann")
    with app.store.write() as c:
        values = {"state": "submitting", "worker": "elsewhere:1:x"}
        c.execute(update(tables.notices).values(**values))
    notices.send_due(app)
    assert states(app) == ["submitting"]
    house.turn(minutes=61)
    notices.send_due(app)
    assert states(app) == ["uncertain"]


def test_many_senders_say_each_notice_once(any_app):
    names = [f"r{number}" for number in range(12)]
    signed_up(any_app, *names)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: notices.send_due(any_app), range(4)))
    assert sorted(any_app.line.said) == sorted(f"{name}@example.org" for name in names)
    assert set(states(any_app)) == {"submitted"}


def test_what_another_sender_put_off_meanwhile_keeps_its_time(any_app):
    signed_up(any_app, "ann")
    usual, other = any_app.mailer, Line([Throttled("later")])

    def meanwhile(slug):
        object.__setattr__(any_app, "mailer", usual)
        notices.send_due(Wired(any_app.home, any_app.config, any_app.store, any_app.clock, other))
        return usual(slug)

    # Between looking at a notice and taking it another sender is through with it.
    object.__setattr__(any_app, "mailer", meanwhile)
    notices.send_due(any_app)
    assert other.said == ["ann@example.org"]
    assert any_app.line.said == []
    (row,) = rows(any_app)
    assert (row.state, row.attempts) == ("pending", 1)


def test_a_mailer_that_is_away_keeps_nobody_from_another(app):
    """However many wait for the one, those of the other come to their turn."""
    weekly, lines = app.config.newsletters["weekly"], {"away": Line(), "local": Line()}
    lines["away"].answers = [Unavailable("gone")] * 9
    letters = {slug: weekly.model_copy(update={"mailer": slug}) for slug in lines}
    mailers = dict.fromkeys(lines, app.config.mailers["local"])
    config = app.config.model_copy(update={"newsletters": letters, "mailers": mailers})

    class Two(Wired):
        def mailer(self, slug):
            return lines[slug]

    app = Two(app.home, config, app.store, app.clock)
    signed_up(app, "ann", "bob", "cyd", "dan", newsletter="away")
    signed_up(app, "eve", newsletter="local")
    notices.send_due(app, most=2)
    assert len(lines["away"].said) == 1
    assert lines["local"].said == ["eve@example.org"]


def test_one_that_breaks_holds_up_no_other(app):
    app.line.answers = [RuntimeError("a surprise")]
    signed_up(app, "ann", "bob")
    with pytest.raises(ExceptionGroup, match="1 notices could not be sent"):
        notices.send_due(app)
    assert states(app) == ["submitting", "submitted"]


def test_who_was_suppressed_since_asking_gets_nothing(house, app):
    signed_up(app, "ann")
    house.suppress("ann")
    notices.send_due(app)
    assert states(app) == ["suppressed"]
    assert not app.line.said


def test_who_was_erased_while_suppressed_gets_nothing(any_house, any_app):
    any_house.reader("ann")
    any_house.suppress("ann")
    with any_app.store.read() as c:
        reader = c.scalar(select(tables.subscribers.c.id))
    erase_reader(any_app.store, any_app.secret, subscriber_id=reader, now=any_app.clock())
    signed_up(any_app, "ann")
    notices.send_due(any_app)
    assert states(any_app)[-1] == "suppressed"
    assert not any_app.line.said


def test_a_sign_up_too_old_or_gone_is_cancelled_with_its_reason(house, app):
    signed_up(app, "ann")
    house.turn(days=3)
    signed_up(app, "bob")
    with app.store.write() as c:
        bob = tables.sign_ups.c.address_key == "bob@example.org"
        c.execute(tables.sign_ups.delete().where(bob))
    notices.send_due(app)
    assert [(row.state, row.reason) for row in rows(app)] == [
        ("cancelled", "the sign-up is too old"),
        ("cancelled", "the sign-up is gone"),
    ]


def test_who_asks_again_after_a_mail_was_cancelled_gets_one_when_the_hour_is_over(house, app):
    other = app.config.newsletters["weekly"]
    config = app.config.model_copy(update={"newsletters": {"other": other}})
    signed_up(app, "ann")
    notices.send_due(replace(app, config=config))
    house.turn(minutes=10)
    signed_up(app, "ann")
    house.turn(minutes=61)
    notices.send_due(app)
    assert states(app) == ["cancelled", "submitted"]


# --- the link to settings ----------------------------------------------------------------------


def test_whoever_has_the_address_gets_a_link_to_their_settings(any_house):
    app = any_house.app
    any_house.reader("ann")
    notices.ask_for_settings(app, " Ann@Example.ORG ")
    assert not any_house.mails()
    notices.send_due(app)
    (mail,) = any_house.mails()
    assert mail["To"].lower() == "ann@example.org"
    with app.store.read() as c:
        reader = c.scalar(select(tables.subscribers.c.id))
    token = make_token(app.secret, "settings", reader, app.clock())
    for kind in ("plain", "html"):
        said = mail.get_body((kind,)).get_content()
        assert own_url(app.config.site.links_url, token) in said
        assert "24 hours" in said
        assert "If it was not you, do nothing" in said


def test_asking_does_the_same_for_every_address_and_strangers_get_nothing(any_house, any_app):
    any_house.reader("ann")
    any_house.reader("bob")
    any_house.suppress("bob")
    done = []
    for name in ("ann", "bob", "cyd"):
        before = any_house.dump()
        notices.ask_for_settings(any_app, f"{name}@example.org")
        after = any_house.dump()
        done.append({t: len(after[t]) - len(before[t]) for t in after if after[t] != before[t]})
    assert done == [{"notices": 1}] * 3
    notices.send_due(any_app)
    assert states(any_app) == ["submitted", "suppressed", "cancelled"]
    assert any_app.line.said == ["ann@example.org"]
    assert rows(any_app)[2].reason == "there is no such reader"


def test_a_link_to_settings_leaves_once_an_hour_and_three_times_a_day(house, app):
    house.reader("ann")
    with app.store.read() as c:
        reader = c.scalar(select(tables.subscribers.c.id))
    for _ in range(20):
        notices.ask_for_settings(app, "ann@example.org")
        notices.ask_for_settings_of(app, reader)
        notices.send_due(app)
        house.turn(minutes=30)
    assert len(app.line.said) == 3
    # Signing up is counted by itself.
    signed_up(app, "ann")
    notices.send_due(app)
    assert len(app.line.said) == 4


def test_many_who_ask_at_once_make_one_mail_for_each_address(any_app):
    addresses = [f"r{number}@example.org" for number in range(12) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda address: notices.ask_for_settings(any_app, address), addresses))
    assert len(rows(any_app)) == 12


def test_a_clock_that_was_ahead_locks_nobody_out(house, app):
    house.reader("ann")
    for days in (365, -365, 0, 0):
        house.turn(days=days)
        notices.ask_for_settings(app, "ann@example.org")
        signed_up(app, "ann")
        notices.send_due(app)
    # One of each kind by either clock, however often.
    assert len(app.line.said) == 4


@pytest.mark.parametrize("text", ["", "x", "a@b@c", "a@b.example\nBcc: x@y.example", "a" * 10_000])
def test_what_is_no_address_is_let_be(house, app, text):
    notices.ask_for_settings(app, text)
    assert not rows(app)


def test_an_erased_reader_has_no_settings(house, app):
    house.reader("ann")
    with app.store.read() as c:
        reader = c.scalar(select(tables.subscribers.c.id))
    erase_reader(app.store, app.secret, subscriber_id=reader, now=app.clock())
    notices.ask_for_settings_of(app, reader)
    assert not [row for row in rows(app) if row.kind == "settings"]


# --- when, and who sends -----------------------------------------------------------------------


def test_pacing(now):
    def at(*hours):
        return [now - timedelta(hours=hour) for hour in hours]

    assert earliest([], now) == now
    assert earliest(at(0.5), now) == now + timedelta(hours=0.5)
    assert earliest(at(1), now) == now
    assert earliest(at(2, 20), now) == now
    assert earliest(at(22, 2, 20), now) == now + timedelta(hours=2)
    assert earliest(at(0.5, 23.9, 20), now) == now + timedelta(hours=0.5)
    assert earliest(at(1, 2, 3, 4), now) == now + timedelta(hours=21)
    # The clock of another machine is a little ahead.
    assert earliest(at(-0.001), now) > now


def test_housekeeping_sends_what_was_left_and_a_dry_run_says_so(app):
    signed_up(app, "ann")
    assert housekeeping.send_notices(app, dry_run=True) == ("1 due",)
    assert states(app) == ["pending"]
    assert housekeeping.send_notices(app) == ("1 submitted",)
    assert housekeeping.send_notices(app) == ()


def test_more_addresses_are_forgotten_than_a_statement_can_name(any_house, any_app):
    most, columns = 65_535, ("address", "address_key", "wishes", "form", "text", "asked_at")
    first = select(literal(0).label("number")).cte(recursive=True)
    numbers = first.union_all(select(first.c.number + 1).where(first.c.number < most))
    name = cast(numbers.c.number, String)
    rest = (literal([], JSON), literal(""), literal(""), literal(any_app.clock(), tables.Utc))
    with any_app.store.write() as c:
        people = select(name, name.label("key"), *rest)
        c.execute(tables.sign_ups.insert().from_select(columns, people))
    any_house.turn(days=17)
    assert housekeeping.forget_strangers(any_app) == (f"{most + 1} sign-ups nobody confirmed",)


def test_addresses_that_nobody_confirmed_are_forgotten_when_no_link_works(any_house, any_app):
    signed_up(any_app, "ann")
    notices.ask_for_settings(any_app, "bob@example.org")
    notices.send_due(any_app)
    any_house.turn(days=15, hours=23)
    assert housekeeping.forget_strangers(any_app) == ()
    any_house.turn(hours=2)
    before = any_house.dump()
    said = ("1 sign-ups nobody confirmed", "1 links nobody here asked for")
    assert housekeeping.forget_strangers(any_app, dry_run=True) == said
    assert any_house.dump() == before
    assert housekeeping.forget_strangers(any_app) == said
    assert "example.org" not in str(any_house.dump())


def test_the_thread_beside_the_pages_sends_what_they_queue(house, client, caplog):
    caplog.set_level(logging.INFO)
    web = client.app.state.web
    with sending(web, seconds=30):
        form = {"address": "ann@example.org", "consent": "yes"}
        assert client.post("/sign-up", data=form).status_code == 303
        until(house.mails)
    assert "ann@" not in caplog.text
    assert not [thread for thread in threading.enumerate() if thread.name == "outbox"]


def test_the_thread_outlives_what_breaks_and_tells(house, client, caplog):
    web, broken = client.app.state.web, tables.notices.name
    with house.app.store.write() as c:
        c.exec_driver_sql(f"ALTER TABLE {broken} RENAME TO away")
    with sending(web, seconds=0.02):
        until(lambda: caplog.text.count("notices could not be sent") > 1)
        with house.app.store.write() as c:
            c.exec_driver_sql(f"ALTER TABLE away RENAME TO {broken}")
        signed_up(house.app, "ann")
        until(house.mails)


def until(is_so, seconds=10.0):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)
