"""`digest overdue`: the alarm that needs nothing but the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from digest.cli.common import PARTIAL, Home, Json, finish, note, opened, say, show, when

if TYPE_CHECKING:
    import typer

    from digest.config import Config
    from digest.overdue import Overdue


def overdue(home: Home = None, as_json: Json = False) -> None:
    """Say which issues were due and are neither sent, held nor skipped; changes nothing.

    Made for cron or a systemd timer: it asks config and the database alone, so it tells of a dead
    Prefect too. Exit code 0: nothing is overdue; 3: something is; 2: configuration is wrong;
    1: the database cannot be read.

    Example: digest overdue
    """
    from sqlalchemy.exc import DBAPIError

    from digest.logs import mask

    try:
        found, config = _look(home)
    except (DBAPIError, OSError) as error:
        why = " ".join(mask(str(getattr(error, "orig", error))).split())
        note(f"digest: the database cannot be read: {why}")
        finish(1)
    if as_json:
        show({"overdue": [_json(each) for each in found]})
    else:
        for each in found:
            say(_sentence(each, config))
        if not found:
            say("Nothing is overdue.")
    if found:
        finish(PARTIAL)


def _look(home: Any) -> tuple[list[Overdue], Config]:
    from digest.overdue import overdue as look

    with opened(home) as app:
        return look(app.store, app.config, app.clock()), app.config


def _sentence(each: Overdue, config: Config) -> str:
    due = when(each.due, config)
    return f"{each.name} was due on {due}: {each.why}. To do: {each.remedy}"


def _json(each: Overdue) -> dict[str, Any]:
    return {
        "newsletter": each.newsletter,
        "scope": each.scope,
        "period": each.period,
        "due": each.due,
        "issue": each.issue,
        "state": each.state,
        "why": each.why,
    }


def add_to(app: typer.Typer) -> None:
    app.command()(overdue)
