"""The desk's series, calendar, threads and figures, in a real browser."""

from __future__ import annotations

import shutil
import socket
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from sqlalchemy import insert

from digest import editors
from digest.bootstrap import bootstrap
from digest.store import tables
from digest.web.app import make_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from digest.bootstrap import App

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PASSWORD = "a long enough password"
LONG = "Rindfleischetikettierungsueberwachungsaufgabenuebertragungsgesetz" * 3
PAGES = ["series", "series/ipc", "calendar", "threads", "threads/1", "figures"]


def fill(app: App) -> None:
    """Something of everything, with words as long as they come."""
    now = app.clock()
    editors.add_editor(app.store, "Maya", "editor", PASSWORD, now)
    rows: list[tuple[Any, dict[str, Any]]] = []
    for number in (1, 2, 4):
        post = {"id": number, "guid": f"g{number}", "url": f"http://b.example/{number}/{LONG}"}
        texts = {
            "title": f"Part {number} {LONG}",
            "author": "Ann",
            "html": "",
            "text": "",
            "excerpt": "",
        }
        dates = dict.fromkeys(
            ("published", "first_seen", "arrived"), now - timedelta(days=9 - number)
        )
        more = {"categories": ["IPC"], "reading_minutes": 1, "content_hash": str(number)}
        rows.append((tables.posts, post | texts | dates | more))
    for number in range(1, 40):
        since = now - timedelta(days=9 * number)
        key = {"id": number, "address": f"r{number}@x.example", "address_key": f"r{number}"}
        rows.append((tables.subscribers, key | {"created_at": since}))
        interests = ("everything", "series:ipc", "theme:funding|series:pbr")[number % 3]
        one = {"id": number, "subscriber_id": number, "newsletter": "weekly", "rhythm": "weekly"}
        dates = {"consent_at": since, "created_at": since}
        more = {"interests": interests, "state": "active", "consent_source": "test"}
        rows.append((tables.subscriptions, one | dates | more))
    texts = dict.fromkeys(("subject", "fallback_subject", "html", "text"), LONG)
    issue = {
        "id": 1,
        "newsletter": "weekly",
        "scope": "all",
        "period": "2026-W47",
        "rhythm": "weekly",
    }
    kept = {"content": {}, "preflight": [], "hash": "h", "approved_hash": "h", "state": "paused"}
    moment = now - timedelta(days=2)
    rows.append(
        (tables.issues, issue | texts | kept | {"scheduled_at": moment, "created_at": moment})
    )
    step = {"issue_id": 1, "before": "sending", "after": "paused", "actor": "Maya", "reason": LONG}
    rows.append((tables.issue_transitions, step | {"at": moment}))
    rows.append(
        (
            tables.variants,
            {
                "id": 1,
                "issue_id": 1,
                "mask": 1,
                "subject": "s",
                "html": "h",
                "text": "t",
                "preflight": [],
            },
        )
    )
    for number in range(1, 30):
        of = {"issue_id": 1, "variant_id": 1, "subscriber_id": number, "subscription_id": number}
        state = ("submitted", "submitted", "refused", "uncertain", "pending")[number % 5]
        more = {"address": "a", "address_key": "a", "state": state, "state_at": moment}
        rows.append((tables.deliveries, of | more))
    thread = {"id": 1, "channel": "x", "post_id": 1, "scope": "series:ipc", "reason": LONG}
    held = {"planned_at": moment, "held_at": moment, "held_why": LONG}
    rows.append((tables.threads, thread | held))
    snippet = {"thread_id": 1, "channel": "x", "position": 1, "text": LONG, "measured": 9}
    more = {"state": "uncertain", "slot": moment, "state_at": moment, "reason": LONG, "note": LONG}
    rows.append((tables.publications, snippet | more))
    rows.append((tables.stops, {"channel": "all", "at": moment, "actor": "Maya", "reason": LONG}))
    with app.store.write() as c:
        for table, values in rows:
            c.execute(insert(table).values(**values))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    for part in ("config", "templates"):
        shutil.copytree(ROOT / part, home / part)
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        patch.setenv("DIGEST_LINKS_URL", base)
        patch.delenv("DIGEST_DATABASE_URL", raising=False)
        with bootstrap(home) as app:
            fill(app)
            config = uvicorn.Config(
                make_app(app), lifespan="off", access_log=False, log_config=None
            )
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            yield base
            server.should_exit = True
            thread.join()


@pytest.fixture(
    params=[(320, "dark"), (375, "light"), (1280, "light"), (1280, "dark")], ids=str, scope="module"
)
def page(browser: Browser, base: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 700}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{base}/desk/sign-in?next=/desk/series")
    page.get_by_label("Name").fill("Maya")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    yield page
    context.close()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_and_axe_finds_nothing_serious(base: str, page: Page, path: str) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{base}/desk/{path}")
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert said == []
    page.evaluate(AXE.read_text(encoding="utf-8"))
    result = page.evaluate("axe.run(document)")
    assert [v["id"] for v in result["violations"] if v["impact"] in {"serious", "critical"}] == []


#: In CSS pixels: the words of a drawing are as large as small print on the page.
SMALLEST = 9


def test_drawings_can_be_read_at_every_width(base: str, page: Page) -> None:
    page.goto(f"{base}/desk/figures")
    sizes = page.evaluate(
        """[...document.querySelectorAll("svg.chart")].flatMap((chart) => {
            const scale = chart.getBoundingClientRect().width / chart.viewBox.baseVal.width;
            return [...chart.querySelectorAll("text")].map(
                (text) => parseFloat(getComputedStyle(text).fontSize) * scale);
        })"""
    )
    assert len(sizes) > 20
    assert min(sizes) >= SMALLEST
    assert max(sizes) <= 18
    outside = page.evaluate(
        """[...document.querySelectorAll("svg.chart text")].filter((text) => {
            const [inner, outer] = [text, text.closest("svg")].map((e) => e.getBoundingClientRect());
            return inner.left < outer.left - 2 || inner.right > outer.right + 2;
        }).map((text) => text.textContent)"""
    )
    assert outside == []


def test_a_held_thread_goes_on_by_a_button(base: str, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{base}/desk/sign-in?next=/desk/threads/1")
    page.get_by_label("Name").fill("Maya")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Let it go on").click()
    assert "held no more" in page.get_by_role("status").inner_text()
    page.get_by_role("button", name="Take it down").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Take this thread down?"
    page.get_by_role("link", name="No, go back").click()
    assert page.url == f"{base}/desk/threads/1"
    context.close()
