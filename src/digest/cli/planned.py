"""A plan for the person at the terminal: every snippet in full, with its count and slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.cli.common import say
from digest.cli.snippets import extra, say_text, slot_words, wrapped
from digest.social.money import dollars
from digest.social.slots import zone_of
from digest.threads import channels_standing

if TYPE_CHECKING:
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from digest.bootstrap import App
    from digest.social.planned import Planned, PlanReport
    from digest.store.social import PlannedSnippet
    from digest.threads import ChannelStanding


def tell_plan(app: App, report: PlanReport, page: Path | None) -> None:
    """Say what is planned on each channel, what it costs, and what is left out."""
    slugs = list(dict.fromkeys((*(one.channel for one in report.planned), *report.silent)))
    for slug in slugs:
        (standing,) = channels_standing(app, slug)
        _tell_channel(app, report, standing)
    if not slugs:
        say("No post has arrived since the channels began.")
    if report.dry_run:
        say("Nothing was stored: this is what would be planned.")
    elif page:
        say(f"See the threads as they will look: {page}")


def _tell_channel(app: App, report: PlanReport, standing: ChannelStanding) -> None:
    slug = standing.slug
    threads = [one for one in report.threads if one.channel == slug]
    zone = zone_of(app.config.channels[slug], app.config)
    count = f"{len(threads)} {'thread' if len(threads) == 1 else 'threads'}"
    say(f"== {slug}: {count}{_money(report, standing)} ==")
    for one in threads:
        say()
        _tell_thread(one, zone)
    out = [one for one in report.left_out if one.channel == slug]
    if out:
        say()
        say("  Left out:")
        for one in out:
            say(wrapped(f"{one.title}: {one.reason}", "  - ", "    "))
    if slug in report.silent:
        say()
        say(wrapped(f"Nothing old is brought back: {report.silent[slug]}.", "  ", "  "))
    say()


def _money(report: PlanReport, standing: ChannelStanding) -> str:
    price = report.price_on(standing.slug)
    if not price:
        return ""
    spent = f"{dollars(standing.spent)} spent in {standing.month}"
    if standing.cap is None:
        return f", about {dollars(price)}; {spent}"
    over = "; what goes over the cap waits" if standing.spent + price > standing.cap else ""
    return f", about {dollars(price)}; {spent} of {dollars(standing.cap)} a month{over}"


def _tell_thread(one: Planned, zone: ZoneInfo) -> None:
    number = f"Thread {one.thread_id}: " if one.thread_id is not None else ""
    say(wrapped(f"{number}{one.title}", "", "  "))
    say(wrapped(f"why: {one.reason}", "  ", "       "))
    if form := _form(one):
        say(f"  form: {form}")
    if one.cost:
        say(wrapped(f"cost: {one.cost}", "  ", "        "))
    for link in dict.fromkeys(link for _, link in one.links) if one.cost else ():
        places = ", ".join(str(position) for position, found in one.links if found == link)
        say(wrapped(f"link: {link} in {places}", "  ", "        "))
    for note in one.notes:
        say(wrapped(f"note: {note}", "  ", "        "))
    for position, item in enumerate(one.snippets, 1):
        count = f"[{item.measured}/{one.limit}]"
        at = slot_words(item.slot, zone)
        say(f"  {position}/{len(one.snippets)}  {at}  {count}")
        say_text(item.text)
        _tell_extras(item)


def _tell_extras(item: PlannedSnippet) -> None:
    if item.image:
        extra(f"picture: {item.image.alt or 'without alt text'}")
    if item.card:
        extra(f"link card: {item.card.title}")
    if hidden := " ".join(f"#{tag}" for tag in item.tags):
        extra(f"unseen hashtags: {hidden}")


def _form(one: Planned) -> str:
    if one.evergreen:
        return "single snippet, brought back by rotation"
    if one.repeat:
        return "single snippet, brought back"
    if one.form == "standing" and one.after_id is not None:
        return f"part of a standing thread, goes on from thread {one.after_id}"
    if one.form == "standing":
        behind = "goes on from the one above" if one.goes_on else "its beginning"
        return f"part of a standing thread, {behind}"
    return "single snippet" if one.form == "snippet" else ""
