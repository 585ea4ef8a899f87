"""Readers' pages: what there is to read, signing up for it, and confirming that by mail.

A form is answered alike whatever the address: whether it is known, left or must not be mailed
shows in no page, and whether a mail leaves is decided later, beside the pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from digest.links import archive_url
from digest.readers import sign_up
from digest.readers.sign_up import Asked, Joined
from digest.readers.wishes import in_words
from digest.web.clients import client_of
from digest.web.limits import Limit
from digest.web.places import open_page
from digest.web.routing import CHOICES, TEXT, Page, text_of, texts_of
from digest.web.shield import PAGE_POLICY
from digest.web.sign_up_form import (
    EMBEDDED,
    PAGE,
    Read,
    Typed,
    blank,
    evidence,
    host_of,
    offer,
    read,
    rhythm_words,
)

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.bootstrap import App
    from digest.readers.sign_up import Joining
    from digest.web.pages import Web

_PER_CLIENT = Limit(20, 3600)
#: Nobody sees the field; programs that fill in every field fill it in.
_TRAP = "homepage"


def front(web: Web, request: Request) -> Response:
    """What there is, and the form to sign up for it; to be found where an archive may be."""
    config = web.current().config
    newsletters = config.newsletters
    public = [slug for slug, newsletter in newsletters.items() if newsletter.archive == "public"]
    page = web.page(
        "front.html",
        is_public=bool(public),
        newsletters=newsletters,
        rhythms={slug: rhythm_words(newsletter) for slug, newsletter in newsletters.items()},
        archives={slug: archive_url(web.prefix, slug) for slug in public},
        **_form(web, blank(offer(config), PAGE)),
    )
    return open_page(request, page, is_public=bool(public))


def form(web: Web, _request: Request) -> Response:
    """The sign-up form, on a page of its own."""
    return web.page("sign-up.html", **_form(web, blank(offer(web.current().config), PAGE)))


def embedded(web: Web, request: Request) -> Response:
    """The sign-up form for a frame on another site."""
    around = host_of(request.headers.get("referer", ""))
    typed = blank(offer(web.current().config), f"{EMBEDDED} {around}".strip())
    return _framed(web, web.page("embed.html", **_form(web, typed)))


def ask(web: Web, request: Request) -> Response:
    """Take a form, whichever site it stood on: without the mail nothing comes of it."""
    return _ask(web, request, "sign-up")


def ask_embedded(web: Web, request: Request) -> Response:
    """Take a form that stands in a frame, and answer in it."""
    return _framed(web, _ask(web, request, "embed"))


def _ask(web: Web, request: Request, place: str) -> Response:
    app = web.current()
    client = client_of(request, app.config.web.trusted_proxies)
    wait = web.limiter.wait("sign-up", client, _PER_CLIENT)
    if wait:
        return _too_often(web, place, wait)
    if text_of(request, _TRAP):
        return _look_into_inbox(web, place)
    typed = _typed(request)
    found = read(app.config, offer(app.config), typed)
    if not isinstance(found, Read):
        return web.page(f"{place}.html", 422, **_form(web, typed, found))
    asked = Asked(found.address, found.wishes, _evidence(app, request, typed), _consent(app))
    sign_up.ask(app.store, app.config, app.secret, asked, app.clock())
    web.queued.set()
    return _look_into_inbox(web, place)


def _typed(request: Request) -> Typed:
    return Typed(
        address=text_of(request, "address"),
        newsletters=tuple(texts_of(request, "newsletter")),
        what=text_of(request, "what"),
        interests=tuple(texts_of(request, "interest")),
        rhythm=text_of(request, "rhythm"),
        consent=bool(text_of(request, "consent")),
        origin=text_of(request, "origin"),
    )


def _form(web: Web, typed: Typed, faults: dict[str, str] | None = None) -> dict[str, Any]:
    config = web.current().config
    return {
        "offer": offer(config),
        "typed": typed,
        "faults": faults or {},
        "consent": _consent(web.current()),
        "privacy_url": config.web.privacy_url,
    }


def _consent(app: App) -> str:
    return app.config.web.consent


def _evidence(app: App, request: Request, typed: Typed) -> str:
    # A page of ours sends neither; "null" is what a browser says of it.
    sent_from = request.headers.get("origin", "")
    if host_of(sent_from) == "":
        sent_from = request.headers.get("referer", "")
    own = {host_of(app.config.site.links_url), request.url.hostname or ""}
    return evidence(typed, sent_from=sent_from, own_hosts=own)


def _look_into_inbox(web: Web, place: str) -> Response:
    return RedirectResponse(f"{web.prefix}/{place}/inbox", 303)


def _too_often(web: Web, place: str, wait: int) -> Response:
    headers = {"Retry-After": str(wait)}
    if place == "sign-up":
        raise HTTPException(429, headers=headers)
    response = web.page("embed-limit.html", 429)
    response.headers.update(headers)
    return response


def inbox(web: Web, _request: Request) -> Response:
    """What to do next, the same for everyone."""
    return web.page("sign-up-inbox.html")


def inbox_embedded(web: Web, _request: Request) -> Response:
    """The same in a frame."""
    return _framed(web, web.page("embed-inbox.html"))


def _framed(web: Web, response: Response) -> Response:
    """The sites named in config may show it in a frame."""
    allowed = " ".join(["frame-ancestors 'self'", *web.current().config.web.embed_on])
    policy = PAGE_POLICY.replace("frame-ancestors 'self'", allowed)
    response.headers["Content-Security-Policy"] = policy
    # A site that isolates itself shows no frame without it.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def joining(web: Web, request: Request) -> Response:
    """The link of a sign-up's mail: shows what would be confirmed."""
    app = web.current()
    token = request.path_params["token"]
    found = sign_up.look(app.store, app.config, app.secret, token, app.clock())
    return _joining(web, app, found)


def join(web: Web, request: Request) -> Response:
    """Confirm what was shown."""
    app = web.current()
    found = sign_up.confirm(
        app.store,
        app.config,
        app.secret,
        request.path_params["token"],
        seen=text_of(request, "seen"),
        now=app.clock(),
    )
    return _joining(web, app, found)


def _joining(web: Web, app: App, found: Joining) -> Response:
    if found.outcome is Joined.INVALID:
        said = (
            "It is incomplete, or older than 14 days. Nothing was changed: sign up again, and "
            "a new link will come."
        )
        return web.message("This link does not work any more", said, status=404)
    if found.outcome is Joined.ALREADY:
        said = (
            "There is nothing more to do here. To change what you get, or to leave, use the "
            "links at the end of any mail from us."
        )
        return web.message("This is confirmed already", said)
    if found.outcome is Joined.BARRED:
        said = "This address is on record as one that must not be written to. Nothing was changed."
        return web.message("This cannot be confirmed here", said, status=409)
    if found.outcome is Joined.GONE:
        said = "What was asked for is not published any more. Nothing was changed."
        return web.message("This is not offered any more", said, status=410)
    wishes = in_words(app.config, found.wishes)
    gone = [_title(app, slug) for slug in found.gone]
    if found.outcome is Joined.CONFIRMED:
        return web.page("join-done.html", wishes=wishes, gone=gone)
    changed = found.outcome is Joined.CHANGED
    return web.page(
        "join.html",
        409 if changed else 200,
        wishes=wishes,
        gone=gone,
        text=found.text,
        seen=found.seen,
        changed=changed,
    )


def _title(app: App, slug: str) -> str:
    """What readers know a newsletter by; its slug where config does not know it any more."""
    declared = app.config.newsletters.get(slug)
    return declared.title if declared else slug


_FIELDS = {
    "address": TEXT,
    "newsletter": CHOICES,
    "what": TEXT,
    "interest": CHOICES,
    "rhythm": TEXT,
    "consent": TEXT,
    "origin": TEXT,
    _TRAP: TEXT,
}

PAGES: tuple[Page, ...] = (
    Page("/", "what there is to read", look=front),
    Page("/sign-up", "signing up", look=form, do=ask, form=_FIELDS),
    Page("/sign-up/inbox", "what to do next", look=inbox),
    Page("/embed", "the form in a frame", look=embedded, do=ask_embedded, form=_FIELDS),
    Page("/embed/inbox", "what to do next, in a frame", look=inbox_embedded),
    Page("/join/{token}", "confirming", look=joining, do=join, form={"seen": TEXT}),
)
