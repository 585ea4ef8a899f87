"""The desk's charts: right numbers, right weeks, and words for everybody."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import insert

from digest.model import DeliveryState
from digest.store import figures as store_figures
from digest.store import tables
from digest.store.figures import IssueFigures, Stretches
from digest.web import figures
from digest.web.svg import Measured, bar_chart, line_chart, nice_ticks

LONDON = ZoneInfo("Europe/London")
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
S = DeliveryState


# --- scales ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("most", "whole", "ticks"),
    [
        (0, True, (0, 1)),
        (1, True, (0, 1)),
        (3, True, (0, 1, 2, 3)),
        (4, True, (0, 1, 2, 3, 4)),
        (5, True, (0, 2, 4, 6)),
        (17, True, (0, 5, 10, 15, 20)),
        (100, True, (0, 50, 100)),
        (2395, True, (0, 1000, 2000, 3000)),
        (100_000, True, (0, 50_000, 100_000)),
        (0.1, False, (0, 0.05, 0.1)),
        (0.3, False, (0, 0.1, 0.2, 0.3)),
        (2, False, (0, 0.5, 1, 1.5, 2)),
        (100, False, (0, 50, 100)),
    ],
)
def test_axes_have_round_numbers(most, whole, ticks):
    assert nice_ticks(most, whole=whole) == ticks


@pytest.mark.parametrize("most", [1e-9, 0.07, 1 / 3, 7, 99.9999, 12_345, 987_654_321])
def test_every_axis_reaches_its_highest_value_in_few_steps(most):
    ticks = nice_ticks(most)
    assert ticks[-2] < most <= ticks[-1] * (1 + 1e-9)
    assert 2 <= len(ticks) <= 7


def test_what_is_there_at_all_is_seen_in_a_bar_and_numbers_only_where_they_fit():
    row = Measured("weekly", "99,998 of 100,000", (("through", 99_998), ("lost", 1), ("open", 1)))
    chart = bar_chart([row])
    whole, lost, more = chart.bars[0].pieces
    assert (whole.number, lost.number) == ("99,998", "")
    assert lost.width >= 3
    assert more.x >= lost.x + lost.width


def test_long_names_are_cut_in_the_middle_and_leave_room_for_what_is_said():
    row = Measured(f"{'a' * 40} series:{'b' * 40} 2026-W47", "1,198 of 1,204", (("through", 1),))
    label = bar_chart([row]).bars[0].label
    assert label.endswith("2026-W47")
    assert "…" in label
    assert len(label) < 35


def test_a_chart_of_one_moment_and_one_of_zeros_can_be_drawn():
    assert line_chart([("All", (3,))], []).lines[0].markers
    assert line_chart([("All", (0, 0))], []).up[-1].words == ("1",)


# --- weeks -------------------------------------------------------------------------------------


def test_weeks_begin_at_midnight_on_the_local_clock_whatever_the_clocks_do():
    starts = figures.week_starts(NOW, LONDON)
    local = [start.astimezone(LONDON) for start in starts[:-1]]
    assert {(at.weekday(), at.hour, at.minute) for at in local} == {(0, 0, 0)}
    assert len(local) == 53
    assert starts[-1] == NOW
    lengths = {(after - before) / timedelta(hours=1) for before, after in pairwise(starts[:-1])}
    assert lengths == {167, 168, 169}


def test_weeks_go_on_over_the_end_of_a_year():
    starts = figures.week_starts(datetime(2027, 1, 6, 12, tzinfo=UTC), LONDON, weeks=2)
    assert [f"{at:%Y-%m-%d}" for at in starts] == [
        "2026-12-21",
        "2026-12-28",
        "2027-01-04",
        "2027-01-06",
    ]


def test_the_moment_a_week_begins_is_one_point_and_not_two():
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    assert figures.week_starts(monday, LONDON, weeks=1) == (monday - timedelta(weeks=1), monday)


# --- lines -------------------------------------------------------------------------------------


def test_lines_count_who_follows_what_and_put_the_rest_together(house):
    config = house.app.config
    found = [
        Stretches("everything", 0, 3, 5),
        Stretches("series:ipc", 1, 3, 2),
        Stretches("series:ipc|theme:funding", 0, 2, 1),
        Stretches("series:long-gone", 0, 3, 4),
    ]
    whole, groups = figures.lines_of(found, 3, config)
    assert [(line.name, line.values) for line in whole] == [
        ("All", (10, 12, 11)),
        ("Following everything", (5, 5, 5)),
    ]
    assert [(line.name, line.values) for line in groups] == [
        ("Integrated Personal Commissioning", (1, 3, 2)),
        ("Funding", (1, 1, 0)),
        ("Others", (4, 4, 4)),
    ]


def test_at_most_five_lines_for_what_is_followed(house):
    config = house.app.config
    keys = [f"series:{slug}" for slug in config.series] + [
        f"theme:{slug}" for slug in config.themes
    ]
    found = [Stretches(key, 0, 1, place) for place, key in enumerate(keys, 1)]
    _, groups = figures.lines_of(found, 1, config)
    assert len(groups) == 5
    assert groups[-1].name == "Others"
    assert sum(line.values[0] for line in groups) == sum(one.count for one in found)


@pytest.mark.parametrize(
    ("then", "now", "words"),
    [
        (5, 5, "unchanged"),
        (100, 112, "up by 12 from 100 (12 %)"),
        (2000, 1500, "down by 500 from 2,000 (25 %)"),
        (0, 3, "up by 3 from 0"),
    ],
)
def test_changes_in_words(then, now, words):
    assert figures.change_words(then, now) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0 %"),
        (0.004, "below 0.01 %"),
        (0.1, "0.1 %"),
        (2, "2 %"),
        (33.333, "33.33 %"),
        (100, "100 %"),
    ],
)
def test_shares_in_words(share, words):
    assert figures.per_cent(share) == words


def issue(number, *, bounced=0, complained=0, **states):
    counts = dict.fromkeys(DeliveryState, 0) | {S(name): count for name, count in states.items()}
    return IssueFigures(number, "weekly", "all", f"2026-W{number}", counts, bounced, complained)


def test_shares_are_of_what_servers_answered_and_are_held_against_the_limit():
    issues = [issue(47, bounced=3, submitted=97, refused=3, pending=900), issue(46, submitted=10)]
    share = figures.share_chart(issues, "bounces", 2.0, lambda one: one.bounced)
    assert share.says == "Most bounces: weekly 2026-W47 with 3 %; 1 above the limit of 2 %."
    assert [bar.said for bar in share.chart.bars] == ["3 % (3)", "none"]
    assert share.chart.limit.words == ("limit 2 %",)
    assert share.chart.bars[0].pieces[0].kind == "lost"


def test_an_issue_that_no_server_answered_has_no_share():
    assert (
        figures.share_chart([issue(47, pending=9)], "bounces", 2.0, lambda one: one.bounced) is None
    )


def test_the_outcome_says_the_latest_as_an_equation():
    found = figures.outcome(
        [issue(47, submitted=7, refused=1, failed=1, uncertain=2), issue(46, submitted=20)]
    )
    assert (
        "weekly 2026-W47: 7 submitted + 2 uncertain + 2 refused or failed = 11 recipients"
        in found.says
    )
    assert "largest of these 2 was weekly 2026-W46 with 20" in found.says
    assert [words for _, words in found.legend] == ["submitted", "uncertain", "refused or failed"]


# --- queries -----------------------------------------------------------------------------------


def days(number):
    return NOW - timedelta(days=number)


class Ledger:
    """Rows put straight into the store."""

    def __init__(self, store):
        self.store = store
        self.subscriptions = 0

    def write(self, table, **values):
        with self.store.write() as c:
            return c.execute(insert(table).values(**values).returning(table.c.id)).scalar()

    def subscription(self, interests="everything", *, since=None, until=None, state=None):
        self.subscriptions += 1
        number = self.subscriptions
        key = f"reader{number}@example.org"
        self.write(
            tables.subscribers, id=number, address=key, address_key=key, created_at=days(900)
        )
        usual = "ended" if until else "active" if since else "pending"
        return self.write(
            tables.subscriptions,
            id=number,
            subscriber_id=number,
            newsletter="weekly",
            interests=interests,
            rhythm="weekly",
            state=state or usual,
            consent_source="test",
            consent_at=since,
            created_at=days(900),
            ended_at=until,
        )

    def consent(self, subscription, event, at, interests="everything"):
        values = {"event": event, "at": at, "interests": interests, "rhythm": "weekly"}
        self.write(tables.consents, subscription_id=subscription, form="f", text="t", **values)

    def issue(self, number, scope="all"):
        self.write(
            tables.issues,
            id=number,
            newsletter="weekly",
            scope=scope,
            period=f"2026-W{number:02}",
            rhythm="weekly",
            state="done",
            scheduled_at=NOW,
            created_at=NOW,
            **dict.fromkeys(("subject", "fallback_subject", "html", "text"), "x"),
            content={},
            preflight=[],
            hash="h",
            approved_hash="h",
        )
        values = {"issue_id": number, "mask": 1, "preflight": []}
        self.write(tables.variants, id=number, subject="s", html="h", text="t", **values)

    def delivery(self, issue_id, subscription, state, *events):
        delivery = self.write(
            tables.deliveries,
            issue_id=issue_id,
            variant_id=issue_id,
            subscriber_id=subscription,
            subscription_id=subscription,
            address="a",
            address_key="a",
            state=state,
            state_at=NOW,
        )
        for event in events:
            self.write(tables.delivery_events, delivery_id=delivery, event=event, at=NOW)


@pytest.fixture
def ledger(any_store):
    return Ledger(any_store)


def counted(ledger, *moments):
    """What was followed at each of the moments: interests to counts."""
    with ledger.store.read() as c:
        found = store_figures.stretches(c, moments)
    result = [{} for _ in moments]
    for one in found:
        for place in range(one.begins, min(one.ends, len(moments))):
            result[place][one.interests] = result[place].get(one.interests, 0) + one.count
    return result


def test_subscriptions_count_from_consent_to_end(ledger):
    ledger.subscription(since=days(20))
    ledger.subscription("series:ipc", since=days(20), until=days(10))
    ledger.subscription("series:ipc")
    assert counted(ledger, days(21), days(20), days(15), days(10), NOW) == [
        {},
        {"everything": 1, "series:ipc": 1},
        {"everything": 1, "series:ipc": 1},
        {"everything": 1},
        {"everything": 1},
    ]


def test_a_reader_who_left_and_came_back_was_away_in_between(ledger):
    subscription = ledger.subscription("series:ipc", since=days(5))
    ledger.consent(subscription, "confirmed", days(40))
    ledger.consent(subscription, "left", days(30))
    ledger.consent(subscription, "confirmed", days(5), "series:ipc")
    assert counted(ledger, days(41), days(35), days(20), days(1)) == [
        {},
        {"everything": 1},
        {},
        {"series:ipc": 1},
    ]


def test_changed_interests_count_from_the_change_on(ledger):
    subscription = ledger.subscription("theme:funding", since=days(40))
    ledger.consent(subscription, "changed", days(10), "series:ipc")
    ledger.consent(subscription, "paused", days(4), "series:ipc")
    ledger.consent(subscription, "changed", days(2), "theme:funding")
    # What was followed before the first word of the reader nobody knows any more.
    assert counted(ledger, days(50), days(20), days(3), NOW) == [
        {},
        {"series:ipc": 1},
        {"series:ipc": 1},
        {"theme:funding": 1},
    ]


def test_an_end_that_is_not_the_readers_own_doing_is_one(ledger):
    subscription = ledger.subscription(since=days(40), until=days(7))
    ledger.consent(subscription, "confirmed", days(40))
    assert counted(ledger, days(8), days(7), NOW) == [{"everything": 1}, {}, {}]


def test_who_was_signed_up_again_by_somebody_else_is_still_away(ledger):
    ledger.subscription(since=days(40), until=days(7), state="pending")
    assert counted(ledger, days(8), NOW) == [{"everything": 1}, {}]


def test_figures_of_issues_are_the_ledgers(ledger):
    readers = [ledger.subscription(since=days(9)) for _ in range(6)]
    for number in (1, 2, 3):
        ledger.issue(number)
    for reader, (state, *events) in zip(
        readers,
        [
            ("submitted", "delivered"),
            ("submitted", "bounced", "bounced"),
            ("refused", "bounced"),
            ("refused",),
            ("submitted", "delivered", "complained", "complained"),
            ("uncertain",),
        ],
        strict=True,
    ):
        ledger.delivery(1, reader, state, *events)
    ledger.delivery(3, readers[0], "suppressed")
    with ledger.store.read() as c:
        newest, oldest = store_figures.last_issues(c, 12)
        assert [one.id for one in store_figures.last_issues(c, 1)] == [3]
    assert (newest.id, newest.recipients, newest.answered) == (3, 1, 0)
    assert oldest.name == "weekly 2026-W01"
    assert (oldest.recipients, oldest.answered) == (6, 5)
    assert (oldest.bounced, oldest.complained) == (3, 1)


# --- the page ----------------------------------------------------------------------------------


def test_an_empty_home_says_so_instead_of_drawing_nothing(any_editor):
    page = any_editor.get("/desk/figures")
    assert page.status_code == 200
    assert "Nobody has subscribed yet" in page.text
    assert "No issue has gone to anybody yet" in page.text
    assert "No server has accepted or refused a mail yet" in page.text
    assert "<svg" not in page.text


def test_every_drawing_has_a_title_a_sentence_and_a_table(any_house, any_editor):
    ledger = Ledger(any_house.app.store)
    readers = [
        ledger.subscription(since=days(300)),
        ledger.subscription("series:ipc", since=days(3)),
    ]
    ledger.issue(7)
    for reader in readers:
        ledger.delivery(7, reader, "submitted")
    page = LexborHTMLParser(any_editor.get("/desk/figures").text)
    drawings = page.css("svg[role=img]")
    assert len(drawings) == 5
    ids = [node.attributes["id"] for node in page.css("[id]")]
    assert len(ids) == len(set(ids))
    for drawing in drawings:
        title, desc = drawing.attributes["aria-labelledby"].split()
        assert drawing.css_first(f"#{title}").text()
        assert drawing.css_first(f"#{desc}").text().endswith(".")
        assert not drawing.css("[style]")
    assert len(page.css("details table")) == 3
    assert "2 on 23 November 2026: up by 2 from 0 since 24 November 2025" in page.body.text()
    assert page.css_first('details a[href$="/desk/issues/7"]').text() == "weekly 2026-W07"


def test_titles_from_config_are_text_in_drawings_and_tables(house, editor):
    house.configure(
        'title = "Integrated Personal Commissioning"',
        "title = '</title><script>alert(1)</script>\u202e & " + "long" * 60 + "'",
        "series.toml",
    )
    Ledger(house.app.store).subscription("series:ipc", since=days(30))
    page = editor.get("/desk/figures").text
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_viewer_may_look_and_nobody_else(client, viewer):
    assert viewer.get("/desk/figures").status_code == 200
    shut = client.get("/desk/figures")
    assert shut.status_code == 303
    assert "/desk/sign-in" in shut.headers["location"]


def test_no_reader_is_named(house, editor):
    house.reader("ann")
    assert not re.search(r"ann@|@example", editor.get("/desk/figures").text)
