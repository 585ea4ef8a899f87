"""The kinds of values that config is made of, each with the check that says what is wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\r\n]+$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

#: ISO 639-1. Codes of three letters are taken as they are.
_LANGUAGES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da
de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz
ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln
lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi
pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti
tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""

_CRON_FIELDS = 5
_NO_CRON = "not a cron expression of five fields such as 0 8 * * 1"


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an absolute http:// or https:// address")
    if not _has_good_port(parts):
        raise ValueError("must have a port between 1 and 65535, or none and no colon")
    return value


def _has_good_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:
        return False


def _api_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.query or parts.fragment or not parts.path.rstrip("/").endswith("/api"):
        raise ValueError("must be the address of Prefect's API, which ends in /api")
    return value


def _time_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"no such time zone {value!r}; use an IANA name such as Europe/London")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return value


def _hashtag(value: str) -> str:
    if not re.fullmatch(r"\w+", value) or value.isdigit():
        raise ValueError("letters, digits and _ only, not digits alone, and without the #")
    return value


def _term(value: str) -> str:
    if not re.fullmatch(r"(\w+|\w{2,}\*)([ -](\w+|\w{2,}\*))*", value):
        raise ValueError(
            "must be words of letters and digits, parted by a space or hyphen;"
            " * only at the end of a word, after at least two letters"
        )
    return value


def _address(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+", value):
        raise ValueError("must be a plain e-mail address such as digest@example.org")
    return value


def _language(value: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", value) or (
        value.partition("-")[0] not in _LANGUAGES.split() and not re.match(r"[a-z]{3}\b", value)
    ):
        raise ValueError("no such language; use a code such as en, en-GB or cy (ISO 639-1)")
    return value


def _cron(value: str) -> str:
    fields = value.split()
    if len(fields) != _CRON_FIELDS:
        raise ValueError(_NO_CRON)
    # The moment is of no account: only the expression is read.
    try:
        CronSim(value, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f"{_NO_CRON}: {error}") from None
    for part in (part for field in fields for part in field.split(",")):
        _plain(part)
    _days_of_one_meaning(day=fields[2], weekday=fields[4])
    return value


# Prefect, which starts the runs, reads cron with another parser than `digest overdue`: what the
# two do not agree on is refused.


def _plain(part: str) -> None:
    if re.match(r"\w+/", part):
        raise ValueError(f"{part}: a step needs * or a range, such as */2 or 1-5/2")
    if re.fullmatch(r"(\w+)-\1(/.*)?", part):
        raise ValueError(f"{part}: a range of one; say it without the -")


def _days_of_one_meaning(*, day: str, weekday: str) -> None:
    if "W" in day.upper() or "L" in weekday.upper():
        raise ValueError("Prefect knows neither W nor the L of a weekday; name the days")
    if "*" in {day, weekday}:
        mixed = "#" in weekday and not all("#" in part for part in weekday.split(","))
    else:
        mixed = any(sign in day + weekday for sign in "#*")
    if mixed:
        raise ValueError(
            "these days of the month and weekdays can be read in two ways; make it two schedules"
        )


def _origin(value: str) -> str:
    parts = urlsplit(_http_url(value))
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be scheme and host alone, such as https://blog.example")
    return value


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError:
        raise ValueError("must be an IP address or network such as 10.0.0.0/8") from None


HttpUrl = Annotated[str, AfterValidator(_http_url)]
ApiUrl = Annotated[HttpUrl, AfterValidator(_api_url)]
ZoneName = Annotated[str, AfterValidator(_time_zone)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Hashtag = Annotated[str, AfterValidator(_hashtag)]
Term = Annotated[str, AfterValidator(_term)]
Address = Annotated[str, AfterValidator(_address)]
Cron = Annotated[str, AfterValidator(_cron)]
Origin = Annotated[str, AfterValidator(_origin)]
Network = Annotated[str, AfterValidator(_network)]
Language = Annotated[str, AfterValidator(_language)]


class Declared(BaseModel):
    """Base of every table: frozen, and a key nobody knows is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
