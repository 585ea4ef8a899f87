"""One snippet's text: a post's words in a template, with the link and tags that are due there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from digest.social.hashtags import into_text, respelled, tags_in
from digest.social.wording import capped, inert

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from digest.model import Part, Post
    from digest.social.hashtags import Tags
    from digest.social.networks import Network
    from digest.social.style import Style


@dataclass(frozen=True, slots=True)
class Place:
    """What a snippet bears beside its words: tags (without the #), link, counter; or ""."""

    tags: tuple[str, ...]
    link: str
    counter: str

    def bearing(self, tags: tuple[str, ...]) -> Place:
        """The same place with other tags."""
        return replace(self, tags=tags)


@dataclass(frozen=True, slots=True)
class Making:
    """What the snippets of one thread are made of."""

    post: Post
    topic: str
    part: Part | None
    network: Network
    style: Style
    say: Callable[..., str]
    tags: Tags
    link: str

    def root(self, counter: str, *, alone: bool) -> Place:
        """What the first snippet bears; the link always where it is the only one."""
        link = self.link if alone or self.style.link != "last" else ""
        return Place(self.tags.shown, link, counter)

    def after(self, counter: str, *, last: bool) -> Place:
        """What a later snippet bears."""
        again = self.style.tags.on == "every" and self.style.tags.most > 0
        tags = (self.tags.campaign,) if self.tags.campaign and again else ()
        linked = self.style.link == "every" or (self.style.link == "last" and last)
        return Place(tags, self.link if linked else "", counter)

    def fits(
        self, name: str, place: Place, *, title: str = "", text: str = "", more: bool = False
    ) -> bool:
        """Whether the network takes the snippet that `compose` makes of this."""
        return self.network.fits(self.compose(name, place, title=title, text=text, more=more))

    def compose(
        self, name: str, place: Place, *, title: str = "", text: str = "", more: bool = False
    ) -> str:
        """The text of a snippet, by the template of this name; `more`: the post goes on.

        The first mention of a tag's words becomes the tag; only other tags stand at the end.
        Hashtags that the post has itself are written as ours are, and count as they do.
        """

        own_title, own_text = self._own(title, text, beside=place.tags)

        def say(tags: Iterable[str]) -> str:
            return self.say(
                self._template(name),
                title=own_title,
                text=own_text,
                topic=inert(self.topic, block=self.style.tags.block),
                part=self.part,
                published=self.post.published,
                link=place.link,
                counter=place.counter,
                more=more,
                tags=" ".join(f"#{tag}" for tag in tags),
            )

        said = say(())
        in_text = [tag for tag in place.tags if self._mentioned(said, tag)]
        said = say(tag for tag in place.tags if tag not in in_text)
        for tag in in_text:
            said = into_text(said, tag) or said
        return respelled(said, (*self.style.tags.spelling, *self.tags.over, *self.tags.shown))

    def _template(self, name: str) -> str:
        if self.style.repeat:
            return f"again/{self.style.repeat}"
        if self.style.form == "snippet":
            return "snippet/only"
        return f"{self.style.template}/{name}"

    def _own(self, *words: str, beside: Collection[str]) -> list[str]:
        """The post's words, with no more hashtags in them than there may be beside those tags."""
        tagging = self.style.tags
        # What is no hashtag any more may be a link: "#care.social".
        return [inert(text, block=tagging.block) for text in capped(words, tagging.most, beside)]

    def _mentioned(self, said: str, tag: str) -> bool:
        if self.style.tags.in_text:
            return into_text(said, tag) is not None
        return tag.casefold() in (found.casefold() for found in tags_in(said))
