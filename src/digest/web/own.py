"""Readers' pages: a reader's own settings and data.

The link is mailed to the reader's own address and works for a day. Whoever has it is the
reader; nothing else is asked, and nothing is remembered in the browser.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from digest.readers.changes import SETTINGS_PAGE
from digest.readers.erasure import erase_reader
from digest.readers.exporting import export_reader
from digest.readers.settings import Changed, change, go_on, join, leave, leave_everything
from digest.readers.tokens import read_token
from digest.store import settings as queries
from digest.web import own_form
from digest.web.names import title_of
from digest.web.routing import CHOICES, TEXT, Page, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from digest.config import Config
    from digest.readers.settings import ChangeResult
    from digest.store.settings import Settings
    from digest.web.own_form import Typed
    from digest.web.pages import Web

#: What is said after a change, by the word in the address that the browser is sent to.
_DONE = {
    "saved": "Saved.",
    "stopped": "Stopped: no more of {} will be sent to you.",
    "added": "{} comes by mail from now on. Choose below what of it, and how often.",
    "going-on": "The pause is over: {} comes again.",
    "left": "You have left everything: no newsletter of ours will be sent to you.",
}


def look(web: Web, request: Request) -> Response:
    """What the reader gets, to be changed."""
    settings = _settings(web, request)
    if settings is None:
        return _lost(web)
    app = web.current()
    form = own_form.stored(app.config, settings, app.clock())
    return _page(web, request, settings, form, {})


def save(web: Web, request: Request) -> Response:
    """Makes it what the form says, or shows what cannot be beside what was typed."""
    settings = _settings(web, request)
    if settings is None:
        return _lost(web)
    app, form = web.current(), own_form.typed(request)
    wanted = own_form.wanted_of(form)
    if isinstance(wanted, dict):
        return _page(web, request, settings, form, wanted)
    result = change(app.store, app.config, settings.subscriber_id, wanted, app.clock())
    if result.outcome is Changed.FAULTY:
        return _page(web, request, settings, form, result.faults)
    return _changed(web, request, result, "saved")


def stop(web: Web, request: Request) -> Response:
    """Ends one subscription."""
    settings = _settings(web, request)
    if settings is None:
        return _lost(web)
    found = settings.of(text_of(request, "newsletter"))
    if found is None:
        raise _no_such_newsletter()
    app = web.current()
    leave(app.store, found.id, SETTINGS_PAGE, app.clock())
    return _back(web, request, "stopped", found.newsletter)


def stop_all(web: Web, request: Request) -> Response:
    """Ends every subscription of the reader."""
    settings = _settings(web, request)
    if settings is None:
        return _lost(web)
    app = web.current()
    leave_everything(app.store, settings.subscriber_id, SETTINGS_PAGE, app.clock())
    return _back(web, request, "left")


def unpause(web: Web, request: Request) -> Response:
    """Ends a pause before its time."""
    settings = _settings(web, request)
    if settings is None:
        return _lost(web)
    app, newsletter = web.current(), text_of(request, "newsletter")
    result = go_on(app.store, settings.subscriber_id, newsletter, app.clock())
    return _changed(web, request, result, "going-on", newsletter)


def add(web: Web, request: Request) -> Response:
    """Takes one more newsletter."""
    settings = _settings(web, request)
    if settings is None:
        return _lost(web)
    app, newsletter = web.current(), text_of(request, "newsletter")
    result = join(app.store, app.config, settings.subscriber_id, newsletter, app.clock())
    return _changed(web, request, result, "added", newsletter)


def data(web: Web, request: Request) -> Response:
    """All that is kept about the reader, to take along."""
    settings = _settings(web, request)
    if settings is None:
        return _lost(web)
    with web.current().store.read() as c:
        document = export_reader(c, settings.subscriber_id)
    if document is None:
        return _lost(web)
    headers = {"Content-Disposition": 'attachment; filename="my-data.json"'}
    # A person opens it: as `digest readers export` writes it, a line for each fact.
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    return Response(text, media_type="application/json", headers=headers)


def look_erase(web: Web, request: Request) -> Response:
    """What being forgotten means."""
    if _settings(web, request) is None:
        return _lost(web)
    return web.page("erase.html", token=request.path_params["token"], wrong=False)


def erase(web: Web, request: Request) -> Response:
    """Forgets the reader, who has said that they are sure."""
    settings = _settings(web, request)
    if settings is None:
        return _lost(web)
    if not text_of(request, "sure"):
        return web.page("erase.html", 422, token=request.path_params["token"], wrong=True)
    app = web.current()
    erase_reader(app.store, app.secret, settings.subscriber_id, app.clock())
    return web.message(
        "You are forgotten",
        "Your address and all that you chose are gone from here, and nothing more will be sent.",
        "Should you want to read us again, sign up as if for the first time.",
    )


def _settings(web: Web, request: Request) -> Settings | None:
    app = web.current()
    reader = read_token(app.secret, "settings", request.path_params["token"], app.clock())
    if reader is None:
        return None
    with app.store.read() as c:
        return queries.settings_of(c, reader)


def _page(
    web: Web, request: Request, settings: Settings, form: Typed, faults: Mapping[str, str]
) -> Response:
    app, token = web.current(), request.path_params["token"]
    config, now = app.config, app.clock()
    if settings.suppressed:
        return web.page("settings-suppressed.html", token=token)
    return web.page(
        "settings.html",
        422 if faults else 200,
        token=token,
        address=settings.address,
        done=_said(config, request),
        faults=faults,
        cards=own_form.cards(config, settings, form, now),
        caps=own_form.caps(settings, form),
        days=own_form.days_of_pause(config, now),
        others=own_form.others(config, settings),
        consent=config.web.consent,
        privacy_url=config.web.privacy_url,
    )


def _changed(
    web: Web, request: Request, result: ChangeResult, done: str, newsletter: str = ""
) -> Response:
    if result.outcome is Changed.UNKNOWN:
        raise _no_such_newsletter()
    # The page itself says it where the address is never written to.
    return _back(web, request, done, newsletter)


def _back(web: Web, request: Request, done: str, newsletter: str = "") -> Response:
    """To the page, so that loading it again does nothing again."""
    token = request.path_params["token"]
    said = urlencode({"done": done} | ({"of": newsletter} if newsletter else {}))
    return RedirectResponse(f"{web.prefix}/me/{token}?{said}", 303)


def _said(config: Config, request: Request) -> str:
    """What was done, with the newsletter's title: there may be several on the page."""
    of = request.query_params.get("of", "")
    title = title_of(config, of) if of in config.newsletters else "it"
    said = _DONE.get(request.query_params.get("done", ""), "").format(title)
    return said[:1].upper() + said[1:]


def _lost(web: Web) -> Response:
    return web.page("settings-lost.html", 404)


def _no_such_newsletter() -> HTTPException:
    return HTTPException(400, "There is no such newsletter for you here. Nothing was changed.")


_NEWSLETTER = {"newsletter": TEXT}

PAGES: tuple[Page, ...] = (
    Page(
        "/me/{token}",
        "a reader's own settings",
        look=look,
        do=save,
        query={"done": {"type": "string", "enum": list(_DONE)}, "of": TEXT},
        # And for each newsletter SLUG: rhythm.SLUG, what.SLUG, group.SLUG and until.SLUG.
        form={"newsletter": CHOICES, "cap": TEXT},
    ),
    Page("/me/{token}/stop", "leaving one newsletter", do=stop, form=_NEWSLETTER),
    Page("/me/{token}/stop-all", "leaving every newsletter", do=stop_all),
    Page("/me/{token}/go-on", "ending a pause", do=unpause, form=_NEWSLETTER),
    Page("/me/{token}/add", "one more newsletter", do=add, form=_NEWSLETTER),
    Page("/me/{token}/data", "a reader's own data", look=data),
    Page(
        "/me/{token}/erase",
        "being forgotten",
        look=look_erase,
        do=erase,
        form={"sure": TEXT},
        # An issue that is being frozen is waited for.
        apart=True,
    ),
)
