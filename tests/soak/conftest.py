"""Home folders that publish on X and Mastodon as they stand on this machine."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from fakes.camp import besiege, camp, zygote
from fakes.mastodon import mastodon_server
from fakes.pds import running_pds
from fakes.proxy import proxied
from fakes.siege import Post, Siege, channel_toml, new_home
from fakes.x import x_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.zygote import Zygote

#: Of deliveries, and a zygote for all.
__all__ = ["besiege", "camp", "zygote"]


@pytest.fixture(scope="session")
def planned(zygote: Zygote, tmp_path_factory) -> Callable[[str], Path]:
    """A home folder for a network, with two threads planned; made once, to be copied."""
    homes: dict[str, Path] = {}
    keys = {
        "x": 'consumer_key = "k"\nconsumer_secret = "k"\naccess_token = "1-k"\n'
        'access_token_secret = "k"',
        "mastodon": 'url = "http://127.0.0.1:9"\naccess_token = "k"',
        "bluesky": 'identifier = "k"\napp_password = "k"',
    }

    def home_of(network: str) -> Path:
        if network not in homes:
            folder = tmp_path_factory.mktemp(network)
            homes[network] = new_home(folder, channel_toml(network, keys[network]), zygote)
        return homes[network]

    return home_of


@pytest.fixture
def besieged(zygote: Zygote, planned, tmp_path, request) -> Callable[[str], Siege]:
    """A context of a siege on a network: `with besieged("x") as (siege, server)`."""
    servers = {"x": _x, "mastodon": _mastodon, "bluesky": lambda: _bluesky(request)}

    @contextmanager
    def begin(network: str) -> Iterator[tuple[Siege, object]]:
        home = Path(mkdtemp(dir=tmp_path)) / "home"
        shutil.copytree(planned(network), home)
        with servers[network]() as (server, account, posts, move), proxied(server.url) as proxy:
            text = channel_toml(network, account.replace(server.url, proxy.url))
            (home / "config" / "channels.toml").write_text(text)
            yield Siege(home, zygote, proxy, posts, move), server

    return begin


@contextmanager
def _x():
    moved = [timedelta()]

    def move(time: timedelta) -> None:
        moved[0] += time

    with x_server(clock=lambda: datetime.now(UTC) + moved[0]) as server:
        account = server.account()
        keys = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
        lines = [f'{key} = "{getattr(account, key).get_secret_value()}"' for key in keys]
        table = "\n".join([*lines, f'api_url = "{account.api_url}"'])

        def posts() -> list[Post]:
            return [Post(post.id, post.text, post.parent) for post in server.posts]

        yield server, table, posts, move


@contextmanager
def _mastodon():
    with mastodon_server() as server:
        account = server.account()
        token = account.access_token.get_secret_value()
        table = f'url = "{account.url}"\naccess_token = "{token}"'

        def posts() -> list[Post]:
            return [Post(one.id, one.text, one.in_reply_to_id) for one in server.statuses.values()]

        yield server, table, posts, server.move


@pytest.fixture(scope="session")
def pds():
    with running_pds() as running:
        yield running


@contextmanager
def _bluesky(request):
    account = request.getfixturevalue("pds").account()
    table = (
        f'identifier = "{account.handle}"\napp_password = "{account.password}"\n'
        f'service = "{account.pds}"'
    )

    def posts() -> list[Post]:
        return [
            Post(one["uri"], one["value"]["text"], _parent(one["value"].get("reply")))
            for one in account.posts()
        ]

    server = SimpleNamespace(url=account.pds, account=account)
    # Its clock is the machine's.
    yield server, table, posts, lambda time: None


def _parent(reply: dict | None) -> str | None:
    return reply["parent"]["uri"] if reply else None
