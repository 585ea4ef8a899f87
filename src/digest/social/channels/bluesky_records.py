"""Posts as Bluesky's records: made, named and read here, without a network.

A body is frozen with the name (a TID) under which its record will stand and the CID that it will
have, so that a whole thread can be written at once, each record answering the one before it.
What is hashed is what is sent: the record's own JSON, to which no library adds anything.

Lexicon: app.bsky.feed.post. TIDs: https://atproto.com/specs/tid
CIDs: https://atproto.com/specs/data-model
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from digest.model import Place, Receipt, Seen
from digest.social.channels.bluesky_facets import facets_of, is_tag
from digest.social.channels.untrusted import dicts, dig, items, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digest.model import Picture, ReadySnippet

Json: TypeAlias = dict[str, Any]

POSTS = "app.bsky.feed.post"

_HIDDEN_TAGS = 8
_BASE32 = "234567abcdefghijklmnopqrstuvwxyz"
_CLOCK_BITS = 10
_TID_DIGITS = 13
#: CID version 1, DAG-CBOR, SHA-256 of 32 bytes.
_CID_PREFIX = bytes([0x01, 0x71, 0x12, 0x20])
#: A CID in base32, as those of blobs are written.
_LINK = re.compile("b[a-z2-7]{58}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Body:
    """A record, and the name and version that it has once it is out."""

    uri: str
    cid: str
    record: Json

    @property
    def name(self) -> Name:
        return Name.of(self.uri)

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.record["createdAt"])

    def to_json(self) -> str:
        document = {
            "rkey": self.name.rkey,
            "uri": self.uri,
            "cid": self.cid,
            "record": self.record,
        }
        return json.dumps(document, ensure_ascii=False)

    @classmethod
    def from_json(cls, body: str) -> Body:
        document = json.loads(body)
        return cls(document["uri"], document["cid"], document["record"])

    def receipt(self, at: datetime, *, cid: str) -> Receipt:
        """What is said of it as version `cid`."""
        name = self.name
        url = f"https://bsky.app/profile/{name.did}/post/{name.rkey}"
        return Receipt(remote_id=self.uri, at=at, url=url, version=cid)


@dataclass(frozen=True, slots=True)
class Name:
    """Where a record stands: "at://DID/app.bsky.feed.post/RKEY"."""

    did: str
    rkey: str

    @property
    def uri(self) -> str:
        return f"at://{self.did}/{POSTS}/{self.rkey}"

    @classmethod
    def of(cls, uri: str) -> Name:
        did, _, rest = uri.removeprefix("at://").partition("/")
        return cls(did, rest.rpartition("/")[2])


def bodies_of(
    did: str, snippets: Sequence[ReadySnippet], embeds: Sequence[Json | None], place: Place | None
) -> list[Body]:
    """A body for each snippet, the first at `place`, each further one answering that before it."""
    root = _reference(place.root.remote_id, place.root.version) if place else None
    parent = _reference(place.parent.remote_id, place.parent.version) if place else None
    bodies: list[Body] = []
    for snippet, embed in zip(snippets, embeds, strict=True):
        reply = {"root": root, "parent": parent} if parent else None
        record = _record(snippet, embed, reply)
        body = Body(Name(did, tid(snippet.at, snippet.key)).uri, cid_of(record), record)
        bodies.append(body)
        parent = _reference(body.uri, body.cid)
        root = root or parent
    return bodies


def tid(at: datetime, key: str) -> str:
    """The record key of a snippet: the same for the same, sorted by time.

    A TID ends in the number of the clock that made it, so that two clocks never make the same
    one; here a hash of the snippet's key stands for it.
    """
    microseconds = (at - _EPOCH) // timedelta(microseconds=1)
    clock = int.from_bytes(hashlib.sha256(key.encode()).digest()) % (1 << _CLOCK_BITS)
    number = microseconds << _CLOCK_BITS | clock
    digits = (number >> 5 * place & 31 for place in reversed(range(_TID_DIGITS)))
    return "".join(_BASE32[digit] for digit in digits)


def cid_of(record: Json) -> str:
    """The CID that a PDS gives to a record."""
    import libipld

    block: bytes = libipld.encode_dag_cbor(_with_links(record))
    cid = _CID_PREFIX + hashlib.sha256(block).digest()
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


def blob_of(answer: Json) -> Json | None:
    """What a picture is referred to by that a PDS took; None where the PDS does not say."""
    link, size = text(dig(answer, "blob", "ref", "$link")), dig(answer, "blob", "size")
    media_type = text(dig(answer, "blob", "mimeType"))
    if not (_LINK.fullmatch(link) and media_type and isinstance(size, int)):
        return None
    return {"$type": "blob", "ref": {"$link": link}, "mimeType": media_type, "size": size}


def picture_embed(picture: Picture, blob: Json) -> Json:
    """A picture that was uploaded as `blob`."""
    image: Json = {"alt": picture.alt, "image": blob}
    if picture.width > 0 and picture.height > 0:
        image["aspectRatio"] = {"width": picture.width, "height": picture.height}
    return {"$type": "app.bsky.embed.images", "images": [image]}


def card_embed(url: str, title: str, description: str, thumb: Json | None) -> Json:
    """A link as a card; its small picture was uploaded as `thumb`."""
    external: Json = {"uri": url, "title": title, "description": description}
    if thumb:
        external["thumb"] = thumb
    return {"$type": "app.bsky.embed.external", "external": external}


def same_words(one: Json, other: Json) -> bool:
    """Whether two records say the same at the same place, however else they may differ."""
    return all(one.get(key) == other.get(key) for key in ("text", "createdAt")) and (
        _parent(one) == _parent(other)
    )


def seen(record: Json) -> Seen:
    """A record in our words."""
    hidden = [text(tag) for tag in items(record.get("tags"))]
    return Seen(
        text=text(record.get("text")),
        reply_to=_parent(record),
        tags=tuple(dict.fromkeys([*_tags_of(record.get("facets")), *hidden])),
        alts=tuple(text(image.get("alt")) for image in dicts(dig(record, "embed", "images"))),
    )


def _record(snippet: ReadySnippet, embed: Json | None, reply: Json | None) -> Json:
    facets = facets_of(snippet.text)
    at = snippet.at.astimezone(UTC).isoformat(timespec="microseconds")
    parts = {
        "langs": [snippet.language] if snippet.language else [],
        "facets": facets,
        "tags": _hidden(snippet.tags, shown=_tags_of(facets)),
        "reply": reply,
        "embed": embed,
    }
    return {
        "$type": POSTS,
        "text": snippet.text,
        "createdAt": at.replace("+00:00", "Z"),
        **{key: value for key, value in parts.items() if value},
    }


def _hidden(tags: Sequence[str], *, shown: Sequence[str]) -> list[str]:
    there = {tag.casefold() for tag in shown}
    hidden: dict[str, str] = {}
    for tag in tags:
        if is_tag(tag) and tag.casefold() not in there:
            hidden.setdefault(tag.casefold(), tag)
    return list(hidden.values())[:_HIDDEN_TAGS]


def _tags_of(facets: object) -> list[str]:
    features = [feature for facet in dicts(facets) for feature in dicts(facet.get("features"))]
    return [text(feature["tag"]) for feature in features if "tag" in feature]


def _reference(uri: str, cid: str) -> Json:
    return {"uri": uri, "cid": cid}


def _parent(record: Json) -> str | None:
    return text(dig(record, "reply", "parent", "uri")) or None


def _with_links(value: Any) -> Any:
    """JSON as data: {"$link": CID} is the way that JSON writes a link to a blob."""
    if isinstance(value, list):
        return [_with_links(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"$link"}:
        return _cid_bytes(value["$link"])
    return {key: _with_links(one) for key, one in value.items()}


def _cid_bytes(cid: str) -> bytes:
    """libipld writes bytes that are a CID as a link."""
    import libipld

    raw: bytes = libipld.decode_multibase(cid)[1]
    return raw
