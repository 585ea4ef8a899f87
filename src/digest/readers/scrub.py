"""What servers and people said about a reader who is erased: nothing of it may name them."""

from __future__ import annotations

import re
from functools import lru_cache

#: Stands where a text told who the reader was.
FORGOTTEN = "erased"


def scrubbed(said: str | None, address_key: str) -> str | None:
    """The text itself, or FORGOTTEN where it quotes the address or a part of it.

    Servers quote an address whole, its local part alone, or in the form of a bounce address
    (bounces+ann=example.org): any word of the local part and the domain count.
    """
    if said is None or not _telling(address_key).search(said):
        return said
    return FORGOTTEN


@lru_cache(maxsize=16)
def _telling(address_key: str) -> re.Pattern[str]:
    local, _, domain = address_key.rpartition("@")
    words = [re.escape(word) for word in re.findall(r"[^\W_]+", local)]
    # As words: the local part "a" is not in "complained".
    as_words = rf"(?<![^\W_])(?:{'|'.join(words)})(?![^\W_])"
    anywhere = [re.escape(part) for part in (address_key, domain) if part]
    return re.compile("|".join([*anywhere, *([as_words] if words else [])]), re.IGNORECASE)


def without_address(said: str, address_key: str) -> str:
    """The text with the address itself made unreadable, where the rest of it is not of them."""
    return re.sub(re.escape(address_key), "<address>", said, flags=re.IGNORECASE)
