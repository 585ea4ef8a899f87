"""The local mailbox and the threads' preview page, as the commands make them, in a browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from digest.sample.server import SampleServer

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
AS_OF = "2026-11-22T17:00:00+00:00"


@pytest.fixture(scope="module")
def home(blog: SampleServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder after the main job."""
    folder = tmp_path_factory.mktemp("home")
    for part in ("config", "templates"):
        shutil.copytree(ROOT / part, folder / part)
    environment = {**os.environ, "DIGEST_SAMPLE_PORT": blog.url.rsplit(":", 1)[1]}
    environment.pop("DIGEST_DATABASE_URL", None)
    for arguments in (
        ("ingest",),
        ("readers", "import", str(files("digest.sample") / "subscribers.csv")),
        ("send", "weekly", "--as-of", AS_OF),
        ("approve", "1"),
        ("deliver", "1"),
        ("social", "plan", "--series", "pbr"),
    ):
        command = [sys.executable, "-m", "digest", *arguments, "--home", str(folder)]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert done.returncode in {0, 3}, done.stderr.decode()
    return folder


@pytest.fixture(params=["mail/index.html", "social/index.html"])
def address(request: pytest.FixtureRequest, home: Path) -> str:
    return (home / "var" / request.param).as_uri()


@pytest.fixture(params=[(320, "dark"), (375, "light"), (1280, "dark"), (1280, "light")], ids=str)
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


def test_a_page_fits_its_window(page: Page) -> None:
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0


def test_axe_finds_nothing_serious(page: Page) -> None:
    assert AXE.exists(), f"{AXE} is missing: npm install --no-save axe-core"
    page.evaluate(AXE.read_text(encoding="utf-8"))
    violations = page.evaluate("axe.run().then((result) => result.violations)")
    serious = [v["id"] for v in violations if v["impact"] in {"serious", "critical"}]
    assert serious == []


def test_the_pages_show_what_was_made(browser: Browser, home: Path) -> None:
    page = browser.new_page()
    page.goto((home / "var" / "mail" / "index.html").as_uri())
    assert page.locator("li, tr, article").count() >= 11
    page.goto((home / "var" / "social" / "index.html").as_uri())
    text = page.inner_text("body")
    assert "Payment by Results in mental health: an introduction" in text
    assert "#PbR" in text or "#PaymentByResults" in text
    page.close()
