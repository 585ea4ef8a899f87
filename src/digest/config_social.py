"""What an operator declares of channels: accounts, slots, forms of threads, hashtags, money."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from digest.config_types import Declared, Hashtag, HttpUrl, Line, Slug, Weekday, ZoneName

_HERE = {"localhost", "127.0.0.1", "::1"}


def may_carry_secrets(url: str) -> bool:
    """Whether nobody on the way can read what is sent there."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in _HERE


def _guarded(value: str) -> str:
    if not may_carry_secrets(value):
        raise ValueError("must be an https:// address: credentials travel there")
    return value.rstrip("/")


def _day_of_year(value: str) -> str:
    # A leap year, so that 02-29 is a day.
    try:
        date.fromisoformat(f"2024-{value}")
    except ValueError:
        raise ValueError("must be a month and day such as 11-01") from None
    return value


def _secret(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().strip():
        raise ValueError("empty; name an environment variable such as ${X_ACCESS_TOKEN}")
    return value


ServiceUrl = Annotated[HttpUrl, AfterValidator(_guarded)]
DayOfYear = Annotated[str, StringConstraints(pattern=r"^\d\d-\d\d$"), AfterValidator(_day_of_year)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=6)]

#: One thread for each post; one thread of a series that grows by each post; one snippet a post.
Form: TypeAlias = Literal["thread", "standing", "snippet"]


class Quiet(Declared):
    """Hours in which nothing goes out, on the wall clock of the slots; over midnight too."""

    after: time
    until: time

    @model_validator(mode="after")
    def _not_all_day(self) -> Quiet:
        if self.after == self.until:
            raise ValueError("after and until must differ: this would be the whole day")
        return self


class Slots(Declared):
    """When a channel publishes, in its own time zone."""

    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1)] = (
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
    )
    times: Annotated[tuple[time, ...], Field(min_length=1)] = (time(9, 30),)
    pace_minutes: Annotated[int, Field(ge=0, le=1440)] = 2
    """Between two snippets of one thread; of no account on Bluesky, where it goes out at once."""
    quiet: Quiet | None = None
    time_zone: ZoneName | None = None


class XAccount(Declared):
    """`[channels.SLUG.x]`: OAuth 1.0a keys of an app and of the account, which do not expire."""

    consumer_key: Secret
    consumer_secret: Secret
    access_token: Secret
    access_token_secret: Secret
    api_url: ServiceUrl = "https://api.twitter.com"
    """Signatures are made for this host."""


class MastodonAccount(Declared):
    """`[channels.SLUG.mastodon]`: an account on an instance, by an access token of it."""

    url: ServiceUrl
    """The instance, such as https://mastodon.social."""
    access_token: Secret
    replies: Literal["unlisted", "public"] = "unlisted"
    """Who is shown the snippets after the first, which is public, so that its tags are found."""


class BlueskyAccount(Declared):
    """`[channels.SLUG.bluesky]`: an account, by an app password."""

    identifier: Line
    """Handle or DID."""
    app_password: Secret
    service: ServiceUrl = "https://bsky.social"
    """The account's own PDS, or the entryway that knows it."""


class Tagging(Declared):
    """`hashtags` of a channel: which stand in its snippets, and where."""

    most: Annotated[int, Field(ge=0, le=10)] = 3
    """On one snippet; the campaign tag of the thread, which comes first, is one of them."""
    on: Literal["root", "every"] = "root"
    """Which snippets bear tags that stand in no text of theirs."""
    in_text: bool = True
    """Turn the first mention of a tag's words into the tag instead of adding the tag."""
    categories: bool = False
    """Make tags of the post's own categories too."""


class Hashtags(Declared):
    """`[hashtags]`: what holds for the tags of all channels."""

    block: tuple[Hashtag, ...] = ()
    """Never used, in whatever case."""
    spelling: tuple[Hashtag, ...] = ()
    """Tags as they are written: "PbR", "SocialCareFuture". Screen readers need the capitals."""


class Prices(Declared):
    """What an account pays for a call, in US dollars."""

    create: Dollars = Decimal(0)
    create_with_link: Dollars = Decimal(0)
    delete: Dollars = Decimal(0)
    read: Dollars = Decimal(0)
    """For each post that is read back."""
    media: Dollars = Decimal(0)
    """For the alt text of one picture."""


#: https://docs.x.com/x-api/getting-started/pricing, as of November 2026.
X_PRICES = Prices(
    create=Decimal("0.015"),
    create_with_link=Decimal("0.200"),
    delete=Decimal("0.010"),
    read=Decimal("0.001"),
    media=Decimal("0.005"),
)


class Season(Declared):
    """Part of the year, both days included; over New Year too."""

    first: DayOfYear
    last: DayOfYear


class Evergreen(Declared):
    """`evergreen` of a channel: old posts of a series brought back in turn, a snippet each."""

    series: Annotated[tuple[Slug, ...], Field(min_length=1)]
    every_days: Annotated[int, Field(ge=1, le=365)] = 7
    """At most one in so many days on this channel."""
    cool_down_days: Annotated[int, Field(ge=1, le=3650)] = 180
    """So long after a post was last on this channel, or arrived, it is left alone."""
    most_repeats: Annotated[int, Field(ge=1, le=20)] = 3
    """Each has a text of its own: templates/social/again/1.txt, 2.txt, ..."""
    season: Season | None = None
    oldest_years: Annotated[int, Field(ge=1, le=50)] | None = None
    """Posts published longer ago stay in the archive."""


class Channel(Declared):
    """`[channels.SLUG]`: an account on a network; `preview` shows instead of posting."""

    network: Literal["x", "mastodon", "bluesky"]
    kind: Literal["preview", "account"] = "preview"
    x: XAccount | None = None
    mastodon: MastodonAccount | None = None
    bluesky: BlueskyAccount | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=300)] = 30

    series: tuple[Slug, ...] | Literal["all"] = "all"
    themes: tuple[Slug, ...] = ()
    since: AwareDatetime | None = None
    """Posts that arrived before are not threaded; default: seven days before the first plan."""
    form: Form = "thread"
    forms: dict[Slug, Form] = {}
    """By series, where one has a form of its own."""
    tail_gone: Literal["last-alive", "new", "stop"] = "last-alive"
    """Where the end of a standing thread was deleted on the network: answer the last snippet
    that is alive, begin a new thread, or hold it for an editor."""
    max_items: Annotated[int, Field(ge=1, le=25)] = 6
    text: Literal["key", "whole"] = "key"
    """What a thread says: the key sentences of the post, or all of it."""
    link: Literal["last", "root", "every"] = "last"
    """Which snippets bear the link to the post. X charges for each."""
    card: bool = True
    """Bluesky: show the link as a card too."""
    pictures: bool = True
    alt_text: Literal["required", "wanted"] = "required"
    """A picture without alt text is left out, or goes out without it; the plan says which."""
    hashtags: Tagging = Tagging()
    slots: Slots = Slots()
    max_late_hours: Annotated[int, Field(ge=1, le=24 * 14)] = 24
    """So long after its slot a thread is given up: after an outage no backlog floods anyone."""
    template: Slug = "thread"
    evergreen: Evergreen | None = None

    half_posted: Literal["go-on", "roll-back"] = "go-on"
    """What becomes of a thread of which a snippet was refused or came too late: what is out
    stays, or is taken down again."""
    edited_before: Literal["render", "hold", "cancel"] = "render"
    """A post edited between plan and slot: its thread is made anew, waits for an editor, or is
    given up."""
    gone_before: Literal["hold", "cancel"] = "cancel"
    edited_after: Literal["edit", "tell", "leave"] = "tell"
    """A post edited after its thread went out: edit the snippets where the network can (on X
    somebody is told), tell somebody, or leave it."""
    gone_after: Literal["undo", "tell", "leave"] = "tell"

    prices: Prices | None = None
    """Default: X's list prices on X, nothing elsewhere."""
    monthly_cap: Dollars | None = None
    """In US dollars, by calendar month in UTC; what would go over it waits."""

    @model_validator(mode="after")
    def _has_its_account(self) -> Channel:
        own = getattr(self, self.network)
        if self.kind == "account" and own is None:
            raise ValueError(f'kind = "account" needs a table {self.network} with its keys')
        for other in {"x", "mastodon", "bluesky"} - {self.network}:
            if getattr(self, other) is not None:
                raise ValueError(f"has keys for {other}, but its network is {self.network}")
        return self

    @property
    def server(self) -> str:
        """Where its account is; empty for a preview."""
        if self.mastodon is not None:
            return self.mastodon.url
        if self.bluesky is not None:
            return self.bluesky.service
        return self.x.api_url if self.x is not None else ""

    @property
    def price_list(self) -> Prices:
        """What its calls cost."""
        if self.prices is not None:
            return self.prices
        return X_PRICES if self.network == "x" else Prices()

    @property
    def bill(self) -> Prices:
        """What its calls are charged with: a preview costs nothing, whatever it shows."""
        return self.price_list if self.kind == "account" else Prices()

    @property
    def goes_at_once(self) -> bool:
        """Whether the network takes a thread whole, so that it has no pace."""
        return self.network == "bluesky"

    def form_of(self, scope: str) -> Form:
        """The form of threads of a scope such as "series:ipc"; themes never stand."""
        kind, _, slug = scope.partition(":")
        if kind == "series":
            return self.forms.get(slug, self.form)
        return "thread" if self.form == "standing" else self.form
