"""Readers' tokens and the secret that signs them."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.errors import DigestError
from digest.readers.tokens import keyed_hash, load_secret, make_token, read_token

if TYPE_CHECKING:
    from pathlib import Path

SECRET = bytes(range(32))
OTHER = bytes(32)
NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
IDS = st.integers(0, 2**63 - 1)


@given(IDS)
def test_a_token_names_its_subscription_and_needs_no_escaping_in_a_url(subscription: int) -> None:
    leave, join = (
        make_token(SECRET, "unsubscribe", subscription),
        make_token(SECRET, "opt-in", subscription, NOW),
    )
    assert read_token(SECRET, "unsubscribe", leave) == subscription
    assert read_token(SECRET, "opt-in", join, NOW) == subscription
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,48}", token) for token in (leave, join))


@given(IDS)
def test_a_token_is_good_for_one_purpose_and_one_site(subscription: int) -> None:
    leave, join = (
        make_token(SECRET, "unsubscribe", subscription),
        make_token(SECRET, "opt-in", subscription, NOW),
    )
    assert read_token(SECRET, "unsubscribe", join) is None
    assert read_token(SECRET, "opt-in", leave, NOW) is None
    assert read_token(OTHER, "unsubscribe", leave) is None
    assert read_token(OTHER, "opt-in", join, NOW) is None


@given(st.text())
def test_any_other_text_is_no_token(text: str) -> None:
    assert read_token(SECRET, "unsubscribe", text) is None
    assert read_token(SECRET, "opt-in", text, NOW) is None


@given(st.integers(0, 31), st.characters())
def test_a_changed_token_is_no_token(place: int, letter: str) -> None:
    token = make_token(SECRET, "unsubscribe", 77)
    changed = token[:place] + letter + token[place + 1 :]
    assert read_token(SECRET, "unsubscribe", changed) == (77 if changed == token else None)


@given(st.text(alphabet="ABC-_=+/\n é\u0660", min_size=1, max_size=3), st.booleans())
def test_nothing_may_stand_before_or_after_a_token(extra: str, before: bool) -> None:
    token = make_token(SECRET, "unsubscribe", 77)
    assert read_token(SECRET, "unsubscribe", extra + token if before else token + extra) is None


def test_leaving_never_expires_and_joining_does_after_fourteen_days() -> None:
    join = make_token(SECRET, "opt-in", 5, NOW)
    assert read_token(SECRET, "opt-in", join, NOW + timedelta(days=14)) == 5
    assert read_token(SECRET, "opt-in", join, NOW + timedelta(days=14, seconds=1)) is None
    assert read_token(SECRET, "opt-in", join, NOW - timedelta(seconds=1)) is None


def test_a_moment_within_a_second_is_not_before_itself() -> None:
    moment = NOW.replace(microsecond=999_999)
    assert read_token(SECRET, "opt-in", make_token(SECRET, "opt-in", 5, moment), moment) == 5


def test_an_erased_address_keeps_its_hash_and_nothing_else() -> None:
    stored = keyed_hash(SECRET, "reader@example.org")
    assert stored == keyed_hash(SECRET, "reader@example.org")
    assert stored != keyed_hash(OTHER, "reader@example.org")
    assert stored != keyed_hash(SECRET, "reader2@example.org")
    assert re.fullmatch(r"[0-9a-f]{32}", stored)


def test_the_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secret"
    first = load_secret(path)
    assert len(first) == 32
    assert load_secret(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_secret_that_others_can_read_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    load_secret(path)
    path.chmod(mode)
    with pytest.raises(DigestError, match=f"chmod 600 {path}"):
        load_secret(path)


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_secret_is_not_replaced_in_silence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(DigestError, match="backup"):
        load_secret(path)
    assert path.read_bytes() == content


def test_a_folder_in_the_secrets_place_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DigestError, match="cannot be used"):
        load_secret(tmp_path)


LOAD = """
import sys
from pathlib import Path

from digest.readers.tokens import load_secret

print("ready", flush=True)
sys.stdin.readline()
print(load_secret(Path(sys.argv[1])).hex())
"""


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    command = [sys.executable, "-c", LOAD, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **pipes) for _ in range(3)]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 3
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    secrets = {worker.communicate(timeout=20)[0].strip() for worker in workers}
    assert secrets == {path.read_bytes().hex()}
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_crash_left_behind_is_no_secret(tmp_path: Path) -> None:
    half = tmp_path / ".secret.abcdefgh"
    half.write_bytes(b"half")
    assert len(load_secret(tmp_path / "secret")) == 32
