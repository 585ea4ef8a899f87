"""Entry -> CleanPost: text right once, links absolute, nothing that could do harm. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.feeds.body import Body, clean_body
from digest.feeds.plain import clean_line, cut_at_sentence
from digest.feeds.tame import without_data_urls
from digest.feeds.urls import post_url
from digest.model import CleanPost

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from digest.feeds.words import Block
    from digest.model import Entry

EXCERPT_LENGTH = 280
MAX_GUID = 2000
MAX_TITLE = 300
MAX_AUTHOR = 120
WORDS_PER_MINUTE = 220
#: Of one entry, pictures written into the text not counted.
MAX_MARKUP = 1024 * 1024
_TITLE_FROM_TEXT = 80
#: How WordPress ends an excerpt of its own making.
_CUT_SHORT = re.compile(
    r"\s*(\[\s*(…|\.\.\.)\s*\]|(\.\.\.|…)?\s*(Continue reading|Read more)\b.{0,200}(→|»)?)\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Unsaved:
    """An entry that cannot become a post, and why."""

    reason: str


def clean_entry(entry: Entry, *, now: datetime) -> CleanPost | Unsaved:
    """The post that the entry states. Published is `now` (UTC) where the entry has no date."""
    url = post_url(entry.url, "") or post_url(entry.guid, "")
    if url is None:
        stated = clean_line(entry.url, 200)
        return Unsaved(f"no usable URL ({stated!r})" if stated else "no URL")
    body = Body("", (), None)
    for markup in map(without_data_urls, (entry.content_html, entry.summary_html)):
        if len(markup) > MAX_MARKUP:
            return Unsaved("its text is larger than 1 MB")
        body = body if body.html else clean_body(markup, url)
    return _post(entry, url, body, now)


def _post(entry: Entry, url: str, body: Body, now: datetime) -> CleanPost:
    text = "\n\n".join(block.text for block in body.blocks)
    return CleanPost(
        guid=clean_line(entry.guid, MAX_GUID) or url,
        url=url,
        title=_title(entry, text, url),
        author=clean_line(entry.author, MAX_AUTHOR),
        published=entry.published or entry.updated or now,
        categories=tuple(clean_line(category, MAX_AUTHOR) for category in entry.categories),
        html=body.html,
        text=text,
        excerpt=excerpt_of(body.blocks),
        image=body.image,
        reading_minutes=max(1, round(len(text.split()) / WORDS_PER_MINUTE)),
    )


def _title(entry: Entry, text: str, url: str) -> str:
    """The title, or for a post without one the start of its text, or its URL."""
    title = clean_line(entry.title, MAX_TITLE)
    return title or clean_line(text, _TITLE_FROM_TEXT) or url


def excerpt_of(blocks: Sequence[Block]) -> str:
    """The first paragraphs, about 280 characters, cut at a sentence or a word."""
    paragraphs = [block.text for block in blocks if block.kind == "paragraph"]
    words = ""
    for text in paragraphs or [block.text for block in blocks]:
        words = f"{words} {' '.join(text.split())}".strip()
        if len(words) > EXCERPT_LENGTH:
            break
    return cut_at_sentence(_CUT_SHORT.sub("…", words), EXCERPT_LENGTH)
