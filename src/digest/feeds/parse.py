"""A feed's bytes -> entries, and every problem in words. feedparser's dicts end here."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import feedparser

from digest.feeds.decode import decode_feed
from digest.feeds.plain import one_line, strip_controls, text_of_html
from digest.feeds.wellformed import WellFormed, make_well_formed
from digest.model import Entry

if TYPE_CHECKING:
    from time import struct_time

MAX_ENTRIES = 5000
#: A date outside is a slip of somebody's software; the feed is taken to have given none.
YEARS = range(1970, 2101)
_MAX_GUID = 2000
#: "ann@blog.example (Ann)", "Ann (ann@blog.example)", "Ann <ann@blog.example>"
_NAMED_ADDRESS = re.compile(
    r"[^\s@()<>]+@[^\s@()<>]+ \(([^()]+)\)"
    r"|([^()<>@]+) (?:\([^\s()]+@[^\s()]+\)|<[^\s<>]+@[^\s<>]+>)"
)
_MAX_CATEGORIES = 100
_MAX_NAME = 200
#: Far beyond what is shown; a title is HTML to be parsed, so its length must end somewhere.
_MAX_TITLE = 4000


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a page of a feed holds, in its own order.

    Each problem names its entry by guid or title. `whole` is False where entries may be
    missing because the text broke off. `fault` says why the page is no feed at all. `misdated`
    are the keys of entries whose problem is a date that does not exist.
    """

    entries: tuple[Entry, ...] = ()
    problems: tuple[str, ...] = ()
    whole: bool = True
    fault: str = ""
    misdated: frozenset[str] = frozenset()


def parse_feed(body: bytes, *, feed: str, url: str, content_type: str = "") -> Parsed:
    """Read one page of feed `feed`, found at `url`. Never raises for anything a feed can say."""
    decoded = decode_feed(body, content_type)
    if decoded.fault:
        return Parsed(fault=decoded.fault, whole=False)
    formed = make_well_formed(decoded.text)
    if formed.fault:
        return Parsed(fault=formed.fault, whole=False)
    found, fault = _feedparser(formed.xml)
    if fault:
        return Parsed(fault=fault, whole=False)
    problems = ["the feed declares entities of its own; they were left out"]
    return _entries(feed, url, found, formed, problems[: int(decoded.declares_entities)])


def _feedparser(xml: str) -> tuple[Any, str]:
    """feedparser's dictionary, or the reason why it is no feed.

    Bytes in a stream, because it opens strings as files and URLs; `version` and not `bozo`,
    because a login page is no error to it. It is not told the feed's URL: it would make
    guids absolute with it, and a feed that moves would bring all its posts again.
    """
    headers = {"content-type": "application/xml; charset=utf-8"}
    body = b"<?xml version='1.0' encoding='utf-8'?>\n" + xml.encode("utf-8")
    try:
        found = feedparser.parse(
            BytesIO(body),
            response_headers=headers,
            sanitize_html=False,
            resolve_relative_uris=False,
        )
    except Exception as error:  # noqa: BLE001  a foreign parser on foreign text: told, not hidden
        return None, f"cannot be parsed ({type(error).__name__}: {str(error)[:_MAX_NAME]})"
    if not found.get("version"):
        return None, "is XML, but neither RSS nor Atom"
    return found, ""


def _entries(feed: str, url: str, found: Any, formed: WellFormed, problems: list[str]) -> Parsed:
    problems = [*problems, *formed.problems]
    entries = []
    misdated = set()
    default_author = _author(found.feed) if found.version.startswith("atom") else ""
    for number, raw in enumerate(found.entries[:MAX_ENTRIES]):
        entry = _entry(feed, url, raw, default_author)
        name = entry_name(entry)
        if unpublished := _unpublished(raw):
            problems.append(f"{name}: is {unpublished} in the export, left out")
            continue
        if fault := _date_fault(raw, entry):
            problems.append(f"{name}: {fault}")
            misdated.add(entry_key(entry))
        if number in formed.long_authors:
            problems.append(f"{name}: its author is longer than 1 KB and was left out")
        entries.append(entry)
    if -1 in formed.long_authors:
        problems.append("the feed's own author is longer than 1 KB and was left out")
    if len(found.entries) > MAX_ENTRIES:
        problems.append(f"only the first {MAX_ENTRIES} of {len(found.entries)} entries were read")
    whole = not formed.cut_off and len(found.entries) <= MAX_ENTRIES
    return Parsed(tuple(entries), tuple(problems), whole, misdated=frozenset(misdated))


def _unpublished(raw: Any) -> str:
    """What an entry of a WordPress export is, where it is no published post; else empty.

    An export holds drafts, pages and attachments beside the posts, and says so in elements of
    its own: https://github.com/WordPress/wordpress-develop/blob/trunk/src/wp-admin/includes/export.php
    """
    kind = _of_export(raw, "wp_post_type", "post")
    status = _of_export(raw, "wp_status", "publish")
    if kind != "post":
        return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    if status != "publish":
        return "a draft" if status == "draft" else f"a post of status {status!r}"
    return "protected by a password" if raw.get("wp_post_password") else ""


def _of_export(raw: Any, key: str, default: str) -> str:
    """An element that only exports have; `default` where there is none."""
    if key not in raw:
        return default
    return one_line(strip_controls(str(raw[key])), 60).lower() or "unknown"


def entry_name(entry: Entry) -> str:
    """How an entry is called in a report."""
    return one_line(entry.guid or entry.title or entry.url, _MAX_NAME) or "an entry without a name"


def entry_key(entry: Entry) -> str:
    """What tells an entry from the others of one reading."""
    return entry.guid or entry.url or entry.title


def _entry(feed: str, url: str, raw: Any, default_author: str) -> Entry:
    link = _link(raw)
    guid = _bounded(strip_controls(str(raw.get("id") or "")).strip())
    return Entry(
        feed=feed,
        guid=guid,
        url=_joined(url, link),
        title=_title(raw),
        author=_author(raw) or default_author,
        published=_moment(raw, "published"),
        updated=_moment(raw, "updated"),
        summary_html=_html(raw.get("summary_detail"), raw.get("summary")),
        content_html=_content(raw),
        categories=_categories(raw),
    )


def _link(raw: Any) -> str:
    """The link, but not a guid that feedparser took for one because nobody denied it."""
    link = strip_controls(str(raw.get("link") or "")).strip()
    is_guid = raw.get("guidislink") and link == raw.get("id")
    return "" if is_guid and not link.startswith(("http://", "https://")) else link


def _bounded(guid: str) -> str:
    return guid if len(guid) <= _MAX_GUID else f"sha256:{sha256(guid.encode()).hexdigest()}"


def _joined(base: str, link: str) -> str:
    try:
        return urljoin(base, link) if link else ""
    except ValueError:
        return link


def _title(raw: Any) -> str:
    """Plain text. feedparser guesses the type of RSS titles, and marks with it what is HTML."""
    title = str(raw.get("title") or "")[:_MAX_TITLE]
    kind = str((raw.get("title_detail") or {}).get("type") or "")
    return text_of_html(title) if kind.endswith(("html", "html+xml")) else title


def _author(raw: Any) -> str:
    """The name where one stands beside a mail address, else what was written.

    Not feedparser's own reading, which takes ".example" for ".exam" and "ple" for the name.
    """
    # WordPress writes display names with their entities into CDATA.
    author = one_line(html.unescape(str(raw.get("author") or "")), _MAX_NAME)
    named = _NAMED_ADDRESS.fullmatch(author)
    return next(part for part in named.groups() if part) if named else author


def _html(detail: Any, value: Any) -> str:
    """Text that an Atom feed declares as plain becomes HTML that says the same."""
    text = str(value or "")
    kind = str((detail or {}).get("type") or "")
    return html.escape(text, quote=False) if kind == "text/plain" else text


def _content(raw: Any) -> str:
    contents = raw.get("content") or []
    return _html(contents[0], contents[0].get("value")) if contents else ""


def _categories(raw: Any) -> tuple[str, ...]:
    terms = (html.unescape(str(tag.get("term") or "")) for tag in raw.get("tags") or [])
    lines = (one_line(strip_controls(term), _MAX_NAME) for term in terms)
    return tuple(dict.fromkeys(line for line in lines if line))[:_MAX_CATEGORIES]


def _moment(raw: Any, key: str) -> datetime | None:
    """feedparser's struct_time is in UTC. None for a date that does not exist."""
    # Asked with "in": get() answers with the other date, and a warning, where one is missing.
    parsed: struct_time | None = raw[f"{key}_parsed"] if f"{key}_parsed" in raw else None  # noqa: SIM401
    # The zero dates of databases, out of which feedparser makes the year 2000.
    if key in raw and str(raw[key]).lstrip().startswith(("-", "0000")):
        return None
    if parsed is None or parsed.tm_year not in YEARS:
        return None
    try:
        # Second 60 is a leap second, which datetime does not know.
        return datetime(*parsed[:5], min(parsed.tm_sec, 59), tzinfo=UTC)
    except ValueError:
        return None


def _date_fault(raw: Any, entry: Entry) -> str:
    stated = one_line(str(raw.get("published") or ""), 60)
    if entry.published or not stated:
        return ""
    instead = "" if entry.updated else "; taken as first seen"
    return f"{stated!r} is no date that exists{instead}"
