"""Submits to a relay over SMTP, one message at a time on a connection that is kept.

smtplib is driven command by command, so that it is known for each failure whether the message
can have been accepted: before the line that ends the body it cannot; after it, only the server's
answer tells. The transport is never less secure than configured, and certificates are verified;
for a private authority set SSL_CERT_FILE, which OpenSSL reads.

An instance belongs to one thread.
"""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import suppress
from smtplib import SMTP, SMTP_SSL, SMTPException, SMTPHeloError
from typing import TYPE_CHECKING, NoReturn

from digest.errors import Refused, Unauthorized, Unavailable, Uncertain
from digest.mail.mailers.smtp_replies import (
    CLOSING,
    OUT_OF_STEP,
    Phase,
    Reply,
    failure,
    read_reply,
    rejection,
    verdict,
)
from digest.model import MailerTraits, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from digest.config_mailers import SmtpMailer
    from digest.model import Envelope
    from digest.ports import Clock, Mail, Outcome

_HELLO_OK = 250
#: What may stand between < and > in a command without quoting.
_PLAIN_PATH = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


class RelayMailer:
    """Submits to the relay of `settings`. Connects when first needed."""

    name = "smtp"
    traits = MailerTraits()

    def __init__(self, settings: SmtpMailer, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._smtp: SMTP | None = None
        self._used = 0

    def submit(self, mails: Sequence[Mail], key: str) -> tuple[Outcome, ...]:
        """Submit one message; no answer to the end of its body is `Uncertain`."""
        return tuple(self._submit(mail.envelope, mail.message()) for mail in mails)

    def find(self, message_id: str) -> NoReturn:
        raise NotImplementedError("a relay cannot be asked what it accepted")

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

    def close(self) -> None:
        if self._smtp is not None:
            # Nothing of ours is under way any more: a goodbye that fails loses nothing.
            with suppress(SMTPException, OSError):
                self._smtp.quit()
            self._drop()

    def _offer(self, envelope: Envelope, size: int) -> Outcome | None:
        """Go as far as the server's invitation to send the body; None where it came."""
        to = envelope.recipient
        steps: tuple[tuple[Phase, Callable[[], Reply]], ...] = (
            (Phase.MAIL, lambda: self._mail(envelope, size)),
            (Phase.RCPT, lambda: self._ask(f"RCPT TO:<{to}>", to)),
            (Phase.DATA, lambda: self._ask("DATA", to)),
        )
        try:
            for phase, ask in steps:
                reply = ask()
                if not reply.fits(phase):
                    self._recover(reply)
                    return rejection(phase, reply)
        except (OSError, UnicodeError) as error:
            self._drop()
            return failure(error)
        return None

    def _mail(self, envelope: Envelope, size: int) -> Reply:
        """Begin, on a new connection where the kept one proves dead."""
        if self._smtp is not None:
            with suppress(OSError):
                reply = self._mail_once(self._smtp, envelope, size)
                if reply.number != CLOSING:
                    return reply
            self._drop()
        self._smtp = self._connected()
        return self._mail_once(self._smtp, envelope, size)

    def _mail_once(self, smtp: SMTP, envelope: Envelope, size: int) -> Reply:
        self._used += 1
        option = f" SIZE={size}" if smtp.has_extn("size") else ""
        return self._ask(f"MAIL FROM:<{envelope.sender}>{option}", envelope.recipient)

    def _hand_over(self, body: bytes, recipient: str) -> Outcome:
        smtp = self._open()
        try:
            smtp.send(body)
        except OSError:
            self._drop()
            return Unavailable("the connection was lost within the body of the message")
        try:
            smtp.send(b".\r\n")
            reply = read_reply(*smtp.getreply(), recipient)
        except OSError as error:
            self._drop()
            return Uncertain(f"no answer to the end of the message: {error}")
        outcome = verdict(reply, self._receipt)
        if not isinstance(outcome, Receipt):
            # Some servers answer within the body, and again at its end: start afresh.
            self._drop()
        return outcome

    def _receipt(self, remote_id: str, response: str) -> Receipt:
        return Receipt(remote_id=remote_id, at=self._clock(), response=response)

    def _ask(self, command: str, recipient: str) -> Reply:
        return read_reply(*self._open().docmd(command), recipient)

    def _open(self) -> SMTP:
        if self._smtp is None:
            raise RuntimeError("no SMTP connection is open")
        return self._smtp

    def _recover(self, reply: Reply) -> None:
        """Make the connection fit for the next message; the rejection stands either way."""
        with suppress(OSError):
            if reply.number not in {CLOSING, OUT_OF_STEP} and self._ask("RSET", "").fits(
                Phase.MAIL
            ):
                return
        self._drop()

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
        self._smtp = None
        self._used = 0

    def _connected(self) -> SMTP:
        smtp = self._dialled()
        try:
            _send_at_once(smtp)
            _greet(smtp)
            if self._settings.security == "starttls":
                smtp.starttls(context=ssl.create_default_context())
                # What was said in clear does not count (RFC 3207, 4.2).
                _greet(smtp)
            if self._settings.username:
                smtp.login(self._settings.username, self._settings.password.get_secret_value())
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _dialled(self) -> SMTP:
        settings = self._settings
        address, timeout = (settings.host, settings.port, _own_name()), settings.timeout_seconds
        if settings.security == "tls":
            return SMTP_SSL(*address, timeout=timeout, context=ssl.create_default_context())
        return SMTP(*address, timeout=timeout)


def _send_at_once(smtp: SMTP) -> None:
    """Let the line that ends the body go out by itself, without awaiting the body's arrival."""
    if smtp.sock is not None:
        smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _greet(smtp: SMTP) -> None:
    code, text = smtp.ehlo()
    if code != _HELLO_OK:
        raise SMTPHeloError(code, text)


def _own_name() -> str:
    """Name this machine without asking the network; smtplib would look itself up."""
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"


def _stuffed(message: bytes) -> bytes:
    """Return the body as it goes over the wire, but for the line that ends it.

    A bare CR or LF would let a message end before its end on some servers.
    """
    lines = _LINE_END.sub(b"\r\n", message).removesuffix(b"\r\n") + b"\r\n"
    return _LEADING_DOT.sub(b"..", lines)
