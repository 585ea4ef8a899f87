"""The flow each-post, for real: one post a run, and nothing where there is none."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prefect.flows import load_flow_from_entrypoint
from sqlalchemy import select, update

from digest.store.runs import list_runs
from digest.store.tables import facts, issues

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def mail(desk, **parameters: Any) -> State[Any]:
    """Run the flow. Its artifacts show a mail, whose address to leave by is no reader's."""
    entrypoint = f"{desk.home / 'flows' / 'each_post'}.py:each_post"
    return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)(
        **parameters, return_state=True
    )


def periods(desk) -> list[str]:
    with desk.app() as app, app.store.read() as c:
        return list(c.scalars(select(issues.c.period).order_by(issues.c.id)))


def test_a_run_mails_the_oldest_new_post_and_then_the_next(desk):
    config = desk.home / "config" / "newsletters.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('approval = "required"', 'approval = "none"'), encoding="utf-8")
    desk.run("ingest")
    options = ("--newsletter", "weekly", "--rhythm", "each-post", "--consent-at", "2026-01-01")
    desk.run("readers", "add", "eve@example.org", *options)
    idle = desk.flow("each-post", newsletter="weekly", dry_run=False)
    assert (idle.state.name, idle.record.outcome) == ("Nothing to do", "nothing")

    with desk.app() as app, app.store.write() as c:
        # As if the newsletter had begun some weeks ago.
        since = (app.clock() - timedelta(days=30)).isoformat()
        c.execute(update(facts).where(facts.c.name.like("each post%")).values(value=since))
    assert mail(desk).name == "Dry run"
    assert periods(desk) == []
    for count in (1, 2):
        assert mail(desk, newsletter="weekly", dry_run=False).is_completed()
        assert len(set(periods(desk))) == count
        with desk.app() as app, app.store.read() as c:
            assert list_runs(c, 1)[0].counts["submitted"] == 1
