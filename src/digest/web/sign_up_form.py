"""The sign-up form: what it offers, what was typed, and what is wrong with it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from digest.config import rhythm_of, rhythms_of
from digest.mail.addresses import Address, AddressProblem, parse_address
from digest.model import Interests, Rhythm
from digest.readers.changes import offered_groups
from digest.readers.wishes import RHYTHM_WORDS, Wish, as_offered, groups

if TYPE_CHECKING:
    from collections.abc import Mapping

    from digest.config import Config, Newsletter

EVERYTHING, CHOSEN = "everything", "chosen"
#: In the field that says which of our own forms it was.
PAGE, EMBEDDED = "page", "embedded"

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Typed:
    """A form as it was filled in."""

    address: str = ""
    newsletters: tuple[str, ...] = ()
    #: EVERYTHING or CHOSEN; empty where a form does not ask, and then what is chosen decides.
    what: str = ""
    interests: tuple[str, ...] = ()
    rhythm: str = ""
    consent: bool = False
    #: PAGE, EMBEDDED, or that and the host around the frame; empty in a form that is not ours.
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the form lets one choose from."""

    newsletters: Mapping[str, Newsletter]
    series: Mapping[str, str]
    themes: Mapping[str, str]
    #: Of all newsletters together; one alone is no choice.
    rhythms: Mapping[str, str]

    @property
    def narrow(self) -> list[str]:
        """How newsletters come that do not offer every rhythm there is to choose."""
        return [
            f"{newsletter.title} comes {rhythm_words(newsletter)}."
            for newsletter in self.newsletters.values()
            if len(rhythms_of(newsletter)) < len(self.rhythms)
        ]


@dataclass(frozen=True, slots=True)
class Read:
    """A form that can be taken."""

    address: Address
    wishes: tuple[Wish, ...]


def offer(config: Config) -> Offer:
    """What can be signed up for today."""
    open_ones = {s: n for s, n in config.newsletters.items() if n.sign_up == "open"}
    named = groups(config)
    offered = {group for slug in open_ones for group in offered_groups(config, slug)}
    found = {group: words for group, words in named.items() if group in offered}
    rhythms = {rhythm for newsletter in open_ones.values() for rhythm in rhythms_of(newsletter)}
    return Offer(
        newsletters=open_ones,
        series={group: words for group, words in found.items() if group.startswith("series:")},
        themes={group: words for group, words in found.items() if group.startswith("theme:")},
        rhythms={str(r): RHYTHM_WORDS[r] for r in Rhythm if r in rhythms},
    )


def rhythm_words(newsletter: Newsletter) -> str:
    """How a newsletter comes: "once a week or once a month"."""
    words = [RHYTHM_WORDS[rhythm] for rhythm in Rhythm if rhythm in rhythms_of(newsletter)]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def blank(offered: Offer, origin: str) -> Typed:
    """The form before anything is typed: what goes without saying is chosen."""
    first = next(iter(offered.newsletters.values()), None)
    rhythm = str(rhythm_of(first)) if first else ""
    return _settled(offered, Typed(what=EVERYTHING, rhythm=rhythm, origin=origin))


def read(config: Config, offered: Offer, typed: Typed) -> Read | dict[str, str]:
    """What is asked for, or what is wrong by field, in words for whoever typed it."""
    typed = _settled(offered, typed)
    faults: dict[str, str] = {}
    address = parse_address(typed.address)
    if isinstance(address, AddressProblem):
        faults["address"] = address.reason if typed.address else "Type your e-mail address."
    if not typed.newsletters:
        faults["newsletter"] = "Choose at least one newsletter."
    elif not set(typed.newsletters) <= offered.newsletters.keys():
        faults["newsletter"] = "One of these is not offered any more. Please choose again."
    interests = () if typed.what == EVERYTHING else typed.interests
    if typed.what == CHOSEN and not interests:
        faults["interest"] = "Choose at least one series or theme, or everything."
    elif not set(interests) <= {*offered.series, *offered.themes}:
        faults["interest"] = "One of these is not offered any more. Please choose again."
    if typed.rhythm and typed.rhythm not in {str(rhythm) for rhythm in Rhythm}:
        faults["rhythm"] = "Choose how often it shall come."
    if not typed.consent:
        faults["consent"] = "Without your consent nothing can be sent to you."
    if faults or isinstance(address, AddressProblem):
        return faults
    return _wishes(config, address, typed, Interests(interests))


def _wishes(
    config: Config, address: Address, typed: Typed, interests: Interests
) -> Read | dict[str, str]:
    wanted = [
        Wish(slug, interests, Rhythm(typed.rhythm or rhythm_of(config.newsletters[slug])))
        for slug in dict.fromkeys(typed.newsletters)
    ]
    wishes, empty = as_offered(config, wanted)
    if empty:
        titles = " and ".join(config.newsletters[slug].title for slug in empty)
        return {"interest": f"Nothing of this is in {titles}. Choose more, or everything."}
    return Read(address, wishes)


def _settled(offered: Offer, typed: Typed) -> Typed:
    """Where there is one newsletter, nobody needs to choose it."""
    if typed.newsletters or len(offered.newsletters) != 1:
        return typed
    return replace(typed, newsletters=tuple(offered.newsletters))


def evidence(typed: Typed, *, sent_from: str, own_hosts: set[str]) -> str:
    """Which form it was, as kept with a consent; `sent_from` is what the browser says of it."""
    host = host_of(sent_from)
    if host and host not in own_hosts:
        return f"form on {host}"
    kind, _, around = typed.origin.partition(" ")
    if kind == EMBEDDED:
        return f"form on {around}" if _HOST.fullmatch(around) else "embedded form"
    return "sign-up page" if kind == PAGE else "form elsewhere"


def host_of(address: str) -> str:
    """The host of a URL or origin, "" where there is none that could be kept as it is."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return ""
    return host if _HOST.fullmatch(host) else ""
