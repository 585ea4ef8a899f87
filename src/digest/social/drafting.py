"""What is made of a candidate before it has slots: its thread, and what an editor should know."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from digest.social.money import cost_of, in_words, link_hint
from digest.social.planned import Planned
from digest.social.thread import Thread, Unthreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from digest.config_social import Channel
    from digest.social.choose import Asked, Chosen, Shelf
    from digest.social.making import Maker


@dataclass(frozen=True, slots=True)
class Planning:
    """What one planning is about."""

    maker: Maker
    now: datetime
    shelf: Shelf
    #: The content hashes of posts, by their ids.
    hashes: Mapping[int, str]
    asked: Asked
    dry_run: bool

    def channel(self, slug: str) -> Channel:
        """As config declares it."""
        return self.maker.config.channels[slug]


@dataclass(frozen=True, slots=True)
class Draft:
    """A candidate with the thread made of it, None where it is out, and what is to be told."""

    planned: Planned
    thread: Thread | None = None

    @property
    def texts(self) -> list[str]:
        """Of its snippets."""
        return [snippet.text for snippet in self.thread.snippets] if self.thread else []

    def out(self, reason: str) -> Planned:
        """The same, left out after all."""
        planned = self.planned
        return Planned(planned.channel, planned.post_id, planned.title, reason, planned.scope)


def draft(chosen: Chosen, slug: str, plan: Planning) -> Draft:
    """Make the thread of a candidate; ConfigError for a template at fault."""
    post, subject = chosen.post, chosen.subject
    scope = subject.scope if subject else ""
    planned = Planned(slug, post.id, post.title, chosen.reason, scope)
    if subject is None:
        return Draft(planned)
    if why_not := _no_words(chosen.repeat, plan):
        return Draft(replace(planned, reason=why_not))
    thread = plan.maker.make(post, subject, slug, plan.shelf, repeat=chosen.repeat)
    if isinstance(thread, Unthreadable):
        return Draft(replace(planned, reason=thread.reason))
    return Draft(_described(planned, chosen, thread, plan), thread)


def _no_words(repeat: int, plan: Planning) -> str:
    """Why an old post cannot be said so many times: each time has a template of its own."""
    name = f"social/again/{repeat}.txt"
    if not repeat or (plan.maker.templates / name).is_file():
        return ""
    return f"was brought back {repeat - 1} times: once more needs templates/{name}"


def _described(planned: Planned, chosen: Chosen, thread: Thread, plan: Planning) -> Planned:
    network, channel = plan.maker.network(planned.channel), plan.channel(planned.channel)
    texts = [snippet.text for snippet in thread.snippets]
    pictures = sum(s.image is not None and bool(s.image.alt) for s in thread.snippets)
    cost = cost_of(texts, pictures, channel.price_list)
    return replace(
        planned,
        is_in=True,
        notes=(*thread.notes, *_hint(len(texts), pictures, channel)),
        form="snippet" if chosen.repeat else chosen.form or "thread",
        repeat=chosen.repeat,
        limit=network.limit,
        unit=network.unit,
        cost=in_words(cost) if cost.total else "",
        price=cost.total,
        links=cost.links,
    )


def _hint(posts: int, pictures: int, channel: Channel) -> Iterator[str]:
    if channel.link == "every" and (hint := link_hint(posts, pictures, channel.price_list)):
        yield hint
