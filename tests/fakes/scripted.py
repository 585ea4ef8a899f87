"""A network in memory that answers what a test tells it to, and a press that publishes on it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select, update

from digest.config_social import Channel as DeclaredChannel
from digest.errors import Uncertain
from digest.model import Image, Limits, Picture, Receipt, Seen, Traits
from digest.social.hashtags import tags_in
from digest.social.networks import network_of
from digest.social.pictures import Frozen
from digest.social.press import Press
from digest.social.publish import publish_due
from digest.social.thread import LinkCard, Snippet, Thread
from digest.store.social import NewThread, PlannedSnippet, add_thread, load_thread
from digest.store.tables import channels, charges, posts, publications
from digest.store.tables import threads as thread_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.ports import Trouble

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Lost:
    """It is accepted, and this is what we hear."""

    trouble: Trouble


@dataclass
class Out:
    """A post on the network."""

    id: str
    key: str
    text: str
    parent: str | None
    root: str | None
    at: datetime
    tags: tuple[str, ...]
    alts: tuple[str, ...]
    card: dict[str, Any] | None
    version: int = 1
    deleted: bool = False


@dataclass
class Network:
    """Implements `ports.Channel`; answers of the scripts are given one by one, then it works."""

    moment: list[datetime]
    traits: Traits
    name: str = "scripted"
    #: For `publish`: None (accepted), a Trouble, or Lost.
    answers: list[Any] = field(default_factory=list)
    #: A Trouble, or None, for each call of these.
    preparing: list[Any] = field(default_factory=list)
    finding: list[Any] = field(default_factory=list)
    reading: list[Any] = field(default_factory=list)
    editing: list[Any] = field(default_factory=list)
    deleting: list[Any] = field(default_factory=list)
    #: So much later an accepted post is found and read.
    lag: timedelta = timedelta(0)
    #: X: a text that is there is not taken again.
    takes_no_twins: bool = False
    #: Called with the bodies before anything is accepted, and with a receipt after a deletion.
    before: Callable[[list[dict[str, Any]]], None] = lambda bodies: None
    after_delete: Callable[[Receipt], None] = lambda receipt: None
    posts: dict[str, Out] = field(default_factory=dict)
    #: Every call, by its name.
    calls: list[str] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: count(1))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # --- ports.Channel ---

    def limits(self):
        self.calls.append("limits")
        return LIMITS

    def prepare(self, snippets, place):
        self.calls.append("prepare")
        if trouble := _next(self.preparing):
            return trouble
        assert len(snippets) == 1 or self.traits.atomic
        root = place.root.remote_id if place else None
        parent = place.parent.remote_id if place else None
        bodies = []
        for one in snippets:
            picture = one.picture
            body = {
                "key": one.key, "text": one.text, "at": one.at.isoformat(), "parent": parent,
                "root": root, "tags": list(one.tags), "alts": [picture.alt] if picture else [],
                "picture": picture.content.decode() if picture else None,
                "card": _card(one.card),
            }  # fmt: skip
            bodies.append(json.dumps(body))
            parent = f"id-{one.key}"
            root = root or parent
        return tuple(bodies)

    def publish(self, bodies):
        with self._lock:
            return self._publish([json.loads(body) for body in bodies])

    def find(self, bodies):
        self.calls.append("find")
        if trouble := _next(self.finding):
            return trouble
        found = [self._found(json.loads(body)) for body in bodies]
        return tuple(map(_receipt, found)) if all(found) else None

    def read(self, receipts):
        self.calls.append("read")
        if trouble := _next(self.reading):
            return trouble
        return tuple(self._seen(receipt.remote_id) for receipt in receipts)

    def edit(self, receipt, body):
        self.calls.append("edit")
        assert self.traits.can_edit
        if trouble := _next(self.editing):
            return trouble
        post, new = self.posts[receipt.remote_id], json.loads(body)
        assert (new["parent"], new["root"] or post.id) == (post.parent, post.root)
        post.text, post.card, post.version = new["text"], new["card"], post.version + 1
        return (_receipt(post),)

    def delete(self, receipt):
        self.calls.append("delete")
        if trouble := _next(self.deleting):
            return trouble
        if receipt.remote_id in self.posts:
            self.posts[receipt.remote_id].deleted = True
        self.after_delete(receipt)
        return None

    # --- what a test sees and does ---

    @property
    def texts(self) -> list[str]:
        """What is out, in the order in which it was taken."""
        return [one.text for one in self.posts.values() if not one.deleted]

    @property
    def parents(self) -> dict[str, str | None]:
        """What each answers, by their texts."""
        texts = {one.id: one.text for one in self.posts.values()}
        return {one.text: texts.get(one.parent) for one in self.posts.values()}

    @property
    def roots(self) -> dict[str, str | None]:
        """The first of the thread of each, by their texts."""
        texts = {one.id: one.text for one in self.posts.values()}
        return {one.text: texts.get(one.root) for one in self.posts.values()}

    def of(self, text: str) -> Out:
        return next(one for one in self.posts.values() if one.text == text)

    def lose(self, text: str) -> None:
        """Somebody deletes it on the network."""
        self.of(text).deleted = True

    def took(self, text: str) -> int:
        return sum(one.text == text for one in self.posts.values())

    # --- within ---

    def _publish(self, bodies):
        self.calls.append("publish")
        self.before(bodies)
        answer = _next(self.answers)
        if answer is not None and not isinstance(answer, Lost):
            return answer
        accepted = [self._accept(body) for body in bodies]
        trouble = next((one for one in accepted if not isinstance(one, Out)), None)
        if trouble:
            return trouble
        return answer.trouble if answer else tuple(map(_receipt, accepted))

    def _accept(self, body):
        now = self.moment[0]
        same = [one for one in self.posts.values() if one.key == body["key"]]
        if self.traits.atomic and same:
            return Uncertain("InternalServerError", "500")
        within = self.traits.same_for
        if same and within and now - same[0].at < within:
            return same[0]
        twins = [one for one in self.posts.values() if one.text == body["text"]]
        if self.takes_no_twins and any(not one.deleted for one in twins):
            return Uncertain("duplicate content", "duplicate")
        own = f"id-{body['key']}" if self.traits.atomic else f"n{next(self._numbers)}"
        tags = (*tags_in(body["text"]), *body["tags"])
        made = Out(
            own, body["key"], body["text"], body["parent"], body["root"] or own, now,
            tags, tuple(body["alts"]), body["card"],
        )  # fmt: skip
        self.posts[own] = made
        return made

    def _found(self, body):
        is_it = self._named if self.traits.atomic else self._alike
        found = [one for one in self.posts.values() if is_it(one, body) and self._shows(one)]
        return min(found, key=lambda one: one.at, default=None)

    def _named(self, one, body):
        return one.key == body["key"]

    def _alike(self, one, body):
        since = datetime.fromisoformat(body["at"]) - 6 * MINUTE <= one.at
        return (one.text, one.parent) == (body["text"], body["parent"]) and since

    def _shows(self, one):
        return one.at + self.lag <= self.moment[0]

    def _seen(self, remote_id):
        one = self.posts.get(remote_id)
        if one is None or one.deleted or not self._shows(one):
            return None
        return Seen(one.text, one.parent, one.tags, one.alts)


def _next(script: list[Any]) -> Any:
    return script.pop(0) if script else None


def _receipt(one: Out) -> Receipt:
    url = f"https://n.example/{one.id}"
    return Receipt(one.id, one.at, url, version=str(one.version))


def _card(card):
    if card is None:
        return None
    thumb = card.picture.content.decode() if card.picture else None
    return {"url": card.url, "title": card.title, "thumb": thumb}


X_LIKE = Traits(
    atomic=False, can_find=True, seen_after=timedelta(seconds=60), same_for=None, can_edit=False
)
MASTODON_LIKE = Traits(
    atomic=False, can_find=True, seen_after=timedelta(seconds=10), same_for=HOUR, can_edit=True
)
BLUESKY_LIKE = Traits(
    atomic=True, can_find=True, seen_after=timedelta(0), same_for=3650 * DAY, can_edit=True
)
TRAITS = {"x": X_LIKE, "mastodon": MASTODON_LIKE, "bluesky": BLUESKY_LIKE}
LIMITS = Limits(500, 23, 1_000_000, ("image/jpeg",), card_bytes=1_000_000)


@dataclass
class Workshop:
    """The rest of the house, as a test has it."""

    slugs: dict[str, str] = field(default_factory=dict)
    limits_now: Limits | None = LIMITS
    #: By post, what would be made of it now; what is not here is as it was planned.
    made: dict[int, Any] = field(default_factory=dict)
    #: Posts whose page says that it is gone; `mark` records it.
    gone: set[int] = field(default_factory=set)
    mark: Callable[[int], None] = lambda post_id: None
    #: By URL, what becomes of fetching: answers one by one, then a picture.
    fetching: dict[str, list[Any]] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    asked_pages: list[int] = field(default_factory=list)

    def zone(self, slug):
        return ZoneInfo("UTC")

    def limits(self, slug):
        return self.limits_now

    def network(self, slug):
        return network_of(self.slugs.get(slug, slug), self.limits_now)

    def remake(self, thread):
        if thread.post_id in self.made:
            return self.made[thread.post_id]
        return Thread(tuple(_as_it_was(one) for one in thread.publications))

    def is_gone(self, thread):
        self.asked_pages.append(thread.post_id)
        if thread.post_id not in self.gone:
            return False
        self.mark(thread.post_id)
        return True

    def freeze(self, url, space):
        self.fetched.append(url)
        if trouble := _next(self.fetching.get(url, [])):
            return trouble
        name = f"{len(self.pictures)}.jpg"
        self.pictures[name] = f"{url}#{len(self.fetched)}".encode()
        return Frozen(name, "image/jpeg", 64, 48)

    def picture(self, name, alt):
        content = self.pictures.get(name)
        return Picture(content, "image/jpeg", alt, 64, 48) if content else None


def _as_it_was(one) -> Snippet:
    image = Image(one.image_url, one.image_alt or "") if one.image_url else None
    card = None
    if one.card:
        given = dict(one.card)
        url = given.pop("image_url")
        card = LinkCard(**given, image=Image(url, "") if url else None)
    return Snippet(one.text, one.measured, image, card, tuple(one.tags or ()))


#: Of accounts that nobody has.
KEYS = {
    "x": dict.fromkeys(
        ("consumer_key", "consumer_secret", "access_token", "access_token_secret"), "k"
    ),
    "mastodon": {"url": "https://m.example", "access_token": "k"},
    "bluesky": {"identifier": "b.example", "app_password": "k"},
}


@dataclass
class House:
    """A store, its networks and a press; `publish()` is one run at the moment of its clock."""

    store: Any
    folder: Any
    moment: list[datetime]
    networks: dict[str, Network] = field(default_factory=dict)
    declared: dict[str, DeclaredChannel] = field(default_factory=dict)
    workshop: Workshop = field(default_factory=Workshop)
    opened: list[str] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.moment[0]

    @property
    def press(self) -> Press:
        return Press(
            self.store, self.declared, self._open, self.folder, lambda: self.moment[0],
            self.workshop,
        )  # fmt: skip

    def _open(self, slug):
        self.opened.append(slug)
        return self.networks[slug]

    def add_channel(self, slug="x", network="", *, traits=None, **config) -> Network:
        """Declare a channel; it is as its network is, has no pace, and costs nothing."""
        network = network or (slug if slug in TRAITS else "x")
        given = {"kind": "account", network: KEYS[network], "slots": {"pace_minutes": 0}}
        given |= {"prices": {}, **config}
        self.declared[slug] = DeclaredChannel.model_validate({"network": network, **given})
        made = Network(self.moment, traits or TRAITS[network])
        self.networks[slug] = made
        self.workshop.slugs[slug] = network
        with self.store.write() as c:
            c.execute(insert(channels).values(slug=slug, since=self.now))
        return made

    def configure(self, slug="x", **config) -> None:
        """Change what config says of a channel."""
        values = self.declared[slug].model_dump(exclude_unset=True) | config
        self.declared[slug] = DeclaredChannel.model_validate(values)

    def publish(self, **options):
        return publish_due(self.press, **options)

    def later(self, time: timedelta) -> None:
        self.moment[0] += time

    def post(self, name) -> int:
        with self.store.write() as c:
            return c.execute(
                insert(posts).returning(posts.c.id).values(
                    guid=name, url=f"https://c.org/{name}", title=f"Post {name}", author="A",
                    published=self.now, first_seen=self.now, arrived=self.now, categories=[],
                    html="", text="", excerpt="", reading_minutes=1, content_hash="h",
                )
            ).scalar_one()  # fmt: skip

    def plan(
        self, name, *, items=3, minutes=0.0, channel="x", pace=2, post=None, images=None,
        cards=None, texts=None, tags=(), **of_thread,
    ) -> int:  # fmt: skip
        """Plan a thread of texts such as "a1", "a2", its first slot so many minutes from now."""
        post_id = post or self.post(name)
        start = self.now + minutes * MINUTE
        texts = texts or [f"{name}{n + 1}" for n in range(items)]
        step = 0 if self.declared.get(channel) and self.declared[channel].goes_at_once else pace
        snippets = [
            PlannedSnippet(
                text, len(text), (images or {}).get(n + 1), start + step * n * MINUTE,
                (cards or {}).get(n + 1), tags if not n else (),
            )
            for n, text in enumerate(texts)
        ]  # fmt: skip
        with self.store.write() as c:
            thread_id = add_thread(
                c,
                NewThread(
                    channel, post_id, of_thread.pop("scope", "series:s"), "because", snippets,
                    post_hash="h", **of_thread,
                ),
                self.now,
            )  # fmt: skip
        assert thread_id is not None
        return thread_id

    def instalment(self, name, *, after=None, **options) -> int:
        """Plan a thread that goes on from another."""
        return self.plan(name, form="standing", after_id=after, **options)

    def states(self, name="") -> list[str]:
        with self.store.read() as c:
            query = select(publications.c.text, publications.c.state)
            rows = c.execute(query.order_by(publications.c.thread_id, publications.c.position))
            return [state for text, state in rows if text.startswith(name)]

    def row(self, text):
        with self.store.read() as c:
            return c.execute(select(publications).where(publications.c.text == text)).one()

    def thread(self, thread_id):
        with self.store.read() as c:
            return load_thread(c, thread_id)

    def change_post(self, thread_id, **values) -> None:
        with self.store.write() as c:
            post_id = c.scalar(select(thread_rows.c.post_id).where(thread_rows.c.id == thread_id))
            c.execute(update(posts).where(posts.c.id == post_id).values(**values))

    def edit_post(self, thread_id, *texts, content_hash="h2", **of_first) -> None:
        """The post of a thread now says something else, of which these snippets are made."""
        self.change_post(thread_id, content_hash=content_hash)
        first = replace(Snippet(texts[0], len(texts[0])), **of_first)
        rest = [Snippet(text, len(text)) for text in texts[1:]]
        self.workshop.made[self.thread(thread_id).post_id] = Thread((first, *rest))

    def spent(self, slug="x") -> dict[str, int]:
        """What was charged, in thousandths of a dollar, by what for."""
        with self.store.read() as c:
            query = select(charges.c.what, charges.c.micros).where(charges.c.channel == slug)
            totals: dict[str, int] = {}
            for what, micros in c.execute(query):
                totals[what] = totals.get(what, 0) + micros
        return {what: micros // 1000 for what, micros in totals.items()}


class Killed(BaseException):
    """The process ended at this very moment."""


def kill(*_):
    raise Killed
