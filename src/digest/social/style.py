"""How the threads of one channel are made: what its declaration says of form, link and tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from digest.social.hashtags import TagPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digest.config_social import Channel, Hashtags


@dataclass(frozen=True, slots=True)
class Style:
    """What a thread is to be like; `most` snippets at most."""

    form: Literal["thread", "snippet"]
    most: int
    text: Literal["key", "whole"]
    link: Literal["last", "root", "every"]
    #: Whether the link is shown as a card too, where the network leaves that to us.
    card: bool
    pictures: bool
    alt_text: Literal["required", "wanted"]
    tags: TagPlan
    #: The folder of a thread's templates.
    template: str = "thread"
    #: The how-manieth repeat of an old post this is; 0: the first time.
    repeat: int = 0


def style_of(
    channel: Channel,
    scope: str,
    hashtags: Hashtags,
    *,
    others: Sequence[str] = (),
    repeat: int = 0,
) -> Style:
    """The style of a channel's threads under a scope such as "series:ipc".

    `others` are the hashtags of the other series and themes of the post. A snippet that
    repeats an old post is always alone.
    """
    alone = repeat > 0 or channel.form_of(scope) == "snippet"
    tagging = channel.hashtags
    return Style(
        form="snippet" if alone else "thread",
        most=1 if alone else channel.max_items,
        text=channel.text,
        link=channel.link,
        card=channel.card,
        pictures=channel.pictures,
        alt_text=channel.alt_text,
        tags=TagPlan(
            most=tagging.most,
            on=tagging.on,
            in_text=tagging.in_text,
            categories=tagging.categories,
            block=hashtags.block,
            spelling=hashtags.spelling,
            others=tuple(others),
        ),
        template=channel.template,
        repeat=repeat,
    )
