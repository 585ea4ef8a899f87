"""A recipient's message from an issue's stored variant: what `deliver` says to a mailer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from digest.mail.message import Letter, message_id_for, reader_links
from digest.mail.press import Press
from digest.mail.verp import verp_address
from digest.model import Envelope
from digest.readers.tokens import make_token
from digest.store import accounts

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.config import Newsletter, Site
    from digest.mail.dkim import Signer
    from digest.mail.message import ReaderLinks
    from digest.ports import Clock, Mail
    from digest.store.accounts import StoredVariant
    from digest.store.deliveries import Claimed
    from digest.store.engine import Store
    from digest.store.issues import Issue


#: So many variants are kept at hand, and in the form in which they are encoded: a dozen picks make
#: thousands of sets, of which a few have nearly all readers. Of 60 KB each they take some 40 MB.
KEPT = 256


class IssueName(Protocol):
    """What identifies an issue: stored issues and their content both have it."""

    @property
    def newsletter(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def period(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Letters:
    """Makes the messages of one issue."""

    site: Site
    newsletter: Newsletter
    issue: Issue
    secret: bytes
    clock: Clock
    #: Signs them; None where nothing does.
    signer: Signer | None = None
    _presses: dict[int, Press] = field(default_factory=dict, compare=False, repr=False)

    def make(self, claimed: Claimed, variant: StoredVariant) -> Mail:
        """One delivery's mail. The Message-ID is the same at every try."""
        domain = domain_of(self.newsletter)
        message_id = message_id_for(self.secret, self.issue.id, claimed.subscriber_id, domain)
        links = links_for(self.site, self.newsletter, self.secret, claimed.subscription_id)
        envelope = Envelope(self._sender(claimed), claimed.address, message_id)
        return self._press(variant).mail(envelope, links, self.clock())

    def _sender(self, claimed: Claimed) -> str:
        address = self.newsletter.bounce_address
        return verp_address(address, self.secret, claimed.id) if self.newsletter.verp else address

    def _press(self, variant: StoredVariant) -> Press:
        press = self._presses.pop(variant.id, None)
        if press is None:
            letter = issue_letter(self.site, self.newsletter, variant, self.issue)
            press = Press(letter, self.signer)
        # The last one used stands last.
        self._presses[variant.id] = press
        if len(self._presses) > KEPT:
            del self._presses[next(iter(self._presses))]
        return press


def variants_in(store: Store) -> Callable[[int], StoredVariant]:
    """Finds a variant by its id, and keeps the last ones at hand."""

    @lru_cache(maxsize=KEPT)
    def find(variant_id: int) -> StoredVariant:
        with store.read() as c:
            return accounts.get_variant(c, variant_id)

    return find


def domain_of(newsletter: Newsletter) -> str:
    """The domain that Message-IDs are made in: the sender's own."""
    return newsletter.from_address.partition("@")[2]


def links_for(
    site: Site, newsletter: Newsletter, secret: bytes, subscription_id: int
) -> ReaderLinks:
    """One subscription's own ways to leave."""
    token = make_token(secret, "unsubscribe", subscription_id)
    return reader_links(site.links_url, newsletter.unsubscribe_mailto, token)


def issue_letter(
    site: Site, newsletter: Newsletter, variant: StoredVariant, name: IssueName
) -> Letter:
    """What all recipients of a variant get alike."""
    return Letter(
        subject=variant.subject,
        html=variant.html,
        text=variant.text,
        from_name=newsletter.from_name,
        from_address=newsletter.from_address,
        reply_to=newsletter.reply_to,
        language=site.language,
        feedback_id=(
            name.period.replace(":", "-"),
            name.newsletter,
            name.scope.replace(":", "-"),
            domain_of(newsletter),
        ),
        list_id=newsletter.list_id,
        list_title=newsletter.title,
    )
