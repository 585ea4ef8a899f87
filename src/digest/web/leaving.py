"""Readers' pages: leaving, pausing, and confirming what an operator entered.

Looking never changes anything, however often: programs that search mail for dangers open every
link. Only a POST does. No page shows an address, and none says whether one is known here.
Whoever has a mail has its link, also one to whom it was passed on: by it one can leave or
pause, and ask for a link to the settings, which goes to the reader's own address alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from digest.readers.changes import months_from, spoken
from digest.readers.settings import MAIL_LINK, Gone, leave_everything, pause
from digest.readers.settings import leave as leave_one
from digest.readers.subscriptions import Confirmed, confirm
from digest.readers.tokens import read_token
from digest.store import readers, settings
from digest.web.mail_links import sample_page, subscription_of, unknown_link
from digest.web.names import archive_of, contact_of, title_of
from digest.web.routing import Page, text_of

if TYPE_CHECKING:
    from datetime import date, datetime

    from starlette.requests import Request
    from starlette.responses import Response

    from digest.bootstrap import App
    from digest.readers.settings import GoneResult
    from digest.store.readers import Standing
    from digest.web.pages import Web

_HERE = "the page for leaving"
#: Months for which the link of a mail may pause.
_PAUSES = (1, 2, 3)


def leave_by_hand(web: Web, _request: Request) -> Response:
    """How to leave without one's own link."""
    return web.page("leave.html", newsletters=web.current().config.newsletters)


def look(web: Web, request: Request) -> Response:
    """The link of a mail: what can be done with it, a button each."""
    sample = sample_page(web, request, _HERE)
    if sample is not None:
        return sample
    app = web.current()
    number = subscription_of(app, request)
    with app.store.read() as c:
        found = settings.subscription(c, number)
        reader = settings.reader_of(c, number)
        whole = settings.settings_of(c, reader) if reader else None
    if found is None:
        raise unknown_link()
    if found.state == "ended":
        return _left_already(web, app, request, found.newsletter, found.ended_at)
    paused = found.pause(app.clock())
    return web.page(
        "unsubscribe.html",
        newsletter=title_of(app.config, found.newsletter),
        token=request.path_params["token"],
        pauses={months: spoken(day) for months, day in _pauses(app).items()},
        active=found.active,
        paused=spoken(paused.astimezone(app.config.site.zone).date()) if paused else "",
        several=whole is not None and len(whole.active) > 1,
    )


def leave(web: Web, request: Request) -> Response:
    """Ends the subscription at once.

    What is posted does not matter, and is not even read: RFC 8058's one-click, the page's own
    form, or nothing.
    """
    sample = sample_page(web, request, _HERE)
    if sample is not None:
        return sample
    app = web.current()
    result = leave_one(app.store, subscription_of(app, request), MAIL_LINK, app.clock())
    if result.outcome is Gone.UNKNOWN:
        raise unknown_link()
    if result.outcome is Gone.ALREADY:
        return _left_already(web, app, request, result.newsletter, result.at)
    title = title_of(app.config, result.newsletter)
    said = "From this moment on, no more of it will be sent to you."
    contact = contact_of(app.config, result.newsletter)
    return _left(web, request, f"You have left {title}", said, contact)


def take_a_break(web: Web, request: Request) -> Response:
    """Pauses the subscription for as many months as chosen."""
    sample = sample_page(web, request, _HERE)
    if sample is not None:
        return sample
    app = web.current()
    number = subscription_of(app, request)
    until = _pauses(app).get(text_of(request, "for"))
    if until is None:
        raise HTTPException(400, "Choose one, two or three months. Nothing was changed.")
    result = pause(app.store, app.config.site.zone, number, until, app.clock())
    return _paused(web, app, request, result)


def _paused(web: Web, app: App, request: Request, result: GoneResult) -> Response:
    if result.outcome is Gone.UNKNOWN:
        raise unknown_link()
    if result.outcome is Gone.NOT_ACTIVE and result.at is not None:
        return _left_already(web, app, request, result.newsletter, result.at)
    title = title_of(app.config, result.newsletter)
    if result.outcome is Gone.NOT_ACTIVE:
        said = "There is nothing to pause: it has not been confirmed yet."
        return web.message(f"{title} does not come yet", said)
    assert result.at is not None
    return web.page(
        "paused.html",
        newsletter=title,
        until=spoken(result.at.astimezone(app.config.site.zone).date()),
        archive=archive_of(app.config, result.newsletter),
        token=request.path_params["token"],
    )


def leave_all(web: Web, request: Request) -> Response:
    """Ends every subscription of that reader at once, without saying which there were."""
    sample = sample_page(web, request, _HERE)
    if sample is not None:
        return sample
    app = web.current()
    with app.store.read() as c:
        reader = settings.reader_of(c, subscription_of(app, request))
    if reader is None:
        raise unknown_link()
    leave_everything(app.store, reader, MAIL_LINK, app.clock())
    heading = f"You have left everything of {app.config.site.name}"
    said = "From this moment on, no newsletter of ours will be sent to you."
    return _left(web, request, heading, said)


def _left(web: Web, request: Request, heading: str, said: str, contact: str = "") -> Response:
    token = request.path_params["token"]
    return web.page("left.html", heading=heading, said=said, contact=contact, token=token)


def _left_already(
    web: Web, app: App, request: Request, newsletter: str, ended_at: datetime | None
) -> Response:
    assert ended_at is not None
    when = web.templates.filters["day"](ended_at, app.config.site.time_zone)
    heading = f"You have left {title_of(app.config, newsletter)} already"
    said = f"The subscription ended on {when}. There is nothing more to do."
    return _left(web, request, heading, said)


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
        return web.page("confirm.html", newsletter=title_of(app.config, found.newsletter))
    outcome = Confirmed.ALREADY if found.state == "active" else Confirmed.ENDED
    return _confirmed(web, app, outcome, found.newsletter)


def _confirmed(web: Web, app: App, outcome: Confirmed, newsletter: str) -> Response:
    title, contact = title_of(app.config, newsletter), contact_of(app.config, newsletter)
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


def _pauses(app: App) -> dict[str, date]:
    today = app.clock().astimezone(app.config.site.zone).date()
    return {str(months): months_from(today, months) for months in _PAUSES}


def _standing(app: App, subscription_id: int | None) -> Standing | None:
    if subscription_id is None:
        return None
    with app.store.read() as c:
        return readers.standing(c, subscription_id, held=False)


#: Which of `_PAUSES`.
_FOR = {"type": "string", "enum": [str(months) for months in _PAUSES]}

PAGES: tuple[Page, ...] = (
    Page("/leave", "how to leave without a link of one's own", look=leave_by_hand),
    Page("/u/{token}", "leaving", look=look, do=leave),
    Page("/u/{token}/pause", "a pause instead", look=look, do=take_a_break, form={"for": _FOR}),
    Page("/u/{token}/everything", "leaving every newsletter", look=look, do=leave_all),
    Page("/c/{token}", "confirming", look=confirmation, do=confirmation),
)
