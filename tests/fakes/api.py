"""JSON over HTTP on loopback: what the local servers of mailers' APIs have in common."""

from __future__ import annotations

import json
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Reply:
    """An answer: a document, or bytes that need not be JSON."""

    status: int
    document: object = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    #: Path and query.
    target: str
    headers: object
    body: bytes

    def json(self) -> object:
        return json.loads(self.body)


class Api:
    """The state of an API. `answer` of a subclass does what is asked."""

    def __init__(self) -> None:
        self.url = ""
        #: What reached it: "POST /emails/batch", in order, on how many lines.
        self.calls: list[str] = []
        self.lines = 0
        #: Instead of doing anything, and after doing it: used up one by one.
        self.instead: list[Reply] = []
        self.afterwards: list[Reply] = []
        self._lock = threading.RLock()

    def answer(self, asked: Asked) -> Reply:
        raise NotImplementedError

    def exchange(self, asked: Asked) -> Reply:
        with self._lock:
            self.calls.append(f"{asked.method} {asked.target.partition('?')[0]}")
            if self.instead:
                return self.instead.pop(0)
            reply = self.answer(asked)
            return self.afterwards.pop(0) if self.afterwards else reply


@contextmanager
def served(api: Api, context: ssl.SSLContext | None = None):
    """The API on a port of its own until the end of the block, by TLS where a context is given."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.api = api
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}"
    if context is not None:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        api.url = api.url.replace("http:", "https:")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Answers whole, in one packet.
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.server.api.lines += 1

    def handle(self) -> None:
        # Whoever does not trust our certificate hangs up.
        with suppress(ssl.SSLError):
            super().handle()

    def _exchange(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply = self.server.api.exchange(Asked(self.command, self.path, self.headers, body))
        raw = reply.document
        content = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _exchange  # noqa: N815

    def log_message(self, *_) -> None:
        """Nothing: the tests read `calls`."""
