"""What an operator declares in `config/*.toml`, as frozen values.

Every top-level table may stand in any file of the folder; `digest.settings` reads
and merges them and reports every fault at once. Unknown keys are faults. What is declared of
channels stands in `digest.config_social`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, SecretStr, StringConstraints

from digest.config_inboxes import Inbox  # noqa: TC001  pydantic reads it
from digest.config_mailers import Brakes, DkimKey, MailerSettings, SendWindow
from digest.config_social import Channel, Hashtags
from digest.config_types import (
    Address,
    ApiUrl,
    Cron,
    Declared,
    Hashtag,
    HttpUrl,
    Language,
    Line,
    Network,
    Origin,
    Pattern,
    Slug,
    Term,
    ZoneName,
)
from digest.model import Rhythm

#: What becomes of an issue that nobody decided on in time, or whose run came too late:
#: it goes out, waits for an editor, or leaves its posts to the next issue.
Policy: TypeAlias = Literal["send", "hold", "roll"]


class Site(Declared):
    """`[site]`: the blog, and who writes."""

    name: Line
    url: HttpUrl
    contact: Line
    """A URL or address that the User-Agent names, for the owners of the feeds read."""
    postal_address: Line
    """Shown in every mail; CAN-SPAM asks for it."""
    links_url: HttpUrl
    """Where readers' pages answer: the base of unsubscribe links."""
    language: Language = "en-GB"
    time_zone: ZoneName = "Europe/London"
    own_hosts: tuple[Line, ...] = ()
    """Hosts whose links get UTM parameters, beside the site's own."""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class StoreSettings(Declared):
    """`[store]`: where the ledger is kept."""

    url: Line = "sqlite:///var/digest.db"
    """`sqlite:///PATH` from the home folder, `postgresql://...`, or `embedded`: the PostgreSQL
    that `digest up` runs.

    The environment's DIGEST_DATABASE_URL overrides it."""
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    """SQLite only. NORMAL survives kill -9; FULL survives a power cut too, more slowly."""


class Feed(Declared):
    """`[feeds.SLUG]`."""

    url: HttpUrl
    paging: Literal["wordpress", "none"] = "wordpress"
    """WordPress pages with `?paged=N`."""
    max_pages: Annotated[int, Field(ge=1, le=1000)] = 100
    timeout_seconds: Annotated[int, Field(ge=1, le=120)] = 20
    allow_private: bool = False
    """Let this feed, and no other, be on a loopback or private address."""


class Matcher(Declared):
    """How posts are found; any one match is enough."""

    categories: tuple[Line, ...] = ()
    """Category or tag, compared without case."""
    titles: tuple[Pattern, ...] = ()
    """Regular expressions searched in the title, without case."""
    phrases: tuple[Line, ...] = ()
    """Words found in the text as written, without case; white space and curly quotes folded."""
    hashtags: tuple[Hashtag, ...] = ()
    """Hashtags in title or text, without the #."""
    urls: tuple[HttpUrl, ...] = ()
    """Posts named one by one, by URL."""


class Order(Declared):
    """The order of a series where it is not the order of publication.

    Each entry is a regular expression searched in the title, or a post's URL.
    """

    first: tuple[Pattern, ...] = ()
    last: tuple[Pattern, ...] = ()
    listed: tuple[Pattern, ...] = ()
    """An explicit order; posts it does not name follow in order of publication."""


class Series(Declared):
    """`[series.SLUG]`."""

    title: Line
    hashtag: Hashtag
    description: str = ""
    match: Matcher
    exclude: Matcher = Matcher()
    order: Order = Order()


class Theme(Declared):
    """`[themes.SLUG]`: found by weighted terms in title, tags and text."""

    title: Line
    hashtag: Hashtag
    terms: dict[Term, Annotated[float, Field(gt=0, le=10)]]
    """Term to weight. A trailing * matches any ending: "integrat*"."""
    threshold: Annotated[float, Field(gt=0)] = 6.0
    """The score from which a post is on the theme."""
    exclude: Matcher = Matcher()


class PicksFrom(Declared):
    """What a newsletter picks from: all posts, or those of the series and themes named."""

    series: tuple[Slug, ...] = ()
    themes: tuple[Slug, ...] = ()

    @property
    def groups(self) -> frozenset[str]:
        return frozenset(
            [f"series:{slug}" for slug in self.series] + [f"theme:{slug}" for slug in self.themes]
        )


class Newsletter(Declared):
    """`[newsletters.SLUG]`."""

    title: Line
    from_name: Line
    from_address: Address
    bounce_address: Address
    """Envelope sender: where bounces go."""
    verp: bool = True
    """Each mail's bounces go to an address of its own, `bounces+TOKEN@...`, so that they are
    told apart. The mail server must deliver those to the same mailbox, as most do."""
    reply_to: Address
    unsubscribe_mailto: Address
    list_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+$", max_length=255)]
    mailer: Slug
    cadence: Literal["weekly", "monthly"] = "weekly"
    template: Slug = "weekly"
    series_template: Slug = "series"
    picks_from: PicksFrom = PicksFrom()
    window_days: Annotated[int, Field(ge=1, le=400)] = 28
    """How long a post stays a candidate after it arrived; what the cap cut off stays longer."""
    begins: AwareDatetime | None = None
    """Posts that arrived before are archive; default: one period before the first issue."""
    cap: Annotated[int, Field(ge=1, le=60)] = 12
    cap_per_series: Annotated[int, Field(ge=1, le=60)] = 3
    minimum: Annotated[int, Field(ge=1)] = 1
    """With fewer posts than this the issue is skipped and its posts wait for the next."""
    pinned: tuple[Line, ...] = ()
    """URLs or guids of posts that come first."""
    excluded: tuple[Line, ...] = ()
    """URLs or guids of posts that are never picked."""
    approval: Literal["required", "none"] = "required"
    answer_within_hours: Annotated[int, Field(ge=1, le=24 * 60)] = 48
    """How long a draft may wait for an editor's decision."""
    unanswered: Policy = "hold"
    """What becomes of a draft that nobody decided on in time; with preflight errors it is held."""
    late: Policy = "roll"
    """What becomes of an issue whose scheduled run came later than its flow allows."""
    introduction: str = ""
    description: str = ""
    """What it is, in a sentence or two: on the sign-up page, in the archive, in link previews."""
    rhythms: tuple[Rhythm, ...] = ()
    """What readers may choose; default: the newsletter's cadence alone. Each needs a schedule."""
    sign_up: Literal["open", "closed"] = "open"
    """Closed: on no form; readers are added by the operator."""
    archive: Literal["public", "unlisted", "off"] = "unlisted"
    """What went out may be read by anyone: "public" with search engines and link previews
    welcome, "unlisted" with both kept out, "off" not at all."""
    window: SendWindow = SendWindow()
    """When its mails may go out; default: at any time."""
    brakes: Brakes = Brakes()
    """What makes it stop by itself while it goes out."""
    utm: dict[Annotated[str, StringConstraints(pattern=r"^utm_[a-z]+$")], Line] = {}
    time_zone: ZoneName | None = None
    """Default: the site's."""


class Web(Declared):
    """`[web]`: the pages."""

    consent: Line = (
        "Send me what I chose by e-mail. I can leave at any time, with one click in every mail."
    )
    """What readers agree to when they sign up; kept with each consent as it stood."""
    privacy_url: HttpUrl | None = None
    """The page that says what is done with addresses; linked beside the consent."""
    embed_on: tuple[Origin, ...] = ()
    """Sites that may show the sign-up form in a frame: `https://blog.example`."""
    trusted_proxies: tuple[Network, ...] = ()
    """Addresses or networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""


#: The flows there are, and after how many minutes a scheduled run of each came too late. What
#: runs often is skipped when late, for the next run does the same work.
FLOWS: dict[str, int] = {
    "refresh-feeds": 120,
    "weekly-digest": 24 * 60,
    "series-digest": 24 * 60,
    "theme-digest": 24 * 60,
    "each-post": 60,
    "send-issue": 24 * 60,
    "stop-issue": 120,
    "queue-social": 120,
    "publish-social": 30,
    "settle": 120,
    "housekeeping": 60,
}

#: What each flow may be asked, as in its form. Flows that can change something take `dry_run`.
PARAMETERS: dict[str, dict[str, type]] = {
    "refresh-feeds": {"feed": str},
    "weekly-digest": {"newsletter": str, "rhythm": str, "edition": int, "dry_run": bool},
    "series-digest": {
        "series": str,
        "newsletter": str,
        "repeat": bool,
        "edition": int,
        "dry_run": bool,
    },
    "theme-digest": {
        "theme": str,
        "newsletter": str,
        "repeat": bool,
        "edition": int,
        "dry_run": bool,
    },
    "each-post": {"newsletter": str, "dry_run": bool},
    "send-issue": {"issue": int, "dry_run": bool},
    "stop-issue": {"issue": int, "decision": str, "approver": str, "dry_run": bool},
    "queue-social": {"channel": str, "dry_run": bool},
    "publish-social": {"channel": str, "dry_run": bool},
    "settle": {"issue": int, "decision": str, "approver": str, "dry_run": bool},
    "housekeeping": {"dry_run": bool},
}

#: What a flow cannot run without.
REQUIRED: dict[str, tuple[str, ...]] = {
    "series-digest": ("series",),
    "theme-digest": ("theme",),
    "send-issue": ("issue",),
    "stop-issue": ("issue", "decision", "approver"),
    "settle": ("issue", "decision", "approver"),
}

#: Parameters with a choice that config does not change.
CHOICES: dict[str, tuple[str, ...]] = {"rhythm": (Rhythm.WEEKLY.value, Rhythm.MONTHLY.value)}

#: What stands for every one of its kind, first in its drop-down.
ALL = "all"


class Schedule(Declared):
    """`[flows.FLOW.schedules.NAME]`: when a flow runs by itself."""

    cron: Cron
    """Five fields, on the wall clock of the time zone: `0 8 * * 1`."""
    time_zone: ZoneName | None = None
    """Default: the newsletter's, else the site's."""
    parameters: dict[str, Any] = {}
    """What the flow is asked, as in its form: `newsletter = "weekly"`."""


class FlowSettings(Declared):
    """`[flows.FLOW]`."""

    late_after_minutes: Annotated[int, Field(ge=1)] | None = None
    """A scheduled run that starts later than this came too late; each flow has a default."""
    schedules: dict[Slug, Schedule] = {}


class PrefectSettings(Declared):
    """`[prefect]`: where Prefect's server answers. PREFECT_API_URL overrides it."""

    api_url: ApiUrl = "http://127.0.0.1:4200/api"
    """Of the API; the UI is the same address without `/api`."""
    database: Literal["postgresql", "sqlite"] = "postgresql"
    """What `digest up` runs Prefect on. On SQLite an editor's Resume is refused now and then."""
    work_pool: Slug | None = None
    """The pool that deployments go to where they are not served on this machine."""


class Alerts(Declared):
    """`[alerts]`: who is told of failed, crashed and silently dead runs."""

    apprise_url: SecretStr = SecretStr("")
    """An Apprise address such as `mailtos://...` or `slack://...`; empty: nobody is told."""


class Config(Declared):
    """Everything declared, validated."""

    site: Site
    store: StoreSettings = StoreSettings()
    mailers: dict[Slug, MailerSettings]
    dkim: dict[Slug, DkimKey] = {}
    feeds: dict[Slug, Feed]
    series: dict[Slug, Series] = {}
    themes: dict[Slug, Theme] = {}
    newsletters: dict[Slug, Newsletter]
    channels: dict[Slug, Channel] = {}
    inboxes: dict[Slug, Inbox] = {}
    hashtags: Hashtags = Hashtags()
    flows: dict[Slug, FlowSettings] = {}
    prefect: PrefectSettings = PrefectSettings()
    web: Web = Web()
    alerts: Alerts = Alerts()

    def zone_of(self, newsletter: Newsletter) -> ZoneInfo:
        return ZoneInfo(newsletter.time_zone or self.site.time_zone)


def rhythms_of(newsletter: Newsletter) -> tuple[Rhythm, ...]:
    """What readers may choose, the newsletter's own first."""
    own = rhythm_of(newsletter)
    return (own, *(rhythm for rhythm in newsletter.rhythms if rhythm is not own))


def served_rhythms(config: Config, slug: str) -> set[Rhythm]:
    """The rhythms of a newsletter that schedules of config send in earnest."""
    first = next(iter(config.newsletters))
    said = [
        schedule.parameters.get("rhythm", default)
        for flow, default in (("weekly-digest", Rhythm.WEEKLY), ("each-post", Rhythm.EACH_POST))
        for schedule in config.flows.get(flow, FlowSettings()).schedules.values()
        if schedule.parameters.get("dry_run") is False
        and (schedule.parameters.get("newsletter") or first) == slug
    ]
    return {rhythm for rhythm in Rhythm if rhythm in said}


def rhythm_of(newsletter: Newsletter) -> Rhythm:
    """The rhythm that the newsletter's own cadence serves."""
    return Rhythm(newsletter.cadence)


def lateness_limit(config: Config, flow: str) -> timedelta:
    """After how long a scheduled run of the flow came too late."""
    declared = config.flows.get(flow, FlowSettings()).late_after_minutes
    return timedelta(minutes=declared or FLOWS[flow])


def zone_of_schedule(config: Config, schedule: Schedule) -> ZoneInfo:
    """The schedule's own zone, else that of the newsletter it is about, else the site's."""
    newsletter = config.newsletters.get(schedule.parameters.get("newsletter", ""))
    if schedule.time_zone:
        return ZoneInfo(schedule.time_zone)
    return config.zone_of(newsletter) if newsletter else config.site.zone
