"""IMAP: a real conversation over TLS, and every way in which a server may fail us."""

from __future__ import annotations

import logging
import ssl
import time

import pytest
import trustme

from digest.errors import Unauthorized, Unavailable
from digest.inbox.letter import LARGEST
from fakes.imap import ABSURD, DROP, HANG, LESS, MORE, imap_box
from fakes.letters import letter
from fakes.reports import dsn, recipient


def left(report):
    return report.counts["left"]


@pytest.mark.parametrize("starttls", [False, True])
@pytest.mark.parametrize("extensions", [("AUTH=PLAIN",), ()])
def test_what_was_done_is_marked_as_read(office, imap_server, starttls, extensions):
    server = imap_server(starttls=starttls, extensions=extensions)
    office.reader("ann")
    done = server.deliver(letter(f"unsubscribe {office.token('ann')}"))
    unclear = server.deliver(letter("What is this?", body="I wonder."))
    bounce = server.deliver(dsn(recipient("5.1.1")))
    report = office.read(imap_box(server))
    assert (left(report), report.trouble) == (1, "")
    assert (done.flags, unclear.flags, bounce.flags) == ({r"\Seen"}, {r"\Flagged"}, {r"\Seen"})
    assert report.counts == {
        "read": 3,
        "left": 1,
        "confirmed": 0,
        "nothing": 0,
        "not_understood": 1,
        "reports": 1,
        "seen": 0,
    }
    assert office.read(imap_box(server)).counts["read"] == 0
    assert server.commands[-1].endswith("LOGOUT")


def test_only_mails_whose_headers_do_not_say_it_all_are_fetched_whole(office, imap_server):
    server = imap_server()
    office.reader("ann")
    office.reader("bob")
    server.deliver(letter("unsubscribe", body="x" * 5000))
    server.deliver(
        letter("Hello", sender="bob@example.org", body=f"unsubscribe {office.token('bob')}")
    )
    assert left(office.read(imap_box(server))) == 2
    assert sum("BODY.PEEK[]" in line for line in server.commands) == 1


@pytest.mark.parametrize("extensions", [("MOVE",), ("UIDPLUS",), ()])
def test_what_was_done_is_moved_with_what_the_server_can(office, imap_server, extensions):
    server = imap_server(extensions=extensions)
    office.reader("ann")
    done = server.deliver(letter("unsubscribe"))
    others = server.deliver(letter("Mine"))
    others.flags |= {r"\Seen", r"\Deleted"}
    box = imap_box(server, after="move", move_to="Read mails")
    assert left(office.read(box)) == 1
    assert list(server.folders["Read mails"].values()) == [done]
    assert others in server.folders["INBOX"].values()
    if extensions:
        assert list(server.folders["INBOX"].values()) == [others]
    assert office.read(imap_box(server, after="move", move_to="Read mails")).read == 0


@pytest.mark.parametrize("extensions", [("UIDPLUS",), ()])
def test_what_was_done_is_deleted_and_nothing_else(office, imap_server, extensions):
    server = imap_server(extensions=extensions)
    office.reader("ann")
    done = server.deliver(letter("unsubscribe"))
    others = server.deliver(letter("Mine"))
    others.flags |= {r"\Seen", r"\Deleted"}
    assert left(office.read(imap_box(server, after="delete"))) == 1
    assert others in server.folders["INBOX"].values()
    assert r"\Deleted" in done.flags
    assert (done in server.folders["INBOX"].values()) == (not extensions)


def test_a_folder_that_is_not_there_keeps_the_mail_read_and_done(office, imap_server):
    server = imap_server()
    office.reader("ann")
    done = server.deliver(letter("unsubscribe"))
    report = office.read(imap_box(server, after="move", move_to="Nowhere"))
    assert office.state("ann") == "ended"
    assert "TRYCREATE" in report.trouble
    assert done.flags == {r"\Seen"}


def test_many_mails_come_in_batches(office, imap_server):
    server = imap_server()
    for number in range(60):
        office.reader(f"reader{number}")
        server.deliver(letter("unsubscribe", sender=f"reader{number}@example.org"))
    assert left(office.read(imap_box(server))) == 60
    assert server.said("FETCH") == 2


# --- servers that fail -------------------------------------------------------------------------

BEFORE = ("connect", "LOGIN", "CAPABILITY", "SELECT", "SEARCH")


@pytest.mark.parametrize("verb", [*BEFORE, "FETCH", "STORE"])
@pytest.mark.parametrize("fault", [DROP, HANG])
def test_a_server_that_goes_away_loses_no_mail(office, imap_server, verb, fault):
    server = imap_server(extensions=(), faults={verb: fault})
    office.reader("ann")
    mail = server.deliver(letter("unsubscribe"))
    began = time.monotonic()
    report = office.read(imap_box(server))
    assert time.monotonic() - began < 4
    assert report.trouble.startswith("the IMAP server: ")
    assert not mail.flags
    # Done before it is filed.
    assert (office.state("ann") == "ended") == (verb == "STORE")
    server.faults.clear()
    again = office.read(imap_box(server))
    assert (again.read, again.trouble) == (1, "")
    assert office.state("ann") == "ended"
    assert len(office.consents()) == 1
    assert mail.flags == {r"\Seen"}


NOES = [(verb, no) for verb in ("SELECT", "SEARCH", "FETCH", "STORE") for no in ("NO", "BAD")]


@pytest.mark.parametrize(("verb", "answer"), [*NOES, ("SELECT", "OK [READ-ONLY]")])
def test_a_server_that_says_no_is_a_line_in_the_report(office, imap_server, verb, answer):
    server = imap_server(faults={verb: f"{answer} today"})
    office.reader("ann")
    server.deliver(letter("unsubscribe"))
    assert office.read(imap_box(server)).trouble.startswith("the IMAP server: ")


@pytest.mark.parametrize("fault", [LESS, MORE, ABSURD])
def test_a_server_that_lies_about_sizes_is_cut_off(office, imap_server, fault):
    server = imap_server(faults={"FETCH": fault})
    office.reader("ann")
    mail = server.deliver(letter("unsubscribe"))
    report = office.read(imap_box(server))
    assert report.trouble.startswith("the IMAP server: ")
    if fault == ABSURD:
        assert "which nobody asked for" in report.trouble
    assert not mail.flags
    server.faults.clear()
    assert left(office.read(imap_box(server))) == 1


def test_wrong_credentials_are_told_without_them(office, imap_server, caplog):
    for extensions in ((), ("AUTH=PLAIN",)):
        server = imap_server(extensions=extensions)
        box = imap_box(server, password="hunter2", username="me@example.org")
        with caplog.at_level(logging.INFO):
            found = list(box.waiting())
            report = office.read(imap_box(server, password="hunter2"))
        box.close()
        assert isinstance(found[0], Unauthorized)
        assert "refused user name and password" in report.trouble
        assert "hunter2" not in caplog.text + report.trouble


def test_nobody_listens(office, imap_server):
    server = imap_server()
    box = imap_box(server, port=1)
    assert "refused" in office.read(box).trouble.casefold()


def test_a_certificate_of_somebody_else_is_not_trusted(office, imap_server):
    server = imap_server()
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(stranger)
    server.context = stranger
    assert "certificate" in office.read(imap_box(server)).trouble
    assert not server.commands


def test_no_password_travels_where_the_server_cannot_encrypt(office, imap_server):
    server = imap_server(starttls=True, faults={"STARTTLS": "NO never"})
    assert office.read(imap_box(server)).trouble
    assert not any("LOGIN" in line or "AUTH" in line for line in server.commands)


def test_a_mail_that_is_too_large_is_read_in_its_headers(office, imap_server):
    server = imap_server()
    office.reader("ann")
    office.reader("bob")
    server.deliver(letter("unsubscribe", body="x" * (2 * LARGEST)))
    wish = f"unsubscribe {office.token('bob')}\n"
    unclear = server.deliver(letter("Hello", sender="bob@example.org", body=wish + "x" * LARGEST))
    report = office.read(imap_box(server))
    assert (left(report), report.counts["not_understood"]) == (1, 1)
    assert unclear.flags == {r"\Flagged"}
    assert not any("BODY.PEEK[]" in line for line in server.commands)


def test_a_mail_that_a_person_takes_away_meanwhile_is_no_trouble(office, imap_server):
    server = imap_server()
    server.deliver(letter("Hello"))
    box = imap_box(server)
    [waiting] = box.waiting()
    server.folders["INBOX"].clear()
    assert box.whole(waiting.key) is None
    assert box.file(waiting.key) is None
    assert box.flag(waiting.key) is None
    box.close()


def test_after_trouble_a_box_may_be_closed(imap_server):
    box = imap_box(imap_server(faults={"SELECT": DROP}))
    [trouble] = box.waiting()
    assert isinstance(trouble, Unavailable)
    box.close()
    box.close()
