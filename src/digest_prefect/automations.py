"""What tells somebody that a run failed, crashed or died without a word.

Prefect's automations outlive the process they watch. They are known by name: made where they
are missing, changed where they differ, and left alone, with what they count just now, where
they do not.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias, cast

from prefect.automations import AutomationCore, EventTrigger, Posture, ResourceSpecification
from prefect.blocks.notifications import SlackWebhook
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_UI_URL, get_current_settings

from digest.alerts import alert_problems
from digest.config import FLOWS
from digest.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

    from digest.config import Alerts

    Labels: TypeAlias = dict[str, str | list[str]]

FAILED = "digest: tell of failed runs"
CRASHED = "digest: tell of crashed runs"
DEAD = "digest: end runs that died silently"

#: The block that holds where alerts go.
BLOCK = "digest-alerts"

#: Without a sign of life for this many heartbeats, a run is dead.
_MISSED = 3

#: After these something has to follow: another heartbeat, or a start. A run whose runner died
#: between taking it and starting it has no heartbeat yet, and would be pending for ever.
_SIGNS = {
    "prefect.flow-run.heartbeat",
    "prefect.flow-run.Pending",
    "prefect.flow-run.Submitting",
    "prefect.flow-run.InfrastructurePending",
}

_EVERY_RUN: Labels = {"prefect.resource.id": "prefect.flow-run.*"}
#: Another project's runs on the same server are not ours to tell of, or to end.
_OUR_FLOWS: Labels = {"prefect.resource.role": "flow", "prefect.resource.name": list(FLOWS)}

#: A message that might name a reader stays on the server.
_MESSAGE = (
    "{% set said = flow_run.state.message or 'It left no message.' %}"
    "{{ said if '@' not in said else 'Its message may hold an address; read it there.' }}"
)
_RETRY = "Open the run, read its Logs, and press Retry: it goes on with what is pending."
_DIED = "Its process ended before it could say why."


def check_alerts(alerts: Alerts, file: str) -> None:
    """Raises ConfigError where the address of alerts is none that Apprise knows."""
    if problems := alert_problems(alerts, file):
        raise ConfigError(problems)


def heartbeat() -> timedelta | None:
    """How often a run gives a sign of life; None where it gives none."""
    seconds = get_current_settings().flows.heartbeat_frequency
    return None if seconds is None else timedelta(seconds=seconds)


def ensure_automations(
    client: SyncPrefectClient, alerts: Alerts, *, beat: timedelta | None = None
) -> None:
    """Have the server watch our runs, and tell of them where config says whom.

    What an editor switched off stays off. Where nobody is to be told, those that tell are
    removed; a dead run is ended all the same, so that it can be retried.
    """
    beat = beat or heartbeat()
    block = _block(client, alerts)
    wanted = [*(_telling(block) if block else ()), *([_ending(beat)] if beat else ())]
    for automation in wanted:
        _put(client, automation)
    kept = {automation.name for automation in wanted}
    for name in {FAILED, CRASHED, DEAD} - kept:
        for old in client.read_automations_by_name(name):
            client.delete_automation(old.id)


def _block(client: SyncPrefectClient, alerts: Alerts) -> UUID | None:
    """The block with the address of alerts; none where nobody is to be told."""
    url = alerts.apprise_url
    if not url.get_secret_value():
        _forget_block(client)
        return None
    # Whatever its name says, it takes any address that Apprise knows, and every server has it.
    made = SlackWebhook(url=url, notify_type="failure").save(BLOCK, overwrite=True)
    return cast("UUID", made)  # a coroutine only where an event loop runs


def _forget_block(client: SyncPrefectClient) -> None:
    try:
        old = client.read_block_document_by_name(BLOCK, "slack-webhook")
    except ObjectNotFound:
        return
    client.delete_block_document(old.id)


def _telling(block: UUID) -> Iterator[AutomationCore]:
    yield _tell(FAILED, StateType.FAILED, block, "failed", _MESSAGE)
    yield _tell(CRASHED, StateType.CRASHED, block, "crashed", f"{_DIED}\n{_MESSAGE}")


def _tell(name: str, state: StateType, block: UUID, verb: str, message: str) -> AutomationCore:
    link = f"{PREFECT_UI_URL.value()}/runs/flow-run/{{{{ flow_run.id }}}}"
    return AutomationCore(
        name=name,
        description=f"Tells those whom [alerts] in config names that a run {verb}.",
        trigger=EventTrigger(
            # By type: a state's name, which names its event, may be any.
            expect={"prefect.flow-run.*"},
            match=ResourceSpecification({**_EVERY_RUN, "prefect.state-type": state.value}),
            match_related=ResourceSpecification(_OUR_FLOWS),
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=[
            SendNotification(
                block_document_id=block,
                subject=f"{{{{ flow.name }}}} {verb}: {{{{ flow_run.name }}}}",
                body=(
                    "{{ flow.name }}, run {{ flow_run.name }}: {{ flow_run.state.name }}\n"
                    f"{message}\n{link}\n{_RETRY}"
                ),
            )
        ],
    )


def _ending(beat: timedelta) -> AutomationCore:
    within = beat * _MISSED
    return AutomationCore(
        name=DEAD,
        description=f"A run without a sign of life for {within.seconds} seconds has crashed.",
        trigger=EventTrigger(
            after=_SIGNS,
            expect={"prefect.flow-run.*"},
            match=ResourceSpecification(_EVERY_RUN),
            match_related=ResourceSpecification(_OUR_FLOWS),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=within,
        ),
        actions=[
            ChangeFlowRunState(
                name="Crashed",
                state=StateType.CRASHED,
                force=False,
                message=f"no sign of life for {within.seconds} seconds: its process died",
            )
        ],
    )


def _put(client: SyncPrefectClient, wanted: AutomationCore) -> None:
    found = client.read_automations_by_name(wanted.name)
    if not found:
        client.create_automation(wanted)
        return
    first, *doubles = found
    for double in doubles:
        client.delete_automation(double.id)
    wanted = wanted.model_copy(update={"enabled": first.enabled})
    if _core(first) != _core(wanted):
        client.update_automation(first.id, wanted)


def _core(automation: AutomationCore) -> AutomationCore:
    """What is declared of it, without what the server added."""
    return AutomationCore.model_validate(automation.model_dump())
