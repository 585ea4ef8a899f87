"""From the ledger's rows to what a channel is given: frozen pictures, cards, moments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from digest.errors import Refused, Unavailable
from digest.model import Card, ReadySnippet
from digest.social.decisions import key_of
from digest.social.pictures import Space

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from digest.model import Limits
    from digest.social.press import Workshop
    from digest.store.publications import Publication

#: So often a picture that cannot be had is waited for; then its snippet goes without.
PATIENCE = 3
_APART = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Readied:
    """A publication with what goes out for it."""

    publication: Publication
    snippet: ReadySnippet
    picture: str | None = None
    card_picture: str | None = None
    #: What it goes without, and why.
    note: str | None = None

    @property
    def has_picture(self) -> bool:
        return bool(self.picture or self.card_picture)


def bare(readied: Readied, why: str) -> Readied:
    """The same without its pictures, because of what is wrong with them."""
    if not readied.has_picture:
        return readied
    snippet = replace(readied.snippet, picture=None)
    if snippet.card:
        snippet = replace(snippet, card=replace(snippet.card, picture=None))
    note = _without(Refused(why))
    return Readied(readied.publication, snippet, note=note)


def ready(
    batch: Sequence[Publication], workshop: Workshop, limits: Limits | None, now: datetime
) -> list[Readied] | Unavailable:
    """What the channel is given for each, in order; `now` for what was never tried.

    Unavailable: a picture cannot be had now, and is waited for.
    """
    found: list[Readied] = []
    for index, one in enumerate(batch):
        at = one.tried_at or now + _APART * index
        readied = _ready(one, at, workshop, limits)
        if isinstance(readied, Unavailable):
            return readied
        found.append(readied)
    return found


def _ready(
    one: Publication, at: datetime, workshop: Workshop, limits: Limits | None
) -> Readied | Unavailable:
    key = key_of(one.id, one.text)
    snippet = ReadySnippet(
        key, one.text, at, one.language, tags=tuple(one.tags or ()), opens=one.position == 1
    )
    readied = Readied(one, snippet)
    if one.card is not None:
        return _with_card(readied, one.card, workshop, limits)
    if one.image_url is None or limits is None:
        return readied
    space = Space(limits.picture_bytes, limits.picture_types, limits.picture_pixels)
    name = _frozen(one, one.image_url, one.picture, space, workshop)
    if isinstance(name, Unavailable):
        return name
    if isinstance(name, Refused):
        return replace(readied, note=_without(name))
    picture = workshop.picture(name, (one.image_alt or "")[: limits.alt_characters])
    return replace(readied, snippet=replace(snippet, picture=picture), picture=name)


def _with_card(
    readied: Readied, given: Mapping[str, Any], workshop: Workshop, limits: Limits | None
) -> Readied | Unavailable:
    one = readied.publication
    card = Card(given["url"], given["title"], given["description"])
    bare = replace(readied, snippet=replace(readied.snippet, card=card))
    if not given["image_url"] or limits is None or limits.card_bytes is None:
        return bare
    space = Space(limits.card_bytes, limits.picture_types, limits.picture_pixels)
    name = _frozen(one, given["image_url"], one.card_picture, space, workshop)
    if isinstance(name, Unavailable):
        return name
    if isinstance(name, Refused):
        return replace(bare, note=_without(name))
    card = replace(card, picture=workshop.picture(name, ""))
    return replace(bare, snippet=replace(bare.snippet, card=card), card_picture=name)


def _frozen(
    one: Publication, url: str, frozen: str | None, space: Space, workshop: Workshop
) -> str | Refused | Unavailable:
    """The name of the file that the picture lies in."""
    if frozen and workshop.picture(frozen, "") is not None:
        return frozen
    made = workshop.freeze(url, space)
    if isinstance(made, Unavailable) and one.attempts >= PATIENCE:
        return Refused(made.reason)
    return made if isinstance(made, Refused | Unavailable) else made.name


def _without(fault: Refused) -> str:
    return f"goes without its picture: {fault.reason}"
