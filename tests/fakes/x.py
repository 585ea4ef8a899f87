"""A local X: the few calls of its API v2 that publishing needs, as its documents describe them.

Accounts, posts and limits live in memory, for as long as the test's process does, whatever
becomes of the clients. Written from
https://docs.x.com/x-api/posts/create-post, .../delete-post-by-post-id, .../get-posts-by-post-ids,
https://docs.x.com/x-api/users/get-posts, https://docs.x.com/x-api/media/quickstart/media-upload-chunked,
https://docs.x.com/x-api/fundamentals/rate-limits, .../response-codes-and-errors, .../data-dictionary
and https://docs.x.com/x-api/getting-started/pricing.
"""

from __future__ import annotations

import html
import json
import re
import threading
import time
import unicodedata
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from digest.config_social import XAccount
from fakes.x_oauth import HOST, Keys

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    import twitter_text

PROBLEMS = "https://api.twitter.com/2/problems"
#: The first moment of X's ids, in ms.
EPOCH = 1288834974657
WINDOW = timedelta(minutes=15)
DAY = timedelta(hours=24)
#: X compares a new post with what the account posted last.
COMPARED = DAY
MEDIA_TYPES = {"image/jpeg": 5, "image/png": 5, "image/webp": 5, "image/gif": 15}
PIECE = 5_000_000
PRICES = {
    "create": Decimal("0.015"),
    "create-with-link": Decimal("0.200"),
    "delete": Decimal("0.010"),
    "read": Decimal("0.001"),
    "metadata": Decimal("0.005"),
}


@dataclass
class Post:
    """What is out: the text as it was said."""

    id: str
    author: str
    text: str
    parent: str | None
    media: tuple[str, ...]
    created_at: datetime
    alts: tuple[str, ...] = ()


@dataclass
class Media:
    """An upload, finished or not."""

    id: str
    owner: str
    media_type: str
    total: int
    pieces: dict[int, bytes] = field(default_factory=dict)
    alt: str = ""
    state: str = "open"
    asked: int = 0

    @property
    def key(self) -> str:
        return f"3_{self.id}"

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces[number] for number in sorted(self.pieces))


class Fault(Exception):  # noqa: N818
    """An answer that is an error."""

    def __init__(self, status: int, title: str, detail: str, kind: str = "about:blank", **more):
        self.status = status
        self.body = {"detail": detail, "type": kind, "title": title, "status": status, **more}


def invalid(message: str, **parameters) -> Fault:
    fault = Fault(
        400,
        "Invalid Request",
        "One or more parameters to your request was invalid.",
        f"{PROBLEMS}/invalid-request",
        errors=[{"parameters": parameters, "message": message}],
    )
    del fault.body["status"]
    return fault


def forbidden(detail: str) -> Fault:
    return Fault(403, "Forbidden", detail)


def unauthorized() -> Fault:
    return Fault(401, "Unauthorized", "Unauthorized")


class XServer:
    """The state of X, and what a test may ask and set."""

    def __init__(self, clock) -> None:
        self.clock = clock
        self.url = ""
        self.keys = Keys("consumer-key-of-the-app", "consumer-secret-of-the-app")
        #: What reached X: "POST /2/tweets", in order.
        self.calls: list[str] = []
        #: Calls in 15 minutes by account; https://docs.x.com/x-api/fundamentals/rate-limits
        self.limits = {"post": 100, "delete": 50, "read": 900, "media": 500}
        #: Posts in 24 hours by app.
        self.day_limit = 10_000
        #: In US dollars; None: more than can be spent.
        self.credits: Decimal | None = None
        self.spent = Decimal(0)
        #: Seconds before a new post shows in timelines.
        self.lag = 0.0
        #: So often an upload is found in progress before it is ready.
        self.processing_polls = 0
        #: Name of the error that every processing ends with: "InvalidMedia".
        self.processing_error = ""
        #: Answers of every call from now on, instead of doing anything: `Fault`.
        self.fault: Fault | None = None
        self.media: dict[str, Media] = {}
        self._posts: dict[str, Post] = {}
        #: Access tokens by name of the account, and ids of accounts by token.
        self._tokens: dict[str, str] = {}
        self._users: dict[str, str] = {}
        self._used: dict[tuple[str, str], list[datetime]] = {}
        self._last_id = 0
        self._lock = threading.RLock()

    # --- what tests use ------------------------------------------------------------------------

    def account(self, name: str = "blog", *, telling: bool = True) -> XAccount:
        """The keys of an account, which is made when first asked for.

        Its token tells the account's id, as X's own do, or does not.
        """
        with self._lock:
            if name not in self._tokens:
                user = str(2244994945 + len(self._tokens))
                token = f"{user}-token-of-{name}" if telling else f"token-of-{name}"
                self._tokens[name] = token
                self._users[token] = user
                self.keys.tokens[token] = f"token-secret-of-{name}"
            token = self._tokens[name]
            return XAccount(
                consumer_key=self.keys.consumer_key,
                consumer_secret=self.keys.consumer_secret,
                access_token=token,
                access_token_secret=f"token-secret-of-{name}",
                api_url=self.url,
            )

    def revoke(self, name: str = "blog") -> None:
        """The account takes its consent back."""
        with self._lock:
            self.keys.tokens.pop(self._tokens[name])

    @property
    def posts(self) -> list[Post]:
        """All that is out, the oldest first."""
        with self._lock:
            return sorted(self._posts.values(), key=lambda post: int(post.id))

    def say(self, text: str, *, name: str = "blog", parent=None, at=None, media=()) -> Post:
        """Post something without a client, at a moment of one's choice."""
        self.account(name)
        with self._lock:
            user = self._users[self._tokens[name]]
            return self._out(user, text, parent, media, at or self.clock())

    def take_down(self, post_id: str) -> None:
        """Somebody deletes a post by hand."""
        with self._lock:
            del self._posts[post_id]

    # --- the calls -----------------------------------------------------------------------------

    def answer(self, method, target, headers, body) -> tuple[int, dict[str, str], object]:
        """Status, headers and document of one call."""
        path = urlsplit(target).path
        with self._lock:
            self.calls.append(f"{method} {path}")
            told: dict[str, str] = {}
            try:
                document = self._done(method, target, headers, body, told)
            except Fault as fault:
                return fault.status, told, fault.body
        return (201 if (method, path) == ("POST", "/2/tweets") else 200), told, document

    def _done(self, method, target, headers, body, told):
        if self.fault is not None:
            raise self.fault
        if headers.get("Host") != urlsplit(HOST).netloc:
            raise Fault(404, "Not Found", "Not Found")
        token = self.keys.signer(method, target, headers, body)
        if token is None:
            raise unauthorized()
        user = self._users[token]
        parts = urlsplit(target)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        for pattern, window, act in ROUTES:
            found = re.fullmatch(pattern, f"{method} {parts.path}")
            if found:
                self._count(user, window, told)
                if self.credits is not None and self.credits <= 0:
                    raise Fault(
                        402,
                        "CreditsDepleted",
                        "Your enrolled account does not have any credits to fulfill this request.",
                        f"{PROBLEMS}/credits",
                    )
                return act(self, user, Asked(found.groups(), query, headers, body))
        raise Fault(404, "Not Found", "Not Found")

    def create(self, user, asked):
        wanted = asked.json()
        text = unicodedata.normalize("NFC", str(wanted.get("text", ""))).strip()
        media = tuple(map(str, (wanted.get("media") or {}).get("media_ids", [])))
        reply = wanted.get("reply")
        parent = str(reply["in_reply_to_tweet_id"]) if reply else None
        unknown = set(wanted) - {"text", "media", "reply"}
        if unknown:
            raise invalid(f"$.{min(unknown)}: is not defined in the schema")
        self._check_post(user, text, media, parent)
        post = self._out(user, text, parent, media, self.clock())
        self._charge("create-with-link" if twitter_text.extract_urls(text) else "create")
        return {"data": {"edit_history_tweet_ids": [post.id], "id": post.id, "text": text}}

    def _out(self, user, text, parent, media, at) -> Post:
        alts = tuple(self.media[one].alt for one in media)
        post = Post(self._new_id(at), user, text, parent, tuple(media), at, alts)
        self._posts[post.id] = post
        return post

    def _check_post(self, user, text, media, parent) -> None:
        if not text and not media:
            raise invalid("$.text: must be at least 1 characters long")
        if text and twitter_text.parse_tweet(text).weightedLength > 280:
            raise Fault(
                400,
                "Bad Request",
                "Your Tweet text is too long. For more information on how Twitter determines text"
                " length see https://github.com/twitter/twitter-text.",
            )
        ready = [self.media.get(one) for one in media]
        if any(one is None or one.owner != user or one.state != "succeeded" for one in ready):
            raise invalid("Your media IDs are invalid.", **{"media.media_ids": list(media)})
        if len(media) > 4:
            raise invalid("media_ids: must have at most 4 items")
        if parent is not None and parent not in self._posts:
            raise forbidden(
                "You attempted to reply to a Tweet that is deleted or not visible to you."
            )
        if parent is not None and self._posts[parent].author != user:
            raise forbidden(
                "Reply to this conversation is not allowed because you have not been mentioned or"
                " otherwise engaged by the author of the post you are replying to."
            )
        since = self.clock() - COMPARED
        recent = (p for p in self._posts.values() if p.author == user and p.created_at >= since)
        if any(post.text == text for post in recent):
            raise forbidden("You are not allowed to create a Tweet with duplicate content.")

    def remove(self, user, asked):
        (post_id,) = asked.parts
        post = self._posts.get(post_id)
        if post is None:
            return {"data": {"deleted": False}}
        if post.author != user:
            raise forbidden("You are not authorized to delete this Tweet.")
        del self._posts[post_id]
        self._charge("delete")
        return {"data": {"deleted": True}}

    def look_up(self, user, asked):
        ids = asked.query.get("ids", "").split(",")
        if not 1 <= len(ids) <= 100 or not all(re.fullmatch("[0-9]{1,19}", one) for one in ids):
            raise invalid("The `ids` query parameter value is not valid", ids=ids)
        there = [self._posts[one] for one in ids if one in self._posts]
        gone = [one for one in ids if one not in self._posts]
        document = self._shown(there, asked)
        if gone:
            document["errors"] = [
                {
                    "value": one,
                    "detail": f"Could not find tweet with ids: [{one}].",
                    "title": "Not Found Error",
                    "resource_type": "tweet",
                    "parameter": "ids",
                    "resource_id": one,
                    "type": f"{PROBLEMS}/resource-not-found",
                }
                for one in gone
            ]
        return document

    def timeline(self, user, asked):
        (of,) = asked.parts
        query = asked.query
        size = int(query.get("max_results", "10"))
        if not 5 <= size <= 100:
            raise invalid(f"The `max_results` query parameter value [{size}] is not valid")
        shown_until = self.clock() - timedelta(seconds=self.lag)
        start = self._start(query.get("start_time"))
        before = _token_in(query.get("pagination_token"))
        posts = [
            post
            for post in reversed(self.posts)
            if post.author == of
            and start <= post.created_at <= shown_until
            and (before is None or int(post.id) < before)
        ]
        page = posts[:size]
        document = self._shown(page, asked)
        document["meta"] = {"result_count": len(page)}
        if page:
            document["meta"] |= {"newest_id": page[0].id, "oldest_id": page[-1].id}
        if len(posts) > size:
            document["meta"]["next_token"] = f"before{page[-1].id}"
        return document

    def me(self, user, asked):
        names = {self._users[token]: name for name, token in self._tokens.items()}
        return {"data": {"id": user, "name": names[user], "username": names[user]}}

    def begin_upload(self, user, asked):
        wanted = asked.json()
        kind, total = wanted.get("media_type"), wanted.get("total_bytes")
        category = "tweet_gif" if kind == "image/gif" else "tweet_image"
        if kind not in MEDIA_TYPES or wanted.get("media_category") != category:
            raise invalid("$.media_type: does not have a value in the enumeration")
        if not isinstance(total, int) or not 0 < total <= MEDIA_TYPES[kind] * 1024 * 1024:
            raise invalid("media file size exceeds the limit for its category")
        media = Media(self._new_id(self.clock()), user, kind, total)
        self.media[media.id] = media
        return self._about(media)

    def append(self, user, asked):
        media = self._own(user, asked.parts[0])
        fields = asked.multipart()
        piece, number = fields.get("media", b""), fields.get("segment_index", b"")
        if not piece or len(piece) > PIECE or not re.fullmatch(rb"[0-9]{1,3}", number):
            raise invalid("$.media: is missing or too large")
        if media.state != "open":
            raise invalid("The upload is finished already")
        media.pieces[int(number)] = piece
        return {"data": {"expires_at": int(time.time()) + 86400}}

    def finalize(self, user, asked):
        media = self._own(user, asked.parts[0])
        numbers = sorted(media.pieces)
        if numbers != list(range(len(numbers))) or len(media.content) != media.total:
            raise invalid("Segments do not add up to provided total file size.")
        media.state = "pending"
        self._go_on(media)
        return self._about(media)

    def status(self, user, asked):
        if asked.query.get("command") != "STATUS":
            raise invalid("The `command` query parameter value is not valid")
        media = self._own(user, asked.query.get("media_id", ""))
        if media.state in {"pending", "in_progress"}:
            media.asked += 1
            self._go_on(media)
        return self._about(media)

    def describe(self, user, asked):
        wanted = asked.json()
        media = self._own(user, str(wanted.get("id")))
        alt = wanted.get("metadata", {}).get("alt_text", {}).get("text", "")
        if not 1 <= len(alt) <= 1000:
            raise invalid("$.metadata.alt_text.text: must be at most 1000 characters long")
        media.alt = alt
        self._charge("metadata")
        return {"data": {"id": media.id, "associated_metadata": {"alt_text": {"text": alt}}}}

    # --- behind the calls ----------------------------------------------------------------------

    def _go_on(self, media: Media) -> None:
        if media.asked < self.processing_polls:
            media.state = "in_progress" if media.asked else "pending"
        else:
            media.state = "failed" if self.processing_error else "succeeded"

    def _about(self, media: Media):
        about = {"id": media.id, "media_key": media.key, "expires_after_secs": 86400}
        if media.state != "open":
            about["size"] = media.total
        if media.state in {"pending", "in_progress"}:
            about["processing_info"] = {"state": media.state, "check_after_secs": 1}
        if media.state == "failed":
            error = {"code": 1, "name": self.processing_error, "message": "Unsupported"}
            about["processing_info"] = {"state": "failed", "error": error}
        if media.state == "succeeded" and self.processing_polls:
            about["processing_info"] = {"state": "succeeded", "progress_percent": 100}
        return {"data": about}

    def _own(self, user: str, media_id: str) -> Media:
        media = self.media.get(media_id)
        if media is None or media.owner != user:
            raise invalid("The media id is not valid", media_id=[media_id])
        return media

    def _shown(self, posts, asked) -> dict:
        fields = set(asked.query.get("tweet.fields", "").split(","))
        document = {"data": [self._tweet(post, fields) for post in posts]} if posts else {}
        keys = [one for post in posts for one in post.media]
        if keys and "attachments.media_keys" in asked.query.get("expansions", ""):
            with_alt = "alt_text" in asked.query.get("media.fields", "")
            document["includes"] = {
                "media": [
                    {"media_key": self.media[one].key, "type": "photo"}
                    | (
                        {"alt_text": self.media[one].alt}
                        if with_alt and self.media[one].alt
                        else {}
                    )
                    for one in keys
                ]
            }
        self._charge("read", len(posts))
        return document

    def _tweet(self, post: Post, fields: set[str]) -> dict:
        shown, links = displayed(post, [self.media[one] for one in post.media])
        tweet = {"id": post.id, "text": shown, "edit_history_tweet_ids": [post.id]}
        tags = [{"tag": tag} for tag in re.findall(r"(?<![\w&/])#(\w*[^\W\d]\w*)", post.text)]
        extra = {
            "created_at": f"{post.created_at:%Y-%m-%dT%H:%M:%S.}{post.created_at.microsecond // 1000:03}Z",
            "conversation_id": self._root(post),
            "entities": {
                key: value for key, value in (("urls", links), ("hashtags", tags)) if value
            },
            "referenced_tweets": [{"type": "replied_to", "id": post.parent}] if post.parent else [],
            "attachments": {"media_keys": [self.media[one].key for one in post.media]}
            if post.media
            else {},
        }
        return tweet | {key: value for key, value in extra.items() if key in fields and value}

    def _root(self, post: Post) -> str:
        while post.parent in self._posts:
            post = self._posts[post.parent]
        return post.parent or post.id

    def _start(self, value: str | None) -> datetime:
        if value is None:
            return datetime.fromtimestamp(0, UTC)
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value):
            raise invalid(f"The `start_time` query parameter value [{value}] is not valid")
        start = datetime.fromisoformat(value)
        if start > self.clock():
            raise invalid(f"Invalid 'start_time':'{value}'. 'start_time' must be in the past")
        return start

    def _new_id(self, at: datetime) -> str:
        own = (int(at.timestamp() * 1000) - EPOCH) << 22
        while str(own) in self._posts or str(own) in self.media:
            own += 1
        return str(own)

    def _charge(self, price: str, times: int = 1) -> None:
        self.spent += PRICES[price] * times
        if self.credits is not None:
            self.credits -= PRICES[price] * times

    def _count(self, user: str, window: str, told: dict[str, str]) -> None:
        """Take one call of the account's window, and tell what is left of it."""
        limit = self.limits[window]
        counts = [(f"{user} {window}", "x-rate-limit", limit, WINDOW)]
        if window == "post":
            counts.append(("app", "x-app-limit-24hour", self.day_limit, DAY))
        full = False
        for who, prefix, most, length in counts:
            used = self._in_window(who, length)
            full = full or len(used) >= most
            end = (used[0] if used else self.clock()) + length
            told[f"{prefix}-limit"] = str(most)
            told[f"{prefix}-remaining"] = str(max(most - len(used) - 1, 0))
            told[f"{prefix}-reset"] = str(int(end.timestamp()))
        if full:
            raise Fault(429, "Too Many Requests", "Too Many Requests")
        for who, *_ in counts:
            self._used[who].append(self.clock())

    def _in_window(self, who: str, length: timedelta) -> list[datetime]:
        """The calls since the window began, with the first of them; a new one when it is over."""
        used = self._used.setdefault(who, [])
        if used and used[0] + length <= self.clock():
            used.clear()
        return used


@dataclass
class Asked:
    """One call, read."""

    parts: tuple[str, ...]
    query: dict[str, str]
    headers: object
    body: bytes

    def json(self) -> dict:
        if not self.headers.get("Content-Type", "").startswith("application/json"):
            raise Fault(415, "Unsupported Media Type", "Content-Type must be application/json")
        try:
            document = json.loads(self.body)
        except ValueError:
            raise invalid(
                "Requests with bodies must have content-type of application/json"
            ) from None
        if not isinstance(document, dict):
            raise invalid("$: is not an object")
        return document

    def multipart(self) -> dict[str, bytes]:
        found = re.search(r'boundary="?([^";]+)', self.headers.get("Content-Type", ""))
        if not found:
            raise Fault(415, "Unsupported Media Type", "must be multipart/form-data")
        fields = {}
        for part in self.body.split(b"--" + found[1].encode())[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            name = re.search(rb'name="([^"]*)"', head)
            fields[name[1].decode()] = content.removesuffix(b"\r\n")
        return fields


def displayed(post: Post, media: list[Media]) -> tuple[str, list[dict]]:
    """The text as timelines show it: links by t.co, three characters escaped; and the links."""
    shown, end, links = "", 0, []
    for number, found in enumerate(twitter_text.extract_urls_with_indices(post.text)):
        start, stop = found["indices"]
        full = found["url"] if "://" in found["url"] else f"http://{found['url']}"
        bare = full.split("://", 1)[1]
        shown += _escaped(post.text[end:start])
        short = _short(post.id, number)
        links.append(
            {
                "start": len(shown),
                "end": len(shown) + len(short),
                "url": short,
                "expanded_url": full,
                "display_url": bare if len(bare) <= 27 else f"{bare[:26]}…",
                "status": 200,
            }
        )
        shown, end = shown + short, stop
    shown += _escaped(post.text[end:])
    if media:
        short = _short(post.id, 99)
        shown += f" {short}" if shown else short
        own = f"https://x.com/blog/status/{post.id}/photo/1"
        links += [
            {
                "start": len(shown) - len(short),
                "end": len(shown),
                "url": short,
                "expanded_url": own,
                "display_url": f"pic.x.com/{short[-10:]}",
                "media_key": one.key,
            }
            for one in media
        ]
    return shown, links


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _short(post_id: str, number: int) -> str:
    return f"https://t.co/{int(post_id) % 10**8:08}{number:02}"


def _token_in(value: str | None) -> int | None:
    if value is None:
        return None
    found = re.fullmatch("before([0-9]+)", value)
    if not found:
        raise invalid(f"The `pagination_token` query parameter value [{value}] is not valid")
    return int(found[1])


ROUTES = (
    ("POST /2/tweets", "post", XServer.create),
    ("DELETE /2/tweets/([0-9]+)", "delete", XServer.remove),
    ("GET /2/tweets", "read", XServer.look_up),
    ("GET /2/users/me", "read", XServer.me),
    ("GET /2/users/([0-9]+)/tweets", "read", XServer.timeline),
    ("POST /2/media/upload/initialize", "media", XServer.begin_upload),
    ("POST /2/media/upload/([0-9]+)/append", "media", XServer.append),
    ("POST /2/media/upload/([0-9]+)/finalize", "media", XServer.finalize),
    ("GET /2/media/upload", "media", XServer.status),
    ("POST /2/media/metadata/create", "media", XServer.describe),
)


@contextmanager
def x_server(*, clock=lambda: datetime.now(UTC)):
    """A server until the end of the block; `clock` tells when its posts are made."""
    state = XServer(clock)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.state = state
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    serve = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    serve.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Answers whole, in one packet.
    wbufsize = -1

    def _exchange(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, told, document = self.server.state.answer(
            self.command, self.path, self.headers, body
        )
        content = json.dumps(document, ensure_ascii=False).encode()
        self.send_response_only(status)
        for name, value in told.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_PUT = _exchange  # noqa: N815

    def log_message(self, *_) -> None:
        """Nothing: the tests read `calls`."""
