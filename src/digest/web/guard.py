"""Who may come to the desk: sessions, roles, and that a form was ours.

A session is a random token in a cookie of the browser; the store keeps its hash. What is done
takes a field of the form that nobody can know who cannot read our pages, and a request that,
as far as the browser says where it comes from, comes from them.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlsplit

from starlette.responses import RedirectResponse

from digest.editors import LASTS, session_of
from digest.web.shield import PAGE_POLICY

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.web.pages import Web

#: Nobody shows a page of the desk in a frame of theirs and has its buttons pressed.
DESK_POLICY = PAGE_POLICY.replace("frame-ancestors 'self'", "frame-ancestors 'none'")

#: The form's field that says that it was ours.
CSRF_FIELD = "csrf"


def admit(
    web: Web, request: Request, role: Literal["viewer", "editor"], *, doing: bool
) -> Response | None:
    """Sets `request.state.editor` and `request.state.csrf`; else what is answered instead."""
    app, token = web.current(), token_of(web, request)
    session = session_of(app.store, token, app.clock()) if token else None
    if session is None:
        return _unknown(web, request, doing=doing)
    if role == "editor" and session.role != "editor":
        said = "Your account may look at the desk, and decide nothing."
        return sealed(web.message("That is for editors", said, "Nothing was changed.", status=403))
    request.state.editor = session
    request.state.csrf = csrf_of(token)
    if doing and not (came_from_us(web, request) and _has_field(request)):
        return sealed(
            web.message(
                "This form is not ours, or too old",
                "Nothing was changed. Go back, load the page again, and repeat what you did.",
                status=403,
            )
        )
    return None


def _unknown(web: Web, request: Request, *, doing: bool) -> Response:
    if doing:
        said = "Nothing was changed. Sign in again, then repeat what you did."
        return sealed(web.message("You are not signed in any more", said, status=403))
    path = request.url.path.removeprefix(web.prefix)
    query = f"?{request.url.query}" if request.url.query else ""
    return sealed(to_sign_in(web, f"{path}{query}"))


def to_sign_in(web: Web, next_path: str) -> Response:
    """Where to sign in, and then come back to."""
    return RedirectResponse(f"{web.prefix}/desk/sign-in?next={quote(next_path, safe='/')}", 303)


def sealed(response: Response) -> Response:
    """A page of the desk, which nobody frames or keeps; its own policy stays."""
    response.headers.setdefault("Content-Security-Policy", DESK_POLICY)
    # With "no-referrer" browsers would hide from us where a form was posted from.
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response


# --- the cookie --------------------------------------------------------------------------------


def cookie_name(web: Web) -> str:
    """Browsers hold a name that begins with two underscores to its promise.

    https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes
    """
    if not by_tls(web):
        return "digest-desk"
    return "__Secure-digest-desk" if web.prefix else "__Host-digest-desk"


def token_of(web: Web, request: Request) -> str:
    """The session's token, or ""."""
    return request.cookies.get(cookie_name(web), "")


def keep(web: Web, response: Response, token: str) -> None:
    """Leave the session's token with the browser; an empty one takes it away."""
    response.set_cookie(
        cookie_name(web),
        token,
        max_age=int(LASTS.total_seconds()) if token else 0,
        path=web.prefix or "/",
        secure=by_tls(web),
        httponly=True,
        samesite="lax",
    )


def by_tls(web: Web) -> bool:
    """Whether browsers come to us by https, as far as our own addresses say."""
    return web.current().config.site.links_url.startswith("https:")


# --- forms -------------------------------------------------------------------------------------


def csrf_of(token: str) -> str:
    """What forms of this session carry."""
    return hmac.digest(token.encode(errors="surrogatepass"), b"digest:csrf", "sha256").hex()


def came_from_us(web: Web, request: Request) -> bool:
    """Whether the browser, where it says so, says that one of our own pages sent this."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    ours = (request.headers.get("host", ""), urlsplit(web.current().config.site.links_url).netloc)
    netloc = origin.partition("://")[2]
    return bool(netloc) and netloc in ours


def _has_field(request: Request) -> bool:
    given = str(request.state.form.get(CSRF_FIELD, ""))
    expected: str = request.state.csrf
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())
