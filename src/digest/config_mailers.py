"""What an operator declares of mailers: where mail is submitted, how fast, and when not."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import date, time, timedelta
from typing import Annotated, Literal, NamedTuple, Self, TypeAlias, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from digest.config_types import Declared, HttpUrl, Line, Weekday


class Rate(NamedTuple):
    """So many in each period: "14/second", "50000/day"."""

    most: int
    period: timedelta


PERIODS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}


def _rate(value: object) -> object:
    found = re.fullmatch(r"([1-9]\d{0,8})/(\w+)", value) if isinstance(value, str) else None
    if found is None or found[2] not in PERIODS:
        raise ValueError(f"must be a number per {', '.join(PERIODS)}, such as 100/minute")
    return Rate(int(found[1]), PERIODS[found[2]])


def _domain(value: str) -> str:
    if value != "*" and not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", value):
        raise ValueError("must be a domain in small letters, such as gmail.com, or * for each")
    return value


def _rates(value: tuple[Rate, ...]) -> tuple[Rate, ...]:
    if len({rate.period for rate in value}) < len(value):
        raise ValueError("must name each period once; keep the smaller number")
    return value


Rates: TypeAlias = Annotated[
    tuple[Annotated[Rate, BeforeValidator(_rate)], ...], AfterValidator(_rates)
]
Domain = Annotated[str, AfterValidator(_domain)]


class Paced(Declared):
    """What every mailer may be told about its speed."""

    pace: Rates = ()
    """At most so many mails in any such period, over all newsletters, workers and restarts:
    `["14/second", "50000/day"]`."""
    domains: dict[Domain, Rates] = {}
    """The same for the addresses of one domain: `"gmail.com" = ["20/second"]`; `"*"` holds for
    each domain that is not named."""

    @property
    def limited(self) -> bool:
        """Whether anything is declared that must be counted."""
        return bool(self.pace) or any(self.domains.values())


class FileMailer(Paced):
    kind: Literal["file"]
    path: Line = "var/mail"


class SmtpMailer(Paced):
    kind: Literal["smtp"]
    host: Line
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: SecretStr = SecretStr("")
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 60
    messages_per_connection: Annotated[int, Field(ge=1)] = 500
    connections: Annotated[int, Field(ge=1, le=64)] = 4
    """How many are kept open at once; after a crash at most one mail on each is in doubt."""

    @model_validator(mode="after")
    def _logs_in_wholly(self) -> SmtpMailer:
        if self.username and not self.password.get_secret_value():
            raise ValueError("username needs a password; is its variable set?")
        return self


def _webhook_secret(value: SecretStr) -> SecretStr:
    head, mark, key = value.get_secret_value().partition("whsec_")
    try:
        read = b64decode(key, validate=True)
    except ValueError:
        read = b""
    if value.get_secret_value() and (head or not mark or not read):
        raise ValueError("must be as Resend shows it: whsec_ and what follows")
    return value


WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]


class ResendMailer(Paced):
    kind: Literal["resend"]
    api_key: SecretStr
    api_url: HttpUrl = "https://api.resend.com"
    webhook_secret: WebhookSecret = SecretStr("")
    """`whsec_...`, by which Resend signs what it tells us at `/hooks/NAME`; empty: it is not
    listened to."""
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 60
    requests_per_second: Annotated[int, Field(ge=1, le=100)] = 2


class PostmarkMailer(Paced):
    kind: Literal["postmark"]
    server_token: SecretStr
    message_stream: Line = "broadcast"
    api_url: HttpUrl = "https://api.postmarkapp.com"
    webhook_username: str = ""
    webhook_password: SecretStr = SecretStr("")
    """Postmark tells us at `/hooks/NAME` with these (Basic); empty: it is not listened to."""
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 60

    @model_validator(mode="after")
    def _listens_wholly(self) -> PostmarkMailer:
        if bool(self.webhook_username) != bool(self.webhook_password.get_secret_value()):
            raise ValueError("webhook_username and webhook_password belong together")
        return self


MailerSettings = Annotated[
    FileMailer | SmtpMailer | ResendMailer | PostmarkMailer, Field(discriminator="kind")
]


class DkimKey(Declared):
    """`[dkim.NAME]`: signs all mail from addresses of a domain (RFC 6376).

    Only where nobody behind us does: most relays sign, and faster.
    """

    # dkimpy folds longer ones in their middle, and then nobody finds the public key.
    domain: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", max_length=63)]
    selector: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$", max_length=63)
    ]
    key_file: Line
    """A private RSA key in PEM, below the home folder or absolute."""


WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
#: Calendars end some millennia later, and so would whoever looks for the next open day.
_LAST_YEAR = 2999


def _hours(value: object) -> object:
    found = re.fullmatch(r"(\d\d:\d\d)-(\d\d:\d\d)", value) if isinstance(value, str) else None
    try:
        begins, ends = (
            (
                time.fromisoformat(part.replace("24:00", "23:59:59.999999"))
                for part in found.groups()
            )
            if found
            else (time(), time())
        )
    except ValueError:
        begins = ends = time()
    if begins >= ends:
        raise ValueError("must be two times of one day, the earlier first: 08:00-20:00")
    return begins, ends


class SendWindow(Declared):
    """`[newsletters.SLUG.window]`: when mails may go out, on the clock of its time zone."""

    hours: Annotated[tuple[time, time], BeforeValidator(_hours)] | None = None
    """`08:00-20:00`; `24:00` is the end of the day."""
    days: tuple[Weekday, ...] = ()
    """`["mon", "tue"]`; none named: every day."""
    holidays: tuple[date, ...] = ()
    """Days on which nothing goes out: `[2026-12-25]`."""

    @model_validator(mode="after")
    def _opens(self) -> Self:
        for holiday in self.holidays:
            year = (holiday + timedelta(days=number) for number in range(1, 367))
            if holiday.year > _LAST_YEAR:
                raise ValueError(f"{holiday} is too far off")
            if not any(map(self.opens_on, year)):
                raise ValueError(f"stays shut for more than a year after {holiday}")
        return self

    def opens_on(self, day: date) -> bool:
        """Whether it opens on a day, at some hour."""
        on_weekday = not self.days or WEEKDAYS[day.weekday()] in self.days
        return on_weekday and day not in self.holidays

    def stays_open_from(self, day: date) -> bool:
        """Whether it shuts no more from a day on."""
        all_day = self.hours in {None, (time.min, time.max)}
        all_week = not self.days or set(self.days) == set(WEEKDAYS)
        return all_day and all_week and all(holiday < day for holiday in self.holidays)


Percent = Annotated[float, Field(gt=0, le=100)]


class Brakes(Declared):
    """`[newsletters.SLUG.brakes]`: an issue pauses by itself, and says why."""

    canary: Annotated[int, Field(ge=0)] = 0
    """So many recipients first; then it waits, and goes on if all is well. 0: no canary."""
    canary_minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)] = 30
    """How long it waits for what comes back about those."""
    refused_percent: Percent = 10.0
    """Of those tried since it was last let go: refused at once, or failed."""
    bounced_percent: Percent = 10.0
    """... whose mail came back later."""
    complained_percent: Percent = 0.5
    """... who called it spam."""
    after: Annotated[int, Field(ge=1)] = 100
    """With fewer tried than this, nothing is concluded; a canary is judged by itself."""
