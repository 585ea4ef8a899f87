"""Export: everything held about one reader, as one JSON document for that reader.

Its keys, each always there; times are ISO 8601 in UTC, what is unknown is null:

- `address`, `since` (first known here), `weekly_cap`, `suppression` {reason, at}
- `subscriptions`: newsletter, state, interests (["everything"], or series and themes), rhythm,
  since, consent {source, at}, paused_until, ended {at, reason}, and `history`: what the reader did
  (event, at, form, text, interests, rhythm)
- `sign_ups`: asked_at, confirmed_at, form, text, wishes (newsletter, interests, rhythm)
- `issues`: newsletter, scope, period, subject, address it went to, state, at, code, reason, and
  `events`: what became known afterwards (event, kind, at, code, detail)
- `notices`, mails outside any issue: kind, newsletter, asked_at, state, at, code, reason
- `posts` that were or will be in the reader's mails: title, url, newsletter, scope, period
- `overflow`, posts that the weekly cap kept back: title, url, newsletter, at
- `exclusions`, issues that left the reader out: newsletter, scope, period, reason
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from digest.store import exporting as held

if TYPE_CHECKING:
    from typing import TypeAlias

    from sqlalchemy.engine import Connection

    Record: TypeAlias = dict[str, Any]


def export_reader(c: Connection, subscriber_id: int) -> Record | None:
    """The document about a subscriber; None of one who is erased or unknown."""
    found = held.subscriber(c, subscriber_id)
    return None if found is None else _plain(_document(c, subscriber_id, found))


def export_address(c: Connection, address: str, address_key: str) -> Record | None:
    """The document about whoever has this address, subscriber or not; None of nobody."""
    subscriber_id = held.subscriber_id(c, address_key)
    if subscriber_id is not None:
        return export_reader(c, subscriber_id)
    nobody = {"address": address, "address_key": address_key, "created_at": None}
    document = _document(c, None, nobody | {"weekly_cap": None})
    known = document["suppression"] or document["sign_ups"] or document["notices"]
    return _plain(document) if known else None


def _document(c: Connection, subscriber_id: int | None, reader: Record) -> Record:
    key = reader["address_key"]
    return {
        "address": reader["address"],
        "since": reader["created_at"],
        "weekly_cap": reader["weekly_cap"],
        "suppression": held.suppression(c, key),
        "sign_ups": [_sign_up(row) for row in held.all_sign_ups(c, key)],
        "notices": [_notice(row) for row in held.all_notices(c, key)],
        **_as_subscriber(c, subscriber_id),
    }


def _as_subscriber(c: Connection, subscriber_id: int | None) -> Record:
    if subscriber_id is None:
        parts = ("subscriptions", "issues", "posts", "overflow", "exclusions")
        return {part: [] for part in parts}
    history = _by(held.all_consents(c, subscriber_id), "subscription_id")
    events = _by(held.all_events(c, subscriber_id), "delivery_id")
    return {
        "subscriptions": [
            _subscription(row, history[row["id"]])
            for row in held.all_subscriptions(c, subscriber_id)
        ],
        "issues": [_issue(row, events[row["id"]]) for row in held.all_deliveries(c, subscriber_id)],
        "posts": held.all_posts(c, subscriber_id),
        "overflow": held.all_overflow(c, subscriber_id),
        "exclusions": held.all_exclusions(c, subscriber_id),
    }


def _by(rows: list[Record], key: str) -> defaultdict[int, list[Record]]:
    """Rows by what they belong to, without the number that said so."""
    found: defaultdict[int, list[Record]] = defaultdict(list)
    for row in rows:
        found[row.pop(key)].append(row)
    return found


def _subscription(row: Record, history: list[Record]) -> Record:
    ended = {"at": row["ended_at"], "reason": row["ended_reason"]} if row["ended_at"] else None
    return {
        "newsletter": row["newsletter"],
        "state": row["state"],
        "interests": row["interests"].split("|"),
        "rhythm": row["rhythm"],
        "since": row["created_at"],
        "consent": {"source": row["consent_source"], "at": row["consent_at"]},
        "paused_until": row["paused_until"],
        "ended": ended,
        "history": [past | {"interests": past["interests"].split("|")} for past in history],
    }


def _sign_up(row: Record) -> Record:
    wishes = [wish | {"interests": wish["interests"].split("|")} for wish in row["wishes"]]
    return row | {"wishes": wishes}


def _issue(row: Record, events: list[Record]) -> Record:
    names = ("newsletter", "scope", "period", "subject", "address", "state")
    return {
        **{name: row[name] for name in names},
        "at": row["state_at"],
        "code": row["code"],
        "reason": row["reason"],
        "events": events,
    }


def _notice(row: Record) -> Record:
    names = ("kind", "newsletter", "state", "code", "reason")
    return {
        **{name: row[name] for name in names},
        "asked_at": row["created_at"],
        "at": row["state_at"],
    }


def _plain(value: Any) -> Any:
    """What JSON can say."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
