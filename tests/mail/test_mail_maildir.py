"""The local mailbox: whole mails or none, and each found again."""

from __future__ import annotations

import resource
import threading
from typing import TYPE_CHECKING

import pytest

from digest.errors import Unavailable
from digest.mail.mailers.file import MaildirMailer
from digest.model import Receipt
from fakes.mails import ENVELOPE, MESSAGE, clock, said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def small_disk() -> Iterator[None]:
    """A disk that is full after 100 bytes; the system refuses the 101st with an error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_is_unavailable_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    mailer = MaildirMailer(tmp_path, clock)
    answer = said(mailer, b"x" * 5000)
    assert isinstance(answer, Unavailable)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert mailer.find(ENVELOPE.message_id) is None


def test_a_mailbox_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    tmp_path.joinpath("mail").write_text("a file in its way")
    answer = said(MaildirMailer(tmp_path / "mail", clock))
    assert isinstance(answer, Unavailable)


def test_a_mail_that_was_read_elsewhere_is_still_found(tmp_path: Path) -> None:
    mailer = MaildirMailer(tmp_path, clock)
    receipt = said(mailer)
    assert isinstance(receipt, Receipt)
    seen = tmp_path / "cur" / f"{receipt.remote_id}:2,S"
    (tmp_path / "new" / receipt.remote_id).rename(seen)
    found = mailer.find(ENVELOPE.message_id)
    assert found is not None
    assert (found.remote_id, found.at) == (receipt.remote_id, receipt.at)
    assert said(mailer) == found
    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_kill_left_half_written_is_not_found(tmp_path: Path) -> None:
    mailer = MaildirMailer(tmp_path, clock)
    receipt = said(mailer)
    assert isinstance(receipt, Receipt)
    (tmp_path / "new" / receipt.remote_id).rename(tmp_path / "tmp" / receipt.remote_id)
    assert mailer.find(ENVELOPE.message_id) is None


def test_two_at_once_make_one_file(tmp_path: Path) -> None:
    gate = threading.Barrier(8)

    def submit() -> None:
        gate.wait()
        said(MaildirMailer(tmp_path, clock))

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() for path in (tmp_path / "new").iterdir()] == [MESSAGE]
    assert list((tmp_path / "tmp").iterdir()) == []
