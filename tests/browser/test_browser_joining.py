"""Signing up in a browser: on our page, in a frame on a blog, and from a form pasted there."""

from __future__ import annotations

import shutil
import socket
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn
from sqlalchemy import select

from digest.bootstrap import bootstrap
from digest.store import tables
from digest.web.app import make_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, FrameLocator, Page

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """A site that serves the files of a folder; another one than ours by its port."""
    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Our pages, the store behind them, a blog that may frame them, and one that may not."""
    home = tmp_path_factory.mktemp("home")
    folder = tmp_path_factory.mktemp("blog")
    for part in ("config", "templates"):
        shutil.copytree(ROOT / part, home / part)
    with (
        pytest.MonkeyPatch.context() as patch,
        socket.create_server(("127.0.0.1", 0)) as listener,
        site(folder) as blog,
        site(folder) as stranger,
    ):
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        patch.setenv("DIGEST_LINKS_URL", base)
        patch.delenv("DIGEST_DATABASE_URL", raising=False)
        declared = home / "config" / "site.toml"
        text = declared.read_text().replace("embed_on = []", f'embed_on = ["{blog}"]')
        declared.write_text(text)
        frame = f'<iframe src="{base}/embed" title="Sign up" width="340" height="900"></iframe>'
        (folder / "frame.html").write_text(f"<!doctype html><h1>A blog</h1>{frame}")
        (folder / "form.html").write_text(
            f'<!doctype html><h1>A blog</h1><form action="{base}/sign-up" method="post">'
            '<input name="address" type="email" aria-label="Address">'
            '<label><input type="checkbox" name="consent" value="yes">Yes</label>'
            "<button>Sign up</button></form>"
        )
        with bootstrap(home) as app:
            pages = make_app(app)
            config = uvicorn.Config(pages, lifespan="off", access_log=False, log_config=None)
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            yield {"base": base, "blog": blog, "stranger": stranger, "store": app.store}
            server.should_exit = True
            thread.join()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 375, "height": 667}, java_script_enabled=False)
    yield context.new_page()
    context.close()


def form_of(places, address):
    with places["store"].read() as c:
        return c.scalar(select(tables.sign_ups.c.form).where(tables.sign_ups.c.address == address))


def fill(form: Page | FrameLocator, address: str) -> None:
    form.get_by_label("Your e-mail address").fill(address)
    form.get_by_label("Send me what I chose").check()
    form.get_by_role("button", name="Sign up").click()


@pytest.mark.parametrize("look", [(320, "dark"), (375, "light"), (1280, "dark")], ids=str)
@pytest.mark.parametrize("path", ["", "sign-up", "sign-up/inbox", "embed", "embed/inbox", "wrong"])
def test_a_page_fits_and_axe_finds_nothing_serious(browser, places, path, look):
    context = browser.new_context(viewport={"width": look[0], "height": 700}, color_scheme=look[1])
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{places['base']}/{path if path != 'wrong' else 'sign-up'}")
    if page.get_by_label("Only the series").count():
        page.get_by_label("Only the series").check()
    if path == "wrong":
        page.evaluate("document.querySelector('form').noValidate = true")
        page.get_by_role("button", name="Sign up").click()
        assert page.title().startswith("Error: ")
        page.get_by_role("link", name="see what is missing").click()
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    page.evaluate(AXE.read_text(encoding="utf-8"))
    result = page.evaluate("axe.run(document)")
    assert [v["id"] for v in result["violations"] if v["impact"] in {"serious", "critical"}] == []
    assert [text for text in said if "422" not in text] == []
    context.close()


def test_without_a_script_and_a_mouse(page, places):
    page.goto(f"{places['base']}/")
    page.get_by_label("Your e-mail address").focus()
    page.keyboard.type("keys@example.org")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.locator(":focus").get_attribute("name"))
        if reached[-1] == "consent":
            break
    # The trap for programs is on nobody's way.
    assert "homepage" not in reached
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-up/inbox")
    assert form_of(places, "keys@example.org") == "sign-up page"


def test_in_a_frame_on_a_blog_and_the_answer_stays_in_it(page, places):
    page.goto(f"{places['blog']}/frame.html")
    frame = page.frame_locator("iframe")
    fill(frame, "framed@example.org")
    frame.get_by_role("heading", name="Look into your inbox").wait_for()
    assert page.url == f"{places['blog']}/frame.html"
    assert form_of(places, "framed@example.org") == "form on 127.0.0.1"


def test_a_site_that_config_does_not_name_shows_no_frame(page, places):
    page.goto(f"{places['stranger']}/frame.html")
    assert page.frame_locator("iframe").get_by_label("Your e-mail address").count() == 0


def test_a_form_pasted_into_a_blog(page, places):
    page.goto(f"{places['blog']}/form.html")
    page.get_by_label("Address").fill("pasted@example.org")
    page.get_by_label("Yes").check()
    page.get_by_role("button", name="Sign up").click()
    page.wait_for_url(f"{places['base']}/sign-up/inbox")
    assert form_of(places, "pasted@example.org") is not None
