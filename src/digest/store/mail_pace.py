"""What mailers took up lately and who asked for time: kept across workers and restarts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, delete, or_, select

from digest.config_mailers import PERIODS
from digest.mail.rates import SLOTS, Room, rates_of, room, slot_at, tightest
from digest.mail.waits import MAILER, STREAK_ENDS, Wait, next_wait
from digest.masking import said
from digest.store.dialect import lock_mailer, upsert
from digest.store.tables import mail_paces, mail_waits

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Insert
    from sqlalchemy.engine import Connection

    from digest.config_mailers import Paced, Rate, Rates
    from digest.mail.rates import Used

_P = mail_paces.c
_W = mail_waits.c

#: By their seconds, as they are kept.
_PERIODS = {int(period.total_seconds()): period for period in PERIODS.values()}

#: Slots are kept for ten periods, so that a clock that jumps ahead for a while loses none that
#: counts when it is set right.
_KEPT = 10 * SLOTS

#: How many began in each slot, by domain (MAILER: all together) and period in seconds.
Slots = dict[tuple[str, int], dict[int, int]]


# --- pace --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many mails may begin now: of all together, and of each domain that was asked about."""

    whole: Room
    domains: Mapping[str, Room]


def lock(c: Connection, mailer: str) -> None:
    """Let one transaction at a time count what a mailer takes up, until it ends.

    To be held from before `free` until after `spend`; needed only where `paced.limited`.
    """
    lock_mailer(c, mailer)


def free(
    c: Connection, mailer: str, paced: Paced, domains: Collection[str], now: datetime
) -> Allowance:
    """How many mails may begin now, and where none may, when; asks nothing where nothing limits.

    `domains` are those of `digest.mail.rates.domain_of`. What is begun must be `spend`-ed in the
    same transaction with the same `now`.
    """
    declared = {domain: rates_of(paced, domain) for domain in domains}
    limited = {MAILER: paced.pace} | declared
    slots = _read(c, mailer, {domain: rates for domain, rates in limited.items() if rates}, now)

    def left(domain: str) -> Room:
        return tightest(
            room(rate, slots.get((domain, _seconds(rate)), {}), now) for rate in limited[domain]
        )

    return Allowance(left(MAILER), {domain: left(domain) for domain in declared})


def used(
    c: Connection, mailer: str, paced: Paced, domains: Collection[str], now: datetime
) -> dict[str, Used]:
    """What is declared of some domains, and (MAILER) of all mails, and how much of it is used."""
    limited = {MAILER: paced.pace} | {domain: rates_of(paced, domain) for domain in domains}
    slots = _read(c, mailer, limited, now)
    return {
        domain: tuple((rate, slots.get((domain, _seconds(rate)), {})) for rate in rates)
        for domain, rates in limited.items()
    }


def _read(c: Connection, mailer: str, limited: Mapping[str, Rates], now: datetime) -> Slots:
    found: Slots = {}
    if not any(limited.values()):
        return found
    firsts = {
        f"first_{seconds}": slot_at(period, now) - SLOTS for seconds, period in _PERIODS.items()
    }
    values = {"of": mailer, "among": list(limited), **firsts}
    for domain, period, slot, count in c.execute(_LATELY, values):
        found.setdefault((domain, period), {})[slot] = count
    return found


#: Made once: to make a statement takes far longer than to carry it out, and pace is asked for in
#: each turn of a delivery.
_LATELY = select(_P.domain, _P.period, _P.slot, _P.count).where(
    _P.mailer == bindparam("of"),
    _P.domain.in_(bindparam("among", expanding=True)),
    or_(
        *(
            and_(_P.period == seconds, _P.slot >= bindparam(f"first_{seconds}"))
            for seconds in _PERIODS
        )
    ),
)


@cache
def _adding(dialect: str) -> Insert:
    """Made once, as `_LATELY`."""
    statement = upsert(dialect, mail_paces)
    added = {"count": _P.count + statement.excluded.count}
    return statement.on_conflict_do_update(index_elements=mail_paces.primary_key, set_=added)


def spend(
    c: Connection, mailer: str, paced: Paced, counts: Mapping[str, int], now: datetime
) -> None:
    """Count what begins now, by domain. Costs nothing where nothing limits it."""
    counted = [
        {
            "mailer": mailer,
            "domain": domain,
            "period": _seconds(rate),
            "slot": slot_at(rate.period, now),
            "count": count,
        }
        for domain, count, rates in _spent(paced, counts)
        if count
        for rate in rates
    ]
    if not counted:
        return
    c.execute(_adding(c.dialect.name), counted)
    _forget_old(c, counted)


def _forget_old(c: Connection, counted: Sequence[Mapping[str, Any]]) -> None:
    """Delete the old slots of what was just counted; once in a round of slots is often enough."""
    old = [
        {"of": row["mailer"], "by": row["domain"], "each": row["period"], "until": row["slot"]}
        for row in counted
        if row["slot"] % SLOTS == 0
    ]
    if old:
        c.execute(_OLD, old)


_OLD = delete(mail_paces).where(
    _P.mailer == bindparam("of"),
    _P.domain == bindparam("by"),
    _P.period == bindparam("each"),
    _P.slot < bindparam("until") - _KEPT,
)


def _spent(paced: Paced, counts: Mapping[str, int]) -> Iterator[tuple[str, int, Rates]]:
    """What is counted under which rates, in an order that two workers share."""
    yield MAILER, sum(counts.values()), paced.pace
    for domain in sorted(counts):
        yield domain, counts[domain], rates_of(paced, domain)


def _seconds(rate: Rate) -> int:
    return int(rate.period.total_seconds())


# --- waits -------------------------------------------------------------------------------------


def waits(c: Connection, mailer: str, now: datetime) -> dict[str, Wait]:
    """Who asked for time, by domain; MAILER is the mailer as a whole.

    Those that are over (`Wait.holds`) stand among them for a day, until `forget_wait`.
    """
    query = select(_W.domain, _W.until, _W.reason, _W.streak)
    lately = query.where(_W.mailer == mailer, _W.until > now - STREAK_ENDS)
    return {domain: Wait(*wait) for domain, *wait in c.execute(lately)}


def note_wait(
    c: Connection,
    mailer: str,
    domain: str,
    reason: str,
    now: datetime,
    *,
    asked: timedelta | None = None,
) -> datetime:
    """Leave a domain (MAILER: all of the mailer) alone for a while; returns until when.

    `reason` and `asked` are the server's. Who notes several in one transaction does so in the
    order of their domains, so that two workers do not wait for each other.
    """
    held = select(_W.until, _W.reason, _W.streak).where(_W.mailer == mailer, _W.domain == domain)
    row = c.execute(held.with_for_update()).one_or_none()
    before = Wait(*row) if row else None
    wait = next_wait(before, (mailer, domain), said(reason), now, asked)
    values = {"until": wait.until, "reason": wait.reason, "streak": wait.streak}
    statement = upsert(c.dialect.name, mail_waits).values(mailer=mailer, domain=domain, **values)
    key = mail_waits.primary_key
    c.execute(statement.on_conflict_do_update(index_elements=key, set_=values))
    return wait.until


def forget_wait(c: Connection, mailer: str, domain: str, now: datetime) -> None:
    """A mail was accepted again: the next wait begins with the shortest.

    One that still holds stays: what was accepted had begun before it.
    """
    over = (_W.mailer == mailer, _W.domain == domain, _W.until <= now)
    c.execute(delete(mail_waits).where(*over))


def forget_past(c: Connection, now: datetime) -> int:
    """Delete what holds up nobody any more, of every mailer; returns how many rows that were."""
    old = (
        and_(_P.period == seconds, _P.slot < slot_at(period, now) - _KEPT)
        for seconds, period in _PERIODS.items()
    )
    slots = c.execute(delete(mail_paces).where(or_(*old))).rowcount
    return slots + c.execute(delete(mail_waits).where(_W.until <= now - STREAK_ENDS)).rowcount
