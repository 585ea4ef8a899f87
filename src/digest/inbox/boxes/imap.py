"""A folder on an IMAP server (RFC 3501 and RFC 9051), never without TLS.

Mails are fetched without marking them as read. What a server says of sizes is not believed: more
than was asked for ends the connection. For a private authority set SSL_CERT_FILE, which OpenSSL
reads.
"""

from __future__ import annotations

import re
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from imaplib import IMAP4, IMAP4_SSL
from typing import TYPE_CHECKING, Any, TypeVar

from digest.errors import Unauthorized, Unavailable
from digest.inbox.box import Waiting
from digest.inbox.letter import LARGEST, LARGEST_HEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from digest.config_inboxes import ImapInbox
    from digest.inbox.box import Trouble

_T = TypeVar("_T")

#: Headers fetched by one command.
_AT_ONCE = 50
_HEADS = f"(UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER]<0.{LARGEST_HEAD}>)"
_WHOLE = f"(UID BODY.PEEK[]<0.{LARGEST}>)"
_UID = re.compile(rb"\bUID (\d+)")
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d+)")
_DATE = re.compile(rb'\bINTERNALDATE "([^"]*)"')
_ATOM = re.compile(r"[A-Za-z0-9.@_+-]+")
_LONGEST_REASON = 200

#: What a server that breaks off, says no or talks nonsense makes imaplib raise.
_FAULTS = (IMAP4.error, OSError, ValueError, LookupError)


class _Wary:
    """Takes no more from a server than was asked for."""

    abort = IMAP4.abort

    def read(self, size: int) -> bytes:
        if size > LARGEST:
            raise self.abort(f"the server wants to send {size} bytes, which nobody asked for")
        read: bytes = super().read(size)  # type: ignore[misc]
        return read


class _Encrypted(_Wary, IMAP4_SSL):
    pass


class _Upgraded(_Wary, IMAP4):
    pass


class ImapBox:
    """The folder of `settings`. Connects when it is first asked what waits."""

    can_mark = True

    def __init__(self, settings: ImapInbox) -> None:
        self._settings = settings
        self._imap: IMAP4 | None = None
        self._can: frozenset[str] = frozenset()

    def waiting(self) -> Iterator[Waiting | Trouble]:
        trouble = self._open()
        if trouble is not None:
            yield trouble
            return
        found = self._try(self._unread)
        if not isinstance(found, list):
            yield found
            return
        for start in range(0, len(found), _AT_ONCE):
            asked = found[start : start + _AT_ONCE]
            heads = self._try(partial(self._heads, asked))
            if not isinstance(heads, list):
                yield heads
                return
            yield from heads

    def whole(self, key: str) -> bytes | Trouble | None:
        parts = self._try(lambda: _parts(self._ask("FETCH", key, _WHOLE)))
        if not isinstance(parts, list):
            return parts
        return next((raw for about, raw in parts if _number(_UID, about) == int(key)), None)

    def file(self, key: str) -> Trouble | None:
        marks = r"(\Seen \Deleted)" if self._settings.after == "delete" else r"(\Seen)"
        trouble = self._store(key, marks)
        if trouble is not None or self._settings.after == "seen":
            return trouble
        return self._try(lambda: self._away(key))

    def flag(self, key: str) -> Trouble | None:
        return self._store(key, r"(\Flagged)")

    def close(self) -> None:
        imap, self._imap = self._imap, None
        if imap is not None:
            # All that mattered was answered: a goodbye that fails loses nothing.
            with suppress(*_FAULTS):
                imap.logout()
            _hang_up(imap)

    # --- talking -------------------------------------------------------------------------------

    def _try(self, talk: Callable[[], _T]) -> _T | Unavailable:
        """What `talk` returns, or the trouble it met, after which the connection is closed."""
        try:
            return talk()
        except _FAULTS as error:
            if self._imap is not None:
                _hang_up(self._imap)
                self._imap = None
            return Unavailable(f"the IMAP server: {_said(error)}")

    def _ask(self, command: str, *arguments: str) -> list[Any]:
        answer, said = self._talk().uid(command, *arguments)
        if answer != "OK":
            raise IMAP4.error(f"{command} was refused: {_line(said)}")
        return said

    def _talk(self) -> IMAP4:
        if self._imap is None:
            raise RuntimeError("no IMAP connection is open")
        return self._imap

    def _open(self) -> Trouble | None:
        for step in (self._connect, self._sign_in, self._select):
            trouble = self._try(step)
            if trouble is not None:
                return trouble
        return None

    def _connect(self) -> None:
        wanted = self._settings
        where, timeout = (wanted.host, wanted.server_port), float(wanted.timeout_seconds)
        context = ssl.create_default_context()
        if wanted.security == "tls":
            self._imap = _Encrypted(*where, ssl_context=context, timeout=timeout)
        else:
            upgraded = self._imap = _Upgraded(*where, timeout=timeout)
            upgraded.starttls(context)

    def _sign_in(self) -> Trouble | None:
        imap, user = self._talk(), self._settings.username
        password = self._settings.password.get_secret_value()
        try:
            if "AUTH=PLAIN" in imap.capabilities:
                imap.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
            else:
                imap.login(_quoted(user), password)
        except IMAP4.abort:
            raise
        except IMAP4.error as error:
            return Unauthorized(f"the IMAP server refused user name and password: {_said(error)}")
        return None

    def _select(self) -> None:
        imap = self._talk()
        # Fails where the folder may only be read: a mail could not be filed, and would be read
        # again each time.
        answer, said = imap.select(f'"{self._settings.folder}"')
        if answer != "OK":
            raise IMAP4.error(f"the folder {self._settings.folder} cannot be opened: {_line(said)}")
        _, told = imap.capability()
        self._can = frozenset(_line(told).upper().split())

    # --- what is asked -------------------------------------------------------------------------

    def _unread(self) -> list[int]:
        found = self._ask("SEARCH", "UNSEEN", "UNFLAGGED", "UNDELETED")
        return sorted({int(uid) for line in found if line for uid in line.split()})

    def _heads(self, uids: Sequence[int]) -> list[Waiting]:
        answer = self._ask("FETCH", ",".join(map(str, uids)), _HEADS)
        found = {}
        for about, head in _parts(answer):
            uid, size = _number(_UID, about), _number(_SIZE, about)
            if uid in uids and size is not None:
                found[uid] = Waiting(str(uid), _arrived(about), size, head)
        # What is missing was moved by a person, or comes next time.
        return [found[uid] for uid in uids if uid in found]

    def _store(self, key: str, marks: str) -> Trouble | None:
        trouble = self._try(lambda: self._ask("STORE", key, "+FLAGS.SILENT", marks))
        return None if isinstance(trouble, list) else trouble

    def _away(self, key: str) -> None:
        """Move a mail, or delete it for good, as far as the server can without touching others."""
        target = self._settings.move_to
        if target is not None and self._can & {"MOVE", "IMAP4REV2"}:
            self._ask("MOVE", key, f'"{target}"')
            return
        if target is not None:
            self._ask("COPY", key, f'"{target}"')
            self._ask("STORE", key, "+FLAGS.SILENT", r"(\Deleted)")
        if self._can & {"UIDPLUS", "IMAP4REV2"}:
            self._ask("EXPUNGE", key)


def _line(said: Sequence[Any]) -> str:
    """An answer in one line."""
    parts = [part for part in said if isinstance(part, bytes)]
    return b" ".join(parts).decode(errors="replace")


def _parts(answer: Sequence[Any]) -> list[tuple[bytes, bytes]]:
    """What stands about each literal of an answer to FETCH, before and after it, and itself."""
    found: list[tuple[bytes, bytes]] = []
    for one in answer:
        if isinstance(one, tuple):
            found.append((bytes(one[0]), bytes(one[1])))
        elif found and isinstance(one, bytes):
            about, literal = found[-1]
            found[-1] = (about + one, literal)
    return found


def _number(pattern: re.Pattern[bytes], about: bytes) -> int | None:
    found = pattern.search(about)
    return int(found[1]) if found else None


def _arrived(about: bytes) -> datetime:
    """When the server got the mail; where it does not say, later than anything."""
    found = _DATE.search(about)
    if not found:
        return datetime.max.replace(tzinfo=UTC)
    said = datetime.strptime(found[1].decode().strip(), "%d-%b-%Y %H:%M:%S %z")
    return said.astimezone(UTC)


def _quoted(user: str) -> str:
    """A user name as it may stand in LOGIN, where imaplib quotes the password alone."""
    if _ATOM.fullmatch(user):
        return user
    escaped = user.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _said(error: BaseException) -> str:
    raw = error.args[0] if error.args else ""
    said = raw.decode(errors="replace") if isinstance(raw, bytes) else str(error)
    text = " ".join(said.split()) or type(error).__name__
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."


def _hang_up(imap: IMAP4) -> None:
    with suppress(OSError):
        imap.shutdown()
