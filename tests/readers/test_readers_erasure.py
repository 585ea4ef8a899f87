"""A reader asks to be forgotten: nothing names them any more, and every count stays."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select, update

from digest.errors import Refused, Unavailable, UsageError
from digest.mail.decisions import decide
from digest.model import DeliveryState, Interests, Rhythm
from digest.readers.enrolment import Enrolled
from digest.readers.erasure import Outcome, erase_address, erase_reader
from digest.readers.subscriptions import confirm, subscribe, unsubscribe_by_token
from digest.readers.tokens import keyed_hash, make_token
from digest.store import deliveries as ledger
from digest.store import readers, tables
from digest.store.accounts import account
from digest.store.deliveries import Claimed
from digest.store.dialect import lock_freezing
from digest.store.notices import finish_notice

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.config import Config
    from digest.readers.erasure import Erased

S = DeliveryState


@pytest.fixture
def erase(held: Any, secret: bytes, now: Any) -> Callable[[], Erased]:
    return partial(erase_reader, held.store, secret, held.ann, now)


def _told(held: Any, *words: str) -> list[str]:
    """The rows that hold any of these words, in any case."""
    rows = [(name, row) for name, rows in held.everything().items() for row in rows]
    return [f"{name}: {row}" for name, row in rows if any(w in str(row).lower() for w in words)]


def _accounts(held: Any) -> list[Any]:
    with held.store.read() as c:
        return [account(c, issue) for issue in held.issues]


def _rows(held: Any, table: str, **which: Any) -> list[dict[str, Any]]:
    return [row for row in held.everything()[table] if which.items() <= row.items()]


def test_no_table_names_an_erased_reader(held, erase, caplog):
    assert len(_told(held, "whitlock")) >= 30
    assert erase().outcome is Outcome.ERASED
    assert _told(held, held.key, "whitlock", "ann.", "+blog", "mail.example.org") == []
    assert "whitlock" not in caplog.text.lower()


def test_no_page_of_the_file_names_an_erased_reader(held_in_file, secret, now):
    """Not even between the rows: what was deleted is overwritten."""
    engine = held_in_file.store.engine
    engine.dispose()
    file = Path(engine.url.database)
    assert b"whitlock" in file.read_bytes().lower()
    erase_reader(held_in_file.store, secret, held_in_file.ann, now)
    engine.dispose()
    assert b"whitlock" not in file.read_bytes().lower()


def test_what_the_erasure_took(held, erase, now):
    wiped = erase().wiped
    assert wiped is not None
    assert (wiped.subscriptions, wiped.consents, wiped.sign_ups, wiped.overflow) == (1, 1, 2, 1)
    assert (wiped.deliveries, wiped.cancelled, wiped.notices, wiped.suppressed) == (9, 2, 4, 1)
    [reader] = _rows(held, "subscribers", id=held.ann)
    assert (reader["address"], reader["weekly_cap"], reader["erased_at"]) == (None, None, now)
    [subscription] = _rows(held, "subscriptions", subscriber_id=held.ann)
    assert (subscription["state"], subscription["ended_reason"]) == ("ended", "erased")
    assert (subscription["interests"], subscription["paused_until"]) == ("everything", None)


def test_everybody_else_stays_as_they_are(held, erase):
    def others() -> list[Any]:
        told = held.everything()
        return [row for rows in told.values() for row in rows if held.other in str(row).lower()]

    before = others()
    erase()
    assert others() == before
    assert len(before) > 20


def test_what_a_domain_took_up_is_kept_while_others_have_it(held, erase, now):
    with held.store.write() as c:
        address = "x@mail.example.org"
        held.put(c, tables.subscribers, address=address, address_key=address, created_at=now)
    erase()
    assert _rows(held, "mail_paces", domain="mail.example.org")
    assert _rows(held, "mail_waits", domain="mail.example.org", reason="erased")


def test_accounts_stay_but_for_what_was_open(held, erase):
    before = _accounts(held)
    erase()
    for was, now_is, state in zip(before, _accounts(held), held.states, strict=True):
        assert was.recipients == now_is.recipients == 2
        assert now_is.balanced
        if state in {"pending", "claimed"}:
            assert (now_is.cancelled, getattr(now_is, state)) == (1, 0)
        else:
            assert now_is == was


def test_posts_are_given_back_only_of_what_was_cancelled(held, erase):
    erase()
    kept = {row["issue_id"] for row in _rows(held, "reservations", subscriber_id=held.ann)}
    gone = {
        issue
        for issue, state in zip(held.issues, held.states, strict=True)
        if state in {"pending", "claimed"}
    }
    assert kept == set(held.issues) - gone
    assert len(_rows(held, "reservations", subscriber_id=held.bo)) == len(held.issues)


def test_mails_that_waited_are_not_sent_and_those_on_their_way_end_as_they_do(held, erase, secret):
    erase()
    states = [row["state"] for row in _rows(held, "notices", address=keyed_hash(secret, held.key))]
    assert sorted(states) == ["cancelled", "failed", "submitted", "submitting"]


def test_erased_twice_is_erased_once(held, erase, secret, now):
    erase()
    before = held.everything()
    later = now + timedelta(days=1)
    assert erase_reader(held.store, secret, held.ann, later).outcome is Outcome.ALREADY
    by_address = erase_address(held.store, secret, held.address.upper(), later)
    assert (by_address.outcome, by_address.wiped) == (Outcome.ALREADY, None)
    assert held.everything() == before


def test_nobody_is_erased(held, secret, now):
    before = held.everything()
    assert erase_reader(held.store, secret, 4711, now).outcome is Outcome.UNKNOWN
    nobody = erase_address(held.store, secret, "nobody@example.org", now)
    assert nobody.outcome is Outcome.UNKNOWN
    with pytest.raises(UsageError):
        erase_address(held.store, secret, "nobody", now)
    assert held.everything() == before


def test_dry_run_says_the_same_and_changes_nothing(held, erase, secret, now):
    before = held.everything()
    tried = erase_address(held.store, secret, held.address, now, dry_run=True)
    assert held.everything() == before
    assert tried == erase()


def test_who_only_ever_asked_at_a_form_is_erased_too(held, secret, now):
    asked = tables.sign_ups.c
    open_one = (asked.address == held.other, asked.confirmed_at.is_(None))
    theirs = {"address": "cy@x.example", "address_key": "cy@x.example"}
    with held.store.write() as c:
        c.execute(update(tables.sign_ups).where(*open_one).values(theirs))
    assert erase_address(held.store, secret, "Cy@X.example", now).outcome is Outcome.ERASED
    assert _told(held, "cy@x.example") == []
    assert erase_address(held.store, secret, "cy@x.example", now).outcome is Outcome.ALREADY


def test_suppression_outlives_the_reader_without_their_words(held, erase, secret):
    erase()
    hashed = partial(keyed_hash, secret)
    with held.store.read() as c:
        bar = readers.barred(c, held.key, hashed)
    assert bar is not None
    assert (bar.reason, bar.origin) == ("erased", "web")


@pytest.mark.parametrize("vouched", [True, False])
def test_nobody_else_brings_an_erased_reader_back(
    *, held, erase, config: Config, secret, now, vouched
):
    with held.store.write() as c:
        c.execute(tables.suppressions.delete())
    erase()
    again = subscribe(
        held.store,
        config,
        secret,
        address=held.address,
        newsletter="weekly",
        interests=Interests(),
        rhythm=Rhythm.WEEKLY,
        consent_source="a list",
        consent_at=now if vouched else None,
        now=now,
    )
    assert again.outcome is Enrolled.PENDING
    assert again.subscription_id != held.anns
    token = make_token(secret, "opt-in", again.subscription_id or 0, now)
    assert confirm(held.store, secret, token, now).outcome == "active"
    # Who came back may be erased again.
    later = now + timedelta(days=1)
    assert erase_address(held.store, secret, held.address, later).outcome is Outcome.ERASED
    assert [row["at"] for row in held.everything()["erasures"]] == [later]


def test_links_in_old_mails_open_nothing(held, erase, secret, now):
    erase()
    opt_in = make_token(secret, "opt-in", held.anns, now)
    assert confirm(held.store, secret, opt_in, now).outcome == "ended"
    leaving = make_token(secret, "unsubscribe", held.anns)
    assert unsubscribe_by_token(held.store, secret, leaving, now).outcome == "already"


# --- the ledger goes on ------------------------------------------------------------------------


def _delivery(held: Any, state: str) -> Claimed:
    """The reader's delivery in that state, as a worker holds it."""
    issue = held.issues[held.states.index(state)]
    d = tables.deliveries.c
    query = select(
        *(d.id, d.issue_id, d.variant_id, d.subscriber_id, d.subscription_id),
        *(d.address, d.address_key, d.attempts),
    ).where(d.issue_id == issue, d.subscriber_id == held.ann)
    with held.store.read() as c:
        return Claimed(*c.execute(query).one())


def _state(held: Any, claimed: Claimed) -> str:
    [row] = _rows(held, "deliveries", id=claimed.id)
    return row["state"]


def test_answer_that_comes_after_the_erasure_is_written_without_the_address(
    held, erase, secret, now
):
    with held.store.write() as c:
        c.execute(tables.suppressions.delete())
    awaited = _delivery(held, "submitting")
    erase()
    answer = Refused(
        f"550 <{held.address}>: no such user Ann.Whitlock", "5.1.1", address_fault=True
    )
    decision = decide(answer, delivery_id=awaited.id, attempts=0, now=now)
    assert decision.suppress
    with held.store.write() as c:
        assert ledger.finish(c, ledger.Answer(awaited, decision), "w", now)
    assert _state(held, awaited) == "refused"
    assert _told(held, "whitlock") == []
    with held.store.read() as c:
        assert readers.barred(c, held.key, partial(keyed_hash, secret)) is not None


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Refused("550 no Ann.Whitlock here", "5.1.1", address_fault=True), "refused"),
        (Unavailable("later, <Ann.Whitlock+Blog@Mail.Example.org>"), "cancelled"),
    ],
)
def test_answer_about_a_notice_after_the_erasure(*, held, erase, now, answer, state):
    [awaited] = [
        row["id"]
        for row in _rows(held, "notices", address=held.address)
        if row["state"] == "submitting"
    ]
    erase()
    decision = decide(answer, delivery_id=awaited, attempts=0, now=now)
    with held.store.write() as c:
        finish_notice(c, awaited, decision, None, now)
    assert _rows(held, "notices", id=awaited)[0]["state"] == state
    assert _told(held, "whitlock") == []


def test_answer_about_a_notice_in_the_midst_of_the_erasure(held, erase, now):
    """Whoever erases waits for what is being written, and takes it along."""
    awaited = _rows(held, "notices", address=held.address, state="submitting")[0]["id"]
    refused = Refused("550 no Ann.Whitlock here", "5.1.1", address_fault=True)
    decision = decide(refused, delivery_id=awaited, attempts=0, now=now)
    erasing = Thread(target=erase)

    def meanwhile(*_: object) -> None:
        if erasing.ident is None:
            erasing.start()
            erasing.join(0.3)

    with held.store.write() as c:
        event.listen(c, "after_cursor_execute", meanwhile)
        finish_notice(c, awaited, decision, None, now)
    erasing.join()
    assert _told(held, "whitlock") == []


@pytest.mark.parametrize("way", ["claimed", "failed", "uncertain"])
def test_an_erased_reader_is_never_mailed_again(held, erase, now, way):
    """Whatever a worker held, or an editor retries or sends again, ends as cancelled."""
    held_before = _delivery(held, way)
    erase()
    with held.store.write() as c:
        if way == "failed":
            assert ledger.retry_failed(c, held_before.issue_id, now) == 1
        elif way == "uncertain":
            assert ledger.settle(c, held_before.id, S.PENDING, how="resend", now=now)
    with held.store.write() as c:
        until = now + timedelta(minutes=1)
        claims = ledger.claim(c, held_before.issue_id, "w2", now=now, until=until, most=9)
    submission = ledger.Submission("file", now, now)
    for claimed in [held_before, *claims]:
        with held.store.write() as c:
            worker = "w" if claimed is held_before else "w2"
            start = ledger.Start(claimed, "<new@example.org>", "r")
            words = ledger.begin(c, claimed.issue_id, [start], worker, submission)
            assert words[claimed.id] != "go"
    assert _state(held, held_before) == "cancelled"
    kept = _rows(held, "reservations", subscriber_id=held.ann, issue_id=held_before.issue_id)
    assert kept == []


def test_erased_by_two_at_once(held, erase):
    outcomes: list[Outcome] = []
    threads = [Thread(target=lambda: outcomes.append(erase().outcome)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [Outcome.ALREADY] * 3 + [Outcome.ERASED]


def test_issue_that_is_being_frozen_meanwhile_does_not_write_the_address_again(held, erase, now):
    """An erasure waits for a freeze on its way, and takes what that one wrote."""
    frozen, begun = held.issues[held.states.index("pending")], Event()

    def freeze() -> None:
        with held.store.write() as c:
            lock_freezing(c)
            begun.set()
            sleep(0.1)
            d = tables.deliveries.c
            again = {"state": "pending", "address": held.address, "address_key": held.key}
            mine = (d.issue_id == frozen, d.subscriber_id == held.ann)
            c.execute(update(tables.deliveries).where(*mine).values(again))

    freezing = Thread(target=freeze)
    freezing.start()
    begun.wait()
    erase()
    freezing.join()
    assert _told(held, "whitlock") == []


def test_import_beside_an_erasure_never_brings_back(held, config, secret, now):
    """Whichever comes first, the address is gone or waits for its reader."""
    with held.store.write() as c:
        c.execute(tables.suppressions.delete())
    sign_up = partial(
        subscribe,
        held.store,
        config,
        secret,
        address=held.address,
        newsletter="monthly",
        interests=Interests(),
        rhythm=Rhythm.WEEKLY,
        consent_source="a list",
        consent_at=now,
        now=now,
    )
    threads = [Thread(target=sign_up) for _ in range(4)]
    threads.insert(2, Thread(target=erase_reader, args=(held.store, secret, held.ann, now)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    subscribers = {row["id"] for row in held.everything()["subscribers"] if row["address"]}
    mine = [
        row
        for row in held.everything()["subscriptions"]
        if row["subscriber_id"] in subscribers - {held.bo}
    ]
    assert {row["state"] for row in mine} <= {"pending"}
