"""The real blog's series on all three networks, as the page of threads shows them in a browser.

Where DIGEST_REAL_FEED names its feed. None of its words stand here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
LIMITS = {"x": 280, "mastodon": 500, "bluesky": 300}

#: Each thread with its snippets, as a reader of the page has them.
_READ = """
(articles) => articles.map((article) => ({
  channel: article.closest("section").id,
  title: article.querySelector("h3").innerText,
  texts: [...article.querySelectorAll(".text")].map((one) => one.innerText),
  counts: [...article.querySelectorAll(".count")].map((one) => one.innerText),
  links: [...article.querySelectorAll(".text")].map((one) => one.querySelectorAll("a").length),
  tags: [...article.querySelectorAll(".text")].map(
    (one) => [...one.querySelectorAll(".tag")].map((tag) => tag.innerText)),
  cards: article.querySelectorAll(".card").length,
}))
"""


@pytest.fixture(scope="module")
def feed() -> Iterator[str]:
    body = Path(os.environ["DIGEST_REAL_FEED"]).read_bytes()

    class OnePage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/feed/"
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/rss+xml")
            self.end_headers()
            self.wfile.write(body if known else b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), OnePage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/feed/"
        server.shutdown()


@pytest.fixture(scope="module")
def home(feed: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with every series planned, archive and all."""
    folder = tmp_path_factory.mktemp("home")
    for part in ("config", "templates"):
        shutil.copytree(ROOT / part, folder / part)
    declared = f'[feeds.blog]\nurl = "{feed}"\nallow_private = true\n'
    (folder / "config" / "feeds.toml").write_text(declared, encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "DIGEST_DATABASE_URL"}
    plans = [("social", "plan", "--series", slug) for slug in ("ipc", "pbr", "socialcarefuture")]
    for arguments in (("ingest",), *plans):
        command = [sys.executable, "-m", "digest", *arguments, "--home", str(folder)]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
    return folder


@pytest.fixture(params=[(375, "dark"), (1280, "light")], ids=str)
def page(request: pytest.FixtureRequest, browser: Browser, home: Path) -> Iterator[Page]:
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto((home / "var" / "social" / "index.html").as_uri())
    yield page
    context.close()


def read(page: Page) -> list[dict[str, Any]]:
    return page.locator("article").evaluate_all(_READ)


def test_the_page_fits_its_window(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


def test_every_series_is_there_on_every_network(page: Page) -> None:
    threads = read(page)
    titles = {network: [] for network in LIMITS}
    for thread in threads:
        titles[thread["channel"]].append(thread["title"])
    assert sorted(titles["x"]) == sorted(titles["mastodon"]) == sorted(titles["bluesky"])
    assert len(titles["x"]) == len(set(titles["x"])) >= 4


def test_every_snippet_reads_as_one_would_write_it(page: Page) -> None:
    for thread in read(page):
        texts, limit = thread["texts"], LIMITS[thread["channel"]]
        for number, (text, count) in enumerate(zip(texts, thread["counts"], strict=True), 1):
            used, of = map(int, re.findall(r"\d+", count)[:2])
            assert (used <= of, of) == (True, limit)
            assert f"{number}/{len(texts)}" in text.split("\n")
            assert not re.search(r"[,;:]\u2026|\u2026\u2026|  |\n\n\n", text), text
            own = [tag.casefold() for tag in thread["tags"][number - 1]]
            assert len(own) == len(set(own)), text
        assert thread["links"] == [0] * (len(texts) - 1) + [1]
        assert 1 <= len(thread["tags"][0]) <= 3
        assert thread["cards"] == (thread["channel"] == "bluesky")


def test_no_thread_says_a_line_twice(page: Page) -> None:
    for thread in read(page):
        lines = [line for text in thread["texts"] for line in text.split("\n") if line.strip()]
        assert len(lines) == len(set(lines))
