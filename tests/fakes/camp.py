"""Fixtures of blockades, for the conftests that name them: homes are made once, to be copied."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from digest.sample.server import SampleServer
from fakes.blockade import Blockade, furnish, use_relay
from fakes.relay import Relay
from fakes.zygote import Zygote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import TypeAlias

    from sqlalchemy.engine import URL

    NewBlockade: TypeAlias = Callable[..., AbstractContextManager[Blockade]]

#: Databases to run on, for parametrized tests.
DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))


@dataclass
class Camp:
    """Home folders by what they hold: how many readers, whether issue 1 has begun, where."""

    zygote: Zygote
    folder: Path
    made: dict[tuple[int, bool, str], Path] = field(default_factory=dict)

    def home(self, readers: int, *, begun: bool, server: URL | None = None) -> Path:
        """A home folder with so many readers, on SQLite or in a database of its name.

        With `begun`, issue 1 is frozen, and its first mail is what comes next.
        """
        key = (readers, begun, "postgres" if server else "sqlite")
        if key not in self.made:
            home = self.folder / f"camp_{readers}_{begun}_{key[2]}".lower()
            furnish(home, readers)
            self._fill(home, _new_database(server, home.name) if server else "", begun=begun)
            self.made[key] = home
        return self.made[key]

    def _fill(self, home: Path, url: str, *, begun: bool) -> None:
        """Read the sample blog, let the readers in, make the issue."""
        more = {"environment": {"DIGEST_DATABASE_URL": url} if url else {}}
        more["out"] = str(home / "out.json")
        for arguments in (["ingest"], ["readers", "import", str(home / "readers.csv")]):
            orders = {**more, "arguments": arguments}
            assert self.zygote.run("digest", home, timedelta(), **orders) == 0
        if begun:
            assert self.zygote.run("begin", home, timedelta(), **more) == 0


def _new_database(server: URL, name: str) -> str:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    anchor = datetime.now(UTC)
    with SampleServer(anchor=anchor, now=lambda: anchor, port=0) as blog:
        environment = {**os.environ, "DIGEST_SAMPLE_PORT": blog.url.rsplit(":", 1)[1]}
        environment.pop("DIGEST_DATABASE_URL", None)
        with Zygote(environment) as started:
            yield started


@pytest.fixture(scope="session")
def camp(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Camp:
    return Camp(zygote, tmp_path_factory.mktemp("camp"))


@pytest.fixture
def besiege(camp: Camp, tmp_path: Path, request: pytest.FixtureRequest) -> NewBlockade:
    """Opens blockades: `with besiege("postgresql", readers=60) as blockade`.

    Until `begun` there are readers and posts, and no issue. `seconds` is how long the mailer
    waits for an answer, longer than any machine takes over a kill; unless it is `relayed`, mail
    stays in the local mailbox.
    """

    @contextmanager
    def begin(
        database: str = "sqlite",
        *,
        readers: int = 60,
        begun: bool = True,
        seconds: int = 60,
        relayed: bool = True,
    ) -> Iterator[Blockade]:
        url, server = None, None
        if database == "postgresql":
            server = request.getfixturevalue("_postgres")
        template = camp.home(readers, begun=begun, server=server)
        if server:
            copy = request.getfixturevalue("new_postgres")(template.name)
            url = copy.engine.url.render_as_string(hide_password=False)
        folder = Path(mkdtemp(dir=tmp_path))
        shutil.copytree(template, folder / "home")
        with Relay(folder / "taken.txt") as relay:
            if relayed:
                use_relay(folder / "home", relay.port, seconds=seconds)
            yield Blockade(folder / "home", camp.zygote, relay, url=url, readers=readers)

    return begin
