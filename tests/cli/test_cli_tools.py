"""The commands around the main job: check, readers, backup, runs; and their help."""

import json
import logging

import pytest
import typer.main

from digest.cli import app
from digest.config import FLOWS
from digest.logs import logging_to, mask
from digest.settings import flow_file

pytestmark = pytest.mark.long

COMMANDS = typer.main.get_command(app)


def leaves(group=COMMANDS, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


LEAVES = list(leaves())


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(path) for path, _ in LEAVES])
def test_every_command_has_help_with_an_example_and_takes_home_and_json(path, command):
    assert f"Example: digest {' '.join(path)}" in command.help
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--home", "--json"} <= options


def test_check_says_every_fault_at_once_and_writes_nothing(desk):
    assert desk.json("check") == {"ok": True, "errors": []}
    desk.configure("newsletters.toml", "cap = 12", "cap = 99\ncolour = 3")
    template = desk.home / "templates" / "email" / "weekly" / "subject.txt"
    before = set(desk.home.rglob("*"))
    found = desk.json("check", code=2)
    assert not found["ok"]
    faults = {(fault["file"], fault["key"]): fault["message"] for fault in found["errors"]}
    assert "less than or equal to 60" in faults["config/newsletters.toml", "newsletters.weekly.cap"]
    assert "Allowed: " in faults["config/newsletters.toml", "newsletters.weekly.colour"]
    desk.configure("newsletters.toml", "cap = 99\ncolour = 3", "cap = 12")
    template.write_text("{{ nonsense }}")
    faults = desk.json("check", code=2)["errors"]
    assert [fault["file"] for fault in faults] == ["templates/email/weekly/subject.txt"]
    assert "nonsense" in faults[0]["message"]
    assert set(desk.home.rglob("*")) == before


def test_check_finds_a_flow_that_is_missing_where_flows_are_served(desk):
    flows = desk.home / "flows"
    flows.mkdir()
    for name in FLOWS:
        (desk.home / flow_file(name)).touch()
    assert desk.json("check")["ok"]
    (flows / "send_issue.py").unlink()
    (fault,) = desk.json("check", code=2)["errors"]
    assert (fault["file"], fault["message"]) == (
        "flows/send_issue.py",
        "missing; it holds the flow send-issue",
    )


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise's
def test_check_finds_an_address_of_alerts_that_apprise_does_not_know(desk, monkeypatch):
    monkeypatch.setenv("DIGEST_ALERTS_URL", "json://127.0.0.1:1/")
    assert desk.json("check")["ok"]
    monkeypatch.setenv("DIGEST_ALERTS_URL", "slacc://secret-token")
    done = desk.run("check", code=2)
    assert "config/flows.toml: alerts.apprise_url: not an address that Apprise knows" in done.out
    assert "secret-token" not in done.out + done.err


def test_a_port_that_is_none_is_a_fault_of_config(desk, monkeypatch):
    monkeypatch.setenv("DIGEST_PREFECT_PORT", "abc")
    for command in ("check", "up"):
        done = desk.run(command, code=2)
        assert "prefect.api_url: must have a port between 1 and 65535" in done.out + done.err


@pytest.mark.parametrize("command", [("overdue",), ("issues",), ("ingest",), ("up",)])
def test_a_var_that_is_a_file_is_a_sentence(desk, command):
    (desk.home / "flows").mkdir()
    for name in FLOWS:
        (desk.home / flow_file(name)).touch()
    (desk.home / "var").write_text("", encoding="utf-8")
    done = desk.run(*command, code=2)
    assert f"cannot write to {desk.home / 'var'}: it is a file, not a folder" in done.err


def test_a_fault_of_config_stops_every_command_with_the_way_out(desk):
    desk.configure("site.toml", 'time_zone = "Europe/London"', 'time_zone = "Europe/Londn"')
    done = desk.run("ingest", code=2)
    assert "site.time_zone" in done.err
    assert "digest check" in done.err


def test_ingest_tells_what_it_read_and_proves_that_nothing_was_lost(desk, blog):
    (first,) = desk.json("ingest")["feeds"]
    assert (first["slug"], first["status"], first["new"]) == ("blog", "new", 37)
    assert "read to the end" in first["proof"]
    (again,) = desk.json("ingest")["feeds"]
    assert (again["status"], again["new"], again["changed"]) == ("unchanged", 0, 0)
    assert desk.json("runs")[0]["outcome"] == "nothing"
    blog.turn(days=1, hours=1)
    (edited,) = desk.json("ingest")["feeds"]
    assert (edited["new"], edited["changed"]) == (0, 1)
    (deep,) = desk.json("ingest", "--whole")["feeds"]
    assert (deep["new"], deep["changed"]) == (0, 1)
    assert "no gap: read to the end, 37 posts" in deep["proof"]
    assert desk.json("runs")[0]["parameters"] == {"feed": None, "whole": True}


def test_a_feed_that_is_not_there_is_told_and_on_record(desk, blog):
    blog.server.stop()
    (feed,) = desk.json("ingest", code=3)["feeds"]
    assert feed["status"] == "failed"
    assert feed["error"]
    run = desk.json("runs")[0]
    assert (run["what"], run["outcome"]) == ("ingest", "partial")
    assert feed["error"] in run["reason"]


def test_a_backup_comes_back_whole_with_the_links_that_were_sent(stocked, delivered, tmp_path):
    mail = next(iter(stocked.mails().values()))
    token = mail["List-Unsubscribe"].split("/u/")[1].split(">")[0]
    account = stocked.json("account", "1")
    file = tmp_path / "backup.tar.gz"
    stocked.run("backup", str(file))
    for path in (stocked.home / "var").glob("digest.db*"):
        path.unlink()
    (stocked.home / "var" / "secret.key").unlink()
    stocked.run("restore", str(file))
    assert stocked.json("account", "1") == account
    assert stocked.json("readers", "unsubscribe", "--token", token)["outcome"] == "ended"
    stocked.run("restore", str(file), code=2)
    stocked.run("restore", str(file), "--force")
    assert stocked.json("account", "1") == account


def test_a_backup_that_is_none_changes_nothing(stocked, tmp_path):
    file = tmp_path / "no.tar.gz"
    file.write_bytes(b"not a backup")
    stocked.run("restore", str(file), "--force", code=2)
    assert len(stocked.json("readers", "list")) == 12


def test_an_import_reports_each_bad_row_and_takes_the_good(desk, tmp_path):
    csv = tmp_path / "readers.csv"
    csv.write_text(
        "email,newsletters,series,themes,rhythm,consent_source,consent_at\n"
        "ann@example.org,weekly,ipc,,weekly,form,2026-01-01T10:00Z\n"
        "not an address,weekly,,,weekly,form,2026-01-01T10:00Z\n"
        "bob@example.org,weekly,nonsense,,weekly,form,2026-01-01T10:00Z\n"
        "cid@example.org,weekly,,,weekly,form,\n"
    )
    report = desk.json("readers", "import", str(csv), code=3)
    assert (report["added"], report["bad_rows"]) == (1, 3)
    assert [problem["line"] for problem in report["problems"]] == [3, 4, 5]
    assert [line["address"] for line in desk.json("readers", "list")] == ["ann@example.org"]


def test_mail_of_the_local_mailbox_can_be_read_in_a_browser(stocked, delivered):
    page = (stocked.home / "var" / "mail" / "index.html").read_text(encoding="utf-8")
    for address in stocked.mails():
        assert address.replace("'", "&#39;") in page


def test_logs_are_json_lines_without_addresses(tmp_path):
    logger = logging.getLogger("digest.test")
    with logging_to(tmp_path):
        try:
            int("Ann.O.Neil+x@mail.example.org")
        except ValueError:
            logger.exception("failed for <ann@example.org>")
    (line,) = (tmp_path / "digest.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["logger"]) == ("error", "digest.test")
    assert "<address>" in entry["traceback"]
    assert "@" not in entry["message"] + entry["traceback"]


def test_the_mask_takes_addresses_and_nothing_else():
    assert mask("to a.b@example.org, (c@d.example) and @handle") == (
        "to <address>, (<address>) and @handle"
    )
