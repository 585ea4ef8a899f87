"""The desk in a browser: the account as it moves, the mail in every light, a decision said once."""

from __future__ import annotations

import re
import shutil
import socket
import threading
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn
from sqlalchemy import update

from digest import editors
from digest.bootstrap import bootstrap
from digest.cli import main
from digest.issues.freeze import freeze_issue
from digest.model import Act
from digest.store import tables
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
PASSWORD = "a long enough password"


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
def desk(blog: SampleServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, str]]:
    """The desk with one issue that is being sent, and one draft."""
    home = tmp_path_factory.mktemp("home")
    for part in ("config", "templates"):
        shutil.copytree(ROOT / part, home / part)
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        patch.setenv("DIGEST_SAMPLE_PORT", blog.url.rsplit(":", 1)[1])
        patch.setenv("DIGEST_LINKS_URL", base)
        patch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
        patch.delenv("DIGEST_DATABASE_URL", raising=False)
        for command in (
            ["ingest"],
            ["readers", "import", str(files("digest.sample") / "subscribers.csv")],
            ["send", "weekly", "--as-of", AS_OF],
            ["approve", "1"],
            ["send", "weekly", "--series", "pbr", "--as-of", AS_OF, "--repeat"],
        ):
            with pytest.raises(SystemExit):
                main([*command, "--home", str(home)])
        with bootstrap(home) as app, serving(app, listener):
            act = Act("Maya", app.clock(), "as planned")
            freeze_issue(app.store, app.templates, 1, act, app.config.site.zone)
            move(app, "sending")
            editors.add_editor(app.store, "Maya", "editor", PASSWORD, app.clock())
            yield app, base


def move(app: App, state: str, *, through: bool = False) -> None:
    """Bring issue 1 into a state, and its deliveries to their end."""
    d = tables.deliveries
    with app.store.write() as c:
        c.execute(update(tables.issues).where(tables.issues.c.id == 1).values(state=state))
        if through:
            done = {"state": "submitted", "state_at": app.clock()}
            c.execute(update(d).where(d.c.issue_id == 1).values(**done))


def signed_in(browser: Browser, base: str, path: str, **looks: object) -> Page:
    page = browser.new_context(base_url=base, **looks).new_page()
    page.goto(path)
    page.get_by_label("Name").fill("Maya")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{base}{path}")
    return page


PATHS = (
    "/desk",
    "/desk/issues",
    "/desk/issues/1",
    "/desk/issues/2",
    "/desk/issues/1/who?state=pending",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_fits_and_axe_finds_nothing(desk, browser, width, scheme):
    page = signed_in(
        browser, desk[1], "/desk", viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    for path in PATHS:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run(document, {iframes: false})")["violations"]
        assert [(one["impact"], one["id"]) for one in found] == [], path


def background(page: Page, kind: str) -> str:
    """The colour of the mail's page in one of the frames."""
    frame = page.locator(f"iframe.{kind}").element_handle().content_frame()
    frame.wait_for_load_state()
    return str(frame.evaluate("getComputedStyle(document.body).backgroundColor"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_view_looks_alike_whatever_the_browser_prefers(desk, browser, scheme):
    page = signed_in(browser, desk[1], "/desk/issues/2", color_scheme=scheme)
    seen = {}
    for name in ("Light", "Dark", "As sent"):
        page.get_by_role("link", name=name, exact=True).click()
        page.wait_for_load_state()
        seen[name] = background(page, "phone")
        assert background(page, "desktop") == seen[name]
    assert seen["Light"] != seen["Dark"]
    assert seen["As sent"] == seen[scheme.capitalize()]
    page.get_by_role("link", name="Images off", exact=True).click()
    page.wait_for_load_state()
    frame = page.locator("iframe.phone").element_handle().content_frame()
    frame.wait_for_load_state()
    assert frame.evaluate("[...document.images].every(one => one.naturalWidth === 0)")


def test_a_decision_is_said_once(desk, browser):
    page = signed_in(browser, desk[1], "/desk/issues/2")
    page.get_by_role("button", name="Reject").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Reject this issue?"
    page.get_by_role("link", name="No, go back").click()
    page.get_by_role("button", name="Hold").click()
    said = page.get_by_role("status").filter(has_text="Held.")
    said.wait_for()
    page.reload()
    assert said.count() == 0
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("The draft was made anew").wait_for()


def test_the_account_moves_by_itself_and_stops_when_it_is_done(desk, browser):
    app, base = desk
    page = signed_in(browser, base, "/desk/issues/1")
    account = page.locator("#account")
    assert re.search(r"\d+ pending", account.inner_text())
    move(app, "sending", through=True)
    account.filter(has_not_text="pending").wait_for()
    assert re.search(r"(\d+) recipients = \1 submitted", account.inner_text())
    move(app, "done")
    page.locator("#state", has_text="done").wait_for()
    page.locator("[data-live]").first.wait_for(state="detached")
