"""The mail that asks a reader to confirm."""

from __future__ import annotations

from pathlib import Path

from selectolax.lexbor import LexborHTMLParser

from digest.config import Newsletter, Site
from digest.issues.render import render_opt_in

TEMPLATES = Path(__file__).parents[2] / "templates"
URL = "https://readers.blog.example/pages/c/to%2Fken"


def opt_in(title: str = "The weekly digest") -> tuple[str, str, str]:
    site = Site(
        name="Common Threads",
        url="https://blog.example/",
        contact="editors@blog.example",
        postal_address="1 Example Street",
        links_url="https://readers.blog.example/pages/",
    )
    newsletter = Newsletter(
        title=title,
        from_name="Common Threads",
        from_address="digest@blog.example",
        bounce_address="bounces@blog.example",
        reply_to="editors@blog.example",
        unsubscribe_mailto="unsubscribe@blog.example",
        list_id="weekly.blog.example",
        mailer="local",
    )
    return render_opt_in(TEMPLATES, site, newsletter, "to/ken")


def test_it_says_what_was_asked_for_and_how_to_say_yes() -> None:
    subject, html, text = opt_in()
    tree = LexborHTMLParser(html)
    assert subject == "Please confirm: The weekly digest from Common Threads"
    (link,) = (a for a in tree.css("a") if a.attributes["href"] == URL)
    assert link.text(strip=True) == "Yes, send me The weekly digest"
    assert URL in text.splitlines()
    for seen in (tree.body.text(), text):
        assert "If it was not you, do nothing" in " ".join(seen.split())
        assert "1 Example Street" in seen
        assert "mailto:" in html + text


def test_a_title_with_markup_is_shown_as_written() -> None:
    subject, html, text = opt_in("<b>R&D</b> \\ 日本 > 東京")
    assert "<b>R&D</b> \\ 日本 > 東京" in subject
    assert "<b>R&D</b> \\ 日本 > 東京" in LexborHTMLParser(html).body.text()
    assert "<b>R&D</b> \\ 日本 > 東京" in text
