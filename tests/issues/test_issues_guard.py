"""What mrml corrupts, panics or crashes on comes out right, or is refused in a sentence."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape

from digest.errors import DigestError
from digest.issues.guard import MAX_DEPTH, MjmlError, mjml_to_html


def mail(body: str, head: str = "") -> str:
    return (
        f"<mjml><mj-head>{head}</mj-head><mj-body><mj-section><mj-column>{body}</mj-column>"
        "</mj-section></mj-body></mjml>"
    )


class Seen(HTMLParser):
    """What a reader's program makes of HTML: the texts of paragraphs, attributes by name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= dict(attrs)
        if tag == "p":
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "p":
            self.texts.append("")


@pytest.mark.parametrize(
    "alt",
    [
        "ไทยที่",
        "👨‍👩‍👧 a family",
        "12\xa0km",
        "C:\\pictures\\new",
        "soft\u00adhyphen \u200fright \u200eleft \ufeff \u2028",
        'she said "no"',
        "it's",
        "a\tb",
        "two\nlines",
        "é 日本語 “curly” 🇬🇧 ☺️",
        "&#3607; written out & so on",
    ],
)
def test_an_attribute_comes_out_as_it_went_in(alt: str) -> None:
    html = mjml_to_html(mail(f'<mj-image src="https://x.example/a.png" alt="{escape(alt)}" />'))
    assert Seen(html).attributes["alt"] == alt


def test_a_single_quoted_attribute_cannot_end_early() -> None:
    html = mjml_to_html(mail("""<mj-image src="a.png" alt='x" onload="alert(1)' />"""))
    assert Seen(html).attributes["alt"] == 'x" onload="alert(1)'
    assert "onload" not in Seen(html).attributes


def test_the_title_is_repeated_in_an_attribute_unharmed() -> None:
    title = 'A "quoted"\n back\\slash ที่'
    html = mjml_to_html(mail("<mj-text>x</mj-text>", f"<mj-title>{title}</mj-title>"))
    assert Seen(html).attributes["aria-label"] == 'A "quoted" back\\slash ที่'


@pytest.mark.parametrize("text", ["日本 > 東京", "— > x", "“x” > y", "ไทยที่ \\ 👨‍👩‍👧"])
def test_text_that_is_not_ascii_may_stand_before_an_angle(text: str) -> None:
    assert text in Seen(mjml_to_html(mail(f"<mj-text><p>{text}</p></mj-text>"))).texts


def test_control_characters_are_taken_out() -> None:
    html = mjml_to_html(mail("<mj-text><p>a\x00b\x0bc\x92d\ufffee\ud800</p></mj-text>"))
    assert "abcde" in Seen(html).texts


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<mj-raw><![endif]</mj-raw>", "bare <"),
        ("<mj-text>a < b</mj-text>", "bare <"),
        ("<mj-text><p>a<p>b</mj-text>", "</mj-text> stands where </p> is due"),
        ("<mj-text><ul><li>a<li>b</ul></mj-text>", "</ul> stands where </li> is due"),
        ("<mj-text><![CDATA[x]]></mj-text>", "bare <"),
        ("<mj-raw><!-- a -- b --></mj-raw>", "-- inside a comment"),
        ("<mj-text font-size=12px>a</mj-text>", "lacks its quotes"),
        ('<mj-include path="/etc/passwd" />', "mj-include is not read"),
        ('<mj-include type="html" path="a.html" />', "mj-include is not read"),
        ("<mj-text>a</mj-text></mj-column></mj-column>", "</mj-column> stands where"),
        ("<mj-text", "bare <"),
        ("<mj-raw>" + "<div>" * 9000 + "</div>" * 9000 + "</mj-raw>", "nest deeper"),
        ("</div>" * 99 + "<div>" * 99, "</div> stands where"),
        ("<mj-section>" * 2000 + "</mj-section>" * 2000, "nest deeper"),
    ],
)
def test_what_is_not_well_formed_is_refused_with_line_and_reason(
    body: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MjmlError) as raised:
        mjml_to_html(mail(f"\n\n{body}"))
    assert says in str(raised.value)
    assert str(raised.value).startswith("line 3 of the filled template: ")
    assert isinstance(raised.value, DigestError)
    assert capfd.readouterr().err == ""  # no panic, which would write a backtrace


@pytest.mark.parametrize("source", ["", "hello", "<html></html>", "<mjml>", "<?xml ?><mjml />"])
def test_what_is_no_mjml_is_refused(source: str) -> None:
    with pytest.raises(MjmlError):
        mjml_to_html(source)


def test_a_refusal_by_mrml_names_a_line_of_the_template() -> None:
    title = "<mj-title>ไทย</mj-title>\n"
    with pytest.raises(MjmlError, match=r"^line 4 of the filled template: unexpected element"):
        mjml_to_html(mail("<mj-text>x</mj-text>", f"\n{title}\n<mj-x />"))


def test_an_include_in_the_head_is_refused_before_mrml_sees_it() -> None:
    with pytest.raises(MjmlError, match="mj-include is not read"):
        mjml_to_html(mail("", '<mj-include type="html" path="x" />'))


def test_elements_may_nest_as_deep_as_the_limit() -> None:
    depth = MAX_DEPTH - len(["mjml", "mj-body", "mj-section", "mj-column", "mj-raw"])
    html = mjml_to_html(mail(f"<mj-raw>{'<div>' * depth}deep{'</div>' * depth}</mj-raw>"))
    assert "<div>deep</div>" in html


def test_outlooks_conditional_comments_stay_and_other_comments_go() -> None:
    raw = "<!--[if mso]><p>a</p><![endif]--><!--[if !mso]><!--><p>b</p><!--<![endif]--><!-- c -->"
    html = mjml_to_html(mail(f"<mj-raw>{raw}</mj-raw>"))
    assert raw.removesuffix("<!-- c -->") in html
    assert "<!-- c -->" not in html


def test_nothing_is_fetched_from_anyone() -> None:
    html = mjml_to_html(mail("<mj-text>Ubuntu is the default font</mj-text>"))
    assert "@import" not in html
    assert "<link" not in html


def test_a_small_stack_is_enough() -> None:
    program = (
        "import sys, threading; from digest.issues.guard import mjml_to_html, MAX_DEPTH\n"
        "threading.stack_size(512 * 1024)\n"
        "n = MAX_DEPTH - 2\n"
        "s = '<mjml><mj-body>' + '<mj-section>' * n + '</mj-section>' * n + '</mj-body></mjml>'\n"
        "t = threading.Thread(target=lambda: print(len(mjml_to_html(s)) > 0)); t.start(); t.join()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, b"True")


@settings(deadline=None)
@given(text=st.text(), attribute=st.text())
def test_any_text_comes_out_as_the_same_text(text: str, attribute: str) -> None:
    source = f'<mj-text><p title="{escape(attribute)}">{escape(text)}</p></mj-text>'
    seen = Seen(mjml_to_html(mail(source)))
    # A text of nothing but line ends is dropped, and means nothing in HTML.
    assert seen.texts[0].strip("\n") == kept(text).strip("\n")
    assert (seen.attributes["title"] or "") == kept(attribute)


@settings(deadline=None)
@given(source=st.text(alphabet="<>/!-[]=\"'& apmj\\é日\n", max_size=60))
def test_any_markup_is_rendered_or_refused(source: str) -> None:
    try:
        assert mjml_to_html(mail(f"<mj-text>{source}</mj-text>")).startswith("<!doctype")
    except MjmlError:
        return


def kept(text: str) -> str:
    """The text without what is no character of HTML, and its line ends as HTML's."""

    def is_kept(character: str) -> bool:
        code = ord(character)
        control = (code < 32 and character not in "\t\n") or 0x7F <= code <= 0x9F
        surrogate = 0xD800 <= code <= 0xDFFF
        return not (control or surrogate or 0xFDD0 <= code <= 0xFDEF or code in (0xFFFE, 0xFFFF))

    return "".join(filter(is_kept, text.replace("\r\n", "\n").replace("\r", "\n")))
