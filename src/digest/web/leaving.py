"""Readers' pages: leaving, and confirming what an operator entered.

Looking never changes anything, however often: programs that search mail for dangers open every
link. Only a POST does. No page shows an address, and none says whether one is known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from digest.links import PREVIEW_TOKEN, TEST_TOKEN
from digest.readers.subscriptions import Confirmed, Unsubscribed, confirm, unsubscribe_by_token
from digest.readers.tokens import read_token
from digest.store import readers
from digest.web.routing import Page

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from digest.bootstrap import App
    from digest.store.readers import Standing
    from digest.web.pages import Web

_SAMPLES = {
    PREVIEW_TOKEN: "This link stands in a preview",
    TEST_TOKEN: "This link stands in a test copy",
}


def leave_by_hand(web: Web, _request: Request) -> Response:
    """How to leave without one's own link."""
    return web.page("leave.html", newsletters=web.current().config.newsletters)


def leave(web: Web, request: Request) -> Response:
    """The link of a mail: GET shows a button, POST ends the subscription at once.

    What is posted does not matter: RFC 8058's one-click, the page's own form, or nothing.
    """
    token = request.path_params["token"]
    if token in _SAMPLES:
        said = "In a reader's own mail it leads to the page for leaving. Nothing was changed."
        return web.message(_SAMPLES[token], said)
    app = web.current()
    return _end(web, app, token) if request.method == "POST" else _ask(web, app, token)


def _ask(web: Web, app: App, token: str) -> Response:
    found = _standing(app, read_token(app.secret, "unsubscribe", token))
    if found is None:
        raise _unknown_link()
    title = _title(app, found.newsletter)
    if found.state == "ended" and found.ended_at is not None:
        return _left_already(web, app, title, found.ended_at)
    return web.page("unsubscribe.html", newsletter=title)


def _end(web: Web, app: App, token: str) -> Response:
    result = unsubscribe_by_token(app.store, app.secret, token, app.clock())
    if result.outcome is Unsubscribed.UNKNOWN:
        raise _unknown_link()
    title = _title(app, result.newsletter)
    if result.outcome is Unsubscribed.ALREADY and result.ended_at is not None:
        return _left_already(web, app, title, result.ended_at)
    return web.message(
        f"You have left {title}",
        "From this moment on, no more of it will be sent to you.",
        contact=_contact(app, result.newsletter),
    )


def _left_already(web: Web, app: App, title: str, ended_at: datetime) -> Response:
    when = web.templates.filters["day"](ended_at, app.config.site.time_zone)
    return web.message(
        f"You have left {title} already",
        f"The subscription ended on {when}. There is nothing more to do.",
    )


def confirmation(web: Web, request: Request) -> Response:
    """The link of an opt-in mail: GET shows a button, POST confirms."""
    app, token = web.current(), request.path_params["token"]
    if request.method == "POST":
        result = confirm(app.store, app.secret, token, app.clock())
        return _confirmed(web, app, result.outcome, result.newsletter)
    found = _standing(app, read_token(app.secret, "opt-in", token, app.clock()))
    if found is None:
        return _confirmed(web, app, Confirmed.INVALID, "")
    if found.state == "pending":
        return web.page("confirm.html", newsletter=_title(app, found.newsletter))
    outcome = Confirmed.ALREADY if found.state == "active" else Confirmed.ENDED
    return _confirmed(web, app, outcome, found.newsletter)


def _confirmed(web: Web, app: App, outcome: Confirmed, newsletter: str) -> Response:
    title, contact = _title(app, newsletter), _contact(app, newsletter)
    if outcome is Confirmed.ACTIVE:
        said = "It comes by mail from now on. Each mail has a link to leave with one click."
        return web.message(f"You are subscribed to {title}", said)
    if outcome is Confirmed.ALREADY:
        return web.message(f"You are subscribed to {title} already", "There is nothing more to do.")
    if outcome is Confirmed.ENDED:
        said = "This subscription has ended since. To have the newsletter again, ask for it anew."
        return web.message(f"You have left {title}", said, status=410, contact=contact)
    if outcome is Confirmed.SUPPRESSED:
        said = "This address is on record as one that must not be written to. Nothing was changed."
        return web.message("This cannot be confirmed here", said, status=409, contact=contact)
    said = (
        "It is incomplete, or older than 14 days. Nothing was changed: ask for the newsletter "
        "again, and a new link will come."
    )
    return web.message("This link does not work any more", said, status=404)


def _standing(app: App, subscription_id: int | None) -> Standing | None:
    if subscription_id is None:
        return None
    with app.store.read() as c:
        return readers.standing(c, subscription_id, held=False)


def _unknown_link() -> HTTPException:
    said = "This is no link for leaving, or a part of it is missing. Try it from the mail again."
    return HTTPException(404, said)


def _title(app: App, newsletter: str) -> str:
    """What readers know it by; its slug where config does not know it any more."""
    declared = app.config.newsletters.get(newsletter)
    return declared.title if declared else newsletter


def _contact(app: App, newsletter: str) -> str:
    declared = app.config.newsletters.get(newsletter)
    return declared.reply_to if declared else ""


PAGES: tuple[Page, ...] = (
    Page("/leave", "how to leave without a link of one's own", look=leave_by_hand),
    Page("/u/{token}", "leaving", look=leave, do=leave),
    Page("/c/{token}", "confirming", look=confirmation, do=confirmation),
)
