"""What mailers took up and who asked for time, over workers and restarts; on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from sqlalchemy import event, func, insert, select, update

from digest.config_mailers import Brakes, FileMailer
from digest.mail.rates import NO_LIMIT, Room
from digest.mail.waits import MAILER
from digest.model import Act, DeliveryState, IssueState
from digest.store import desk, mail_pace, tables
from digest.store import issues as issue_store
from digest.store.tallies import tally_of

S = DeliveryState
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
KEY = "smtp relay:25"


def paced(*pace, **domains):
    named = {name.replace("_", "."): rates for name, rates in domains.items()}
    return FileMailer(kind="file", pace=pace, domains=named)


def take(store, declared, wanted, now=NOW, key=KEY):
    """Begin as many as may, as a clerk does; how many of each domain."""
    with store.write() as c:
        mail_pace.lock(c, key)
        left = mail_pace.free(c, key, declared, wanted, now)
        whole, begun = left.whole.free, {}
        for domain, count in wanted.items():
            limits = [free for free in (whole, left.domains[domain].free) if free is not None]
            begun[domain] = min([count, *limits])
            whole = None if whole is None else whole - begun[domain]
        mail_pace.spend(c, key, declared, begun, now)
    return begun


def left(store, declared, *domains, now=NOW, key=KEY):
    with store.read() as c:
        return mail_pace.free(c, key, declared, domains, now)


def rows(c):
    return c.scalar(select(func.count()).select_from(tables.mail_paces))


def test_where_nothing_is_declared_nothing_is_asked_or_kept(any_store):
    asked = []
    event.listen(any_store.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    with any_store.write() as c:
        asked.clear()
        found = mail_pace.free(c, KEY, paced(), ["gmail.com"], NOW)
        mail_pace.spend(c, KEY, paced(), {"gmail.com": 9}, NOW)
        assert asked == []
    assert (found.whole, found.domains) == (NO_LIMIT, {"gmail.com": NO_LIMIT})
    with any_store.read() as c:
        assert rows(c) == 0


def test_the_mailer_and_each_domain_have_their_own_limits(any_store):
    declared = paced("10/minute", gmail_com=["3/minute", "4/hour"], **{"*": ["2/minute"]})
    wanted = {"gmail.com": 5, "a.example": 5, "b.example": 1}
    assert take(any_store, declared, wanted) == {"gmail.com": 3, "a.example": 2, "b.example": 1}
    found = left(any_store, declared, "gmail.com", "a.example", "b.example", "c.example")
    assert found.whole == Room(4)
    then = NOW + 63 * MINUTE / 60
    assert found.domains == {
        "gmail.com": Room(0, then),
        "a.example": Room(0, then),
        "b.example": Room(1),
        "c.example": Room(2),
    }
    # A minute later the hour's own limit holds.
    assert left(any_store, declared, "gmail.com", now=then).domains["gmail.com"] == Room(1)
    assert take(any_store, declared, {"gmail.com": 5}, then) == {"gmail.com": 1}
    found = left(any_store, declared, "gmail.com", now=then).domains["gmail.com"]
    assert found == Room(0, NOW + 63 * MINUTE)


def test_another_mailer_has_a_pace_of_its_own(any_store):
    declared = paced("3/minute")
    assert take(any_store, declared, {"a.example": 9}) == {"a.example": 3}
    assert take(any_store, declared, {"a.example": 9}, key="smtp other:25") == {"a.example": 3}
    assert take(any_store, declared, {"a.example": 9}) == {"a.example": 0}


@pytest.mark.parametrize("seed", range(4))
def test_no_window_sees_more_whoever_asks_and_whatever_the_clock_does(any_store, seed):
    random = Random(seed)
    declared, log, now = paced("7/minute", b_example=["2/minute"]), [], NOW
    for _ in range(60):
        now += random.choice([0.1, 1, 5, 20, 90, -30, -100]) * timedelta(seconds=random.random())
        wanted = {"a.example": random.randrange(5), "b.example": random.randrange(4)}
        for domain, count in take(any_store, declared, wanted, now).items():
            log += [(now, domain)] * count
    for domains, most in ((("a.example", "b.example"), 7), (("b.example",), 2)):
        times = [at for at, domain in log if domain in domains]
        assert max(sum(t <= u <= t + MINUTE for u in times) for t in times) <= most


def test_workers_at_the_same_time_share_what_there_is(any_store):
    declared = paced("20/minute", gmail_com=["8/minute"])

    def work(_):
        counts = [take(any_store, declared, {"gmail.com": 1, "b.example": 1}) for _ in range(8)]
        return sum(each["gmail.com"] for each in counts), sum(map(sum, map(dict.values, counts)))

    with ThreadPoolExecutor(4) as workers:
        gmail, whole = map(sum, zip(*workers.map(work, range(4)), strict=True))
    assert (gmail, whole) == (8, 20)


def test_old_slots_go_by_themselves_and_no_young_ones(any_store):
    declared, now = paced("9/second"), NOW
    with any_store.write() as c:
        for _ in range(400):
            mail_pace.spend(c, KEY, declared, {"a.example": 1}, now)
            now += timedelta(milliseconds=50)
        assert 200 <= rows(c) <= 220
        mail_pace.forget_past(c, now)
        assert rows(c) == 200
        assert mail_pace.free(c, KEY, declared, (), now).whole.free == 0
        mail_pace.forget_past(c, now + HOUR)
        assert rows(c) == 0


# --- waits -------------------------------------------------------------------------------------


def note(store, domain, now, asked=None, reason="4.7.0 try later"):
    with store.write() as c:
        return mail_pace.note_wait(c, KEY, domain, reason, now, asked=asked)


def waits(store, now):
    with store.read() as c:
        return mail_pace.waits(c, KEY, now)


def test_a_wait_is_kept_and_grows_until_a_mail_is_accepted(any_store):
    until = note(any_store, "gmail.com", NOW)
    assert MINUTE <= until - NOW <= 1.25 * MINUTE
    found = waits(any_store, NOW)
    assert found["gmail.com"].until == until
    assert found["gmail.com"].holds(NOW)
    assert MAILER not in found
    again = note(any_store, "gmail.com", until)
    assert again - until >= 2 * MINUTE
    with any_store.write() as c:
        # What had begun before the wait ends nothing.
        mail_pace.forget_wait(c, KEY, "gmail.com", again - MINUTE)
    assert waits(any_store, again)["gmail.com"].streak == 2
    with any_store.write() as c:
        mail_pace.forget_wait(c, KEY, "gmail.com", again)
    assert waits(any_store, again) == {}
    assert note(any_store, "gmail.com", again) - again <= 1.25 * MINUTE


def test_a_server_may_name_the_time_and_no_address_is_kept_of_what_it_said(any_store):
    said = "450 <ann@example.org> too fast"
    assert note(any_store, MAILER, NOW, HOUR, said) == NOW + HOUR
    assert waits(any_store, NOW)[MAILER].reason == "450 <<address>> too fast"


def test_another_mailer_does_not_wait(any_store):
    note(any_store, MAILER, NOW)
    with any_store.read() as c:
        assert mail_pace.waits(c, "smtp other:25", NOW) == {}


def test_a_wait_that_was_over_a_day_ago_is_forgotten(any_store):
    until = note(any_store, MAILER, NOW)
    late = until + timedelta(days=1)
    assert waits(any_store, late) == {}
    with any_store.write() as c:
        assert mail_pace.forget_past(c, late - MINUTE) == 0
        assert mail_pace.forget_past(c, late) == 1


# --- what the brakes go by ---------------------------------------------------------------------

RULES = Brakes(canary=3)


@pytest.fixture
def issue(world):
    world.post()
    for number in range(10):
        world.reader(f"reader{number}")
    return world.issue(1)


def end(world, issue, state, count, at=None):
    """So many of the pending end in a state; the numbers of those."""
    d = tables.deliveries.c
    pending = select(d.id).where(d.issue_id == issue.id, d.state == S.PENDING).order_by(d.id)
    with world.store.write() as c:
        ids = list(c.scalars(pending.limit(count)))
        values = {"state": state, "state_at": at or world.now}
        c.execute(update(tables.deliveries).where(d.id.in_(ids)).values(**values))
    return ids


def happen(world, ids, what, at=None):
    with world.store.write() as c:
        for number in ids:
            values = {"delivery_id": number, "event": what, "at": at or world.now}
            c.execute(insert(tables.delivery_events).values(**values))


def tally(world, issue, rules=RULES):
    with world.store.read() as c:
        return tally_of(c, issue.id, rules)


def test_the_tally_of_an_issue_on_its_way(world, issue):
    first = tally(world, issue)
    assert (first.tried, first.ever, first.canary_at) == (0, 0, None)
    submitted = end(world, issue, S.SUBMITTED, 2, world.later(minutes=1))
    refused = end(world, issue, S.REFUSED, 1, world.later(minutes=1))
    end(world, issue, S.UNCERTAIN, 1, world.later(minutes=1))
    end(world, issue, S.FAILED, 1)
    # Nobody was told of these.
    end(world, issue, S.SUPPRESSED, 1)
    end(world, issue, S.CANCELLED, 1)
    end(world, issue, S.SUBMITTING, 0)
    # Twice about one, and once about what was refused at once.
    happen(world, [submitted[0], submitted[0], *refused], "bounced")
    happen(world, submitted, "complained")
    happen(world, submitted, "delivered")
    found = tally(world, issue)
    assert (found.tried, found.refused, found.failed) == (5, 1, 1)
    assert (found.bounced, found.complained, found.ever) == (1, 2, 5)
    assert found.let_go_at == first.let_go_at
    assert found.canary_at == world.now - MINUTE


def test_a_resume_starts_the_counts_anew_and_a_decision_does_not(world, issue):
    submitted = end(world, issue, S.SUBMITTED, 2)
    happen(world, submitted[:1], "bounced")
    end(world, issue, S.REFUSED, 2)
    at = world.later(minutes=5)
    with world.store.write() as c:
        for state in (IssueState.PAUSED, IssueState.SENDING):
            now = issue_store.get_issue(c, issue.id)
            issue_store.move_issue(c, now, state, Act("Maya", at, "look"))
        now = issue_store.get_issue(c, issue.id)
        issue_store.record_decision(c, now, Act("Maya", at + MINUTE, "settled"))
    happen(world, submitted[1:], "bounced", at)
    end(world, issue, S.REFUSED, 1, at)
    # What went out before and comes back late is no share of what is tried since.
    found = tally(world, issue)
    assert (found.let_go_at, found.tried, found.refused) == (at, 1, 1)
    assert (found.bounced, found.ever) == (0, 5)
    happen(world, end(world, issue, S.SUBMITTED, 1, at), "bounced", at)
    found = tally(world, issue)
    assert (found.tried, found.bounced) == (2, 1)


def test_another_issue_has_a_tally_of_its_own(world, issue):
    world.post()
    other = world.issue(2, period="2026-W49")
    ids = end(world, other, S.SUBMITTED, 4)
    happen(world, ids, "bounced")
    assert tally(world, issue).ever == tally(world, issue).bounced == 0
    assert (tally(world, other).ever, tally(world, other).bounced) == (4, 4)


# --- the pace of an issue ----------------------------------------------------------------------


def test_the_pace_of_the_last_minutes(world, issue):
    end(world, issue, S.SUBMITTED, 2, NOW - HOUR)
    end(world, issue, S.SUBMITTED, 3, NOW - 4 * MINUTE)
    end(world, issue, S.REFUSED, 1, NOW - MINUTE)
    with world.store.write() as c:
        d = tables.deliveries.c
        last = c.scalar(select(func.max(d.id)))
        waits = update(tables.deliveries).where(d.id == last)
        c.execute(waits.values(not_before=NOW + HOUR))
    with world.store.read() as c:
        found = desk.pace_of(c, issue.id, NOW, left=4, held=False)
        assert found == desk.Pace(4, 4 * MINUTE, 3, NOW + HOUR)
        found = desk.pace_of(c, issue.id, NOW + HOUR, left=4, held=False)
        assert found == desk.Pace(0, timedelta(0), 4, None)
        # Held up since, it went as it did before.
        found = desk.pace_of(c, issue.id, NOW + HOUR, left=4, held=True)
        assert found == desk.Pace(4, 3 * MINUTE, 4, None)
