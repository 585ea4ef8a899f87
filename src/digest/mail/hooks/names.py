"""Our Message-IDs in the few characters that mailers let us write to a mail, and back again.

A mailer's own name for a mail is known only once its answer is written down; what it tells of the
mail may come before that, or after the answer was lost.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from digest.mail.hooks.reading import name_in

#: The name of Resend's tag: values are letters, digits, _ and -, up to 256.
#: https://resend.com/docs/dashboard/emails/tags
TAG = "digest"
#: In Postmark's metadata, the two halves: names have up to 20 characters, values up to 80.
#: https://postmarkapp.com/support/article/1125-custom-metadata-faq
LEFT, RIGHT = "digest-id", "digest-at"
_LONGEST = 80

_MESSAGE_ID = re.compile(r"<[^<>@\s]+@[^<>@\s]+>")


def tag_of(message_id: str) -> str:
    """A Message-ID as the value of a tag."""
    return urlsafe_b64encode(message_id.encode()).decode().rstrip("=")


def of_tags(tags: object) -> str:
    """The Message-ID that the tags of an event hold; "" where they hold none."""
    tag = name_in(tags, TAG)
    try:
        found = urlsafe_b64decode(tag + "=" * (-len(tag) % 4)).decode("ascii")
    except (ValueError, binascii.Error):
        return ""
    return found if found.isprintable() and _MESSAGE_ID.fullmatch(found) else ""


def metadata_of(message_id: str) -> dict[str, str]:
    """A Message-ID as metadata; what is longer loses its end."""
    left, _, right = message_id.strip("<>").partition("@")
    return {LEFT: left[:_LONGEST], RIGHT: right[:_LONGEST]}


def of_metadata(metadata: object) -> str:
    """The Message-ID that the metadata of an event holds; "" where it holds none, or not all."""
    left, right = name_in(metadata, LEFT), name_in(metadata, RIGHT)
    found = f"<{left}@{right}>"
    whole = len(left) < _LONGEST and len(right) < _LONGEST
    return found if whole and _MESSAGE_ID.fullmatch(found) else ""
