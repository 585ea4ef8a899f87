"""A home folder, the sample blog on loopback, and the command line as its user calls it."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from digest.cli import main
from digest.sample.server import SampleServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import EmailMessage

ROOT = Path(__file__).parents[2]


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Blog:
    """The sample blog, with a clock of its own that tests may turn."""

    server: SampleServer
    anchor: datetime
    moment: list[datetime]
    #: What home folders kept that did something with it, by its name, and what came of that.
    stock: dict[str, tuple[Path, Any]] = field(default_factory=dict)

    def turn(self, **delta: float) -> None:
        self.moment[0] += timedelta(**delta)

    @property
    def changed(self) -> bool:
        """Whether a test turned its clock, or had it say something else, or stopped it."""
        try:
            assert self.server.url
        except RuntimeError:
            return True
        turned = self.moment[0] != self.anchor
        return turned or bool(self.server.withdrawn or self.server.overrides)


@dataclass
class Desk:
    """A home folder and its commands."""

    home: Path
    as_of: str
    mails_seen: set[str] = field(default_factory=set)

    def run(self, *arguments: str, code: int | None = 0) -> Done:
        """Run a command; None stands for any exit code."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main([*arguments, "--home", str(self.home)])
                ended = 0
            except SystemExit as exit_:
                ended = int(exit_.code or 0)
        done = Done(ended, out.getvalue(), err.getvalue())
        assert code in {None, done.code}, f"{arguments}: {done}"
        return done

    def json(self, *arguments: str, code: int = 0) -> Any:
        return self.run(*arguments, "--json", code=code).json

    def send(self, *arguments: str, code: int = 0) -> Any:
        return self.json("send", "weekly", "--as-of", self.as_of, *arguments, code=code)

    def approve_and_deliver(self, issue: int, code: int = 0) -> Any:
        self.run("approve", str(issue), "--by", "Maya")
        return self.json("deliver", str(issue), code=code)

    def mails(self) -> dict[str, EmailMessage]:
        """What has arrived since the last look, by recipient."""
        new = {}
        for path in sorted((self.home / "var" / "mail" / "new").iterdir()):
            if path.name in self.mails_seen:
                continue
            self.mails_seen.add(path.name)
            message = message_from_bytes(path.read_bytes(), policy=default)
            assert message["To"] not in new, "one reader got two mails"
            new[message["To"]] = message
        return new

    def configure(self, file: str, before: str, after: str) -> None:
        path = self.home / "config" / file
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")


@pytest.fixture(scope="session")
def _blogs() -> Iterator[list[Blog]]:
    """The blog that is served, if there is one."""
    served: list[Blog] = []
    yield served
    for blog in served:
        blog.server.stop()


@pytest.fixture
def blog(_blogs: list[Blog]) -> Iterator[Blog]:
    """The sample blog; who comes next has the same one, unless it was changed."""
    if not _blogs:
        anchor = datetime.now(UTC).replace(microsecond=0)
        moment = [anchor]
        server = SampleServer(anchor=anchor, now=lambda: moment[0], port=0)
        server.start()
        _blogs.append(Blog(server, anchor, moment))
    [blog] = _blogs
    yield blog
    if blog.changed:
        blog.server.stop()
        _blogs.clear()


@pytest.fixture
def desk(tmp_path: Path, blog: Blog, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A home folder that knows the blog, before anything was read."""
    home = tmp_path / "home"
    shutil.copytree(ROOT / "config", home / "config")
    shutil.copytree(ROOT / "templates", home / "templates")
    monkeypatch.setenv("DIGEST_SAMPLE_PORT", blog.server.url.rsplit(":", 1)[1])
    monkeypatch.delenv("DIGEST_DATABASE_URL", raising=False)
    return Desk(home, blog.anchor.isoformat())


@pytest.fixture
def readers_csv() -> str:
    """The sample blog's readers."""
    return str(files("digest.sample") / "subscribers.csv")


@pytest.fixture
def grown(desk: Desk, blog: Blog, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Does something in the home folder, or copies what came of it the last time.

    Before anything of the folder is opened: its `var` is replaced.
    """

    def grow(name: str, do: Callable[[], Any]) -> Any:
        var = desk.home / "var"
        if name not in blog.stock:
            answer = do()
            folder = tmp_path_factory.mktemp(name) / "var"
            shutil.copytree(var, folder)
            blog.stock[name] = folder, answer
        else:
            folder, answer = blog.stock[name]
            shutil.rmtree(var, ignore_errors=True)
            shutil.copytree(folder, var)
        return answer

    return grow


@pytest.fixture
def stocked(desk: Desk, grown: Callable[..., Any], readers_csv: str) -> Desk:
    """The blog was read and its readers imported."""

    def fill() -> None:
        desk.run("ingest")
        desk.run("readers", "import", readers_csv)

    grown("stocked", fill)
    return desk


@pytest.fixture
def drafted(stocked: Desk, grown: Callable[..., Any]) -> int:
    """The number of the week's issue, of which nobody decided anything yet."""
    return int(grown("drafted", lambda: stocked.send(code=3)["issue"]))


@pytest.fixture
def delivered(stocked: Desk, drafted: int, grown: Callable[..., Any]) -> int:
    """The number of the week's issue, which went out; nobody looked at its mails yet."""
    grown("delivered", lambda: stocked.approve_and_deliver(drafted))
    return drafted
