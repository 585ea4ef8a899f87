"""Posts as X's timelines show them, put back into the words in which they were said.

https://docs.x.com/x-api/fundamentals/data-dictionary
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from digest.model import Seen
from digest.social.channels.untrusted import dicts, dig, text

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What must be asked for, so that what stands below can be told.
FIELDS = "created_at,referenced_tweets,entities,attachments,conversation_id"

_OF_MEDIA = re.compile(r"/status/([0-9]+)/(?:photo|video)/[0-9]+$")


def seen(tweet: Mapping[str, object], alts: Mapping[str, str]) -> Seen:
    """A post in our words; `alts` are alt texts by media key."""
    media = dig(tweet, "attachments", "media_keys")
    keys = [key for key in media if isinstance(key, str)] if isinstance(media, list) else []
    tags = dicts(dig(tweet, "entities", "hashtags"))
    return Seen(
        text=said(tweet),
        reply_to=parent_of(tweet),
        tags=tuple(text(tag.get("tag")) for tag in tags),
        alts=tuple(alts.get(key, "") for key in keys),
    )


def said(tweet: Mapping[str, object]) -> str:
    """The text as it was said: full links, no link to its own pictures, no HTML escapes.

    X makes "http://care.social" of "care.social", too; a link without a path is taken for such.
    """
    links = {text(link.get("url")): link for link in dicts(dig(tweet, "entities", "urls"))}
    shown = _unescaped(text(tweet.get("text")))
    # What follows a link may look like more of it: 介護 is made of letters.
    short = "|".join(re.escape(link) for link in links if link)
    return (
        re.sub(short, lambda found: _full(links[found[0]], of=tweet), shown) if short else shown
    ).strip()


def same(one: str, other: str) -> bool:
    """Whether X cannot tell these texts apart but by how a link was typed."""
    return _canonical(one) == _canonical(other)


def parent_of(tweet: Mapping[str, object]) -> str | None:
    """The id of the post that it answers."""
    referenced = dicts(tweet.get("referenced_tweets"))
    answered = (text(one.get("id")) for one in referenced if one.get("type") == "replied_to")
    return next(answered, None)


def made_at(tweet: Mapping[str, object]) -> datetime | None:
    """When X made it; None where X does not say."""
    try:
        at = datetime.fromisoformat(text(tweet.get("created_at")))
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else None


def _unescaped(shown: str) -> str:
    # These three and no others: "&copy;" was typed as it stands.
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _full(link: Mapping[str, object], *, of: Mapping[str, object]) -> str:
    full = text(link.get("expanded_url"))
    picture = _OF_MEDIA.search(full)
    if picture and picture[1] == of.get("id"):
        return ""
    bare = full.removeprefix("http://")
    return bare if bare == link.get("display_url") and "/" not in bare else full


def _canonical(said_text: str) -> str:
    return unicodedata.normalize("NFC", said_text).replace("http://", "").strip()
