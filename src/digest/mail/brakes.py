"""When an issue that goes out is to stop by itself: pure rules, of counts and now.

The first recipients of an issue are its canary: then it waits for what comes back about them,
and goes on if all is well. At any time it stops where more than so many were refused, came
back, or were called spam, of those tried since somebody last let it go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from digest.model import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from digest.config_mailers import Brakes

S = DeliveryState
#: Deliveries that were tried, and came to an end.
OUTCOMES = (S.SUBMITTED, S.REFUSED, S.FAILED, S.UNCERTAIN)


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of an issue's deliveries. Times in UTC."""

    #: When it was last let go: its first start, or an editor's resume.
    let_go_at: datetime
    #: Since then: with an outcome, refused by a server, failed, bounced or called spam later.
    tried: int = 0
    refused: int = 0
    failed: int = 0
    bounced: int = 0
    complained: int = 0
    #: With an outcome, however often it was let go since.
    ever: int = 0
    #: When the last of the canary had its outcome; None: not all have, or so many more have
    #: that it must have been let through.
    canary_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Go:
    """Go on. No more than `most` may be under way at once; None: as many as you like.

    Under way are those that began and have no outcome yet.
    """

    most: int | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Begin nothing more until then (UTC), and look again."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Pause the issue: an editor has to look. `why` is a sentence without its full stop."""

    why: str


Verdict: TypeAlias = Go | Wait | Stop


def verdict(rules: Brakes, tally: Tally, now: datetime) -> Verdict:
    """Whether an issue goes on.

    An editor who lets it go again starts the counts anew; a canary that is complete by then is
    not waited for any more. Nothing is to be asked where nothing is pending: then it is through.
    """
    enough = rules.after if _is_through(rules, tally) else min(rules.canary, rules.after)
    over = next(_limits_passed(rules, tally), "") if tally.tried >= enough else ""
    if over:
        return Stop(over)
    if tally.ever < rules.canary:
        return Go(rules.canary - tally.ever)
    until = canary_ends(rules, tally)
    if until is not None and until > now:
        return Wait(until, f"the first {rules.canary} are out; the rest follow if all is well")
    return Go()


def canary_ends(rules: Brakes, tally: Tally) -> datetime | None:
    """Until when a complete canary is waited for; None where it is not, or nobody waits for it."""
    if tally.canary_at is None or _is_through(rules, tally):
        return None
    return tally.canary_at + timedelta(minutes=rules.canary_minutes)


def _is_through(rules: Brakes, tally: Tally) -> bool:
    """Whether there is no canary, or it was long ago, or an editor let the issue go since."""
    if tally.ever < rules.canary:
        return False
    return tally.canary_at is None or tally.let_go_at > tally.canary_at


def _limits_passed(rules: Brakes, tally: Tally) -> Iterator[str]:
    tried = tally.tried
    turned_away = tally.refused + tally.failed
    if _share(turned_away, tried) > rules.refused_percent:
        yield f"{_turned_away(tally)}, more than {rules.refused_percent:g} %"
    if _share(tally.bounced, tried) > rules.bounced_percent:
        yield f"{tally.bounced} of {tried} came back, more than {rules.bounced_percent:g} %"
    if _share(tally.complained, tried) > rules.complained_percent:
        called = f"{tally.complained} of {tried} called it spam"
        yield f"{called}, more than {rules.complained_percent:g} %"


def _turned_away(tally: Tally) -> str:
    were = "was" if tally.refused == 1 else "were"
    if not tally.refused:
        return f"{tally.failed} of {tally.tried} failed"
    refused = f"{tally.refused} of {tally.tried} {were} refused"
    return f"{refused} and {tally.failed} failed" if tally.failed else refused


def _share(count: int, tried: int) -> float:
    return 100 * count / tried if tried else 0.0


def counted(
    tally: Tally, rules: Brakes, ended: Mapping[DeliveryState, int], now: datetime
) -> Tally:
    """The tally with deliveries that came to an end just now, by state.

    Those that nobody was told of, such as suppressed ones, do not count.
    """
    tried = sum(ended.get(state, 0) for state in OUTCOMES)
    ever = tally.ever + tried
    completes = tally.ever < rules.canary <= ever
    return replace(
        tally,
        tried=tally.tried + tried,
        refused=tally.refused + ended.get(S.REFUSED, 0),
        failed=tally.failed + ended.get(S.FAILED, 0),
        ever=ever,
        canary_at=now if completes else tally.canary_at,
    )
