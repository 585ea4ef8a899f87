"""What readers write and what becomes of it: done once, filed after, never lost."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from digest.bootstrap import bootstrap
from digest.cli import main
from digest.inbox.boxes.maildir import MaildirBox
from digest.readers.erasure import erase_address
from digest.store import readers
from digest.store.runs import list_runs
from digest_prefect import chores
from fakes.letters import UNSUBSCRIBE, letter

MONTHLY = "leave-monthly@commonthreads.example"
LEFT = {"left": 1}


def counts(report):
    """What is not zero, apart from how many were read."""
    found = dict(report.counts)
    assert found.pop("read") == sum(found.values())
    return {name: count for name, count in found.items() if count}


# --- leaving -----------------------------------------------------------------------------------


def test_the_mail_that_the_link_writes_takes_its_reader_off(any_office):
    any_office.reader("ann")
    any_office.reader("bob")
    name = any_office.post(
        letter(f"unsubscribe {any_office.token('ann')}", sender="x@elsewhere.org")
    )
    report = any_office.read()
    assert counts(report) == LEFT
    assert (any_office.state("ann"), any_office.state("bob")) == ("ended", "active")
    assert any_office.where(name) == "cur/S"
    [consent] = any_office.consents()
    assert consent == ("left", "mail", "series:ipc", "weekly", any_office.moment[0])
    assert any_office.read().counts["read"] == 0


SUBJECTS = {
    "capitals": "UNSUBSCRIBE {}",
    "a reply": "Re: unsubscribe {}",
    "a German reply to a forward": "AW: WG: Unsubscribe {}",
    "counted": "Re[2]: unsubscribe {}",
    "a mark of the company": "[EXTERNAL] unsubscribe {}",
    "brackets": "<unsubscribe {}>",
    "quotes": '"unsubscribe {}"',
    "folded": "unsubscribe\n {}",
    "folded with a tab": "Re:\n\tunsubscribe\n\t{}",
    "never decoded": "unsubscribe%20{}",
    "a plus sign": "unsubscribe+{}",
    "a colon": "Unsubscribe: {}",
    "encoded": "=?utf-8?q?unsubscribe_{}?=",
    "encoded in a strange set": "=?x-klingon?q?unsubscribe_{}?=",
    "encoded and broken": "=?utf-8?q?unsubscribe?= {} =?utf-8?b?%%%?=",
    "words after it": "unsubscribe {} please",
    "a NUL": "unsubscribe\x00 {}",
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_subjects_as_mail_programs_make_them(office, subject):
    office.reader("ann")
    token = office.token("ann")
    if "?q?unsubscribe_" in SUBJECTS[subject]:
        # There an underscore stands for a space (RFC 2047, section 4.2).
        token = token.replace("_", "=5F")
    office.post(letter(SUBJECTS[subject].format(token), sender="nobody"))
    assert counts(office.read()) == LEFT


BODIES = {
    "a line of its own": "Hello,\n\nunsubscribe {}\n\nAnn",
    "in brackets": "<unsubscribe {}>",
}


@pytest.mark.parametrize("body", BODIES)
def test_the_token_may_stand_in_the_text(office, body):
    office.reader("ann")
    office.post(letter("Hello", body=BODIES[body].format(office.token("ann"))))
    assert counts(office.read()) == LEFT


def test_the_token_may_stand_in_html(office):
    office.reader("ann")
    html = f"<p>Please</p><div>unsubscribe <b>{office.token('ann')}</b></div>"
    office.post(letter("Hello", body=html, head="Content-Type: text/html; charset=utf-8"))
    assert counts(office.read()) == LEFT


QUOTES = {
    "a quotation": "> unsubscribe {}",
    "a sentence": "Your link says unsubscribe {} and does not work, what now?",
    "below a signature": "How are you?\n-- \nunsubscribe {}",
}


@pytest.mark.parametrize("body", QUOTES)
def test_what_is_quoted_or_talked_about_is_no_wish(office, body):
    office.reader("ann")
    name = office.post(letter("Hello", body=QUOTES[body].format(office.token("ann"))))
    assert counts(office.read()) == {"not_understood": 1}
    assert office.state("ann") == "active"
    assert office.where(name) == "cur/F"


ALONE = [
    "unsubscribe",
    "Re: Unsubscribe!",
    "please unsubscribe me",
    "[SPAM?] Unsubscribe.",
    "(unsubscribe)",
]


@pytest.mark.parametrize("subject", ALONE)
def test_the_word_alone_ends_what_its_sender_has_of_that_newsletter(any_office, subject):
    for newsletter in ("weekly", "monthly"):
        any_office.reader("ann", newsletter)
    any_office.post(letter(subject, sender="Ann <ANN@example.org>", to=f"Us <{MONTHLY}>"))
    assert counts(any_office.read()) == LEFT
    assert any_office.state("ann", "monthly") == "ended"
    assert any_office.state("ann", "weekly") == "active"


@pytest.mark.parametrize(
    "body", ["unsubscribe", "Unsubscribe me, please.\n\nAnn", "\n\n UNSUBSCRIBE "]
)
def test_the_word_alone_may_be_the_text(office, body):
    office.reader("ann")
    office.post(letter("(no subject)", body=body))
    assert counts(office.read()) == LEFT


def test_where_it_was_sent_to_may_stand_in_other_headers(office):
    for newsletter in ("weekly", "monthly"):
        office.reader("ann", newsletter)
    office.post(letter("unsubscribe", to="undisclosed:;", head=f"Delivered-To: {UNSUBSCRIBE}"))
    office.read()
    assert (office.state("ann"), office.state("ann", "monthly")) == ("ended", "active")


def test_all_ends_where_it_cannot_be_told_what_was_meant(office):
    for newsletter in ("weekly", "monthly"):
        office.reader("ann", newsletter)
    office.post(letter("unsubscribe", to="hello@commonthreads.example"))
    assert counts(office.read()) == LEFT
    assert (office.state("ann"), office.state("ann", "monthly")) == ("ended", "ended")
    assert [row[:2] for row in office.consents()] == [("left", "mail")] * 2


def test_a_token_that_was_cut_does_not_keep_its_reader(office):
    office.reader("ann")
    office.post(letter(f"unsubscribe {office.token('ann')[:24]}"))
    assert counts(office.read()) == LEFT
    office.reader("bob")
    forged = office.token("bob")[:-4] + "AAAA"
    office.post(letter(f"unsubscribe {forged}", sender="bob@example.org"))
    assert counts(office.read()) == LEFT
    assert office.state("bob") == "ended"


def test_an_old_mail_takes_off_its_sender_who_was_erased_and_came_back(any_office):
    """What the old link meant is gone; its newsletter still comes, to the same address."""
    any_office.reader("ann")
    app, old = any_office.app, any_office.token("ann")
    erase_address(app.store, app.secret, "ann@example.org", app.clock() - timedelta(days=20))
    for newsletter in ("weekly", "monthly"):
        any_office.reader("ann", newsletter)
        with app.store.write() as c:
            readers.activate(c, any_office.ids["ann", newsletter], app.clock() - timedelta(days=10))
    any_office.post(letter(f"unsubscribe {old}"))
    assert counts(any_office.read()) == LEFT
    assert any_office.state("ann") == "ended"
    assert any_office.state("ann", "monthly") == "active"


def test_one_who_waits_for_confirmation_may_leave_too(office):
    office.reader("ann", confirmed=False)
    office.post(letter("unsubscribe"))
    assert counts(office.read()) == LEFT
    assert office.state("ann") == "ended"


# --- what is not done --------------------------------------------------------------------------

STRANGERS = {
    "an address nobody knows": {"subject": "unsubscribe", "sender": "zoe@example.org"},
    "two senders": {"subject": "unsubscribe", "sender": "ann@example.org, bob@example.org"},
    "no sender": {"subject": "unsubscribe", "sender": ""},
    "a token of nobody": {"subject": f"unsubscribe {'A' * 32}", "sender": "zoe@example.org"},
    "a forged confirmation": {"subject": f"confirm {'A' * 40}"},
    "a question": {"subject": "When does the next one come?"},
    "to be subscribed": {"subject": "subscribe"},
    "how to unsubscribe": {"subject": "How do I unsubscribe my mother?"},
    "nothing": {"subject": "", "body": ""},
}


@pytest.mark.parametrize("what", STRANGERS)
def test_what_is_not_understood_is_left_for_a_person(office, what):
    office.reader("ann")
    office.reader("bob")
    before = office.dump()
    name = office.post(letter(**STRANGERS[what]))
    assert counts(office.read()) == {"not_understood": 1}
    assert office.dump() == before
    assert office.where(name) == "cur/F"
    assert office.read().counts["read"] == 0


MACHINES = {
    "RFC 3834": "Auto-Submitted: auto-replied",
    "RFC 3834 with a comment": "Auto-Submitted: auto-replied (vacation); x=y",
    "a bounce": "Return-Path: <>",
    "a report": 'Content-Type: multipart/report; report-type=delivery-status; boundary="x"',
    "an old vacation program": "X-Autoreply: yes",
    "an autoresponder": "Precedence: auto_reply",
    "our own mail": "Precedence: bulk",
}


@pytest.mark.parametrize("head", MACHINES)
def test_machines_wish_nothing_even_where_they_quote_the_subject(office, head):
    office.reader("ann")
    before = office.dump()
    raw = letter(f"Re: unsubscribe {office.token('ann')}", head=MACHINES[head], body="unsubscribe")
    name = office.post(raw)
    assert counts(office.read()) == {"not_understood": 1}
    assert office.dump() == before
    # Of no mail of ours: a person should look.
    assert office.where(name) == "cur/F"


def test_a_mail_system_wishes_nothing(office):
    office.post(letter("unsubscribe", sender="MAILER-DAEMON@mx.example.org"))
    assert counts(office.read()) == {"not_understood": 1}


def test_auto_submitted_no_is_a_person(office):
    office.reader("ann")
    office.post(letter("unsubscribe", head="Auto-Submitted: no"))
    assert counts(office.read()) == LEFT


def test_the_link_of_a_test_copy_takes_nobody_off(office):
    office.reader("ann")
    name = office.post(letter("unsubscribe TEST"))
    assert counts(office.read()) == {"nothing": 1}
    assert (office.state("ann"), office.where(name)) == ("active", "cur/S")


# --- confirming --------------------------------------------------------------------------------


def test_an_opt_in_may_be_confirmed_by_mail(any_office):
    any_office.reader("ann", confirmed=False)
    any_office.post(letter(f"confirm {any_office.opt_in_token('ann')}"))
    assert counts(any_office.read(dry_run=True)) == {"confirmed": 1}
    assert any_office.state("ann") == "pending"
    assert counts(any_office.read()) == {"confirmed": 1}
    assert any_office.state("ann") == "active"
    any_office.post(letter(f"confirm {any_office.opt_in_token('ann')}"))
    assert counts(any_office.read()) == {"nothing": 1}


def test_an_old_confirmation_brings_nobody_back(office):
    office.reader("ann", confirmed=False)
    said = f"confirm {office.opt_in_token('ann')}"
    office.post(letter("unsubscribe"))
    office.read()
    office.post(letter(said))
    assert counts(office.read()) == {"nothing": 1}
    assert office.state("ann") == "ended"


# --- crashes, repeats, dry runs ----------------------------------------------------------------


class Dies(MaildirBox):
    """A mailbox whose reader is killed before the mail is filed."""

    def file(self, key):
        raise KeyboardInterrupt


def test_a_mail_that_could_not_be_filed_is_read_again_and_does_no_harm(office):
    office.reader("ann")
    office.post(letter("unsubscribe"))
    with pytest.raises(KeyboardInterrupt):
        office.read(Dies(office.maildir))
    assert office.state("ann") == "ended"
    assert counts(office.read()) == {"nothing": 1}
    assert len(office.consents()) == 1


def test_who_came_back_is_not_taken_off_by_the_mail_that_could_not_be_filed(office):
    office.reader("ann")
    office.post(letter(f"unsubscribe {office.token('ann')}"))
    with pytest.raises(KeyboardInterrupt):
        office.read(Dies(office.maildir))
    office.turn(days=2)
    office.reader("ann", confirmed=False)
    office.post(letter(f"confirm {office.opt_in_token('ann')}"))
    assert counts(office.read()) == {"nothing": 1, "confirmed": 1}
    assert office.state("ann") == "active"
    office.turn(days=1)
    office.post(letter("unsubscribe"))
    assert counts(office.read()) == LEFT


def test_two_who_read_at_once_end_it_once(any_office):
    from concurrent.futures import ThreadPoolExecutor

    names = [f"reader{number}" for number in range(8)]
    for name in names:
        any_office.reader(name)
        any_office.post(letter("unsubscribe", sender=f"{name}@example.org"))
    with ThreadPoolExecutor(3) as pool:
        reports = [done.result() for done in [pool.submit(any_office.read) for _ in range(3)]]
    assert not any(report.trouble for report in reports)
    assert {any_office.state(name) for name in names} == {"ended"}
    assert len(any_office.consents()) == len(names)


def test_a_dry_run_changes_nothing_and_says_the_same(office):
    office.reader("ann")
    office.reader("bob", confirmed=False)
    for subject in ("unsubscribe", f"confirm {office.opt_in_token('bob')}", "what?"):
        office.post(letter(subject))
    office.post(letter("x", head="Return-Path: <>"))
    before, files = office.dump(), sorted(office.maildir.rglob("*"))
    tried = office.read(dry_run=True)
    assert (office.dump(), sorted(office.maildir.rglob("*"))) == (before, files)
    assert counts(tried) == counts(office.read())


# --- the command -------------------------------------------------------------------------------


def test_the_command_reads_tells_and_keeps_the_run(office, capsys):
    home = str(office.app.home)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["inbox", "read", *arguments, "--home", home])
        out = capsys.readouterr()
        assert "@" not in out.out + out.err
        return ended.value.code, out.out, out.err

    def last_run():
        with bootstrap(office.app.home) as app, app.store.read() as c:
            return list_runs(c, 1)[0]

    with bootstrap(office.app.home) as app:
        replace(office, app=app).reader("ann")
    office.post(letter("unsubscribe"))
    assert run("--dry-run")[:2] == (0, "post: 1 read: 1 left\n")
    code, out, _ = run("--json")
    zeros = {"confirmed": 0, "nothing": 0, "not_understood": 0, "reports": 0, "seen": 0}
    assert code == 0
    assert json.loads(out) == {
        "inboxes": [{"inbox": "post", "read": 1, "left": 1, **zeros, "trouble": ""}],
        "returned": {"suppressed": 0, "waiting": 0, "policy": []},
    }
    assert run("post")[:2] == (0, "post: nothing new\n")
    code, _, err = run("nope")
    assert (code, err) == (2, "digest: no inbox 'nope'; there are: post\n")
    ended = last_run()
    assert (ended.what, ended.outcome, ended.parameters["inbox"]) == ("inbox read", "done", "post")

    office.maildir.rename(office.maildir.with_name("gone"))
    code, out, _ = run()
    assert code == 3
    assert "is no Maildir" in out
    ended = last_run()
    assert ended.outcome == "partial"
    assert "is no Maildir" in ended.reason

    (office.app.home / "config" / "inboxes.toml").unlink()
    code, _, err = run()
    assert code == 2
    assert "no inbox is declared" in err


def test_housekeeping_reads_all_inboxes_and_tells_of_the_one_that_is_away(office):
    office.reader("ann")
    office.post(letter("unsubscribe"))
    run = SimpleNamespace(app=office.app)
    assert chores._read_inboxes(run, dry_run=False) == chores.Done(("post: 1 read: 1 left",))
    assert office.state("ann") == "ended"
    assert chores._read_inboxes(run, dry_run=False) == chores.Done()
    office.maildir.rename(office.maildir.with_name("gone"))
    [left] = chores._read_inboxes(run, dry_run=False).left
    assert "is no Maildir" in left
