"""`digest readers export` and `erase`, as an operator uses them when a reader writes."""

import json
import stat
from datetime import UTC, datetime

import pytest

from digest.bootstrap import bootstrap
from digest.store.tables import subscriptions


@pytest.fixture
def reader(stocked, delivered):
    """An imported reader who has had an issue."""
    return stocked.json("readers", "list")[0]["address"]


def test_export_prints_one_document_or_writes_it_for_its_owner_alone(stocked, reader, tmp_path):
    document = stocked.run("readers", "export", reader.upper()).json
    assert document["address"] == reader
    assert document["subscriptions"]
    file = tmp_path / "export.json"
    file.write_text("old")
    stocked.run("readers", "export", reader, "--out", str(file))
    assert json.loads(file.read_text(encoding="utf-8")) == document
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stocked.json("readers", "export", reader, "--out", str(file))["file"] == str(file)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody@example.org"], "nothing is held about this address"),
        (["nobody"], "must have an @-sign"),
    ],
)
def test_export_of_nobody(stocked, arguments, said):
    assert said in stocked.run("readers", "export", *arguments, code=2).err


def test_a_pause_stands_in_the_list(stocked, reader):
    with bootstrap(stocked.home) as app, app.store.write() as c:
        c.execute(subscriptions.update().values(paused_until=datetime(2099, 12, 24, tzinfo=UTC)))
    assert "paused until Thu 24 Dec 2099" in stocked.run("readers", "list").out
    assert stocked.json("readers", "list")[0]["paused_until"] == "2099-12-24T00:00:00+00:00"


def test_export_that_cannot_be_written(stocked, reader, tmp_path):
    nowhere = str(tmp_path / "no" / "such" / "folder.json")
    done = stocked.run("readers", "export", reader, "--out", nowhere, code=2)
    assert "cannot be written: No such file" in done.err


def test_erase_says_what_goes_asks_and_forgets(stocked, reader):
    tried = stocked.run("readers", "erase", reader, "--dry-run")
    assert "Deliveries that lose the address and stay in their accounts: 1." in tried.out
    assert "Nothing was changed." in tried.out
    # Nobody can be asked at a pipe.
    assert "--yes" in stocked.run("readers", "erase", reader, code=2).err
    assert stocked.run("readers", "export", reader).json["address"] == reader

    done = stocked.json("readers", "erase", reader, "--yes", "--by", "Maya")
    assert (done["outcome"], done["wiped"]["subscriptions"]) == ("erased", 1)
    assert stocked.json("readers", "erase", reader, "--yes")["outcome"] == "already"
    assert stocked.json("readers", "erase", "x@example.org", code=2)["outcome"] == "unknown"
    runs = [run for run in stocked.json("runs") if run["what"].startswith("readers e")]
    assert {run["outcome"] for run in runs} == {"done", "nothing"}
    said = json.dumps(runs) + stocked.run("readers", "list").out
    log = stocked.home / "var" / "log" / "digest.jsonl"
    said += log.read_text() if log.exists() else ""
    assert reader not in said


def test_import_and_operator_do_not_bring_an_erased_reader_back(stocked, reader, readers_csv):
    stocked.json("readers", "erase", reader, "--yes")
    report = stocked.json("readers", "import", readers_csv)
    assert report["added"] == 0
    [problem] = [p for p in report["problems"] if "erased" in p["message"]]
    assert "only the reader can come back" in problem["message"]
    added = stocked.json(
        "readers", "add", reader, "--newsletter", "weekly", "--consent-at", "2026-01-01"
    )
    assert added["outcome"] == "pending"


def test_account_of_the_issue_is_as_before(stocked, reader):
    before = stocked.json("account", "1")
    stocked.json("readers", "erase", reader, "--yes")
    assert stocked.json("account", "1") == before
    who = stocked.run("account", "1", "--who", "submitted").out
    assert reader not in who
