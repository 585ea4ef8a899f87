"""A real SMTP server that counts what it accepted, and misbehaves to order.

It speaks EHLO, PIPELINING (RFC 2920), SIZE, MAIL, RCPT, DATA, RSET and QUIT, with a thread for
each connection, and answers a group of commands in one packet. What it accepts it writes into a
file before it says so: the count survives its restarts.
"""

from __future__ import annotations

import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Where it can be watched and hindered, in the order of a message's way. At "end" the body is
#: there and nothing decided; at "accepted" it is written down and not yet said; "answered" is
#: too late for a misdeed.
STEPS = ("connect", "EHLO", "MAIL", "RCPT", "DATA", "body", "end", "accepted", "answered")
#: Where a client that hears nothing more cannot know whether its mail was taken.
IN_DOUBT = ("body", "end", "accepted")
#: Instead of an answer: close the connection, say nothing more, or the true one at a crawl.
DROP, HANG, DRIBBLE = "drop", "hang", "dribble"
GARBAGE = "\x07\x7f HTTP/1.1 999"
#: Between two bytes of an answer at a crawl, in seconds.
CRAWL = 0.25

_MESSAGE_ID = re.compile(rb"^Message-ID:\s*(<[^>]+>)", re.IGNORECASE | re.MULTILINE)
_TAKEN = "250 2.0.0 Ok: queued"
_MANNERS = {
    "connect": "220 relay ESMTP",
    "EHLO": "250-relay\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 10485760",
    "MAIL": "250 2.1.0 Ok",
    "RCPT": "250 2.1.5 Ok",
    "DATA": "354 go on",
    "RSET": "250 2.0.0 Ok",
    "QUIT": "221 2.0.0 Bye",
}


@dataclass
class Misdeed:
    """What is done wrong at a step: DROP, HANG, DRIBBLE, or a reply in place of its own."""

    step: str
    what: str
    #: How often; None: always.
    times: int | None = None
    #: Only to recipients of this domain; empty: to all.
    domain: str = ""
    #: Of how many hundred.
    percent: int = 100

    def strikes(self, step: str, recipient: str, dice: random.Random) -> bool:
        if self.step != step or self.times == 0:
            return False
        meant = not self.domain or recipient.endswith(f"@{self.domain}")
        return meant and dice.randrange(100) < self.percent


@dataclass
class Relay:
    """The server. `at_step` is told of each step and its recipient, and may kill who asks."""

    journal: Path
    #: How long it takes over each mail, in seconds.
    pace: float = 0.0
    misdeeds: list[Misdeed] = field(default_factory=list)
    at_step: Callable[[str, str], None] = lambda step, recipient: None
    #: Of so many mails at most it did not say whether they were taken.
    unanswered: int = 0
    most_connections: int = 0
    port: int = 0
    _dice: random.Random = field(default_factory=lambda: random.Random(6))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _clients: set[socket.socket] = field(default_factory=set)
    _better: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.journal.touch()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.at_step = lambda step, recipient: None
        self.behave()
        self.stop()

    def taken(self) -> list[tuple[str, str]]:
        """Recipient and Message-ID of each mail accepted."""
        lines = self.journal.read_text().splitlines()
        return [(line.split(" ")[0], line.split(" ")[1]) for line in lines]

    def accepted(self) -> Counter[str]:
        """How often each recipient's mail was accepted."""
        return Counter(recipient for recipient, _ in self.taken())

    def start(self) -> None:
        """Listen, on the port that it had before."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, args=(self._listener,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Go away at once: who is connected is cut off."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        with self._lock:
            self.unanswered += len(self._clients)
            for client in self._clients:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def misbehave(self, *misdeeds: Misdeed) -> None:
        self._better.clear()
        self.misdeeds = list(misdeeds)

    def behave(self) -> None:
        """Do nothing wrong any more; who was left hanging is cut off."""
        self.misdeeds = []
        self._better.set()

    # --- for its talks ---

    def misdeed(self, step: str, recipient: str) -> str:
        """What is done wrong now, or nothing; one of its times is used up."""
        with self._lock:
            for misdeed in self.misdeeds:
                if misdeed.strikes(step, recipient, self._dice):
                    if misdeed.times is not None:
                        misdeed.times -= 1
                    self.unanswered += step in IN_DOUBT and misdeed.what[:1] not in set("245")
                    return misdeed.what
        return ""

    def write_down(self, recipient: str, body: bytes) -> None:
        found = _MESSAGE_ID.search(body)
        with self._lock, self.journal.open("a") as file:
            file.write(f"{recipient} {found[1].decode() if found else '-'}\n")

    def wait_for_better(self) -> None:
        self._better.wait(60)

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # stopped
                return
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._clients.add(client)
            self.most_connections = max(self.most_connections, len(self._clients))
        try:
            _Talk(self, client).converse()
        except OSError:  # either side hung up
            return
        finally:
            with self._lock:
                self._clients.discard(client)
            client.close()


class _Over(ConnectionError):  # noqa: N818  nothing is wrong
    """The talk is over, and nothing more is said."""


@dataclass
class _Talk:
    """One conversation."""

    relay: Relay
    client: socket.socket
    heard: bytearray = field(default_factory=bytearray)
    unsaid: bytearray = field(default_factory=bytearray)
    crawling: bool = False
    begun: bool = False
    recipient: str = ""

    def converse(self) -> None:
        self._answer("connect")
        while True:
            line = self._line()
            verb = line[:4].upper()
            if verb == "MAIL":
                self.begun = self._answer("MAIL")
            elif verb == "RCPT":
                self._rcpt(line)
            elif verb == "DATA":
                self._data()
            else:
                self.recipient = ""
                self._answer(verb)
            if verb == "QUIT":
                self._flush()
                return

    def _rcpt(self, line: str) -> None:
        self.recipient = line.partition("<")[2].partition(">")[0]
        if not self.begun:
            self._say("503 5.5.1 no MAIL")
        if not self.begun or not self._answer("RCPT"):
            self.recipient = ""

    def _data(self) -> None:
        if not self.recipient:
            self._say("503 5.5.1 no RCPT")
            return
        if not self._answer("DATA"):
            return
        self._flush()
        if not self.heard:
            self._hear()
        told = self._misdeed("body")
        body = self._body()
        time.sleep(self.relay.pace)
        told = told or self._misdeed("end")
        if not told:
            self.relay.write_down(self.recipient, body)
            told = self._misdeed("accepted")
        self._say(told or _TAKEN)
        self._flush()
        if told.startswith("421"):
            raise _Over
        self.relay.at_step("answered", self.recipient)
        self.recipient, self.begun = "", False

    def _answer(self, step: str) -> bool:
        """Answer at a step, as it should or otherwise; True where as it should."""
        told = self._misdeed(step)
        self._say(told or _MANNERS.get(step, "502 5.5.2 what?"))
        if told.startswith("421"):
            self._flush()
            raise _Over
        return not told

    def _misdeed(self, step: str) -> str:
        """A reply in place of the own one, after whatever else is done wrong here."""
        self.relay.at_step(step, self.recipient)
        told = self.relay.misdeed(step, self.recipient)
        if told in {HANG, DROP, DRIBBLE}:
            self._flush()
        if told == HANG:
            self.relay.wait_for_better()
        if told in {HANG, DROP}:
            # No goodbye: a reset, as from a host that died.
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise _Over
        self.crawling = self.crawling or told == DRIBBLE
        return "" if told == DRIBBLE else told

    def _say(self, reply: str) -> None:
        self.unsaid += reply.encode() + b"\r\n"

    def _flush(self) -> None:
        if self.crawling:
            for place in range(len(self.unsaid)):
                self.client.sendall(self.unsaid[place : place + 1])
                time.sleep(CRAWL)
        elif self.unsaid:
            self.client.sendall(self.unsaid)
        self.unsaid.clear()
        self.crawling = False

    def _hear(self) -> None:
        more = self.client.recv(1 << 18)
        if not more:
            raise _Over
        self.heard += more

    def _line(self) -> str:
        """The next command; before waiting for it, what is to be said is said."""
        while (end := self.heard.find(b"\r\n")) < 0:
            self._flush()
            self._hear()
        line = self.heard[:end].decode("latin-1")
        del self.heard[: end + 2]
        return line

    def _body(self) -> bytes:
        searched = 0
        # The line before counts as one: a body may be empty.
        self.heard[:0] = b"\r\n"
        while (end := self.heard.find(b"\r\n.\r\n", searched)) < 0:
            searched = max(0, len(self.heard) - 4)
            self._hear()
        body = bytes(self.heard[2 : end + 2])
        del self.heard[: end + 5]
        return body
