"""The local preview channel: one page that shows each thread as it would look."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from digest.files import replace_text
from digest.social.decisions import key_of
from digest.social.money import cost_of, in_words
from digest.social.networks import links_in, network_of
from digest.social.slots import zone_of
from digest.social.telling import form_of, is_over, marks, progress, troubles
from digest.social.wording import fill
from digest.store.social import PublicationRow, ThreadRow, load_threads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from digest.bootstrap import App
    from digest.config import Config
    from digest.config_social import Prices
    from digest.model import Limits
    from digest.social.networks import Network
    from digest.store.engine import Store

#: Threads of a channel that are over and shown still; the newest.
OVER_SHOWN = 30

#: Networks show a link without its scheme, and about this much of it.
LINK_SHOWN = 30
#: A day in a page without scripts: "Tue 24 Nov 2026, 09:30 GMT".
SLOT_FORMAT = "%a %-d %b %Y, %H:%M %Z"

_TAG = re.compile(r"(?<![\w&/#])#\w+")


@dataclass(frozen=True, slots=True)
class _Run:
    """A stretch of text: "text", "tag" or "link" (then `href` is where it leads)."""

    kind: str
    text: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class _Card:
    """A link as its network shows it; the picture empty where there is none."""

    url: str
    host: str
    title: str
    description: str
    image_url: str


@dataclass(frozen=True, slots=True)
class _Shown:
    """One publication as the page shows it; `slot` in the channel's zone."""

    row: PublicationRow
    anchor: str
    runs: tuple[_Run, ...]
    slot: str
    slot_iso: str
    percent: int
    image_url: str
    card: _Card | None
    #: Hashtags that stand in no text, with the #.
    tags: tuple[str, ...]
    #: What it goes without, and why.
    note: str
    #: Where it is out on its network; empty where it is not.
    permalink: str


@dataclass(frozen=True, slots=True)
class _ThreadShown:
    thread: ThreadRow
    items: tuple[_Shown, ...]
    #: "part of a standing thread, goes on from thread 3"; that one's number, where it is shown.
    form: str
    behind: int | None
    #: "planned", "2 of 5 out", and what else an editor must know.
    progress: str
    marks: tuple[str, ...]
    #: In words; empty where it costs nothing.
    cost: str


@dataclass(frozen=True, slots=True)
class _ChannelShown:
    slug: str
    network: Network
    #: Nothing of it leaves this machine.
    is_preview: bool
    zone: str
    threads: tuple[_ThreadShown, ...]
    #: So many that are long over are not shown.
    hidden: int


def refresh_preview(app: App) -> Path:
    """Bring the home folder's page up to date and return its path."""
    limits = {slug: app.limits(slug) for slug in app.config.channels}
    return write_preview(app.store, app.config, app.templates, page_of(app), limits)


def page_of(app: App) -> Path:
    """Where the home folder's page stands."""
    return preview_folder(app.var) / "index.html"


def preview_folder(var: Path) -> Path:
    """Where the page stands, and what was published on preview channels."""
    return var / "social"


def anchor(key: str) -> str:
    """Where on the page the publication of that key is shown."""
    return f"publication-{key}"


def write_preview(
    store: Store,
    config: Config,
    templates: Path,
    path: Path,
    limits: Mapping[str, Limits | None] | None = None,
) -> Path:
    """Write the page of all threads in the ledger to `path`, whole or not at all.

    `templates` is the folder that holds `social/`, `limits` what accounts take, where known.
    ConfigError where the template is at fault.
    """
    with store.read() as c:
        threads = load_threads(c)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, page(threads, config, templates, limits or {}), mode=0o644)
    return path


def page(
    threads: Sequence[ThreadRow],
    config: Config,
    templates: Path,
    limits: Mapping[str, Limits | None] | None = None,
) -> str:
    """The page as HTML; channels in the order of config, threads in that of their slots."""
    known = limits or {}
    shown = [_channel(slug, config, threads, known.get(slug)) for slug in config.channels]
    return fill(templates, "preview.html", site=config.site, channels=shown) + "\n"


def specimen(channel: str) -> ThreadRow:
    """A thread that shows everything that the page can show, to try its template on."""
    at = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
    text = "Text with a #Tag and https://example.org/"
    link, image = "https://example.org/", "https://example.org/image.png"
    card = {"url": link, "title": "Title", "description": "Excerpt.", "image_url": image}
    row = PublicationRow(1, 1, text, len(text), image, "Alt text", "submitted", at, link, "reason")
    rows = (replace(row, card=card, tags=("Unseen",), note="note"), replace(row, deleted_at=at))
    thread = ThreadRow(1, channel, 1, "Title", link, "series:s", "reason", at, rows, "standing")
    held = replace(thread, after_id=1, held_at=at, held_why="why", differs="differs")
    return replace(held, undo_at=at, undo_by="Maya", undo_why="why")


def _channel(
    slug: str, config: Config, threads: Sequence[ThreadRow], limits: Limits | None
) -> _ChannelShown:
    channel = config.channels[slug]
    network, zone = network_of(channel.network, limits), zone_of(channel, config)
    own = [thread for thread in threads if thread.channel == slug]
    over = [thread.thread_id for thread in own if is_over(thread)]
    hidden = frozenset(over[:-OVER_SHOWN])
    shown = [thread for thread in own if thread.thread_id not in hidden]
    numbers = {thread.thread_id for thread in shown}
    prices = channel.price_list
    return _ChannelShown(
        slug=slug,
        network=network,
        is_preview=channel.kind == "preview",
        zone=zone.key.replace("_", " "),
        threads=tuple(_thread(one, network, zone, prices, numbers) for one in shown),
        hidden=len(hidden),
    )


def _thread(
    thread: ThreadRow, network: Network, zone: ZoneInfo, prices: Prices, numbers: set[int]
) -> _ThreadShown:
    rows = thread.publications
    pictures = sum(bool(row.image_url and row.image_alt) for row in rows)
    cost = cost_of([row.text for row in rows], pictures, prices)
    return _ThreadShown(
        thread=thread,
        items=tuple(_shown(row, network, zone) for row in rows),
        form=form_of(thread),
        behind=thread.after_id if thread.after_id in numbers else None,
        progress=progress(thread),
        marks=tuple(map(_sentence, (*troubles(thread), *marks(thread)))),
        cost=_sentence(in_words(cost)) if cost.total else "",
    )


def _shown(row: PublicationRow, network: Network, zone: ZoneInfo) -> _Shown:
    slot = row.slot.astimezone(zone)
    return _Shown(
        row=row,
        anchor=anchor(key_of(row.id, row.text)),
        runs=tuple(_runs(row.text)),
        slot=slot.strftime(SLOT_FORMAT),
        slot_iso=slot.isoformat(),
        percent=min(100, round(100 * row.measured / network.limit)),
        image_url=_web(row.image_url),
        card=_card(row.card) if row.card else None,
        tags=tuple(f"#{tag}" for tag in row.tags or ()),
        note=_sentence(row.note or ""),
        permalink="" if row.deleted_at else _web(row.url),
    )


def _card(card: Mapping[str, Any]) -> _Card:
    url = _web(card["url"])
    host = urlsplit(url).netloc
    return _Card(url, host, card["title"], card["description"], _web(card["image_url"]))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _web(url: str | None) -> str:
    """The address, or nothing where it is none on the web."""
    return url if url and _is_web(url) else ""


def _runs(text: str) -> Iterator[_Run]:
    """The text with what a network colours: links and hashtags."""
    links = set(links_in(text))
    whole = "|".join([*map(re.escape, sorted(links, key=len, reverse=True)), _TAG.pattern])
    end = 0
    for found in re.finditer(whole, text):
        yield _Run("text", text[end : found.start()])
        yield _link(found[0]) if found[0] in links else _Run("tag", found[0])
        end = found.end()
    yield _Run("text", text[end:])


def _link(link: str) -> _Run:
    bare = link.split("://", 1)[-1]
    shown = bare if len(bare) <= LINK_SHOWN else f"{bare[:LINK_SHOWN]}…"
    return _Run("link", shown, link if _is_web(link) else f"https://{link}")


def _is_web(url: str) -> bool:
    try:
        return urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        return False
