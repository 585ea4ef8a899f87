"""When issues are due by config's schedules, and what becomes of drafts nobody decided on.

Times are on the wall clock of a schedule's zone: 08:00 stays 08:00 over both clock changes. A
time that a change skips counts as the moment after the gap, a doubled one as its first half.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from cronsim import CronSim

from digest.config import lateness_limit, rhythm_of, zone_of_schedule
from digest.issues.period import period_of
from digest.issues.scope import Scope
from digest.model import Rhythm

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from digest.config import Config, Newsletter, Policy, Schedule
    from digest.model import Check

#: The flows that make issues, by the kind of scope they are about.
FLOW_OF = {"all": "weekly-digest", "series": "series-digest", "theme": "theme-digest"}

_KIND_OF = {flow: kind for kind, flow in FLOW_OF.items()}

#: More than any clock change.
_PAST_A_CHANGE = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Due:
    """The issue that a run of a flow is asked for, and since when it is due."""

    flow: str
    newsletter: str
    scope: Scope
    rhythm: Rhythm
    edition: int
    repeat: bool
    at: datetime
    period: str

    @property
    def stream(self) -> tuple[str, str, Rhythm]:
        """Of what it is an issue: a later one of the same stream takes its posts."""
        return self.newsletter, str(self.scope), self.rhythm


def last_slot(schedule: Schedule, zone: ZoneInfo, before: datetime) -> datetime | None:
    """The last moment at or before `before` at which the schedule runs, in UTC; None if never."""
    # Looking back from within a doubled hour, cronsim does not see the first of its halves;
    # from past it, it does.
    slots = CronSim(schedule.cron, (before + _PAST_A_CHANGE).astimezone(zone), reverse=True)
    return next((slot.astimezone(UTC) for slot in slots if slot <= before), None)


def asked(config: Config, flow: str, parameters: Mapping[str, Any], at: datetime) -> Due:
    """What a run of the flow for that time is about; what is left out is as in its form."""
    newsletter = parameters.get("newsletter") or next(iter(config.newsletters))
    declared = config.newsletters[newsletter]
    kind = _KIND_OF[flow]
    scope = Scope(kind, str(parameters.get(kind) or ""))
    rhythm = Rhythm(parameters.get("rhythm") or _rhythm(flow, declared))
    edition = int(parameters.get("edition") or 1)
    return Due(
        flow=flow,
        newsletter=newsletter,
        scope=scope,
        rhythm=rhythm,
        edition=edition,
        repeat=bool(parameters.get("repeat")),
        at=at,
        period=period_of(rhythm, at, config.zone_of(declared), edition=edition),
    )


def _rhythm(flow: str, newsletter: Newsletter) -> Rhythm:
    """The rhythm that a flow is about where nobody says."""
    return Rhythm.WEEKLY if flow == "weekly-digest" else rhythm_of(newsletter)


def last_due(config: Config, before: datetime) -> list[Due]:
    """The last issue that each schedule of config asks for in earnest; dry runs ask for none."""
    return [
        asked(config, flow, schedule.parameters, slot)
        for flow in _KIND_OF
        for schedule in _in_earnest(config, flow)
        if (slot := last_slot(schedule, zone_of_schedule(config, schedule), before))
    ]


def _in_earnest(config: Config, flow: str) -> list[Schedule]:
    declared = config.flows.get(flow)
    schedules = declared.schedules.values() if declared else ()
    return [schedule for schedule in schedules if schedule.parameters.get("dry_run") is False]


def superseded(
    config: Config,
    flow: str,
    scheduled_at: datetime,
    now: datetime,
    newsletter: str,
    *,
    scope: str = "all",
    rhythm: Rhythm | None = None,
) -> bool:
    """Whether the next issue of the same stream is due already.

    A run that comes so late leaves its posts to that one: what piled up in an outage goes out
    once, not one mail after another. `rhythm` defaults to that of the flow.
    """
    stream = newsletter, scope, rhythm or _rhythm(flow, config.newsletters[newsletter])
    return any(
        due.flow == flow and due.stream == stream and due.at > scheduled_at
        for due in last_due(config, now)
    )


# --- drafts that nobody decided on -------------------------------------------------------------


def decision_due(
    newsletter: Newsletter | None, decide_by: datetime | None, created_at: datetime
) -> datetime:
    """By when an editor has to decide on a draft.

    Drafts older than deadlines have none stored: they get what their newsletter gives now, and
    nothing where it is gone from config.
    """
    hours = newsletter.answer_within_hours if newsletter else 0
    return decide_by or created_at + timedelta(hours=hours)


def verdict(
    config: Config, newsletter: str, scope: str, errors: Collection[Check], overdue_by: timedelta
) -> tuple[Policy, str]:
    """What becomes of a draft whose time for a decision is over, and why.

    A decision that would itself come later than the flow allows is made by the policy for late
    issues: after an outage nothing old goes out unless config says so.
    """
    declared = config.newsletters.get(newsletter)
    if declared is None:
        return "hold", f"the newsletter {newsletter!r} stands in config no more"
    policy: Policy = "send" if declared.approval == "none" else declared.unanswered
    why = f"unanswered issues of {newsletter}: {policy}"
    if overdue_by > lateness_limit(config, FLOW_OF[scope.partition(":")[0]]):
        policy = declared.late
        why = f"found out {hours(overdue_by)} later; late issues of {newsletter}: {policy}"
    if policy == "send" and errors:
        return "hold", f"preflight: {'; '.join(check.message for check in errors)}"
    return policy, why


def hours(span: timedelta) -> str:
    """A span for people: "75 h", "30 min"."""
    minutes = int(span.total_seconds() // 60)
    return f"{minutes // 60} h" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004
