"""The main job once, on the sample blog, by the very flows and commands that do it every week.

What `make run` does: serve the blog on this machine, import its readers, start a Prefect
server, run the flows that read the blog, compose the weekly digest, deliver it once it is
approved, and plan and publish the threads; then say where to look. Run again in the same week
it finds the issue done and sends nothing.
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
from digest.up.environment import child_environment
from digest.up.place import Place
from digest.up.supervisor import prefect_server

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

#: Where config expects the sample blog.
PORT = 8765

#: The series of the sample blog, as config names them.
SERIES = ("socialcarefuture", "ipc", "pbr")


class TourError(Exception):
    """A command of the tour failed; the message has its own words."""


@dataclass(frozen=True, slots=True)
class Tour:
    """Where the commands run. `home` holds config/ and templates/."""

    home: Path
    environment: dict[str, str]

    def digest(self, *arguments: str) -> Any:
        """Run one command and return its JSON document."""
        command = [sys.executable, "-m", "digest", *arguments, "--home", str(self.home), "--json"]
        done = subprocess.run(  # noqa: S603  our own command, no shell
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            ended = f"digest {' '.join(arguments)} ended with {done.returncode}"
            raise TourError(f"{done.stderr}{ended}")
        return json.loads(done.stdout)

    def flows(self, *asked: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Run flows one after the other and return what came of each."""
        words = [word for name, given in asked for word in (name, json.dumps(given))]
        command = [sys.executable, "-m", "digest_prefect.once", *words]
        done = subprocess.run(  # noqa: S603  our own command, no shell
            command,
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        told = [json.loads(line) for line in done.stdout.splitlines()]
        if done.returncode:
            said = f"{told[-1]['flow']}: {told[-1]['message']}" if told else "no flow began"
            raise TourError(f"{done.stderr}{said}")
        return told


def take_tour(home: Path, port: int) -> None:
    """Run the tour and print its summary.

    Raises TourError, DigestError where Prefect does not start, OSError for a taken port.
    """
    (home / "var").mkdir(exist_ok=True)
    anchor = read_anchor(home / "var" / "sample-anchor", datetime.now(UTC))
    with _blog(anchor, port):
        environment = {**os.environ, "DIGEST_SAMPLE_PORT": str(port)}
        _line("Prefect", "starting a server for this job ...")
        with prefect_server(home, environ=environment) as connection:
            environment = child_environment(environment, Place(home), connection)
            tour = Tour(home, environment)
            _import(tour)
            runs = _compose(tour) + _deliver_and_publish(tour)
        _tell(tour, runs)
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


def _import(tour: Tour) -> None:
    with as_file(files("digest.sample") / "subscribers.csv") as csv:
        report = tour.digest("readers", "import", str(csv))
    words = ("added", "unchanged", "refused", "bad_rows")
    counts = [f"{report[word]} {word.replace('_', ' ')}" for word in words if report[word]]
    _line("Readers", ", ".join(counts))


def _compose(tour: Tour) -> list[dict[str, Any]]:
    runs = tour.flows(
        ("refresh-feeds", {}), ("weekly-digest", {"newsletter": "weekly", "dry_run": False})
    )
    # Without a served deployment the run cannot wait; what an editor does in Prefect's form,
    # the command line does here.
    for issue in tour.digest("issues", "weekly"):
        if issue["state"] == "draft":
            tour.digest("approve", str(issue["issue"]), "--by", "make run")
    return runs


def _deliver_and_publish(tour: Tour) -> list[dict[str, Any]]:
    newest = tour.digest("issues", "weekly")[0]["issue"]
    return tour.flows(
        ("send-issue", {"issue": newest, "dry_run": False}),
        ("queue-social", {"dry_run": False}),
        ("publish-social", {"dry_run": False}),
    )


def _tell(tour: Tour, runs: Collection[dict[str, Any]]) -> None:
    listed = {slug: len(tour.digest("posts", "--series", slug)) for slug in SERIES}
    _line("Series", ", ".join(f"{slug} {count} parts" for slug, count in listed.items()))
    for number, run in enumerate(runs):
        _line("" if number else "Runs", f"{run['name']:<24} {run['state']}: {run['message']}")
    issue = tour.digest("issues", "weekly")[0]
    counts = tour.digest("account", str(issue["issue"]))
    terms = [f"{n} {state}" for state, n in counts.items() if n and state != "recipients"]
    others = sum(line["rhythm"] != "weekly" for line in tour.digest("readers", "list"))
    rest = f"; {others} with another rhythm get theirs when it is due" if others else ""
    _line("Issue", f"{issue['period']}, {issue['state']}: “{issue['subject']}”")
    _line("Account", f"{counts['recipients']} recipients = {' + '.join(terms) or 0}{rest}")
    threads = tour.digest("social", "status")["threads"]
    _line("Threads", f"{len(threads)} in the preview channels")


def _where_to_look(home: Path, port: int) -> None:
    usual = port == PORT
    blog = "make blog" if usual else f"make blog PORT={port}"
    first = (
        ""
        if usual
        else f"  export DIGEST_SAMPLE_PORT={port}              where the sample blog is\n"
    )
    up = "make up" if usual else f"make up PORT={port}"
    var = Path(os.path.relpath(home / "var"))
    print(
        f"""
Open in a browser:
  {var / "mail" / "index.html"}     the mails, as each reader got theirs
  {var / "social" / "index.html"}   the threads, as they will look
Their pictures and links work while the sample blog is served: {blog}

Then try:
{first}  {up:<43} all of it, with Prefect's UI to work in
  . .venv/bin/activate                        puts digest on your path
  digest issues                               every issue and where it stands
  digest account 1                            who got what, as a balanced account
  digest posts --series pbr                   a series with its introduction written last
"""
    )


def _line(label: str, text: str) -> None:
    print(f"{label:<8} {text}", flush=True)
