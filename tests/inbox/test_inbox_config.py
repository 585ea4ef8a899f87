"""What is declared of inboxes: every fault is named with its cure, and no password is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from digest.errors import ConfigError
from digest.settings import load_config

ROOT = Path(__file__).parents[2]
IMAP = """
[inboxes.imap]
kind = "imap"
host = "imap.example.org"
username = "unsubscribe@example.org"
password = "${IMAP_PASSWORD}"
"""


@pytest.fixture
def home(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    return tmp_path


def load(home, declared):
    (home / "config" / "inboxes.toml").write_text(declared)
    return load_config(home, {"IMAP_PASSWORD": "hunter2"})


def faults(home, declared):
    with pytest.raises(ConfigError) as caught:
        load(home, declared)
    assert "hunter2" not in str(caught.value)
    return {problem.key: problem.message for problem in caught.value.problems}


def test_an_inbox_needs_little(home):
    inbox = load(home, IMAP).inboxes["imap"]
    assert (inbox.server_port, inbox.folder, inbox.after) == (993, "INBOX", "seen")
    inbox = load(home, f'{IMAP}security = "starttls"').inboxes["imap"]
    assert inbox.server_port == 143
    inbox = load(home, '[inboxes.post]\nkind = "maildir"\npath = "var/inbox"').inboxes["post"]
    assert inbox.path == "var/inbox"
    inbox = load(home, '[inboxes.old]\nkind = "file"\npath = "/var/mail/bounces"').inboxes["old"]
    assert inbox.path == "/var/mail/bounces"


@pytest.mark.parametrize(
    ("declared", "key", "said"),
    [
        (f"{IMAP}port = 99999", "port", "less than or equal to 65535"),
        (f'{IMAP}security = "none"', "security", "'tls' or 'starttls'"),
        (f'{IMAP}folder = "a\\"b"', "folder", "match pattern"),
        (f'{IMAP}folder = "Aus\\u00e4"', "folder", "in ASCII"),
        (f'{IMAP}after = "move"', "", "belong together"),
        (f'{IMAP}move_to = "Read"', "", "belong together"),
        (f'{IMAP}after = "move"\nmove_to = "INBOX"', "", "another folder"),
        (f"{IMAP}prot = 1", "prot", "did you mean 'port'"),
        (IMAP.replace("host", "#"), "host", "missing"),
    ],
)
def test_faults_of_an_imap_inbox(home, declared, key, said):
    found = faults(home, declared)
    assert said in found[".".join(filter(None, ("inboxes.imap", key)))]


@pytest.mark.parametrize("kind", ["maildir", "file"])
@pytest.mark.parametrize("path", ["../elsewhere", "var/../../x", "."])
def test_mails_lie_below_home_or_it_is_said_where(home, kind, path):
    found = faults(home, f'[inboxes.{kind}]\nkind = "{kind}"\npath = "{path}"')
    assert "below the home folder" in found[f"inboxes.{kind}.path"]


def test_kinds_are_named(home):
    assert "'maildir', 'file', 'imap'" in faults(home, '[inboxes.x]\nkind = "pop3"')["inboxes.x"]
