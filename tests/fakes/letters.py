"""Mails as people write them."""

from __future__ import annotations

UNSUBSCRIBE = "unsubscribe@commonthreads.example"


def letter(
    subject: str = "",
    *,
    sender: str = "ann@example.org",
    to: str = UNSUBSCRIBE,
    body: str = "",
    head: str = "",
) -> bytes:
    """A mail as a person's program writes it."""
    lines = (f"From: {sender}", f"To: {to}", f"Subject: {subject}", *head.splitlines(), "", body)
    return "\n".join(lines).encode(errors="surrogateescape")
