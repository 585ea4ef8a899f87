"""The files of a preview: as a reader would get them, or with sample links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.errors import UsageError
from digest.issues.compose import newsletter_of
from digest.issues.preview import Copy, copy_for, picks_of_copy
from digest.links import PREVIEW_TOKEN
from digest.mail.addresses import AddressProblem, parse_address
from digest.mail.letters import domain_of, issue_letter, links_for
from digest.mail.message import reader_links, with_links
from digest.mail.press import Press
from digest.model import Envelope
from digest.store.accounts import StoredVariant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from digest.bootstrap import App
    from digest.config import Newsletter
    from digest.issues.preview import PickLine, Preview
    from digest.mail.message import ReaderLinks
    from digest.model import Check

#: What a preview of something to send consists of, beside its picks.
PREVIEW_FILES = ("issue.html", "issue.txt", "issue.eml")

#: Who a preview is addressed to where no reader is named (RFC 2606).
NOBODY = "reader@example.org"


@dataclass(frozen=True, slots=True)
class PreviewFiles:
    """What a preview writes: issue.html, issue.txt, issue.eml; none where nothing is sent."""

    subject: str
    preflight: tuple[Check, ...]
    picks: tuple[PickLine, ...]
    files: Mapping[str, bytes]


def preview_files(app: App, shown: Preview, reader: str | None, date: datetime) -> PreviewFiles:
    """The preview's files, with sample links or, for a reader's address, that reader's own.

    Raises UsageError where the reader would get nothing.
    """
    rendered = shown.rendered
    if shown.nothing:
        return PreviewFiles("", rendered.preflight, shown.picks, {})
    newsletter = newsletter_of(app.config, shown.content.newsletter)
    address, links, picks = NOBODY, _sample_links(app, newsletter), shown.picks
    if reader:
        copy = _copy(app, shown, reader)
        address, rendered, picks = copy.address, copy.rendered, picks_of_copy(shown, copy)
        links = links_for(app.config.site, newsletter, app.secret, copy.subscription_id)
    variant = StoredVariant(0, rendered.subject, rendered.html, rendered.text)
    letter = issue_letter(app.config.site, newsletter, variant, shown.content)
    message_id = f"<preview.{shown.content.period}@{domain_of(newsletter)}>"
    envelope = Envelope(newsletter.bounce_address, address, message_id)
    html, text = with_links(letter, links)
    files = {
        "issue.html": html.encode(),
        "issue.txt": text.encode(),
        "issue.eml": Press(letter).mail(envelope, links, date).message(),
    }
    return PreviewFiles(rendered.subject, rendered.preflight, picks, files)


def _sample_links(app: App, newsletter: Newsletter) -> ReaderLinks:
    return reader_links(app.config.site.links_url, newsletter.unsubscribe_mailto, PREVIEW_TOKEN)


def _copy(app: App, shown: Preview, reader: str) -> Copy:
    address = parse_address(reader)
    if isinstance(address, AddressProblem):
        raise UsageError(f"--for: {address.reason}")
    return copy_for(app.store, shown, app.templates, address.key, app.week)
