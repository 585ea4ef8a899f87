"""The pages by which the local mailbox is read, and the mailbox under a kill."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from digest.mail.mailers.file import MaildirMailer
from digest.mail.mailers.mailbox_page import LISTED
from digest.mail.message import Letter
from digest.mail.press import Press
from digest.model import Envelope, Receipt
from fakes.mails import said

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
LETTER = Letter(
    subject="Grüße <script>alert(1)</script>",
    html="<html><head></head><body><h1>Week 47</h1><script>alert(2)</script></body></html>",
    text="Week 47 <b>& more",
    from_name="Common Threads",
    from_address="digest@example.org",
    reply_to="editors@example.org",
    language="en-GB",
    feedback_id=("12", "weekly", "test", "example.org"),
)


class Page(HTMLParser):
    """What a browser would find: tags with their attributes, and the text to be read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, name: str, attribute: str) -> list[str]:
        return [
            attrs[attribute] or "" for tag, attrs in self.tags if tag == name and attribute in attrs
        ]


def submitted(
    root: Path, *, to: str = "reader@example.org", number: int = 1, letter=LETTER
) -> Receipt:
    message_id = f"<{number}@example.org>"
    mailer = MaildirMailer(root, lambda: NOW + timedelta(minutes=number))
    envelope = Envelope("bounces@example.org", to, message_id)
    receipt = said(mailer, Press(letter).mail(envelope, None, NOW).message(), envelope)
    mailer.close()
    assert isinstance(receipt, Receipt)
    return receipt


def test_the_page_lists_each_mail_newest_first_and_leads_to_it(tmp_path: Path) -> None:
    submitted(tmp_path, to="first@example.org", number=1)
    submitted(tmp_path, to="second@example.org", number=2)
    page = Page(tmp_path / "index.html")
    assert "2 mails, newest first" in page.words
    assert page.words.index("To second@example.org") < page.words.index("To first@example.org")
    assert LETTER.subject in page.words
    assert "22 November 2026, 18:02 UTC" in page.words
    links = page.all("a", "href")
    assert [link.split("/")[0] for link in links] == ["views", "new", "views", "new"]
    assert all(tmp_path.joinpath(unquote(link)).is_file() for link in links)


def test_the_view_shows_both_parts_and_runs_nothing(tmp_path: Path) -> None:
    submitted(tmp_path)
    [link] = [link for link in Page(tmp_path / "index.html").all("a", "href") if "views" in link]
    page = Page(tmp_path / link)
    [shown] = page.all("iframe", "srcdoc")
    assert "<h1>Week 47</h1>" in shown
    assert page.all("iframe", "sandbox") == ["allow-popups allow-popups-to-escape-sandbox"]
    assert LETTER.text in page.words
    assert "Common Threads <digest@example.org>" in page.words
    assert "script" not in [tag for tag, _ in page.tags]


def test_the_pages_ask_nothing_of_other_machines(tmp_path: Path) -> None:
    submitted(tmp_path)
    for path in tmp_path.rglob("*.html"):
        page = Page(path)
        assert not {"script", "link", "img"} & {tag for tag, _ in page.tags}
        assert "no-referrer" in page.all("meta", "content")
        assert any(rule.startswith("default-src 'none'") for rule in page.all("meta", "content"))
        assert not [link for link in page.all("a", "href") if ":" in link]


def test_the_page_is_made_from_what_lies_there(tmp_path: Path) -> None:
    gone = submitted(tmp_path, to="gone@example.org", number=1)
    read = submitted(tmp_path, to="read@example.org", number=2)
    tmp_path.joinpath("new", gone.remote_id).unlink()
    tmp_path.joinpath("new", read.remote_id).rename(tmp_path / "cur" / f"{read.remote_id}:2,S")
    tmp_path.joinpath("new", "somebody-elses").write_bytes(b"\xff\x00")
    MaildirMailer(tmp_path, lambda: NOW).close()
    page = Page(tmp_path / "index.html")
    assert "1 mail, newest first" in page.words
    assert "gone@example.org" not in page.words
    assert all(tmp_path.joinpath(unquote(link)).is_file() for link in page.all("a", "href"))


def test_a_long_list_is_cut_and_says_so(tmp_path: Path) -> None:
    submitted(tmp_path, to="newest@example.org")
    for number in range(LISTED):
        older = tmp_path / "new" / f"{number:032x}.eml"
        older.write_bytes(b"To: reader%d@example.org\r\n\r\n" % number)
        os.utime(older, (number, number))
    MaildirMailer(tmp_path, lambda: NOW).close()
    words = Page(tmp_path / "index.html").words
    assert "501 mails, newest first; the newest 500 are listed" in words
    assert "newest@example.org" in words
    assert "reader1@example.org" in words
    assert "reader0@example.org" not in words


def test_a_mail_without_subject_or_html_can_be_opened(tmp_path: Path) -> None:
    mailer = MaildirMailer(tmp_path, lambda: NOW)
    said(mailer, b"To: r@example.org\r\n\r\nplain\r\n")
    mailer.close()
    page = Page(tmp_path / "index.html")
    assert "(no subject)" in page.words
    view = Page(tmp_path / page.all("a", "href")[0])
    assert not view.all("iframe", "srcdoc")
    assert "plain" in view.words


def test_an_empty_mailbox_is_no_page_and_no_folder(tmp_path: Path) -> None:
    MaildirMailer(tmp_path / "mail", lambda: NOW).close()
    assert not tmp_path.joinpath("mail").exists()


def test_a_page_that_cannot_be_written_is_said_and_loses_no_mail(tmp_path: Path, caplog) -> None:
    tmp_path.joinpath("index.html").mkdir()
    with caplog.at_level(logging.WARNING):
        receipt = submitted(tmp_path)
    assert tmp_path.joinpath("new", receipt.remote_id).exists()
    assert "pages of the local mailbox were not written" in caplog.text
    assert "@" not in caplog.text
    assert [path.name for path in tmp_path.glob(".*")] == [".pages.lock"]


SUBMIT_FOR_EVER = """
import sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from digest.mail.mailers.file import MaildirMailer
from digest.model import Envelope

class Long:
    def __init__(self, number):
        self.envelope = Envelope("b@example.org", "r@example.org", f"<{number}@example.org>")

    def message(self):
        return b"x" * 100_000

mailer = MaildirMailer(Path(sys.argv[1]), lambda: datetime(2026, 11, 22, tzinfo=UTC))
print("ready", flush=True)
for number in count():
    mailer.submit([Long(number)], "key")
    mailer.close()
"""


@pytest.mark.kill
@pytest.mark.parametrize("moment", [0.05, 0.09, 0.14, 0.2])
def test_a_kill_at_any_moment_leaves_whole_mails_and_a_whole_page(tmp_path: Path, moment) -> None:
    command = [sys.executable, "-c", SUBMIT_FOR_EVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        time.sleep(moment)
        worker.kill()
    mails = [path.read_bytes() for path in tmp_path.joinpath("new").glob("*")]
    assert all(mail == b"x" * 100_000 for mail in mails)
    submitted(tmp_path, letter=replace(LETTER, subject="afterwards"), number=-1)
    page = Page(tmp_path / "index.html")
    assert f"{len(mails) + 1} mail" in page.words
    assert "afterwards" in page.words
