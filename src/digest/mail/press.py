"""Mails of one variant: what all recipients get alike is made once, their own parts for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.mail.message import build_message, content_of

if TYPE_CHECKING:
    from datetime import datetime

    from digest.mail.message import Letter, ReaderLinks
    from digest.model import Content, Envelope


@dataclass(frozen=True, slots=True)
class Pressed:
    """One recipient's mail, made when it is asked for."""

    press: Press
    envelope: Envelope
    links: ReaderLinks | None
    raw: bytes

    def message(self) -> bytes:
        return self.raw

    def content(self) -> Content:
        return content_of(self.press.letter, self.envelope.message_id, self.links)


class Press:
    """Makes the mails of one letter."""

    def __init__(self, letter: Letter) -> None:
        self.letter = letter

    def mail(self, envelope: Envelope, links: ReaderLinks | None, date: datetime) -> Pressed:
        """One recipient's mail. Raises MessageError where it cannot be made, and never later."""
        raw = build_message(self.letter, envelope.recipient, links, envelope.message_id, date)
        return Pressed(self, envelope, links, raw)
