"""Real SMTP servers on loopback: one that accepts, and one that misbehaves to order."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult

from digest.mail.mailers.file import MaildirMailer
from fakes.api import served
from fakes.mails import PASSWORD, USER, clock, relay, secure_relay
from fakes.postmark import PostmarkServer, postmark
from fakes.resend import ResendServer, resend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from digest.ports import Mail, Mailer

#: Signs a certificate for 127.0.0.1, anew in each session; nothing secret stands in a file.
AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("127.0.0.1")

#: Instead of a reply: close the connection, say nothing until the test is over, the polite reply
#: a byte at a time, or one without end.
DROP, HANG, DRIBBLE, ENDLESS = "drop", "hang", "dribble", "endless"
#: Between two bytes of a dribble, in seconds.
CRAWL = 0.05


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CERTIFICATE.configure_cert(context)
    return context


@dataclass
class ScriptedServer:
    """An SMTP server that answers each verb as told, and politely where nothing is told.

    `answers` maps a verb to what is said to it: one answer for always, or a list that is used
    up. Verbs beside SMTP's own: "connect" for the greeting, "body" for what comes after 354,
    "end" for the line that ends the body.
    """

    answers: dict[str, str | list[str]] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    tls: bool = False
    commands: list[str] = field(default_factory=list)
    accepted: list[bytes] = field(default_factory=list)
    orphans: list[bytes] = field(default_factory=list)
    #: What had been said further when it began to hang.
    unread: bytes = b""
    connections: int = 0

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._clients: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def verbs(self) -> list[str]:
        """The commands without their arguments."""
        return [line.partition(" ")[0].upper() for line in self.commands]

    def stop(self) -> None:
        """End the server: clients are cut off, and no one else gets in."""
        if self._over.is_set():
            return
        self._over.set()
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def cut(self, *, goodbye: bytes = b"") -> None:
        """Close all connections, as an idle server does."""
        for client in self._clients:
            try:
                client.sendall(goodbye)
                client.shutdown(socket.SHUT_RDWR)
            except OSError:  # it went first
                continue

    def _serve(self) -> None:
        with ExitStack() as talks:
            while not self._over.is_set():
                try:
                    client, _ = self._listener.accept()
                except OSError:  # stopped
                    return
                self.connections += 1
                self._clients.append(client)
                talk = threading.Thread(target=self._talk, args=(client,))
                talks.callback(talk.join)
                talk.start()

    def _talk(self, client: socket.socket) -> None:
        with client, suppress(OSError):  # the client, or the test, hung up
            if not self.tls:
                self._greet(client)
                return
            with server_context().wrap_socket(client, server_side=True) as secure:
                self._greet(secure)

    def _greet(self, client: socket.socket) -> None:
        if self._say(client, self._told("connect", "220 scripted"), "220 scripted"):
            self._converse(client)

    def _converse(self, client: socket.socket) -> None:
        stream = client.makefile("rwb", buffering=0)
        ready: set[str] = set()
        alive = True
        while alive and (line := stream.readline().decode("latin-1")):
            self.commands.append(line.rstrip("\r\n"))
            verb = self.verbs[-1]
            manners = self._manners(verb, ready)
            told = self._told(verb, manners)
            alive = self._say(client, told, manners)
            if verb in {"RSET", "EHLO"}:
                ready.clear()
            elif told.startswith("250"):
                ready.add(verb)
            if alive and told.startswith("354"):
                alive = self._read_body(client, self.accepted if "RCPT" in ready else self.orphans)
                ready.clear()
            if verb == "STARTTLS" and told.startswith("220"):
                with server_context().wrap_socket(client, server_side=True) as secure:
                    self._converse(secure)
                return

    def _read_body(self, client: socket.socket, accepted: list[bytes]) -> bool:
        if "body" in self.answers:
            return self._say(client, self._told("body", ""), "")
        body = b""
        with client.makefile("rb") as reader:
            while (line := reader.readline()) != b".\r\n":
                if not line:
                    return False
                body += line
        manners = f"250 2.0.0 Ok: queued as Q{len(self.accepted) + 1}"
        told = self._told("end", manners)
        if told.startswith("250 "):
            accepted.append(body)
        return self._say(client, told, manners)

    def _manners(self, verb: str, ready: set[str]) -> str:
        if verb == "EHLO":
            words = ("250-scripted", *(f"250-{each}" for each in self.extensions), "250 HELP")
            return "\r\n".join(words)
        missing = {"RCPT": "MAIL", "DATA": "RCPT"}.get(verb)
        if missing and missing not in ready:
            return f"503 5.5.1 {missing} first"
        return {"DATA": "354 go on", "QUIT": "221 bye", "STARTTLS": "220 go on"}.get(verb, "250 Ok")

    def _told(self, verb: str, manners: str) -> str:
        told = self.answers.get(verb, manners)
        if isinstance(told, list):
            return told.pop(0) if told else manners
        return told

    def _say(self, client: socket.socket, told: str, manners: str) -> bool:
        """Say it; return whether the talk goes on."""
        if told == HANG:
            with suppress(BlockingIOError, ValueError):  # nothing; TLS shows nothing
                self.unread = client.recv(4096, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            self._over.wait()
        if told in {HANG, DROP}:
            # No goodbye: a reset, as from a host that died.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if told == ENDLESS:
            while not self._over.is_set():
                client.sendall(b"250-and so on\r\n" * 100)
        if told == DRIBBLE:
            for byte in f"{manners}\r\n".encode():
                client.sendall(bytes([byte]))
                self._over.wait(CRAWL)
            return True
        client.sendall(f"{told}\r\n".encode())
        if not told.startswith("421"):
            return True
        # A close with something unread is a reset, which can overtake the goodbye.
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass
        return False


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's own certificate authority, as OpenSSL is told of it."""
    AUTHORITY.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    with ExitStack() as servers:

        def start(**script: Any) -> ScriptedServer:
            server = ScriptedServer(**script)
            servers.callback(server.stop)
            return server

        yield start


@dataclass
class Inbox:
    """What a real server accepted: (sender, recipients, message)."""

    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return f"250 2.0.0 Ok: queued as AIO{len(self.mails)}"


def _authenticate(
    server: Any, session: Any, envelope: Any, mechanism: str, data: Any
) -> AuthResult:
    known = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=False)


@dataclass
class RealServer:
    """aiosmtpd: asks for STARTTLS, then for user name and password."""

    inbox: Inbox
    port: int


@pytest.fixture
def real_server() -> Iterator[RealServer]:
    inbox = Inbox()
    context = server_context()

    def protocol() -> SMTP:
        return SMTP(
            inbox,
            loop=loop,
            tls_context=context,
            require_starttls=True,
            authenticator=_authenticate,
            auth_required=True,
        )

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(protocol, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield RealServer(inbox, server.sockets[0].getsockname()[1])
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.run_until_complete(_hung_up())
    loop.close()


async def _hung_up() -> None:
    """Wait for the conversations to end that their clients have left."""
    talks = asyncio.all_tasks() - {asyncio.current_task()}
    if talks:
        await asyncio.wait(talks, timeout=5)


@dataclass
class Bench:
    """A mailer, and what lies at the other side of it."""

    mailer: Mailer
    #: Everything that was accepted, in whatever form it is told there.
    arrived: Callable[[], list[Any]]
    #: This mail, as it must arrive.
    sent: Callable[[Mail], Any]


@pytest.fixture
def file_bench(tmp_path: Path) -> Bench:
    new = tmp_path / "new"
    mailer = MaildirMailer(tmp_path, clock)
    return Bench(mailer, lambda: [path.read_bytes() for path in new.glob("*")], _bytes)


@pytest.fixture
def smtp_bench(scripted: Callable[..., ScriptedServer]) -> Bench:
    server = scripted()
    return Bench(relay(server.port), lambda: _undotted(server), _bytes)


@pytest.fixture
def pipelining_bench(scripted: Callable[..., ScriptedServer]) -> Bench:
    server = scripted(extensions=("PIPELINING",))
    return Bench(relay(server.port), lambda: _undotted(server), _bytes)


@pytest.fixture
def secure_smtp_bench(trusted: None, real_server: RealServer) -> Bench:
    mailer = secure_relay(real_server.port)
    return Bench(mailer, lambda: [raw for _, _, raw in real_server.inbox.mails], _bytes)


@pytest.fixture
def resend_bench() -> Iterator[Bench]:
    def sent(mail: Mail) -> Any:
        return mail.envelope.recipient, mail.content().subject, dict(mail.content().headers)

    with served(ResendServer()) as server:
        yield Bench(
            resend(server.url),
            lambda: [
                (*email["to"], email["subject"], email["headers"])
                for email in server.accepted.values()
            ],
            sent,
        )


@pytest.fixture
def postmark_bench() -> Iterator[Bench]:
    def sent(mail: Mail) -> Any:
        return mail.envelope.recipient, mail.content().subject, mail.content().html

    with served(PostmarkServer()) as server:
        yield Bench(
            postmark(server.url),
            lambda: [
                (email["To"], email["Subject"], email["HtmlBody"])
                for email in server.accepted.values()
            ],
            sent,
        )


def _undotted(server: ScriptedServer) -> list[bytes]:
    return [body.replace(b"\r\n..", b"\r\n.") for body in server.accepted]


def _bytes(mail: Mail) -> bytes:
    return mail.message()
