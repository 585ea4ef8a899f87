"""Where `digest up` keeps what it runs: everything below the home folder's var/."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """The folders and files of one home."""

    home: Path

    @property
    def var(self) -> Path:
        return self.home / "var"

    @property
    def run(self) -> Path:
        """Locks, and where a running PostgreSQL is reached."""
        return self.var / "run"

    @property
    def logs(self) -> Path:
        return self.var / "log"

    @property
    def prefect(self) -> Path:
        """PREFECT_HOME of everything started here."""
        return self.var / "prefect"

    @property
    def prefect_ui(self) -> Path:
        """The pages that Prefect's server copies for itself."""
        return self.prefect / "ui"

    @property
    def password(self) -> Path:
        return self.prefect / "password"

    @property
    def postgres(self) -> Path:
        return self.var / "postgres"

    @property
    def postgres_url(self) -> Path:
        """The URL of digest's own database, while PostgreSQL runs."""
        return self.run / "postgres.url"

    @property
    def catalogue(self) -> Path:
        return self.home / "deploy" / "catalogue.py"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def lock(self, name: str) -> Path:
        return self.run / f"up-{name}.lock"

    def make(self) -> None:
        for folder in (self.run, self.logs, self.prefect):
            folder.mkdir(parents=True, exist_ok=True)
        # Its database holds what runs logged, its connection.json the password.
        self.prefect.chmod(0o700)
        # Logs hold no addresses; but what a library writes there nobody else need read.
        self.logs.chmod(0o700)
