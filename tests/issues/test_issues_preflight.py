"""Each check of the preflight finds what it is named for, and is silent on a good issue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from digest.issues.preflight import SIZE_LIMIT, preflight
from digest.issues.render import render
from digest.issues.specimen import specimens
from digest.model import UNSUBSCRIBE_MARK, Check, Image, Severity

if TYPE_CHECKING:
    from digest.issues.content import IssueContent
    from digest.model import PostView

TEMPLATES = Path(__file__).parents[2] / "templates"
CONTENT = specimens("weekly")[0].variant(0b1101)  # without the post whose image has no alt
GOOD = render(CONTENT, TEMPLATES)


def findings(content: IssueContent = CONTENT, **changes: str) -> dict[str, list[Check]]:
    """What the preflight finds once parts of a good issue are changed, by check."""
    shown = {part: getattr(GOOD, part) for part in ("html", "text", "subject", "preheader")}
    found: dict[str, list[Check]] = {}
    for check in preflight(content, **(shown | changes)):
        found.setdefault(check.name, []).append(check)
    return found


def with_post(**changes: object) -> IssueContent:
    """The content with its first post changed."""
    first, *others = CONTENT.items
    post: PostView = replace(first.post, **changes)
    return replace(CONTENT, items=(replace(first, post=post), *others))


def test_nothing_is_found_in_a_good_issue() -> None:
    assert GOOD.preflight == ()
    assert findings() == {}


def test_a_large_issue_is_an_error_that_names_the_posts_beyond_the_limit() -> None:
    long = "A sentence of an excerpt that somebody made much too long. " * 250
    items = CONTENT.items * 4
    items = tuple(
        replace(item, position=n, post=replace(item.post, title=f"Post no. {n}", excerpt=long))
        for n, item in enumerate(items, 1)
    )
    rendered = render(replace(CONTENT, items=items), TEMPLATES)
    (size,) = (check for check in rendered.preflight if check.name == "size")
    fitting = [n for n in range(1, 13) if f"“Post no. {n}”" not in size.message]
    assert size.severity is Severity.ERROR
    assert "102,400" in size.message
    assert fitting == list(range(1, fitting[-1] + 1))
    assert 3 <= len(fitting) <= 7


def test_the_size_counts_as_it_is_sent() -> None:
    padding = "<!-- " + "é" * ((SIZE_LIMIT - len(GOOD.html)) // 5) + " -->"
    html = GOOD.html + padding
    assert len(html.encode()) < 90_000
    assert findings(html=html)["size"][0].severity is Severity.ERROR


def test_a_size_near_the_limit_is_a_warning() -> None:
    html = GOOD.html + "\n" + "x" * (91_000 - len(GOOD.html))
    assert findings(html=html)["size"][0].severity is Severity.WARNING


def test_the_footer_alone_may_be_what_does_not_fit() -> None:
    html = GOOD.html.replace("<head>", "<head><!--" + "x" * SIZE_LIMIT + "-->", 1)
    assert "Specimen post 1" in findings(html=html)["size"][0].message
    html = GOOD.html + "<!--" + "x" * SIZE_LIMIT + "-->"
    assert "Specimen post 4" in findings(html=html)["size"][0].message


def test_an_issue_without_posts_is_an_error() -> None:
    assert findings(CONTENT.variant(0))["posts"][0].severity is Severity.ERROR


def test_a_post_without_title_is_an_error_that_names_its_url() -> None:
    (check,) = findings(with_post(title=""))["posts"]
    assert check.severity is Severity.ERROR
    assert "https://blog.example/1/" in check.message


@pytest.mark.parametrize(
    ("subject", "severity", "says"),
    [
        ("", Severity.ERROR, "empty"),
        ("x" * 61, Severity.WARNING, "61 characters"),
        ("x" * 201, Severity.ERROR, "201 characters"),
        ("a\r\nBcc: everyone@example.org", Severity.ERROR, "control characters"),
        ("a\x00b", Severity.ERROR, "control characters"),
        ("=?utf-8?q?hello?=", Severity.ERROR, "=?"),
    ],
)
def test_a_subject_at_fault(subject: str, severity: Severity, says: str) -> None:
    (check,) = findings(subject=subject)["subject"]
    assert (check.severity, says in check.message) == (severity, True)


def test_a_subject_of_sixty_characters_is_fine() -> None:
    assert "subject" not in findings(subject="x" * 60)


@pytest.mark.parametrize("preheader", ["", "too short", "x" * 131, GOOD.subject.upper()])
def test_a_preheader_at_fault_is_a_warning(preheader: str) -> None:
    assert findings(preheader=preheader)["preheader"][0].severity is Severity.WARNING


@pytest.mark.parametrize("part", ["html", "text"])
@pytest.mark.parametrize("lost", ["Specimen post 3", "https://blog.example/3/"])
def test_a_post_lost_from_one_part_is_an_error_that_names_it(part: str, lost: str) -> None:
    checks = findings(**{part: getattr(GOOD, part).replace(lost, "gone")})["both parts"]
    assert {check.severity for check in checks} == {Severity.ERROR}
    assert all("“Specimen post 3”" in check.message for check in checks)
    assert all(("HTML" if part == "html" else "text") in check.message for check in checks)


@pytest.mark.parametrize("part", ["html", "text"])
def test_a_mail_that_cannot_be_left_is_an_error(part: str) -> None:
    changed = getattr(GOOD, part).replace(UNSUBSCRIBE_MARK, "https://blog.example/")
    assert findings(**{part: changed})["unsubscribe"][0].severity is Severity.ERROR


def test_a_post_that_writes_the_unsubscribe_mark_is_an_error() -> None:
    content = with_post(url=UNSUBSCRIBE_MARK)
    checks = render(content, TEMPLATES).preflight
    assert ("unsubscribe", Severity.ERROR) in {(check.name, check.severity) for check in checks}


@pytest.mark.parametrize("part", ["html", "text"])
def test_a_mail_without_postal_address_is_an_error(part: str) -> None:
    changed = getattr(GOOD, part).replace(CONTENT.postal_address, "")
    assert findings(**{part: changed})["postal address"][0].severity is Severity.ERROR
    assert findings(replace(CONTENT, postal_address=""))["postal address"]


def test_an_image_without_alt_text_is_a_warning_that_names_its_post() -> None:
    content = with_post(image=Image("https://blog.example/1.png", "", 1200, 600))
    (check,) = findings(content)["alt text"]
    assert (check.severity, "“Specimen post 1”" in check.message) == (Severity.WARNING, True)
    assert findings(content, html=GOOD.html.replace("1.png", "2.png")).get("alt text") is None


def test_plain_http_is_a_warning_for_each_address_and_loopback_one_note() -> None:
    far = GOOD.html.replace("https://blog.example/1.png", "http://cdn.example/1.png")
    (check,) = findings(html=far)["https"]
    assert (check.severity, "cdn.example" in check.message) == (Severity.WARNING, True)
    near = GOOD.html.replace("https://blog.example/1.png", "http://127.0.0.1:8765/1.png")
    (check,) = findings(html=near)["https"]
    assert check.severity is Severity.NOTE


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//x.example", "#", ""])
def test_a_link_that_is_no_address_is_an_error(url: str) -> None:
    html = GOOD.html.replace("</body>", f'<a href="{url}">x</a></body>')
    assert findings(html=html)["link schemes"][0].severity is Severity.ERROR


@pytest.mark.parametrize(
    "change", [("<!--[if mso]>", ""), ("<![endif]-->", ""), ("</body>", "<!--[if mso]></body>")]
)
def test_conditional_comments_out_of_balance_are_an_error(change: tuple[str, str]) -> None:
    html = GOOD.html.replace(*change, 1)
    assert findings(html=html)["conditional comments"][0].severity is Severity.ERROR


@pytest.mark.parametrize("part", ["html", "text"])
@pytest.mark.parametrize("left", ["{{ title }}", "{% if x %}"])
def test_template_syntax_that_is_left_over_is_an_error(part: str, left: str) -> None:
    changed = getattr(GOOD, part).replace("min read", left)
    assert findings(**{part: changed})["template syntax"][0].severity is Severity.ERROR


def test_template_syntax_that_a_post_wrote_is_its_own_business() -> None:
    long = "Why {{ 7*7 }} is not 49 in Jinja's own {% raw %} blocks. " * 5
    rendered = render(with_post(title="On {{ braces }}", excerpt=long), TEMPLATES)
    assert "On {{ braces }}" in rendered.html
    assert "template syntax" not in {check.name for check in rendered.preflight}
