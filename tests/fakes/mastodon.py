"""A Mastodon instance on loopback, from its documentation: one account, everything in memory.

- https://docs.joinmastodon.org/methods/statuses/ (create, get, context, source, history, edit,
  delete; Idempotency-Key), https://docs.joinmastodon.org/methods/accounts/#statuses
- https://docs.joinmastodon.org/methods/media/ (200, 202, 206, 422)
- https://docs.joinmastodon.org/methods/instance/ and /entities/Instance/
- https://docs.joinmastodon.org/api/rate-limits/ and /api/guidelines/#pagination
- https://docs.joinmastodon.org/user/posting/ (what counts), /entities/Status/ (tags, HTML)

As in the real one: a key is kept after the status is saved, a reply loses its `in_reply_to_id`
when the parent goes, an edit without media takes media off, tags are listed in small letters.
"""

from __future__ import annotations

import email.parser
import email.policy
import html
import json
import re
import threading
import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import regex

from digest.config_social import MastodonAccount

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT_ID = "109348684954042116"
TOKEN = "mastodon-token-c0ffee-5eed"
USER = "digest"

#: Windows of an account: how many calls, in how long. Posting has one of its own, by
#: app/models/concerns/rate_limitable.rb.
WINDOWS = {
    "all": (300, timedelta(minutes=5)),
    "post": (300, timedelta(hours=3)),
    "media": (30, timedelta(minutes=30)),
    "delete": (30, timedelta(minutes=30)),
}


@dataclass
class Status:
    id: str
    text: str
    created_at: datetime
    in_reply_to_id: str | None
    is_reply: bool
    visibility: str
    language: str
    media: list[str]
    sensitive: bool = False
    edited_at: datetime | None = None
    #: Earlier texts, oldest first.
    history: list[str] = field(default_factory=list)
    account_id: str = ACCOUNT_ID


@dataclass
class Medium:
    id: str
    description: str | None
    content: bytes
    media_type: str
    #: How often it is still answered that it is being processed.
    pending: int = 0
    broken: bool = False
    status_id: str | None = None


@dataclass
class Answer:
    status: int
    body: object
    headers: dict[str, str] = field(default_factory=dict)


class ProblemError(Exception):
    def __init__(self, status: int, words: str) -> None:
        self.answer = Answer(status, {"error": words})


@dataclass
class MastodonServer:
    """What the instance knows, and how it behaves; change it while it runs."""

    start: datetime
    token: str = TOKEN
    max_characters: int = 500
    url_weight: int = 23
    #: Keys are read over, as snac does.
    ignores_keys: bool = False
    #: No /api/v2/instance, no source, no history, no edit, no deletion, 404 as a page: as snac.
    is_plain: bool = False
    #: How often a new medium is still being processed when asked for.
    processing: int = 0
    breaks_media: bool = False
    windows: dict[str, tuple[int, timedelta]] = field(default_factory=lambda: dict(WINDOWS))
    #: Accounts known here that can be mentioned: "anna@far.example".
    people: set[str] = field(default_factory=set)
    #: Answered instead, once each: (pattern of "METHOD /path", answer).
    instead: list[tuple[str, Answer]] = field(default_factory=list)
    #: Set upon every answer.
    extra_headers: dict[str, str] = field(default_factory=dict)

    statuses: dict[str, Status] = field(default_factory=dict)
    media: dict[str, Medium] = field(default_factory=dict)
    #: By Idempotency-Key: which status, and until when.
    keys: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    used: dict[tuple[str, int], int] = field(default_factory=dict)
    #: "METHOD /path?query", of everything that was asked.
    asked: list[str] = field(default_factory=list)
    #: The client's port of each of them: one for each connection.
    ports: list[int] = field(default_factory=list)
    #: Form and headers of every POST /api/v1/statuses.
    posted: list[tuple[dict, dict]] = field(default_factory=list)
    url: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)
    _began: float = field(default_factory=monotonic)
    _moved: timedelta = timedelta()
    _last_id: int = 0

    def now(self) -> datetime:
        return self.start + self._moved + timedelta(seconds=monotonic() - self._began)

    def move(self, time: timedelta) -> None:
        """Let its clock go on."""
        with self.lock:
            self._moved += time

    def account(self, **changes) -> MastodonAccount:
        """What an operator would declare of it."""
        return MastodonAccount(**{"url": self.url, "access_token": self.token} | changes)

    def add(self, text: str, **changes) -> Status:
        """A status that came about without us: by hand, or long ago."""
        with self.lock:
            defaults = {
                "id": self.new_id(),
                "text": text,
                "created_at": self.now(),
                "in_reply_to_id": None,
                "is_reply": False,
                "visibility": "public",
                "language": "en",
                "media": [],
            }
            status = Status(**defaults | changes)
            self.statuses[status.id] = status
            return status

    def remove(self, status_id: str) -> Status:
        """Take a status down, as its author does; answers to it stay."""
        with self.lock:
            status = self.statuses.pop(status_id)
            for other in self.statuses.values():
                if other.in_reply_to_id == status_id:
                    other.in_reply_to_id = None
            return status

    def new_id(self) -> str:
        """A snowflake: milliseconds, and 16 bits of a sequence."""
        made = int(self.now().timestamp() * 1000) << 16
        self._last_id = max(made, self._last_id + 1)
        return str(self._last_id)

    # --- one request -----------------------------------------------------------------------

    def answer(self, method: str, target: str, headers, body: bytes) -> Answer:
        with self.lock:
            self.asked.append(f"{method} {target}")
            parts = urlsplit(target)
            for at, (pattern, answer) in enumerate(self.instead):
                if re.search(pattern, f"{method} {parts.path}"):
                    del self.instead[at]
                    return answer
            path = parts.path.rstrip("/")
            for wanted, pattern, window, handle in ROUTES:
                found = re.fullmatch(pattern, path)
                if wanted == method and found:
                    return self._handled(handle, window, found.groups(), parts.query, headers, body)
            return self._unknown()

    def _unknown(self) -> Answer:
        if self.is_plain:
            return Answer(404, b"<h1>404 Not Found</h1>")
        return Answer(404, {"error": "Not Found"})

    def _handled(self, handle, window, groups, *request) -> Answer:
        if self.is_plain and handle in NOT_PLAIN:
            return self._unknown()
        query, headers, body = request
        limits: dict[str, str] = {}
        try:
            if window:
                self._authorize(headers)
                limits = self._spend("all", window)
            answer = handle(self, Form.read(query, headers, body), headers, *groups)
        except ProblemError as problem:
            answer = problem.answer
        answer.headers = limits | answer.headers | self.extra_headers
        return answer

    def _authorize(self, headers) -> None:
        if headers.get("Authorization") != f"Bearer {self.token}":
            raise ProblemError(401, "The access token is invalid")

    def _spend(self, *names: str) -> dict[str, str]:
        """Count one call, and tell of the window that is closest to its end."""
        headers = [self._spend_one(name) for name in dict.fromkeys(names)]
        return min(headers, key=lambda one: int(one["X-RateLimit-Remaining"]))

    def _spend_one(self, name: str) -> dict[str, str]:
        """Windows begin at round times, and a reset is ISO 8601 to the microsecond."""
        most, period = self.windows[name]
        seconds = int(period.total_seconds())
        number = int(self.now().timestamp()) // seconds
        used = self.used.get((name, number), 0)
        reset = datetime.fromtimestamp((number + 1) * seconds, UTC)
        headers = {
            "X-RateLimit-Limit": str(most),
            "X-RateLimit-Remaining": str(max(most - used - 1, 0)),
            "X-RateLimit-Reset": reset.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        if used >= most:
            problem = ProblemError(429, "Too many requests")
            problem.answer.headers = headers
            raise problem
        self.used[name, number] = used + 1
        return headers

    # --- instance and account ----------------------------------------------------------------

    def instance_v2(self, form, headers) -> Answer:
        return Answer(200, {"domain": "fake.example", "version": "4.5.2", **self._configuration()})

    def instance_v1(self, form, headers) -> Answer:
        if self.is_plain:
            return Answer(200, {"version": "4.0.0", "max_toot_chars": self.max_characters})
        return Answer(200, {"uri": "fake.example", "version": "4.5.2", **self._configuration()})

    def _configuration(self) -> dict:
        return {
            "configuration": {
                "statuses": {
                    "max_characters": self.max_characters,
                    "max_media_attachments": 4,
                    "characters_reserved_per_url": self.url_weight,
                },
                "media_attachments": {
                    "supported_mime_types": ["image/jpeg", "image/png", "image/webp", "video/mp4"],
                    "description_limit": 1500,
                    "image_size_limit": 16_777_216,
                    "image_matrix_limit": 33_177_600,
                },
            }
        }

    def verify(self, form, headers) -> Answer:
        return Answer(200, self._account(ACCOUNT_ID))

    def _account(self, account_id: str) -> dict:
        return {"id": account_id, "username": USER, "acct": USER, "url": f"{self.url}/@{USER}"}

    def account_statuses(self, form, headers, account_id: str) -> Answer:
        limit = min(int(form.one("limit") or 20), 40)
        listed = [one for one in self.statuses.values() if one.account_id == account_id]
        if form.one("exclude_replies"):
            listed = [one for one in listed if not one.is_reply]
        listed.sort(key=lambda one: int(one.id), reverse=True)
        for name, keep in (
            ("max_id", lambda one, edge: one < edge),
            ("since_id", lambda one, edge: one > edge),
            ("min_id", lambda one, edge: one > edge),
        ):
            if form.one(name):
                edge = int(form.one(name))
                listed = [one for one in listed if keep(int(one.id), edge)]
        page = listed[-limit:] if form.one("min_id") else listed[:limit]
        return Answer(200, [self._shown(one) for one in page], self._links(account_id, page, limit))

    def _links(self, account_id: str, page: list[Status], limit: int) -> dict[str, str]:
        if not page:
            return {}
        base = f"{self.url}/api/v1/accounts/{account_id}/statuses"
        older = urlencode({"limit": limit, "max_id": page[-1].id})
        newer = urlencode({"limit": limit, "min_id": page[0].id})
        return {"Link": f'<{base}?{older}>; rel="next", <{base}?{newer}>; rel="prev"'}

    # --- statuses ----------------------------------------------------------------------------

    def create(self, form, headers) -> Answer:
        self.posted.append((form.values, dict(headers)))
        key = "" if self.ignores_keys else headers.get("Idempotency-Key") or ""
        if key in self.keys and self.keys[key][1] > self.now():
            return Answer(200, self._shown(self._own(self.keys[key][0])))
        parent = form.one("in_reply_to_id") or None
        if parent and parent not in self.statuses:
            raise ProblemError(404, "The post you are trying to reply to does not appear to exist.")
        status = self.add(
            self._valid_text(form),
            in_reply_to_id=parent,
            is_reply=bool(parent),
            visibility=form.one("visibility") or "public",
            language=form.one("language") or "en",
            sensitive=form.one("sensitive") in {"1", "true"},
            media=self._attachable(form.many("media_ids"), None),
        )
        for medium in status.media:
            self.media[medium].status_id = status.id
        if key:
            self.keys[key] = (status.id, self.now() + timedelta(hours=1))
        return Answer(200, self._shown(status))

    def show(self, form, headers, status_id: str) -> Answer:
        return Answer(200, self._shown(self._own(status_id)))

    def edit(self, form, headers, status_id: str) -> Answer:
        status = self._own(status_id)
        text = self._valid_text(form)
        media = self._attachable(form.many("media_ids"), status.id)
        if (text, media) != (status.text, status.media):
            status.history = [*(status.history or [status.text]), text]
            status.text, status.media, status.edited_at = text, media, self.now()
        for medium in media:
            self.media[medium].status_id = status.id
        return Answer(200, self._shown(status))

    def delete(self, form, headers, status_id: str) -> Answer:
        status = self._own(status_id)
        shown = self._shown(status) | {"text": status.text}
        del shown["content"]
        self.remove(status_id)
        return Answer(200, shown)

    def source(self, form, headers, status_id: str) -> Answer:
        status = self._own(status_id)
        return Answer(200, {"id": status.id, "text": status.text, "spoiler_text": ""})

    def history(self, form, headers, status_id: str) -> Answer:
        status = self._own(status_id)
        versions = status.history or [status.text]
        return Answer(
            200,
            [
                {"content": self.rendered(one), "created_at": _iso(status.created_at)}
                for one in versions
            ],
        )

    def context(self, form, headers, status_id: str) -> Answer:
        ancestors, above = [], self._own(status_id).in_reply_to_id
        while above:
            ancestors.insert(0, self._shown(self._own(above)))
            above = self._own(above).in_reply_to_id
        below, ids = [], {status_id}
        for one in sorted(self.statuses.values(), key=lambda status: int(status.id)):
            if one.in_reply_to_id in ids:
                ids.add(one.id)
                below.append(self._shown(one))
        return Answer(200, {"ancestors": ancestors, "descendants": below})

    def _own(self, status_id: str) -> Status:
        if status_id not in self.statuses:
            raise ProblemError(404, "Record not found")
        return self.statuses[status_id]

    def _valid_text(self, form: Form) -> str:
        text = form.one("status").strip()
        if not text and not form.many("media_ids"):
            raise ProblemError(422, "Validation failed: Text can't be blank")
        if self.measured(text) > self.max_characters:
            words = f"Text character limit of {self.max_characters} exceeded"
            raise ProblemError(422, f"Validation failed: {words}")
        return text

    def _attachable(self, ids: list[str], status_id: str | None) -> list[str]:
        lost = [
            one
            for one in ids
            if one not in self.media or self.media[one].status_id not in {None, status_id}
        ]
        if lost:
            raise ProblemError(
                422, f"Media {', '.join(lost)} not found or already attached to another post"
            )
        if any(self.media[one].pending for one in ids):
            words = "Cannot attach files that have not finished processing. Try again in a moment!"
            raise ProblemError(422, words)
        return ids

    def _shown(self, status: Status) -> dict:
        url = f"{self.url}/@{USER}/{status.id}"
        return {
            "id": status.id,
            "created_at": _iso(status.created_at),
            "in_reply_to_id": status.in_reply_to_id,
            "in_reply_to_account_id": status.account_id if status.is_reply else None,
            "sensitive": status.sensitive,
            "spoiler_text": "",
            "visibility": status.visibility,
            "language": status.language,
            "uri": f"{self.url}/users/{USER}/statuses/{status.id}",
            "url": url,
            "edited_at": _iso(status.edited_at) if status.edited_at else None,
            "content": self.rendered(status.text),
            "reblog": None,
            "account": self._account(status.account_id),
            "media_attachments": [self._medium(self.media[one]) for one in status.media],
            "mentions": [],
            "tags": self._tags(status.text),
            "emojis": [],
            "card": None,
            "poll": None,
        }

    def _tags(self, text: str) -> list[dict]:
        names = {_tag_name(value): None for kind, _, value, _ in entities(text) if kind == "tag"}
        return [{"name": name, "url": f"{self.url}/tags/{name}"} for name in names]

    # --- media -------------------------------------------------------------------------------

    def upload(self, form, headers) -> Answer:
        if form.file is None:
            raise ProblemError(422, "Validation failed: File can't be blank")
        media_type, content = form.file
        if not media_type.startswith("image/"):
            raise ProblemError(
                422, "Validation failed: File content type is invalid, File is invalid"
            )
        medium = Medium(
            self.new_id(),
            form.one("description") or None,
            content,
            media_type,
            pending=self.processing,
            broken=self.breaks_media,
        )
        self.media[medium.id] = medium
        return Answer(202 if medium.pending else 200, self._medium(medium))

    def medium(self, form, headers, medium_id: str) -> Answer:
        if medium_id not in self.media:
            raise ProblemError(404, "Record not found")
        medium = self.media[medium_id]
        if medium.broken:
            raise ProblemError(422, "Error processing thumbnail for uploaded media")
        if medium.pending:
            medium.pending -= 1
            return Answer(206, self._medium(medium) | {"url": None})
        return Answer(200, self._medium(medium))

    def _medium(self, medium: Medium) -> dict:
        url = f"{self.url}/media/{medium.id}.png"
        return {
            "id": medium.id,
            "type": "image",
            "url": None if medium.pending else url,
            "preview_url": url,
            "description": medium.description,
        }

    # --- what a text becomes -----------------------------------------------------------------

    def measured(self, text: str) -> int:
        """Graphemes, where a link weighs what is reserved, and a mention its local part."""
        rest = text
        for kind, (start, end), value, _ in reversed(list(entities(text))):
            if kind == "url":
                rest = rest[:start] + "x" * self.url_weight + rest[end:]
            elif kind == "mention":
                rest = rest[:start] + "@" + value.partition("@")[0] + rest[end:]
        return len(regex.findall(r"\X", rest))

    def rendered(self, text: str) -> str:
        """As app/lib/text_formatter.rb makes it: links shortened by spans, paragraphs, breaks."""
        made, last = "", 0
        for kind, (start, end), value, written in entities(text):
            made += _escaped(text[last:start]) + self._linked(kind, value, written)
            last = end
        made += _escaped(text[last:])
        paragraphs = re.split(r"\n\n+", re.sub(r"\r\n?", "\n", made))
        broken = (re.sub(r"([^\n]\n)(?=[^\n])", r"\1<br />", one) for one in paragraphs)
        return "".join(f"<p>{one}</p>" for one in broken).replace("\n", "")

    def _linked(self, kind: str, value: str, written: str) -> str:
        if kind == "url":
            prefix = re.match(r"https?://(?:www\.)?|", value)[0]
            shown, rest = value[len(prefix) :][:30], value[len(prefix) :][30:]
            return (
                f'<a href="{_escaped(value)}" target="_blank" rel="nofollow noopener noreferrer"'
                f' translate="no"><span class="invisible">{_escaped(prefix)}</span>'
                f'<span class="{"ellipsis" if rest else ""}">{_escaped(shown)}</span>'
                f'<span class="invisible">{_escaped(rest)}</span></a>'
            )
        if kind == "tag":
            url = f"{self.url}/tags/{_tag_name(value)}"
            return f'<a href="{url}" class="mention hashtag" rel="tag">#<span>{_escaped(value)}</span></a>'
        if value not in self.people:
            return _escaped(written)
        user, _, domain = value.partition("@")
        return (
            f'<span class="h-card" translate="no"><a href="https://{domain}/@{user}"'
            f' class="u-url mention">@<span>{_escaped(user)}</span></a></span>'
        )


ROUTES = [
    ("GET", r"/api/v2/instance", "", MastodonServer.instance_v2),
    ("GET", r"/api/v1/instance", "", MastodonServer.instance_v1),
    ("GET", r"/api/v1/accounts/verify_credentials", "all", MastodonServer.verify),
    ("GET", r"/api/v1/accounts/(\w+)/statuses", "all", MastodonServer.account_statuses),
    ("POST", r"/api/v1/statuses", "post", MastodonServer.create),
    ("GET", r"/api/v1/statuses/(\w+)", "all", MastodonServer.show),
    ("PUT", r"/api/v1/statuses/(\w+)", "post", MastodonServer.edit),
    ("DELETE", r"/api/v1/statuses/(\w+)", "delete", MastodonServer.delete),
    ("GET", r"/api/v1/statuses/(\w+)/source", "all", MastodonServer.source),
    ("GET", r"/api/v1/statuses/(\w+)/history", "all", MastodonServer.history),
    ("GET", r"/api/v1/statuses/(\w+)/context", "all", MastodonServer.context),
    ("POST", r"/api/v[12]/media", "media", MastodonServer.upload),
    ("GET", r"/api/v1/media/(\w+)", "all", MastodonServer.medium),
]
NOT_PLAIN = {
    MastodonServer.instance_v2,
    MastodonServer.edit,
    MastodonServer.delete,
    MastodonServer.source,
    MastodonServer.history,
}


@dataclass
class Form:
    """What was sent, in the query and the body, whichever way it was put."""

    values: dict[str, list[str]]
    #: Media type and content of the part "file".
    file: tuple[str, bytes] | None = None

    def one(self, name: str) -> str:
        return (self.values.get(name) or [""])[0]

    def many(self, name: str) -> list[str]:
        return self.values.get(f"{name}[]") or self.values.get(name) or []

    @classmethod
    def read(cls, query: str, headers, body: bytes) -> Form:
        kind = headers.get("Content-Type") or ""
        form = cls(parse_qs(query, keep_blank_values=True))
        if kind.startswith("multipart/form-data"):
            form._parts(kind, body)
        elif kind.startswith("application/json"):
            for name, value in json.loads(body or b"{}").items():
                form.values[name] = [
                    str(one) for one in (value if isinstance(value, list) else [value])
                ]
        elif body:
            form.values |= parse_qs(body.decode(), keep_blank_values=True)
        return form

    def _parts(self, kind: str, body: bytes) -> None:
        head = f"Content-Type: {kind}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        for part in message.iter_parts():
            name = part.get_param("name", header="Content-Disposition")
            if part.get_filename() is not None:
                self.file = (part.get_content_type(), part.get_payload(decode=True))
            else:
                self.values[name] = [part.get_payload(decode=True).decode()]


# --- entities, as app/lib/extractor.rb finds them ----------------------------------------------

_URL = re.compile(r"(?<![\w@/#])https?://[^\s<>\"“”«»]+", re.IGNORECASE)
_TAG = re.compile(r"(?<![=/)\w&])#([\w·]*[^\W\d_][\w·]*)")
_MENTION = re.compile(r"(?<![=/\w])@(\w+(?:[\w.-]*\w)?(?:@[\w.-]*\w)?)")


def entities(text: str) -> Iterator[tuple[str, tuple[int, int], str, str]]:
    """Kind, place, value and spelling of links, tags and mentions, in order."""
    found = []
    for kind, pattern in (("url", _URL), ("tag", _TAG), ("mention", _MENTION)):
        for match in pattern.finditer(text):
            written = _trimmed(match[0]) if kind == "url" else match[0]
            place = (match.start(), match.start() + len(written))
            if not any(place[0] < end and start < place[1] for _, (start, end), _, _ in found):
                found.append((kind, place, written if kind == "url" else match[1], written))
    return iter(sorted(found, key=lambda one: one[1]))


def _trimmed(url: str) -> str:
    while url and (
        url[-1] in ".,;:!?'\"’…*_~" or (url[-1] == ")" and url.count(")") > url.count("("))
    ):
        url = url[:-1]
    return url


def _tag_name(tag: str) -> str:
    letters = unicodedata.normalize("NFKD", tag).lower()
    return "".join(one for one in letters if not unicodedata.combining(one))


def _escaped(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;")


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


# --- over HTTP -----------------------------------------------------------------------------------


@contextmanager
def mastodon_server(*, now: datetime | None = None, **behaviour):
    """An instance until the end of the block, whose clock begins at `now`."""
    instance = MastodonServer(now or datetime.now(UTC), **behaviour)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.instance = instance
    instance.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield instance
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    #: Many may knock at once.
    request_queue_size = 128
    # Clients that are killed leave connections behind.
    block_on_close = False

    def handle_error(self, request, client_address) -> None:
        """A client that went away in the middle is nothing to speak of."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _exchange(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        instance = self.server.instance
        instance.ports.append(self.client_address[1])
        answer = instance.answer(self.command, self.path, self.headers, body)
        content = (
            answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        )
        self.send_response_only(answer.status)
        kind = "text/html" if isinstance(answer.body, bytes) else "application/json"
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Date": format_datetime(instance.now().replace(microsecond=0), usegmt=True),
        }
        for name, value in (headers | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _exchange  # noqa: N815

    def log_message(self, *_) -> None:
        """Nothing: the tests read `asked`."""
