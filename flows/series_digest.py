"""Sends a whole series in reading order, less what each reader has had."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State  # noqa: TC002  Prefect reads every annotation

from digest_prefect.digesting import make_and_send
from digest_prefect.parameters import DryRun, Edition, Newsletter, Repeat, shown
from digest_prefect.running import running

Series = Annotated[str, shown("Series", "Which series to send.")]


@flow(name="series-digest")
def series_digest(
    series: Series,
    newsletter: Newsletter = "",
    repeat: Repeat = False,
    edition: Edition = 1,
    dry_run: DryRun = True,
) -> State[Any]:
    """Sends all of a series, from part 1 on, to those who follow it or want everything.

    Each reader gets the parts they have not had; **Repeat** sends it whole. The run waits,
    **Suspended**, until somebody presses **Resume** and decides.
    """
    with running() as run:
        return make_and_send(
            run,
            newsletter=newsletter,
            series=series,
            repeat=repeat,
            edition=edition,
            dry_run=dry_run,
        )
