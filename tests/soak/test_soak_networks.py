"""SIGKILL at every step of publishing on X and Mastodon: no snippet twice, none lost, none unseen.

A few here; many more with `make soak`.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from fakes.siege import LEDGER_STEPS, moments

#: What publishes, and what is asked before it.
CREATE = {"x": "POST /2/tweets", "mastodon": "POST /api/v1/statuses"}
UPLOAD = {"x": "POST /2/media/upload", "mastodon": "POST /api/v2/media"}
NETWORKS = ("x", "mastodon")
SEED = 20261122


@pytest.mark.parametrize("network", NETWORKS)
def test_undisturbed_it_is_all_out_in_one_run(besieged, network):
    with besieged(network) as (siege, _):
        siege.publish()
        siege.check()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_a_create(besieged, network, moment):
    with besieged(network) as (siege, _):
        assert siege.publish_and_kill_at(moment, CREATE[network], 3)
        siege.until_done()
        siege.check()
