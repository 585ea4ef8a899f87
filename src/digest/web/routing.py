"""Declared pages: each says its address, who may come, and what it takes.

From the declarations come the routes, the checks before each handler, and the OpenAPI
description, so that none of them can be forgotten.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.routing import Route

from digest.web import guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from digest.web.pages import Web

#: What answers: given the pages' parts and the request. Runs in a thread of its own.
Handler: TypeAlias = "Callable[[Web, Request], Response]"
#: A JSON Schema: `{"type": "string", "maxLength": 80}`.
Schema: TypeAlias = dict[str, Any]

TEXT: Schema = {"type": "string", "maxLength": 2000}
NUMBER: Schema = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
CHOICES: Schema = {"type": "array", "items": TEXT, "maxItems": 100}

#: No keyboard writes these, and no store takes them: NUL, and halves of a character, which some
#: of the codings that a form may claim can spell.
_UNWRITTEN = re.compile("[\x00\ud800-\udfff]")

#: A form of ours has far fewer fields; each series and theme has one.
_MOST_FIELDS = 500


@dataclass(frozen=True, slots=True)
class Page:
    """One address and what may be done there.

    `look` answers GET and must change nothing; `do` answers POST.
    """

    #: As Starlette writes it: "/u/{token}".
    path: str
    #: What it is, for the description.
    about: str
    look: Handler | None = None
    do: Handler | None = None
    #: Parameters of the query of GET.
    query: dict[str, Schema] = field(default_factory=dict)
    #: Fields of the form of POST; None: whatever is posted is not even read.
    form: dict[str, Schema] | None = None
    #: What is posted is no form: it stands in `request.state.raw`, as it came.
    raw: bool = False
    #: The role it takes to look; None: anybody.
    looks: Literal["viewer", "editor"] | None = None
    #: The role it takes to do. With one, the form must also carry the session's CSRF token.
    does: Literal["viewer", "editor"] | None = None
    #: What is done takes long by design, as a password does: no reader waits behind it.
    apart: bool = False

    @property
    def methods(self) -> list[str]:
        return [*(["GET"] if self.look else []), *(["POST"] if self.do else [])]


def form_of(request: Request) -> FormData:
    """What was posted: text fields alone, for the pages take no files."""
    form: FormData = request.state.form
    return form


def text_of(request: Request, name: str) -> str:
    """A field of the form, stripped; "" where it is missing."""
    return str(form_of(request).get(name, "")).strip()


def texts_of(request: Request, name: str) -> list[str]:
    """Every value of a field that may stand in the form several times."""
    return [str(value) for value in form_of(request).getlist(name)]


def route(web: Web, page: Page) -> Route:
    """The page as Starlette takes it."""

    async def endpoint(request: Request) -> Response:
        with web.traffic:
            request.state.form = FormData()
            if request.method == "POST" and page.form is not None:
                request.state.form = await _form(request)
            if request.method == "POST" and page.raw:
                request.state.raw = await request.body()
            if request.method == "POST" and page.does is None and not page.apart:
                # Readers' changes go one after the other: SQLite writes so anyway, and threads
                # that wait for each other take the time of those that work.
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(web.turnstile, _respond, web, page, request)
            return await run_in_threadpool(_respond, web, page, request)

    return Route(page.path, endpoint, methods=page.methods)


async def _form(request: Request) -> FormData:
    form = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    if any(_UNWRITTEN.search(f"{name}{value}") for name, value in form.multi_items()):
        raise HTTPException(400)
    return form


def _respond(web: Web, page: Page, request: Request) -> Response:
    doing = request.method == "POST"
    role = page.does if doing else page.looks
    if role is not None:
        stopped = guard.admit(web, request, role, doing=doing)
        if stopped is not None:
            return stopped
    handler = page.do if doing else page.look
    assert handler is not None
    response = handler(web, request)
    return response if role is None else guard.sealed(response)
