"""Finds the home folder and reads `config/*.toml`, with every fault told at once.

A string in config may name an environment variable: `${SMTP_PASSWORD}`, or
`${PORT:-8765}` with a value for when it is not set. Secrets stand there, never
in a file that is in git.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr, ValidationError

from digest.config import (
    ALL,
    CHOICES,
    FLOWS,
    PARAMETERS,
    REQUIRED,
    Config,
    rhythms_of,
    served_rhythms,
)
from digest.config_mailers import FileMailer, SmtpMailer
from digest.config_social import Channel
from digest.errors import ConfigError, Problem, UsageError
from digest.model import Rhythm
from digest.social.declared import channel_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from digest.config_mailers import MailerSettings
    from digest.mail.dkim import Signer

_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(?::-([^}]*))?\}")

#: This machine, to itself.
_HERE = ("localhost", "127.0.0.1", "::1")

#: Tables whose entries are named by the operator, and may come from several files.
_NAMED = (
    "mailers",
    "dkim",
    "inboxes",
    "feeds",
    "series",
    "themes",
    "newsletters",
    "channels",
    "flows",
)

#: Tables whose entries are of several kinds; pydantic names the kind after the entry.
_OF_KINDS = {
    "mailers": ("file", "smtp", "resend", "postmark"),
    "inboxes": ("maildir", "file", "imap"),
}
_KINDS = tuple(kind for kinds in _OF_KINDS.values() for kind in kinds)

#: Parameters of flows that name something of config, and where that is declared.
_NAMING = {
    "newsletter": "newsletters",
    "series": "series",
    "theme": "themes",
    "feed": "feeds",
    "channel": "channels",
}

#: Those of them that may name all there are.
_TAKING_ALL = ("feed", "channel")

_TYPE_NAMES = {str: "string", int: "integer", bool: "boolean"}

_ALL_FLOWS = ", ".join(FLOWS)


def find_home(option: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """The home folder: `--home`, else DIGEST_HOME, else the current folder.

    Raises UsageError where it holds no `config/`.
    """
    home = (option or Path(environment.get("DIGEST_HOME") or ".")).resolve()
    if not (home / "config").is_dir():
        raise UsageError(
            f"{home} has no config/ folder; go to your digest folder, or name it with --home DIR"
        )
    return home


def load_config(home: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read, merge and validate `config/*.toml`. Raises ConfigError with every problem."""
    reading = _Reading(environment)
    for path in sorted((home / "config").glob("*.toml")):
        reading.add(path, path.relative_to(home).as_posix())
    config: Config | None = None
    try:
        config = Config.model_validate(reading.tables)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        found = (_problem(fault, reading.origins) for fault in faults)
        # What an unset variable left empty is no fault of its own.
        unset = {(problem.file, problem.key) for problem in reading.problems}
        reading.problems += [p for p in found if (p.file, p.key) not in unset]
    reading.problems += _dangling(reading.tables, reading.origins)
    reading.problems += _misasked(reading.tables, reading.origins)
    reading.problems += _of_channels(reading.tables, reading.origins)
    if config is not None:
        reading.problems += _out_of_reach(config, reading.origins)
        reading.problems += _unserved(config, reading.origins)
        reading.problems += _unsigned(home, config)
    if config is None or reading.problems:
        raise ConfigError(set(reading.problems))
    return config


def load_signers(home: Path, config: Config) -> dict[str, Signer]:
    """Read the keys that mail is signed with; what signs, by the domain that it signs for.

    Raises ConfigError for every key that cannot sign, and for a domain's second one.
    """
    if not config.dkim:
        return {}
    from digest.mail.dkim import load_signer

    signers: dict[str, Signer] = {}
    problems = []
    for name, declared in config.dkim.items():
        signer = load_signer(declared, home)
        if declared.domain in signers:
            message = f"{declared.domain} has a key already; keep one of them"
            problems.append(Problem(file_of(home, "dkim", name), f"dkim.{name}.domain", message))
        elif isinstance(signer, str):
            problems.append(Problem(file_of(home, "dkim", name), f"dkim.{name}.key_file", signer))
        else:
            signers[declared.domain] = signer
    if problems:
        raise ConfigError(problems)
    return signers


def file_of(home: Path, *keys: str) -> str:
    """The file of a readable config that declares a table."""
    for path in sorted((home / "config").glob("*.toml")):
        table: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        for key in keys:
            table = table.get(key) if isinstance(table, dict) else None
        if table is not None:
            return path.relative_to(home).as_posix()
    return "config/*.toml"


def flow_file(name: str) -> str:
    """Where a flow stands in the home folder."""
    return f"flows/{name.replace('-', '_')}.py"


def missing_flows(home: Path) -> list[Problem]:
    """Every flow that has no file in the home folder."""
    return [
        Problem(flow_file(name), "", f"missing; it holds the flow {name}")
        for name in FLOWS
        if not (home / flow_file(name)).is_file()
    ]


#: Where a value stands: ("newsletters", "weekly", "cap").
Keys = tuple[str, ...]


@dataclass(slots=True)
class _Reading:
    """The files read so far, as one table; where each part stands; what was wrong."""

    environment: Mapping[str, str]
    tables: dict[str, Any] = field(default_factory=dict)
    origins: dict[Keys, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, path: Path, file: str) -> None:
        try:
            read = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self.problems.append(Problem(file, "", f"not readable as TOML: {error}"))
            return
        for section, value in read.items():
            if section in _NAMED and isinstance(value, dict):
                for name, entry in value.items():
                    self._put((section, name), entry, file)
            else:
                self._put((section,), value, file)

    def _put(self, path: Keys, value: Any, file: str) -> None:
        if path in self.origins:
            message = f"stands in {self.origins[path]} already; keep one of them"
            self.problems.append(Problem(file, ".".join(path), message))
            return
        self.origins[path] = file
        target = self.tables
        for step in path[:-1]:
            target = target.setdefault(step, {})
        target[path[-1]] = self._expand(value, path, file)

    def _expand(self, value: Any, path: Keys, file: str) -> Any:
        """Put environment variables into every string of a TOML value."""
        if isinstance(value, dict):
            return {key: self._expand(item, (*path, key), file) for key, item in value.items()}
        if isinstance(value, list):
            return [self._expand(item, path, file) for item in value]
        if not isinstance(value, str):
            return value

        def lookup(match: re.Match[str]) -> str:
            default: str | None = match[2]
            found = self.environment.get(match[1], default)
            if found is None:
                message = f"environment variable {match[1]} is not set; export it"
                self.problems.append(Problem(file, ".".join(path), message))
            return found or ""

        return _VARIABLE.sub(lookup, value)


def _problem(fault: Any, origins: dict[Keys, str]) -> Problem:
    location = tuple(str(part) for part in fault["loc"])
    key = ".".join(part for part in _without_kind(location) if part != "[key]")
    return Problem(_file_of(location, origins), key, _message(fault, location))


def _without_kind(location: Keys) -> Keys:
    section, kind = location[0] if location else "", location[2:3]
    if kind and kind[0] in _OF_KINDS.get(section, ()):
        return location[:2] + location[3:]
    return location


def _file_of(location: tuple[str, ...], origins: dict[Keys, str]) -> str:
    for length in (2, 1):
        if location[:length] in origins:
            return origins[location[:length]]
    inside = [file for path, file in origins.items() if path[:1] == location[:1]]
    return inside[0] if inside else "config/*.toml"


#: What Pydantic says of these names no cure.
_PLAINLY = {
    "tuple_type": "must be a list: put it in square brackets",
    "date_from_datetime_parsing": "must be a date without quotes, such as 2026-12-25",
}


def _message(fault: Any, location: tuple[str, ...]) -> str:
    if fault["type"] == "extra_forbidden":
        return _unknown_key(location)
    if fault["type"] == "missing":
        return "missing; add it"
    if fault["type"].startswith("timezone"):
        return "needs an offset from UTC, such as 2026-01-01T00:00:00+00:00"
    message = _PLAINLY.get(fault["type"]) or str(fault["msg"]).removeprefix("Value error, ")
    given = fault.get("input")
    shown = isinstance(given, (str, int, float, bool)) and not _tells_secrets(given, location)
    return f"{message} (it is {given!r})" if shown else message


def _tells_secrets(given: Any, location: tuple[str, ...]) -> bool:
    """Whether a value must not be repeated: it stands where secrets do, or holds a password."""
    if isinstance(given, str) and "@" in given and "://" in given:
        return True
    return any(_holds_secrets(found) for found in _at(Config, location))


def _holds_secrets(annotation: Any) -> bool:
    if _is_model(annotation):
        return any(_holds_secrets(one.annotation) for one in annotation.model_fields.values())
    if annotation is SecretStr:
        return True
    return any(_holds_secrets(argument) for argument in get_args(annotation))


def _unknown_key(location: tuple[str, ...]) -> str:
    allowed = sorted(_fields(Config, location[:-1]))
    near = get_close_matches(location[-1], allowed, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown key; {hint}Allowed: {', '.join(allowed)}"


def _fields(annotation: Any, path: tuple[str, ...]) -> set[str]:
    """The keys allowed in the table at `path` below a model, dict or union of them."""
    tables = (found for found in _at(annotation, path) if _is_model(found))
    return {key for table in tables for key in table.model_fields}


def _at(annotation: Any, path: tuple[str, ...]) -> list[Any]:
    """What may stand at `path` below a model, dict or union of them: models and other types."""
    if _is_model(annotation):
        if not path:
            return [annotation]
        found = annotation.model_fields.get(path[0])
        return _at(found.annotation, path[1:]) if found else []
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return _at(arguments[1], path[1:]) if path else []
    if not arguments:
        return [annotation]
    if path and path[0] in _KINDS:
        path = path[1:]
    return [found for argument in arguments for found in _at(argument, path)]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _dangling(tables: Mapping[str, Any], origins: Mapping[Keys, str]) -> list[Problem]:
    """References in config that lead nowhere; told whatever else is wrong."""
    problems: list[Problem] = []

    def check(path: Keys, names: Any, section: str) -> None:
        known = _table(tables.get(section))
        for name in names if isinstance(names, list) else [names]:
            if isinstance(name, str) and name not in known:
                allowed = ", ".join(sorted(known)) or "none is configured"
                message = f"no {name!r}; allowed: {allowed}"
                problems.append(Problem(origins[path[:2]], ".".join(path), message))

    for slug, newsletter in _table(tables.get("newsletters")).items():
        declared, path = _table(newsletter), ("newsletters", slug)
        check((*path, "mailer"), declared.get("mailer"), "mailers")
        picks_from = _table(declared.get("picks_from"))
        check((*path, "picks_from", "series"), picks_from.get("series"), "series")
        check((*path, "picks_from", "themes"), picks_from.get("themes"), "themes")
    for slug, channel in _table(tables.get("channels")).items():
        declared, path = _table(channel), ("channels", slug)
        if declared.get("series") != "all":
            check((*path, "series"), declared.get("series"), "series")
        check((*path, "themes"), declared.get("themes"), "themes")
        check((*path, "forms"), list(_table(declared.get("forms"))), "series")
        evergreen = _table(declared.get("evergreen"))
        check((*path, "evergreen", "series"), evergreen.get("series"), "series")
    for flow, name, parameters in _schedules(tables):
        for parameter, section in _NAMING.items():
            where = ("flows", flow, "schedules", name, "parameters", parameter)
            named = parameters.get(parameter)
            if named != ALL or parameter not in _TAKING_ALL:
                check(where, named, section)
    return problems + [
        Problem(origins["flows", flow], f"flows.{flow}", f"no such flow; allowed: {_ALL_FLOWS}")
        for flow in _table(tables.get("flows"))
        if flow not in FLOWS
    ]


def _of_channels(tables: Mapping[str, Any], origins: Mapping[Keys, str]) -> list[Problem]:
    """What is wrong with channels that are well-formed, whatever else is wrong."""
    problems = []
    for slug, declared in _table(tables.get("channels")).items():
        try:
            channel = Channel.model_validate(declared)
        except ValidationError:
            continue
        for keys, message in channel_faults(slug, channel):
            key = ".".join(("channels", slug, *keys))
            problems.append(Problem(origins["channels", slug], key, message))
    return problems


def _misasked(tables: Mapping[str, Any], origins: Mapping[Keys, str]) -> list[Problem]:
    """Schedules that ask a flow for what it cannot do, or that would only ever try."""
    return [
        Problem(
            origins["flows", flow],
            f"flows.{flow}.schedules.{name}.parameters.{parameter}",
            message,
        )
        for flow, name, asked in _schedules(tables)
        if flow in FLOWS
        for parameter, message in _misfits(flow, asked)
    ]


def _misfits(flow: str, asked: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    known = PARAMETERS[flow]
    for name, value in asked.items():
        if name not in known:
            yield name, f"no such parameter; allowed: {', '.join(known)}"
        # Not isinstance: in Python, True is an integer too.
        elif type(value) is not known[name]:
            yield name, f"must be a value of type {_TYPE_NAMES[known[name]]} (it is {value!r})"
        elif name in CHOICES and value not in CHOICES[name]:
            yield name, f"must be {', '.join(CHOICES[name])} (it is {value!r})"
    for name in REQUIRED.get(flow, ()):
        if name not in asked:
            yield name, "missing; the flow cannot run without it"
    # Forms begin with a dry run, and so would every run of the schedule, for ever.
    if "dry_run" in known and "dry_run" not in asked:
        yield "dry_run", "say dry_run = false; a schedule without it only tries"


def _schedules(tables: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every schedule: its flow, its name, its parameters."""
    for flow, settings in _table(tables.get("flows")).items():
        for name, schedule in _table(_table(settings).get("schedules")).items():
            yield flow, name, _table(_table(schedule).get("parameters"))


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _unserved(config: Config, origins: Mapping[Keys, str]) -> Iterator[Problem]:
    """Rhythms that readers may choose and no schedule serves; nobody would write to them.

    A newsletter without any schedule is sent by hand, whatever its rhythms.
    """
    for slug, newsletter in config.newsletters.items():
        served = served_rhythms(config, slug)
        missing = [rhythm for rhythm in rhythms_of(newsletter) if rhythm not in served]
        if served and missing:
            flow = "each-post" if missing[0] is Rhythm.EACH_POST else "weekly-digest"
            yield Problem(
                origins["newsletters", slug],
                f"newsletters.{slug}.rhythms",
                f"no schedule serves {', '.join(missing)}; add one to [flows.{flow}.schedules],"
                " or offer it no more",
            )


def _unsigned(home: Path, config: Config) -> tuple[Problem, ...]:
    """Keys that mail cannot be signed with."""
    try:
        load_signers(home, config)
    except ConfigError as error:
        return error.problems
    return ()


def _leaves(mailer: MailerSettings) -> bool:
    if isinstance(mailer, FileMailer):
        return False
    host = mailer.host if isinstance(mailer, SmtpMailer) else urlsplit(mailer.api_url).hostname
    return host not in _HERE


def _out_of_reach(config: Config, origins: Mapping[Keys, str]) -> list[Problem]:
    """Mail that leaves this machine with links that lead back to it."""
    host = urlsplit(config.site.links_url).hostname or ""
    used = {newsletter.mailer for newsletter in config.newsletters.values()}
    relays = [config.mailers[slug] for slug in used if slug in config.mailers]
    leaving = any(_leaves(mailer) for mailer in relays)
    if host not in _HERE or not leaving:
        return []
    message = f"readers cannot reach {host} to leave; name the public address of this site"
    return [Problem(origins["site",], "site.links_url", message)]
