"""X, by its API v2 with the OAuth 1.0a keys of an account: https://docs.x.com/x-api/posts

X has no idempotency key: a post whose answer was lost is looked for in the account's own timeline.
An instance belongs to one thread.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from digest.errors import Unavailable
from digest.model import Limits, Receipt, Traits
from digest.social.channels.untrusted import dicts, dig, text
from digest.social.channels.x_answers import Answer, unreadable
from digest.social.channels.x_line import Line
from digest.social.channels.x_media import id_in, upload
from digest.social.channels.x_text import FIELDS, made_at, parent_of, said, same, seen
from digest.social.networks import X

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from digest.config_social import XAccount
    from digest.model import Place, ReadySnippet, Seen
    from digest.ports import Bodies, Clock, Receipts, Trouble

#: A post may bear a moment before that of its first try, for two clocks never agree; but X takes
#: no signature made five minutes off its own.
CLOCKS_DIFFER = timedelta(minutes=6)
#: X shows a timeline's newest 3,200 posts.
MOST_PAGES = 32
#: Posts in one answer.
PAGE = 100
_NOT_FOUND = "resource-not-found"


@dataclass(frozen=True, slots=True)
class _Body:
    """What is stored of a snippet: the request as X gets it, and when it was first tried."""

    tweet: dict[str, object]
    at: datetime

    @property
    def text(self) -> str:
        return text(self.tweet["text"])

    @property
    def parent(self) -> str | None:
        return text(dig(self.tweet, "reply", "in_reply_to_tweet_id")) or None


class XChannel:
    """The account of `account`; each request gives up after `timeout` seconds."""

    name = "x"
    traits = Traits(
        atomic=False,
        can_find=True,
        seen_after=timedelta(seconds=60),
        same_for=None,
        can_edit=False,
    )

    def __init__(
        self,
        account: XAccount,
        *,
        timeout: float,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._line = Line(account, timeout, clock)
        self._patience = timeout
        self._clock = clock
        self._sleep = sleep
        self._me = _owner(account.access_token.get_secret_value())

    def limits(self) -> Limits | Trouble:
        """X's own, the same for every account: https://docs.x.com/x-api/media/quickstart/best-practices"""
        return Limits(
            characters=X.limit,
            link_weight=X.link_weight,
            picture_bytes=5_000_000,
            picture_types=("image/jpeg", "image/png", "image/webp", "image/gif"),
        )

    def prepare(self, snippets: Sequence[ReadySnippet], place: Place | None) -> Bodies | Trouble:
        """Upload the picture, if there is one. X makes cards itself, and knows no hidden tags."""
        (snippet,) = snippets
        tweet: dict[str, object] = {"text": snippet.text}
        if place is not None:
            tweet["reply"] = {"in_reply_to_tweet_id": place.parent.remote_id}
        if snippet.picture is not None:
            picture = snippet.picture
            media = upload(self._line, picture, patience=self._patience, sleep=self._sleep)
            if not isinstance(media, str):
                return media
            tweet["media"] = {"media_ids": [media]}
        return (_dumped(_Body(tweet, snippet.at)),)

    def publish(self, bodies: Sequence[str]) -> Receipts | Trouble:
        """Post one snippet."""
        (body,) = map(_loaded, bodies)
        answer = self._line.ask("post", "POST", "/2/tweets", json=body.tweet)
        if not isinstance(answer, Answer):
            return answer
        tweet_id = id_in(answer)
        if not tweet_id:
            return unreadable("post")
        return (_receipt(tweet_id, self._clock()),)

    def find(self, bodies: Sequence[str]) -> Receipts | Trouble | None:
        """Look through what the account posted since: the earliest that says this, there."""
        (body,) = map(_loaded, bodies)
        tweets = self._posted_since(min(body.at, self._clock()) - CLOCKS_DIFFER)
        if not isinstance(tweets, list):
            return tweets
        found = [_receipt_of(tweet) for tweet in tweets if _is_it(tweet, body)]
        if None in found:
            return unreadable("read")
        return min(((one,) for one in found if one), key=lambda r: r[0].at, default=None)

    def read(self, receipts: Sequence[Receipt]) -> tuple[Seen | None, ...] | Trouble:
        """Ask for up to a hundred posts at a time."""
        shown: dict[str, Seen | None] = {}
        for ids in _pages([receipt.remote_id for receipt in receipts]):
            page = self._look_up(ids)
            if not isinstance(page, dict):
                return page
            shown |= page
        return tuple(shown[receipt.remote_id] for receipt in receipts)

    def edit(self, receipt: Receipt, body: str) -> Receipts | Trouble:
        raise NotImplementedError("X lets no API edit a post")

    def delete(self, receipt: Receipt) -> Trouble | None:
        route = f"/2/tweets/{quote(receipt.remote_id, safe='')}"
        answer = self._line.ask("delete", "DELETE", route)
        if not isinstance(answer, Answer):
            return self._still_there(receipt) if answer.code == "404" else answer
        match dig(answer.body, "data", "deleted"):
            case True:
                return None
            case False:
                return self._still_there(receipt)
        return unreadable("delete")

    def _still_there(self, receipt: Receipt) -> Trouble | None:
        """None where the post is gone: whatever stands before X may answer "not found"."""
        still = self.read([receipt])
        if not isinstance(still, tuple):
            return still
        return None if still == (None,) else Unavailable("X does not take the post down")

    def _posted_since(self, start: datetime) -> list[dict[str, object]] | Trouble:
        me = self._my_id()
        if not isinstance(me, str):
            return me
        asked = {"start_time": f"{start:%Y-%m-%dT%H:%M:%SZ}", "max_results": str(PAGE)}
        asked["tweet.fields"] = FIELDS
        tweets: list[dict[str, object]] = []
        for _ in range(MOST_PAGES):
            answer = self._line.ask("read", "GET", f"/2/users/{me}/tweets", params=asked)
            if not isinstance(answer, Answer):
                return answer
            page = dicts(dig(answer.body, "data"))
            # What cannot be read must not be taken for an empty timeline.
            if dig(answer.body, "meta", "result_count") != len(page):
                return unreadable("read")
            tweets += page
            following = text(dig(answer.body, "meta", "next_token"))
            if not following:
                return tweets
            asked["pagination_token"] = following
        return Unavailable("X's timeline of the account does not end")

    def _my_id(self) -> str | Trouble:
        if not self._me:
            answer = self._line.ask("read", "GET", "/2/users/me")
            if not isinstance(answer, Answer):
                return answer
            self._me = id_in(answer)
        return self._me or unreadable("read")

    def _look_up(self, ids: list[str]) -> dict[str, Seen | None] | Trouble:
        """What X shows of these; None for what it says is not there."""
        asked = {
            "ids": ",".join(ids),
            "tweet.fields": FIELDS,
            "expansions": "attachments.media_keys",
            "media.fields": "alt_text",
        }
        answer = self._line.ask("read", "GET", "/2/tweets", params=asked)
        if not isinstance(answer, Answer):
            return answer
        shown: dict[str, Seen | None] = dict.fromkeys(_missing(answer))
        alts = {
            text(media.get("media_key")): text(media.get("alt_text"))
            for media in dicts(dig(answer.body, "includes", "media"))
        }
        for tweet in dicts(dig(answer.body, "data")):
            shown[text(tweet.get("id"))] = seen(tweet, alts)
        if not shown.keys() >= set(ids):
            # Withheld, say, or an answer that is none: not there is something else.
            return Unavailable("X does not say what became of every post")
        return shown


def _owner(access_token: str) -> str:
    """The id of the account, which X puts before the tokens of it; empty where it did not."""
    found = re.match(r"([0-9]+)-", access_token)
    return found[1] if found else ""


def _dumped(body: _Body) -> str:
    document = {"at": body.at.isoformat(), "tweet": body.tweet}
    return json.dumps(document, ensure_ascii=False, sort_keys=True)


def _loaded(body: str) -> _Body:
    document = json.loads(body)
    return _Body(document["tweet"], datetime.fromisoformat(document["at"]))


def _is_it(tweet: dict[str, object], body: _Body) -> bool:
    return parent_of(tweet) == body.parent and same(said(tweet), body.text)


def _receipt_of(tweet: dict[str, object]) -> Receipt | None:
    tweet_id, at = text(tweet.get("id")), made_at(tweet)
    return _receipt(tweet_id, at) if tweet_id and at else None


def _receipt(tweet_id: str, at: datetime) -> Receipt:
    # X leads on from here to the account's own address, whose name another call would cost.
    return Receipt(tweet_id, at, url=f"https://x.com/i/status/{tweet_id}")


def _pages(ids: list[str]) -> Iterator[list[str]]:
    distinct = list(dict.fromkeys(ids))
    for start in range(0, len(distinct), PAGE):
        yield distinct[start : start + PAGE]


def _missing(answer: Answer) -> list[str]:
    errors = dicts(dig(answer.body, "errors"))
    gone = [error for error in errors if text(error.get("type")).endswith(_NOT_FOUND)]
    return [text(error.get("resource_id")) or text(error.get("value")) for error in gone]
