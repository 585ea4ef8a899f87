"""SIGKILL at every step of publishing on X and Mastodon: no snippet twice, none lost, none unseen.

A few here; many more with `make soak`. Every kill is a real one, of a real process, and the
networks' servers count what they took.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from fakes.siege import LEDGER_STEPS, Post, moments

NETWORKS = ("x", "mastodon")
#: The call that publishes, and the first of an upload.
CREATE = {"x": "POST /2/tweets", "mastodon": "POST /api/v1/statuses"}
UPLOAD = {"x": "POST /2/media/upload", "mastodon": "POST /api/v2/media"}
SEED = 20261122
#: After so long every window of a network is open again.
A_WINDOW = timedelta(minutes=31)

#: What the line to the network does, once, at the second create.
LINE_FAULTS = ("hang-after", "502-after", "drop-after", "cut-after", "503-before", "drop-before")


class Trouble:
    """Something wrong with the network itself, put right later."""

    def __init__(self, name, network, siege, server) -> None:
        self.name, self.network, self.siege, self.server = name, network, siege, server

    def begin(self) -> None:
        if self.name in LINE_FAULTS:
            self.siege.proxy.fail(self.name, CREATE[self.network])
        else:
            getattr(self, f"_{self.name}")()

    def end(self) -> None:
        getattr(self, f"_no_{self.name}", lambda: None)()

    def _throttled(self) -> None:
        if self.network == "x":
            self.server.limits["post"] = 3
        else:
            self.server.windows["post"] = (3, timedelta(minutes=30))

    def _no_throttled(self) -> None:
        """Nothing is put right: the windows open again by themselves."""
        self.siege.later(A_WINDOW)

    def _unpaid(self) -> None:
        self.server.credits = Decimal("0.05")

    def _no_unpaid(self) -> None:
        self.server.credits = None

    def _expired(self) -> None:
        if self.network == "x":
            self.tokens = dict(self.server.keys.tokens)
            self.server.keys.tokens.clear()
        else:
            self.tokens, self.server.token = self.server.token, "another"

    def _no_expired(self) -> None:
        if self.network == "x":
            self.server.keys.tokens.update(self.tokens)
        else:
            self.server.token = self.tokens

    def _behind(self) -> None:
        """Timelines lag behind for minutes, and the answer of a create is lost."""
        self.server.lag = 200.0
        self.siege.proxy.fail("hang-after", CREATE[self.network])


TROUBLES = {
    "x": (*LINE_FAULTS, "throttled", "unpaid", "expired", "behind"),
    "mastodon": (*LINE_FAULTS, "throttled", "expired"),
}
#: Where a kill falls: at a request, or where the ledger looks so.
KILLS = {
    "before the upload": lambda s, n: s.publish_and_kill_at("before", UPLOAD[n]),
    "after the upload": lambda s, n: s.publish_and_kill_at("after", UPLOAD[n]),
    "before the first": lambda s, n: s.publish_and_kill_at("before", CREATE[n], 1),
    "after the first": lambda s, n: s.publish_and_kill_at("after", CREATE[n], 1),
    "before the third": lambda s, n: s.publish_and_kill_at("before", CREATE[n], 3),
    "after the third": lambda s, n: s.publish_and_kill_at("after", CREATE[n], 3),
    "after the fifth": lambda s, n: s.publish_and_kill_at("after", CREATE[n], 5),
    **{
        f"when {name}": lambda s, n, query=query: s.publish_and_kill_when(query)
        for name, query in LEDGER_STEPS.items()
    },
}


def survive(siege, network, kill, trouble=None) -> None:
    """Trouble, a kill in it, another run in it, trouble over: all is out, each once."""
    if trouble:
        trouble.begin()
    KILLS[kill](siege, network)
    siege.publish()
    if trouble:
        trouble.end()
    siege.until_done()
    siege.check()


@pytest.mark.parametrize("network", NETWORKS)
def test_undisturbed_it_is_all_out_in_one_run_and_read_back(besieged, network):
    with besieged(network) as (siege, _):
        siege.publish()
        siege.check()
        siege.publish()
        assert siege.rows("SELECT differs FROM threads WHERE proved_at IS NOT NULL") == [
            (None,),
            (None,),
        ]


@pytest.mark.parametrize(
    ("network", "kill", "name"),
    [
        ("x", "before the third", None),
        ("x", "after the third", "hang-after"),
        ("x", "after the first", "behind"),
        ("x", "when submitting", "unpaid"),
        ("mastodon", "after the third", None),
        ("mastodon", "before the first", "502-after"),
        ("mastodon", "after the upload", "throttled"),
        ("mastodon", "when submitting", "expired"),
    ],
)
def test_a_few_kills(besieged, network, kill, name):
    with besieged(network) as (siege, server):
        survive(siege, network, kill, Trouble(name, network, siege, server) if name else None)


@pytest.mark.soak
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("turn", "kill"), list(enumerate(KILLS)))
def test_every_kill_in_a_third_of_the_troubles(besieged, network, turn, kill):
    """By turns: each trouble meets four of the kills, at requests and by what the ledger shows."""
    for name in (None, *TROUBLES[network][turn % 3 :: 3]):
        with besieged(network) as (siege, server):
            survive(siege, network, kill, Trouble(name, network, siege, server) if name else None)


@pytest.mark.soak
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", range(SEED, SEED + 5))
def test_kills_at_random(besieged, network, seed):
    with besieged(network) as (siege, _):
        for moment in moments(5, seed, 0.9):
            siege.publish_and_kill_after(moment)
        siege.until_done()
        siege.check()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_a_server_that_ignores_keys_gets_nothing_twice(besieged, seed):
    with besieged("mastodon") as (siege, server):
        server.ignores_keys = True
        for moment in moments(3, seed, 0.9):
            siege.publish_and_kill_after(moment)
        siege.proxy.fail("502-after", CREATE["mastodon"])
        siege.until_done()
        siege.check()


@pytest.mark.parametrize("network", NETWORKS)
def test_credentials_that_are_no_longer_taken_stop_the_channel_and_are_told_once(besieged, network):
    with besieged(network) as (siege, server):
        Trouble("expired", network, siege, server).begin()
        for _ in range(3):
            siege.publish()
        notices = [notice for told in siege.told() for notice in told["notices"]]
        assert len(notices) == 1
        assert "main was stopped" in notices[0]
        assert siege.posts() == []


def test_a_text_that_x_has_from_before_is_refused_and_the_broken_thread_told(besieged):
    with besieged("x") as (siege, server):
        (text,) = siege.rows("SELECT text FROM publications WHERE thread_id = 1 AND position = 3")[
            0
        ]
        server.say(text)
        for _ in range(5):
            siege.publish()
            siege.later(timedelta(minutes=10))
        mine = [post for post in siege.posts() if post.text != text or post.parent]
        assert [type(post) for post in mine] == [Post] * len(mine)
        states = [state for _, _, state, *_ in siege.states()]
        assert states[:4] == ["submitted", "submitted", "refused", "cancelled"]
        notices = " ".join(notice for told in siege.told() for notice in told["notices"])
        assert "2 of 4 snippets are out" in notices
        # The next thread goes on behind what is out.
        assert states[4:] == ["submitted"] * 4
