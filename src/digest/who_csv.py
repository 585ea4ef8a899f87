"""Who got an issue, as a table that a spreadsheet opens, and of which it runs nothing."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from digest.store.desk import Who

_COLUMNS = ("address", "state", "since", "attempts", "code", "reason", "settled", "message id")
#: A spreadsheet would take a cell that begins so for a formula
#: (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")

#: Excel takes a file without the mark for one in the machine's old code page.
ENCODING = "utf-8-sig"


def write_table(out: TextIO, lines: Iterable[Who]) -> int:
    """Write a head and a row for each, as RFC 4180 has it. Returns how many there were."""
    table, count = csv.writer(out), 0
    table.writerow(_COLUMNS)
    for count, line in enumerate(lines, 1):  # noqa: B007  the last number is how many
        since = line.at.isoformat(timespec="seconds") if line.at else ""
        cells = (
            line.address,
            line.state,
            since,
            str(line.attempts),
            line.code,
            line.reason,
            line.settled,
            line.message_id,
        )
        table.writerow([_harmless(cell or "") for cell in cells])
    return count


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
