"""Wakes runs that sleep until an editor answers, where the answer came from elsewhere.

Talks to Prefect's REST API, and asks it for nothing but the state of the run: whether an ask is
answered, our own database knows. A run is set going as Prefect's own Resume does it, but
without the form: woken, it looks at the issue itself.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests
from requests.auth import HTTPBasicAuth

from digest.model import Act, IssueState
from digest.store import asks as ask_store
from digest.store import issues as issue_store

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.engine import Connection as Transaction

    from digest.bootstrap import App
    from digest.store.asks import Ask
    from digest.up.connection import Connection

log = logging.getLogger(__name__)

#: Seconds to connect, and to wait for an answer, where nobody waits for us.
PATIENT = (5.0, 30.0)

#: The same where a person waits at a terminal.
BRISK = (1.0, 4.0)

#: Types of Prefect's states from which a run does not come back by itself.
_OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED", "CANCELLING")

#: In place of a type: Prefect knows no such run; Prefect did not answer.
_GONE, _AWAY = "gone", "away"


class Fate(StrEnum):
    """What became of an ask."""

    #: Nobody has decided yet, and the run sleeps until then.
    WAITS = "waits"
    #: The run goes on now.
    WOKEN = "woken"
    #: The run has ended or is gone; nobody has to be told.
    ENDED = "ended"
    #: Decided, but the run cannot be told yet.
    AGAIN = "again"


@dataclass(frozen=True, slots=True)
class Told:
    """What became of the ask about an issue, and why."""

    issue_id: int
    fate: Fate
    reason: str


@dataclass(frozen=True, slots=True)
class WakeReport:
    """What became of the open asks."""

    told: tuple[Told, ...] = ()
    #: What is wrong with Prefect's API; empty where it answered, or was not needed.
    trouble: str = ""

    def of(self, fate: Fate) -> tuple[Told, ...]:
        return tuple(told for told in self.told if told.fate is fate)


@dataclass(frozen=True, slots=True)
class _Pending:
    """An open ask, whether it is answered, and in words by whom."""

    ask: Ask
    answered: bool
    answer: str


def wake(
    app: App,
    connection: Connection,
    *,
    issue_id: int | None = None,
    timeout: tuple[float, float] = PATIENT,
    dry_run: bool = False,
) -> WakeReport:
    """Set the runs going whose ask was answered elsewhere; end the asks whose run is no more.

    Of all open asks, or of the one about an issue; without any, nobody is called. What could
    not be told stays open for the next call. Safe to repeat, and beside the run itself.
    """
    pending = _pending(app, issue_id)
    if not pending:
        return WakeReport()
    with requests.Session() as session:
        # No proxy is told the password, and no .netrc is asked for another.
        session.trust_env = False
        api = _Api(session, connection, timeout)
        told = [_tell(app, api, each, dry_run=dry_run) for each in pending]
    return WakeReport(tuple(told), api.trouble)


def _pending(app: App, issue_id: int | None) -> list[_Pending]:
    with app.store.read() as c:
        if issue_id is None:
            asks = ask_store.open_asks(c)
        else:
            asks = [ask for ask in [ask_store.open_ask(c, issue_id)] if ask is not None]
        found = []
        for ask in asks:
            issue = issue_store.get_issue(c, ask.issue_id)
            actor = issue_store.transitions_of(c, issue.id)[-1].actor
            unchanged = issue.state is IssueState.DRAFT and issue.hash == ask.hash
            word = "changed" if issue.state is IssueState.DRAFT else str(issue.state)
            found.append(_Pending(ask, not unchanged, f"{word} elsewhere by {actor}"))
    return found


def _tell(app: App, api: _Api, each: _Pending, *, dry_run: bool) -> Told:
    """Deal with one ask. Its run's state is read first, for it may just be falling asleep."""
    ask = each.ask
    found, name = api.state_of(ask.prefect_run_id)
    told = Told(ask.issue_id, *_fate(found, name, answered=each.answered))
    if told.fate is Fate.WOKEN:
        refused = "" if dry_run or found != "PAUSED" else api.set_going(ask)
        fate = Fate.AGAIN if refused else Fate.WOKEN
        told = Told(ask.issue_id, fate, refused or each.answer)
    if told.fate in {Fate.WOKEN, Fate.ENDED} and not dry_run:
        with app.store.write() as c:
            if found in {"CANCELLED", "CANCELLING"}:
                _hold(c, ask, app.clock())
            ask_store.end_ask(c, ask.id, told.reason, app.clock())
        log.info("issue %s: the run that asked about it: %s", ask.issue_id, told.fate)
    return told


def _hold(c: Transaction, ask: Ask, now: datetime) -> None:
    """Whoever cancels the run that asks wants the draft stopped, not sent by a deadline."""
    issue = issue_store.get_issue(c, ask.issue_id, lock=True)
    if issue.state is IssueState.DRAFT:
        act = Act("prefect", now, "the run that asked about it was cancelled")
        issue_store.move_issue(c, issue, IssueState.HELD, act)


def _fate(found: str, name: str, *, answered: bool) -> tuple[Fate, str]:
    """What is to become of an ask by the state of its run."""
    if found == _GONE:
        return Fate.ENDED, "its run is gone from Prefect"
    if found in _OVER:
        return Fate.ENDED, f"its run is over: {name}"
    if not answered:
        return Fate.WAITS, "waits for a decision"
    if found == _AWAY:
        return Fate.AGAIN, name
    # Scheduled: it was set going already, and the answer to that was lost.
    if found in {"PAUSED", "SCHEDULED"}:
        return Fate.WOKEN, ""
    # The ask is put before the run falls asleep.
    return Fate.AGAIN, f"its run is not asleep yet: {name}"


class _Api:
    """The two calls that are needed. Once nobody answers, nobody is called again."""

    def __init__(
        self, session: requests.Session, connection: Connection, timeout: tuple[float, float]
    ) -> None:
        self._session = session
        self._url = connection.api_url.rstrip("/")
        self._timeout = timeout
        self.trouble = ""
        self._away = False
        if connection.auth:
            user, _, password = connection.auth.partition(":")
            session.auth = HTTPBasicAuth(user.encode(), password.encode())

    def state_of(self, run_id: str) -> tuple[str, str]:
        """The type of the run's state, and its name or what is wrong."""
        status, found = self._call("GET", _path(run_id))
        if status == requests.codes.ok and isinstance(found.get("state"), dict):
            state = found["state"]
            return str(state.get("type")), str(state.get("name") or state.get("type"))
        # Any other page that is not found is not Prefect's word on the run.
        if status == requests.codes.not_found and found.get("detail") == "Flow run not found":
            return _GONE, ""
        return _AWAY, self._trouble(status)

    def set_going(self, ask: Ask) -> str:
        """Have the run started again; returns why not, or an empty text.

        The time is left to the server, whose clock decides when it starts.
        """
        message = f"issue {ask.issue_id} was decided on elsewhere"
        state = {"type": "SCHEDULED", "name": "Resuming", "message": message}
        path = f"{_path(ask.prefect_run_id)}/set_state"
        status, found = self._call("POST", path, {"state": state, "force": False})
        if status not in {requests.codes.ok, requests.codes.created}:
            return self._trouble(status)
        if found.get("status") == "ACCEPT":
            return ""
        details = found.get("details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return f"Prefect does not let it go on: {reason or found.get('status')}"

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer; status 0 where there was none."""
        if self._away:
            return 0, {}
        try:
            answer = self._session.request(
                method, self._url + path, json=body, timeout=self._timeout, allow_redirects=False
            )
            found = answer.json()
        except requests.JSONDecodeError:
            return answer.status_code, {}
        except requests.RequestException as error:
            # Not its text: an address may carry a password.
            self.trouble = f"Prefect does not answer ({type(error).__name__})"
            self._away = True
            return 0, {}
        return answer.status_code, found if isinstance(found, dict) else {}

    def _trouble(self, status: int) -> str:
        if not self._away:
            self.trouble = _refusal(status)
        return self.trouble


def _path(run_id: str) -> str:
    return f"/flow_runs/{quote(run_id, safe='')}"


def _refusal(status: int) -> str:
    if status in {requests.codes.unauthorized, requests.codes.forbidden}:
        return f"Prefect does not let us in (HTTP {status}): see PREFECT_API_AUTH_STRING"
    if status == requests.codes.service_unavailable:
        return "Prefect is busy (HTTP 503)"
    return f"no answer of Prefect's API (HTTP {status}): see PREFECT_API_URL"
