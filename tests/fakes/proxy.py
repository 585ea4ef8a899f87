"""A proxy on loopback that stands before a network's server and does to answers what lines do."""

from __future__ import annotations

import http.client
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

#: What can be done to one exchange. "after" means: the server got the request and answered.
FAULTS = (
    "hang-after",  # no answer until the client gives up
    "502-after",  # a gateway's page instead of the answer
    "drop-after",  # the line is closed instead of the answer
    "cut-after",  # half of the answer's body, then the line is closed
    "503-before",  # a gateway's page; the server never hears of it
    "drop-before",  # the line is closed; the server never hears of it
)


@dataclass
class Fault:
    """What happens to the next requests whose "METHOD /path?query" the pattern is found in."""

    kind: str
    pattern: str = ""
    times: int = 1


@dataclass
class Proxy:
    """Passes everything on to `upstream`, such as "http://127.0.0.1:2583", but for its faults."""

    upstream: str
    faults: list[Fault] = field(default_factory=list)
    #: "POST /2/tweets", in order, of everything that reached the server.
    passed: list[str] = field(default_factory=list)
    #: Called with "METHOD /path" before a request is passed on, and after it was answered.
    before: object = lambda line: None
    after: object = lambda line: None
    #: Lets hanging exchanges go when the proxy ends.
    ending: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def fail(self, kind: str, pattern: str = "", times: int = 1) -> None:
        assert kind in FAULTS
        self.faults.append(Fault(kind, pattern, times))

    def fault_for(self, line: str) -> str:
        for fault in self.faults:
            if re.search(fault.pattern, line):
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
                return fault.kind
        return ""


@contextmanager
def proxied(upstream: str):
    """A proxy before a server, until the end of the block."""
    proxy = Proxy(upstream)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.proxy = proxy
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        proxy.ending.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Else each answer waits 40 ms for word of its headers.
    disable_nagle_algorithm = True

    @property
    def proxy(self) -> Proxy:
        return self.server.proxy

    def _exchange(self) -> None:
        line = f"{self.command} {self.path}"
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.proxy.before(line)
        fault = self.proxy.fault_for(line)
        if fault == "drop-before":
            return self._drop()
        if fault == "503-before":
            return self._page(503)
        status, headers, content = self._pass_on(body)
        self.proxy.passed.append(line)
        self.proxy.after(line)
        if fault == "hang-after":
            self.proxy.ending.wait(120)
            return self._drop()
        if fault == "drop-after":
            return self._drop()
        if fault == "502-after":
            return self._page(502)
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault == "cut-after":
            self.wfile.write(content[: len(content) // 2])
            return self._drop()
        self.wfile.write(content)
        return None

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _exchange  # noqa: N815

    def _pass_on(self, body):
        to = urlsplit(self.proxy.upstream)
        connection = http.client.HTTPConnection(to.hostname, to.port, timeout=60)
        try:
            skipped = {"connection", "accept-encoding", "content-length"}
            headers = {k: v for k, v in self.headers.items() if k.lower() not in skipped}
            headers["Content-Length"] = str(len(body))
            connection.request(self.command, self.path, body=body, headers=headers)
            answer = connection.getresponse()
            # A server that tells its own address would have the client go past us.
            content = answer.read().replace(self.proxy.upstream.encode(), self.proxy.url.encode())
            return answer.status, answer.getheaders(), content
        finally:
            connection.close()

    def _page(self, status: int) -> None:
        page = b"<html><h1>Bad gateway</h1></html>"
        self.send_response_only(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def _drop(self) -> None:
        self.close_connection = True

    def log_message(self, *_) -> None:
        """Nothing: the tests read `passed`."""
