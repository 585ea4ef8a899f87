"""Erasure: a reader is forgotten on request, in one transaction.

What stays is numbers: deliveries that count in an account, reservations by subscriber id, and
the keyed hash of the address, so that a suppression holds and no import, operator or stranger
brings the reader back. Backups and mails already sent are not reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from digest.errors import UsageError
from digest.mail.addresses import AddressProblem, parse_address
from digest.readers.tokens import keyed_hash
from digest.store import erasing
from digest.store.dialect import lock_address, lock_freezing

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from digest.store.engine import Store
    from digest.store.erasing import Wiped


class Outcome(StrEnum):
    """What became of an erasure."""

    ERASED = "erased"
    #: Done before; nothing was left to do.
    ALREADY = "already"
    #: Nothing is known of such a reader.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Erased:
    """What became of an erasure, and of how much; None where there was nothing to erase."""

    outcome: Outcome
    wiped: Wiped | None = None


def erase_reader(store: Store, secret: bytes, subscriber_id: int, now: datetime) -> Erased:
    """Forget a subscriber."""
    with store.write() as c:
        lock_freezing(c)
        key = erasing.address_key_of(c, subscriber_id)
        if key is None:
            there = erasing.is_subscriber(c, subscriber_id)
            return Erased(Outcome.ALREADY if there else Outcome.UNKNOWN)
        return _erase(c, erasing.Known(subscriber_id, key, keyed_hash(secret, key)), now)


def erase_address(
    store: Store, secret: bytes, address: str, now: datetime, *, dry_run: bool = False
) -> Erased:
    """Forget whoever has this address, subscriber or not; with `dry_run` nothing stays changed.

    Raises `UsageError` where it is no address.
    """
    parsed = parse_address(address)
    if isinstance(parsed, AddressProblem):
        raise UsageError(parsed.reason)
    address_hash = keyed_hash(secret, parsed.key)
    with store.write() as c:
        lock_freezing(c)
        # Who is just signing up or confirming is waited for, and forgotten as well.
        lock_address(c, parsed.key)
        known = erasing.Known(erasing.subscriber_of(c, parsed.key), parsed.key, address_hash)
        erased = _erase(c, known, now)
        if dry_run:
            c.rollback()
    return erased


def _erase(c: Connection, known: erasing.Known, now: datetime) -> Erased:
    before = erasing.was_erased(c, known.address_hash)
    wiped = erasing.wipe(c, known, now)
    if known.subscriber_id is not None or wiped.anything:
        return Erased(Outcome.ERASED, wiped)
    # Nobody is to be kept away who was never here.
    c.rollback()
    return Erased(Outcome.ALREADY if before else Outcome.UNKNOWN)
