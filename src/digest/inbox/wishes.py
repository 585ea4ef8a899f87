"""What a letter asks for. A decision on text alone: nothing is looked up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from digest.links import PREVIEW_TOKEN, TEST_TOKEN
from digest.mail.addresses import Address, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from digest.config import Newsletter
    from digest.inbox.letter import Letter

#: As our links write it, "unsubscribe TOKEN", with whatever mail programs put around it.
_WITH_TOKEN = re.compile(
    r"(?<![\w-])(?P<verb>unsubscribe|confirm)(?:%20|[\s+:=<\[(\"'])+"
    r"(?P<token>[A-Za-z0-9_-]{32,40})(?![A-Za-z0-9_-])",
    re.IGNORECASE,
)
_SAMPLE = re.compile(rf"\bunsubscribe (?:{TEST_TOKEN}|{PREVIEW_TOKEN})\b")
#: Re:, AW:, Fwd: and their like, and marks such as [EXTERNAL], before a subject.
_BEFORE = re.compile(r"(?:\s*(?:\w{1,5}(?:\[\d+\])?\s*:|\[[^\]]*\](?=\s*\S)))+\s*", re.IGNORECASE)
_ALONE = re.compile(
    r"\W*(?:please )?unsubscribe(?: me)?(?:,? please)?(?: [A-Za-z0-9_-]{20,})?\W*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ByToken:
    """The reader of this token wants to leave or to confirm.

    `sender` may leave in place of a token that is none of ours, as of a mail that was cut.
    """

    verb: Literal["unsubscribe", "confirm"]
    token: str
    sender: Address | None


@dataclass(frozen=True, slots=True)
class ByAddress:
    """Whoever has this address wants to leave."""

    sender: Address


@dataclass(frozen=True, slots=True)
class Sample:
    """The link of a test copy or preview, which takes nobody off."""


@dataclass(frozen=True, slots=True)
class Automatic:
    """A bounce or an automatic reply."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """Nothing that we understand; a person should look."""


Wish: TypeAlias = ByToken | ByAddress | Sample | Automatic | Unclear


def wish_of(letter: Letter) -> Wish:
    """What the letter asks for; never anything, where a machine answers one of our mails."""
    if letter.automatic:
        return Automatic()
    sender = _sender(letter)
    for said in (letter.subject, *_unaccompanied(letter.lines)):
        if found := _WITH_TOKEN.search(said):
            verb: Literal["unsubscribe", "confirm"] = (
                "confirm" if found["verb"].casefold() == "confirm" else "unsubscribe"
            )
            return ByToken(verb, found["token"], sender)
    if _SAMPLE.search(letter.subject):
        return Sample()
    # Of the text only the first line: what comes below may be quoted without a mark.
    alone = (_without_prefix(letter.subject), *letter.lines[:1])
    if sender is not None and any(_ALONE.fullmatch(said) for said in alone):
        return ByAddress(sender)
    return Unclear()


def _without_prefix(subject: str) -> str:
    found = _BEFORE.match(subject)
    return subject[found.end() :] if found else subject


def _unaccompanied(lines: Iterable[str]) -> list[str]:
    """Lines that say "unsubscribe TOKEN" and nothing else."""
    return [line for line in lines if _WITH_TOKEN.fullmatch(line.strip("<>[]()\"' .\t"))]


def _sender(letter: Letter) -> Address | None:
    """From, where it is one plain address: of several nobody knows which one asks."""
    if len(letter.senders) != 1:
        return None
    parsed = parse_address(letter.senders[0])
    return parsed if isinstance(parsed, Address) else None


def newsletters_meant(letter: Letter, newsletters: Mapping[str, Newsletter]) -> frozenset[str]:
    """The newsletters whose address for leaving it was sent to; all, where that cannot be told."""
    to = {address.casefold() for address in letter.recipients}
    meant = {s for s, one in newsletters.items() if one.unsubscribe_mailto.casefold() in to}
    return frozenset(meant or newsletters)
