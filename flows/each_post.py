"""Mails the next post to the readers who take each post by itself."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State  # noqa: TC002  Prefect reads every annotation

from digest_prefect.digesting import send_next_post
from digest_prefect.parameters import DryRun, Newsletter  # noqa: TC001  as above
from digest_prefect.running import running


@flow(name="each-post")
def each_post(newsletter: Newsletter = "", dry_run: DryRun = True) -> State[Any]:
    """Sends the oldest new post that has had no mail of its own, to readers of each post.

    One post a run; nothing that came before the first run. Where the newsletter asks for approval,
    the run waits, **Suspended**, until somebody presses **Resume** and decides.
    """
    with running() as run:
        return send_next_post(run, newsletter=newsletter, dry_run=dry_run)
