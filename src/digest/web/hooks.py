"""Where mailers tell what became of mails after they took them: bounces, complaints, arrivals.

What is told is stored before it is answered, and worked on after that: by housekeeping, unless
its reader must get nothing more meanwhile. Whoever tells the same again is answered the same.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

from digest.config_mailers import PostmarkMailer, ResendMailer
from digest.mail.hooks import postmark, resend
from digest.mail.hooks.signatures import is_basic, signed_id
from digest.returning import work_at_once
from digest.store.feedback import take_in
from digest.web.routing import Page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.mail.feedback import Feedback
    from digest.web.pages import Web

_log = logging.getLogger(__name__)


def tell(web: Web, request: Request) -> Response:
    """Take in what a mailer tells, once it is known to be that mailer."""
    app, slug = web.current(), request.path_params["mailer"]
    settings, now = app.config.mailers.get(slug), app.clock()
    match settings:
        case ResendMailer() if secret := settings.webhook_secret.get_secret_value():
            event_id = signed_id(secret, request.headers, request.state.raw, now)
            if event_id is None:
                return _not_theirs(slug)
            told = _json(slug, request)
            feedback = resend.read(told, app.mailer_key(slug), now)
        case PostmarkMailer() if password := settings.webhook_password.get_secret_value():
            given = request.headers.get("authorization", "")
            if not is_basic(settings.webhook_username, password, given):
                return _not_theirs(slug)
            told = _json(slug, request)
            event_id = postmark.event_id(told)
            feedback = postmark.read(told, app.mailer_key(slug), now)
        case _:
            raise HTTPException(404)
    response = PlainTextResponse("ok\n")
    if feedback is not None:
        source = f"hook:{slug}"
        with app.store.write() as c:
            is_new = take_in(c, source, event_id, feedback, now)
        if is_new and _is_urgent(feedback):
            response.background = BackgroundTask(_work_at_once, web, source, event_id)
    return response


def _json(slug: str, request: Request) -> object:
    try:
        found: object = json.loads(request.state.raw)
    except (ValueError, RecursionError):
        _log.warning("what %s told is no JSON; nothing was taken in", slug)
        raise HTTPException(400) from None
    return found


def _not_theirs(slug: str) -> Response:
    _log.warning("something was told as %s without its signature; nothing was taken in", slug)
    headers = {"WWW-Authenticate": 'Basic realm="hooks"'}
    return PlainTextResponse("Nothing was taken in.\n", 401, headers)


def _is_urgent(feedback: Feedback) -> bool:
    """Whether its reader must get nothing more from now on."""
    return feedback.kind == "hard" or feedback.event in {"complained", "unsubscribed"}


async def _work_at_once(web: Web, source: str, event_id: str) -> None:
    """What is done once it is answered; a crash before it leaves it to housekeeping."""
    loop = asyncio.get_running_loop()
    # Behind readers' changes: SQLite writes one after the other.
    await loop.run_in_executor(web.turnstile, work_at_once, web.current(), source, event_id)


PAGES: tuple[Page, ...] = (
    Page("/hooks/{mailer}", "what a mailer tells of its mails", do=tell, raw=True),
)
