"""What a reader may change of their settings, and what of it is a change: pure decisions."""

from __future__ import annotations

import calendar
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from digest.config import rhythms_of
from digest.model import Rhythm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from digest.config import Config
    from digest.model import Interests
    from digest.store.consents import Consent, Event
    from digest.store.settings import Settings, Subscription

#: Issues a week that a reader may choose; None: as many as come.
CAPS: tuple[int | None, ...] = (None, 1, 2, 3, 5, 7)

#: Where a reader's own page changed something, as it is kept in the history.
SETTINGS_PAGE = "settings page"

_MONTHS_AHEAD = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """What a reader wants of one newsletter."""

    newsletter: str
    interests: Interests
    rhythm: Rhythm
    #: The first day on which it comes again, in the site's zone; None: it is not paused.
    paused_until: date | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader wants, as one form says it."""

    choices: tuple[Choice, ...]
    weekly_cap: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """A subscription before and after, and what its reader did for that."""

    before: Subscription
    after: Subscription
    consents: tuple[Consent, ...]


def offered_groups(config: Config, newsletter: str) -> tuple[str, ...]:
    """The series and themes that readers of a newsletter may choose from: those it picks from."""
    named = config.newsletters[newsletter].picks_from.groups
    groups = [f"series:{slug}" for slug in config.series]
    groups += [f"theme:{slug}" for slug in config.themes]
    return tuple(group for group in groups if not named or group in named)


def groups_for(config: Config, subscription: Subscription) -> tuple[str, ...]:
    """What this reader may choose from: what is offered, and what they chose when it was."""
    offered = offered_groups(config, subscription.newsletter)
    known = {f"series:{slug}" for slug in config.series}
    known |= {f"theme:{slug}" for slug in config.themes}
    kept = (group for group in subscription.interests.chosen if group in known)
    return tuple(dict.fromkeys((*offered, *kept)))


def rhythms_for(config: Config, subscription: Subscription) -> tuple[Rhythm, ...]:
    """How often it may come, the most often first: what is offered, and what this reader has."""
    offered = {*rhythms_of(config.newsletters[subscription.newsletter]), subscription.rhythm}
    return tuple(rhythm for rhythm in Rhythm if rhythm in offered)


def caps_for(settings: Settings) -> tuple[int | None, ...]:
    """The weekly caps that this reader may choose from."""
    return tuple(dict.fromkeys((*CAPS, settings.weekly_cap)))


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """The moment at which a day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def months_from(day: date, months: int) -> date:
    """The same day of a later month, or that month's last."""
    whole = day.year * 12 + day.month - 1 + months
    year, month = divmod(whole, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def last_day_of_pause(today: date) -> date:
    """To which day a pause may reach."""
    return months_from(today, _MONTHS_AHEAD)


def spoken(day: date) -> str:
    """A day as it is read aloud: 3 March 2026."""
    return f"{day.day} {day:%B %Y}"


def faults_of(config: Config, settings: Settings, wanted: Wanted, now: datetime) -> dict[str, str]:
    """By field, what is wrong, in words for the reader: "rhythm.weekly", "cap".

    What is said of a newsletter that has ended meanwhile, or left config, is passed over.
    """
    choices = _choices(config, wanted)
    faults = {
        field: said
        for each in settings.active
        if each.newsletter in choices
        for field, said in _faults_of(config, each, choices[each.newsletter], now)
    }
    if wanted.weekly_cap not in caps_for(settings):
        faults["cap"] = "Choose one of these."
    return faults


def _faults_of(
    config: Config, subscription: Subscription, choice: Choice, now: datetime
) -> Iterator[tuple[str, str]]:
    slug = choice.newsletter
    if choice.rhythm not in rhythms_for(config, subscription):
        yield f"rhythm.{slug}", "Choose one of these."
    if not set(choice.interests.chosen) <= set(groups_for(config, subscription)):
        yield f"group.{slug}", "One of these is not published any more. Please choose again."
    today = now.astimezone(config.site.zone).date()
    last, until = last_day_of_pause(today), choice.paused_until
    if until is not None and until <= today:
        yield f"until.{slug}", "Choose a day after today, or leave it empty."
    if until is not None and until > last:
        yield f"until.{slug}", f"A year is the longest: until {spoken(last)}."


def changes_of(config: Config, settings: Settings, wanted: Wanted, now: datetime) -> list[Change]:
    """Of the active subscriptions, those that become others."""
    choices, zone = _choices(config, wanted), config.site.zone
    capped = "" if wanted.weekly_cap == settings.weekly_cap else _cap_words(wanted.weekly_cap)
    changes = []
    for before in settings.active:
        choice = choices.get(before.newsletter)
        after = before if choice is None else _chosen(before, choice, zone, now)
        events = list(_events(before, after, zone, now))
        if capped:
            events.append(("changed", capped))
        consents = tuple(consent(after, event, SETTINGS_PAGE, text, now) for event, text in events)
        changes.append(Change(before, after, consents))
    return [change for change in changes if change.consents]


def consent(
    subscription: Subscription, event: Event, form: str, text: str, now: datetime
) -> Consent:
    """What a reader did to a subscription, as it is kept."""
    return {
        "subscription_id": subscription.id,
        "at": now,
        "event": event,
        "form": form,
        "text": text,
        "interests": subscription.interests.key,
        "rhythm": subscription.rhythm,
    }


def pause_words(until: datetime, zone: ZoneInfo) -> str:
    """A pause as it is kept in the history."""
    return f"until {until.astimezone(zone).date()}"


def _choices(config: Config, wanted: Wanted) -> dict[str, Choice]:
    found = (choice for choice in wanted.choices if choice.newsletter in config.newsletters)
    return {choice.newsletter: choice for choice in found}


def _chosen(before: Subscription, choice: Choice, zone: ZoneInfo, now: datetime) -> Subscription:
    day, paused = choice.paused_until, before.pause(now)
    same = paused is not None and paused.astimezone(zone).date() == day
    until = None if day is None else paused if same else start_of(day, zone)
    return replace(before, interests=choice.interests, rhythm=choice.rhythm, paused_until=until)


def _events(
    before: Subscription, after: Subscription, zone: ZoneInfo, now: datetime
) -> Iterator[tuple[Event, str]]:
    changed = [
        f"{word}: {old} -> {new}"
        for word, old, new in (
            ("rhythm", before.rhythm, after.rhythm),
            ("interests", before.interests.key, after.interests.key),
        )
        if old != new
    ]
    if changed:
        yield "changed", "; ".join(changed)
    until = after.pause(now)
    if until is None and before.pause(now) is not None:
        yield "went on", "at once"
    elif until is not None and until != before.pause(now):
        yield "paused", pause_words(until, zone)


def _cap_words(cap: int | None) -> str:
    most = "as many as come" if cap is None else f"at most {cap}"
    return f"issues a week, of all newsletters together: {most}"
