"""Deciding what may be out, of an issue's deliveries or of the threads' publications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest import sending
from digest.errors import UsageError
from digest.mail.addresses import AddressProblem, parse_address
from digest.social import settle as threads
from digest.social.preview import refresh_preview
from digest.social.workshop import press_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from digest.bootstrap import App
    from digest.model import Act

#: Look them up where that proves something; leave them be; send them again.
DECISIONS = ("look", "leave", "resend")


def settle_deliveries(
    app: App, issue_id: int, decision: str, act: Act, *, only: Collection[str] | None = None
) -> int:
    """Decide the uncertain deliveries of an issue. Returns how many were decided.

    `only` names some by their address, in any spelling; a forgotten reader's by the code that
    stands in its place. They are decided by hand, for a look decides all it can.
    """
    _check(decision)
    if decision == "look":
        if only is not None:
            raise UsageError("a look asks about all uncertain deliveries; name none")
        return sending.look_up(app, issue_id, act)
    keys = None if only is None else {_key(address) for address in only}
    return sending.settle(app, issue_id, act, resend=decision == "resend", only=keys)


def _key(address: str) -> str:
    parsed = parse_address(address)
    return address if isinstance(parsed, AddressProblem) else parsed.key


def settle_publications(app: App, decision: str, act: Act, *, channel: str | None = None) -> int:
    """Decide the uncertain publications, of one channel or all. Returns how many were decided."""
    _check(decision)
    press = press_of(app, channel)
    if decision == "look":
        count = threads.look(press)
    else:
        count = threads.settle(press, act, resend=decision == "resend")
    refresh_preview(app)
    return count


def _check(decision: str) -> None:
    if decision not in DECISIONS:
        raise UsageError(f"no decision {decision!r}; there are: {', '.join(DECISIONS)}")
