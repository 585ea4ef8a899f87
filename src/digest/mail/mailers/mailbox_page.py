"""The page by which people read the local mailbox: a list, and a view of each mail.

All of it is made from the mails that lie there, so it cannot disagree with them. The pages ask
nothing of any other machine but the pictures that a mail itself shows, and name no referrer.
"""

from __future__ import annotations

import email.policy
import fcntl
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser, BytesParser
from pathlib import Path
from typing import TYPE_CHECKING

from digest.files import replace_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from jinja2 import Environment

#: The newest mails; the page says how many there are beside them.
LISTED = 500

_log = logging.getLogger(__name__)
_MAIL = re.compile(r"[0-9a-f]{32}\.eml")


@dataclass(frozen=True, slots=True)
class _Mail:
    """A mail as listed; links are relative to the page that lists it."""

    path: Path
    key: str
    sender: str
    to: str
    subject: str
    at: datetime

    @property
    def eml(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def view(self) -> str:
        return f"views/{self.key}.html"


def refresh_pages(root: Path) -> None:
    """Write `index.html` and the views of the mails it lists.

    The mails are safe whatever becomes of their pages: a page that cannot be written is logged.
    """
    try:
        with root.joinpath(".pages.lock").open("w") as lock:
            # Whoever lists last writes last, so that the page misses no mail.
            fcntl.flock(lock, fcntl.LOCK_EX)
            _write_pages(root)
    except OSError as error:
        _log.warning("the pages of the local mailbox were not written: %s", error.strerror)


def _write_pages(root: Path) -> None:
    paths = sorted(_mail_files(root), key=_age)
    mails = [_listed(path) for path in paths[:LISTED]]
    pages = _environment()
    root.joinpath("views").mkdir(exist_ok=True)
    for mail in mails:
        # A mail never changes, and nor does its view.
        if not root.joinpath(mail.view).exists():
            replace_text(root / mail.view, _view(pages, mail), mode=0o600)
    index = pages.get_template("mailbox.html")
    replace_text(root / "index.html", index.render(mails=mails, count=len(paths)), mode=0o600)


def _mail_files(root: Path) -> Iterator[Path]:
    for folder in ("new", "cur"):
        for path in root.joinpath(folder).glob("*"):
            if _MAIL.match(path.name):
                yield path


def _age(path: Path) -> tuple[float, str]:
    return -path.stat().st_mtime, path.name


def _listed(path: Path) -> _Mail:
    with path.open("rb") as file:
        headers = BytesHeaderParser(policy=email.policy.compat32).parse(file)
    return _Mail(
        path=path,
        key=path.name.partition(".")[0],
        sender=_decoded(headers, "From"),
        to=_decoded(headers, "To"),
        subject=_decoded(headers, "Subject"),
        at=datetime.fromtimestamp(path.stat().st_mtime, UTC),
    )


def _decoded(headers: Message, name: str) -> str:
    return str(make_header(decode_header(str(headers.get(name, "")))))


def _view(pages: Environment, mail: _Mail) -> str:
    with mail.path.open("rb") as file:
        message = BytesParser(policy=email.policy.compat32).parse(file)
    return pages.get_template("mail.html").render(
        mail=mail,
        # Links open beside the mail, not in its frame.
        html=_body(message, "html").replace("<head>", '<head><base target="_blank">', 1),
        text=_body(message, "plain"),
    )


def _body(message: Message, subtype: str) -> str:
    for part in message.walk():
        if part.get_content_type() == f"text/{subtype}":
            payload = part.get_payload(decode=True)
            return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    return ""


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader(Path(__file__).parent / "pages"),
    )
