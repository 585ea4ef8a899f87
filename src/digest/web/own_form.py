"""The form of a reader's settings: what is shown in it, what was typed, what that means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from digest.model import Interests, Rhythm
from digest.readers.changes import (
    Choice,
    Wanted,
    caps_for,
    groups_for,
    last_day_of_pause,
    rhythms_for,
    spoken,
)
from digest.readers.wishes import RHYTHM_WORDS, groups
from digest.web.names import archive_of, title_of
from digest.web.routing import text_of, texts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from digest.config import Config
    from digest.store.settings import Settings, Subscription

_EVERYTHING, _CHOSEN = "everything", "chosen"
_NO_CAP = "none"
_CAP = re.compile("[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class TypedChoice:
    """The fields of one newsletter, as they stand in the form."""

    rhythm: str
    what: str
    groups: frozenset[str]
    until: str


@dataclass(frozen=True, slots=True)
class Typed:
    """The whole form: by newsletter, and the weekly cap."""

    choices: Mapping[str, TypedChoice]
    cap: str


@dataclass(frozen=True, slots=True)
class Option:
    """One thing to choose."""

    value: str
    label: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One newsletter as the page shows it."""

    slug: str
    title: str
    #: Config knows it: there is something to choose.
    known: bool
    archive: str
    #: Until when it is paused, in words; "" where it is not.
    paused: str
    rhythms: Sequence[Option]
    everything: bool
    groups: Sequence[Option]
    #: What was chosen and is not published any more.
    gone: Sequence[str]
    until: str


def stored(config: Config, settings: Settings, now: datetime) -> Typed:
    """The form as it is before anybody types."""
    choices = {each.newsletter: _stored(config, each, now) for each in settings.active}
    return Typed(choices, _cap_value(settings.weekly_cap))


def _stored(config: Config, subscription: Subscription, now: datetime) -> TypedChoice:
    paused = subscription.pause(now)
    return TypedChoice(
        subscription.rhythm,
        _EVERYTHING if subscription.interests.everything else _CHOSEN,
        frozenset(subscription.interests.chosen),
        paused.astimezone(config.site.zone).date().isoformat() if paused else "",
    )


def typed(request: Request) -> Typed:
    """What was posted."""
    return Typed(
        {
            slug: TypedChoice(
                text_of(request, f"rhythm.{slug}"),
                text_of(request, f"what.{slug}"),
                frozenset(texts_of(request, f"group.{slug}")),
                text_of(request, f"until.{slug}"),
            )
            for slug in texts_of(request, "newsletter")
        },
        text_of(request, "cap"),
    )


def wanted_of(form: Typed) -> Wanted | dict[str, str]:
    """What the form means; or by field what cannot be understood, in words for the reader."""
    faults: dict[str, str] = {}
    choices = [_choice(slug, each, faults) for slug, each in form.choices.items()]
    cap = _cap(form.cap, faults)
    return faults or Wanted(tuple(each for each in choices if each is not None), cap)


def _choice(slug: str, form: TypedChoice, faults: dict[str, str]) -> Choice | None:
    before = len(faults)
    if form.rhythm not in set(Rhythm):
        faults[f"rhythm.{slug}"] = "Choose how often it is to come."
    if form.what == _CHOSEN and not form.groups:
        said = "Choose at least one, or everything. To get nothing at all, stop this newsletter."
        faults[f"group.{slug}"] = said
    elif form.what not in (_EVERYTHING, _CHOSEN):
        faults[f"group.{slug}"] = "Choose everything, or what you follow."
    until = _date(form.until)
    if form.until and until is None:
        faults[f"until.{slug}"] = "Write the day as year-month-day: 2026-12-24."
    if len(faults) > before:
        return None
    chosen = form.groups if form.what == _CHOSEN else ()
    return Choice(slug, Interests(tuple(sorted(chosen))), Rhythm(form.rhythm), until)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _cap(text: str, faults: dict[str, str]) -> int | None:
    if text == _NO_CAP:
        return None
    if _CAP.fullmatch(text):
        return int(text)
    faults["cap"] = "Choose one of these."
    return None


def cards(config: Config, settings: Settings, form: Typed, now: datetime) -> list[Card]:
    """What of the form each newsletter has."""
    as_stored = stored(config, settings, now)
    return [
        _card(
            config,
            each,
            form.choices.get(each.newsletter, as_stored.choices[each.newsletter]),
            now,
        )
        for each in settings.active
    ]


def _card(config: Config, subscription: Subscription, form: TypedChoice, now: datetime) -> Card:
    slug, names = subscription.newsletter, groups(config)
    known = slug in config.newsletters
    paused = subscription.pause(now)
    return Card(
        slug=slug,
        title=title_of(config, slug),
        known=known,
        archive=archive_of(config, slug),
        paused=spoken(paused.astimezone(config.site.zone).date()) if paused else "",
        rhythms=_rhythms(config, subscription, form) if known else (),
        everything=form.what != _CHOSEN,
        groups=[
            Option(group, names[group], group in form.groups)
            for group in (groups_for(config, subscription) if known else ())
        ],
        gone=[
            group.partition(":")[2] for group in subscription.interests.chosen if group not in names
        ],
        until=form.until,
    )


def _rhythms(config: Config, subscription: Subscription, form: TypedChoice) -> list[Option]:
    return [
        Option(rhythm, RHYTHM_WORDS[rhythm], rhythm == form.rhythm)
        for rhythm in rhythms_for(config, subscription)
    ]


def caps(settings: Settings, form: Typed) -> list[Option]:
    """The weekly caps to choose from."""
    labels = {_cap_value(cap): _cap_label(cap) for cap in caps_for(settings)}
    # A list to choose from always shows one; what nobody could have chosen is none of them.
    chosen = form.cap if form.cap in labels else _cap_value(settings.weekly_cap)
    return [Option(value, label, value == chosen) for value, label in labels.items()]


def _cap_value(cap: int | None) -> str:
    return _NO_CAP if cap is None else str(cap)


def _cap_label(cap: int | None) -> str:
    if cap is None:
        return "As many as come"
    return "1 mail a week at most" if cap == 1 else f"{cap} mails a week at most"


@dataclass(frozen=True, slots=True)
class Days:
    """Between which days a pause may end, as a date field takes them."""

    first: str
    last: str


def days_of_pause(config: Config, now: datetime) -> Days:
    """From tomorrow to a year ahead, in the site's zone."""
    today = now.astimezone(config.site.zone).date()
    first = today + timedelta(days=1)
    return Days(first.isoformat(), last_day_of_pause(today).isoformat())


@dataclass(frozen=True, slots=True)
class Other:
    """A newsletter that the reader may take as well."""

    slug: str
    title: str
    description: str
    archive: str
    #: The reader had it before.
    left: bool


def others(config: Config, settings: Settings) -> list[Other]:
    """The newsletters that are open, and not this reader's."""
    found = []
    for slug, newsletter in config.newsletters.items():
        had = settings.of(slug)
        if newsletter.sign_up == "open" and not (had and had.active):
            left = had is not None and had.state == "ended"
            archive = archive_of(config, slug)
            found.append(Other(slug, newsletter.title, newsletter.description, archive, left))
    return found
