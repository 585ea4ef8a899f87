"""Asking an editor in the Prefect UI: the run is suspended until somebody fills in the form.

Suspended, never paused: a suspended run has no process, and survives restarts. After the answer
Prefect runs the flow from the top in a new process; what had been asked is told by our
database, so the same question has the same key, and an answer that was given is found even
where the run crashed before it was stored.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from prefect import suspend_flow_run
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.input import (
    RunInput,
    delete_flow_run_input,
    filter_flow_run_input,
    read_flow_run_input,
)
from prefect.input.run_input import keyset_from_paused_state
from prefect.states import Suspended
from pydantic import Field, ValidationError, create_model

from digest import asking
from digest.asking import Answer
from digest.issues.freeze import forecast
from digest.issues.preview import preview_of_issue
from digest.links import preview_url
from digest.model import IssueState
from digest.showing import question_markdown
from digest.store import issues as issue_store
from digest_prefect.artifacts import at_the_desk, show_draft

if TYPE_CHECKING:
    from digest.asking import Question
    from digest.store.asks import Ask
    from digest.store.issues import Issue
    from digest_prefect.running import Run

log = logging.getLogger("digest.flows")

#: What the keys of all questions begin with.
_KEY = "approve-"


def ask_until_decided(run: Run, issue: Issue) -> Issue | Ask:
    """Ask about a draft until it is one no more; or the open ask of another run about it.

    May not return: asking suspends the run, and the flow begins anew after the answer.
    """
    note = ""
    while issue.state is IssueState.DRAFT:
        ask = asking.put(run.app, issue, run.id)
        if ask.prefect_run_id != run.id:
            if _is_alive(ask.prefect_run_id):
                return ask
            asking.end(run.app, ask, "its run is gone")
        elif ask.hash != issue.hash:
            asking.end(run.app, ask, "the draft was changed meanwhile")
            forget_answers()
            note = note or "The draft was changed meanwhile; this is how it stands now."
        else:
            note = _ask(run, ask, issue, note)
        with run.app.store.read() as c:
            issue = issue_store.get_issue(c, issue.id)
    return issue


def _is_alive(run_id: str) -> bool:
    """Whether a run still waits for its answer, or is about to."""
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(UUID(run_id)).state
        except ObjectNotFound:
            return False
    return state is not None and not state.is_final()


def _ask(run: Run, ask: Ask, issue: Issue, note: str) -> str:
    """One question; returns what the next one begins with, if there is a next one."""
    question = asking.question(issue)
    form, key = _form(question), f"{_KEY}{issue.id}-{ask.id}"
    given = _given(key)
    if given is None:
        # What an earlier question was answered, where a crash came before this.
        forget_answers()
        run.record.outcome = "partial"
        run.record.reason = f"waits for an editor's decision on issue {issue.id}"
        log.info("issue %s waits for an editor's decision", issue.id)
        show_draft(run, issue)
        shown = form.with_initial_data(description=_text(run, issue, note))
        with suppress(ValidationError):
            # Does not return the first time. Where somebody made the run go again without an
            # answer it does, and finds that an empty form is not filled in.
            suspend_flow_run(wait_for_input=shown, key=key, timeout=None)
        given = _given(key) or {}
    try:
        return _taken(run, ask, question, form, given)
    finally:
        forget_answers()


def _taken(
    run: Run, ask: Ask, question: Question, form: type[RunInput], given: dict[str, Any]
) -> str:
    try:
        filled: Any = form(**given)
    except ValidationError:
        asking.end(run.app, ask, "resumed without an answer")
        return "The run was resumed without an answer."
    log.info("issue %s: %s decided: %s", ask.issue_id, filled.who_decides, filled.decision)
    answer = Answer(
        decision=filled.decision,
        approver=filled.who_decides,
        subject=filled.subject,
        introduction=filled.introduction,
        drop=tuple(question.posts[label] for label in filled.drop),
        test_to=filled.test_to,
        reason=filled.reason,
    )
    return asking.take(run.app, ask, answer)


def _text(run: Run, issue: Issue, note: str) -> str:
    app = run.app
    with app.store.read() as c:
        lines = preview_of_issue(c, issue).picks
    link = preview_url(app.config.site.links_url, app.secret, issue.id)
    words = (note, asking.deadline(app, issue))
    shares = forecast(app.store, issue, app.week)
    asked = question_markdown(issue, lines, shares, link, words)
    return asked + at_the_desk(app, issue.id)


def _form(question: Question) -> type[RunInput]:
    """The form of one question. The decision has no default: a resume by mistake sends nothing."""
    labels = tuple(question.posts)
    fields: dict[str, Any] = {
        "decision": _field(Literal[question.decisions], 0, "Decision", ""),
        "who_decides": _field(
            Annotated[str, Field(min_length=2, max_length=80, pattern=r"\S")],
            1,
            "Who decides",
            "Your name; it is kept with the decision.",
        ),
        "subject": _field(
            Annotated[str, Field(max_length=200)],
            2,
            "Subject",
            "Another one is sent as you type it.",
            default=question.issue.subject,
        ),
        "introduction": _field(
            str,
            3,
            "Introduction",
            "Another one is rendered, and you are asked again.",
            default=question.introduction,
        ),
        "drop": _field(
            list[Literal[labels]],  # type: ignore[valid-type]
            4,
            "Leave out",
            "Posts to leave out; the rest is rendered, and you are asked again.",
            default=[],
        ),
        "test_to": _field(
            Annotated[str, Field(max_length=254)],
            5,
            "Test copy to",
            "An address of your own, for a test copy. It is not kept here.",
            default="",
        ),
        "reason": _field(
            Annotated[str, Field(max_length=500)],
            6,
            "Reason",
            "Kept with the decision, if you like to give one.",
            default="",
        ),
    }
    return create_model("Decision", __base__=RunInput, **fields)


def _field(kind: Any, position: int, title: str, description: str, **default: Any) -> Any:
    extra: dict[str, Any] = {"position": position}
    return (kind, Field(title=title, description=description, json_schema_extra=extra, **default))


def _given(key: str) -> dict[str, Any] | None:
    found: Any = read_flow_run_input(_response(key))
    return found if isinstance(found, dict) else None


def forget_answers() -> None:
    """What was answered is in our database; a test copy's address need not stay in Prefect's."""
    prefix = _response(_KEY).removesuffix("-response")
    found: Any = filter_flow_run_input(key_prefix=prefix, limit=200)
    for one in found:
        if one.key.endswith("-response"):
            delete_flow_run_input(one.key)


def _response(key: str) -> str:
    return keyset_from_paused_state(Suspended(pause_key=key))["response"]
