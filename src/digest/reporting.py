"""What the small flows did, as Markdown: feeds read, threads planned, snippets out, chores."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from digest.showing import plain
from digest.social.money import dollars
from digest.social.slots import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from digest.config import Config
    from digest.feeds.refresh import RefreshReport
    from digest.social.planned import Planned, PlanReport
    from digest.social.press import Line, PublishReport
    from digest.store.publications import Publication

#: Rows that one table shows; the newest. How many more there are is said.
SHOWN = 50

#: What an address may hold as it is between the brackets of a Markdown link.
_OF_URLS = "%/:=&?~#+!$,;@"


def feeds_markdown(report: RefreshReport) -> str:
    """What each feed gave, and how it is known that nothing was missed."""
    rows = [
        f"| {plain(feed.slug)} | {feed.status} | {feed.new} | {feed.changed}"
        f" | {plain(feed.error or feed.proof)} |"
        for feed in report.feeds
    ]
    if not rows:
        return "No feed is declared in config.\n"
    told = [f"- {plain(feed.slug)}: {plain(p)}" for feed in report.feeds for p in feed.problems]
    heads = "| Feed | Status | New | Changed | How it is known |\n|---|---|--:|--:|---|"
    return "\n".join([heads, *rows, "", *_newest(told)]) + "\n"


def threads_markdown(report: PlanReport, config: Config) -> str:
    """What was planned, snippet by snippet, with slots in each channel's zone; and what was not.

    Lists, no tables: they are read on a phone too.
    """
    verb = "would be planned" if report.dry_run else "planned"
    slugs = dict.fromkeys(one.channel for one in report.threads)
    prices = [f"{plain(s)} about {plain(dollars(p))}" for s in slugs if (p := report.price_on(s))]
    cost = f"; {', '.join(prices)}" if prices else ""
    parts = [f"**{len(report.threads)}** threads {verb}{cost}.\n"]
    parts += _newest([_thread(one, config) for one in report.threads])
    parts += [
        f"Nothing old is brought back on {plain(slug)}: {plain(why)}.\n"
        for slug, why in report.silent.items()
    ]
    out = report.left_out
    if out:
        told = [f"- {plain(o.channel)}: {plain(o.title)}: {plain(o.reason)}" for o in out]
        parts.append("\n".join([f"#### Left out: {len(out)}\n", *_newest(told)]) + "\n")
    if not report.planned:
        parts.append("No post has arrived since the channels began.\n")
    return "\n".join(parts)


def _thread(one: Planned, config: Config) -> str:
    zone = zone_of(config.channels[one.channel], config)
    number = f" {one.thread_id}" if one.thread_id is not None else ""
    told = [one.reason, one.cost, *one.notes]
    items = [
        f"{position}. {item.slot.astimezone(zone):%a %d %b %Y %H:%M %Z}"
        f" · {item.measured} of {one.limit} · {plain(item.text)}"
        for position, item in enumerate(one.snippets, 1)
    ]
    return "\n".join(
        [
            f"#### Thread{number} on {plain(one.channel)}: {plain(one.title)}\n",
            "".join(f"- {plain(words)}\n" for words in told if words),
            *items,
            "",
        ]
    )


def published_markdown(report: PublishReport) -> str:
    """What became of each snippet that was due, or would, and what somebody should know."""
    verb = "would be dealt with" if report.dry_run else "dealt with"
    parts = [f"**{len(report.lines)}** snippets {verb}.\n"]
    parts += [f"**Notice**: {plain(notice)}.\n" for notice in report.notices]
    parts += [f"- {plain(slug)} is not through: {plain(why)}\n" for slug, why in _untold(report)]
    if report.uncertain:
        parts.append(
            f"{report.uncertain} uncertain: looked up by the next run, or decided by the flow"
            " settle.\n"
        )
    groups = groupby(report.lines, key=lambda line: (line.thread, line.channel, line.title))
    parts += _newest([_published(*thread, list(lines)) for thread, lines in groups])
    return "\n".join(parts)


def _published(number: int, channel: str, title: str, lines: Sequence[Line]) -> str:
    rows = [f"- {line.position} of {line.of}: {_state(line)}" for line in lines]
    return "\n".join([f"#### Thread {number} on {plain(channel)}: {plain(title)}\n", *rows, ""])


def _state(line: Line) -> str:
    words = ", ".join(plain(part) for part in (line.state, line.reason) if part)
    is_web = urlsplit(line.url).scheme in {"http", "https"}
    return f"[{words}](<{quote(line.url, safe=_OF_URLS)}>)" if is_web else words


def published_words(report: PublishReport) -> str:
    """The same in a sentence: "3 submitted, 1 cancelled; mastodon stopped: ..."."""
    counted = ", ".join(f"{number} {state}" for state, number in report.counts.items())
    words = [counted] if counted else []
    words += report.notices
    words += [f"{slug} is not through: {why}" for slug, why in _untold(report)]
    if report.uncertain:
        words.append(f"{report.uncertain} uncertain: looked up by the next run, or settle them")
    return "; ".join(words) or "no slot has come since the last run"


def _untold(report: PublishReport) -> list[tuple[str, str]]:
    """The faults that no notice tells of."""
    told = " ".join(report.notices)
    return [(slug, why) for slug, why in report.faults.items() if why not in told]


def undecided_markdown(left: Sequence[Publication]) -> str:
    """The publications that nobody has decided on."""
    if not left:
        return "No publication is uncertain and undecided.\n"
    rows = [
        f"| {plain(one.channel)} | {plain(one.title)} | {one.position} of {one.of}"
        f" | {plain(one.reason or '')} |"
        for one in left
    ]
    heads = "| Channel | Post | Snippet | Why |\n|---|---|---|---|"
    return "\n".join([f"**{len(left)}** uncertain.\n", heads, *_newest(rows)]) + "\n"


def chores_markdown(done: Mapping[str, Iterable[str]]) -> str:
    """What housekeeping did, by chore; those without a line are left out."""
    parts = []
    for name, lines in done.items():
        told = [f"- {plain(line)}" for line in lines]
        if told:
            parts.append("\n".join([f"#### {plain(name)}\n", *_newest(told)]) + "\n")
    return "\n".join(parts)


def _newest(rows: list[str]) -> list[str]:
    """The last rows, and how many were before them."""
    if len(rows) <= SHOWN:
        return rows
    return [*rows[-SHOWN:], f"\nand {len(rows) - SHOWN} before these"]
