"""What readers know a newsletter by, also once config does not know it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digest.links import archive_url

if TYPE_CHECKING:
    from digest.config import Config


def title_of(config: Config, newsletter: str) -> str:
    """Its title, or its slug."""
    declared = config.newsletters.get(newsletter)
    return declared.title if declared else newsletter


def contact_of(config: Config, newsletter: str) -> str:
    """The address that answers questions about it; "" where there is none."""
    declared = config.newsletters.get(newsletter)
    return declared.reply_to if declared else ""


def archive_of(config: Config, newsletter: str) -> str:
    """Where its issues can be read; "" where they cannot."""
    declared = config.newsletters.get(newsletter)
    kept = declared is not None and declared.archive != "off"
    return archive_url(config.site.links_url, newsletter) if kept else ""
