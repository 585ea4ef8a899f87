"""What happened to users of other newsletter systems, and cannot happen here.

Each test is named for what does not happen; its docstring names the report. A real SMTP server
on loopback counts what it accepts. Kills of real processes are in tests/kill and tests/soak.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select, update

from digest import sending
from digest.bootstrap import App
from digest.eta import to_go
from digest.issues import desk
from digest.mail.bounces import Past, keeps_refusing
from digest.mail.feedback import Feedback
from digest.model import UNSUBSCRIBE_MARK, Act, DeliveryState, IssueState
from digest.returning import work_off
from digest.settings import load_config
from digest.store import accounts, tables
from digest.store import deliveries as ledger
from digest.store import issues as issue_store
from digest.store.feedback import take_in
from fakes.blockade import change, use_relay
from fakes.relay import DROP, Misdeed, Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from digest.sending import Sent

S = DeliveryState
ROOT = Path(__file__).parents[2]
BUSY = "454 4.7.0 Throttling failure: Maximum sending rate exceeded."


@dataclass
class Office:
    """An issue on its way to some readers, and the relay that takes it; the clock stands still."""

    world: Any
    relay: Relay
    home: Path
    issue: int = 0

    @property
    def app(self) -> App:
        """Anew each time, as after a restart: settings are read again."""
        return App(self.home, load_config(self.home), self.world.store, lambda: self.world.now)

    def readers(self, *names: str, newsletter: str = "weekly") -> None:
        """An issue is being sent to these, and to who was there before."""
        post = self.world.post()
        for name in names:
            self.world.reader(name, newsletter=newsletter)
        period = f"2026-W{40 + post}"
        self.issue = self.world.issue(post, newsletter=newsletter, period=period).id
        v = tables.variants
        with self.world.store.write() as c:
            c.execute(update(v).values(html=UNSUBSCRIBE_MARK, text=UNSUBSCRIBE_MARK))

    def deliver(self, *, most: int | None = None, stop: Callable[[], bool] = lambda: False) -> Sent:
        return sending.deliver_batch(
            self.app, self.issue, sending.Watch(should_stop=stop), most=most
        )

    def act(self, reason: str = "as planned") -> Act:
        return Act("Maya", self.world.now, reason)

    def account(self) -> dict[str, int]:
        with self.world.store.read() as c:
            found = accounts.account(c, self.issue)
        assert found.balanced
        return {str(state): getattr(found, state) for state in S if getattr(found, state)}

    def who(self, state: DeliveryState) -> list[str]:
        with self.world.store.read() as c:
            return [line.address.split("@")[0] for line in accounts.lines(c, self.issue, state)]

    def state(self) -> str:
        with self.world.store.read() as c:
            return issue_store.get_issue(c, self.issue).state

    def move(self, name: str, *, domain: str) -> None:
        """A recipient is at another domain."""
        there = f"{name}@{domain}"
        d = tables.deliveries
        change = update(d).where(d.c.address == f"{name}@example.org")
        with self.world.store.write() as c:
            c.execute(change.values(address=there, address_key=there))

    def tries(self, *states: DeliveryState) -> int:
        """How many attempts stand against the deliveries in some states, or in any."""
        d = tables.deliveries.c
        with self.world.store.read() as c:
            return sum(c.scalars(select(d.attempts).where(d.state.in_(states or tuple(S)))))

    def got(self) -> list[str]:
        """Who has it, in the order in which the relay took them; each once."""
        names = [address.split("@")[0] for address, _ in self.relay.taken()]
        assert len(names) == len(set(names)), "somebody has it twice"
        return names

    def settings(self, line: str) -> None:
        """One more line for the mailer."""
        host = 'host = "127.0.0.1"\n'
        change(self.home / "config" / "site.toml", host, f"{host}{line}\n")

    def tell(self, name: str, **said: Any) -> None:
        """Something comes back about the mail of one, and is worked on."""
        query = select(tables.deliveries.c.id).where(
            tables.deliveries.c.address == f"{name}@example.org"
        )
        with self.world.store.write() as c:
            number = c.scalar(query)
            about = Feedback(at=self.world.now, delivery_id=number, **said)
            take_in(c, "hook:local", f"event {name} {said}", about, self.world.now)
        work_off(self.app)

    def suppressed(self) -> set[str]:
        with self.world.store.read() as c:
            keys = c.scalars(select(tables.suppressions.c.address_key))
            return {key.split("@")[0] for key in keys}


@pytest.fixture(scope="session")
def config_files(tmp_path_factory):
    """The config of the sample; copied for each test."""
    home = tmp_path_factory.mktemp("office") / "home"
    shutil.copytree(ROOT / "config", home / "config")
    return home


@pytest.fixture
def office(world, tmp_path, config_files) -> Iterator[Office]:
    home = tmp_path / "home"
    shutil.copytree(config_files, home)
    with Relay(tmp_path / "taken.txt") as relay:
        use_relay(home, relay.port, connections=2)
        yield Office(world, relay, home)


@contextmanager
def at_step(office: Office, step: str, number: int, do: Callable[[], object]) -> Iterator[None]:
    """Do something when the relay comes to a step so often."""
    seen = []

    def look(now_at: str, recipient: str) -> None:
        if now_at == step:
            seen.append(recipient)
            if len(seen) == number:
                do()

    office.relay.at_step = look
    yield
    office.relay.at_step = lambda step, recipient: None


MANY = tuple(f"r{number:02}" for number in range(12))


# --- the four cases that were run on listmonk --------------------------------------------------


def test_what_was_fetched_and_not_sent_before_a_crash_is_not_skipped(office):
    """Case A: the checkpoint moves on when a batch is fetched; listmonk#3022, #2278, PR #3222."""
    office.readers(*MANY)
    now = office.world.now
    with office.world.store.write() as c:
        until = now + timedelta(hours=1)
        # A worker that is no more has leased all of it, and said nothing to anybody.
        assert ledger.claim(c, office.issue, "elsewhere:1:x", now=now, until=until, most=1000)
    office.deliver()
    assert office.got() == []
    office.world.later(hours=2)
    office.deliver()
    assert sorted(office.got()) == list(MANY)
    assert office.account() == {S.SUBMITTED: 12}


def test_a_wrong_password_costs_no_reader_the_issue(office):
    """Case B: all fail, the campaign pauses, and goes on behind them; listmonk#1802."""
    office.readers(*MANY)
    office.relay.misbehave(Misdeed("MAIL", "535 5.7.8 wrong password"))
    sent = office.deliver()
    assert sent.issue.state is IssueState.PAUSED
    assert "wrong password" in sent.note
    assert office.account() == {S.PENDING: 12}
    office.relay.behave()
    desk.resume(office.world.store, office.app.config, ROOT, office.issue, office.act())
    office.deliver()
    assert sorted(office.got()) == list(MANY)


def test_two_at_the_same_place_do_not_send_the_same(office):
    """Case C: two processes read one checkpoint; listmonk#2052."""
    office.readers(*MANY)

    def another():
        office.relay.at_step = lambda step, recipient: None
        office.deliver()

    with at_step(office, "MAIL", 1, another):
        office.deliver()
    office.deliver()
    assert sorted(office.got()) == list(MANY)
    assert office.account() == {S.SUBMITTED: 12}


def test_who_stands_before_the_place_it_has_come_to_is_not_passed_over(office):
    """Case D: a low id that is due while the campaign is at a higher one."""
    office.readers(*MANY)
    first = tables.deliveries.c.address == "r00@example.org"

    def let_in(state):
        with office.world.store.write() as c:
            c.execute(update(tables.deliveries).where(first).values(state=state))

    let_in(S.FAILED)
    with at_step(office, "MAIL", 6, lambda: let_in(S.PENDING)):
        office.deliver()
    office.deliver()
    assert sorted(office.got()) == list(MANY)
    assert office.state() == IssueState.DONE


# --- 2.1: finished and not sent, stuck, twice after a pause ------------------------------------


def test_an_issue_is_not_done_while_somebody_waits_for_it(office):
    """ "finished" with a part unsent: listmonk#2168, #2860; Keila#223."""
    office.readers(*MANY)
    office.relay.misbehave(Misdeed("RCPT", "450 4.2.0 try again later", times=3))
    sent = office.deliver()
    assert sent.issue.state is IssueState.SENDING
    assert office.account() == {S.SUBMITTED: 9, S.PENDING: 3}
    assert sent.next_due is not None
    office.world.later(hours=5)
    assert office.deliver().issue.state is IssueState.DONE
    assert sorted(office.got()) == list(MANY)


def test_pausing_and_going_on_sends_nobody_a_second_copy(office):
    """Three copies to two thirds of the readers: listmonk#2313, #2070."""
    office.readers(*MANY)
    store = office.world.store
    for _ in range(4):
        pause = lambda: desk.pause(store, office.issue, office.act())  # noqa: E731
        with at_step(office, "RCPT", 2, pause):
            office.deliver()
        desk.resume(store, office.app.config, ROOT, office.issue, office.act())
    office.deliver()
    assert sorted(office.got()) == list(MANY)


def test_a_pause_is_not_ignored_until_the_batch_is_through(office):
    """Pause ignored for three hours: Mailtrain#243; no cancel: Keila#389, #464."""
    office.readers(*MANY)
    store = office.world.store
    before = []

    def pause():
        desk.pause(store, office.issue, office.act())
        before.append(len(office.relay.taken()))

    with at_step(office, "RCPT", 1, pause):
        sent = office.deliver()
    assert sent.issue.state is IssueState.PAUSED
    # What was being said on the two connections has its answer; nothing was begun after.
    had = len(office.got())
    assert had <= before[0] + 2
    desk.cancel(store, office.issue, office.act("wrong picture"))
    office.deliver()
    assert len(office.got()) == had < 12
    assert set(office.account()) == {S.SUBMITTED, S.CANCELLED}


def test_nobody_has_to_ask_the_relays_log_who_got_it(office):
    """No record of who got it: listmonk#2221, #2185, #2680."""
    office.readers(*MANY)
    office.relay.misbehave(Misdeed("RCPT", "550 5.1.1 nobody here", times=1))
    office.deliver()
    assert sorted(office.got()) == office.who(S.SUBMITTED)
    [refused] = office.who(S.REFUSED)
    assert refused not in office.got()
    assert sorted([refused, *office.got()]) == list(MANY)


def test_what_failed_is_not_dropped_and_is_retried_alone(office):
    """Failed for good, and no way to retry only those: listmonk#2616, #2079, #209; Keila#557."""
    office.readers(*MANY)
    office.relay.misbehave(Misdeed("RCPT", "451 4.2.0 not now", domain="example.org", times=1))
    with office.world.store.write() as c:
        c.execute(update(tables.deliveries).values(attempts=50))
    office.deliver()
    assert office.account() == {S.SUBMITTED: 11, S.FAILED: 1}
    assert office.state() == IssueState.DONE
    assert sending.retry_failed(office.app, office.issue, office.act()) == 1
    office.deliver()
    assert office.account() == {S.SUBMITTED: 12}
    assert sorted(office.got()) == list(MANY)


def test_being_asked_to_stop_in_the_middle_leaves_nothing_to_reconcile_by_hand(office):
    """Recovered by editing the database after a SIGTERM: Ghost#27822."""
    office.readers(*MANY)
    sent = office.deliver(stop=lambda: len(office.relay.taken()) >= 3)
    assert sent.more
    assert set(office.account()) == {S.SUBMITTED, S.PENDING}
    office.deliver()
    assert sorted(office.got()) == list(MANY)


def test_a_crash_while_the_recipients_are_drawn_loses_no_tail_of_them(office):
    """The tail of the list was dropped, or nothing queued: Ghost#30230, #29987, #30409."""
    for name in MANY:
        office.world.reader(name)
    post = office.world.post()

    def crash(_):
        raise KeyboardInterrupt

    office.world.just_before_reserving = crash
    with pytest.raises(KeyboardInterrupt):
        office.world.issue(post)
    with office.world.store.read() as c:
        assert c.execute(select(tables.deliveries.c.id)).all() == []
    office.world.just_before_reserving = lambda _: None
    issue = office.world.issue(post)
    assert sorted(office.world.got(issue)) == list(MANY)


def test_one_reader_in_two_spellings_is_not_written_to_twice(office):
    """Twice to the same member: Ghost#18940."""
    office.readers(*MANY)
    with office.world.store.write() as c:
        row = c.execute(select(tables.deliveries)).first()._asdict()
        del row["id"]
        with pytest.raises(Exception, match=r"(?i)unique"), c.begin_nested():
            c.execute(insert(tables.deliveries).values(**{**row, "address": "R00@Example.org"}))
    office.deliver()
    assert sorted(office.got()) == list(MANY)


# --- 2.3: throttling ---------------------------------------------------------------------------


@pytest.mark.parametrize("names", [MANY, ("ann",)])
def test_a_server_that_asks_for_less_speed_does_not_lose_readers(office, names):
    """454 counted as failed: listmonk#1802. Never, however long it lasts."""
    office.readers(*names)
    office.relay.misbehave(Misdeed("MAIL", BUSY))
    for _ in range(20):
        sent = office.deliver()
        assert office.account() == {S.PENDING: len(names)}
        assert sent.issue.state is IssueState.SENDING
        office.world.later(hours=6)
    office.relay.behave()
    office.world.later(hours=5)
    office.deliver()
    assert office.account() == {S.SUBMITTED: len(names)}


def test_two_rates_are_not_added_up_and_none_is_left_out(office):
    """Settings that do not add up: listmonk#1854, #2069."""
    office.settings('pace = ["3/minute", "5/hour"]')
    office.readers(*MANY)
    office.deliver()
    assert len(office.got()) == 3
    office.world.later(minutes=2)
    office.deliver()
    assert len(office.got()) == 5
    office.world.later(minutes=30)
    office.deliver()
    assert len(office.got()) == 5
    office.world.later(hours=2)
    office.deliver()
    assert len(office.got()) == 8


def test_a_window_is_not_off_by_one(office):
    """One more than allowed in each window: listmonk#2184, #2816."""
    office.settings('pace = ["4/minute"]')
    office.readers(*MANY)
    sent = office.deliver()
    assert len(office.got()) == 4
    assert "pace" in sent.note
    office.world.later(seconds=59)
    office.deliver()
    assert len(office.got()) == 4
    office.world.later(seconds=5)
    office.deliver()
    assert len(office.got()) == 8


def test_a_restart_does_not_begin_to_count_anew(office):
    """The window stands in memory: listmonk#645, #356. Here each `deliver` is a new process."""
    office.settings('pace = ["5/hour"]')
    office.readers(*MANY)
    for most in (2, 2, 2, 2):
        office.deliver(most=most)
    assert len(office.got()) == 5


def test_a_batch_is_not_larger_than_what_may_go_out(office):
    """A thousand at once to a provider that allows a hundred: Ghost#15725."""
    office.settings('pace = ["1/hour"]')
    office.readers(*MANY)
    office.deliver()
    assert len(office.got()) == 1


def test_one_senders_limit_does_not_slow_another_down(office):
    """One global window for all: listmonk#2043, #2231, #1112, #3017."""
    config, fast = office.home / "config", Relay(office.home / "fast.txt")
    letters = (config / "newsletters.toml").read_text().replace(".weekly", ".other")
    (config / "other.toml").write_text(
        letters.replace('"local"', '"other"')
        + '[mailers.other]\nkind = "smtp"\nhost = "127.0.0.1"\nport = {}\nsecurity = "none"\n'
    )
    office.settings('pace = ["2/hour"]')
    office.readers(*MANY)
    slow = office.issue
    with fast:
        change(config / "other.toml", "{}", str(fast.port))
        office.deliver()
        office.readers("ann", "bob", "cid", newsletter="other")
        office.deliver()
        assert {name.split("@")[0] for name in fast.accepted()} == {"ann", "bob", "cid"}
    assert len(office.got()) == 2
    office.issue = slow
    assert office.account() == {S.SUBMITTED: 2, S.PENDING: 10}


def test_one_bad_domain_does_not_hold_up_the_rest(office):
    """One provider's limit stops everybody: listmonk#1097."""
    names = [f"s{number:02}" for number in range(30)]
    office.readers(*names, *MANY)
    for name in names:
        office.move(name, domain="slow.example")
    office.relay.misbehave(Misdeed("RCPT", "450 4.7.1 too many", domain="slow.example"))
    office.deliver()
    assert sorted(office.got()) == list(MANY)
    # A few, not all thirty, were told to a domain that had said no.
    assert office.tries(S.PENDING) <= 6


def test_how_long_it_will_take_is_not_left_to_be_guessed(office):
    """No estimate that takes the limit into account: listmonk#2845, #1917."""
    office.settings('pace = ["4/hour"]')
    office.readers(*MANY)
    office.deliver()
    app = office.app
    with office.world.store.read() as c:
        issue = issue_store.get_issue(c, office.issue)
        told = to_go(app, c, issue, accounts.account(c, office.issue))
    assert told.startswith("about 2 h ")


# --- 2.4: bounces ------------------------------------------------------------------------------


def test_a_mailbox_that_does_not_exist_is_not_written_to_again(office):
    """550 at RCPT is no bounce: listmonk#2623."""
    office.readers(*MANY)
    office.relay.misbehave(Misdeed("RCPT", "550 5.1.1 no such user", times=1))
    office.deliver()
    [gone] = office.who(S.REFUSED)
    assert office.suppressed() == {gone}
    with office.world.store.read() as c:
        event = c.execute(select(tables.delivery_events)).one()
    assert (event.event, event.kind, event.code) == ("bounced", "hard", "550 5.1.1")
    assert "no such user" in event.detail


def test_a_full_mailbox_is_not_taken_for_one_that_does_not_exist(office):
    """No difference between address and mailbox, and no reason kept: listmonk#489, #763."""
    office.readers(*MANY)
    office.relay.misbehave(Misdeed("RCPT", "552 5.2.2 mailbox full", times=1))
    office.deliver()
    assert len(office.who(S.REFUSED)) == 1
    assert office.suppressed() == set()
    with office.world.store.read() as c:
        event = c.execute(select(tables.delivery_events)).one()
    assert (event.event, event.kind) == ("bounced", "soft")
    assert "mailbox full" in event.detail


LISTED = "550 5.7.1 <news@example.org> is on a block list"


def test_a_refusal_by_policy_does_not_cost_all_readers_their_subscription(office):
    """5.7.x is about us, not about them: the operator is told, and the addresses are kept."""
    office.readers(*MANY)
    for place, name in enumerate(MANY):
        office.move(name, domain=f"d{place}.example")
    office.relay.misbehave(Misdeed("RCPT", LISTED))
    sent = office.deliver()
    assert sent.issue.state is IssueState.PAUSED
    assert "block list" in sent.note
    assert "@" not in sent.words
    assert office.suppressed() == set()
    assert office.account() == {S.PENDING: 12}
    # Three, and what was said on the other connection meanwhile.
    assert office.tries() <= 4
    office.relay.behave()
    desk.resume(office.world.store, office.app.config, ROOT, office.issue, office.act())
    office.deliver()
    assert office.account()[S.SUBMITTED] >= 8
    office.world.later(hours=2)
    office.deliver()
    assert sorted(office.got()) == list(MANY)


def test_one_domains_policy_does_not_hold_up_the_rest(office):
    """One domain that wants none of our mail paused the whole issue, at each resume again."""
    office.readers("eve", "fay", "gus", *MANY)
    for name in ("eve", "fay", "gus"):
        office.move(name, domain="two.example")
    office.relay.misbehave(Misdeed("RCPT", LISTED, domain="two.example"))
    sent = office.deliver()
    assert sorted(office.got()) == list(MANY)
    assert (sent.issue.state, sent.in_order) == (IssueState.SENDING, False)
    words = sent.refusing["two.example"]
    assert words.startswith("two.example refuses our mail by policy: 550 5.7.1 <<address>> is on")
    assert "; asked again on Mon 23 Nov at " in words
    assert office.suppressed() == set()
    first = office.tries(S.PENDING)
    assert first <= 2
    for hour in range(1, 4):
        assert office.deliver().tried == 0
        office.world.later(minutes=80)
        sent = office.deliver()
        assert (office.state(), list(sent.refusing)) == (IssueState.SENDING, ["two.example"])
        assert office.tries(S.PENDING) - first <= 2 * hour
    office.relay.behave()
    for _ in range(2):
        office.world.later(minutes=80)
        sent = office.deliver()
    assert sent.in_order
    assert sorted(office.got()) == ["eve", "fay", "gus", *MANY]


def test_who_complains_is_not_written_to_again(office):
    """Reports of abuse lead to nothing: listmonk#982, #946."""
    office.readers(*MANY)
    office.deliver()
    office.tell("r03", event="complained")
    assert office.suppressed() == {"r03"}
    office.readers()
    office.deliver()
    names = [address.split("@")[0] for address, _ in office.relay.taken()]
    assert names.count("r03") == 1
    assert names.count("r04") == 2


def test_a_bounce_that_comes_hours_later_is_not_ignored(office):
    """Bounces of what was accepted are ignored: listmonk#2193, #1460."""
    office.readers(*MANY)
    office.deliver()
    office.world.later(hours=7)
    office.tell("r05", event="bounced", kind="hard", code="5.1.1", detail="unknown user")
    assert office.suppressed() == {"r05"}
    # It was submitted, and came back: the account does not change, the event says it.
    assert office.account() == {S.SUBMITTED: 12}
    with office.world.store.read() as c:
        assert c.execute(select(tables.delivery_events.c.event)).all() == [("bounced",)]


def test_a_soft_bounce_is_not_remembered_for_ever(office):
    """A counter that good deliveries do not reset: listmonk#991, #1923."""
    now = office.world.now

    def past(weeks: int, event: str) -> Past:
        events = [("bounced", "soft")] if event == "soft" else [("delivered", None)]
        return Past(at=now - timedelta(weeks=weeks), accepted=True, events=events)

    assert keeps_refusing([past(week, "soft") for week in range(10)], now)
    often = [past(week, "delivered" if week == 1 else "soft") for week in range(10)]
    assert not keeps_refusing(often, now)


def test_one_soft_bounce_does_not_end_a_subscription(office):
    """Blocked after one full mailbox: listmonk#763."""
    office.readers(*MANY)
    office.deliver()
    office.tell("r05", event="bounced", kind="soft", code="4.2.2")
    assert office.suppressed() == set()


# --- and the answer that is lost ---------------------------------------------------------------


def test_an_answer_that_is_lost_is_neither_a_copy_more_nor_a_reader_less(office):
    """A batch whose answer is lost: up to a hundred again (Keila), a thousand parked (Ghost)."""
    office.readers(*MANY)
    office.relay.misbehave(Misdeed("accepted", DROP, times=1), Misdeed("end", DROP, times=1))
    office.deliver()
    office.deliver()
    assert office.account() == {S.SUBMITTED: 10, S.UNCERTAIN: 2}
    assert set(MANY) - set(office.got()) < set(office.who(S.UNCERTAIN))
