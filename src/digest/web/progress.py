"""How far an issue is, who stands where, and how long it will take."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from digest.eta import to_go
from digest.model import DeliveryState
from digest.store import desk as queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

    from digest.bootstrap import App
    from digest.model import Account
    from digest.store.desk import IssueRow


@dataclass(frozen=True, slots=True)
class Line:
    """An issue in a list: how far it is, and who stands where."""

    row: IssueRow
    account: Account | None
    #: How long it will still take, in words; empty where it is not being sent.
    eta: str = ""
    undecided: int = 0

    @property
    def through(self) -> int:
        """How many deliveries are at their end."""
        return self.account.recipients - self.account.open if self.account else 0

    @property
    def equation(self) -> str:
        """The account in one line."""
        if self.account is None:
            return ""
        counts = asdict(self.account)
        terms = [f"{counts[state]} {state}" for state in DeliveryState if counts[state]]
        return f"{self.account.recipients} recipients = {' + '.join(terms) or '0'}"


def lines_of(
    app: App, c: Connection, rows: Sequence[IssueRow], undecided: dict[int, int]
) -> list[Line]:
    """The issues, each with its account."""
    accounts = queries.accounts_of(c, [row.id for row in rows])
    return [
        Line(row, account, to_go(app, c, row, account), undecided.get(row.id, 0))
        for row, account in ((row, accounts.get(row.id)) for row in rows)
    ]
