"""Who got an issue, as a table; what failed or is in doubt, decided by name."""

import csv
import io
import sqlite3
import stat
import subprocess
import sys

import pytest


@pytest.fixture
def sent(stocked, delivered):
    """An issue that was sent to everybody, and seen; its number."""
    stocked.mails()
    return str(delivered)


def change(desk, statement, *values):
    with sqlite3.connect(desk.home / "var" / "digest.db") as db:
        db.execute(statement, values)
    db.close()


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_table_has_a_row_for_each_recipient(stocked, sent, tmp_path):
    file = tmp_path / "account.csv"
    done = stocked.json("account", sent, "--csv", str(file), "--by", "Maya")
    account = stocked.json("account", sent)
    assert done == {"file": str(file), "addresses": account["recipients"]}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    raw = file.read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n") == account["recipients"] + 1
    rows = rows_of(raw.decode("utf-8-sig"))
    assert list(rows[0]) == [
        "address", "state", "since", "attempts", "code", "reason", "settled", "message id",
    ]  # fmt: skip
    assert [row["address"] for row in rows] == sorted(row["address"] for row in rows)
    assert {row["state"] for row in rows} == {"submitted"}
    assert {row["attempts"] for row in rows} == {"1"}
    assert len({row["message id"] for row in rows}) == len(rows)
    run = stocked.json("runs")[0]
    assert (run["what"], run["actor"], run["counts"]) == ("account", "Maya", {"addresses": 11})


def test_a_spreadsheet_runs_nothing_of_the_table(stocked, sent):
    change(
        stocked,
        "UPDATE deliveries SET state = 'failed', address = ?, reason = ? WHERE id = 1",
        "=cmd|' /C calc'!A1",
        'a "quote",\r\nand more',
    )
    told = stocked.run("account", sent, "--who", "failed", "--csv", "-")
    (row,) = rows_of(told.out)
    assert row["address"] == "'=cmd|' /C calc'!A1"
    assert row["reason"] == 'a "quote",\r\nand more'
    assert "progress" not in told.err
    assert stocked.run("account", sent, "--who", "claimed", "--csv", "-").out.count("\n") == 1


def test_the_table_is_the_one_that_the_desk_has(stocked, sent):
    change(stocked, "UPDATE deliveries SET state = 'refused', code = '550 5.1.1' WHERE id < 4")
    everybody = rows_of(stocked.run("account", sent, "--csv", "-").out)
    assert [row["state"] for row in everybody] == ["submitted"] * 8 + ["refused"] * 3
    assert {row["code"] for row in everybody[8:]} == {"550 5.1.1"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--csv", "-", "--json"), "both be written to stdout"),
        (("--csv", "/nowhere/account.csv"), "No such file or directory"),
        (("--csv", "/dev/null"), "is no file"),
        (("--who", "sent", "--csv", "-"), "no state 'sent'"),
    ],
)
def test_a_table_that_cannot_be_written_is_a_sentence(stocked, sent, arguments, said):
    done = stocked.run("account", sent, *arguments, code=2)
    assert said in done.err
    assert done.out == ""


def test_whoever_reads_the_table_may_have_had_enough(stocked, sent, monkeypatch):
    digest = [sys.executable, "-m", "digest", "account", sent, "--csv", "-"]
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    writer = subprocess.Popen(
        [*digest, "--home", str(stocked.home)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    writer.stdout.close()
    assert writer.stderr.read() == b""
    assert writer.wait() == 0
    writer.stderr.close()
    assert stocked.json("runs")[0]["outcome"] == "partial"


@pytest.fixture
def in_doubt(stocked, sent):
    """The same issue, with the first three deliveries in doubt at a mailer that cannot tell."""
    change(
        stocked,
        "UPDATE deliveries SET state = 'uncertain', mailer = 'smtp elsewhere' WHERE id <= 3",
    )
    return sent


def who(desk, issue, state):
    return {line["address"]: line for line in desk.json("account", issue, "--who", state)}


def test_single_ones_in_doubt_are_decided_by_name(stocked, in_doubt):
    first, second, third = who(stocked, in_doubt, "uncertain")
    only = ("--only", first.upper(), "--only", second)
    left = stocked.json("settle", in_doubt, "--leave", *only, "--by", "Maya")
    assert left["uncertain"] == 3
    settled = {name: line["settled"] for name, line in who(stocked, in_doubt, "uncertain").items()}
    assert settled == {first: "leave, by Maya", second: "leave, by Maya", third: None}
    # What was left may be sent again all the same; the others wait for their own word.
    again = stocked.run("settle", in_doubt, "--resend", "--only", first)
    assert "1 uncertain deliveries are pending again" in again.out
    assert set(who(stocked, in_doubt, "pending")) == {first}
    stocked.run("deliver", in_doubt, code=3)
    assert set(who(stocked, in_doubt, "uncertain")) == {second, third}
    runs = stocked.run("runs", "--json").out
    assert "@" not in runs


def test_a_name_that_is_not_in_doubt_decides_nothing(stocked, in_doubt):
    first, *_ = who(stocked, in_doubt, "uncertain")
    sure, *_ = who(stocked, in_doubt, "submitted")
    done = stocked.run("settle", in_doubt, "--resend", "--only", first, "--only", sure, code=2)
    assert f"no uncertain delivery to {sure}" in done.err
    assert len(who(stocked, in_doubt, "uncertain")) == 3


def test_a_forgotten_reader_in_doubt_is_named_by_their_code(stocked, in_doubt):
    first, *_ = who(stocked, in_doubt, "uncertain")
    stocked.run("readers", "erase", first, "--yes")
    (code,) = [name for name in who(stocked, in_doubt, "uncertain") if "@" not in name]
    stocked.run("settle", in_doubt, "--leave", "--only", code, "--by", "Maya")
    assert who(stocked, in_doubt, "uncertain")[code]["settled"] == "leave, by Maya"


def test_the_mailer_is_asked_what_it_knows(stocked, in_doubt):
    told = stocked.run("settle", in_doubt, "--look", code=3)
    assert "0 uncertain deliveries were told by the mailer" in told.out
    assert "It cannot tell of 3" in told.out
    mailbox = f"file {stocked.home / 'var' / 'mail'}"
    change(stocked, "UPDATE deliveries SET mailer = ? WHERE id <= 3", mailbox)
    # One of them never arrived.
    lost = next(iter((stocked.home / "var" / "mail" / "new").iterdir()))
    lost.unlink()
    account = stocked.json("settle", in_doubt, "--look")
    assert account["uncertain"] == 0
    assert account["submitted"] + account["pending"] == account["recipients"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say one of"),
        (("--look", "--leave"), "say one of"),
        (("--look", "--only", "ann@example.org"), "name none"),
    ],
)
def test_a_decision_that_is_none_is_a_sentence(stocked, in_doubt, arguments, said):
    assert said in stocked.run("settle", in_doubt, *arguments, code=2).err


def test_only_what_failed_is_tried_again(stocked, sent):
    change(stocked, "UPDATE deliveries SET state = 'failed', attempts = 13 WHERE id <= 2")
    change(stocked, "UPDATE deliveries SET state = 'refused' WHERE id = 3")
    for mail in (stocked.home / "var" / "mail" / "new").iterdir():
        mail.unlink()
    failed = set(who(stocked, sent, "failed"))
    stocked.mails_seen.clear()
    done = stocked.run("deliver", sent, "--retry-failed")
    assert "2 failed deliveries are pending again" in done.err
    assert "Tried 2 deliveries now" in done.out
    assert set(stocked.mails()) == failed
