"""What the desk's charts say: from counted rows to lines, bars, tables and a sentence each.

A chart is never alone: its sentence says in words what it shows, and its table has every number.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from digest.issues.words import day
from digest.model import DeliveryState, Interests
from digest.web.svg import Measured, bar_chart, line_chart, swatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

    from digest.config import Config
    from digest.store.figures import IssueFigures, Stretches
    from digest.web.svg import BarChart, LineChart
    from digest.web.svg import Line as Drawn

S = DeliveryState

WEEKS = 52
ISSUES = 12
#: Lines for series and themes beside "all" and "everything"; the rest is one line more.
_MOST_GROUPS = 4
#: Months between two labels.
_MONTHS_APART = 3
_OTHERS = "Others"

#: The nine states as a bar shows them: looks, words, which.
KINDS: tuple[tuple[str, str, tuple[DeliveryState, ...]], ...] = (
    ("through", "submitted", (S.SUBMITTED,)),
    ("open", "still to go", (S.PENDING, S.CLAIMED, S.SUBMITTING)),
    ("doubt", "uncertain", (S.UNCERTAIN,)),
    ("lost", "refused or failed", (S.REFUSED, S.FAILED)),
    ("aside", "suppressed or cancelled", (S.SUPPRESSED, S.CANCELLED)),
)

#: In per cent of the mails that servers answered. Above them, mail systems begin to turn
#: senders away: 0.1 % of complaints is the bound that Gmail names, 2 % of bounces is custom.
BOUNCED_LIMIT, COMPLAINED_LIMIT = 2.0, 0.1


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the chart of subscribers: a number for each moment."""

    name: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """Some lines in one drawing."""

    says: str
    #: In words, each of the lines.
    tells: str
    chart: LineChart
    #: Drawn sample, name, number now.
    legend: tuple[tuple[Drawn, str, int], ...]


@dataclass(frozen=True, slots=True)
class Growth:
    """Subscribers over time: all of them, and by what they follow, which are fewer by far."""

    whole: Curves
    groups: Curves | None
    heads: tuple[str, ...]
    #: Newest first: the day, and a number for each line.
    rows: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the deliveries of the last issues."""

    says: str
    chart: BarChart
    #: Those there are: looks and words.
    legend: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Share:
    """How many of an issue's mails came to nothing in one way, in per cent, with its limit."""

    says: str
    chart: BarChart


# --- subscribers over time ---------------------------------------------------------------------


def week_starts(now: datetime, zone: ZoneInfo, weeks: int = WEEKS) -> tuple[datetime, ...]:
    """The beginnings of this week and those before it on the zone's clock, and now; UTC.

    A week over a change of the clocks has an hour more or less, and still begins at midnight.
    """
    today = now.astimezone(zone).date()
    monday = today - timedelta(days=today.weekday())
    days = (monday - timedelta(weeks=back) for back in range(weeks, -1, -1))
    starts = (datetime.combine(first, time(), zone).astimezone(UTC) for first in days)
    return (*(start for start in starts if start < now), now)


def lines_of(found: Iterable[Stretches], length: int, config: Config) -> tuple[list[Line], ...]:
    """All and those who follow everything; then the largest series, themes, and the others."""
    found = list(found)

    def line(name: str, is_of: Callable[[Interests], bool]) -> Line:
        return Line(name, _counts(found, length, is_of))

    whole = [
        line("All", lambda _: True),
        line("Following everything", lambda each: each.everything),
    ]
    by_group = {
        group: line(title, partial(_follows, group)) for group, title in _titles(config).items()
    }
    told = {group: one for group, one in by_group.items() if any(one.values)}
    # Series before themes, and of each kind the largest first.
    largest = sorted(told, key=lambda group: (group.startswith("theme:"), -told[group].values[-1]))
    shown = largest[:_MOST_GROUPS]
    others = line(_OTHERS, lambda each: not set(each.chosen) <= set(shown))
    groups = [*(told[group] for group in shown), others]
    return [one for one in whole if any(one.values)], [one for one in groups if any(one.values)]


def _follows(group: str, interests: Interests) -> bool:
    return group in interests.chosen


def _titles(config: Config) -> dict[str, str]:
    series = {f"series:{slug}": one.title for slug, one in config.series.items()}
    return series | {f"theme:{slug}": one.title for slug, one in config.themes.items()}


def _counts(
    found: Iterable[Stretches], length: int, is_of: Callable[[Interests], bool]
) -> tuple[int, ...]:
    changes = [0] * (length + 1)
    for one in found:
        if is_of(Interests.from_key(one.interests)):
            changes[one.begins] += one.count
            changes[one.ends] -= one.count
    return tuple(accumulate(changes[:length]))


def growth(
    whole: Sequence[Line], groups: Sequence[Line], moments: Sequence[datetime], zone: ZoneInfo
) -> Growth | None:
    """The charts of subscribers; None where there was never anyone."""
    if not whole:
        return None
    days = [day(moment, zone.key) for moment in moments]
    months = _months([moment.astimezone(zone).date() for moment in moments], days)
    first = len(whole) + 1
    return Growth(
        whole=_curves(whole, months, 1, _trend(whole[0], days)),
        groups=_curves(groups, months, first, _compared(groups, days[0])) if groups else None,
        heads=tuple(line.name for line in (*whole, *groups)),
        rows=tuple(
            (name, tuple(line.values[place] for line in (*whole, *groups)))
            for place, name in reversed(list(enumerate(days)))
        ),
    )


def _curves(
    lines: Sequence[Line], months: Sequence[tuple[int, tuple[str, ...]]], first: int, says: str
) -> Curves:
    each = ", ".join(
        f"{line.name} {line.values[-1]:,} ({change_words(line.values[0], line.values[-1])})"
        for line in lines
    )
    return Curves(
        says=says,
        tells=f"{says} {each}.",
        chart=line_chart([(one.name, one.values) for one in lines], months, first_style=first),
        legend=tuple(
            (swatch(style), line.name, line.values[-1]) for style, line in enumerate(lines, first)
        ),
    )


def _trend(line: Line, days: Sequence[str]) -> str:
    now, then, most = line.values[-1], line.values[0], max(line.values)
    highest = days[line.values.index(most)]
    peak = "the most so far" if most == now else f"the most were {most:,}, on {highest}"
    return f"{now:,} on {days[-1]}: {change_words(then, now)} since {days[0]}; {peak}."


def _compared(lines: Sequence[Line], since: str) -> str:
    lines = [line for line in lines if line.name != _OTHERS]
    if not lines:
        return "Only series and themes that config does not name any more."
    most = max(lines, key=lambda line: line.values[-1])
    moved = max(lines, key=lambda line: abs(line.values[-1] - line.values[0]))
    change = change_words(moved.values[0], moved.values[-1])
    followed = f"Most followed: {most.name}, by {most.values[-1]:,}. "
    if moved.values[0] == moved.values[-1]:
        return f"{followed}None has more or fewer than on {since}."
    return f"{followed}Changed most since {since}: {moved.name}, {change}."


def change_words(then: int, now: int) -> str:
    """How a count changed: "unchanged", "up by 12 from 100 (12 %)"."""
    if then == now:
        return "unchanged"
    way = "up" if now > then else "down"
    share = f" ({abs(now - then) / then:.0%})".replace("%", " %") if then else ""
    return f"{way} by {abs(now - then):,} from {then:,}{share}"


def _months(dates: Sequence[date], days: Sequence[str]) -> list[tuple[int, tuple[str, ...]]]:
    """Names for the weeks in which months begin; the year where it is another one."""
    firsts = [
        place
        for place, (before, after) in enumerate(pairwise(dates), 1)
        if before.month != after.month
    ]
    named: list[tuple[int, tuple[str, ...]]] = []
    year = 0
    for place in firsts[::_MONTHS_APART]:
        name, on = days[place].split()[1][:3], dates[place]
        named.append((place, (name,) if on.year == year else (name, str(on.year))))
        year = on.year
    return named


# --- issues ------------------------------------------------------------------------------------


def outcome(issues: Sequence[IssueFigures]) -> Outcome | None:
    """The chart of deliveries by state; None where nothing was to go to anybody."""
    if not issues:
        return None
    measured = [
        Measured(
            label=issue.name,
            said=f"{issue.states[S.SUBMITTED]:,} of {issue.recipients:,}",
            amounts=tuple((kind, _of_kind(issue, states)) for kind, _, states in KINDS),
        )
        for issue in issues
    ]
    present = {kind for row in measured for kind, amount in row.amounts if amount}
    return Outcome(
        says=_outcome_words(issues),
        chart=bar_chart(measured, whole=True),
        legend=tuple((kind, words) for kind, words, _ in KINDS if kind in present),
    )


def _of_kind(issue: IssueFigures, states: Iterable[DeliveryState]) -> int:
    return sum(issue.states[state] for state in states)


def _outcome_words(issues: Sequence[IssueFigures]) -> str:
    latest = issues[0]
    told = [
        f"{count:,} {words}" for _, words, states in KINDS if (count := _of_kind(latest, states))
    ]
    largest = max(issues, key=lambda issue: issue.recipients)
    return (
        f"The latest, {latest.name}: {' + '.join(told)} = {latest.recipients:,} recipients. "
        f"The largest of these {len(issues)} was {largest.name} with {largest.recipients:,}."
    )


def share_chart(
    issues: Sequence[IssueFigures], what: str, limit: float, count: Callable[[IssueFigures], int]
) -> Share | None:
    """The chart of bounces or complaints; None where no server has answered yet."""
    answered = [issue for issue in issues if issue.answered]
    if not answered:
        return None
    shares = {issue.id: 100 * count(issue) / issue.answered for issue in answered}
    above = [issue for issue in answered if shares[issue.id] > limit]
    worst = max(answered, key=lambda issue: shares[issue.id])
    measured = [
        Measured(
            issue.name,
            f"{per_cent(shares[issue.id])} ({count(issue):,})" if count(issue) else "none",
            (("lost" if issue in above else "under", shares[issue.id]),),
        )
        for issue in answered
    ]
    chart = bar_chart(measured, unit=" %", limit=(limit, f"limit {per_cent(limit)}"))
    return Share(_share_words(what, limit, shares[worst.id], worst, len(above)), chart)


def _share_words(what: str, limit: float, highest: float, worst: IssueFigures, above: int) -> str:
    if not highest:
        return f"No {what} at all."
    bound = f"the limit of {per_cent(limit)}"
    told = f"{above} above {bound}" if above else f"none above {bound}"
    return f"Most {what}: {worst.name} with {per_cent(highest)}; {told}."


def per_cent(share: float) -> str:
    """A share for people: "0 %", "0.08 %", "2 %"; never 0 where there is something."""
    if 0 < share < 0.01:  # noqa: PLR2004  smaller than two places can say
        return "below 0.01 %"
    return f"{share:.2f}".rstrip("0").rstrip(".") + " %"
