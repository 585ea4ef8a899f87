"""The named checks that a rendered issue passes before anyone may approve it.

A check looks at one `Page` and yields what it found; `CHECKS` is all of them. Only an error
stops an issue.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from markupsafe import escape
from selectolax.lexbor import LexborHTMLParser

from digest.issues.links import with_utm
from digest.issues.words import in_lines, line, texts
from digest.model import SETTINGS_MARK, UNSUBSCRIBE_MAILTO_MARK, UNSUBSCRIBE_MARK, Check, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from digest.issues.content import IssueContent, Item

#: Gmail clips here, and hides what follows: the unsubscribe link too
#: (https://github.com/hteumeuleu/email-bugs/issues/41). Some count the encoded message.
SIZE_LIMIT = 102_400
SIZE_WARNING = 90_000
SUBJECT_SHOWN = 60
SUBJECT_LIMIT = 200
PREHEADER_LEAST, PREHEADER_MOST = 40, 130
MARKS = (UNSUBSCRIBE_MARK, UNSUBSCRIBE_MAILTO_MARK, SETTINGS_MARK)
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_NOT_PRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TEMPLATE_SYNTAX = re.compile(r"\{\{|\{%")
_CONDITION = re.compile(r"<!--\[if [^\]]*\]>(<!-->)?|(<!--)?<!\[endif\]-->")

Finding: TypeAlias = tuple[Severity, str]


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered issue, with what the checks ask of it read out once."""

    content: IssueContent
    html: str
    text: str
    subject: str
    preheader: str
    #: The targets of the HTML's links, and the sources of its images, in their order.
    links: tuple[str, ...]
    images: tuple[str, ...]
    #: What the HTML says, and what the text says, each as one line.
    seen: str
    read: str


def preflight(
    content: IssueContent, *, html: str, text: str, subject: str, preheader: str
) -> tuple[Check, ...]:
    """Everything found amiss, by check; nothing for an issue without fault."""
    page = _page(in_lines(content), html, text, subject, preheader)
    return tuple(
        Check(name, severity, message)
        for name, check in CHECKS.items()
        for severity, message in check(page)
    )


def _page(content: IssueContent, html: str, text: str, subject: str, preheader: str) -> Page:
    tree = LexborHTMLParser(html)
    links = tuple(node.attributes.get("href") or "" for node in tree.css("a[href]"))
    images = tuple(node.attributes.get("src") or "" for node in tree.css("img"))
    seen = line(tree.body.text(separator="") if tree.body else "")
    return Page(content, html, text, subject, preheader, links, images, seen, line(text))


# --- size --------------------------------------------------------------------------------------


def _size(page: Page) -> Iterator[Finding]:
    largest = max(len(page.html.encode()), _encoded(page.html))
    if largest >= SIZE_LIMIT:
        beyond = ", ".join(_quoted(item) for item in _beyond(page)) or "the footer alone"
        taken = f"the HTML takes {largest:,} bytes as sent; Gmail cuts it off at {SIZE_LIMIT:,}"
        yield Severity.ERROR, f"{taken}; what does not fit: {beyond}"
    elif largest >= SIZE_WARNING:
        yield Severity.WARNING, f"the HTML takes {largest:,} of {SIZE_LIMIT:,} bytes as sent"


def _encoded(text: str) -> int:
    """Bytes of the text as quoted-printable with CRLF, the way it is sent."""
    body = binascii.b2a_qp(text.encode(), istext=True)
    return len(body) + body.count(b"\n")


def _beyond(page: Page) -> Iterator[Item]:
    """The posts of which a part stands beyond the limit: each ends where the next begins."""
    items = page.content.items
    starts = [_start(page, item) for item in items]
    for item, end in zip(items, [*starts[1:], len(page.html)], strict=True):
        if _encoded(page.html[:end]) >= SIZE_LIMIT:
            yield item


def _start(page: Page, item: Item) -> int:
    """Where the post's own link stands: other posts may link to it too, in other words."""
    url = str(escape(with_utm(item.post.url, page.content)))
    title = str(escape(item.post.title))
    found = re.search(rf'href="{re.escape(url)}"[^>]*>\s*{re.escape(title)}', page.html)
    return found.start() if found else len(page.html)


def _quoted(item: Item) -> str:
    return f"\N{LEFT DOUBLE QUOTATION MARK}{item.post.title}\N{RIGHT DOUBLE QUOTATION MARK}"


# --- what is there -----------------------------------------------------------------------------


def _posts(page: Page) -> Iterator[Finding]:
    if not page.content.items:
        yield Severity.ERROR, "the issue has no posts"
    for item in page.content.items:
        if not item.post.title:
            yield Severity.ERROR, f"the post {item.post.url} has no title"


def _both_parts(page: Page) -> Iterator[Finding]:
    for item in page.content.items:
        url = with_utm(item.post.url, page.content)
        for part, said, linked in (
            ("HTML", page.seen, url in page.links),
            ("text", page.read, url in page.text),
        ):
            if item.post.title not in said:
                yield Severity.ERROR, f"the {part} lacks the title of {_quoted(item)}"
            if not linked:
                yield Severity.ERROR, f"the {part} lacks the link to {_quoted(item)}"


def _unsubscribe(page: Page) -> Iterator[Finding]:
    if UNSUBSCRIBE_MARK not in page.links:
        yield Severity.ERROR, "the HTML has no link to unsubscribe"
    if UNSUBSCRIBE_MARK not in page.text:
        yield Severity.ERROR, "the text has no link to unsubscribe"
    # Each mark becomes the recipient's own link: in a post's words or URL it would lead there too.
    if any(mark in text for text in texts(page.content) for mark in MARKS):
        yield Severity.ERROR, "a post contains the mark of the link to unsubscribe"


def _postal_address(page: Page) -> Iterator[Finding]:
    address = page.content.postal_address
    for part, said in (("HTML", page.seen), ("text", page.read)):
        if not address or address not in said:
            yield Severity.ERROR, f"the {part} lacks the postal address"


# --- subject and preheader ---------------------------------------------------------------------


def _subject(page: Page) -> Iterator[Finding]:
    length = len(page.subject)
    if not length:
        yield Severity.ERROR, "the subject is empty"
    elif length > SUBJECT_LIMIT:
        yield Severity.ERROR, f"the subject has {length} characters, more than {SUBJECT_LIMIT}"
    elif length > SUBJECT_SHOWN:
        yield Severity.WARNING, f"phones cut the subject off: {length} characters"
    if _NOT_PRINTABLE.search(page.subject):
        yield Severity.ERROR, "the subject has control characters or line ends"
    if "=?" in page.subject:
        yield Severity.ERROR, "the subject has =?, which mail programs take for encoded words"


def _preheader(page: Page) -> Iterator[Finding]:
    length = len(page.preheader)
    if not PREHEADER_LEAST <= length <= PREHEADER_MOST:
        wanted = f"{PREHEADER_LEAST} to {PREHEADER_MOST}"
        yield Severity.WARNING, f"the preheader has {length} characters; {wanted} show well"
    if page.preheader.casefold() == page.subject.casefold():
        yield Severity.WARNING, "the preheader only repeats the subject"


# --- images, links, markup ---------------------------------------------------------------------


def _alt(page: Page) -> Iterator[Finding]:
    for item in page.content.items:
        image = item.post.image
        if image and not image.alt and image.url in page.images:
            yield Severity.WARNING, f"the image of {_quoted(item)} has no alt text"


def _https(page: Page) -> Iterator[Finding]:
    addresses = dict.fromkeys((*page.links, *page.images))
    plain = [address for address in addresses if _scheme_and_host(address)[0] == "http"]
    local = [address for address in plain if _scheme_and_host(address)[1] in LOOPBACK]
    if local:
        yield Severity.NOTE, f"{len(local)} links and images are on this machine: {local[0]}, ..."
    for address in plain:
        if address not in local:
            yield Severity.WARNING, f"not https: {address}"


def _schemes(page: Page) -> Iterator[Finding]:
    allowed = {"http", "https", "mailto"}
    for address in dict.fromkeys((*page.links, *page.images)):
        if _scheme_and_host(address)[0] not in allowed:
            yield Severity.ERROR, f"neither http(s) nor mailto: {address!r}"


def _scheme_and_host(address: str) -> tuple[str, str]:
    try:
        parts = urlsplit(address)
    except ValueError:
        return "", ""
    return parts.scheme, parts.hostname or ""


def _conditions(page: Page) -> Iterator[Finding]:
    is_open = False
    for found in _CONDITION.finditer(page.html):
        if found[0].startswith("<!--[if") == is_open:
            yield Severity.ERROR, f"Outlook's conditional comments are not balanced at {found[0]}"
            return
        is_open = not is_open
    if is_open:
        yield Severity.ERROR, "Outlook's last conditional comment is not closed"


def _template_syntax(page: Page) -> Iterator[Finding]:
    """Braces of a template that came out as text; those that a post wrote itself are its own."""
    for part, said in (("HTML", page.seen), ("text", page.read)):
        found = _TEMPLATE_SYNTAX.search(said)
        if found and (found := _TEMPLATE_SYNTAX.search(_without_own_words(said, page))):
            yield Severity.ERROR, f"the {part} shows template syntax: {found[0]}"


def _without_own_words(said: str, page: Page) -> str:
    own = {page.preheader, page.subject, *texts(page.content)}
    for text in sorted(own, key=len, reverse=True):
        if _TEMPLATE_SYNTAX.search(text):
            said = said.replace(text, "")
    return said


#: Name to check: the name is what an editor reads beside the finding.
CHECKS: dict[str, Callable[[Page], Iterable[Finding]]] = {
    "posts": _posts,
    "size": _size,
    "subject": _subject,
    "preheader": _preheader,
    "both parts": _both_parts,
    "unsubscribe": _unsubscribe,
    "postal address": _postal_address,
    "alt text": _alt,
    "https": _https,
    "link schemes": _schemes,
    "conditional comments": _conditions,
    "template syntax": _template_syntax,
}
