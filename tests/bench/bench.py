"""`make bench`: start-up of the command. Trust the ratios.

Every figure is the median of several runs in one sitting. A line per sitting is kept in
.bench-history.jsonl, out of git.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from digest.sample.server import SampleServer

ROOT = Path(__file__).parents[2]
DIGEST = Path(sys.executable).with_name("digest")
RUNS = 7


def timed(*command: str, env: dict[str, str] | None = None, runs: int = RUNS) -> float:
    """Median seconds of a whole process."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def make_home(folder: Path) -> Path:
    for part in ("config", "templates"):
        (folder / part).symlink_to(ROOT / part)
    return folder


def start_up(figures: dict[str, float]) -> None:
    figures["python -c pass"] = timed(sys.executable, "-c", "pass")
    figures["digest --help"] = timed(str(DIGEST), "--help")


def preview(figures: dict[str, float]) -> None:
    with tempfile.TemporaryDirectory() as name:
        home = make_home(Path(name))
        anchor = datetime.now(UTC)
        with SampleServer(anchor=anchor, now=lambda: datetime.now(UTC), port=0) as server:
            port = server.url.rsplit(":", 1)[1]
            env = {**os.environ, "DIGEST_SAMPLE_PORT": port}
            subprocess.run(
                [str(DIGEST), "ingest", "--home", name], env=env, check=True, stdout=sys.stderr
            )
        out = str(home / "out")
        command = (str(DIGEST), "preview", "weekly", "--out", out, "--home", name)
        figures["digest preview"] = timed(*command, env=env)


def main() -> None:
    figures: dict[str, float] = {}
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "src")], check=True)
    for part in (start_up, preview):
        part(figures)
    for name, figure in figures.items():
        print(f"{name:<24} {figure:10.3f}")
    budgets = {"digest --help": 0.4, "digest preview": 1.5}
    for name, budget in budgets.items():
        print(f"{name}: {figures[name]:.2f} s of {budget} s allowed")
    line = {"at": datetime.now(UTC).isoformat(), **figures}
    with (ROOT / ".bench-history.jsonl").open("a") as history:
        history.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
