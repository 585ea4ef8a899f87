"""Submits to a relay over SMTP, one message at a time on a connection that is kept.

It is known for each failure whether the message can have been accepted: before the line that
ends the body it cannot; after it, only the server's answer tells. The transport is never less
secure than configured, and certificates are verified; for a private authority set SSL_CERT_FILE,
which OpenSSL reads.

A message costs two round trips where the server offers PIPELINING (RFC 2920): MAIL, RCPT and
DATA go out together. An instance belongs to one thread, and never sleeps.
"""

from __future__ import annotations

import binascii
import re
from contextlib import suppress
from itertools import chain
from smtplib import SMTPException
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from digest.errors import Refused, Unauthorized, Unavailable, Uncertain
from digest.mail.mailers.smtp_connection import connect
from digest.mail.mailers.smtp_replies import (
    CLOSING,
    Phase,
    Reply,
    failure,
    interjection,
    read_reply,
    rejection,
    verdict,
)
from digest.mail.mailers.sockets import verified
from digest.model import MailerTraits, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from digest.config_mailers import SmtpMailer
    from digest.mail.mailers.smtp_connection import Connection
    from digest.model import Envelope
    from digest.ports import Clock, Mail, Outcome

#: What may stand between < and > in a command without quoting.
_PLAIN_PATH = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")
#: A pattern: it takes two thirds of the time of `bytes.replace`.
_LEADING_DOT = re.compile(rb"\n\.")
#: The line that ends a body.
_END = b".\r\n"

_Answer: TypeAlias = tuple[Phase, Reply]


class RelayMailer:
    """Submits to the relay of `settings`. Connects when first needed."""

    name = "smtp"
    traits = MailerTraits(parks=True)

    def __init__(self, settings: SmtpMailer, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        if settings.security != "none":
            # Here, and not when it connects: that has no time to lose.
            verified()
        self._connection: Connection | None = None
        self._used = 0

    def submit(self, mails: Sequence[Mail], key: str) -> tuple[Outcome, ...]:
        """Submit one message; no answer to the end of its body is `Uncertain`."""
        return tuple(self._submit(mail.envelope, mail.message()) for mail in mails)

    def find(self, message_id: str) -> NoReturn:
        raise NotImplementedError("a relay cannot be asked what it accepted")

    def close(self) -> None:
        if self._connection is not None:
            # Nothing of ours is under way any more: a goodbye that fails loses nothing.
            try:
                with suppress(SMTPException, OSError):
                    self._connection.part()
            finally:
                self._drop()

    def _submit(self, envelope: Envelope, message: bytes) -> Outcome:
        if not _PLAIN_PATH.fullmatch(envelope.sender):
            return Unauthorized("the address that bounces go to is not plain ASCII")
        if not _PLAIN_PATH.fullmatch(envelope.recipient):
            return Refused("the recipient's address is not plain ASCII")
        if self._used >= self._settings.messages_per_connection:
            self.close()
        body = _stuffed(message)
        try:
            return self._offer(envelope, len(body)) or self._hand_over(body, envelope.recipient)
        except BaseException:
            # Interrupted in the middle: nobody may go on with this connection.
            self._drop()
            raise

    def _offer(self, envelope: Envelope, size: int) -> Outcome | None:
        """Go as far as the server's invitation to send the body; None where it came."""
        try:
            first, talk = self._begin(envelope, size)
            for phase, reply in chain([first], talk):
                if not reply.fits(phase):
                    self._recover(reply, talk)
                    return rejection(phase, reply)
        except (OSError, UnicodeError, binascii.Error) as error:
            self._drop()
            return failure(error)
        return None

    def _begin(self, envelope: Envelope, size: int) -> tuple[_Answer, Iterator[_Answer]]:
        """Begin, on a new connection where the kept one proves dead; the rest is to be read."""
        if self._connection is not None and not self._connection.has_spoken():
            with suppress(OSError):
                talk = self._talk(self._connection, envelope, size)
                first = next(talk)
                if first[1].number != CLOSING:
                    return first, talk
        self._drop()
        self._connection = connect(self._settings)
        talk = self._talk(self._connection, envelope, size)
        return next(talk), talk

    def _talk(self, connection: Connection, envelope: Envelope, size: int) -> Iterator[_Answer]:
        """Ask to be invited to send the body; whoever stops listening asks no further."""
        self._used += 1
        option = f" SIZE={size}" if connection.has_extn("size") else ""
        commands = {
            Phase.MAIL: f"MAIL FROM:<{envelope.sender}>{option}\r\n",
            Phase.RCPT: f"RCPT TO:<{envelope.recipient}>\r\n",
            Phase.DATA: "DATA\r\n",
        }
        pipelining = connection.has_extn("pipelining")
        if pipelining:
            connection.send("".join(commands.values()))
        for phase, command in commands.items():
            if not pipelining:
                connection.send(command)
            yield phase, _reply(connection, envelope.recipient)

    def _recover(self, reply: Reply, talk: Iterator[_Answer]) -> None:
        """Make the connection fit for the next message; the rejection stands either way."""
        connection = self._open()
        with suppress(OSError):
            # Asked already, if at all: a talk without PIPELINING ends here.
            rest = talk if connection.has_extn("pipelining") else ()
            if reply.is_refusal and _is_at_rest(connection, rest):
                connection.send("RSET\r\n")
                if _reply(connection).fits(Phase.MAIL):
                    return
        self._drop()

    def _hand_over(self, body: bytes, recipient: str) -> Outcome:
        connection = self._open()
        try:
            connection.send(body)
            if connection.has_spoken():
                answer = _reply(connection, recipient)
                self._drop()
                return interjection(answer)
            # A send that fails has left part of this behind: it may fail as late as here.
            connection.send(_END)
        except OSError:
            self._drop()
            return Unavailable("the connection was lost within the body of the message")
        try:
            answer = _reply(connection, recipient)
        except OSError as error:
            self._drop()
            return Uncertain(f"no answer to the end of the message: {error}")
        outcome = verdict(answer, self._receipt)
        if not isinstance(outcome, Receipt):
            # Some servers answer within the body, and again at its end: start afresh.
            self._drop()
        return outcome

    def _receipt(self, remote_id: str, response: str) -> Receipt:
        return Receipt(remote_id=remote_id, at=self._clock(), response=response)

    def _open(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("no SMTP connection is open")
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._used = 0


def _reply(connection: Connection, recipient: str = "") -> Reply:
    return read_reply(*connection.getreply(), recipient)


def _is_at_rest(connection: Connection, rest: Iterable[_Answer]) -> bool:
    """Hear the answers to what was said along with a refused command; whether all is refused."""
    for phase, reply in rest:
        if phase is Phase.DATA and reply.fits(phase):
            # Invited all the same: an empty body, which goes to nobody (RFC 2920, 3.1).
            connection.send(_END)
            connection.getreply()
        elif not reply.says_no:
            return False
    return True


def _stuffed(message: bytes) -> bytes:
    """Return the body as it goes over the wire, but for the line that ends it (RFC 5321, 4.5.2)."""
    body = _LEADING_DOT.sub(b"\n..", message)
    return b"." + body if body.startswith(b".") else body
