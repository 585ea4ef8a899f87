"""From a post to the snippets of its thread on one network: pure, and proved to fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from digest.social.fit import shorten
from digest.social.key import key_pieces
from digest.social.wording import inert

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.model import Image, Part, Post
    from digest.social.networks import Network


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
class Snippet:
    """One text that its network takes, and how much of the limit it uses."""

    text: str
    measured: int
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """The snippets in order, and what an editor should know about how they were made."""

    snippets: tuple[Snippet, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unthreadable:
    """There is no thread of this post on this network, and why."""

    reason: str


def make_thread(
    post: Post, subject: Subject, network: Network, *, most: int, say: Callable[..., str]
) -> Thread | Unthreadable:
    """Root, key sentences, and the link to the post on the last snippet; `most` in all.

    The image stands on the root. `say` fills in a template of the thread by its name, such as
    "root", and passes on the ConfigError of a template at fault.
    """
    pieces = _pieces(post, network, most, say) if most > 1 else ()
    counters = [f"{number}/{len(pieces) + 1}" for number in range(1, len(pieces) + 2)]
    alone = {"counter": counters[0], "link": ""} if pieces else {"counter": "", "link": post.url}
    root = partial(say, "root", **_subject_words(subject), **alone)
    title = shorten(inert(post.title), lambda text: network.fits(root(title=text)))
    if not title and not network.fits(root(title="")):
        over = f"over the {network.limit} {network.unit} of {network.name}"
        return Unthreadable(f"its link, hashtag and part alone are {over}")
    texts = [root(title=title)]
    texts += [
        say("item", text=text, counter=counter)
        for text, counter in zip(pieces[:-1], counters[1:-1], strict=True)
    ]
    texts += [say("last", text=text, link=post.url, counter=counters[-1]) for text in pieces[-1:]]
    notes = ("the title was cut to fit",) if title.split() != inert(post.title).split() else ()
    return Thread(_proved(texts, post.image, network), notes)


def _pieces(post: Post, network: Network, most: int, say: Callable[..., str]) -> tuple[str, ...]:
    """Key sentences that fit wherever they come to stand, under the longest counter there is."""
    counter = f"{most}/{most}"

    def fits(text: str) -> bool:
        item = say("item", text=inert(text), counter=counter)
        last = say("last", text=inert(text), link=post.url, counter=counter)
        return network.fits(item) and network.fits(last)

    return tuple(map(inert, key_pieces(post.title, post.text, fits, most - 1)))


def _subject_words(subject: Subject) -> dict[str, object]:
    return {
        "part": subject.part,
        "topic": subject.title,
        "hashtag": f"#{subject.hashtag}",
    }


def _proved(texts: list[str], image: Image | None, network: Network) -> tuple[Snippet, ...]:
    for text in texts:
        if not network.fits(text):
            raise AssertionError(f"a snippet does not fit {network.name}: {text!r}")
    return tuple(
        Snippet(text, network.measure(text), None if position else image)
        for position, text in enumerate(texts)
    )
