"""Puts the parts together: the only place that names concrete adapters."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING

from digest.config_inboxes import FileInbox, MaildirInbox
from digest.config_mailers import FileMailer, PostmarkMailer, ResendMailer, SmtpMailer
from digest.files import make_folder
from digest.issues.period import week_of
from digest.settings import find_home, load_config, load_signers
from digest.store.engine import Store, open_store
from digest.store.migrate import ensure_schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import SecretStr

    from digest.config import Config, Newsletter
    from digest.feeds.fetch import Fetcher
    from digest.inbox.box import Box
    from digest.issues.period import Week
    from digest.mail.dkim import Signer
    from digest.model import Limits
    from digest.ports import Channel, Clock, Mailer


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class App:
    """Everything that a command or flow works with. Parts are made when first asked for."""

    home: Path
    config: Config
    store: Store
    clock: Clock

    @property
    def var(self) -> Path:
        return self.home / "var"

    @property
    def templates(self) -> Path:
        return self.home / "templates"

    @property
    def secret_path(self) -> Path:
        return self.var / "secret.key"

    @property
    def week(self) -> Week:
        """The week that readers' weekly caps count, as it stands now."""
        return week_of(self.clock(), self.config.site.zone)

    @cached_property
    def secret(self) -> bytes:
        """The site's signing secret, made at the first run."""
        from digest.readers.tokens import load_secret

        return load_secret(self.secret_path)

    def signer(self, newsletter: Newsletter) -> Signer | None:
        """What signs its mails; None: nothing does, or who takes them in parts does so itself."""
        from digest.mail.letters import domain_of

        if isinstance(self.config.mailers[newsletter.mailer], ResendMailer | PostmarkMailer):
            return None
        return self._signers.get(domain_of(newsletter).lower())

    @cached_property
    def _signers(self) -> dict[str, Signer]:
        """By domain; their keys are read once."""
        return load_signers(self.home, self.config)

    def mailer(self, slug: str) -> Mailer:
        """The mailer of that name in config; nothing is connected yet."""
        settings = self.config.mailers[slug]
        if isinstance(settings, FileMailer):
            from digest.mail.mailers.file import MaildirMailer

            return MaildirMailer(self.home / settings.path, self.clock)
        if isinstance(settings, ResendMailer):
            from digest.mail.mailers.resend import ResendApi

            return ResendApi(settings, self.clock)
        if isinstance(settings, PostmarkMailer):
            from digest.mail.mailers.postmark import PostmarkApi

            return PostmarkApi(settings, self.clock)
        from digest.mail.mailers.smtp import RelayMailer

        return RelayMailer(settings, self.clock)

    def connections(self, slug: str) -> int:
        """How many connections to that mailer may be in use at once."""
        settings = self.config.mailers[slug]
        return settings.connections if isinstance(settings, SmtpMailer) else 1

    def mailer_key(self, slug: str) -> str:
        """Names a mailer and its place, so that no other one vouches for what it was told."""
        settings = self.config.mailers[slug]
        if isinstance(settings, FileMailer):
            return f"file {self.home / settings.path}"
        if isinstance(settings, ResendMailer):
            return f"resend {settings.api_url} {_account_of(settings.api_key)}"
        if isinstance(settings, PostmarkMailer):
            return f"postmark {settings.api_url} {_account_of(settings.server_token)}"
        return f"smtp {slug} {settings.host}:{settings.port}"

    def channel(self, slug: str) -> Channel:
        """The channel of that name in config, the same one each time; nothing is connected yet."""
        if slug not in self._channels:
            self._channels[slug] = self._new_channel(slug)
        return self._channels[slug]

    def limits(self, slug: str) -> Limits | None:
        """What the channel's account takes, asked once a day; None: as its network always does."""
        from digest.social.preview import preview_folder
        from digest.social.remembered import limits_of

        declared = self.config.channels[slug]
        if declared.kind == "preview":
            return None
        where = f"{declared.network} {declared.server}"
        folder = preview_folder(self.var) / "limits"
        return limits_of(slug, where, folder, lambda: self.channel(slug).limits(), self.clock())

    @cached_property
    def _channels(self) -> dict[str, Channel]:
        return {}

    def _new_channel(self, slug: str) -> Channel:
        from digest.social.preview import preview_folder

        declared, folder = self.config.channels[slug], preview_folder(self.var)
        if declared.kind == "preview":
            from digest.social.channels.preview import PreviewChannel
            from digest.social.networks import NETWORKS

            return PreviewChannel(folder, slug, NETWORKS[declared.network], self.clock)
        timeout, clock = float(declared.timeout_seconds), self.clock
        if declared.x is not None:
            from digest.social.channels.x import XChannel

            return XChannel(declared.x, timeout=timeout, clock=clock)
        if declared.mastodon is not None:
            from digest.social.channels.mastodon import MastodonChannel

            return MastodonChannel(declared.mastodon, timeout=timeout, clock=clock)
        from digest.social.channels.bluesky import BlueskyChannel

        assert declared.bluesky is not None
        session = folder / "sessions" / f"{slug}.session"
        return BlueskyChannel(declared.bluesky, session_file=session, timeout=timeout, clock=clock)

    def inbox(self, slug: str) -> Box:
        """The mailbox of that name in config; nothing is connected yet."""
        declared = self.config.inboxes[slug]
        if isinstance(declared, MaildirInbox):
            from digest.inbox.boxes.maildir import MaildirBox

            return MaildirBox(self.home / declared.path)
        if isinstance(declared, FileInbox):
            from digest.inbox.boxes.file import FileBox

            return FileBox(self.home / declared.path)
        from digest.inbox.boxes.imap import ImapBox

        return ImapBox(declared)

    def fetcher(self) -> Fetcher:
        from digest.feeds.fetch import Fetcher

        return Fetcher(self.config.site, self.clock)


@contextmanager
def bootstrap(home: Path | None = None, *, clock: Clock = utc_now) -> Iterator[App]:
    """Open the home folder's config and store, migrated; closes the store at the end.

    Raises ConfigError with every fault of config, UsageError where there is no home folder.
    """
    folder = find_home(home)
    config = load_config(folder)
    # Before the store and the logs, each of which would stumble over it with a traceback.
    make_folder(folder / "var")
    store = open_store(config.store, folder, os.environ.get("DIGEST_DATABASE_URL"))
    app = App(folder, config, store, clock)
    try:
        ensure_schema(store, backup=partial(_backup_before_migration, app))
        yield app
    finally:
        store.engine.dispose()


def _account_of(key: SecretStr) -> str:
    """Names an account, for another one knows nothing of what this one was told."""
    return hashlib.sha256(key.get_secret_value().encode()).hexdigest()[:12]


def _backup_before_migration(app: App, revision: str) -> None:
    from digest.store.backup import backup

    now = app.clock()
    folder = app.var / "backups"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"before-{revision}-{now:%Y%m%dT%H%M%SZ}.tar.gz"
    backup(app.store, app.secret_path, file, now)
