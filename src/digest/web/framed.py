"""A mail for the frame of a page.

A frame may not become another page, so that a link of a mail must open beside it. It is the one
thing in which a framed mail differs from the mail by itself.
"""

from __future__ import annotations

import re

_HEAD = re.compile(r"<head[^>]*>")
_BESIDE = '<base target="_blank">'


def framed(html: str) -> str:
    """The mail, with links that open in a page of their own."""
    return _HEAD.sub(lambda head: head[0] + _BESIDE, html, count=1)
