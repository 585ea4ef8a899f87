"""What is said to an instance for one snippet, and what the snippet is found by, as JSON."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digest.model import Place, ReadySnippet


@dataclass(frozen=True, slots=True)
class Body:
    """The parameters of one status, and when it was first tried."""

    idempotency_key: str
    text: str
    in_reply_to_id: str | None
    media_ids: tuple[str, ...]
    visibility: str
    language: str
    at: datetime

    @classmethod
    def of(
        cls, snippet: ReadySnippet, place: Place | None, *, visibility: str, media: tuple[str, ...]
    ) -> Body:
        return cls(
            idempotency_key=hashlib.sha256(snippet.key.encode()).hexdigest(),
            text=snippet.text,
            in_reply_to_id=place.parent.remote_id if place else None,
            media_ids=media,
            visibility=visibility,
            # Instances know languages by ISO 639 alone.
            language=snippet.language.partition("-")[0].lower(),
            at=snippet.at,
        )

    @classmethod
    def from_json(cls, text: str) -> Body:
        raw = json.loads(text)
        return cls(
            **raw | {"media_ids": tuple(raw["media_ids"]), "at": datetime.fromisoformat(raw["at"])}
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"at": self.at.isoformat()}, ensure_ascii=False)

    def parameters(self) -> dict[str, Any]:
        """As Mastodon.py wants them; never with a time, which would void the key."""
        return {
            "status": self.text,
            "in_reply_to_id": self.in_reply_to_id,
            "media_ids": list(self.media_ids) or None,
            "visibility": self.visibility,
            "language": self.language,
            "idempotency_key": self.idempotency_key,
        }
