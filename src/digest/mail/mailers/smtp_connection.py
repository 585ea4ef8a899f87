"""A connection to a relay: smtplib's, whose replies are bounded in time and in length.

smtplib bounds each byte's time alone, so that a server that says one byte a second holds it for
hours; and it reads a reply of any number of lines. What is sent needs no such care: a socket's
time-out holds for all of what is sent at once, with TLS too.
"""

from __future__ import annotations

import re
import socket
import ssl
from select import POLLIN, poll
from smtplib import SMTP, SMTP_SSL, SMTPException, SMTPHeloError, SMTPServerDisconnected
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from digest.config_mailers import SmtpMailer

#: In bytes; RFC 5321, 4.5.3.1.5 allows 512 a line, and EHLO's some dozens of lines.
LONGEST_REPLY = 65_536
#: A goodbye is not worth waiting for.
GOODBYE_SECONDS = 5

_HELLO_OK = 250
#: All of a TLS record: none of it stays where `poll` does not see it (RFC 8446, 5.1).
_AT_ONCE = 16_384
#: Lines that go on have a hyphen after the code (RFC 5321, 4.2.1); what is no reply ends at once.
_WHOLE = re.compile(rb"(?:\d{3}-[^\n]*\n)*(?!\d{3}-)[^\n]*\n")
_LINE = re.compile(rb"(\d{3})(?:[ -](.*))?", re.DOTALL)


class Connection(SMTP):
    """Connected when it is made; a failure to read closes it."""

    #: Said by the server, and not asked for yet.
    _unread = b""

    def getreply(self) -> tuple[int, bytes]:
        """Return the next reply: its code, -1 where it has none, and its text without codes.

        Raises SMTPServerDisconnected where it is not whole within `timeout` seconds and
        `LONGEST_REPLY` bytes.
        """
        deadline = monotonic() + self.timeout
        while (whole := _WHOLE.match(self._unread)) is None:
            self._listen(deadline)
        self._unread = self._unread[whole.end() :]
        return _split(whole[0])

    def has_spoken(self) -> bool:
        """Whether the server said something unasked, or hung up. Waits for nothing."""
        if self._unread or self.sock is None:
            return True
        readable = poll()
        readable.register(self.sock, POLLIN)
        if not readable.poll(0):
            return False
        self.sock.settimeout(0)
        try:
            self._unread = self.sock.recv(_AT_ONCE)
        except (BlockingIOError, ssl.SSLWantReadError):
            # Something that is TLS's own.
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(self.timeout)
        return True

    def _listen(self, deadline: float) -> None:
        """Read more of a reply; one that has begun waits no longer than until `deadline`."""
        if self.sock is None:
            raise SMTPServerDisconnected("the connection is closed")
        begun = bool(self._unread)
        try:
            if begun:
                self.sock.settimeout(max(deadline - monotonic(), 0.001))
            heard = self.sock.recv(_AT_ONCE)
            if begun:
                self.sock.settimeout(self.timeout)
        except OSError as error:
            self.close()
            raise SMTPServerDisconnected(str(error)) from error
        self._unread += heard
        if not heard or len(self._unread) > LONGEST_REPLY:
            self.close()
            raise SMTPServerDisconnected("its reply has no end" if heard else "it hung up")

    def secure(self) -> None:
        """Go on under TLS; what was said in clear does not count (RFC 3207, 4.2)."""
        self.starttls(context=ssl.create_default_context())
        if self._unread:
            # Somebody put it behind the server's answer, to be taken for one under TLS.
            raise SMTPException("words in clear follow its answer to STARTTLS")
        self.greet()

    def greet(self) -> None:
        """Say EHLO; what the server offers then is `has_extn`'s to tell."""
        code, text = self.ehlo()
        if code != _HELLO_OK:
            raise SMTPHeloError(code, text)

    def part(self) -> None:
        """Say goodbye, and close. Raises what `quit` does."""
        self.timeout = min(self.timeout, GOODBYE_SECONDS)
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        self.quit()


class _SecureConnection(Connection, SMTP_SSL):
    """The same, with TLS from the first byte."""


def connect(settings: SmtpMailer) -> Connection:
    """Connect as configured, never less securely, and log in.

    Raises OSError, of which smtplib's exceptions are some, or ValueError where what was said
    cannot be encoded or decoded.
    """
    connection = _dialled(settings)
    try:
        if connection.sock is not None:
            # The line that ends a body goes out by itself, without awaiting the body's arrival.
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.greet()
        if settings.security == "starttls":
            connection.secure()
        if settings.username:
            connection.login(settings.username, settings.password.get_secret_value())
    except BaseException:
        connection.close()
        raise
    return connection


def _dialled(settings: SmtpMailer) -> Connection:
    address, timeout = (settings.host, settings.port, _own_name()), settings.timeout_seconds
    if settings.security == "tls":
        context = ssl.create_default_context()
        return _SecureConnection(*address, timeout=timeout, context=context)
    return Connection(*address, timeout=timeout)


def _own_name() -> str:
    """Name this machine without asking the network; smtplib would look itself up."""
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"


def _split(said: bytes) -> tuple[int, bytes]:
    lines = [line.strip(b" \t\r") for line in said[:-1].split(b"\n")]
    found = [(_LINE.fullmatch(line), line) for line in lines]
    codes = {match[1] if match else b"-1" for match, _ in found}
    # The code is the same on each line (RFC 5321, 4.2.1), or the reply is none.
    code = int(codes.pop()) if len(codes) == 1 else -1
    return code, b"\n".join((match[2] or b"") if match else line for match, line in found)
