"""The desk's doors: signing in and out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

from digest import editors
from digest.web import guard
from digest.web.clients import client_of
from digest.web.limits import Limit
from digest.web.routing import TEXT, Page, form_of, text_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.web.pages import Web

#: For one name from one client; and for one client, whatever names it tries.
_PER_NAME = Limit(5, 5 * 60)
_PER_CLIENT = Limit(30, 60 * 60)

#: A path of ours below the desk, without anything that a browser could take for another site.
_NEXT = re.compile(r"/desk(/[A-Za-z0-9_-]+)*/?(\?[A-Za-z0-9_=&%.:+-]*)?")
_FRONT = "/desk"


def sign_in_page(web: Web, request: Request) -> Response:
    """The form; who is signed in already goes on."""
    wanted = _next(request.query_params.get("next", ""))
    app, token = web.current(), guard.token_of(web, request)
    if token and editors.session_of(app.store, token, app.clock()):
        return _go(web, wanted)
    return _form(web, wanted)


def sign_in(web: Web, request: Request) -> Response:
    """Let somebody in: the same answer, after the same time, whatever was wrong."""
    wanted, name = _next(text_of(request, "next")), text_of(request, "name")
    if not guard.came_from_us(web, request):
        return _form(web, wanted, wrong="That form was not ours. Please use this one.", status=403)
    app = web.current()
    client = client_of(request, app.config.web.trusted_proxies)
    # Names of any length would fill the memory.
    both = f"{client} {name[:120].casefold()}"
    wait = max(
        web.limiter.wait("sign-in by name", both, _PER_NAME),
        web.limiter.wait("sign-in", client, _PER_CLIENT),
    )
    if wait:
        return _too_often(web, wanted, name, wait)
    # A password may begin or end with a space.
    password = str(form_of(request).get("password", ""))
    found = editors.sign_in(app.store, name, password, app.clock())
    if found is None:
        said = "That name and password do not belong together, or the account is disabled."
        return _form(web, wanted, name=name, wrong=said, status=403)
    web.limiter.forget("sign-in by name", both)
    _sign_out_here(web, request)
    response = _go(web, wanted)
    guard.keep(web, response, found.token)
    return response


def sign_out(web: Web, request: Request) -> Response:
    """End this browser's session."""
    _sign_out_here(web, request)
    response = RedirectResponse(f"{web.prefix}/desk/sign-in", 303)
    guard.keep(web, response, "")
    return guard.sealed(response)


def _sign_out_here(web: Web, request: Request) -> None:
    token = guard.token_of(web, request)
    if token:
        editors.sign_out(web.current().store, token)


def _too_often(web: Web, wanted: str, name: str, wait: int) -> Response:
    minutes = -(-wait // 60)
    said = f"That was tried too often. Please wait {minutes} min, then try again."
    response = _form(web, wanted, name=name, wrong=said, status=429)
    response.headers["Retry-After"] = str(wait)
    return response


def _form(web: Web, wanted: str, *, name: str = "", wrong: str = "", status: int = 200) -> Response:
    return guard.sealed(
        web.page(
            "desk/sign_in.html",
            status,
            wanted=wanted,
            typed=name[:120],
            wrong=wrong,
            nobody=not editors.has_editors(web.current().store),
        )
    )


def _go(web: Web, wanted: str) -> Response:
    return guard.sealed(RedirectResponse(f"{web.prefix}{wanted}", 303))


def _next(given: str) -> str:
    return given if _NEXT.fullmatch(given) else _FRONT


PAGES: tuple[Page, ...] = (
    Page(
        "/desk/sign-in",
        "signing in to the desk",
        look=sign_in_page,
        do=sign_in,
        query={"next": TEXT},
        form={"name": TEXT, "password": TEXT, "next": TEXT},
        apart=True,
    ),
    Page("/desk/sign-out", "signing out", do=sign_out, form={"csrf": TEXT}, does="viewer"),
)
