"""How long an issue takes is told with all that config and the ledger know of; on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from digest.bootstrap import App
from digest.config import Config
from digest.eta import to_go
from digest.mail.waits import MAILER
from digest.model import DeliveryState, IssueState
from digest.store import accounts, mail_pace, tables
from digest.store import issues as issue_store
from digest.store.desk import due_by_domain

S = DeliveryState
MINUTE = timedelta(minutes=1)
NEWSLETTER = {
    "title": "Letters",
    "from_name": "Letters",
    "from_address": "letters@example.org",
    "bounce_address": "bounces@example.org",
    "reply_to": "editors@example.org",
    "unsubscribe_mailto": "unsubscribe@example.org",
    "list_id": "letters.example.org",
    "mailer": "relay",
}


@pytest.fixture
def issue(world):
    """Of 40 recipients; ten of them within the last minute."""
    world.post()
    for number in range(40):
        world.reader(f"reader{number:02}")
    issue = world.issue(1)
    end(world, issue, 10)
    return issue


def end(world, issue, count):
    """One each six seconds, the last of them now."""
    d = tables.deliveries.c
    pending = select(d.id).where(d.issue_id == issue.id, d.state == S.PENDING).order_by(d.id)
    with world.store.write() as c:
        for place, number in enumerate(c.scalars(pending.limit(count)).all()):
            at = world.now - timedelta(seconds=6 * (count - 1 - place))
            values = {"state": S.SUBMITTED, "state_at": at}
            c.execute(update(tables.deliveries).where(d.id == number).values(**values))


def app_of(world, tmp_path, relay=None, **newsletter):
    config = Config.model_validate(
        {
            "site": {
                "name": "A blog",
                "url": "https://blog.example.org",
                "contact": "https://blog.example.org/about",
                "postal_address": "1 High Street",
                "links_url": "https://letters.example.org",
            },
            "mailers": {"relay": {"kind": "smtp", "host": "relay.example", **(relay or {})}},
            "feeds": {"blog": {"url": "https://blog.example.org/feed"}},
            "newsletters": {"weekly": NEWSLETTER | newsletter},
        }
    )
    return App(tmp_path, config, world.store, lambda: world.now)


def said(app, issue):
    with app.store.read() as c:
        found = issue_store.get_issue(c, issue.id)
        return to_go(app, c, found, accounts.account(c, issue.id))


def test_by_the_pace_of_the_last_minutes(world, issue, tmp_path):
    # Ten in 54 seconds, and 30 to come.
    assert said(app_of(world, tmp_path), issue) == "about 3 min to go"


def test_with_a_rate_that_others_use_as_well(world, issue, tmp_path):
    app = app_of(world, tmp_path, {"pace": ["10/hour"]})
    key, paced = app.mailer_key("relay"), app.config.mailers["relay"]
    assert said(app, issue) == "about 2 h 10 min to go"
    with world.store.write() as c:
        mail_pace.spend(c, key, paced, {"example.org": 10}, world.now)
    # Full now, and three times ten to go at 63 minutes each.
    assert said(app, issue) == "about 3 h 10 min to go"


# --- domains -----------------------------------------------------------------------------------


def move(world, count, domain):
    """So many of those that are due are readers at this domain."""
    d = tables.deliveries.c
    due = select(d.id).where(d.state != S.SUBMITTED, d.address_key.endswith("@example.org"))
    with world.store.write() as c:
        for number in c.scalars(due.order_by(d.id).limit(count)).all():
            values = {"address": f"r{number}@{domain}", "address_key": f"r{number}@{domain}"}
            c.execute(update(tables.deliveries).where(d.id == number).values(**values))


def test_with_a_domain_that_takes_few(world, issue, tmp_path):
    move(world, 25, "gmail.com")
    # Ten at once, then ten and five more after 63 minutes each.
    app = app_of(world, tmp_path, {"domains": {"gmail.com": ["10/hour"]}})
    assert said(app, issue) == "about 2 h 10 min to go"
    key, paced = app.mailer_key("relay"), app.config.mailers["relay"]
    with world.store.write() as c:
        mail_pace.spend(c, key, paced, {"gmail.com": 10}, world.now)
    assert said(app, issue) == "about 3 h 10 min to go"


def test_a_domain_with_few_readers_holds_nothing_up(world, issue, tmp_path):
    move(world, 5, "gmail.com")
    app = app_of(world, tmp_path, {"domains": {"gmail.com": ["10/hour"]}})
    assert said(app, issue) == "about 3 min to go"


def test_what_a_worker_holds_is_still_to_go(world, issue, tmp_path):
    move(world, 25, "gmail.com")
    with world.store.write() as c:
        held = {"state": S.CLAIMED, "worker": "w", "lease_until": world.now + 5 * MINUTE}
        d = tables.deliveries.c
        c.execute(update(tables.deliveries).where(d.state == S.PENDING).values(**held))
    app = app_of(world, tmp_path, {"domains": {"gmail.com": ["10/hour"]}})
    assert said(app, issue) == "about 2 h 10 min to go"


def test_the_largest_of_all_other_domains_counts(world, issue, tmp_path):
    move(world, 18, "gmail.com")
    move(world, 4, "small.example")
    # Eight are left at example.org, which has three at a time as every domain but gmail.com.
    each = {"*": ["3/hour"], "gmail.com": []}
    assert said(app_of(world, tmp_path, {"domains": each}), issue) == "about 2 h 10 min to go"
    each["gmail.com"] = ["5/hour"]
    assert said(app_of(world, tmp_path, {"domains": each}), issue) == "about 3 h 10 min to go"


def test_with_a_domain_that_asked_for_time(world, issue, tmp_path):
    move(world, 3, "gmail.com")
    app = app_of(world, tmp_path)
    with world.store.write() as c:
        key, asked = app.mailer_key("relay"), 2 * timedelta(hours=1)
        mail_pace.note_wait(c, key, "gmail.com", "busy", world.now, asked=asked)
        mail_pace.note_wait(c, key, "nobody.example", "busy", world.now, asked=2 * asked)
    assert said(app, issue) == "about 2 h 10 min to go"


def test_of_very_many_a_part_is_counted_for_all(world, issue):
    move(world, 24, "gmail.com")
    with world.store.read() as c:
        found = due_by_domain(
            c, issue.id, world.now, {"gmail.com", "nobody.example"}, others=True, left=100_000
        )
    # Every third is looked at.
    assert found == {"gmail.com": 24, "example.org": 6}


# --- waits, hours, canaries ----------------------------------------------------------------------


def test_with_a_mailer_that_asked_for_time(world, issue, tmp_path):
    app = app_of(world, tmp_path)
    with world.store.write() as c:
        mail_pace.note_wait(
            c, app.mailer_key("relay"), MAILER, "busy", world.now, asked=20 * MINUTE
        )
    assert said(app, issue) == "about 23 min to go"
    # The pace is that of the minutes before.
    world.later(minutes=15)
    assert said(app, issue) == "about 8 min to go"


def test_with_hours_that_begin_tomorrow(world, issue, tmp_path):
    # It is a Monday morning at 08:00.
    app = app_of(world, tmp_path, window={"hours": "09:00-10:00", "days": ["tue"]})
    assert said(app, issue) == "about 25 h 10 min to go"


def test_with_a_canary_on_its_way_or_waited_for(world, issue, tmp_path):
    app = app_of(world, tmp_path, brakes={"canary": 12, "canary_minutes": 45})
    assert said(app, issue) == "about 48 min to go"
    world.later(seconds=6)
    end(world, issue, 2)
    world.later(minutes=40)
    assert said(app, issue) == "about 8 min to go"


def test_nothing_is_said_of_what_is_not_on_its_way(world, issue, tmp_path):
    app = app_of(world, tmp_path)
    with world.store.write() as c:
        c.execute(update(tables.issues).values(state=IssueState.PAUSED))
    assert not said(app, issue)
    with world.store.write() as c:
        c.execute(update(tables.issues).values(state=IssueState.SENDING))
        c.execute(update(tables.deliveries).values(state=S.SUBMITTED))
    assert not said(app, issue)


def test_of_a_newsletter_that_config_knows_no_more(world, issue, tmp_path):
    app = app_of(world, tmp_path)
    with world.store.write() as c:
        c.execute(update(tables.issues).values(newsletter="gone"))
    assert said(app, issue) == "about 3 min to go"


def test_what_it_waits_for_is_said_until_then(world, issue, tmp_path):
    app = app_of(world, tmp_path)
    with world.store.write() as c:
        issue_store.set_wait(c, issue.id, world.now + 30 * MINUTE, "its hours begin again")
    assert said(app, issue).endswith(" to go; waits until Mon 23 Nov 08:30: its hours begin again")
    world.later(minutes=30)
    assert "waits" not in said(app, issue)
