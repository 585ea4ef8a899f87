"""A connection to a relay: smtplib's, bounded in time and in length, and made to be parked.

smtplib bounds each byte's time alone, so that a server that says one byte a second holds it for
hours; and it reads a reply of any number of lines. Its socket would block: this one never does,
and whoever drives it decides how it is waited for (`mail.parking`).
"""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from functools import partial
from smtplib import SMTP, SMTPException, SMTPHeloError, SMTPServerDisconnected
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from digest.mail.mailers.sockets import dialled, done, shaken
from digest.mail.parking import READ, WRITE, ready

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from digest.config_mailers import SmtpMailer

#: In bytes; RFC 5321, 4.5.3.1.5 allows 512 a line, and EHLO's some dozens of lines.
LONGEST_REPLY = 65_536
#: A goodbye is not worth waiting for.
GOODBYE_SECONDS = 5

_HELLO_OK = 250
#: All of a TLS record: none of it stays where `poll` does not see it (RFC 8446, 5.1).
_AT_ONCE = 16_384
#: Lines that go on have a hyphen after the code (RFC 5321, 4.2.1); what is no reply ends at once.
_GOING_ON = re.compile(rb"(?:\d{3}-[^\n]*\n)*")
_LINE = re.compile(rb"(\d{3})(?:[ -](.*))?", re.DOTALL)


class Connection(SMTP):
    """Connected when it is made; a failure to read or to write closes it."""

    #: Said by the server, and not asked for yet.
    _unread = b""

    def getreply(self) -> tuple[int, bytes]:
        """Return the next reply: its code, -1 where it has none, and its text without codes.

        Raises SMTPServerDisconnected where it is not whole within `timeout` seconds and
        `LONGEST_REPLY` bytes.
        """
        deadline = monotonic() + self.timeout
        last, end = _last_line(self._unread, 0)
        while not end:
            self._listen(deadline)
            last, end = _last_line(self._unread, last)
        whole, self._unread = self._unread[:end], self._unread[end:]
        return _split(whole)

    def send(self, s: Buffer | str) -> None:
        """Send all of it. Raises SMTPServerDisconnected where it takes over `timeout` seconds."""
        left = memoryview(s.encode(self.command_encoding) if isinstance(s, str) else s)
        deadline = monotonic() + self.timeout
        sock = self._open()
        try:
            while left:
                left = left[done(sock, partial(sock.send, left), WRITE, deadline) :]
        except OSError as error:
            self.close()
            raise SMTPServerDisconnected(str(error)) from error

    def has_spoken(self) -> bool:
        """Whether the server said something unasked, or hung up. Waits for nothing."""
        if self._unread or self.sock is None:
            return True
        try:
            self._unread = self.sock.recv(_AT_ONCE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        return True

    def _listen(self, deadline: float) -> None:
        """Read more of a reply, which is to be whole by `deadline`."""
        sock = self._open()
        try:
            if not ready(sock, READ, deadline - monotonic()):
                raise TimeoutError("timed out")
            heard = done(sock, partial(sock.recv, _AT_ONCE), READ, deadline)
        except OSError as error:
            self.close()
            raise SMTPServerDisconnected(str(error)) from error
        self._unread += heard
        if not heard or len(self._unread) > LONGEST_REPLY:
            self.close()
            raise SMTPServerDisconnected("its reply has no end" if heard else "it hung up")

    def _open(self) -> socket.socket:
        if self.sock is None:
            raise SMTPServerDisconnected("the connection is closed")
        return self.sock

    def connect(
        self, host: str = "localhost", port: int = 0, source_address: Any = None
    ) -> tuple[int, bytes]:
        """Connect, and hear the greeting; whatever ends that closes the socket."""
        try:
            return super().connect(host, port, source_address)
        except BaseException:
            self.close()
            raise

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return dialled(host, port, timeout)

    def secure(self) -> None:
        """Go on under TLS; what was said in clear does not count (RFC 3207, 4.2)."""
        self.starttls(context=cast("ssl.SSLContext", _Shaking(self.timeout)))
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
        self.quit()


class _SecureConnection(Connection):
    """The same, with TLS from the first byte."""

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = super()._get_socket(host, port, timeout)
        return shaken(sock, host, timeout)


@dataclass(frozen=True, slots=True)
class _Shaking:
    """What smtplib wants of a context."""

    seconds: float

    def wrap_socket(self, sock: socket.socket, *, server_hostname: str) -> ssl.SSLSocket:
        return shaken(sock, server_hostname, self.seconds)


def connect(settings: SmtpMailer) -> Connection:
    """Connect as configured, never less securely, and log in.

    Raises OSError, of which smtplib's exceptions are some, or ValueError where what was said
    cannot be encoded or decoded.
    """
    kind = _SecureConnection if settings.security == "tls" else Connection
    connection = kind(settings.host, settings.port, _own_name(), settings.timeout_seconds)
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


def _own_name() -> str:
    """Name this machine without asking the network; smtplib would look itself up."""
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"


def _last_line(said: bytes, begin: int) -> tuple[int, int]:
    """Where the line begins that ends the reply or is not whole, and its end; 0 while it has none.

    Before `begin` all lines are known to go on.
    """
    going_on = _GOING_ON.match(said, begin)
    begin = going_on.end() if going_on else begin
    return begin, said.find(b"\n", begin) + 1


def _split(said: bytes) -> tuple[int, bytes]:
    lines = [line.strip(b" \t\r") for line in said[:-1].split(b"\n")]
    if len(lines) == 1 and (only := _LINE.fullmatch(lines[0])):
        return int(only[1]), only[2] or b""
    found = [(_LINE.fullmatch(line), line) for line in lines]
    codes = {match[1] if match else b"-1" for match, _ in found}
    # The code is the same on each line (RFC 5321, 4.2.1), or the reply is none.
    code = int(codes.pop()) if len(codes) == 1 else -1
    return code, b"\n".join((match[2] or b"") if match else line for match, line in found)
