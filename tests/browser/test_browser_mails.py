"""The mails as a reader's program shows them: phone and desktop, light and dark, images off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from digest.sample.server import SampleServer

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"

#: The contrast of each visible text with what stands behind it, as WCAG 2.2 computes it:
#: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
CONTRASTS = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const [r, g, b, a = 1] = rgb(getComputedStyle(node).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    const pair = [light(rgb(getComputedStyle(node).color)), light(behind(node))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    found.push([walker.currentNode.data.trim(), ratio]);
  }
  return found;
}"""

IMAGES = """() => [...document.images].filter((image) => image.checkVisibility()).map((image) => ({
  source: image.src, natural: image.naturalWidth / image.naturalHeight,
  shown: image.width / image.height, width: image.width,
  sized: image.hasAttribute("width") && image.hasAttribute("height"),
}))"""


class Shown(NamedTuple):
    """A mail in an open page, and what went on while it opened."""

    page: Page
    width: int
    requests: list[str]
    errors: list[str]


def show(
    browser: Browser, html: str, width: int, scheme: Any = "light", *, images: bool = True
) -> Shown:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    shown = Shown(page, width, [], [])
    page.on("request", lambda request: shown.requests.append(request.url))
    page.on("console", lambda said: shown.errors.append(said.text))
    page.on("pageerror", lambda error: shown.errors.append(str(error)))
    if not images:
        page.route("**/*", lambda route: route.abort())
    page.set_content(html, wait_until="load")
    return shown


@pytest.fixture(params=["weekly", "series"])
def html(request: pytest.FixtureRequest, mails: dict[str, str]) -> str:
    return mails[request.param]


@pytest.fixture(params=[320, 375, 700])
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=["light", "dark"])
def shown(
    request: pytest.FixtureRequest, browser: Browser, html: str, width: int
) -> Iterator[Shown]:
    shown = show(browser, html, width, request.param)
    yield shown
    shown.page.close()


@pytest.fixture(params=["light", "dark"])
def without_images(
    request: pytest.FixtureRequest, browser: Browser, html: str, width: int
) -> Iterator[Shown]:
    shown = show(browser, html, width, request.param, images=False)
    yield shown
    shown.page.close()


@pytest.fixture(params=["light", "dark"])
def opt_in(
    request: pytest.FixtureRequest, browser: Browser, mails: dict[str, str]
) -> Iterator[Shown]:
    shown = show(browser, mails["opt-in"], 320, request.param)
    yield shown
    shown.page.close()


def overflow(shown: Shown) -> int:
    return int(shown.page.evaluate("document.documentElement.scrollWidth")) - shown.width


def faint(shown: Shown) -> list[tuple[str, float]]:
    contrasts = shown.page.evaluate(CONTRASTS)
    assert len(contrasts) > 5
    return [(text, ratio) for text, ratio in contrasts if ratio < 4.5]


def test_a_mail_fits_is_legible_and_asks_only_the_blog(shown: Shown, blog: SampleServer) -> None:
    assert overflow(shown) <= 0
    assert faint(shown) == []
    assert shown.errors == []
    assert shown.requests
    assert {urlsplit(url).netloc for url in shown.requests} == {urlsplit(blog.url).netloc}


def test_images_are_shown_in_their_shape(shown: Shown) -> None:
    images = shown.page.evaluate(IMAGES)
    assert images
    for image in images:
        assert image["sized"]
        assert 60 <= image["width"] <= 600
        assert abs(image["natural"] - image["shown"]) < 0.05


def test_without_images_a_mail_still_fits_and_reads(without_images: Shown) -> None:
    assert overflow(without_images) <= 0
    assert faint(without_images) == []


def test_dark_is_dark_and_light_is_light(browser: Browser, html: str) -> None:
    lights = {}
    for scheme in ("light", "dark"):
        shown = show(browser, html, 700, scheme)
        lights[scheme] = shown.page.evaluate(
            "['body', '.card', '.mast'].map((found) => getComputedStyle("
            "document.querySelector(found)).backgroundColor.match(/\\d+/g).map(Number)"
            ".reduce((sum, each) => sum + each))"
        )
        shown.page.close()
    assert all(value > 3 * 220 for value in lights["light"][:2])
    assert all(value < 3 * 70 for value in lights["dark"])


def test_the_preheader_is_in_the_mail_but_not_on_the_page(browser: Browser, html: str) -> None:
    shown = show(browser, html, 375)
    preheader = shown.page.locator(".soft").first
    assert len(preheader.text_content() or "") > 100
    assert not preheader.is_visible()
    shown.page.close()


def test_links_that_stand_alone_are_large_enough_for_a_thumb(browser: Browser, html: str) -> None:
    shown = show(browser, html, 375)
    for name in ("Unsubscribe", "unsubscribe by e-mail", "All posts on Common Threads"):
        box = shown.page.get_by_role("link", name=name, exact=True).bounding_box()
        assert box is not None
        assert box["height"] >= 44
    shown.page.close()


def serious(shown: Shown) -> list[tuple[str, list[str]]]:
    assert AXE.exists(), f"{AXE} is missing: npm install --no-save axe-core"
    shown.page.add_script_tag(path=AXE)
    violations = shown.page.evaluate("axe.run().then((result) => result.violations)")
    bad = [v for v in violations if v["impact"] in {"serious", "critical"}]
    return [(v["id"], [node["html"] for node in v["nodes"]]) for v in bad]


def test_axe_finds_no_serious_fault(shown: Shown) -> None:
    assert serious(shown) == []


def test_the_opt_in_mail_is_as_legible(opt_in: Shown) -> None:
    assert overflow(opt_in) <= 0
    assert faint(opt_in) == []
    assert (opt_in.errors, opt_in.requests) == ([], [])
    assert serious(opt_in) == []


@pytest.mark.parametrize("images", [True, False])
def test_long_words_do_not_widen_a_mail(
    browser: Browser, mails: dict[str, str], *, images: bool
) -> None:
    shown = show(browser, mails["unbreakable"], 320, images=images)
    assert overflow(shown) <= 0
    shown.page.close()
