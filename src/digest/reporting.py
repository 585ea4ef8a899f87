"""What the small flows did, as Markdown: feeds read, threads planned, snippets out, chores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.showing import plain
from digest.social.slots import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from digest.config import Config
    from digest.feeds.refresh import RefreshReport
    from digest.social.planned import Planned, PlanReport
    from digest.social.press import PublishReport
    from digest.store.publications import Publication

#: Rows that one table shows; the newest. How many more there are is said.
SHOWN = 50


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
    """What was planned, with slots in each channel's zone, and what was not, and why."""
    verb = "would be planned" if report.dry_run else "planned"
    parts = [f"**{len(report.threads)}** threads {verb}.\n"]
    if report.threads:
        rows = [_thread_row(one, config) for one in report.threads]
        heads = "| Channel | Post | Under | Snippets | First slot | Why |"
        parts.append("\n".join([heads, "|---|---|---|--:|---|---|", *_newest(rows)]) + "\n")
    out = [one for one in report.planned if not one.is_in]
    if out:
        rows = [f"| {plain(o.channel)} | {plain(o.title)} | {plain(o.reason)} |" for o in out]
        parts.append(
            f"#### Left out: {len(out)}\n\n"
            + "\n".join(["| Channel | Post | Why |", "|---|---|---|", *_newest(rows)])
            + "\n"
        )
    if not report.planned:
        parts.append("No post has arrived since the channels began.\n")
    return "\n".join(parts)


def _thread_row(one: Planned, config: Config) -> str:
    zone = zone_of(config.channels[one.channel], config)
    slot = one.snippets[0].slot.astimezone(zone)
    return (
        f"| {plain(one.channel)} | {plain(one.title)} | {plain(one.scope)} | {len(one.snippets)}"
        f" | {slot:%a %d %b %Y %H:%M %Z} | {plain(one.reason)} |"
    )


def published_markdown(report: PublishReport) -> str:
    """What became of each snippet that was due, or would."""
    verb = "would be dealt with" if report.dry_run else "dealt with"
    parts = [f"**{len(report.lines)}** snippets {verb}.\n"]
    if report.lines:
        rows = [
            f"| {plain(line.channel)} | {plain(line.title)} | {line.position} of {line.of}"
            f" | {line.state} | {plain(line.reason)} |"
            for line in report.lines
        ]
        heads = "| Channel | Post | Snippet | State | Why |\n|---|---|---|---|---|"
        parts.append("\n".join([heads, *_newest(rows)]) + "\n")
    parts += [f"- {plain(slug)} stopped: {plain(why)}\n" for slug, why in report.faults.items()]
    if report.uncertain:
        parts.append(f"{report.uncertain} uncertain: somebody has to decide, by the flow settle.\n")
    return "\n".join(parts)


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
