"""Who got an issue, as a table; what failed or is in doubt, decided by name."""

import csv
import io
import sqlite3
import stat
import subprocess
import sys

import pytest


@pytest.fixture
def sent(stocked):
    """An issue that was sent to everybody; its number."""
    issue = stocked.send(code=3)["issue"]
    stocked.approve_and_deliver(issue)
    stocked.mails()
    return str(issue)


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
