"""Starts the parts in order, looks after them, and ends them in the opposite order."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from digest import locks
from digest.errors import ConfigError, DigestError, UsageError
from digest.files import make_folder, replace_text
from digest.settings import missing_flows
from digest.store.engine import EMBEDDED
from digest.up import parts
from digest.up.child import ChildError, end_leftover, how_it_ended, launch, start, stop, wait_until
from digest.up.connection import Connection, connection_left, connection_path, write_connection
from digest.up.environment import sqlite_url
from digest.up.place import Place
from digest.up.ports import (
    HOST,
    PAGES_CURE,
    PREFECT_CURE,
    free_port,
    pages_port,
    prefect_port,
    require_free,
    require_two,
)
from digest.up.postgres import PostgresError, clear_away, start_postgres
from digest.up.privacy import keep_to_itself
from digest.up.restarts import wait_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from types import FrameType

    from sqlalchemy.engine import URL

    from digest.config import Config
    from digest.up.child import Child, Program

#: In this order they are stopped, and those of an earlier supervisor that was killed ended.
STOPPING = ("web", "flows", "prefect-server", "postgres")

#: What the catalogue ends with where config or a flow's file is wrong.
_MISCONFIGURED = 2

#: How often the children are looked at.
_ROUND_SECONDS = 0.25


class StoppedError(DigestError):
    """Somebody asked to stop before all was ready."""


class GaveUpError(DigestError):
    """A child died again and again."""


@dataclass(slots=True)
class Wish:
    """Whether somebody wants us to stop, and how soon."""

    asked: int = 0

    def to_stop(self) -> bool:
        return self.asked > 0

    def to_hurry(self) -> bool:
        return self.asked > 1

    def check(self) -> None:
        if self.asked:
            raise StoppedError("stopped before it was ready")


@contextmanager
def listening(wish: Wish) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal are wishes while the block runs."""

    def ask(_number: int, _frame: FrameType | None) -> None:
        wish.asked += 1

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(slots=True)
class Team:
    """The children under way, by name."""

    tell: Callable[[str], None]
    children: dict[str, Child] = field(default_factory=dict)
    deaths: dict[str, list[float]] = field(default_factory=dict)
    """When each died, on the monotonic clock; those of the dead that wait are the last."""

    def add(self, child: Child) -> Child:
        self.children[child.program.name] = child
        return child

    def look_after(self, now: float) -> None:
        """Start those again that died and whose time has come. Raises GaveUpError."""
        for name, child in self.children.items():
            code = child.ended()
            if code is None:
                continue
            deaths = self.deaths.setdefault(name, [])
            if not deaths or deaths[-1] < child.launched:
                self._note_death(child.program, how_it_ended(code), now)
            wait = wait_after(deaths, now) or 0.0
            if now >= deaths[-1] + wait and child.program.may_start():
                self._start_again(child.program, now)

    def _start_again(self, program: Program, now: float) -> None:
        try:
            self.add(launch(program))
        except ChildError as error:
            self._note_death(program, f"did not start: {error}", now)
        else:
            self.tell(f"Started {program.title} again")

    def _note_death(self, program: Program, how: str, now: float) -> None:
        deaths = self.deaths.setdefault(program.name, [])
        deaths.append(now)
        self.tell(f"{_first_up(program.title)} {how}; its log: {program.log}")
        wait = wait_after(deaths, now)
        if wait is None:
            raise GaveUpError(f"{program.title} died again and again; see {program.log}")
        self.tell(f"Starting {program.title} again in {wait:.0f} s")

    def stop(self, hurry: Callable[[], bool]) -> None:
        """End them all, in order."""
        if self.children:
            self.tell("Stopping; Ctrl-C again to hurry")
        for name in STOPPING:
            child = self.children.pop(name, None)
            if child is not None:
                stop(child, hurry)


@dataclass(frozen=True, slots=True)
class Up:
    """What runs, and where it answers."""

    place: Place
    connection: Connection
    pages_url: str
    database: str
    """What Prefect runs on: `postgresql` or `sqlite`."""
    flows: int
    team: Team

    def look_after_until(self, done: Callable[[], bool]) -> None:
        """Keep the children alive. Raises GaveUpError."""
        while not done():
            self.team.look_after(time.monotonic())
            time.sleep(_ROUND_SECONDS)


@contextmanager
def running(
    home: Path,
    config: Config,
    *,
    port: int | None = None,
    environ: Mapping[str, str] = os.environ,
    tell: Callable[[str], None] = lambda _: None,
    wish: Wish | None = None,
) -> Iterator[Up]:
    """All of it, ready; stopped at the end of the block, in the opposite order.

    Raises UsageError and ConfigError for what the operator can cure, ChildError for a part that
    did not start, StoppedError where `wish` came before all was ready.
    """
    wish = wish or Wish()
    place = Place(home)
    api_port, web_port = prefect_port(config, port), pages_port(config)
    require_two(api_port, web_port)
    if missing := missing_flows(home):
        raise ConfigError(missing)
    with alone(place), ExitStack() as afterwards, ExitStack() as stack:
        _end_leftovers(place, tell)
        require_free(api_port, "Prefect", PREFECT_CURE)
        require_free(web_port, "the pages", PAGES_CURE)
        connection = Connection(f"http://{HOST}:{api_port}/api", parts.load_password(place))
        flows = parts.flows(place, connection, environ)
        team = Team(tell)
        stack.callback(team.stop, wish.to_hurry)
        stack.callback(connection_path(home).unlink, missing_ok=True)
        starting = _Starting(team, tell, wish)

        url = _databases(starting, afterwards, place, config, environ)
        _migrate(home)
        pages = starting.launch(parts.web(place, connection, web_port, environ))
        starting.launch_and_wait(
            parts.server(place, connection, url, environ),
            lambda _: parts.server_ready(connection),
            parts.SERVER_SECONDS,
        )
        keep_to_itself(place, connection)
        write_connection(home, connection)
        runner = _serve(starting, flows, connection)
        starting.wait(pages, lambda _: parts.web_ready(web_port), parts.WEB_SECONDS)
        yield Up(
            place=place,
            connection=connection,
            pages_url=f"http://{HOST}:{web_port}/",
            database=url.get_backend_name(),
            flows=parts.flows_served(runner.said()) or 0,
            team=team,
        )


@contextmanager
def prefect_server(
    folder: Path,
    *,
    port: int | None = None,
    environ: Mapping[str, str] = os.environ,
    wish: Wish | None = None,
) -> Iterator[Connection]:
    """Prefect's server alone, on SQLite in `folder`/var: for a single job, and for tests.

    Without `port` it takes a free one. Raises UsageError where that is taken or where
    `digest up` runs on the folder, ChildError where it does not start.
    """
    place, wish = Place(folder), wish or Wish()
    port = port or free_port()
    with alone(place):
        _end_leftovers(place, lambda _: None)
        require_free(port, "Prefect", PREFECT_CURE)
        connection = Connection(f"http://{HOST}:{port}/api", parts.load_password(place))
        program = parts.server(place, connection, sqlite_url(place), environ)
        child = start(
            program, lambda: parts.server_ready(connection), parts.SERVER_SECONDS, wish.check
        )
        try:
            keep_to_itself(place, connection)
            write_connection(folder, connection)
            yield connection
        finally:
            connection_path(folder).unlink(missing_ok=True)
            stop(child, wish.to_hurry)


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """Be the one supervisor of this home. Raises UsageError where another one runs."""
    make_folder(place.var)
    try:
        place.make()
        handle = locks.take(place.run / "up.lock")
    except OSError as error:
        raise UsageError(f"cannot write to {place.var}: {error.strerror or error}") from error
    if handle is None:
        raise UsageError(_runs_already(place))
    try:
        locks.sign(handle, os.getpid())
        yield
    finally:
        os.close(handle)


def require_alone(place: Place) -> None:
    """Raises UsageError where a supervisor of this home runs already."""
    if locks.is_held(place.run / "up.lock"):
        raise UsageError(_runs_already(place))


def _runs_already(place: Place) -> str:
    pid = locks.holder(place.run / "up.lock")
    left = connection_left(place.home)
    look = f"open {left.ui_url}, or " if left else ""
    return (
        f"digest up runs already on {place.home}: process {pid}; {look}stop it with Ctrl-C there "
        f"or kill -INT {pid}"
    )


@dataclass(frozen=True, slots=True)
class _Starting:
    """How the parts are brought up, with a line for each."""

    team: Team
    tell: Callable[[str], None]
    wish: Wish

    def launch(self, program: Program) -> Child:
        self.wish.check()
        self.tell(f"Starting {program.title} ...")
        return self.team.add(launch(program))

    def launch_and_wait(
        self, program: Program, ready: Callable[[Child], bool], seconds: float
    ) -> Child:
        child = self.launch(program)
        self.wait(child, ready, seconds)
        return child

    def wait(self, child: Child, ready: Callable[[Child], bool], seconds: float) -> None:
        began = time.monotonic()
        wait_until(lambda: ready(child), child, seconds, self.wish.check)
        took = time.monotonic() - began
        self.tell(f"{_first_up(child.program.title)}: ready ({took:.1f} s)")


def _serve(starting: _Starting, flows: Program, connection: Connection) -> Child:
    """Start the runner. What the catalogue found wrong with config is the operator's to cure."""
    try:
        return starting.launch_and_wait(
            flows, lambda child: parts.flows_ready(child, connection), parts.RUNNER_SECONDS
        )
    except ChildError as error:
        if error.code == _MISCONFIGURED:
            raise UsageError(str(error)) from error
        raise


def _databases(
    starting: _Starting,
    afterwards: ExitStack,
    place: Place,
    config: Config,
    environ: Mapping[str, str],
) -> URL:
    """Start PostgreSQL where it is wanted; the URL of Prefect's database."""
    ours = (environ.get("DIGEST_DATABASE_URL") or config.store.url) == EMBEDDED
    if config.prefect.database == "sqlite" and not ours:
        return sqlite_url(place)
    began = time.monotonic()
    starting.tell("Starting PostgreSQL ...")
    try:
        postgres = start_postgres(place, environ, starting.wish.check)
    except PostgresError as error:
        if ours:
            raise UsageError(
                f"[store] url is {EMBEDDED!r}, and PostgreSQL does not run here: {error}"
            ) from error
        starting.tell(_fallback_warning(error))
        return sqlite_url(place)
    starting.team.add(postgres.child)
    afterwards.callback(clear_away, postgres)
    here = postgres.url("postgresql+psycopg", "digest").render_as_string(hide_password=False)
    replace_text(place.postgres_url, here, mode=0o600)
    afterwards.callback(place.postgres_url.unlink, missing_ok=True)
    starting.tell(f"PostgreSQL: ready ({time.monotonic() - began:.1f} s)")
    if config.prefect.database == "sqlite":
        return sqlite_url(place)
    return postgres.url("postgresql+asyncpg", "prefect")


def _fallback_warning(error: PostgresError) -> str:
    return (
        f"Warning: Prefect runs on SQLite, because PostgreSQL does not run here: {error}\n"
        "  All works, but an editor's Resume may be refused now and then with an error: press it "
        "again.\n  Runs that Prefect kept in PostgreSQL before are not seen meanwhile."
    )


def _migrate(home: Path) -> None:
    """Bring our own database to its newest form before several children open it at once."""
    from digest.bootstrap import bootstrap

    with bootstrap(home):
        pass


def _end_leftovers(place: Place, tell: Callable[[str], None]) -> None:
    """End what a supervisor that was killed left running."""
    for name in STOPPING:
        end_leftover(
            parts.TITLES[name],
            place.lock(name),
            signal.SIGINT if name == "postgres" else signal.SIGTERM,
            tell,
            followers_first=name == "flows",
        )


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]
