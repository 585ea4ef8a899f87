"""Letters of notices, made when they are sent: from what is so by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.issues.render import render_opt_in, render_settings_link, render_sign_up
from digest.links import join_url, own_url
from digest.mail.letters import domain_of
from digest.mail.message import Letter
from digest.readers.tokens import make_token
from digest.readers.wishes import as_offered, in_words
from digest.store import sign_ups
from digest.store.notices import reader_at

if TYPE_CHECKING:
    from digest.bootstrap import App
    from digest.config import Config, Newsletter, Site
    from digest.store.notices import Waiting


@dataclass(frozen=True, slots=True)
class Written:
    """A letter, and the newsletter as which it is sent."""

    newsletter: str
    letter: Letter


def opt_in_letter(app: App, slug: str, newsletter: Newsletter, subscription_id: int) -> Letter:
    """Asks the reader of a pending subscription to confirm it."""
    site = app.config.site
    token = make_token(app.secret, "opt-in", subscription_id, app.clock())
    said = render_opt_in(app.templates, site, newsletter, token)
    return _letter(site, slug, newsletter, "opt-in", said)


def write(app: App, notice: Waiting) -> Written | str:
    """The letter of a waiting notice, or why there is nothing to send any more."""
    return _sign_up(app, notice) if notice.kind == "sign-up" else _settings(app, notice)


def _sign_up(app: App, notice: Waiting) -> Written | str:
    now, config = app.clock(), app.config
    with app.store.read() as c:
        found = sign_ups.sign_up(c, notice.sign_up_id or 0)
    if found is None:
        return "the sign-up is gone"
    if found.confirmed_at is not None:
        return "the sign-up is confirmed already"
    if now - found.asked_at > sign_ups.SENT_WITHIN:
        return "the sign-up is too old"
    wishes, _ = as_offered(config, found.wishes)
    if not wishes:
        return "nothing that was asked for is offered any more"
    url = join_url(config.site.links_url, make_token(app.secret, "sign-up", found.id, now))
    said = render_sign_up(app.templates, config.site, in_words(config, wishes), url)
    slug = wishes[0].newsletter
    return Written(slug, _letter(config.site, slug, config.newsletters[slug], "sign-up", said))


def _settings(app: App, notice: Waiting) -> Written | str:
    config = app.config
    with app.store.read() as c:
        found = reader_at(c, notice.address_key)
    if found is None:
        return "there is no such reader"
    subscriber_id, had = found
    slug = _sender(config, had)
    if slug is None:
        return "there is no newsletter to send it as"
    token = make_token(app.secret, "settings", subscriber_id, app.clock())
    url = own_url(config.site.links_url, token)
    said = render_settings_link(app.templates, config.site, url)
    return Written(slug, _letter(config.site, slug, config.newsletters[slug], "settings", said))


def _sender(config: Config, had: list[str]) -> str | None:
    """The newsletter that a reader knows us by; any other where that one is gone."""
    return next((slug for slug in [*had, *config.newsletters] if slug in config.newsletters), None)


def _letter(
    site: Site, slug: str, newsletter: Newsletter, kind: str, said: tuple[str, str, str]
) -> Letter:
    subject, html, text = said
    return Letter(
        subject=subject,
        html=html,
        text=text,
        from_name=newsletter.from_name,
        from_address=newsletter.from_address,
        reply_to=newsletter.reply_to,
        language=site.language,
        feedback_id=(kind, slug, "notice", domain_of(newsletter)),
    )
