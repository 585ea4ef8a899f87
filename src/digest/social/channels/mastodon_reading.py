"""Reading statuses: receipts of them, what they say, and which of them is one of ours."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from digest.errors import Unavailable
from digest.model import Receipt, Seen
from digest.social.channels.mastodon_html import Words, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mastodon import Mastodon
    from mastodon.return_types import Status

    from digest.social.channels.mastodon_body import Body

#: So far may the clock of the instance be behind ours.
_MARGIN = timedelta(minutes=10)
_PAGE = 40
#: Of `_PAGE` statuses each; an account that says more between two looks is not ours.
_PAGES = 50
_ID = re.compile(r"[\w.~-]{1,100}")
_NOT_FOUND, _GONE = 404, 410
#: Where a server has no source to show, or not to this token.
_NO_SOURCE = {400, 401, 403, _NOT_FOUND, 405, _GONE, 501}


def receipt_of(status: Status, now: datetime) -> Receipt:
    """The receipt of a status; raises where it is none."""
    url = str(status.url or status.uri or "")
    made = status.created_at
    return Receipt(
        remote_id=_id(status.id),
        at=made.astimezone(UTC) if isinstance(made, datetime) and made.tzinfo else now,
        url=url if urlsplit(url).scheme in {"http", "https"} else "",
    )


def has_account(api: Mastodon) -> str:
    """The id of the account that the token is for."""
    return _id(api.account_verify_credentials().id)


def seen(api: Mastodon, status_id: str) -> Seen | None:
    """A status as it is shown now; None where it is gone."""
    from mastodon import MastodonAPIError

    try:
        status = api.status(status_id)
    except MastodonAPIError as error:
        if _code(error) not in {_NOT_FOUND, _GONE}:
            raise
        # Anything at all may answer 404 at a wrong address; it does not know the account.
        has_account(api)
        return None
    words = words_of(status.content)
    source = _source(api, status_id)
    return Seen(
        text=words.text if source is None else source,
        reply_to=_maybe(status.in_reply_to_id),
        tags=_tags(status, words),
        alts=tuple(medium.description or "" for medium in status.media_attachments),
    )


def search(
    api: Mastodon, account_id: str, body: Body, raw: Callable[[], object]
) -> Status | Unavailable | None:
    """The account's status that this body made; `raw` is the answer before Mastodon.py read it."""
    oldest = None
    for _ in range(_PAGES):
        page = api.account_statuses(account_id, exclude_reblogs=True, limit=_PAGE, max_id=oldest)
        if not isinstance(raw(), list):
            # Read as a page without statuses, it would prove that ours is not there.
            raise TypeError("not a page of statuses")
        recent = [status for status in page if status.created_at >= body.at - _MARGIN]
        found = next((status for status in recent if _is_of(api, status, body)), None)
        # A server that knows no pages gives the first one again.
        if found or not page or len(recent) < len(page) or _id(page[-1].id) == oldest:
            return found
        oldest = _id(page[-1].id)
    return Unavailable("the account says too much to tell whether this was said")


def folded(text: str) -> str:
    """A text without what its way through HTML does to it."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _is_of(api: Mastodon, status: Status, body: Body) -> bool:
    if status.reblog or not _stands_where(status, body.in_reply_to_id):
        return False
    ours = folded(body.text)
    return any(folded(text) == ours for text in _texts(api, status))


def _stands_where(status: Status, parent: str | None) -> bool:
    answered = _maybe(status.in_reply_to_id)
    # What it answers may be gone by now, and with it the id, but not whose it was.
    orphan = answered is None and status.in_reply_to_account_id is not None
    return answered == parent or (orphan and parent is not None)


def _texts(api: Mastodon, status: Status) -> Iterator[str]:
    """What a status says, and whatever else it may have been made of."""
    words = words_of(status.content)
    yield words.text
    if words.doubtful:
        yield _source(api, _id(status.id)) or ""
    if status.edited_at:
        yield from _earlier(api, _id(status.id))


def _source(api: Mastodon, status_id: str) -> str | None:
    from mastodon import MastodonAPIError

    try:
        text = api.status_source(status_id).text
    except MastodonAPIError as error:
        if _code(error) not in _NO_SOURCE:
            raise
        return None
    return text if isinstance(text, str) else None


def _earlier(api: Mastodon, status_id: str) -> list[str]:
    """What a status said before somebody edited it."""
    from mastodon import MastodonAPIError

    try:
        return [words_of(version.content).text for version in api.status_history(status_id)]
    except MastodonAPIError as error:
        if _code(error) not in _NO_SOURCE:
            raise
        return []


def _tags(status: Status, words: Words) -> tuple[str, ...]:
    """As they were written: an instance lists them in small letters, without accents."""
    written = {_plain(tag): tag for tag in words.tags}
    return tuple(written.get(_plain(tag.name), tag.name) for tag in status.tags)


def _plain(tag: str) -> str:
    letters = unicodedata.normalize("NFKD", tag).casefold()
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _code(error: Exception) -> int:
    """The status that Mastodon.py puts second into its exceptions; 0 where it does not."""
    code = error.args[1] if len(error.args) > 1 else 0
    return code if isinstance(code, int) else 0


def _id(value: object) -> str:
    """Ids go into paths, and come from outside."""
    if not isinstance(value, str | int) or not _ID.fullmatch(str(value)):
        raise ValueError("not an id")
    return str(value)


def _maybe(value: object) -> str | None:
    return None if value is None else str(value)
