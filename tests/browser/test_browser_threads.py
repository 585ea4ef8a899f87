"""The page of threads with everything that can become of one, in a browser."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from digest.config import Config
from digest.social.preview import page as preview_page
from digest.social.preview import specimen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from digest.store.social import ThreadRow

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
NETWORKS = ("x", "mastodon", "bluesky")
LONG = "Rindfleischetikettierungsueberwachungsaufgabenuebertragungsgesetz" * 3
_NUMBERS = itertools.count(1)


def a_config() -> Config:
    site = {"name": "Common Threads", "url": "https://c.org/", "contact": "c@c.org",
            "postal_address": "1 Road", "links_url": "https://c.org/"}  # fmt: skip
    channels = {network: {"network": network} for network in NETWORKS}
    return Config.model_validate(
        {"site": site, "mailers": {}, "feeds": {}, "newsletters": {}, "channels": channels}
    )


def threads(channel: str) -> Iterator[ThreadRow]:
    """One with all there can be, one bare, one of long words, one halfway with troubles."""
    whole = specimen(channel)
    bare = {"card": None, "tags": (), "note": None, "url": None, "reason": None, "image_url": None}
    row = replace(whole.publications[0], **bare, state="pending")
    calm: dict[str, Any] = {"held_at": None, "undo_at": None, "differs": None, "after_id": None}
    plain = replace(whole, **calm, form="thread")
    text = f"{LONG} #{LONG[:90]} https://example.org/{LONG}"
    doubt = replace(row, state="uncertain", reason="the answer was lost")
    for parts, thread in (
        (whole.publications, whole),
        ((row,), plain),
        ((replace(row, text=text, measured=290),), replace(plain, title=LONG, reason=LONG)),
        ((replace(row, state="submitted"), doubt, row), plain),
    ):
        number = next(_NUMBERS)
        own = [replace(p, id=number * 10 + n, position=n) for n, p in enumerate(parts, 1)]
        yield replace(thread, thread_id=number, publications=tuple(own))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    shown = [thread for network in NETWORKS for thread in threads(network)]
    path = tmp_path_factory.mktemp("social") / "index.html"
    path.write_text(preview_page(shown, a_config(), ROOT / "templates"), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(params=[(320, "dark"), (375, "light"), (1280, "dark"), (1280, "light")], ids=str)
def page(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


def test_whatever_became_of_a_thread_fits_its_window(page: Page) -> None:
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    columns = page.locator(".channels > section").evaluate_all(
        "(all) => all.map((one) => one.scrollWidth - one.clientWidth)"
    )
    assert columns == [0, 0, 0]


def test_axe_finds_nothing_serious(page: Page) -> None:
    assert AXE.exists(), f"{AXE} is missing: npm install --no-save axe-core"
    page.evaluate(AXE.read_text(encoding="utf-8"))
    violations = page.evaluate("axe.run().then((result) => result.violations)")
    assert [v["id"] for v in violations if v["impact"] in {"serious", "critical"}] == []


def test_all_of_it_is_there_to_be_read(page: Page) -> None:
    for words in (
        "taken down",
        "Held: why; digest social release 1",
        "To be taken down, 1 still out, by Maya: why",
        "Not as it should be: differs",
        "Hashtags that go along unseen: #Unseen",
        "Snippet 2 uncertain: looked up at the next publishing",
        "1 of 3 out",
    ):
        assert page.get_by_text(words).first.is_visible(), words
