"""Which variant of an issue a page for editors shows, and which readers get that one.

Readers have had posts, or follow only some, so the whole issue may be a mail that nobody
gets: unless asked for another, a page shows what most readers get.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.exceptions import HTTPException

from digest.issues.compose import render_variant
from digest.issues.content import Rendered
from digest.issues.freeze import forecast, forecast_unstored, frozen_shares
from digest.issues.lifecycle import BEFORE_FREEZE
from digest.store import accounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from digest.bootstrap import App
    from digest.issues.compose import Request as Wanted
    from digest.issues.freeze import Share
    from digest.issues.preview import Preview
    from digest.store.issues import Issue
    from digest.web.pages import Web

_FIELD = "mask"
#: Masks are 64-bit integers in the store.
_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Variants:
    """Who gets what of an issue, and the one variant that is shown."""

    #: Of the whole issue.
    whole: int
    #: Of the variant shown.
    mask: int
    #: Largest first; none where there is nothing to get, or where it went to nobody.
    shares: Sequence[Share]

    @property
    def total(self) -> int:
        return sum(share.readers for share in self.shares)

    @property
    def shown(self) -> Share | None:
        """The readers' share that is shown; None where no reader gets just that."""
        return next((share for share in self.shares if share.mask == self.mask), None)


def without_mask(request: Request) -> str:
    """The request's query but for the variant, which no signature is about."""
    pairs = request.query_params.multi_items()
    return urlencode([(name, value) for name, value in pairs if name != _FIELD])


def with_mask(path: str, query: str, mask: int) -> str:
    """The address of one variant."""
    field = urlencode({_FIELD: mask})
    return f"{path}?{query}&{field}" if query else f"{path}?{field}"


def choose(request: Request, whole: int, shares: Sequence[Share]) -> Variants:
    """The variant asked for, or else the one that most readers get, or else the whole issue.

    Raises HTTPException where what is asked for is no variant of the issue.
    """
    asked = request.query_params.getlist(_FIELD)
    if not asked:
        return Variants(whole, shares[0].mask if shares else whole, shares)
    mask = _number(asked[0]) if len(asked) == 1 else 0
    if not mask or mask & ~whole:
        raise HTTPException(404)
    return Variants(whole, mask, shares)


def shares_of(
    web: Web, app: App, shown: Preview, wanted: Wanted | None, issue: Issue | None
) -> Sequence[Share]:
    """Who gets what: as things stand, or as frozen."""
    if shown.nothing:
        return []
    if wanted is not None:
        content, both = shown.content, shown.both
        return web.shares.get(
            (wanted, content, both),
            lambda: forecast_unstored(app.store, wanted, content, both, app.week),
        )
    if issue is None:
        return []
    if issue.state in BEFORE_FREEZE:
        return web.shares.get((issue.id, issue.hash), lambda: forecast(app.store, issue, app.week))
    with app.store.read() as c:
        return frozen_shares(c, issue.id)


def render_shown(app: App, shown: Preview, issue: Issue | None, variants: Variants) -> Rendered:
    """The variant: as stored where it is, else as it would be rendered.

    Its findings are those of the whole issue, which is what gets approved.
    """
    if shown.nothing:
        return shown.rendered
    if issue is not None and issue.state not in BEFORE_FREEZE:
        return _as_stored(app, shown, issue, variants)
    if variants.mask == variants.whole:
        return shown.rendered
    made = render_variant(shown.content, variants.mask, app.templates, shown.both)
    return Rendered(made.subject, made.preheader, made.html, made.text, shown.rendered.preflight)


def _as_stored(app: App, shown: Preview, issue: Issue, variants: Variants) -> Rendered:
    with app.store.read() as c:
        found = accounts.variant_with(c, issue.id, variants.mask)
    if found is not None:
        return Rendered(found.subject, "", found.html, found.text, shown.rendered.preflight)
    if variants.mask == variants.whole:
        return shown.rendered
    # Nothing is rendered after freezing (rule 4).
    raise HTTPException(404, "The issue is settled, and no reader gets that variant of it.")


def _number(text: str) -> int:
    plain = text.isascii() and text.isdecimal() and len(text) <= _DIGITS
    return int(text) if plain else 0
