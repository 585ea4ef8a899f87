"""Readers' pages: how to get the link to one's own settings.

It is only ever mailed to the reader's own address. Whoever else has a mail of theirs, or types
in their address, can have it mailed there, and learns nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

from digest.mail.addresses import AddressProblem, parse_address
from digest.notices import ask_for_settings, ask_for_settings_of
from digest.store import settings
from digest.web.clients import client_of
from digest.web.limits import Limit
from digest.web.mail_links import sample_page, subscription_of, unknown_link
from digest.web.routing import TEXT, Page, text_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.web.pages import Web

_HERE = "the page that mails a link to the settings"
#: How often one client may ask; what goes to one address has a limit of its own.
_ASKING = Limit(20, 3600)
#: No reader sees this field; programs that fill in every one do.
_TRAP = "website"


def look_from_mail(web: Web, request: Request) -> Response:
    """The link of a mail: a button, for the mail may have been passed on."""
    sample = sample_page(web, request, _HERE)
    if sample is not None:
        return sample
    _reader_of(web, request)
    return web.page("manage-mail.html", token=request.path_params["token"])


def ask_from_mail(web: Web, request: Request) -> Response:
    """Mails the link to the settings to the address that the mail went to."""
    sample = sample_page(web, request, _HERE)
    if sample is not None:
        return sample
    reader = _reader_of(web, request)
    wait = web.limiter.wait("settings", _client(web, request), _ASKING)
    if wait:
        return _too_often(web, wait)
    ask_for_settings_of(web.current(), reader)
    return _asked(web)


def look(web: Web, _request: Request) -> Response:
    """Where to ask without a mail at hand."""
    return web.page("manage.html", address="", wrong="", trap=_TRAP)


def ask(web: Web, request: Request) -> Response:
    """Mails the link to an address, if it is one that we write to; says the same for all."""
    if text_of(request, _TRAP):
        return _asked(web)
    address = text_of(request, "address")
    parsed = parse_address(address)
    if isinstance(parsed, AddressProblem):
        return web.page("manage.html", 422, address=address, wrong=parsed.reason, trap=_TRAP)
    wait = web.limiter.wait("settings", _client(web, request), _ASKING)
    if wait:
        return _too_often(web, wait)
    ask_for_settings(web.current(), address)
    return _asked(web)


def look_asked(web: Web, _request: Request) -> Response:
    """The same for everybody."""
    return web.message(
        "Look into your inbox",
        "If we write to that address, a link to your settings is on its way there. It works for "
        "a day.",
        "Nothing there after a few minutes? Look among the spam, and whether the address is the "
        "one that gets our mails. The link is mailed once an hour at most.",
    )


def _reader_of(web: Web, request: Request) -> int:
    app = web.current()
    number = subscription_of(app, request)
    with app.store.read() as c:
        reader = settings.reader_of(c, number)
    if reader is None:
        raise unknown_link()
    return reader


def _client(web: Web, request: Request) -> str:
    return client_of(request, web.current().config.web.trusted_proxies)


def _asked(web: Web) -> Response:
    web.queued.set()
    return RedirectResponse(f"{web.prefix}/manage/asked", 303)


def _too_often(web: Web, seconds: int) -> Response:
    response = web.message(
        "That was too often", "Nothing was changed. Please try again in a while.", status=429
    )
    response.headers["Retry-After"] = str(seconds)
    return response


PAGES: tuple[Page, ...] = (
    Page("/s/{token}", "a link to the settings", look=look_from_mail, do=ask_from_mail),
    Page(
        "/manage",
        "a link to the settings, without a mail at hand",
        look=look,
        do=ask,
        form={"address": TEXT, _TRAP: TEXT},
    ),
    Page("/manage/asked", "that it was asked for", look=look_asked),
)
