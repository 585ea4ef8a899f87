"""Deciding at the desk: the forms of an issue's page, each done once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from digest.deciding import GRAVE, Decision, Word, decide
from digest.errors import StateError, UsageError
from digest.web.desk_issue import issue_id_of, show_issue, standing
from digest.web.frame import desk_page, done
from digest.web.routing import CHOICES, TEXT, Page, form_of, text_of, texts_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.bootstrap import App
    from digest.web.desk_issue import Standing
    from digest.web.pages import Web

#: Far longer than any issue's; the whole form has a limit too.
_LONGEST = {"reason": 500, "subject": 200, "introduction": 20_000, "to": 254}
_DIGITS = 18


def decision(web: Web, request: Request) -> Response:
    """Do what the form says; what is grave asks once more before it is done."""
    issue_id, word = issue_id_of(request), _word(request)
    app = web.current()
    found = standing(app, issue_id)
    if word.decision in GRAVE and text_of(request, "sure") != "yes":
        return _sure(web, request, word, found)
    try:
        said = decide(app, issue_id, word, request.state.editor.name)
    except (StateError, UsageError) as refused:
        wrong = f"Nothing was done: {str(refused).rstrip('.')}. {_last(app, issue_id)}".strip()
        return show_issue(web, request, status=409, wrong=wrong, typed=word)
    return done(web, request, f"/desk/issues/{issue_id}", said)


def _sure(web: Web, request: Request, word: Word, found: Standing) -> Response:
    name = "desk/sure.html"
    return desk_page(web, request, name, "issues", issue=found.issue, found=found, word=word)


def _word(request: Request) -> Word:
    """The form. Raises HTTPException where no page of ours would have sent it."""
    given, drop = text_of(request, "decision"), texts_of(request, "drop")
    if given not in list(Decision):
        raise HTTPException(400)
    if any(len(text_of(request, name)) > most for name, most in _LONGEST.items()):
        raise HTTPException(400, "That is longer than an issue can take. Nothing was changed.")
    if not all(text.isascii() and text.isdecimal() and len(text) <= _DIGITS for text in drop):
        raise HTTPException(400)
    return Word(
        decision=Decision(given),
        reason=" ".join(text_of(request, "reason").split()),
        seen=text_of(request, "seen"),
        subject=text_of(request, "subject"),
        # A browser sends a line's end as two characters (HTML, 4.10.22.7).
        introduction=str(form_of(request).get("introduction", "")).replace("\r\n", "\n").strip(),
        drop=tuple(int(text) for text in drop),
        test_to=text_of(request, "to"),
    )


def _last(app: App, issue_id: int) -> str:
    """Who was first."""
    step = standing(app, issue_id).steps[-1]
    at = step.at.astimezone(app.config.site.zone)
    return f"Its last step: {step.after} by {step.actor}, {at:%a} {at.day} {at:%b, %H:%M}."


PAGES: tuple[Page, ...] = (
    Page(
        "/desk/issues/{issue:int}/decide",
        "deciding about an issue",
        do=decision,
        does="editor",
        form={
            **dict.fromkeys(
                ("csrf", "decision", "seen", "subject", "introduction", "reason", "to", "sure"),
                TEXT,
            ),
            "drop": CHOICES,
        },
    ),
)
