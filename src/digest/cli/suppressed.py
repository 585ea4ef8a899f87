"""`digest readers list --suppressed` and `digest readers lift`: who is never mailed, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from digest.cli.common import By, Home, Json, finish, opened, recorded, say, show, table, when

if TYPE_CHECKING:
    from digest.bootstrap import App


def list_suppressed(app: App, *, as_json: bool) -> None:
    """All of them, the latest first."""
    from digest.store.suppressions import listed

    with app.store.read() as c:
        found = list(listed(c))
    if as_json:
        show([asdict(one) for one in found])
        return
    rows = [(one.address, when(one.at, app.config), one.origin, one.reason) for one in found]
    table(rows, ("address", "since", "by", "reason"))
    say(f"{len(found)} addresses.")


def lift(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="An e-mail address.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the run.")],
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Mail an address again that a mail server wrongly called dead.

    Complaints, and what was suppressed by hand, stay.

    Example: digest readers lift ann@example.org --reason "she wrote from it today"
    """
    from digest.readers.lifting import Lifted
    from digest.readers.lifting import lift as lift_step

    with opened(home) as app, recorded(app, "readers lift", by) as run:
        result = lift_step(app.store, address, reason, app.clock())
        run.counts, run.reason = {str(result.outcome): 1}, reason
    if as_json:
        show({"outcome": str(result.outcome), "message": result.message})
    else:
        say(f"{result.message[:1].upper()}{result.message[1:]}.")
    if result.outcome is not Lifted.LIFTED:
        finish(2)


def add_to(app: typer.Typer) -> None:
    app.command()(lift)
