"""Small children to look after, and the config of the sample blog."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from digest.up.child import Program

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sample_config(tmp_path: Path) -> Path:
    """A home folder with the config that the project ships."""
    home = tmp_path / "sample"
    shutil.copytree(ROOT / "config", home / "config")
    return home


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., Program]:
    """Makes a program of a line of shell."""

    def make(line: str, **changes: Any) -> Program:
        program = Program(
            name="part",
            title="the part",
            command=("/bin/sh", "-c", line),
            environment=dict(os.environ),
            cwd=tmp_path,
            log=tmp_path / "part.log",
            lock=tmp_path / "up-part.lock",
            patience=5,
            stop_signal=signal.SIGTERM,
        )
        return replace(program, **changes)

    return make
