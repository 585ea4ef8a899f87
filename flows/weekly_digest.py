"""Makes the issue of the current week, or month, of a newsletter, and sends it."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State  # noqa: TC002  Prefect reads every annotation

from digest_prefect.digesting import make_and_send
from digest_prefect.parameters import DryRun, Edition, Newsletter, shown
from digest_prefect.running import running

Rhythm = Annotated[str, shown("Rhythm", "For readers of this rhythm.")]


@flow(name="weekly-digest")
def weekly_digest(
    newsletter: Newsletter = "",
    rhythm: Rhythm = "weekly",
    edition: Edition = 1,
    dry_run: DryRun = True,
) -> State[Any]:
    """Picks what is new for the current week or month, and sends it to the newsletter's readers.

    Where the newsletter asks for approval, the run waits, **Suspended**, until somebody presses
    **Resume** and decides. Run again in the same period, it goes on with the same issue: nobody
    gets it twice.
    """
    with running() as run:
        return make_and_send(
            run, newsletter=newsletter, rhythm=rhythm, edition=edition, dry_run=dry_run
        )
