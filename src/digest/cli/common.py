"""What the commands share: options, output, runs, and who is acting."""

from __future__ import annotations

import getpass
import json
import sys
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from digest.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from digest.bootstrap import App
    from digest.config import Config
    from digest.recording import RunRecord

#: No blog is older, and no calendar arithmetic breaks before.
_FIRST_YEAR, _LAST_YEAR = 1970, 2999

#: Exit code of a command that did a part, or waits for a decision.
PARTIAL = 3

Home = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Folder with config/ and templates/. Default: DIGEST_HOME, or here."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
By = Annotated[str | None, typer.Option("--by", help="Who decides. Default: your login name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]
Series = Annotated[str | None, typer.Option("--series", help="Only this series, e.g. ipc.")]
Theme = Annotated[str | None, typer.Option("--theme", help="Only this theme, e.g. funding.")]


@contextmanager
def opened(home: Path | None) -> Iterator[App]:
    """The app of a home folder, with its logs."""
    from digest.bootstrap import bootstrap
    from digest.logs import logging_to

    with bootstrap(home) as app, logging_to(app.var / "log"):
        yield app


def say(text: str = "") -> None:
    """A line for the person at the terminal, on stdout."""
    print(text)


def note(text: str) -> None:
    """Progress and asides, on stderr."""
    print(text, file=sys.stderr)


def show(document: Any) -> None:
    """The one JSON document of a command."""
    print(json.dumps(document, ensure_ascii=False, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def finish(code: int) -> NoReturn:
    raise typer.Exit(code)


def who(by: str | None) -> str:
    """The acting person's name, for transitions and runs."""
    if by:
        # What is no UTF-8 on the command line could not be stored.
        return by.encode(errors="replace").decode()
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def moment(text: str | None, config: Config) -> datetime | None:
    """An ISO 8601 date or time; without an offset it is in the site's zone."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is not an ISO 8601 time such as 2026-11-23T08:00 or 2026-11-23"
        ) from None
    if not _FIRST_YEAR <= parsed.year <= _LAST_YEAR:
        raise UsageError(f"{text!r} lies outside the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=config.site.zone)


@contextmanager
def recorded(app: App, what: str, by: str | None, **parameters: Any) -> Iterator[RunRecord]:
    """Keep the run of a command: begun now, ended with what it says, or as failed."""
    from digest.recording import recorded as kept

    with kept(app, what, who(by), parameters) as record:
        yield record


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr where a person is watching; a call is one step."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)


def when(value: datetime | None, config: Config) -> str:
    """A time for people, in the site's zone."""
    return value.astimezone(config.site.zone).strftime("%a %d %b %Y %H:%M") if value else "-"


def table(rows: Sequence[tuple[str, ...]], heads: tuple[str, ...]) -> None:
    """A plain table: readable at 80 columns and in a log."""
    widths = [max(len(str(row[n])) for row in [heads, *rows]) for n in range(len(heads))]
    for row in [heads, *rows]:
        cells = (str(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())
