"""A reader's own pages in a browser: by keyboard, on a phone, in the dark, without a script."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn

from digest.bootstrap import bootstrap
from digest.model import Interests, Rhythm
from digest.readers.subscriptions import subscribe
from digest.readers.tokens import make_token
from digest.store import settings
from digest.web.app import make_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from digest.bootstrap import App
    from digest.store.settings import Settings

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


@dataclass
class Served:
    app: App
    base: str

    def reader(self, name: str, *newsletters: str) -> Own:
        """A new reader of these newsletters."""
        now = self.app.clock()
        for newsletter in newsletters:
            result = subscribe(
                self.app.store,
                self.app.config,
                self.app.secret,
                address=f"{name}@example.org",
                newsletter=newsletter,
                interests=Interests(),
                rhythm=Rhythm.WEEKLY,
                consent_source="test",
                consent_at=now,
                now=now,
            )
        assert result.subscription_id is not None
        with self.app.store.read() as c:
            number = settings.reader_of(c, result.subscription_id)
        assert number is not None
        lasting = make_token(self.app.secret, "unsubscribe", result.subscription_id)
        return Own(self, number, lasting, make_token(self.app.secret, "settings", number, now))


@dataclass
class Own:
    """One reader's addresses."""

    served: Served
    number: int
    lasting: str
    passing: str

    def url(self, name: str) -> str:
        base = self.served.base
        return {
            "leave": f"{base}/u/{self.lasting}",
            "ask": f"{base}/s/{self.lasting}",
            "settings": f"{base}/me/{self.passing}",
            "erase": f"{base}/me/{self.passing}/erase",
            "manage": f"{base}/manage",
            "asked": f"{base}/manage/asked",
            "lost": f"{base}/me/nope",
        }[name]

    @property
    def settings(self) -> Settings | None:
        with self.served.app.store.read() as c:
            return settings.settings_of(c, self.number)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    for part in ("config", "templates"):
        shutil.copytree(ROOT / part, home / part)
    weekly = (home / "config" / "newsletters.toml").read_text(encoding="utf-8")
    review = weekly.partition("[newsletters.weekly.")[0].replace(
        "newsletters.weekly", "newsletters.review"
    )
    review = review.replace("The weekly digest", "The review")
    (home / "config" / "review.toml").write_text(review, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        patch.setenv("DIGEST_LINKS_URL", base)
        patch.delenv("DIGEST_DATABASE_URL", raising=False)
        with bootstrap(home) as app:
            config = uvicorn.Config(
                make_app(app), lifespan="off", access_log=False, log_config=None
            )
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            yield Served(app, base)
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def eve(served: Served) -> Own:
    """Who looks at pages and changes nothing."""
    return served.reader("eve", "weekly", "review")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 375, "height": 667}, java_script_enabled=False)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("look", [(320, "dark"), (375, "light"), (1280, "dark")], ids=str)
@pytest.mark.parametrize("name", ["leave", "ask", "settings", "erase", "manage", "asked", "lost"])
def test_a_page_fits_and_axe_finds_nothing_serious(
    browser: Browser, eve: Own, name: str, look: tuple[int, str]
) -> None:
    context = browser.new_context(viewport={"width": look[0], "height": 700}, color_scheme=look[1])  # type: ignore[arg-type]
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.goto(eve.url(name))
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    result = page.evaluate("axe.run(document)")
    assert [v["id"] for v in result["violations"] if v["impact"] in {"serious", "critical"}] == []
    # A page that is not there is told of, and nothing else.
    assert [text for text in said if "404" not in text] == []
    context.close()


def test_the_button_to_unsubscribe_needs_no_scrolling_on_a_phone(page: Page, eve: Own) -> None:
    page.goto(eve.url("leave"))
    box = page.get_by_role("button", name="Unsubscribe").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 300
    assert box["height"] >= 44


def test_series_are_asked_for_only_where_it_is_not_everything(page: Page, served: Served) -> None:
    ann = served.reader("ann", "weekly")
    page.goto(ann.url("settings"))
    box = page.get_by_label("Integrated Personal Commissioning")
    assert not box.is_visible()
    page.get_by_label("Only what I follow").check()
    box.check()
    page.get_by_role("button", name="Save").click()
    assert page.get_by_text("Saved.").is_visible()
    assert box.is_checked()
    assert ann.settings is not None
    assert ann.settings.active[0].interests == Interests(("series:ipc",))


def test_enter_saves_and_stops_nothing(page: Page, served: Served) -> None:
    bea = served.reader("bea", "weekly", "review")
    page.goto(bea.url("settings"))
    page.locator("summary").first.press("Enter")
    day = page.get_by_label("Pause until").first
    last = day.get_attribute("max")
    assert last is not None
    day.fill(last)
    day.press("Enter")
    assert page.get_by_text("Saved.").is_visible()
    assert bea.settings is not None
    assert len(bea.settings.active) == 2
    assert bea.settings.active[0].paused_until is not None
    page.get_by_role("button", name="Go on now").click()
    assert page.get_by_text("The pause is over").is_visible()


def test_a_reader_stops_comes_back_and_goes_for_good(page: Page, served: Served) -> None:
    cas = served.reader("cas", "weekly")
    page.goto(cas.url("leave"))
    page.get_by_label("until").nth(1).check()
    page.get_by_role("button", name="Pause").click()
    assert page.get_by_role("heading", name="is paused until").is_visible()
    page.goto(cas.url("leave"))
    page.get_by_role("button", name="Unsubscribe").click()
    assert page.get_by_role("heading", name="You have left The weekly digest").is_visible()
    page.get_by_role("link", name="Get a link by mail").click()
    page.get_by_role("button", name="Mail me the link").click()
    assert page.get_by_role("heading", name="Look into your inbox").is_visible()
    page.goto(cas.url("settings"))
    page.get_by_role("button", name="Get it again: The weekly digest").click()
    assert cas.settings is not None
    assert [each.newsletter for each in cas.settings.active] == ["weekly"]
    with page.expect_download() as download:
        page.get_by_role("link", name="Take all that we keep about you").click()
    assert download.value.suggested_filename == "my-data.json"
    kept = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert "cas@example.org" in json.dumps(kept)
    page.get_by_role("link", name="Be forgotten").click()
    page.get_by_role("button", name="Forget me").click()
    assert page.get_by_text("Tick the box").is_visible()
    page.get_by_label("Forget me for good.").check()
    page.get_by_role("button", name="Forget me").click()
    assert page.get_by_role("heading", name="You are forgotten").is_visible()
    assert cas.settings is None
    page.goto(cas.url("settings"))
    assert page.get_by_role("heading", name="This link does not work any more").is_visible()
