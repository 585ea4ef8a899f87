"""What freezing an issue costs: it follows the number of variants, not that of readers.

100,000 readers in 50 sets of interests beside 1,000 in the same 50 sets, and beside as many of
whom a tenth want one mail a week and had it, and two in a hundred pause.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations, islice
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select

from digest.config import Config, StoreSettings
from digest.issues import desk, freeze
from digest.issues.compose import Request, render_variant
from digest.issues.content import from_json
from digest.issues.scope import ALL
from digest.model import Act, Rhythm
from digest.store import tables
from digest.store.engine import Store, open_store
from digest.store.migrate import ensure_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digest.store.issues import Issue

ROOT = Path(__file__).parents[2]
MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)
SERIES = [f"s{number}" for number in range(8)]
PICKS, SETS = 10, 50
#: In the ledger already: an issue of another newsletter, frozen this week.
EARLIER = 1
_CHUNK = 10_000


@dataclass(frozen=True)
class Figures:
    """What one freeze came to."""

    readers: int
    label: str
    recipients: int
    variants: int
    seconds: float
    #: Of `seconds`, spent on rendering.
    rendering: float


def main() -> None:
    """Print a line for each number of readers."""
    figures = [
        measured(1_000),
        measured(100_000),
        measured(100_000, capped=10, paused=50, label="10% capped, 2% paused"),
    ]
    heads = ("readers", "mails", "variants", "freeze s", "render s", "ms a variant", "us a reader")
    print("  ".join(f"{head:>12}" for head in heads))
    for one in figures:
        each = 1000 * one.rendering / one.variants
        rest = 1e6 * (one.seconds - one.rendering) / one.readers
        row = f"{one.readers:>12}  {one.recipients:>12}  {one.variants:>12}  {one.seconds:>12.2f}"
        print(f"{row}  {one.rendering:>12.2f}  {each:>12.1f}  {rest:>12.1f}  {one.label}")
    few, many, *_ = figures
    print(f"100 times the readers: rendering x {many.rendering / few.rendering:.2f},")
    print(f"freezing as a whole x {many.seconds / few.seconds:.1f}")


def measured(readers: int, *, capped: int = 0, paused: int = 0, label: str = "") -> Figures:
    """Freeze one issue; of every `capped` readers one is at the cap, of every `paused` one pauses."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(StoreSettings(), Path(folder))
        ensure_schema(store, backup=None)
        fill(store, readers, capped, paused)
        config, act = a_config(), Act("bench", MONDAY, "bench")
        request = Request("weekly", ALL, Rhythm.WEEKLY, MONDAY)
        issue = desk.draft_issue(store, config, ROOT / "templates", request, act)
        desk.approve(store, ROOT / "templates", issue.id, act)
        start = time.perf_counter()
        freeze.freeze_issue(store, ROOT / "templates", issue.id, act, config.site.zone)
        seconds = time.perf_counter() - start
        with store.read() as c:
            d, v = tables.deliveries.c, tables.variants.c
            mails = c.scalar(select(func.count()).where(d.issue_id == issue.id)) or 0
            masks = c.scalars(select(v.mask).where(v.issue_id == issue.id)).all()
        store.engine.dispose()
    rendering = min(rendered(issue, masks) for _ in range(3))
    return Figures(readers, label, mails, len(masks), seconds, rendering)


def rendered(issue: Issue, masks: Sequence[int]) -> float:
    """Seconds for all variants, without anything else."""
    content, start = from_json(issue.content), time.perf_counter()
    for mask in masks:
        render_variant(content, mask, ROOT / "templates", (issue.subject, issue.fallback_subject))
    return time.perf_counter() - start


def a_config() -> Config:
    site = {"name": "Bench", "url": "https://bench.example", "contact": "a@bench.example"}
    site |= {"postal_address": "1 Bench Street", "links_url": "https://read.bench.example"}
    addresses = ("from_address", "bounce_address", "reply_to", "unsubscribe_mailto")
    newsletter = {
        **dict.fromkeys(addresses, "a@bench.example"),
        "title": "Weekly",
        "from_name": "Bench",
        "list_id": "weekly.bench.example",
        "mailer": "local",
        "cap": PICKS,
        "cap_per_series": PICKS,
    }
    series = {s: {"title": s, "hashtag": s, "match": {"categories": [s]}} for s in SERIES}
    mailers = {"local": {"kind": "file"}}
    return Config.model_validate(
        {
            "site": site,
            "mailers": mailers,
            "feeds": {},
            "newsletters": {"weekly": newsletter},
            "series": series,
        }
    )


def interests() -> list[str]:
    """So many different sets: everything, single series, pairs, threes."""
    groups = [f"series:{slug}" for slug in SERIES]
    sets = (chosen for size in (1, 2, 3) for chosen in combinations(groups, size))
    return ["everything", *("|".join(sorted(chosen)) for chosen in islice(sets, SETS - 1))]


def fill(store: Store, readers: int, capped: int, paused: int) -> None:
    with store.write() as c:
        c.execute(insert(tables.posts), [a_post(number) for number in range(1, PICKS + 1)])
    keys = interests()
    for start in range(1, readers + 1, _CHUNK):
        numbers = range(start, min(start + _CHUNK, readers + 1))
        at_cap = {n for n in numbers if capped and n % capped == 0}
        resting = {n for n in numbers if paused and n % paused == 1}
        with store.write() as c:
            c.execute(insert(tables.subscribers), [a_reader(n, n in at_cap) for n in numbers])
            c.execute(
                insert(tables.subscriptions),
                [a_subscription(n, keys[(n + n // SETS) % SETS], n in resting) for n in numbers],
            )
    if capped:
        had_one(store, capped)


def a_post(number: int) -> dict[str, object]:
    at = MONDAY - timedelta(hours=number)
    text = "Nobody is paid to look, and so nobody does, until somebody falls. " * 4
    return {
        "id": number,
        "guid": f"g{number}",
        "url": f"https://bench.example/{number}/",
        "title": f"What is said in post number {number}",
        "author": "Ann",
        **dict.fromkeys(("published", "first_seen", "arrived"), at),
        "categories": [SERIES[number % len(SERIES)]],
        "html": "",
        "text": text,
        "excerpt": text,
        "reading_minutes": 3,
        "content_hash": str(number),
    }


def a_reader(number: int, is_capped: bool) -> dict[str, object]:
    address = f"r{number}@x.example"
    cap = 1 if is_capped else None
    row = {"id": number, "address": address, "address_key": address}
    return {**row, "created_at": MONDAY, "weekly_cap": cap}


def a_subscription(number: int, key: str, is_paused: bool) -> dict[str, object]:
    return {
        "id": number,
        "subscriber_id": number,
        "newsletter": "weekly",
        "interests": key,
        "rhythm": "weekly",
        "state": "active",
        "consent_source": "bench",
        "consent_at": MONDAY,
        "created_at": MONDAY,
        "paused_until": MONDAY + timedelta(days=9) if is_paused else None,
    }


def had_one(store: Store, capped: int) -> None:
    """An issue of another newsletter went to everybody with a cap, earlier in the week."""
    at = MONDAY - timedelta(hours=1)
    texts = dict.fromkeys(("subject", "fallback_subject", "html", "text"), "x")
    row = {"newsletter": "other", "scope": "all", "period": "2026-W48", "rhythm": "weekly"}
    row |= {"repeat": False, "state": "done", "hash": "h", "approved_hash": "h"}
    s = tables.subscribers.c
    with store.write() as c:
        new = insert(tables.issues).values(
            id=EARLIER, **row, **texts, scheduled_at=at, created_at=at, content={}, preflight=[]
        )
        c.execute(new)
        frozen = {"issue_id": EARLIER, "after": "frozen", "at": at, "actor": "x", "reason": "x"}
        c.execute(insert(tables.issue_transitions).values(**frozen))
        variant = {"id": 1, "issue_id": EARLIER, "mask": 1, "preflight": []}
        variant |= {"subject": "x", "html": "x", "text": "x"}
        c.execute(insert(tables.variants).values(**variant))
        readers = c.scalars(select(s.id).where(s.weekly_cap.is_not(None))).all()
        c.execute(
            insert(tables.deliveries),
            [
                {
                    "issue_id": EARLIER,
                    "variant_id": 1,
                    "subscriber_id": number,
                    "subscription_id": number,
                    "address": f"r{number}@x.example",
                    "address_key": f"r{number}@x.example",
                    "state": "submitted",
                    "attempts": 1,
                    "state_at": at,
                }
                for number in readers
            ],
        )


if __name__ == "__main__":
    main()
