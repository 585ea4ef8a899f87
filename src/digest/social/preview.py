"""The local preview channel: one page that shows each thread as it would look."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from digest.files import replace_text
from digest.social.decisions import key_of
from digest.social.networks import NETWORKS, links_in
from digest.social.slots import zone_of
from digest.social.wording import fill
from digest.store.social import PublicationRow, ThreadRow, load_threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from digest.bootstrap import App
    from digest.config import Config
    from digest.social.networks import Network
    from digest.store.engine import Store

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
class _Shown:
    """One publication as the page shows it; `slot` in the channel's zone."""

    row: PublicationRow
    anchor: str
    runs: tuple[_Run, ...]
    slot: str
    slot_iso: str
    percent: int
    image_url: str


@dataclass(frozen=True, slots=True)
class _ThreadShown:
    thread: ThreadRow
    items: tuple[_Shown, ...]
    #: "pending", or "3 submitted, 2 pending"
    states: str


@dataclass(frozen=True, slots=True)
class _ChannelShown:
    slug: str
    network: Network
    zone: str
    threads: tuple[_ThreadShown, ...]


def refresh_preview(app: App) -> Path:
    """Bring the home folder's page up to date and return its path."""
    return write_preview(app.store, app.config, app.templates, page_of(app))


def page_of(app: App) -> Path:
    """Where the home folder's page stands."""
    return preview_folder(app.var) / "index.html"


def preview_folder(var: Path) -> Path:
    """Where the page stands, and what was published on preview channels."""
    return var / "social"


def anchor(key: str) -> str:
    """Where on the page the publication of that key is shown."""
    return f"publication-{key}"


def write_preview(store: Store, config: Config, templates: Path, path: Path) -> Path:
    """Write the page of all threads in the ledger to `path`, whole or not at all.

    `templates` is the folder that holds `social/`. ConfigError where the template is at fault.
    """
    with store.read() as c:
        threads = load_threads(c)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, page(threads, config, templates), mode=0o644)
    return path


def page(threads: Sequence[ThreadRow], config: Config, templates: Path) -> str:
    """The page as HTML; channels in the order of config, threads in that of their slots."""
    shown = [_channel(slug, config, threads) for slug in config.channels]
    return fill(templates, "preview.html", site=config.site, channels=shown) + "\n"


def specimen(channel: str) -> ThreadRow:
    """A thread that shows everything that the page can show, to try its template on."""
    at = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
    text = "Text with a #Tag and https://example.org/"
    image = ("https://example.org/image.png", "Alt text")
    row = PublicationRow(1, 1, text, len(text), *image, "pending", at, None, None)
    link = "https://example.org/"
    return ThreadRow(1, channel, 1, "Title", link, "series:s", "reason", at, (row,))


def _channel(slug: str, config: Config, threads: Iterable[ThreadRow]) -> _ChannelShown:
    channel = config.channels[slug]
    network, zone = NETWORKS[channel.network], zone_of(channel, config)
    own = (_thread(thread, network, zone) for thread in threads if thread.channel == slug)
    return _ChannelShown(slug, network, zone.key.replace("_", " "), tuple(own))


def _thread(thread: ThreadRow, network: Network, zone: ZoneInfo) -> _ThreadShown:
    states = Counter(row.state for row in thread.publications)
    counted = ", ".join(f"{number} {state}" for state, number in states.items())
    items = tuple(_shown(row, network, zone) for row in thread.publications)
    return _ThreadShown(thread, items, next(iter(states)) if len(states) == 1 else counted)


def _shown(row: PublicationRow, network: Network, zone: ZoneInfo) -> _Shown:
    slot = row.slot.astimezone(zone)
    return _Shown(
        row=row,
        anchor=anchor(key_of(row.id, row.text)),
        runs=tuple(_runs(row.text)),
        slot=slot.strftime(SLOT_FORMAT),
        slot_iso=slot.isoformat(),
        percent=min(100, round(100 * row.measured / network.limit)),
        image_url=row.image_url if row.image_url and _is_web(row.image_url) else "",
    )


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
