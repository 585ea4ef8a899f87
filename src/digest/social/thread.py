"""From a post to the snippets of its thread on one network: pure, and proved to fit."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from digest.social.body import Body, key_body, whole_body
from digest.social.composing import Making, Place
from digest.social.fit import beginning, shorten
from digest.social.hashtags import choose_tags, tags_in
from digest.social.key import best_sentences
from digest.social.networks import links_in
from digest.social.wording import plain, undone, undone_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from digest.model import Image, Part, Post
    from digest.social.networks import Network
    from digest.social.style import Style

#: Of the text under a card's title.
CARD_CHARACTERS = 300

#: What a URL may hold as it is; all else is escaped, or networks would end the link there.
_OF_URLS = "%/:=&?~#+!$,;'@()*[]"


@dataclass(frozen=True, slots=True)
class Subject:
    """Under what a thread goes out: a series (then with the part) or a theme."""

    #: "series:ipc", "theme:funding"
    scope: str
    title: str
    #: Without the #.
    hashtag: str
    part: Part | None


@dataclass(frozen=True, slots=True)
class LinkCard:
    """What a card of the link shows, where the network leaves its making to us."""

    url: str
    title: str
    description: str
    image: Image | None


@dataclass(frozen=True, slots=True)
class Snippet:
    """One text that its network takes, and how much of the limit it uses."""

    text: str
    measured: int
    image: Image | None = None
    card: LinkCard | None = None
    #: Hashtags that stand in no text, without the #.
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Thread:
    """The snippets in order, and what an editor should know about how they were made."""

    snippets: tuple[Snippet, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unthreadable:
    """There is no thread of this post on this network, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Texts:
    """The texts in order, the first with its tags; which bear the link; what they say of a post."""

    texts: tuple[str, ...]
    linked: tuple[bool, ...]
    #: Of the root.
    tags: tuple[str, ...]
    said: tuple[str, ...]
    notes: tuple[str, ...] = ()


def make_thread(
    post: Post, subject: Subject, network: Network, style: Style, say: Callable[..., str]
) -> Thread | Unthreadable:
    """The thread of a post: root, its words, the link; or one snippet, as the style asks.

    `say` fills in a template by its name, such as "thread/root", and passes on the
    ConfigError of a template at fault.
    """
    tags = choose_tags(subject.hashtag, post.categories, style.tags)
    making = Making(
        post, subject.title, subject.part, network, style, say, tags, _escaped(post.url)
    )
    texts = _alone(making) if style.form == "snippet" else _thread(making)
    if isinstance(texts, Unthreadable):
        return texts
    _prove(texts.texts, network)
    card = _card(making)
    image, about_image = _image(making, has_card=card is not None and texts.linked[0])
    snippets = list(_snippets(texts, making, card, image))
    notes = (*texts.notes, *tags.notes, *_about(texts, making, snippets[0]), *about_image)
    return Thread(tuple(snippets), tuple(dict.fromkeys(notes)))


def _escaped(url: str) -> str:
    """A URL whose path is of ASCII; of a host, the network knows more than we."""
    host, rest = re.match(r"(\w+://[^/?#]*)?(.*)", url, re.DOTALL).groups("")  # type: ignore[union-attr]
    # Mastodon looks for mentions in a link too, but not behind these.
    return host + re.sub(r"(?<![=/\w])@", "%40", quote(rest, safe=_OF_URLS))


def _thread(m: Making) -> _Texts | Unthreadable:
    body = whole_body(m) if m.style.text == "whole" else key_body(m)
    total = len(body.pieces) + 1
    counter = f"1/{total}" if body.pieces else ""
    root = _root(m, "root", m.root(counter, alone=not body.pieces))
    if isinstance(root, Unthreadable):
        return root
    places = [m.after(f"{n}/{total}", last=n == total) for n in range(2, total + 1)]
    texts = [m.compose(root.name, root.place, title=root.title)]
    texts += [
        m.compose("last" if last else "item", place, text=text, more=last and bool(body.left))
        for text, place, last in zip(body.pieces, places, _last(total - 1), strict=True)
    ]
    linked = [bool(place.link) for place in (root.place, *places)]
    said = (root.title, *body.pieces)
    notes = (*root.notes, *_about_body(body))
    return _Texts(tuple(texts), tuple(linked), root.place.tags, said, notes)


def _alone(m: Making) -> _Texts | Unthreadable:
    """One snippet: title, key sentence, link. A repeat has the next sentence, in other words."""
    root = _root(m, "", m.root("", alone=True))
    if isinstance(root, Unthreadable):
        return root
    found = [s for s in best_sentences(m.post.title, m.post.text) if _takes(m, root, s)]
    text = found[m.style.repeat % len(found)] if found and not root.notes else ""
    texts = (m.compose("", root.place, title=root.title, text=text),)
    return _Texts(texts, (True,), root.place.tags, (root.title, text), root.notes)


@dataclass(frozen=True, slots=True)
class _Root:
    name: str
    place: Place
    title: str
    notes: tuple[str, ...]


def _root(m: Making, name: str, place: Place) -> _Root | Unthreadable:
    """The title as far as it fits; tags but the first make room for it, the last of them first."""
    least = min(1, len(place.tags))
    for many in range(len(place.tags), least - 1, -1):
        fewer = place.bearing(place.tags[:many])
        title = _title(m, name, fewer)
        if title or (many == least and m.fits(name, fewer, title="")):
            cut = title.split() != m.post.title.split()
            return _Root(name, fewer, title, ("the title was cut to fit",) if cut else ())
    over = f"over the {m.network.limit} {m.network.unit} of {m.network.name}"
    return Unthreadable(f"its link, hashtag and part alone are {over}")


def _title(m: Making, name: str, place: Place) -> str:
    return shorten(m.post.title, lambda text: m.fits(name, place, title=text))


def _takes(m: Making, root: _Root, sentence: str) -> bool:
    return m.fits(root.name, root.place, title=root.title, text=sentence)


def _last(count: int) -> list[bool]:
    return [number == count for number in range(1, count + 1)]


def _snippets(
    texts: _Texts, m: Making, card: LinkCard | None, image: Image | None
) -> Iterator[Snippet]:
    carded = texts.linked.index(True) if card and any(texts.linked) else None
    for position, text in enumerate(texts.texts):
        yield Snippet(
            text,
            m.network.measure(text),
            None if position else image,
            card if position == carded else None,
            () if position else _hidden(texts, m),
        )


def _hidden(texts: _Texts, m: Making) -> tuple[str, ...]:
    tags = (*m.tags.shown, *m.tags.over)
    return tuple(tag for tag in tags if tag not in texts.tags)[: m.network.hidden_tags]


def _card(m: Making) -> LinkCard | None:
    if not (m.style.card and m.network.takes_cards):
        return None
    about = beginning(plain(m.post.excerpt), lambda text: len(text) <= CARD_CHARACTERS)
    title = shorten(plain(m.post.title), lambda text: len(text) <= CARD_CHARACTERS)
    return LinkCard(m.link, title, about, m.post.image)


def _image(m: Making, *, has_card: bool) -> tuple[Image | None, tuple[str, ...]]:
    """The root's picture, and what is to be said of it; a card there shows the picture itself."""
    image = m.post.image
    if image is None or has_card or not m.style.pictures:
        return None, ()
    if image.alt.strip():
        return _described(image, m.network)
    if m.style.alt_text == "wanted":
        return image, ("the picture goes out without alt text: it has none",)
    return None, ("the picture is left out: it has no alt text",)


def _described(image: Image, network: Network) -> tuple[Image, tuple[str, ...]]:
    """The picture with as much of its alt text as the network takes, and whether that is all."""
    most = network.alt_characters
    if len(image.alt) <= most:
        return image, ()
    alt = shorten(image.alt, lambda text: len(text) <= most)
    note = f"the alt text was cut to the {most} characters of {network.name}"
    return replace(image, alt=alt), (note,)


def _about_body(body: Body) -> Iterator[str]:
    if body.left:
        yield f"the last {body.left} of {body.words} words are left to the link"
    if body.left_out:
        yield f"left out, for no snippet can hold it: {', '.join(body.left_out)}"


def _about(texts: _Texts, m: Making, root: Snippet) -> Iterator[str]:
    """What an editor cannot see at a glance: tags and links that are other than asked for."""
    for link in dict.fromkeys(link for text in texts.said for link in undone(text)):
        yield f"{link} would have been a link: it stands as text"
    if words := list(dict.fromkeys(tag for text in texts.texts for tag in undone_tags(text))):
        yield f"{', '.join(words)} would have been hashtags: they stand as text"
    extra = (link for text in texts.texts for link in links_in(text) if link != m.link)
    for link in dict.fromkeys(extra):
        yield f"{link} in the template becomes a link too"
    for why, tags in (
        (f"over the {m.style.tags.most} hashtags of a snippet", m.tags.over),
        ("no room for", m.tags.shown),
    ):
        if gone := [f"#{tag}" for tag in tags if tag not in (*texts.tags, *root.tags)]:
            yield f"{why}: {' '.join(gone)}"
    stand = {tag.casefold() for tag in tags_in(root.text)}
    for tag in texts.tags:
        if tag.casefold() not in stand:
            yield f"#{tag} is no hashtag where the template puts it, or the template leaves it out"


def _prove(texts: Sequence[str], network: Network) -> None:
    for text in texts:
        if not network.fits(text):
            raise AssertionError(f"a snippet does not fit {network.name}: {text!r}")
