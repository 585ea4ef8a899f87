"""From the sign-up form to being forgotten, and from draft to account, in a browser.

`digest web` is a process of its own and a real SMTP server takes its mails: links are opened
as they arrive there. Each stop is tried with axe, on a phone and a desktop, light and dark.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from aiosmtpd.controller import Controller

from stack import RELAY, Inbox, free_port, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from digest.sample.server import SampleServer

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
DIGEST = Path(sys.executable).with_name("digest")
AS_OF = "2026-11-22T17:00:00+00:00"
PASSWORD = "a long enough password"
ANN = "ann.walker@example.org"


@dataclass
class Place:
    """A home with its pages, and the server that takes its mails."""

    home: Path
    base: str
    inbox: Inbox
    environment: dict[str, str]

    def digest(self, *command: str, given: str = "", codes: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(
            [str(DIGEST), *command, "--home", str(self.home)],
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode in codes, done.stderr
        return done.stdout

    def rows(self, *command: str) -> Any:
        return json.loads(self.digest(*command, "--json"))

    def mail(self, to: str, number: int) -> str:
        """The text of the reader's mail so many, from 1; it may still be on its way."""
        return self.message(to, number).get_body(("plain",)).get_content()  # type: ignore[union-attr]

    def message(self, to: str, number: int) -> Any:
        return until(
            lambda: [mail for who, mail in self.inbox.mails if who == to][number - 1 :], 30
        )[0]

    def link(self, text: str, page: str) -> str:
        found = re.search(rf"{re.escape(self.base)}/{page}/\S+", text)
        assert found, text
        return found[0]

    def standing(self, address: str) -> dict[str, Any]:
        [found] = [row for row in self.rows("readers", "list") if row["address"] == address]
        return found


@pytest.fixture
def place(blog: SampleServer, tmp_path: Path) -> Iterator[Place]:
    inbox = Inbox()
    smtp = Controller(inbox, hostname="127.0.0.1", port=free_port())
    smtp.start()
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DIGEST_")},
        "DIGEST_SAMPLE_PORT": blog.url.rsplit(":", 1)[1],
        "DIGEST_LINKS_URL": f"http://127.0.0.1:{port}",
    }
    home = tmp_path / "home"
    for part in ("config", "templates"):
        shutil.copytree(ROOT / part, home / part)
    newsletters = home / "config" / "newsletters.toml"
    said = newsletters.read_text(encoding="utf-8")
    newsletters.write_text(said.replace('mailer = "local"', 'mailer = "relay"'), encoding="utf-8")
    with (home / "config" / "site.toml").open("a", encoding="utf-8") as file:
        file.write(RELAY.format(port=smtp.port, connections=2))
    made = Place(home, f"http://127.0.0.1:{port}", inbox, environment)
    made.digest("ingest")
    made.digest("editors", "add", "Maya", "--role", "editor", "--password-stdin", given=PASSWORD)
    try:
        with pages(made):
            yield made
    finally:
        smtp.stop()


@contextmanager
def pages(place: Place) -> Iterator[None]:
    command = [str(DIGEST), "web", "--home", str(place.home)]
    process = subprocess.Popen(
        command, env=place.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: answers(place.base), 30)
        yield
    finally:
        process.terminate()
        assert process.wait(30) == 0


def answers(base: str) -> bool:
    try:
        return requests.get(f"{base}/health", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


WINDOWS = [(375, "light"), (375, "dark"), (1280, "light"), (1280, "dark")]


@pytest.fixture(params=WINDOWS, ids=str)
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def look(page: Page) -> None:
    """What stands there fits its window, and axe finds nothing serious in it."""
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, page.url
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {iframes: false})")
    serious = [v["id"] for v in found["violations"] if v["impact"] in {"serious", "critical"}]
    assert serious == [], page.url


def press(page: Page, name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).click()
    look(page)


def heading(page: Page) -> str:
    return page.inner_text("h1")


def sign_up(page: Page, place: Place, address: str) -> None:
    page.goto(place.base)
    look(page)
    page.get_by_label("Your e-mail address").fill(address)
    page.get_by_label("Everything", exact=True).check()
    # RHYTHM
    page.locator("input[name=consent]").check()
    press(page, "Sign up")
    assert page.url.endswith("/sign-up/inbox")
    page.goto(place.link(place.mail(address, 1), "join"))
    look(page)
    press(page, "Yes, send me this")
    assert heading(page) == "You are subscribed"


def test_a_reader_from_the_form_to_being_forgotten(page: Page, place: Place) -> None:
    sign_up(page, place, ANN)
    assert place.standing(ANN)["state"] == "active"

    page.goto(f"{place.base}/manage")
    look(page)
    page.get_by_label("Your e-mail address").fill(ANN)
    press(page, "Mail me the link")
    own = place.link(place.mail(ANN, 2), "me")
    page.goto(own)
    look(page)
    page.get_by_label("Only what I follow").check()
    page.locator("input[value='series:ipc']").check()
    page.get_by_label("All together").select_option("2")
    press(page, "Save")
    assert page.get_by_role("status").is_visible()
    assert place.standing(ANN)["interests"] == "series:ipc"

    place.digest("send", "weekly", "--series", "ipc", "--as-of", AS_OF, codes=(3,))
    place.digest("approve", "1", "--by", "Maya")
    place.digest("deliver", "1")
    digest = place.message(ANN, 3)
    leave = re.search(r"<(http[^>]+)>", digest["List-Unsubscribe"])[1]  # type: ignore[index]
    page.goto(place.link(place.mail(ANN, 3), "s"))
    look(page)
    page.goto(place.link(place.mail(ANN, 3), "issues"))
    look(page)
    page.goto(leave)
    look(page)
    press(page, "Pause")
    assert place.standing(ANN)["state"] == "active"
    page.goto(leave)
    press(page, "Unsubscribe")
    assert heading(page) == "You have left The weekly digest"
    assert place.standing(ANN)["state"] == "ended"

    page.goto(own)
    look(page)
    with page.expect_download() as taken:
        page.get_by_role("link", name="Take all that we keep about you").click()
    data = json.loads(Path(taken.value.path()).read_text(encoding="utf-8"))
    assert data["address"] == ANN
    with page.expect_navigation():
        page.get_by_role("link", name="Be forgotten").click()
    look(page)
    press(page, "Forget me")
    assert page.get_by_text("Tick the box").is_visible()
    assert place.standing(ANN)
    page.get_by_label("Forget me for good").check()
    press(page, "Forget me")
    assert ANN not in place.digest("readers", "list")
    page.goto(own)
    look(page)
    assert ANN not in page.content()


def test_one_click_ends_it_without_a_cookie_or_a_redirect(place: Place) -> None:
    place.digest("readers", "import", str(files("digest.sample") / "subscribers.csv"))
    place.digest("send", "weekly", "--as-of", AS_OF, codes=(3,))
    place.digest("approve", "1", "--by", "Maya")
    place.digest("deliver", "1")
    to, mail = place.inbox.mails[0]
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = re.search(r"<(http[^>]+)>", mail["List-Unsubscribe"])[1]  # type: ignore[index]
    done = requests.post(
        link, data={"List-Unsubscribe": "One-Click"}, allow_redirects=False, timeout=10
    )
    assert (done.status_code, "set-cookie" in done.headers) == (200, False)
    assert place.standing(to)["state"] == "ended"


def test_an_editor_from_draft_to_account(page: Page, place: Place) -> None:
    place.digest("readers", "import", str(files("digest.sample") / "subscribers.csv"))
    place.digest("send", "weekly", "--as-of", AS_OF, codes=(3,))
    page.goto(f"{place.base}/desk")
    look(page)
    assert "/desk/sign-in" in page.url
    page.get_by_label("Name").fill("Maya")
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")
    assert heading(page) == "The desk"
    with page.expect_navigation():
        page.locator("section[aria-labelledby=waiting] a").first.click()
    look(page)
    page.get_by_label("To", exact=True).fill("maya@example.org")
    press(page, "Send a test copy")
    assert place.message("maya@example.org", 1)["Subject"].startswith("[Test]")
    page.goto(f"{place.base}/desk/issues/1")
    page.locator("#subject").fill("As Maya likes it")
    press(page, "Approve")
    [issue] = place.rows("issues")
    assert issue["state"] == "approved"
    place.digest("deliver", "1")
    assert len(place.inbox.mails) == 1 + place.rows("account", "1")["submitted"]
    page.goto(f"{place.base}/desk/issues/1")
    look(page)
    account = place.rows("account", "1")
    assert f"{account['submitted']} submitted" in page.inner_text("main")
    assert "by Maya" in page.inner_text("main")
    page.goto(f"{place.base}/desk/issues/1/who?state=submitted")
    look(page)
    assert place.inbox.mails[-1][0] in page.inner_text("main")
    for name in ("issues", "series", "series/ipc", "calendar", "threads", "figures"):
        page.goto(f"{place.base}/desk/{name}")
        look(page)
    press(page, "Sign out")
    page.goto(f"{place.base}/desk/figures")
    assert "/desk/sign-in" in page.url
