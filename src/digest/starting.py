"""Starts a run in Prefect that goes on with an issue, for somebody who decided at the desk.

Only Prefect's runs and commands deliver; pages do not. Talks to Prefect's REST API, as
`digest.waking` does.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import requests
from requests.auth import HTTPBasicAuth

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from digest.up.connection import Connection

#: Flow and deployment that go on with an issue by its number.
_SEND_ISSUE = "send-issue/send-issue"

#: Prefect's types of states from which no run goes on by itself.
_OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED", "CANCELLING")
_MOST_IN_A_MINUTE = 20


def start_sending(
    connection: Connection, issue_id: int, now: datetime, timeout: tuple[float, float]
) -> str:
    """Have a run of send-issue started now. Returns why that could not be, or an empty text.

    Asked twice within a minute it is one run, unless that is over; one too many would do no harm.
    """
    with requests.Session() as session:
        # No proxy is told the password, and no .netrc is asked for another.
        session.trust_env = False
        if connection.auth:
            user, _, password = connection.auth.partition(":")
            session.auth = HTTPBasicAuth(user.encode(), password.encode())
        base = connection.api_url.rstrip("/")
        try:
            found = session.get(
                f"{base}/deployments/name/{_SEND_ISSUE}", timeout=timeout, allow_redirects=False
            )
            if found.status_code == requests.codes.not_found:
                return "Prefect has no deployment send-issue"
            deployment = _object(found).get("id")
            if not isinstance(deployment, str):
                return _refusal(found)
            create = partial(
                session.post,
                f"{base}/deployments/{deployment}/create_flow_run",
                timeout=timeout,
                allow_redirects=False,
            )
            made = _made(create, issue_id, f"desk-{issue_id}-{now:%Y%m%dT%H%M}")
        except requests.RequestException as error:
            # Not its text: an address may carry a password.
            return f"Prefect does not answer ({type(error).__name__})"
    return "" if "id" in _object(made) else _refusal(made)


def _made(create: Callable[..., requests.Response], issue_id: int, key: str) -> requests.Response:
    """The answer with a run that is to come, or goes on, or with a refusal."""
    for _ in range(_MOST_IN_A_MINUTE):
        parameters = {"issue": issue_id, "dry_run": False}
        made = create(json={"parameters": parameters, "idempotency_key": key})
        found = _object(made)
        if not _is_over(found):
            break
        # The run of a minute ago: Prefect gives it again, whatever became of it.
        key = f"{key}-{found.get('id')}"
    return made


def _is_over(run: dict[str, Any]) -> bool:
    state = run.get("state")
    return isinstance(state, dict) and state.get("type") in _OVER


def _object(answer: requests.Response) -> dict[str, Any]:
    """The JSON object of an answer that is a yes; else an empty one."""
    if answer.status_code not in {requests.codes.ok, requests.codes.created}:
        return {}
    try:
        found = answer.json()
    except requests.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _refusal(answer: requests.Response) -> str:
    if answer.status_code in {requests.codes.unauthorized, requests.codes.forbidden}:
        return f"Prefect does not let us in (HTTP {answer.status_code})"
    return f"no answer of Prefect's API (HTTP {answer.status_code})"
