"""The main job once, on the sample blog, by the very commands an operator uses.

What `make run` does: serve the blog on this machine, read it, import its readers,
compose, approve and deliver the weekly digest into the local mailbox, plan the
threads, and say where to look. Run again in the same week it finds the issue
done and sends nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from digest.sample.blog import read_anchor
from digest.sample.server import SampleServer

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

#: Where config expects the sample blog.
PORT = 8765

#: Exit code of a command that stopped at a draft or did a part.
PARTIAL = 3


class TourError(Exception):
    """A command of the tour failed; the message has its own words."""


@dataclass(frozen=True, slots=True)
class Tour:
    """Where the commands run. `home` holds config/ and templates/."""

    home: Path
    environment: dict[str, str]

    def digest(self, *arguments: str, accept: Collection[int] = (0,)) -> Any:
        """Run one command and return its JSON document."""
        command = [sys.executable, "-m", "digest", *arguments, "--home", str(self.home), "--json"]
        done = subprocess.run(  # noqa: S603  our own command, no shell
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode not in accept:
            ended = f"digest {' '.join(arguments)} ended with {done.returncode}"
            raise TourError(f"{done.stderr}{ended}")
        return json.loads(done.stdout)


def take_tour(home: Path, port: int) -> None:
    """Run the tour and print its summary. Raises TourError, or OSError for a taken port."""
    (home / "var").mkdir(exist_ok=True)
    anchor = read_anchor(home / "var" / "sample-anchor", datetime.now(UTC))
    with _blog(anchor, port):
        tour = Tour(home, {**os.environ, "DIGEST_SAMPLE_PORT": str(port)})
        _read(tour)
        _import(tour)
        _send(tour)
        _plan(tour)
    _where_to_look(home, port)


def _blog(anchor: datetime, port: int) -> AbstractContextManager[object]:
    """The sample blog on this port: the one that is served there already, or a new one."""
    url = f"http://127.0.0.1:{port}/"
    try:
        with urlopen(url, timeout=5) as answer:
            if answer.headers.get("X-Digest-Sample"):
                return nullcontext()
    except OSError:
        return SampleServer(anchor=anchor, now=lambda: datetime.now(UTC), port=port)
    return SampleServer(anchor=anchor, now=lambda: datetime.now(UTC), port=port)


def _read(tour: Tour) -> None:
    for feed in tour.digest("ingest")["feeds"]:
        counts = f"{feed['new']} new posts, {feed['changed']} edited"
        _line("Read", f"{counts}; {feed['error'] or feed['proof']}")
    listed = {slug: tour.digest("posts", "--series", slug) for slug in ("socialcarefuture", "ipc")}
    listed["pbr"] = tour.digest("posts", "--series", "pbr")
    parts = ", ".join(f"{slug} {len(posts)} parts" for slug, posts in listed.items())
    _line("Series", parts)


def _import(tour: Tour) -> None:
    with as_file(files("digest.sample") / "subscribers.csv") as csv:
        report = tour.digest("readers", "import", str(csv))
    words = ("added", "unchanged", "refused", "bad_rows")
    counts = [f"{report[word]} {word.replace('_', ' ')}" for word in words if report[word]]
    _line("Readers", ", ".join(counts))


def _send(tour: Tour) -> None:
    sent = tour.digest("send", "weekly", "--by", "make run", accept=(0, PARTIAL))
    if sent["state"] == "draft":
        number = str(sent["issue"])
        tour.digest("approve", number, "--by", "make run")
        tour.digest("deliver", number, "--by", "make run")
        sent = tour.digest("send", "weekly", "--by", "make run")
        issue = next(line for line in tour.digest("issues") if line["issue"] == sent["issue"])
        _line("Issue", f"{issue['period']} composed, approved, delivered: “{issue['subject']}”")
    else:
        _line("Issue", f"nothing new, nothing sent; issue {sent['issue']} is {sent['note']}")
    counts = sent["account"]
    terms = [f"{n} {state}" for state, n in counts.items() if n and state != "recipients"]
    others = sum(line["rhythm"] != "weekly" for line in tour.digest("readers", "list"))
    rest = f"; {others} with another rhythm get theirs when it is due" if others else ""
    _line("Account", f"{counts['recipients']} recipients = {' + '.join(terms) or 0}{rest}")


def _plan(tour: Tour) -> None:
    planned = tour.digest("social", "plan", "--by", "make run")["threads"]
    threads = tour.digest("social", "status")
    _line("Threads", f"{len(planned)} planned now, {len(threads)} in the preview channels")


def _where_to_look(home: Path, port: int) -> None:
    usual = port == PORT
    blog = "make blog" if usual else f"make blog PORT={port}"
    first = (
        ""
        if usual
        else f"  export DIGEST_SAMPLE_PORT={port}              where the sample blog is\n"
    )
    var = Path(os.path.relpath(home / "var"))
    print(
        f"""
Open in a browser:
  {var / "mail" / "index.html"}     the mails, as each reader got theirs
  {var / "social" / "index.html"}   the threads, as they will look
Their pictures and links work while the sample blog is served: {blog}

Then try:
{first}  . .venv/bin/activate                        puts digest on your path
  digest issues                               every issue and where it stands
  digest account 1                            who got what, as a balanced account
  digest posts --series pbr                   a series with its introduction written last
"""
    )


def _line(label: str, text: str) -> None:
    print(f"{label:<8} {text}", flush=True)
