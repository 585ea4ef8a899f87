"""Our pages in a browser: phone and desktop, light and dark, and what a reader or editor does."""

from __future__ import annotations

import re
import shutil
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn

from digest import links
from digest.bootstrap import bootstrap
from digest.cli import main
from digest.issues.compose import Request
from digest.issues.scope import Scope
from digest.model import Interests, Rhythm
from digest.readers.subscriptions import subscribe
from digest.readers.tokens import make_token
from digest.web.app import make_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from digest.bootstrap import App
    from digest.sample.server import SampleServer

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
AS_OF = "2026-11-22T17:00:00+00:00"


@dataclass(frozen=True)
class Served:
    app: App
    base: str

    def path(self, name: str) -> str:
        app, site = self.app, self.base
        series = Scope("series", "ipc")
        now = app.clock()
        return {
            "preview": links.preview_url(site, app.secret, 1),
            "draft": links.preview_url(site, app.secret, 2),
            "look": links.look_url(
                site, app.secret, Request("weekly", series, Rhythm.WEEKLY, now, repeat=True)
            ),
            "issue": links.issue_url(site, "weekly", "all", "2026-W47"),
            "archives": links.archives_url(site),
            "archive": links.archive_url(site, "weekly"),
            "archive of a series": links.archive_url(site, "weekly", "series:ipc"),
            "unsubscribe": f"{site}/u/{make_token(app.secret, 'unsubscribe', 2)}",
            "confirm": f"{site}/c/{make_token(app.secret, 'opt-in', self.newcomer(), now)}",
            "front": f"{site}/",
            "leave": f"{site}/leave",
            "lost": f"{site}/u/nope",
        }[name]

    def newcomer(self) -> int:
        """A subscription that waits for its reader's word."""
        result = subscribe(
            self.app.store,
            self.app.config,
            self.app.secret,
            address="new@example.org",
            newsletter="weekly",
            interests=Interests(),
            rhythm=Rhythm.WEEKLY,
            consent_source="test",
            consent_at=None,
            now=self.app.clock(),
        )
        assert result.subscription_id is not None
        return result.subscription_id


@contextmanager
def serving(app: App, listener: socket.socket) -> Iterator[None]:
    config = uvicorn.Config(make_app(app), lifespan="off", access_log=False, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def served(blog: SampleServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The pages after the main job, and a second draft."""
    home = tmp_path_factory.mktemp("home")
    for part in ("config", "templates"):
        shutil.copytree(ROOT / part, home / part)
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        patch.setenv("DIGEST_SAMPLE_PORT", blog.url.rsplit(":", 1)[1])
        patch.setenv("DIGEST_LINKS_URL", base)
        patch.delenv("DIGEST_DATABASE_URL", raising=False)
        for command in (
            ["ingest"],
            ["readers", "import", str(files("digest.sample") / "subscribers.csv")],
            ["send", "weekly", "--as-of", AS_OF],
            ["approve", "1"],
            ["deliver", "1"],
            ["send", "weekly", "--series", "pbr", "--as-of", AS_OF],
        ):
            with pytest.raises(SystemExit):
                main([*command, "--home", str(home)])
        with bootstrap(home) as app, serving(app, listener):
            yield Served(app, base)


READERS = ("unsubscribe", "confirm", "issue", "front", "leave", "lost")
ARCHIVE = ("archives", "archive", "archive of a series")
PAGES = ("preview", "draft", "look", *READERS, *ARCHIVE)


@pytest.fixture(params=[(320, "dark"), (375, "light"), (1280, "dark"), (1280, "light")], ids=str)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_its_window(page: Page, served: Served, name: str) -> None:
    page.goto(served.path(name))
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0


# No script runs in a mail in its frame, axe's neither; test_browser_mails.py tries the mails.
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(page: Page, served: Served, name: str) -> None:
    assert AXE.exists(), f"{AXE} is missing: npm install --no-save axe-core"
    page.goto(served.path(name))
    page.evaluate(AXE.read_text(encoding="utf-8"))
    result = page.evaluate("axe.run(document, {iframes: false})")
    serious = [v["id"] for v in result["violations"] if v["impact"] in {"serious", "critical"}]
    assert serious == []


def test_a_page_asks_only_us_and_the_blog(
    browser: Browser, served: Served, blog: SampleServer
) -> None:
    for name in PAGES:
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(served.path(name), wait_until="networkidle")
        assert {url for url in asked if not url.startswith((served.base, blog.url))} == set()
        assert page.context.cookies() == []
        page.close()


def test_the_frames_show_the_mail_at_both_widths_and_its_links_open_beside_them(
    browser: Browser, served: Served, blog: SampleServer
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(served.path("preview"), wait_until="networkidle")
    widths = []
    for name in ("desktop", "phone"):
        frame = page.frame_locator(f"iframe.{name}")
        heading = frame.get_by_role("heading", name="The weekly digest")
        assert heading.is_visible()
        widths.append(frame.locator("body").bounding_box()["width"])  # type: ignore[index]
        assert frame.locator("img").first.evaluate("image => image.naturalWidth") > 0
    assert widths[0] > 640
    assert widths[1] == 375
    assert said == []
    with page.expect_popup() as opened:
        page.frame_locator("iframe.phone").locator("h2 a").first.click()
    assert opened.value.url.startswith(blog.url)
    assert page.url == served.path("preview")
    page.context.close()


def test_a_reader_leaves_by_the_button_of_the_page(browser: Browser, served: Served) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 700})
    address = f"{served.base}/u/{make_token(served.app.secret, 'unsubscribe', 3)}"
    page.goto(address)
    page.goto(address)
    assert page.get_by_role("heading", name="Unsubscribe from The weekly digest?").is_visible()
    button = page.get_by_role("button", name="Unsubscribe")
    box = button.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    # By keyboard alone: the button is the first thing that can be reached.
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.get_by_role("heading", name="You have left The weekly digest").is_visible()
    assert page.url == address
    page.goto(address)
    assert "already" in page.inner_text("h1")
    page.close()


def test_a_reader_confirms_by_the_button_of_the_page(browser: Browser, served: Served) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 700}, color_scheme="dark")
    page.goto(served.path("confirm"))
    page.get_by_role("button", name="Confirm").click()
    assert page.get_by_role("heading", name="You are subscribed to The weekly digest").is_visible()
    page.close()


def test_an_issue_in_the_browser_leads_to_the_page_for_leaving(
    browser: Browser, served: Served
) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 700})
    page.goto(served.path("issue"))
    page.get_by_role("link", name="The mail by itself").click()
    assert page.get_by_role("heading", name="The weekly digest").is_visible()
    hrefs = page.eval_on_selector_all("a", "links => links.map((link) => link.href)")
    assert not [href for href in hrefs if re.search("/u/|mailto:|reader.invalid", href)]
    with page.expect_navigation():
        page.get_by_role("link", name="Unsubscribe", exact=True).click()
    assert page.get_by_role("heading", name="How to unsubscribe").is_visible()
    page.close()


@pytest.mark.parametrize("width", [375, 1280])
def test_an_issues_mail_fills_the_window_and_its_links_open_beside_it(
    browser: Browser, served: Served, blog: SampleServer, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(served.path("issue"), wait_until="networkidle")
    assert said == []
    box = page.locator("iframe").bounding_box()
    assert box is not None
    assert box["height"] > 500
    assert box["width"] >= min(width, 700)
    mail = page.frame_locator("iframe")
    assert mail.locator("img").first.evaluate("image => image.naturalWidth") > 0
    with page.expect_popup() as opened:
        mail.locator("h2 a").first.click()
    assert opened.value.url.startswith(blog.url)
    assert page.url == served.path("issue")
    page.context.close()


def test_a_reader_walks_through_the_archive_by_its_links(browser: Browser, served: Served) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 700}, color_scheme="dark")
    page.goto(served.path("archives"))
    page.get_by_role("link", name="The weekly digest").first.click()
    page.get_by_role("link", name="Integrated Personal Commissioning").click()
    assert page.get_by_role("heading", name="in their order").is_visible()
    page.get_by_role("link", name="16–22 November 2026").first.click()
    assert page.url == served.path("issue")
    page.get_by_role("link", name="In this issue").click()
    assert page.get_by_role("heading", name="In this issue").is_visible()
    page.get_by_role("link", name="Get it by mail").click()
    assert page.url == served.path("front")
    page.close()
