"""Reports in an inbox: stored before they are filed, once, whoever dies in between."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from digest.errors import Unavailable
from digest.inbox.boxes.file import FileBox
from digest.inbox.boxes.maildir import MaildirBox
from digest.inbox.letter import LARGEST
from digest.mail.feedback import Feedback
from digest.mail.verp import verp_address
from digest.store import tables
from fakes.letters import letter
from fakes.reports import QMAIL, arf, dsn, plain, recipient

OURS = f"<{'7' * 32}@commonthreads.example>"


def counts(report):
    return {name: count for name, count in report.counts.items() if count and name != "read"}


def stored(office):
    """What came back: from where, and what it says."""
    t = tables.feedback.c
    with office.app.store.read() as c:
        rows = c.execute(select(t.source, t.body).order_by(t.id)).all()
    return [(source, Feedback.from_json(body)) for source, body in rows if body]


def bounce(office, **about):
    to = verp_address("bounces@commonthreads.example", office.app.secret, 7)
    return dsn(recipient("5.1.1", "smtp; 550 5.1.1 <ann@example.org> unknown"), to=to, **about)


def test_a_bounce_is_stored_and_filed(any_office):
    name = any_office.post(bounce(any_office, message_id=OURS))
    report = any_office.read()
    assert counts(report) == {"reports": 1}
    assert report.line == "post: 1 read: 1 told of our mails"
    assert any_office.where(name) == "cur/S"
    [(source, feedback)] = stored(any_office)
    assert source == "inbox:post"
    assert feedback == Feedback(
        "bounced",
        any_office.moment[0] - timedelta(minutes=5) + timedelta(seconds=1),
        "hard",
        "550 5.1.1",
        "550 5.1.1 <<address>> unknown",
        delivery_id=7,
        message_id=OURS,
    )


def test_a_bounce_that_comes_twice_is_stored_once(any_office):
    any_office.post(bounce(any_office))
    name = any_office.post(bounce(any_office))
    assert counts(any_office.read()) == {"reports": 1, "seen": 1}
    assert any_office.where(name) == "cur/S"
    assert len(stored(any_office)) == 1


class DyingBox(MaildirBox):
    def file(self, key):
        raise KeyboardInterrupt


def test_who_dies_before_a_report_is_filed_reads_it_again_and_stores_it_once(office):
    name = office.post(bounce(office))
    with pytest.raises(KeyboardInterrupt):
        office.read(DyingBox(office.maildir))
    assert (len(stored(office)), office.where(name)) == (1, "new/")
    assert counts(office.read()) == {"seen": 1}
    assert (len(stored(office)), office.where(name)) == (1, "cur/S")


def test_a_dry_run_stores_and_files_nothing(office):
    name = office.post(bounce(office))
    assert counts(office.read(dry_run=True)) == {"reports": 1}
    assert (stored(office), office.where(name)) == ([], "new/")


def test_of_a_mail_that_is_too_large_the_beginning_is_enough(office):
    office.post(bounce(office) + b"x" * (LARGEST + 1))
    assert counts(office.read()) == {"reports": 1}
    assert stored(office)[0][1].delivery_id == 7


def test_a_report_about_nothing_of_ours_is_stored_all_the_same(office):
    office.post(dsn(recipient("5.1.1")))
    office.post(arf())
    assert counts(office.read()) == {"reports": 2}
    assert [feedback.event for _, feedback in stored(office)] == ["bounced", "complained"]


def test_who_is_away_answers_our_mail_or_a_person_looks(office):
    away = {"sender": "ann@example.org", "head": "Auto-Submitted: auto-replied\n"}
    ours = office.post(plain("Away", **away | {"head": f"X-Autoreply: 1\nIn-Reply-To: {OURS}\n"}))
    name = office.post(plain("unsubscribe", **away))
    assert counts(office.read()) == {"reports": 1, "not_understood": 1}
    assert (office.where(ours), office.where(name)) == ("cur/S", "cur/F")
    assert stored(office)[0][1].event == "autoresponded"


def test_no_report_is_believed_about_a_time_to_come(office):
    name = office.post(bounce(office))
    later = (office.moment[0] + timedelta(days=400)).timestamp()
    os.utime(office.maildir / "new" / name, (later, later))
    office.read()
    assert stored(office)[0][1].at == office.moment[0]


def test_whatever_is_in_a_report_can_be_stored(any_office):
    strange = "x\x00\ud800\x1b[31m\u202e \N{PILE OF POO}" * 50
    raw = arf(message_id=OURS, kind=f"abuse {strange}")
    any_office.post(raw)
    diagnostic = f"smtp; 550 5.1.1 {strange}"
    any_office.post(dsn(recipient("5.1.1", diagnostic), message_id=OURS))
    assert counts(any_office.read()) == {"reports": 2}
    for _, feedback in stored(any_office):
        assert feedback.message_id == OURS
        assert feedback.code.isprintable()
        assert feedback.detail.isprintable()


# --- a file ------------------------------------------------------------------------------------


@pytest.fixture
def box(office):
    def put(raw, name="bounces.mbox"):
        path = office.app.home / name
        path.write_bytes(raw)
        moment = (office.moment[0] - timedelta(hours=1)).timestamp()
        os.utime(path, (moment, moment))
        return FileBox(path)

    return put


def mbox(*mails, date="Thu Nov 19 08:00:02 2026"):
    return b"".join(f"From x@y {date}\n".encode() + mail + b"\n\n" for mail in mails)


def test_an_mbox_is_read_mail_by_mail_and_left_as_it_is(office, box):
    office.reader("ann")
    quoted = letter("Hello", body="I wonder:\nFrom here on\n\n>From there on")
    wish = letter(f"unsubscribe {office.token('ann')}")
    opened = box(mbox(bounce(office), quoted, wish, bounce(office, message_id=OURS)))
    before = (office.app.home / "bounces.mbox").stat().st_mtime_ns
    report = office.read(opened)
    assert counts(report) == {"reports": 2, "left": 1, "not_understood": 1}
    assert office.state("ann") == "ended"
    assert (office.app.home / "bounces.mbox").stat().st_mtime_ns == before
    assert stored(office)[0][1].at == datetime(2026, 11, 19, 8, 0, 2, tzinfo=UTC)


def test_a_file_read_again_tells_of_nothing_new(office, box):
    office.reader("ann")
    first = mbox(bounce(office), letter("Hello"), letter(f"unsubscribe {office.token('ann')}"))
    assert office.read(box(first), dry_run=True).handled == 3
    assert office.read(box(first)).handled == 3
    before = office.dump()
    again = office.read(box(first))
    assert (again.handled, counts(again)) == (0, {"seen": 3})
    assert office.dump() == before
    more = office.read(box(first + mbox(plain(QMAIL))))
    assert counts(more) == {"seen": 3, "reports": 1}


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_single_mail_is_read(office, box, line_end):
    raw = bounce(office).replace(b"\n", line_end)
    assert counts(office.read(box(raw, "bounce.eml"))) == {"reports": 1}
    assert stored(office)[0][1].delivery_id == 7


def test_a_from_line_is_one_only_after_a_blank_line(office, box):
    raw = letter("Hello", body="Dear all,\nFrom tomorrow on\nFrom Monday on")
    assert counts(office.read(box(raw, "a.eml"))) == {"not_understood": 1}
    assert counts(office.read(box(mbox(raw + b"x"), "b.mbox"))) == {"not_understood": 1}
    raw += b"\n\nFrom next week on"
    assert counts(office.read(box(raw, "c.eml"))) == {"not_understood": 1}


def test_an_old_mail_takes_nobody_off_who_came_back(office, box):
    office.reader("ann")
    opened = box(mbox(letter("unsubscribe"), date="Sat Aug 01 08:00:00 2026"))
    assert counts(office.read(opened)) == {"nothing": 1}
    assert office.state("ann") == "active"


def test_an_empty_file_holds_no_mail_and_one_that_is_not_there_is_trouble(office, box):
    assert office.read(box(b"")).line == "post: nothing new"
    for path in (office.app.home / "nowhere", office.app.home):
        [trouble] = FileBox(path).waiting()
        assert isinstance(trouble, Unavailable)
    pipe = office.app.home / "pipe"
    os.mkfifo(pipe)
    assert "is no file" in office.read(FileBox(pipe)).trouble


def test_noise_is_one_mail_that_a_person_should_see(office, box):
    assert counts(office.read(box(os.urandom(300_000)))) == {"not_understood": 1}
    assert counts(office.read(box(b"x" * 3_000_000, "long"))) == {"not_understood": 1}
