"""The editors' forms: drop-downs from config, in every flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from digest.config import FLOWS
from digest.settings import load_config
from digest_prefect.deploying import load
from digest_prefect.forms import form

from .conftest import REPOSITORY

if TYPE_CHECKING:
    from digest.config import Config

THEMES = [
    "integration", "personalisation", "funding", "politics",
    "commissioning", "mental-health", "co-production", "workforce",
]  # fmt: skip


@pytest.fixture
def config() -> Config:
    return load_config(REPOSITORY, {})


def shown(flow: str, config: Config) -> dict[str, Any]:
    return form(load(REPOSITORY, flow).parameters.model_dump(exclude_unset=True), config)


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


#: What an editor sees, field by field: name, kind, choices and whether it must be filled.
FORMS = {
    "refresh-feeds": [("feed", "string", ["all", "blog"], "all")],
    "weekly-digest": [
        ("newsletter", "string", ["weekly"], "weekly"),
        ("rhythm", "string", ["weekly", "monthly"], "weekly"),
        ("edition", "integer", None, 1),
        ("dry_run", "boolean", None, True),
    ],
    "series-digest": [
        ("series", "string", ["socialcarefuture", "ipc", "pbr"], "required"),
        ("newsletter", "string", ["weekly"], "weekly"),
        ("repeat", "boolean", None, False),
        ("edition", "integer", None, 1),
        ("dry_run", "boolean", None, True),
    ],
    "theme-digest": [
        ("theme", "string", THEMES, "required"),
        ("newsletter", "string", ["weekly"], "weekly"),
        ("repeat", "boolean", None, False),
        ("edition", "integer", None, 1),
        ("dry_run", "boolean", None, True),
    ],
    "each-post": [
        ("newsletter", "string", ["weekly"], "weekly"),
        ("dry_run", "boolean", None, True),
    ],
    "send-issue": [
        ("issue", "integer", None, "required"),
        ("dry_run", "boolean", None, True),
    ],
    "stop-issue": [
        ("issue", "integer", None, "required"),
        ("decision", "string", ["pause", "cancel"], "required"),
        ("approver", "string", None, "required"),
        ("dry_run", "boolean", None, True),
    ],
    "queue-social": [
        ("channel", "string", ["all", "x", "mastodon", "bluesky"], "all"),
        ("dry_run", "boolean", None, True),
    ],
    "publish-social": [
        ("channel", "string", ["all", "x", "mastodon", "bluesky"], "all"),
        ("dry_run", "boolean", None, True),
    ],
    "housekeeping": [("dry_run", "boolean", None, True)],
}


@pytest.mark.parametrize("flow", FORMS)
def test_form_of_every_flow(flow: str, config: Config) -> None:
    """The snapshot of what stands in the form, in its order."""
    made = shown(flow, config)
    fields = sorted(made["properties"].items(), key=lambda item: item[1]["position"])
    required = made.get("required", [])
    assert [
        (
            name,
            field["type"],
            field.get("enum"),
            "required" if name in required else field["default"],
        )
        for name, field in fields
    ] == FORMS[flow]


@pytest.mark.parametrize("flow", FLOWS)
def test_every_field_has_title_and_description(flow: str, config: Config) -> None:
    for name, field in shown(flow, config)["properties"].items():
        assert field["title"] not in {"", name}, name
        assert field["description"].strip(), name


@pytest.mark.parametrize("flow", sorted(set(FLOWS) - {"refresh-feeds"}))
def test_every_flow_that_can_send_sends_nothing_unless_told(flow: str, config: Config) -> None:
    assert shown(flow, config)["properties"]["dry_run"]["default"] is True


def test_settling_asks_who_and_how(config: Config) -> None:
    made = shown("settle", config)
    assert {"issue", "decision", "approver"} <= set(made["required"])
    assert made["properties"]["decision"]["enum"] == ["look", "leave", "resend"]
    assert made["properties"]["approver"]["minLength"] == 2


def test_nothing_to_choose_from_is_no_empty_list(config: Config) -> None:
    """JSON schema allows no empty enum: the server would refuse the deployment."""
    bare = config.model_copy(update={"themes": {}})
    made = form(schema(theme={"type": "string", "enum": ["gone"]}), bare)
    assert made["properties"]["theme"] == {"type": "string"}


def test_a_filled_form_is_filled_anew(config: Config) -> None:
    before = form(schema(series={"type": "string", "title": "Series"}), config)
    fewer = config.model_copy(update={"series": {"ipc": config.series["ipc"]}})
    after = form(before, fewer)
    assert after["properties"]["series"]["enum"] == ["ipc"]
    assert after["properties"]["series"]["title"] == "Series"
    assert form(after, fewer) == after
    assert before["properties"]["series"]["enum"] == ["socialcarefuture", "ipc", "pbr"]


def test_a_default_that_is_no_choice_gives_way_to_the_first(config: Config) -> None:
    field = {"type": "string", "default": ""}
    assert form(schema(newsletter=field), config)["properties"]["newsletter"]["default"] == "weekly"


def test_choices_of_the_flow_itself_stay(config: Config) -> None:
    field = {"type": "string", "enum": ["leave", "resend"]}
    assert form(schema(decision=field), config)["properties"]["decision"] == field
