"""Runs flows one after the other in this process: `python -m digest_prefect.once FLOW JSON ...`.

For a single job without a served deployment: such runs are kept and shown like any other, but
cannot be suspended, so a draft waits for a decision by the command line.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.client.orchestration import get_client

from digest_prefect.deploying import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from prefect.client.schemas.objects import State


def run(home: Path, asked: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Run the flows in order; what came of each, until one fails."""
    for name, parameters in asked:
        flow: Any = load(home, name)
        state: State[Any] = flow(**parameters, return_state=True)
        yield _told(name, state)
        if not state.is_completed():
            return


def _told(name: str, state: State[Any]) -> dict[str, Any]:
    run_id = state.state_details.flow_run_id
    assert run_id is not None
    with get_client(sync_client=True) as client:
        run_name = client.read_flow_run(run_id).name
    return {
        "flow": name,
        "name": run_name,
        "id": str(run_id),
        "state": state.name,
        "message": state.message or "",
        "completed": state.is_completed(),
    }


def main(arguments: Sequence[str]) -> int:
    """One JSON object a line for each flow; 0 where all of them completed."""
    names, given = arguments[::2], arguments[1::2]
    home = Path(os.environ.get("DIGEST_HOME", ".")).resolve()
    asked = [(name, json.loads(text)) for name, text in zip(names, given, strict=True)]
    ended = []
    for told in run(home, asked):
        ended.append(told["completed"])
        print(json.dumps(told, ensure_ascii=False), flush=True)  # noqa: T201  what is asked for
    return 0 if all(ended) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
