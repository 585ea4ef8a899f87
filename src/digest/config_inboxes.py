"""What an operator declares of inboxes: mailboxes that are read for who leaves and what bounced."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from digest.config_types import Declared, Line


def _place(value: str) -> str:
    path = PurePosixPath(value)
    if not path.is_absolute() and (".." in path.parts or not path.parts):
        raise ValueError("must lie below the home folder, such as var/inbox, or begin at /")
    return value


def _mail_folder(value: str) -> str:
    if not value.isascii():
        raise ValueError("must be the folder's name as the server writes it, in ASCII")
    return value


Place = Annotated[Line, AfterValidator(_place)]
#: No control characters and no quotes: the name stands in a command.
MailFolder = Annotated[
    str,
    StringConstraints(pattern=r'^[^\x00-\x1f\x7f"\\]+$', max_length=200),
    AfterValidator(_mail_folder),
]


class MaildirInbox(Declared):
    kind: Literal["maildir"]
    path: Place


class FileInbox(Declared):
    """Only read: nothing in it is marked, moved or deleted."""

    kind: Literal["file"]
    path: Place
    """An mbox, or a single mail (`.eml`)."""


class ImapInbox(Declared):
    kind: Literal["imap"]
    host: Line
    security: Literal["tls", "starttls"] = "tls"
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Default: 993 with tls, 143 with starttls."""
    username: Line
    password: SecretStr
    folder: MailFolder = "INBOX"
    after: Literal["seen", "move", "delete"] = "seen"
    """What becomes of a mail that was understood: it stays, marked as read; it goes to `move_to`;
    or it is deleted."""
    move_to: MailFolder | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 30

    @property
    def server_port(self) -> int:
        return self.port or (993 if self.security == "tls" else 143)

    @model_validator(mode="after")
    def _moves_somewhere(self) -> ImapInbox:
        if (self.after == "move") != (self.move_to is not None):
            raise ValueError('after = "move" and move_to = "FOLDER" belong together')
        if self.move_to == self.folder:
            raise ValueError("move_to must be another folder than the one that is read")
        return self


Inbox = Annotated[MaildirInbox | FileInbox | ImapInbox, Field(discriminator="kind")]
