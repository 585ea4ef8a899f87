"""All of digest at work on the sample blog, until Ctrl-C: what `make up` does."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.resources import as_file, files
from typing import TYPE_CHECKING
from urllib.request import urlopen

from digest.cli import main as digest
from digest.errors import UsageError
from digest.files import make_folder
from digest.sample.blog import read_anchor
from digest.sample.server import HOST, SampleServer
from digest.up.place import Place
from digest.up.supervisor import require_alone

if TYPE_CHECKING:
    from pathlib import Path


def go_live(home: Path, port: int) -> int:
    """Serve the blog, read it, import its readers, and run `digest up`; the exit code.

    2 where `digest up` runs on this home already, before anything is read.

    Raises OSError where the port is taken by something else than the blog.
    """
    try:
        require_alone(Place(home))
        make_folder(home / "var")
    except UsageError as error:
        sys.stderr.write(f"digest: {error}\n")
        return 2
    anchor = read_anchor(home / "var" / "sample-anchor", datetime.now(UTC))
    # `digest up` runs in this process, which so gets Ctrl-C once; its children inherit this.
    os.environ["DIGEST_SAMPLE_PORT"] = str(port)
    with ExitStack() as stack:
        if not is_served(port):
            stack.enter_context(SampleServer(anchor=anchor, port=port))
        csv = stack.enter_context(as_file(files("digest.sample") / "subscribers.csv"))
        for command in (["ingest"], ["readers", "import", str(csv)], ["up"]):
            code = _run([*command, "--home", str(home)])
            if code:
                return code
    return 0


def is_served(port: int) -> bool:
    """Whether the sample blog, and nothing else, answers there."""
    try:
        with urlopen(f"http://{HOST}:{port}/", timeout=5) as answer:
            return bool(answer.headers.get("X-Digest-Sample"))
    except OSError:
        return False


def _run(arguments: list[str]) -> int:
    """One command of `digest`, in this process."""
    try:
        digest(arguments)
    except SystemExit as ended:
        sys.stdout.flush()
        return int(ended.code or 0)
    return 0
