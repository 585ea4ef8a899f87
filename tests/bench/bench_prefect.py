"""What Prefect adds to sending one issue: tasks and seconds, for 10 and 10,000 recipients.

The same issue goes to the local mailbox twice, by `digest send` and by the flow weekly-digest;
the second figure less the first is Prefect's share.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import requests

from digest.sample.server import SampleServer
from digest.up.environment import child_environment
from digest.up.place import Place
from digest.up.supervisor import prefect_server

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Print a line for each number of recipients."""
    anchor = datetime.now(UTC)
    print(f"{'recipients':>10} {'plain':>8} {'flow':>8} {'ratio':>6} {'tasks':>6} {'batches':>8}")
    with (
        SampleServer(anchor=anchor, now=lambda: datetime.now(UTC), port=0) as blog,
        tempfile.TemporaryDirectory() as folder,
    ):
        environment = {**os.environ, "DIGEST_SAMPLE_PORT": blog.url.rsplit(":", 1)[1]}
        for readers in (10, 10_000):
            plain = home(Path(folder) / f"plain-{readers}", readers, environment)
            seconds = timed([sys.executable, "-m", "digest", "send", "weekly"], plain, environment)
            shutil.rmtree(plain)
            report(Path(folder) / f"flow-{readers}", readers, environment, seconds)


def report(folder: Path, readers: int, environment: dict[str, str], plain: float) -> None:
    made = home(folder, readers, environment)
    with prefect_server(made, environ=environment) as connection:
        served = child_environment(environment, Place(made), connection)
        asked = json.dumps({"newsletter": "weekly", "dry_run": False})
        command = [sys.executable, "-m", "digest_prefect.once", "weekly-digest", asked]
        flow = timed(command, made, served)
        user, _, password = connection.auth.partition(":")
        names = [
            task["name"]
            for task in requests.post(
                f"{connection.api_url}/task_runs/filter", json={}, auth=(user, password), timeout=30
            ).json()
        ]
    batches = sum(name.startswith("deliver batch") for name in names)
    tasks = len(names) - batches
    ratio = flow / plain
    print(f"{readers:>10} {plain:>7.1f}s {flow:>7.1f}s {ratio:>6.2f} {tasks:>6} {batches:>8}")
    shutil.rmtree(made)


def home(folder: Path, readers: int, environment: dict[str, str]) -> Path:
    """A home whose weekly digest needs no approval, with so many readers."""
    for name in ("config", "templates", "flows"):
        shutil.copytree(ROOT / name, folder / name)
    path = folder / "config" / "newsletters.toml"
    path.write_text(path.read_text().replace('approval = "required"', 'approval = "none"'))
    rows = "".join(f"r{n}@example.org,weekly,weekly,bench,2026-01-01\n" for n in range(readers))
    csv = folder / "readers.csv"
    csv.write_text(f"email,newsletters,rhythm,consent_source,consent_at\n{rows}")
    for command in (["ingest"], ["readers", "import", str(csv)]):
        timed([sys.executable, "-m", "digest", *command], folder, environment)
    return folder


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    began = time.monotonic()
    given = {**environment, "DIGEST_HOME": str(folder)}
    subprocess.run(command, cwd=folder, env=given, check=True, capture_output=True)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
