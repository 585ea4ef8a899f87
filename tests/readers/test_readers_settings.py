"""What a reader changes of their settings, and what is kept of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial
from threading import Barrier, Thread
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from digest.model import Interests, Rhythm
from digest.readers.changes import (
    Choice,
    Wanted,
    groups_for,
    last_day_of_pause,
    months_from,
    offered_groups,
    start_of,
)
from digest.readers.erasure import erase_reader
from digest.readers.settings import (
    Changed,
    Gone,
    change,
    go_on,
    join,
    leave,
    leave_everything,
    pause,
)
from digest.readers.subscriptions import end_subscription
from digest.store import readers, settings, tables

if TYPE_CHECKING:
    from digest.config import Config
    from digest.store.engine import Store

CONSENTED = datetime(2026, 1, 5, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")
IPC = Interests(("series:ipc",))


@pytest.fixture
def reader(any_store: Store) -> int:
    """A subscriber to the weekly, since January."""
    return add_reader(any_store, "ann", "weekly")


def add_reader(store: Store, name: str, *newsletters: str, state: str = "active") -> int:
    key = f"{name}@example.org"
    with store.write() as c:
        [found] = readers.add_subscribers(c, {key: key}, CONSENTED).values()
        rows = [
            {
                "subscriber_id": found,
                "newsletter": newsletter,
                "interests": "everything",
                "rhythm": "weekly",
                "state": state,
                "consent_source": "test",
                "consent_at": CONSENTED if state == "active" else None,
                "created_at": CONSENTED,
            }
            for newsletter in newsletters
        ]
        readers.add_subscriptions(c, rows)
    return found


def of(store: Store, reader: int, newsletter: str = "weekly") -> settings.Subscription:
    with store.read() as c:
        found = settings.settings_of(c, reader)
    assert found is not None
    subscription = found.of(newsletter)
    assert subscription is not None
    return subscription


def history(store: Store) -> list[tuple[str, str, str]]:
    t = tables.consents.c
    with store.read() as c:
        rows = c.execute(select(t.event, t.form, t.text).order_by(t.id))
        return [tuple(row) for row in rows]


def column(store: Store, name: str, subscription_id: int):
    column = tables.subscriptions.c[name]
    with store.read() as c:
        return c.scalar(select(column).where(tables.subscriptions.c.id == subscription_id))


def want(*choices: tuple[str, Interests, Rhythm, date | None], cap: int | None = None) -> Wanted:
    return Wanted(tuple(Choice(*each) for each in choices), cap)


def weekly(
    interests: Interests = Interests(),  # noqa: B008  frozen
    rhythm: Rhythm = Rhythm.WEEKLY,
    until: date | None = None,
    cap: int | None = None,
) -> Wanted:
    return want(("weekly", interests, rhythm, until), cap=cap)


@pytest.fixture
def offering(config: Config) -> Config:
    """The weekly may also come monthly or as each post."""
    own = config.newsletters["weekly"].model_copy(update={"rhythms": tuple(Rhythm)})
    return config.model_copy(update={"newsletters": config.newsletters | {"weekly": own}})


def test_all_that_was_chosen_is_written_at_once(any_store, offering, reader, now):
    wanted = weekly(IPC, Rhythm.MONTHLY, date(2026, 12, 24), cap=3)
    assert change(any_store, offering, reader, wanted, now).outcome is Changed.SAVED
    found = of(any_store, reader)
    assert (found.interests, found.rhythm) == (IPC, Rhythm.MONTHLY)
    assert found.paused_until == datetime(2026, 12, 24, tzinfo=UTC)
    with any_store.read() as c:
        assert settings.settings_of(c, reader).weekly_cap == 3
    assert history(any_store) == [
        (
            "changed",
            "settings page",
            "rhythm: weekly -> monthly; interests: everything -> series:ipc",
        ),
        ("paused", "settings page", "until 2026-12-24"),
        ("changed", "settings page", "issues a week, of all newsletters together: at most 3"),
    ]
    assert column(any_store, "consent_at", found.id) == CONSENTED
    assert column(any_store, "consent_source", found.id) == "test"


def test_each_consent_keeps_what_holds_from_then_on(any_store, offering, reader, now):
    change(any_store, offering, reader, weekly(IPC, Rhythm.MONTHLY), now)
    with any_store.read() as c:
        row = c.execute(select(tables.consents)).one()
    assert (row.interests, row.rhythm, row.at) == ("series:ipc", "monthly", now)


def test_saving_what_is_already_so_leaves_no_trace(any_store, config, reader, now):
    until = date(2026, 12, 24)
    change(any_store, config, reader, weekly(IPC, until=until, cap=2), now)
    before = history(any_store)
    later = now + timedelta(days=3)
    for _ in range(2):
        change(any_store, config, reader, weekly(IPC, until=until, cap=2), later)
    assert history(any_store) == before


def test_the_last_one_wins_and_never_half(any_store, offering, reader, now):
    change(any_store, offering, reader, weekly(IPC, Rhythm.MONTHLY, cap=1), now)
    change(any_store, offering, reader, weekly(Interests(), Rhythm.WEEKLY), now)
    found = of(any_store, reader)
    assert (found.interests.everything, found.rhythm) == (True, Rhythm.WEEKLY)


def test_two_tabs_at_once_leave_one_whole_wish(any_store, offering, reader, now):
    wishes = [weekly(IPC, Rhythm.MONTHLY, cap=1), weekly(rhythm=Rhythm.EACH_POST, cap=7)]
    barrier = Barrier(len(wishes))
    outcomes = []

    def save(wanted: Wanted) -> None:
        barrier.wait()
        outcomes.append(change(any_store, offering, reader, wanted, now).outcome)

    threads = [Thread(target=partial(save, wanted)) for wanted in wishes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [Changed.SAVED, Changed.SAVED]
    found = of(any_store, reader)
    with any_store.read() as c:
        cap = settings.settings_of(c, reader).weekly_cap
    whole = {(IPC.key, Rhythm.MONTHLY, 1), ("everything", Rhythm.EACH_POST, 7)}
    assert (found.interests.key, found.rhythm, cap) in whole


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (weekly(rhythm=Rhythm.MONTHLY), "rhythm.weekly"),
        (weekly(Interests(("series:nope",))), "group.weekly"),
        (weekly(Interests(("series:ipc", "x|y"))), "group.weekly"),
        (weekly(until=date(2026, 11, 22)), "until.weekly"),
        (weekly(until=date(2027, 11, 23)), "until.weekly"),
        (weekly(until=date(1, 1, 1)), "until.weekly"),
        (weekly(until=date(9999, 12, 31)), "until.weekly"),
        (weekly(cap=4), "cap"),
        (weekly(cap=-1), "cap"),
    ],
)
def test_what_cannot_be_is_said_by_field_and_changes_nothing(store, config, now, wanted, field):
    reader = add_reader(store, "ann", "weekly")
    # The rest of it would be fine, and is not saved either.
    both = Wanted(
        (*wanted.choices, Choice("monthly", IPC, Rhythm.MONTHLY, None)), wanted.weekly_cap
    )
    result = change(store, config, reader, both, now)
    assert result.outcome is Changed.FAULTY
    assert set(result.faults) == {field}
    assert history(store) == []
    assert of(store, reader).interests.everything


def test_a_pause_may_reach_a_year_ahead_from_tomorrow(store, config, now):
    reader = add_reader(store, "ann", "weekly")
    for day in (date(2026, 11, 23), date(2027, 11, 22)):
        assert change(store, config, reader, weekly(until=day), now).outcome is Changed.SAVED
        assert of(store, reader).paused_until == start_of(day, LONDON)


def test_a_day_begins_where_the_readers_are(store, config):
    in_zone = {"site": config.site.model_copy(update={"time_zone": "Pacific/Auckland"})}
    config = config.model_copy(update=in_zone)
    reader = add_reader(store, "ann", "weekly")
    # In Auckland it is the 23rd already.
    now = datetime(2026, 11, 22, 18, tzinfo=UTC)
    today = change(store, config, reader, weekly(until=date(2026, 11, 23)), now)
    assert today.outcome is Changed.FAULTY
    change(store, config, reader, weekly(until=date(2026, 11, 24)), now)
    assert of(store, reader).paused_until == datetime(2026, 11, 23, 11, tzinfo=UTC)


def test_a_pause_that_is_over_is_no_pause(store, config, now):
    reader = add_reader(store, "ann", "weekly")
    change(store, config, reader, weekly(until=date(2026, 11, 24)), now)
    later = now + timedelta(days=9)
    change(store, config, reader, weekly(), later)
    assert [event for event, *_ in history(store)] == ["paused"]
    assert of(store, reader).pause(later) is None


def test_going_on_ends_a_pause_once(any_store, config, reader, now):
    change(any_store, config, reader, weekly(until=date(2026, 12, 24)), now)
    for _ in range(2):
        assert go_on(any_store, reader, "weekly", now).outcome is Changed.SAVED
    assert of(any_store, reader).paused_until is None
    assert [event for event, *_ in history(any_store)] == ["paused", "went on"]
    assert go_on(any_store, reader, "nope", now).outcome is Changed.UNKNOWN


def test_an_emptied_date_goes_on(any_store, config, reader, now):
    change(any_store, config, reader, weekly(until=date(2026, 12, 24)), now)
    change(any_store, config, reader, weekly(), now)
    assert of(any_store, reader).paused_until is None
    assert [event for event, *_ in history(any_store)] == ["paused", "went on"]


def test_an_older_page_brings_nothing_back(any_store, config, reader, now):
    leave(any_store, of(any_store, reader).id, "link in a mail", now)
    result = change(any_store, config, reader, weekly(IPC, cap=2), now)
    assert result.outcome is Changed.SAVED
    found = of(any_store, reader)
    assert (found.state, found.interests.everything) == ("ended", True)
    assert [event for event, *_ in history(any_store)] == ["left"]


def test_a_newsletter_that_left_config_is_passed_over(store, config, now):
    reader = add_reader(store, "ann", "weekly", "gone")
    wanted = want(("weekly", IPC, Rhythm.WEEKLY, None), ("gone", IPC, Rhythm.WEEKLY, None), cap=1)
    assert change(store, config, reader, wanted, now).outcome is Changed.SAVED
    assert of(store, reader, "gone").interests.everything
    assert of(store, reader).interests == IPC


def test_what_left_config_goes_with_the_next_saving(store, config, now):
    reader = add_reader(store, "ann", "weekly")
    with store.write() as c:
        c.execute(update(tables.subscriptions).values(interests="series:ipc|series:old"))
    assert "series:old" not in groups_for(config, of(store, reader))
    change(store, config, reader, weekly(IPC), now)
    assert of(store, reader).interests == IPC
    assert history(store)[0][2] == "interests: series:ipc|series:old -> series:ipc"


def test_only_what_a_newsletter_picks_from_is_offered_and_what_was_chosen_stays(store, config):
    picks = config.newsletters["weekly"].picks_from.model_copy(update={"series": ("pbr",)})
    own = config.newsletters["weekly"].model_copy(update={"picks_from": picks})
    config = config.model_copy(update={"newsletters": config.newsletters | {"weekly": own}})
    assert offered_groups(config, "weekly") == ("series:pbr",)
    assert offered_groups(config, "monthly") == ("series:ipc", "series:pbr", "theme:funding")
    reader = add_reader(store, "ann", "weekly")
    with store.write() as c:
        c.execute(update(tables.subscriptions).values(interests="theme:funding"))
    assert groups_for(config, of(store, reader)) == ("series:pbr", "theme:funding")


def test_one_more_newsletter_is_the_readers_own_word(any_store, config, reader, now):
    assert join(any_store, config, reader, "monthly", now).outcome is Changed.SAVED
    found = of(any_store, reader, "monthly")
    assert (found.state, found.rhythm) == ("active", Rhythm.MONTHLY)
    assert column(any_store, "consent_at", found.id) == now
    assert history(any_store) == [("confirmed", "settings page", config.web.consent)]
    join(any_store, config, reader, "monthly", now + timedelta(days=1))
    assert len(history(any_store)) == 1


def test_who_comes_back_gets_what_they_had(any_store, config, reader, now):
    change(any_store, config, reader, weekly(IPC, until=date(2026, 12, 24)), now)
    leave(any_store, of(any_store, reader).id, "settings page", now)
    later = now + timedelta(days=1)
    join(any_store, config, reader, "weekly", later)
    found = of(any_store, reader)
    assert (found.state, found.interests, found.paused_until) == ("active", IPC, None)
    assert found.ended_at is None
    assert column(any_store, "consent_at", found.id) == later
    assert column(any_store, "ended_reason", found.id) is None


def test_what_somebody_else_entered_is_confirmed_by_the_readers_own_page(any_store, config, now):
    reader = add_reader(any_store, "bob", "weekly", state="pending")
    join(any_store, config, reader, "weekly", now)
    assert of(any_store, reader).active


def test_closed_and_unknown_newsletters_cannot_be_joined(store, config, now):
    closed = config.newsletters["monthly"].model_copy(update={"sign_up": "closed"})
    config = config.model_copy(update={"newsletters": config.newsletters | {"monthly": closed}})
    reader = add_reader(store, "ann", "weekly")
    for slug in ("monthly", "nope"):
        assert join(store, config, reader, slug, now).outcome is Changed.UNKNOWN
    assert history(store) == []


def test_two_that_join_at_once_are_one(any_store, config, reader, now):
    barrier = Barrier(2)

    def come() -> None:
        barrier.wait()
        join(any_store, config, reader, "monthly", now)

    threads = [Thread(target=come) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(history(any_store)) == 1


def test_leaving_by_a_link_counts_once(any_store, reader, now):
    subscription = of(any_store, reader).id
    first = leave(any_store, subscription, "link in a mail", now)
    again = leave(any_store, subscription, "link in a mail", now + timedelta(days=2))
    assert (first.outcome, again.outcome) == (Gone.LEFT, Gone.ALREADY)
    assert (again.at, again.newsletter) == (now, "weekly")
    assert history(any_store) == [("left", "link in a mail", "")]
    assert leave(any_store, 10**9, "link in a mail", now).outcome is Gone.UNKNOWN


def test_leaving_everything_ends_what_is_active_or_pending_and_nobody_elses(any_store, now):
    ann = add_reader(any_store, "ann", "weekly", "monthly")
    pending = add_reader(any_store, "ann", "third", state="pending")
    bob = add_reader(any_store, "bob", "weekly")
    assert ann == pending
    for _ in range(2):
        leave_everything(any_store, ann, "link in a mail", now)
    states = {each: of(any_store, ann, each).state for each in ("weekly", "monthly", "third")}
    assert set(states.values()) == {"ended"}
    assert [event for event, *_ in history(any_store)] == ["left"] * 3
    assert of(any_store, bob).active


def test_a_link_pauses_what_is_active_alone(any_store, reader, now):
    until = date(2027, 1, 22)
    subscription = of(any_store, reader).id
    for _ in range(2):
        result = pause(any_store, LONDON, subscription, until, now)
        assert (result.outcome, result.at) == (Gone.PAUSED, start_of(until, LONDON))
    assert history(any_store) == [("paused", "link in a mail", "until 2027-01-22")]
    leave(any_store, subscription, "link in a mail", now)
    assert pause(any_store, LONDON, subscription, until, now).outcome is Gone.NOT_ACTIVE
    assert pause(any_store, LONDON, 10**9, until, now).outcome is Gone.UNKNOWN


def test_a_link_in_a_mail_makes_no_pause_shorter(any_store, config, reader, now):
    """Whoever holds a mail that was passed on must not bring its reader mail sooner."""
    change(any_store, config, reader, weekly(until=date(2027, 9, 1)), now)
    found = of(any_store, reader)
    result = pause(any_store, LONDON, found.id, date(2026, 12, 22), now)
    assert (result.outcome, result.at) == (Gone.PAUSED, found.paused_until)
    assert of(any_store, reader).paused_until == found.paused_until
    assert [form for _, form, _ in history(any_store)] == ["settings page"]


def test_a_suppressed_reader_changes_nothing_but_may_leave(any_store, config, reader, now):
    with any_store.write() as c:
        readers.suppress(c, "ann@example.org", readers.Suppression("asked", "test", now))
    for result in (
        change(any_store, config, reader, weekly(IPC), now),
        join(any_store, config, reader, "monthly", now),
        go_on(any_store, reader, "weekly", now),
    ):
        assert result.outcome is Changed.SUPPRESSED
    assert history(any_store) == []
    assert leave(any_store, of(any_store, reader).id, "settings page", now).outcome is Gone.LEFT


def test_an_erased_or_unknown_reader_has_no_settings(any_store, config, reader, now):
    with any_store.write() as c:
        c.execute(update(tables.subscribers).values(address=None, address_key=None, erased_at=now))
    for who in (reader, 10**9):
        with any_store.read() as c:
            assert settings.settings_of(c, who) is None
        assert change(any_store, config, who, weekly(IPC), now).outcome is Changed.UNKNOWN
        assert join(any_store, config, who, "monthly", now).outcome is Changed.UNKNOWN
        assert go_on(any_store, who, "weekly", now).outcome is Changed.UNKNOWN
        leave_everything(any_store, who, "settings page", now)
    assert history(any_store) == []


def test_a_transaction_that_fails_leaves_nothing_half(store, config, now):
    reader = add_reader(store, "ann", "weekly", "monthly")
    with store.write() as c:
        # The history of the second one cannot be written.
        c.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON consents WHEN NEW.subscription_id = 2"
            " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    wanted = want(
        ("weekly", IPC, Rhythm.WEEKLY, None), ("monthly", IPC, Rhythm.MONTHLY, None), cap=1
    )
    with pytest.raises(Exception, match="disk full"):
        change(store, config, reader, wanted, now)
    assert history(store) == []
    assert of(store, reader).interests.everything


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(2026, 11, 22), 1, date(2026, 12, 22)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2027, 11, 30), 3, date(2028, 2, 29)),
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
    ],
)
def test_months_ahead_end_with_their_month(day, months, then):
    assert months_from(day, months) == then


def test_a_year_from_a_leap_day():
    assert last_day_of_pause(date(2028, 2, 29)) == date(2029, 2, 28)


def test_the_day_that_begins_late_has_a_start():
    # In Beirut clocks skip from midnight to one o'clock.
    begins = start_of(date(2026, 3, 29), ZoneInfo("Asia/Beirut"))
    assert begins in (datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 3, 28, 21, tzinfo=UTC))


def test_whichever_way_they_left_who_comes_back_is_not_paused(store, config, now):
    reader = add_reader(store, "ann", "weekly")
    change(store, config, reader, weekly(until=date(2026, 12, 24)), now)
    end_subscription(store, address="ann@example.org", newsletter="weekly", reason="asked", now=now)
    assert of(store, reader).paused_until is None


def test_a_reader_who_does_everything_at_once_ends_in_one_state(any_store, config, secret, now):
    """Changes, pauses, leaving, coming back and erasing wait for each other, and not for ever."""
    reader = add_reader(any_store, "ann", "weekly", "monthly")
    first, second = (of(any_store, reader, each).id for each in ("weekly", "monthly"))
    both = want(
        ("weekly", IPC, Rhythm.WEEKLY, date(2026, 12, 24)),
        ("monthly", IPC, Rhythm.WEEKLY, None),
        cap=3,
    )
    # What the reader does: each several times, all at once.
    deeds = [
        lambda: change(any_store, config, reader, both, now),
        lambda: change(any_store, config, reader, weekly(cap=1), now),
        lambda: leave(any_store, second, "link in a mail", now),
        lambda: leave_everything(any_store, reader, "link in a mail", now),
        lambda: join(any_store, config, reader, "weekly", now),
        lambda: join(any_store, config, reader, "monthly", now),
        lambda: pause(any_store, LONDON, first, date(2027, 1, 22), now),
        lambda: go_on(any_store, reader, "weekly", now),
    ]
    deeds = deeds * 3 + [lambda: erase_reader(any_store, secret, reader, now)]
    barrier, failed = Barrier(len(deeds)), []

    def run(deed) -> None:
        barrier.wait()
        try:
            deed()
        except Exception as error:  # noqa: BLE001  told below, from the test's own thread
            failed.append(error)

    threads = [Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with any_store.read() as c:
        assert settings.settings_of(c, reader) is None
        for number in (first, second):
            assert settings.subscription(c, number).state == "ended"
    assert history(any_store) == []
