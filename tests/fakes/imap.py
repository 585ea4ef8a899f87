"""A small IMAP server on loopback, as RFC 3501 and RFC 9051 have it, that misbehaves to order.

Beside mails it keeps flags and folders; commands are those that a reader of one folder needs.
"""

from __future__ import annotations

import base64
import re
import shlex
import socket
import struct
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from digest.config_inboxes import ImapInbox
from digest.inbox.boxes.imap import ImapBox

if TYPE_CHECKING:
    import ssl

USER, PASSWORD = "reader of mail", 'correct "horse'

#: Instead of an answer: close the connection, or say nothing until the test is over.
DROP, HANG = "drop", "hang"
#: What is said of a literal's size is not so: less than comes, more than comes, absurdly much.
LESS, MORE, ABSURD = "less", "more", "absurd"

_PARTIAL = re.compile(r"BODY\.PEEK\[(HEADER)?\]<0\.(\d+)>")
_OFF_BY = {LESS: -5, MORE: 40, ABSURD: 10**12}


@dataclass
class Stored:
    """A mail in a folder."""

    raw: bytes
    flags: set[str] = field(default_factory=set)
    date: str = "23-Nov-2026 08:00:00 +0000"


@dataclass
class ImapServer:
    """Serves `folders` over TLS, at once or by STARTTLS.

    `faults` maps a verb ("LOGIN", "SELECT", "SEARCH", "FETCH", "STORE", "MOVE", "connect") to
    DROP, HANG, a literal's fault, or to the answer after the tag: "NO not today".
    """

    context: ssl.SSLContext
    starttls: bool = False
    extensions: tuple[str, ...] = ("MOVE", "UIDPLUS", "AUTH=PLAIN")
    faults: dict[str, str] = field(default_factory=dict)
    folders: dict[str, dict[int, Stored]] = field(
        default_factory=lambda: {"INBOX": {}, "Read mails": {}}
    )
    commands: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._uid = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def deliver(self, raw: bytes, **about: str) -> Stored:
        self._uid += 1
        stored = Stored(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), **about)
        self.folders["INBOX"][self._uid] = stored
        return stored

    def said(self, verb: str) -> int:
        """How often a verb was used."""
        return sum(verb in line.split()[1:3] for line in self.commands)

    def stop(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with ExitStack() as talks:
            while not self._over.is_set():
                try:
                    client, _ = self._listener.accept()
                except OSError:  # stopped
                    return
                talk = threading.Thread(target=self._talk, args=(client,))
                talks.callback(talk.join)
                talk.start()

    def _talk(self, client: socket.socket) -> None:
        client.settimeout(10)
        talk = _Talk(self, client, self._over)
        try:
            talk.converse()
        except OSError:  # the client, or the test, hung up
            return
        finally:
            talk.close()


class _Talk:
    """One connection."""

    def __init__(self, server: ImapServer, client: socket.socket, over: threading.Event) -> None:
        self.server, self.client, self.over = server, client, over
        self.reader = client.makefile("rb")
        self.folder: dict[int, Stored] = {}
        self.encrypted = False

    def encrypt(self) -> None:
        self.reader.close()
        self.client = self.server.context.wrap_socket(self.client, server_side=True)
        self.reader, self.encrypted = self.client.makefile("rb"), True

    def close(self) -> None:
        self.reader.close()
        self.client.close()

    def converse(self) -> None:
        if not self.server.starttls:
            self.encrypt()
        if not self.fails("connect", "*"):
            self.say("* OK scripted")
            while line := self.reader.readline().decode():
                self.server.commands.append(line.rstrip("\r\n"))
                tag, verb, *rest = line.split(maxsplit=2)
                arguments = rest[0].rstrip() if rest else ""
                if verb.upper() == "UID":
                    verb, _, arguments = arguments.partition(" ")
                if not self.answer(tag, verb.upper(), arguments):
                    break

    def say(self, line: str) -> None:
        self.client.sendall(f"{line}\r\n".encode())

    def fails(self, verb: str, tag: str) -> bool:
        """Whether the connection is over by a fault."""
        fault = self.server.faults.get(verb, "")
        if fault == HANG:
            self.over.wait()
        if fault in {HANG, DROP}:
            raw = socket.socket(fileno=self.client.detach())
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.close()
            return True
        return False

    def answer(self, tag: str, verb: str, arguments: str) -> bool:
        if self.fails(verb, tag):
            return False
        fault = self.server.faults.get(verb, "")
        if fault and fault not in _OFF_BY:
            self.say(f"{tag} {fault}")
            return True
        done = getattr(self, f"do_{verb.lower()}")(arguments, tag)
        if verb == "STARTTLS":
            self.encrypt()
        else:
            self.say(f"{tag} {done or 'OK done'}")
        return verb != "LOGOUT"

    def do_capability(self, _arguments: str, _tag: str) -> str:
        known = [*self.server.extensions, *([] if self.encrypted else ["STARTTLS"])]
        self.say(f"* CAPABILITY IMAP4rev1 {' '.join(known)}")
        return ""

    def do_starttls(self, _arguments: str, tag: str) -> str:
        self.say(f"{tag} OK begin")
        return ""

    def do_login(self, arguments: str, _tag: str) -> str:
        return "" if shlex.split(arguments) == [USER, PASSWORD] else "NO [AUTHENTICATIONFAILED] no"

    def do_authenticate(self, _arguments: str, _tag: str) -> str:
        self.say("+ ")
        said = base64.b64decode(self.reader.readline()).decode().split("\0")
        return "" if said == ["", USER, PASSWORD] else "NO [AUTHENTICATIONFAILED] no"

    def do_select(self, arguments: str, _tag: str) -> str:
        name = arguments.strip('"')
        if name not in self.server.folders:
            return "NO no such folder"
        self.folder = self.server.folders[name]
        self.say(f"* {len(self.folder)} EXISTS")
        return "OK [READ-WRITE] selected"

    def do_search(self, arguments: str, _tag: str) -> str:
        assert arguments == "UNSEEN UNFLAGGED UNDELETED"
        closed = {r"\Seen", r"\Flagged", r"\Deleted"}
        found = [uid for uid, mail in self.folder.items() if not mail.flags & closed]
        self.say(f"* SEARCH {' '.join(map(str, found))}".rstrip())
        return ""

    def do_fetch(self, arguments: str, _tag: str) -> str:
        uids, _, items = arguments.partition(" ")
        asked = _PARTIAL.search(items)
        assert asked, items
        for number, (uid, mail) in enumerate(list(self.folder.items()), 1):
            if str(uid) not in uids.split(","):
                continue
            content = mail.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if asked[1] else mail.raw
            content = content[: int(asked[2])]
            size = len(content) + _OFF_BY.get(self.server.faults.get("FETCH", ""), 0)
            about = f'RFC822.SIZE {len(mail.raw)} INTERNALDATE "{mail.date}" '
            head = f"* {number} FETCH (UID {uid} {about}BODY[{asked[1] or ''}]<0> {{{size}}}\r\n"
            self.client.sendall(head.encode() + content + b" FLAGS ())\r\n")
        return ""

    def do_store(self, arguments: str, _tag: str) -> str:
        uid, how, flags = arguments.split(" ", 2)
        assert how == "+FLAGS.SILENT"
        if int(uid) in self.folder:
            self.folder[int(uid)].flags |= set(flags.strip("()").split())
        return ""

    def do_move(self, arguments: str, tag: str) -> str:
        done = self.do_copy(arguments, tag)
        if not done:
            self.folder.pop(int(arguments.split(maxsplit=1)[0]), None)
        return done

    def do_copy(self, arguments: str, _tag: str) -> str:
        uid, _, name = arguments.partition(" ")
        if name.strip('"') not in self.server.folders:
            return "NO [TRYCREATE] no such folder"
        if int(uid) in self.folder:
            self.server.folders[name.strip('"')][int(uid)] = self.folder[int(uid)]
        return ""

    def do_expunge(self, arguments: str, _tag: str) -> str:
        if r"\Deleted" in self.folder[int(arguments)].flags:
            self.folder.pop(int(arguments))
        return ""

    def do_logout(self, _arguments: str, _tag: str) -> str:
        self.say("* BYE")
        return ""


def imap_box(server: ImapServer, **changes: Any) -> ImapBox:
    declared = {
        "kind": "imap",
        "host": "127.0.0.1",
        "port": server.port,
        "security": "starttls" if server.starttls else "tls",
        "username": USER,
        "password": PASSWORD,
    }
    inbox = ImapInbox.model_validate(declared | changes)
    # Less than config allows: a test cannot wait for a second.
    return ImapBox(inbox.model_copy(update={"timeout_seconds": 0.2}))
