"""What is due in the next weeks and what was in the last: schedules, issues, deadlines, threads.

Schedules are those of config. What an editor switched off or added in Prefect's own pages is
Prefect's to know (rule 9), so nothing here claims that a run will happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import groupby, islice, pairwise, takewhile
from typing import TYPE_CHECKING

from cronsim import CronSim

from digest.config import zone_of_schedule
from digest.issues.due import FLOW_OF, asked, decision_due, verdict
from digest.issues.scope import issue_name
from digest.model import IssueState
from digest.overdue import Overdue, overdue
from digest.store import underway
from digest.store.standstill import Stop, stops_of
from digest.store.upcoming import issues_between, threads_between

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

    from digest.config import Config, Schedule
    from digest.store.engine import Store
    from digest.store.underway import Underway
    from digest.store.upcoming import DatedIssue, DatedThread

WEEKS_BACK, WEEKS_ON = 2, 4
#: What runs more often than once a day is told in one line.
_MOST_RUNS = 7 * (WEEKS_BACK + WEEKS_ON)
#: More than any clock change.
_PAST_A_CHANGE = timedelta(hours=3)

_THEN = {
    "send": "if nobody does, it is sent",
    "hold": "if nobody does, it is held for an editor",
    "roll": "if nobody does, its posts wait for the next issue",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """Something with a time; `issue` and `thread` lead to what it is about."""

    at: datetime
    #: "issue", "run", "deadline", "thread"
    kind: str
    title: str
    #: Half a sentence, or empty.
    note: str = ""
    state: str = ""
    issue: int | None = None
    thread: int | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the site's calendar, with its entries in order."""

    date: date
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Often:
    """A schedule that is told in one line."""

    flow: str
    #: "every 10 minutes", "48 times a day"
    how_often: str
    cron: str
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The calendar, and what must be known before it is read."""

    overdue: Sequence[Overdue]
    #: Not at their end, and somebody or something has to do the next step.
    under_way: Sequence[Underway]
    stops: Sequence[Stop]
    coming: Sequence[Day]
    #: Newest first.
    past: Sequence[Day]
    often: Sequence[Often]


def read_plan(store: Store, config: Config, now: datetime) -> Plan:
    """The calendar as config and the store tell it."""
    since, until = around(now, config.site.zone)
    with store.read() as c:
        issues = issues_between(c, since, until)
        threads = threads_between(c, since, until)
        waiting = underway.list_underway(c, now, (*underway.UNDER_WAY, IssueState.HELD))
        begun, stops = underway.first_run_at(c), stops_of(c)
    runs, often = scheduled(config, since, until, now)
    entries = [
        *_of_runs(config, runs, issues, now, begun),
        *_of_issues(config, issues),
        *(_of_thread(thread, now) for thread in threads),
    ]
    coming, past = calendar(entries, config.site.zone, now)
    return Plan(overdue(store, config, now), waiting, stops, coming, past, often)


def around(now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From the beginning of a day two weeks ago to the end of one four weeks on; UTC."""
    today = now.astimezone(zone).date()
    ends = today - timedelta(weeks=WEEKS_BACK), today + timedelta(weeks=WEEKS_ON, days=1)
    since, until = (datetime.combine(day, time(), zone).astimezone(UTC) for day in ends)
    return since, until


def calendar(
    entries: Iterable[Entry], zone: ZoneInfo, now: datetime
) -> tuple[list[Day], list[Day]]:
    """The days from today on, in order, and those before, newest first; by the zone's clock."""

    def day_of(entry: Entry) -> date:
        return entry.at.astimezone(zone).date()

    in_order = sorted(entries, key=lambda entry: (entry.at, entry.kind, entry.title))
    days = [Day(day, tuple(found)) for day, found in groupby(in_order, key=day_of)]
    today = now.astimezone(zone).date()
    past = [day for day in days if day.date < today]
    return [day for day in days if day.date >= today], past[::-1]


# --- schedules ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """One time that a schedule of config names."""

    flow: str
    schedule: Schedule
    at: datetime


def slots_between(
    schedule: Schedule, zone: ZoneInfo, since: datetime, until: datetime
) -> Iterator[datetime]:
    """The moments from `since` to before `until` at which the schedule runs, in UTC."""
    # From within a doubled hour cronsim would not see the first of its halves.
    slots = CronSim(schedule.cron, (since - _PAST_A_CHANGE).astimezone(zone))
    moments = (slot.astimezone(UTC) for slot in slots)
    return (at for at in takewhile(lambda at: at < until, moments) if at >= since)


def scheduled(
    config: Config, since: datetime, until: datetime, now: datetime
) -> tuple[list[Run], list[Often]]:
    """The runs that config asks for, and in a line each the schedules that run all the time."""
    runs, often = [], []
    for flow, settings in config.flows.items():
        for schedule in settings.schedules.values():
            zone = zone_of_schedule(config, schedule)
            found = list(islice(slots_between(schedule, zone, since, until), _MOST_RUNS + 1))
            if len(found) > _MOST_RUNS:
                often.append(_often(flow, schedule, zone, now))
            else:
                runs += [Run(flow, schedule, at) for at in found]
    return runs, often


def _often(flow: str, schedule: Schedule, zone: ZoneInfo, now: datetime) -> Often:
    times = list(slots_between(schedule, zone, now, now + timedelta(days=1)))
    gaps = {after - before for before, after in pairwise(times)}
    how_often = _every(gaps.pop()) if len(gaps) == 1 else f"{len(times)} times a day"
    return Often(flow, how_often, schedule.cron, times[0] if times else None)


def _every(gap: timedelta) -> str:
    minutes = int(gap.total_seconds() // 60)
    if minutes % 60:
        return f"every {minutes} minutes" if minutes > 1 else "every minute"
    return f"every {minutes // 60} hours" if minutes > 60 else "every hour"  # noqa: PLR2004


def _of_runs(
    config: Config,
    runs: Iterable[Run],
    issues: Iterable[DatedIssue],
    now: datetime,
    begun: datetime | None,
) -> Iterator[Entry]:
    made = {(issue.newsletter, issue.scope, issue.period): issue for issue in issues}
    for run in runs:
        if run.flow not in FLOW_OF.values():
            yield Entry(run.at, "run", run.flow)
            continue
        due = asked(config, run.flow, run.schedule.parameters, run.at)
        name = issue_name(due.newsletter, str(due.scope), due.period)
        issue = made.get((due.newsletter, str(due.scope), due.period))
        if run.schedule.parameters.get("dry_run") is not False:
            yield Entry(run.at, "run", f"{run.flow}: {name}", "dry run, sends nothing")
        elif run.at >= now:
            # Where there is an issue already it stands at its own time.
            at_its_time = issue is not None and issue.scheduled_at == run.at
            if not at_its_time:
                yield _to_come(config, due.newsletter, run.at, name, issue)
        elif issue is None and begun is not None and run.at >= begun:
            yield Entry(run.at, "run", name, "no issue was made", "missing")


def _to_come(
    config: Config, newsletter: str, at: datetime, name: str, issue: DatedIssue | None
) -> Entry:
    if issue is not None:
        return Entry(at, "run", name, "there is an issue already", issue.state, issue.id)
    declared = config.newsletters[newsletter]
    if declared.approval == "none":
        return Entry(at, "run", name, "goes out without approval")
    return Entry(at, "run", name, f"a draft, to be decided within {declared.answer_within_hours} h")


# --- issues and threads ------------------------------------------------------------------------


def _of_issues(config: Config, issues: Iterable[DatedIssue]) -> Iterator[Entry]:
    for issue in issues:
        yield Entry(issue.scheduled_at, "issue", issue.name, issue.subject, issue.state, issue.id)
        declared = config.newsletters.get(issue.newsletter)
        if issue.state is IssueState.DRAFT and declared and declared.approval == "required":
            by = decision_due(declared, issue.decide_by, issue.created_at)
            policy, _ = verdict(config, issue.newsletter, issue.scope, issue.errors, timedelta(0))
            title = f"Decide on {issue.name}"
            yield Entry(by, "deadline", title, _THEN[policy], issue.state, issue.id)


def _of_thread(thread: DatedThread, now: datetime) -> Entry:
    at = thread.next_slot or thread.first_slot
    count = f"{thread.snippets} {'snippet' if thread.snippets == 1 else 'snippets'}"
    note = f"{thread.out} of {count} out" if thread.out else count
    return Entry(
        at,
        "thread",
        f"{thread.channel}: {thread.title}",
        note,
        _standing(thread, now),
        None,
        thread.id,
    )


def _standing(thread: DatedThread, now: datetime) -> str:
    if thread.held:
        return "held"
    if thread.next_slot is not None:
        return "planned" if thread.next_slot >= now else "waiting"
    return "out" if thread.out == thread.snippets else "in part" if thread.out else "not out"
