"""What came back: each report once, to the right reader, with what follows from it."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select, update

from digest.inbox.boxes.maildir import MaildirBox
from digest.inbox.reading import read_inbox
from digest.mail.feedback import Feedback
from digest.mail.message import message_id_for
from digest.mail.verp import verp_address
from digest.model import IssueState
from digest.readers.erasure import erase_reader
from digest.readers.lifting import lift
from digest.readers.subscriptions import suppress
from digest.readers.tokens import keyed_hash
from digest.returning import work_off
from digest.store import readers, tables
from digest.store.accounts import account as account_of
from digest.store.feedback import take_in
from digest_prefect import chores
from fakes.reports import arf, dsn, recipient

if TYPE_CHECKING:
    from due.conftest import World

ANN = "ann@example.org"
HARD = {"event": "bounced", "kind": "hard", "code": "550 5.1.1"}
SOFT = {"event": "bounced", "kind": "soft", "code": "552 5.2.2"}
POLICY = {"event": "bounced", "kind": "policy", "code": "550 5.7.515", "detail": "Access denied"}
MAILER = "resend relay https://api.example"


@dataclass
class Post:
    """A reader, what was sent to her, and what comes back."""

    world: World
    ann: int = 0
    subscription: int = 0
    told: int = 0
    mails: int = 0

    def put(self, table: Any, **values: Any) -> int:
        with self.world.store.write() as c:
            return int(c.execute(insert(table).values(values)).inserted_primary_key[0])

    def reader(self, address: str = ANN) -> tuple[int, int]:
        about = {"address": address, "address_key": address, "created_at": self.world.now}
        reader = self.put(tables.subscribers, **about)
        subscription = self.put(
            tables.subscriptions,
            subscriber_id=reader,
            newsletter="weekly",
            interests="everything",
            rhythm="weekly",
            state="active",
            consent_source="test",
            consent_at=self.world.now,
            created_at=self.world.now,
        )
        return reader, subscription

    def sent(self, state: str = "submitted", **values: Any) -> int:
        """A mail to Ann, now."""
        if not self.ann:
            self.ann, self.subscription = self.reader()
        self.mails += 1
        issue = self.world.issue(IssueState.SENDING, period=f"2026-W{self.mails:02}").id
        about = {"issue_id": issue, "mask": 1, "subject": "s", "html": "", "text": ""}
        return self.put(
            tables.deliveries,
            **{
                "issue_id": issue,
                "variant_id": self.put(tables.variants, preflight=[], **about),
                "subscriber_id": self.ann,
                "subscription_id": self.subscription,
                "address": ANN,
                "address_key": ANN,
                "state": state,
                "mailer": MAILER,
                "message_id": self.message_id(issue),
                "remote_id": f"r{issue}",
                "state_at": self.world.now,
                **values,
            },
        )

    def message_id(self, issue: int) -> str:
        secret = self.world.app.secret
        return message_id_for(secret, issue, self.ann, "commonthreads.example")

    def tell(self, **said: Any) -> bool:
        self.told += 1
        name = said.pop("name", f"event-{self.told}")
        feedback = Feedback(at=self.world.now, **said)
        with self.world.store.write() as c:
            return take_in(c, "hook:relay", name, feedback, self.world.now)

    def work(self, **how: Any) -> Any:
        return work_off(self.world.app, **how)

    def events(self) -> list[tuple[str, str | None, str | None]]:
        e = tables.delivery_events.c
        with self.world.store.read() as c:
            return [tuple(r) for r in c.execute(select(e.event, e.kind, e.code).order_by(e.id))]

    def suppressed(self, address: str = ANN) -> str | None:
        with self.world.store.read() as c:
            hashed = partial(keyed_hash, self.world.app.secret)
            found = readers.barred(c, address, hashed)
        return f"{found.origin}: {found.reason}" if found else None

    def rows(self) -> list[tuple[str | None, bool]]:
        """What became of each, and whether what it said is kept."""
        t = tables.feedback.c
        with self.world.store.read() as c:
            found = c.execute(select(t.became, t.body).order_by(t.id)).all()
        return [(became, body is not None) for became, body in found]


@pytest.fixture
def post(any_world: World) -> Post:
    return Post(any_world)


# --- what follows ------------------------------------------------------------------------------


def test_a_hard_bounce_suppresses_at_once_and_the_account_stays(post):
    delivery = post.sent()
    post.tell(delivery_id=delivery, **HARD)
    returned = post.work()
    assert post.suppressed() == "bounce: no such address: 550 5.1.1"
    assert post.events() == [("bounced", "hard", "550 5.1.1")]
    assert (dict(returned.became), returned.suppressed) == ({"bounced, hard": 1}, 1)
    assert returned.line == "came back: 1 bounced, hard; 1 suppressed for it"
    with post.world.store.read() as c:
        account = account_of(c, 1)
    assert (account.submitted, account.recipients, account.balanced) == (1, 1, True)
    assert post.rows() == [("bounced", False)]


def test_a_complaint_stops_all_mail_at_once(post):
    post.tell(event="complained", code="abuse", delivery_id=post.sent())
    post.work()
    assert post.suppressed() == "complaint: called our mail spam"
    assert post.events() == [("complained", None, "abuse")]


@pytest.mark.parametrize("event", ["deferred", "delivered", "autoresponded", "rejected", "unknown"])
def test_what_is_neither_is_kept_and_suppresses_nobody(post, event):
    post.tell(event=event, delivery_id=post.sent())
    assert post.work().became == {event: 1}
    assert (post.events(), post.suppressed()) == ([(event, None, None)], None)


def test_who_left_by_their_provider_has_left_and_may_come_back(post):
    post.tell(event="unsubscribed", delivery_id=post.sent())
    post.work()
    with post.world.store.read() as c:
        assert c.scalar(select(tables.subscriptions.c.state)) == "ended"
        assert c.scalar(select(tables.consents.c.form)) == "mail provider"
    assert post.suppressed() is None


def test_policy_is_told_and_the_address_kept(post):
    for _ in range(3):
        post.tell(delivery_id=post.sent(), **POLICY)
        post.world.later(days=7)
    returned = post.work()
    assert post.suppressed() is None
    [alarm] = returned.alarms
    assert alarm.startswith("3 refused by policy, 550 5.7.515: Access denied; check SPF, DKIM")
    assert post.work().alarms == ()


def test_housekeeping_fails_on_policy_so_that_somebody_is_told(post):
    post.tell(delivery_id=post.sent(), **POLICY)
    run = SimpleNamespace(app=post.world.app)
    done = chores._work_off(run, dry_run=False)
    assert done.lines == ("came back: 1 bounced, policy",)
    assert len(done.alarms) == 1
    assert chores._work_off(run, dry_run=False) == chores.Done()


# --- mailboxes that keep refusing --------------------------------------------------------------


def bounces(post, *kinds, every=7.0):
    """A mail every so many days, of which each comes back like this, or arrives."""
    for kind in kinds:
        delivery = post.sent()
        if kind:
            post.tell(event="bounced", kind=kind, code="552 5.2.2", delivery_id=delivery)
        post.work()
        post.world.later(days=every)


def test_five_soft_bounces_in_a_row_end_it_and_four_do_not(post):
    bounces(post, *["soft"] * 4)
    assert post.suppressed() is None
    bounces(post, "soft")
    assert post.suppressed() == "bounce: mailbox keeps refusing: 552 5.2.2"


def test_a_good_delivery_forgets_soft_bounces(post):
    bounces(post, *["soft"] * 4, None, *["soft"] * 4)
    assert post.suppressed() is None
    bounces(post, "soft")
    assert post.suppressed()


def test_policy_neither_counts_nor_forgets(post):
    bounces(post, *["soft"] * 3, *["policy"] * 3, "soft")
    assert post.suppressed() is None
    bounces(post, "soft")
    assert post.suppressed()


def test_five_in_a_row_within_two_weeks_may_be_a_holiday(post):
    bounces(post, *["soft"] * 14, every=1)
    assert post.suppressed() is None
    bounces(post, "soft", every=1)
    assert post.suppressed()


def test_what_is_on_its_way_says_nothing_yet(post):
    bounces(post, *["soft"] * 4)
    post.sent()
    post.world.later(days=2)
    bounces(post, "soft")
    assert post.suppressed()


def test_what_was_on_its_way_for_three_days_has_arrived(post):
    bounces(post, *["soft"] * 4)
    post.sent()
    post.world.later(days=3)
    bounces(post, "soft")
    assert post.suppressed() is None


def test_a_bounce_that_takes_five_days_still_counts(post):
    for _ in range(5):
        delivery = post.sent()
        post.world.later(days=5)
        post.tell(delivery_id=delivery, **SOFT)
        post.work()
        post.world.later(days=2)
    assert post.suppressed()


def test_a_mail_that_was_delivered_at_last_is_a_good_one(post):
    bounces(post, *["soft"] * 4)
    delivery = post.sent()
    post.tell(event="deferred", delivery_id=delivery)
    post.tell(event="delivered", delivery_id=delivery)
    bounces(post, "soft")
    assert post.suppressed() is None


def test_several_soft_bounces_of_one_mail_are_one(post):
    for _ in range(2):
        delivery = post.sent()
        for _ in range(4):
            post.tell(delivery_id=delivery, **SOFT)
        post.work()
        post.world.later(days=20)
    assert post.events() == [("bounced", "soft", "552 5.2.2")] * 2
    assert post.suppressed() is None


def test_refusals_at_the_door_count_like_reports(post):
    for _ in range(5):
        delivery = post.sent("refused")
        about = {"event": "bounced", "kind": "soft", "at": post.world.now, "code": "552 5.2.2"}
        post.put(tables.delivery_events, delivery_id=delivery, **about)
        assert post.suppressed() is None
        assert post.work().suppressed in (0, 1)
        post.world.later(days=7)
    assert post.suppressed() == "bounce: mailbox keeps refusing"
    assert post.work().suppressed == 0


# --- which mail --------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["number", "Message-ID", "receipt"])
def test_a_mail_is_found_by_what_only_its_reader_knows(post, by):
    delivery = post.sent()
    names = {
        "number": {"delivery_id": delivery},
        "Message-ID": {"message_id": post.message_id(1)},
        "receipt": {"remote_id": "r1", "mailer": MAILER},
    }
    post.tell(**HARD, **names[by])
    post.work()
    assert post.suppressed()


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"delivery_id": 4711},
        {"message_id": f"<{'0' * 32}@commonthreads.example>"},
        {"remote_id": "r1", "mailer": "smtp elsewhere:25"},
    ],
)
def test_what_is_about_no_mail_of_ours_is_kept_and_told(post, names):
    post.sent()
    post.tell(**HARD, **names)
    post.world.later(hours=2)
    assert post.work().became == {"unknown": 1}
    assert (post.suppressed(), post.events(), post.rows()) == (None, [], [("unknown", False)])


def test_a_mailer_may_tell_before_its_receipt_is_written(post):
    delivery = post.sent(remote_id=None)
    post.tell(**HARD, remote_id="late", mailer=MAILER)
    assert (post.work().waiting, post.work().became) == (1, {})
    with post.world.store.write() as c:
        d = tables.deliveries
        c.execute(update(d).where(d.c.id == delivery).values(remote_id="late"))
    post.work()
    assert post.suppressed()


def test_after_a_restore_a_number_that_was_given_anew_means_nobody(post):
    delivery = post.sent()
    lost = message_id_for(post.world.app.secret, 99, 99, "commonthreads.example")
    post.tell(**HARD, delivery_id=delivery, message_id=lost)
    assert post.work().became == {"unknown": 1}
    assert post.suppressed() is None


def test_nothing_comes_back_about_a_mail_that_never_left(post):
    delivery = post.sent("pending", message_id=None, remote_id=None)
    post.tell(**HARD, delivery_id=delivery)
    assert post.work().became == {"unknown": 1}
    assert post.suppressed() is None


@pytest.mark.parametrize(
    ("said", "why"),
    [(HARD, "no such address: 550 5.1.1"), ({"event": "complained"}, "called our mail spam")],
)
def test_notices_come_back_too(post, said, why):
    message_id = f"<{'a' * 32}@commonthreads.example>"
    now = post.world.now
    about = {"kind": "opt-in", "address": "eve@example.org", "address_key": "eve@example.org"}
    about |= {"state": "submitted", "message_id": message_id, "newsletter": "weekly"}
    post.put(tables.notices, created_at=now, state_at=now, **about)
    post.tell(message_id=message_id, **said)
    post.work()
    assert post.suppressed("eve@example.org").endswith(why)
    assert post.rows() == [(said["event"], False)]


# --- once, whatever happens --------------------------------------------------------------------


def test_told_twice_is_known_once(post):
    delivery = post.sent()
    assert post.tell(name="one", delivery_id=delivery, **HARD)
    assert not post.tell(name="one", delivery_id=delivery, **HARD)
    post.work()
    assert not post.tell(name="one", delivery_id=delivery, **HARD)
    # A report and a webhook may tell of the same.
    assert post.tell(name="two", message_id=post.message_id(1), **HARD)
    assert post.work().suppressed == 0
    assert post.events() == [("bounced", "hard", "550 5.1.1")]


def test_a_dry_run_says_the_same_and_changes_nothing(post):
    bounces(post, *["soft"] * 4)
    post.tell(delivery_id=post.sent(), **SOFT)
    post.tell(event="unsubscribed", delivery_id=post.sent())
    before = post.rows(), post.events()
    tried = post.work(dry_run=True)
    assert (post.rows(), post.events(), post.suppressed()) == (*before, None)
    assert tried == post.work()
    assert tried.suppressed == 1


def test_one_that_cannot_be_worked_on_keeps_no_other_back(post):
    delivery = post.sent()
    post.tell(**HARD)
    with post.world.store.write() as c:
        c.execute(update(tables.feedback).values(body={"event": "from a later version"}))
    post.tell(delivery_id=delivery, **HARD)
    with pytest.raises(ExceptionGroup):
        post.work()
    assert post.suppressed()
    assert [became for became, _ in post.rows()] == [None, "bounced"]


def test_a_suppression_that_an_operator_made_keeps_its_reason(post):
    delivery = post.sent()
    with post.world.store.write() as c:
        found = readers.Suppression("asked by phone", "Maya", post.world.now)
        readers.suppress(c, ANN, found)
    post.tell(delivery_id=delivery, **HARD)
    assert post.work().suppressed == 0
    assert post.suppressed() == "Maya: asked by phone"


@pytest.mark.parametrize("event", ["delivered", "complained", "autoresponded"])
def test_what_comes_back_about_a_mail_in_doubt_proves_that_it_left(post, event):
    post.tell(event=event, delivery_id=post.sent("uncertain"))
    post.work()
    with post.world.store.read() as c:
        account = account_of(c, 1)
    assert (account.submitted, account.uncertain, account.balanced) == (1, 0, True)


def test_several_may_work_on_it_at_a_time(post):
    """Each report counts once, and nobody waits for good."""
    for _ in range(30):
        delivery = post.sent()
        post.tell(delivery_id=delivery, **SOFT)
        post.tell(delivery_id=delivery, event="complained")
        post.tell(message_id=post.message_id(post.mails), **HARD)
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(work_off, post.world.app) for _ in range(4)]
    total = Counter()
    for one in done:
        total.update(one.result().became)
    assert total == {"bounced, soft": 30, "bounced, hard": 30, "complained": 30}
    assert sum(one.result().suppressed for one in done) == 1
    assert len(post.events()) == 90
    assert post.rows().count(("bounced", False)) == 60


# --- readers who were erased -------------------------------------------------------------------


def test_of_an_erased_reader_nothing_is_written_down(post):
    app, delivery = post.world.app, post.sent()
    assert erase_reader(app.store, app.secret, post.ann, post.world.now).outcome == "erased"
    post.tell(delivery_id=delivery, detail="mailbox ann is gone", **HARD)
    post.work()
    assert post.suppressed() == "bounce: no such address: 550 5.1.1"
    with post.world.store.read() as c:
        texts = [
            repr(row) for table in tables.metadata.sorted_tables for row in c.execute(select(table))
        ]
    assert not [text for text in texts if "mailbox" in text or ANN in text]


# --- from a mail to a suppression --------------------------------------------------------------


@pytest.fixture
def maildir(post):
    folder = post.world.home / "var" / "inbox"
    for name in ("tmp", "new", "cur"):
        folder.joinpath(name).mkdir(parents=True)
    return folder


def read(post, folder, *mails):
    for number, raw in enumerate(mails):
        folder.joinpath("new", f"{number}.{post.told}").write_bytes(raw)
    post.told += 1
    read_inbox(post.world.app, "bounces", MaildirBox(folder))
    return post.work()


def test_a_bounce_in_the_mailbox_becomes_a_suppression(post, maildir):
    delivery = post.sent()
    to = verp_address("bounces@commonthreads.example", post.world.app.secret, delivery)
    read(post, maildir, dsn(recipient("5.1.1", "smtp; 550 5.1.1 unknown"), to=to))
    assert post.suppressed() == "bounce: no such address: 550 5.1.1"


def test_a_complaint_with_the_reader_made_unreadable_finds_them_all_the_same(post, maildir):
    post.sent()
    read(post, maildir, arf(message_id=post.message_id(1)))
    assert post.suppressed() == "complaint: called our mail spam"


def test_a_forged_report_that_names_a_reader_stops_nothing(post, maildir):
    delivery = post.sent()
    forged = f"bounces+{delivery:010x}{'0' * 20}@commonthreads.example"
    guessed = f"<{'0' * 32}@commonthreads.example>"
    returned = read(
        post,
        maildir,
        dsn(recipient("5.1.1", address=ANN)),
        dsn(recipient("5.1.1", address=ANN), to=forged, message_id=guessed),
        arf(redacted=ANN, mail_from=forged),
    )
    assert returned.became == {"unknown": 3}
    assert (post.suppressed(), post.events()) == (None, [])


def test_mails_that_are_delayed_are_no_bounces(post, maildir):
    delivery = post.sent()
    to = verp_address("bounces@commonthreads.example", post.world.app.secret, delivery)
    delayed = recipient("4.4.1", "smtp; 451 Try later", action="delayed")
    assert read(post, maildir, dsn(delayed, to=to)).became == {"deferred": 1}
    assert post.events() == [("deferred", None, "451 4.4.1")]


def test_the_command_reads_works_and_tells(at_home):
    post = Post(at_home)
    delivery = post.sent()
    to = verp_address("bounces@commonthreads.example", at_home.app.secret, delivery)
    mail = dsn(recipient("5.7.515", "smtp; 550 5.7.515 Access denied <ann@example.org>"), to=to)
    at_home.home.joinpath("bounce.eml").write_bytes(mail)
    at_home.home.joinpath("config", "inboxes.toml").write_text(
        '[inboxes.bounces]\nkind = "file"\npath = "bounce.eml"\n'
    )
    code, out, _ = at_home.command("inbox", "read")
    assert code == 3
    assert out.splitlines()[:2] == [
        "bounces: 1 read: 1 told of our mails",
        "came back: 1 bounced, policy",
    ]
    assert "1 refused by policy, 550 5.7.515" in out
    assert "@" not in out
    code, out, _ = at_home.command("inbox", "read")
    assert (code, out) == (0, "bounces: 1 read: 1 seen before\n")


def test_times_are_kept_in_utc():
    at = datetime.fromisoformat("2026-11-19T08:00:00+00:00")
    feedback = Feedback("bounced", at, "soft", delivery_id=7)
    assert Feedback.from_json(feedback.to_json()) == feedback
    with pytest.raises(ValueError, match="a bounce"):
        Feedback("bounced", at)


def test_however_much_waits_nothing_in_it_names_an_erased_reader(post):
    post.sent()
    app, now = post.world.app, post.world.now
    with app.store.write() as c:
        for number in range(1, 1202):
            said = "550 no Ann here" if number in {1, 500, 501, 1201} else "250 ok"
            told = Feedback("delivered", now, detail=said, remote_id=f"unknown {number}")
            take_in(c, "hook:relay", str(number), told, now)
    assert erase_reader(app.store, app.secret, post.ann, now).outcome == "erased"
    with app.store.read() as c:
        said = Counter(body["detail"] for body in c.scalars(select(tables.feedback.c.body)))
    assert said == {"250 ok": 1197, "erased": 4}


# --- what an operator sees and may undo --------------------------------------------------------


def test_an_operator_sees_why_and_lifts_what_a_server_said(at_home):
    post = Post(at_home)
    post.tell(delivery_id=post.sent(), **HARD)
    post.work()
    code, out, _ = at_home.command("readers", "list", "--suppressed")
    assert code == 0
    assert "bounce" in out
    assert "no such address: 550 5.1.1" in out
    [line] = json.loads(at_home.command("readers", "list", "--suppressed", "--json")[1])
    assert (line["address"], line["origin"]) == (ANN, "bounce")

    code, out, _ = at_home.command("readers", "lift", ANN, "--reason", "she wrote to us")
    assert (code, out, post.suppressed()) == (0, "This address is mailed again.\n", None)
    code, out, _ = at_home.command("readers", "lift", ANN, "--reason", "again")
    assert (code, out) == (2, "This address is not suppressed.\n")
    assert at_home.command("readers", "lift", "nobody", "--reason", "x")[0] == 2


def test_what_a_reader_said_is_not_lifted(at_home):
    post = Post(at_home)
    post.tell(event="complained", delivery_id=post.sent())
    post.work()
    code, out, _ = at_home.command("readers", "lift", ANN, "--reason", "a mistake")
    assert code == 2
    assert "called our mail spam, by complaint" in out
    assert post.suppressed()


@pytest.mark.parametrize("word", ["a complaint", "by hand"])
def test_a_person_s_word_takes_the_place_of_a_server_s_and_is_not_lifted(post, word):
    store, now = post.world.store, post.world.now
    delivery = post.sent()
    post.tell(delivery_id=delivery, **HARD)
    post.work()
    if word == "by hand":
        done = suppress(store, ANN, "asked by phone", "maya", now)
        assert done.outcome == "suppressed"
    else:
        post.tell(event="complained", delivery_id=delivery)
        assert post.work().suppressed == 1
    post.tell(delivery_id=post.sent(), **HARD)
    post.work()
    assert post.suppressed() in {"complaint: called our mail spam", "maya: asked by phone"}
    assert lift(store, ANN, "a mistake", now).outcome == "kept"
    assert post.suppressed()


def test_after_it_was_lifted_soft_bounces_count_anew(post):
    bounces(post, *["soft"] * 5)
    assert lift(post.world.app.store, ANN, "well again", post.world.now).outcome == "lifted"
    bounces(post, *["soft"] * 4)
    assert post.suppressed() is None
    bounces(post, "soft")
    assert post.suppressed()
