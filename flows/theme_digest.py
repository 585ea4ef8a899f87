"""Sends all posts on a theme, oldest first, less what each reader has had."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State  # noqa: TC002  Prefect reads every annotation

from digest_prefect.digesting import make_and_send
from digest_prefect.parameters import DryRun, Edition, Newsletter, Repeat, shown
from digest_prefect.running import running

Theme = Annotated[str, shown("Theme", "Which theme to send.")]


@flow(name="theme-digest")
def theme_digest(
    theme: Theme,
    newsletter: Newsletter = "",
    repeat: Repeat = False,
    edition: Edition = 1,
    dry_run: DryRun = True,
) -> State[Any]:
    """Sends all posts on a theme, oldest first, to those who follow it or want everything.

    Each reader gets the posts they have not had; **Repeat** sends it whole. The run waits,
    **Suspended**, until somebody presses **Resume** and decides.
    """
    with running() as run:
        return make_and_send(
            run,
            newsletter=newsletter,
            theme=theme,
            repeat=repeat,
            edition=edition,
            dry_run=dry_run,
        )
