"""`digest backup` and `digest restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digest.cli.common import By, Home, Json, opened, recorded, say, show

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup, a .tar.gz file.")]


def backup(file: File, by: By = None, home: Home = None, as_json: Json = False) -> None:
    """Save database and signing secret in one file, consistent while everything runs.

    Example: digest backup backups/today.tar.gz
    """
    from digest.store.backup import backup as make_backup

    with opened(home) as app:
        file.parent.mkdir(parents=True, exist_ok=True)
        make_backup(app.store, app.secret_path, file, app.clock())
        # Recorded afterwards: a run under way would stand in the backup as one that was killed.
        with recorded(app, "backup", by):
            pass
    if as_json:
        show({"file": str(file), "bytes": file.stat().st_size})
    else:
        say(f"Saved to {file} ({file.stat().st_size:,} bytes).")
        say("It holds addresses and the signing secret: keep it safe.")


def restore(
    file: File,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what the database holds; who left stays away.")
    ] = False,
    by: By = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Bring back a backup, into SQLite or PostgreSQL, whichever config names now.

    Example: digest restore backups/today.tar.gz
    """
    from digest.store.backup import restore as bring_back

    with opened(home) as app:
        report = bring_back(file, app.store, app.secret_path, force=force)
        with recorded(app, "restore", by, force=force):
            pass
    if as_json:
        show({"file": str(file), "restored": True, "kept": report.kept})
        return
    say(f"Restored from {file}.")
    if report.kept:
        say(f"{report.kept} who left, were suppressed or erased since the backup stay away.")


def add_to(app: typer.Typer) -> None:
    app.command()(backup)
    app.command()(restore)
