"""The editors' forms: a flow's parameters, with drop-downs of what config declares.

In Python those parameters are plain strings, so that a run that was made before config changed
is still understood; the drop-down is in the schema alone, which Prefect's server holds every
new run against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from digest.config import ALL
from digest.model import Rhythm
from digest.settling import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from digest.config import Config

#: Drop-downs that config does not change. A flow that states its own choices keeps them.
_FIXED = {
    "rhythm": (Rhythm.WEEKLY.value, Rhythm.MONTHLY.value),
    "decision": DECISIONS,
}

#: What a value of each type is in TOML.
_PYTHON: dict[str, type] = {"string": str, "integer": int, "boolean": bool}


def form(schema: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The schema of a flow's parameters with its drop-downs filled.

    A drop-down that was filled before is filled anew; where there is nothing to choose from,
    the field takes any text, for a list without choices is no valid schema.
    """
    declared = _declared(config)
    properties = {
        name: _field(name, field, declared) for name, field in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


def _declared(config: Config) -> dict[str, tuple[str, ...]]:
    """What config declares, by the name that flows have for it."""
    return {
        "newsletter": tuple(config.newsletters),
        "series": tuple(config.series),
        "theme": tuple(config.themes),
        "feed": (ALL, *config.feeds),
        "channel": (ALL, *config.channels),
    }


def _field(
    name: str, field: Mapping[str, Any], declared: Mapping[str, Iterable[str]]
) -> dict[str, Any]:
    if name in _FIXED:
        return {"enum": list(_FIXED[name]), **field}
    if name not in declared:
        return dict(field)
    choices = list(declared[name])
    filled = {key: value for key, value in field.items() if key != "enum"}
    if choices:
        filled["enum"] = choices
    # A default that cannot be chosen: the form would show nothing, and be refused.
    if choices and "default" in filled and filled["default"] not in choices:
        filled["default"] = choices[0]
    return filled


def misfits(shown: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a schedule asks that its flow's form would refuse: the parameter, and why.

    Prefect's scheduler does not look; every run of it would fail.
    """
    fields = shown["properties"]
    for name, value in asked.items():
        if name not in fields:
            yield name, f"no such parameter; allowed: {', '.join(fields)}"
        elif not _fits(fields[name], value):
            wanted = (
                ", ".join(fields[name].get("enum", ())) or f"a value of type {_type(fields[name])}"
            )
            yield name, f"must be {wanted} (it is {value!r})"
    for name in shown.get("required", ()):
        if name not in asked:
            yield name, "missing; the flow cannot run without it"


def _fits(field: Mapping[str, Any], value: Any) -> bool:
    if "enum" in field:
        return value in field["enum"]
    wanted = _PYTHON.get(_type(field))
    # In Python, True is an integer too.
    return wanted is None or (
        isinstance(value, wanted) and isinstance(value, bool) == (wanted is bool)
    )


def _type(field: Mapping[str, Any]) -> str:
    return str(field.get("type", "any"))
