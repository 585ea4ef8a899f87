"""Accounts of the desk from the command line: made, changed, and never told to anybody."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Desk

ROOT = Path(__file__).parents[2]
PASSWORD = "a long enough password"


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.delenv("DIGEST_DATABASE_URL", raising=False)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    return Desk(tmp_path, "")


@pytest.fixture
def typed(monkeypatch):
    """Let the next command read this from standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_an_account_from_its_making_to_its_end(desk, typed):
    made = desk.json("editors", "add", " Maya  Okafor ", "--role", "editor", "--generate")
    assert made["name"] == "Maya Okafor"
    assert len(made["password"]) >= 24
    typed(f"{PASSWORD}\n")
    said = desk.run("editors", "add", "Tom", "--role", "viewer", "--password-stdin")
    assert said.out == "Tom may sign in to the desk, as viewer.\n"
    names = {one["name"]: one["role"] for one in desk.json("editors", "list")}
    assert names == {"Maya Okafor": "editor", "Tom": "viewer"}
    assert "viewer now" in desk.run("editors", "role", "maya okafor", "viewer").out
    assert desk.json("editors", "disable", "TOM")["disabled"]
    shown = {one["name"]: one["disabled_at"] for one in desk.json("editors", "list")}
    assert shown["Tom"]
    assert not shown["Maya Okafor"]
    assert "Tom" in desk.run("editors", "list").out
    desk.run("editors", "enable", "Tom")
    new = desk.run("editors", "password", "Tom", "--generate")
    assert new.out.startswith("Tom has a new password")
    assert "shown this once" in new.err


def test_runs_keep_what_was_done_and_no_secret(desk, typed):
    made = desk.json("editors", "add", "Maya", "--role", "editor", "--generate", "--by", "Root")
    typed(f"{PASSWORD}\n")
    desk.run("editors", "password", "Maya", "--password-stdin", "--by", "Root")
    runs = desk.json("runs")
    assert [run["what"] for run in runs] == ["editors password", "editors add"]
    assert {run["actor"] for run in runs} == {"Root"}
    everything = json.dumps(runs) + "".join(
        path.read_text(errors="replace")
        for path in (desk.home / "var").rglob("*")
        if path.is_file()
    )
    assert made["password"] not in everything
    assert PASSWORD not in everything


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        (("add", "Maya", "--role", "boss", "--generate"), "", "no role 'boss'"),
        (("add", "Maya", "--role", "editor", "--password-stdin"), "short\n", "12 characters"),
        (("add", "Maya", "--role", "editor", "--password-stdin"), "", "12 characters"),
        (("add", "Maya", "--role", "editor", "--password-stdin"), "x" * 1025, "1024 at most"),
        (("add", "Maya", "--role", "editor"), "", "no terminal"),
        (("add", "", "--role", "editor", "--generate"), "", "a name has"),
        (("add", "x" * 61, "--role", "editor", "--generate"), "", "a name has"),
        (("add", "a\x07b", "--role", "editor", "--generate"), "", "a name has"),
        (("add", "a@example.org", "--role", "editor", "--generate"), "", "no address"),
        (("add", "Digest", "--role", "editor", "--generate"), "", "the machine"),
        (("add", "M", "--role", "editor", "--generate", "--password-stdin"), "", "say one of"),
        (("password", "Nobody", "--generate"), "", "there is no account"),
        (("role", "Nobody", "viewer"), "", "there is no account"),
        (("disable", "Nobody"), "", "there is no account"),
        (("enable", "Nobody"), "", "there is no account"),
    ],
)
def test_what_cannot_be_is_a_sentence_and_exit_code_2(desk, typed, arguments, given, said):
    typed(given)
    assert said in desk.run("editors", *arguments, code=2).err
    assert desk.json("editors", "list") == []


def test_one_name_has_one_account(desk):
    desk.run("editors", "add", "Zoë", "--role", "editor", "--generate")
    again = desk.run("editors", "add", "ZOE\u0308", "--role", "viewer", "--generate", code=2)
    assert "there is an account of that name" in again.err
    assert [one["role"] for one in desk.json("editors", "list")] == ["editor"]


def at_a_terminal(desk, typed):
    """Exit code of `editors add` on a terminal, where these lines are typed, and what it shows."""
    mine, theirs = pty.openpty()
    command = [sys.executable, "-m", "digest", "editors", "add", "Maya", "--role", "editor"]
    started = subprocess.Popen(
        [*command, "--home", str(desk.home)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    os.close(theirs)
    shown = b""
    for prompt, line in zip((b"Password: ", b"Again: "), typed, strict=True):
        while prompt not in shown:
            shown += os.read(mine, 1000)
        os.write(mine, line.encode() + b"\n")
    code = started.wait(timeout=30)
    os.close(mine)
    return code, shown.decode()


def test_at_a_terminal_it_is_asked_for_twice_and_not_shown(desk):
    code, shown = at_a_terminal(desk, (PASSWORD, "another long password"))
    assert code == 2
    assert desk.json("editors", "list") == []
    code, shown = at_a_terminal(desk, (PASSWORD, PASSWORD))
    assert code == 0
    assert PASSWORD not in shown
    assert [one["name"] for one in desk.json("editors", "list")] == ["Maya"]
