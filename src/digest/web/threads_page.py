"""The desk's pages of threads: what is out, what waits and for what, and what may be decided."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from digest.deciding_threads import GRAVE, OF_A_THREAD, Decision, Word, choices, decide
from digest.errors import StateError, UsageError
from digest.issues.words import shorten
from digest.social.money import dollars
from digest.social.telling import form_of, marks, progress, troubles
from digest.store import threads_view as queries
from digest.store.threads_view import Filter, Kind
from digest.threads import channels_standing, thread_of
from digest.web.frame import desk_page, done, number_of
from digest.web.routing import NUMBER, TEXT, Page, text_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from digest.bootstrap import App
    from digest.store.social import ThreadRow
    from digest.web.pages import Web

_ON_A_PAGE = 50
_SHORT = 140
_LONGEST_REASON = 500
_LARGEST_ID = 2**63 - 1

#: How threads are put into words.
_TELLING: dict[str, object] = {
    "form_of": form_of,
    "progress": progress,
    "troubles": troubles,
    "marks": marks,
    "dollars": dollars,
    "short": partial(shorten, most=_SHORT),
}


def list_page(web: Web, request: Request) -> Response:
    """Channels as they stand, and threads, newest first."""
    return _list(web, request)


def one_page(web: Web, request: Request) -> Response:
    """One thread, with all that it says."""
    return _one(web, request)


def decision(web: Web, request: Request) -> Response:
    """Do what the form says; what is grave asks once more before it is done."""
    app, word = web.current(), _word(request)
    if word.thread is not None:
        _found(app, word.thread)
    if word.decision in GRAVE and text_of(request, "sure") != "yes":
        thread = _found(app, word.thread) if word.thread is not None else None
        name = "desk/sure_threads.html"
        return desk_page(web, request, name, "threads", word=word, thread=thread)
    try:
        said = decide(app, word, request.state.editor.name)
    except (StateError, UsageError) as refused:
        wrong = f"Nothing was done: {str(refused).rstrip('.')}."
        if word.thread is not None:
            return _one(web, request, status=409, wrong=wrong)
        return _list(web, request, status=409, wrong=wrong)
    return done(web, request, _path(word.thread), said)


def _path(thread_id: int | None) -> str:
    return f"/desk/threads/{thread_id}" if thread_id is not None else "/desk/threads"


def _list(web: Web, request: Request, status: int = 200, wrong: str = "") -> Response:
    app = web.current()
    # What stands in a form's own address is not what it was sent to.
    query = request.query_params if request.method == "GET" else {}
    channel, kind = query.get("channel", ""), query.get("kind", "")
    if kind and kind not in list(Kind):
        raise HTTPException(404)
    which = Filter(channel, Kind(kind) if kind else None)
    number = number_of(request, "page") if query else 1
    with app.store.read() as c:
        channels = sorted({*app.config.channels, *queries.channels_of_threads(c)})
        if channel and channel not in channels:
            raise HTTPException(404)
        count = queries.count_threads(c, which)
        last = max(1, -(-count // _ON_A_PAGE))
        if number > last:
            raise HTTPException(404)
        skip = (number - 1) * _ON_A_PAGE
        threads = queries.page_of_threads(c, which, most=_ON_A_PAGE, skip=skip)
    return desk_page(
        web,
        request,
        "desk/threads.html",
        "threads",
        status,
        wrong=wrong,
        standings=channels_standing(app),
        threads=threads,
        count=count,
        number=number,
        last=last,
        channels=channels,
        channel=channel,
        kind=kind,
        kinds=list(Kind),
        **_TELLING,
    )


def _one(web: Web, request: Request, status: int = 200, wrong: str = "") -> Response:
    app = web.current()
    thread = _found(app, request.path_params["thread"])
    declared = thread.channel in app.config.channels
    return desk_page(
        web,
        request,
        "desk/thread.html",
        "threads",
        status,
        wrong=wrong,
        thread=thread,
        declared=declared,
        may=[str(one) for one in choices(thread)] if declared else [],
        **_TELLING,
    )


def _found(app: App, thread_id: int) -> ThreadRow:
    if thread_id > _LARGEST_ID:
        raise HTTPException(404)
    try:
        return thread_of(app, thread_id)
    except UsageError:
        raise HTTPException(404, f"There is no thread {thread_id}.") from None


def _word(request: Request) -> Word:
    """The form. Raises HTTPException where no page of ours would have sent it."""
    given, reason = text_of(request, "decision"), " ".join(text_of(request, "reason").split())
    thread = request.path_params.get("thread")
    if given not in list(Decision) or len(reason) > _LONGEST_REASON:
        raise HTTPException(400)
    if (Decision(given) in OF_A_THREAD) != (thread is not None):
        raise HTTPException(400)
    return Word(Decision(given), thread, text_of(request, "channel") or None, reason)


_FORM = dict.fromkeys(("csrf", "decision", "channel", "reason", "sure"), TEXT)

PAGES: tuple[Page, ...] = (
    Page(
        "/desk/threads",
        "threads and channels",
        list_page,
        decision,
        query={"channel": TEXT, "kind": TEXT, "page": NUMBER},
        form=_FORM,
        looks="viewer",
        does="editor",
    ),
    Page(
        "/desk/threads/{thread:int}",
        "one thread",
        one_page,
        decision,
        form=_FORM,
        looks="viewer",
        does="editor",
    ),
)
