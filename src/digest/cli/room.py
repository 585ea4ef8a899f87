"""Is there no room left? Asked about what a command ended with, to say so in a sentence."""

from __future__ import annotations

import errno
import sqlite3

#: A disk that is full, a quota that is used up, a file that may grow no more.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: https://www.sqlite.org/rescode.html: a file that may grow no more is an error in writing, and
#: the index of a WAL is one that was to grow.
_SQLITE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
#: disk_full, https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL = "53100"


def lacks_room(error: BaseException) -> bool:
    """Whether the database, or another file, could not be written for want of room."""
    # SQLAlchemy wraps what the driver raised.
    fault = getattr(error, "orig", None) or error
    if isinstance(fault, sqlite3.Error):
        return getattr(fault, "sqlite_errorcode", None) in _SQLITE
    if isinstance(fault, OSError):
        return fault.errno in _NO_ROOM
    return getattr(fault, "sqlstate", None) == _POSTGRESQL
