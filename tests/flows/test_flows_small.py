"""The small flows, each for real: what Prefect shows of it, what our database keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.flows import load_flow_from_entrypoint
from sqlalchemy import func, select, update

from digest.mail.feedback import Feedback
from digest.model import DeliveryState
from digest.store.feedback import take_in
from digest.store.runs import Beginning, begin_run, list_runs
from digest.store.tables import (
    deliveries,
    issue_transitions,
    issues,
    mail_waits,
    posts,
    publications,
    threads,
)
from fakes.blockade import use_relay
from fakes.relay import Misdeed, Relay

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from digest.store.runs import Run


def count(desk, column, *where) -> int:
    with desk.app() as app, app.store.read() as c:
        return c.scalar(select(func.count(column)).where(*where)) or 0


def test_refresh_feeds_reads_the_blog_and_says_how_it_knows(desk):
    ran = desk.flow("refresh-feeds")
    stored = count(desk, posts.c.id)
    assert stored > 30
    assert (ran.state.name, ran.record.outcome) == ("Done", "done")
    assert ran.record.counts == {"new": stored, "changed": 0, "failed": 0}
    assert (ran.flow_run.name, ran.record.what) == ("refresh-feeds all", "refresh-feeds")
    assert f"| blog | new | {stored} | 0 |" in ran.artifacts["feeds"]
    assert f"feed blog: {stored} new, 0 changed" in ran.logs
    again = desk.flow("refresh-feeds", feed="blog")
    assert (again.state.name, again.record.outcome) == ("Nothing new", "nothing")
    assert again.flow_run.name == "refresh-feeds blog"


def test_a_feed_that_is_not_there_keeps_no_other_back(desk):
    config = desk.home / "config" / "feeds.toml"
    blog = config.read_text(encoding="utf-8")
    missing = blog.replace("[feeds.blog]", "[feeds.lost]").replace("/feed/", "/nowhere/")
    config.write_text(blog + missing, encoding="utf-8")
    ran = desk.flow("refresh-feeds")
    assert (ran.state.name, ran.record.outcome) == ("Done in part", "partial")
    assert "lost: the feed answered 404" in ran.state.message
    alone = desk.flow("refresh-feeds", feed="lost")
    assert (alone.state.type.value, alone.record.outcome) == ("FAILED", "failed")


def test_a_thread_is_planned_and_published_once_and_its_page_shows_it(desk):
    desk.run("ingest")
    dry = desk.flow("queue-social", channel="mastodon")
    assert (dry.state.name, dry.record.outcome) == ("Dry run", "nothing")
    assert "threads would be planned" in dry.artifacts["threads"]
    assert count(desk, threads.c.id) == 0
    planned = desk.flow("queue-social", channel="mastodon", dry_run=False)
    made = count(desk, threads.c.id)
    assert made > 0
    assert (planned.record.counts, planned.state.name) == ({"threads": made}, "Done")
    assert planned.flow_run.name == "queue-social mastodon"
    idle = desk.flow("publish-social", dry_run=False)
    assert (idle.state.name, idle.artifacts) == ("Nothing to do", {})

    with desk.app() as app, app.store.write() as c:
        past = app.clock() - timedelta(seconds=10)
        c.execute(update(publications).values(slot=past))
    dry = desk.flow("publish-social")
    assert "its slot has come" in dry.artifacts["snippets"]
    assert count(desk, publications.c.id, publications.c.state == "submitted") == 0
    ran = desk.flow("publish-social", dry_run=False)
    snippets = count(desk, publications.c.id)
    assert (ran.state.name, ran.record.counts) == ("Done", {"submitted": snippets})
    assert desk.flow("publish-social", dry_run=False).record.outcome == "nothing"
    page = (desk.home / "var" / "social" / "index.html").read_text(encoding="utf-8")
    with desk.app() as app, app.store.read() as c:
        url = c.scalar(select(publications.c.url).limit(1))
    assert f'id="{url.partition("#")[2]}"' in page


def test_what_a_person_must_see_to_fails_the_run_with_the_way_out(desk):
    config = desk.home / "config" / "channels.toml"
    text = config.read_text(encoding="utf-8")
    hold = '[channels.mastodon]\nedited_before = "hold"\n'
    config.write_text(text.replace("[channels.mastodon]\n", hold), encoding="utf-8")
    desk.run("ingest")
    planned = desk.flow("queue-social", channel="mastodon", dry_run=False)
    assert " of 500 · " in planned.artifacts["threads"]
    with desk.app() as app, app.store.write() as c:
        first = select(func.min(publications.c.thread_id)).scalar_subquery()
        past = app.clock() - timedelta(minutes=30)
        c.execute(update(publications).where(publications.c.thread_id == first).values(slot=past))
        post = select(threads.c.post_id).where(threads.c.id == first).scalar_subquery()
        edited = {"title": "Another title", "content_hash": "another"}
        c.execute(update(posts).where(posts.c.id == post).values(**edited))
    ran = desk.flow("publish-social", dry_run=False)
    assert (ran.state.type.value, ran.record.outcome) == ("FAILED", "failed")
    assert "is held: its post was edited; then: digest social release" in ran.state.message
    assert "**Notice**: thread" in ran.artifacts["snippets"]
    # It is told once.
    assert desk.flow("publish-social", dry_run=False).state.name == "Nothing to do"


def test_snippets_in_doubt_are_told_once_and_settled_by_name(desk):
    desk.run("ingest")
    desk.run("social", "plan", "--channel", "x")
    with desk.app() as app, app.store.write() as c:
        first = select(func.min(publications.c.id)).scalar_subquery()
        doubt = {"state": DeliveryState.UNCERTAIN, "reason": "the answer was lost"}
        c.execute(update(publications).where(publications.c.id == first).values(**doubt))
    dry = desk.flow("settle", issue=0, decision="leave", approver="Maya")
    assert "1 uncertain" in dry.state.message
    assert "the answer was lost" in dry.artifacts["uncertain-snippets"]
    ran = desk.flow("settle", issue=0, decision="leave", approver="Maya", dry_run=False)
    assert (ran.state.name, ran.record.counts) == ("Done", {"settled": 1})
    assert count(desk, publications.c.id, publications.c.settled == "leave, by Maya") == 1


def test_deliveries_in_doubt_are_looked_up_where_the_mailer_can(desk, readers_csv):
    desk.run("ingest")
    desk.run("readers", "import", readers_csv)
    desk.run("send", "weekly")
    desk.run("approve", "1", "--by", "Maya")
    desk.run("deliver", "1")
    doubt = {"state": DeliveryState.UNCERTAIN, "reason": "the answer was lost"}
    with desk.app() as app, app.store.write() as c:
        c.execute(update(deliveries).values(**doubt))
    sent = count(desk, deliveries.c.id)
    assert sent > 0
    dry = desk.flow("settle", issue=1, decision="look", approver="Maya")
    assert f"{sent} uncertain deliveries would be decided" in dry.state.message
    ran = desk.flow("settle", issue=1, decision="look", approver="Maya", dry_run=False)
    assert (ran.state.name, ran.record.counts) == ("Done", {"settled": sent})
    assert ran.record.issue_id == 1
    assert f"| submitted | {sent} |" in ran.artifacts["account-1"]
    assert ran.flow_run.name == "settle 1 look"


def test_housekeeping_decides_what_nobody_decided_in_time(desk, readers_csv):
    desk.run("ingest")
    desk.run("readers", "import", readers_csv)
    desk.run("send", "weekly")
    with desk.app() as app, app.store.write() as c:
        past = app.clock() - timedelta(hours=1)
        c.execute(update(issues).values(decide_by=past))
    dry = desk.flow("housekeeping")
    assert "nobody decided" in dry.artifacts["housekeeping"]
    assert count(desk, issues.c.id, issues.c.state == "draft") == 1
    ran = desk.flow("housekeeping", dry_run=False)
    assert "nobody decided" in ran.artifacts["housekeeping"]
    assert count(desk, issues.c.id, issues.c.state == "held") == 1
    idle = desk.flow("housekeeping", dry_run=False)
    assert (idle.state.name, idle.artifacts) == ("Nothing to do", {})


@pytest.fixture
def left_lying(desk, readers_csv):
    """An issue that was approved a day ago, and that nobody has worked on since."""
    desk.run("ingest")
    desk.run("readers", "import", readers_csv)
    desk.run("send", "weekly")
    desk.run("approve", "1", "--by", "Maya")
    with desk.app() as app, app.store.write() as c:
        past = app.clock() - timedelta(days=1)
        c.execute(update(issue_transitions).values(at=past))
    return desk


@pytest.fixture
def send_issue_deployed(prefect_backend):
    """The deployment that housekeeping starts runs of; the ids of those it has."""
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow_from_name("send-issue")
        deployment = client.create_deployment(flow_id, "send-issue")
        mine = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
        yield lambda: client.read_flow_runs(deployment_filter=mine)
        client.delete_deployment(deployment)


def test_housekeeping_starts_one_run_for_an_issue_that_was_left_lying(
    left_lying, send_issue_deployed
):
    dry = left_lying.flow("housekeeping")
    assert "issue 1: goes on" in dry.artifacts["housekeeping"]
    assert send_issue_deployed() == []
    for _ in range(2):
        assert left_lying.flow("housekeeping", dry_run=False).state.name == "Done"
    (started,) = send_issue_deployed()
    assert started.parameters == {"issue": 1, "dry_run": False}
    assert started.state.type.value == "SCHEDULED"


def test_a_chore_that_fails_keeps_none_of_the_others_back(left_lying):
    with left_lying.app() as app, app.store.write() as c:
        beginning = Beginning("send", {}, "Maya", "elsewhere:1:2")
        begin_run(c, beginning, app.clock() - timedelta(days=9))
    # The deployment that it would start a run of was never made.
    ran = left_lying.flow("housekeeping", dry_run=False)
    assert (ran.state.type.value, ran.record.outcome) == ("FAILED", "failed")
    assert "go on with unfinished issues: ObjectNotFound" in ran.state.message
    assert "was killed" in ran.artifacts["housekeeping"]


def test_housekeeping_fails_where_mail_is_refused_by_policy_so_that_somebody_is_told(left_lying):
    left_lying.run("deliver", "1")
    with left_lying.app() as app, app.store.write() as c:
        told = Feedback("bounced", app.clock(), "policy", "550 5.7.515", "Denied", delivery_id=1)
        take_in(c, "inbox:bounces", "1", told, app.clock())
    dry = left_lying.flow("housekeeping")
    assert "1 bounced, policy" in dry.artifacts["housekeeping"]
    ran = left_lying.flow("housekeeping", dry_run=False)
    assert (ran.state.type.value, ran.record.outcome) == ("FAILED", "failed")
    assert "1 refused by policy, 550 5.7.515: Denied; check SPF" in ran.state.message
    assert left_lying.flow("housekeeping", dry_run=False).state.name == "Nothing to do"


def go_on(desk) -> tuple[State[Any], Run]:
    """Run send-issue. Its artifacts show a mail, whose address to leave by is no reader's."""
    entrypoint = f"{desk.home / 'flows' / 'send_issue'}.py:send_issue"
    loaded = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    state = loaded(issue=1, dry_run=False, return_state=True)
    with desk.app() as app, app.store.read() as c:
        return state, list_runs(c, 1)[0]


def test_a_domain_that_refuses_our_mail_by_policy_fails_the_run_and_holds_up_no_other(
    left_lying, tmp_path
):
    with Relay(tmp_path / "taken") as relay:
        use_relay(left_lying.home, relay.port)
        listed = "550 5.7.1 <bounces@blog.example> is listed"
        relay.misbehave(Misdeed("RCPT", listed, domain="example.net"))
        state, record = go_on(left_lying)
        assert (state.type.value, record.outcome) == ("FAILED", "failed")
        words = "example.net refuses our mail by policy: 550 5.7.1 <<address>> is listed"
        assert "deliveries wait until" in state.message
        assert (state.message.count(words), record.reason.count(words)) == (1, 1)
        assert "@" not in f"{state.message} {record.reason}"
        others = count(left_lying, deliveries.c.id, deliveries.c.address.not_like("%example.net"))
        assert len(relay.taken()) == others > 0
        # Nobody is asked before the time, however often somebody retries.
        state, record = go_on(left_lying)
        assert (state.name, record.outcome) == ("Waiting", "partial")
        relay.behave()
        with left_lying.app() as app, app.store.write() as c:
            past = app.clock() - timedelta(minutes=1)
            c.execute(update(mail_waits).values(until=past))
        assert go_on(left_lying)[0].name == "Sent"


def test_lines_from_plain_threads_reach_the_runs_logs_without_addresses(desk):
    flow = (desk.home / "flows" / "queue_social.py").read_text(encoding="utf-8")
    spoken = """
        import logging, threading
        log = logging.getLogger("digest.mail.deliver")
        aside = threading.Thread(target=lambda: log.info("from aside to ada@example.org"))
        aside.start()
        aside.join()
"""
    before, mark, after = flow.partition("    with running() as run:\n")
    path = desk.home / "flows" / "queue_social.py"
    path.write_text(before + mark + spoken + after, encoding="utf-8")
    ran = desk.flow("queue-social")
    assert "from aside to <address>" in ran.logs
