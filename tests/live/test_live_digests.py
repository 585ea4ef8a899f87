"""A digest from the form to the mailbox: `digest up`, Prefect's API, a real SMTP server."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
import requests

from stack import until

pytestmark = pytest.mark.live


def test_a_series_from_the_form_to_the_mailboxes(stack):
    form = stack.deployment("series-digest")["parameter_openapi_schema"]
    assert form["properties"]["series"]["enum"] == ["socialcarefuture", "ipc", "pbr"]
    assert form["properties"]["dry_run"]["default"] is True

    run = stack.run("series-digest", series="ipc", dry_run=False)
    waiting = stack.wait(run)
    assert waiting["state"]["name"] == "Suspended"
    assert re.fullmatch(r"series-digest ipc \d{4}-W\d{2}", waiting["name"])
    issue = str(stack.digest("issues", "weekly")[0]["issue"])

    question = stack.question(run)
    assert "7** recipients, one variant" in question
    assert "category “IPC”" in question
    link = re.search(r"\((http://127\.0\.0\.1:\d+/preview/[^)]+)\)", question)[1]
    assert link in stack.artifacts(run)[f"issue-{issue}"]
    page = requests.get(link, timeout=30)
    assert page.status_code == 200
    assert "What Integrated Personal Commissioning set out to do" in page.text

    refused = stack.answer(run, who_decides="Maya")
    assert "'decision' is a required property" in refused["details"]["reason"]
    assert not stack.inbox.mails

    accepted = stack.answer(
        run, decision="send", who_decides="Maya", subject="IPC, the whole of it"
    )
    assert accepted["status"] == "ACCEPT"
    done = stack.wait(run, "COMPLETED", "FAILED")
    assert done["state"]["name"] == "Sent", done["state"]["message"]
    assert len(stack.inbox.mails) == 7
    assert {mail["Subject"] for _, mail in stack.inbox.mails} == {"IPC, the whole of it"}
    assert len(set(stack.inbox.readers)) == 7

    account = stack.digest("account", issue)
    assert account["submitted"] == account["recipients"] == 7
    assert "| **recipients** | **7** |" in stack.artifacts(run)[f"account-{issue}"]
    kept = [one for one in stack.digest("runs", "--most", "50") if one["prefect_run_id"] == run]
    assert [one["outcome"] for one in kept] == ["done", "partial"]
    assert any("7 submitted" in line for line in stack.logs(run))


def test_nothing_of_a_reader_is_shown_to_prefect(stack):
    shown = stack.everything_shown()
    readers = stack.digest("readers", "list")
    assert readers
    for reader in readers:
        assert reader["address"] not in shown
    assert not re.search(r"/u/[A-Za-z0-9_-]{32}", shown)


def test_a_quick_run_sends_nothing(stack):
    before = len(stack.inbox.mails)
    done = stack.wait(stack.run("weekly-digest"))
    assert done["state"]["name"] == "Dry run"
    assert "(dry run)" in done["name"]
    assert len(stack.inbox.mails) == before


def test_a_decision_taken_elsewhere_wakes_the_run(stack):
    run = stack.run("theme-digest", theme="funding", dry_run=False)
    assert stack.wait(run)["state"]["name"] == "Suspended"
    issue = stack.digest("issues", "weekly")[0]["issue"]
    stack.digest("approve", str(issue), "--by", "Ben", "--subject", "Where the money goes")
    done = stack.wait(run, "COMPLETED", "FAILED")
    assert done["state"]["name"] == "Sent", done["state"]["message"]
    subjects = {mail["Subject"] for _, mail in stack.inbox.mails}
    assert any("money" in subject for subject in subjects)


def test_two_runs_of_one_period_are_one_issue(stack):
    first = stack.run("weekly-digest", newsletter="weekly", dry_run=False)
    second = stack.run("weekly-digest", newsletter="weekly", dry_run=False)
    names = sorted(stack.wait(run)["state"]["name"] for run in (first, second))
    assert names == ["Nothing to do", "Suspended"]
    weekly = [one for one in stack.digest("issues", "weekly") if one["scope"] == "all"]
    assert [one["state"] for one in weekly] == ["draft"]
    asleep = next(r for r in (first, second) if stack.state(r)["state"]["name"] == "Suspended")
    stack.answer(asleep, decision="reject", who_decides="Maya", reason="only a test")
    assert stack.wait(asleep, "COMPLETED")["state"]["name"] == "Rejected"


def test_a_run_that_goes_again_without_an_answer_asks_again(stack):
    run = stack.run("theme-digest", theme="politics", dry_run=False)
    assert stack.wait(run)["state"]["name"] == "Suspended"
    first = stack.state(run)["state"]["id"]
    state = {"type": "SCHEDULED", "name": "Resuming"}
    assert stack.api(f"/flow_runs/{run}/set_state", {"state": state})["status"] == "ACCEPT"
    until(lambda: asked_anew(stack, run, first), 60)
    assert "resumed without an answer" in stack.question(run).replace("\\", "")
    stack.answer(run, decision="reject", who_decides="Maya")
    assert stack.wait(run, "COMPLETED", "FAILED")["state"]["name"] == "Rejected"


def asked_anew(stack, run, before) -> bool:
    now = stack.state(run)["state"]
    assert now["type"] not in {"FAILED", "CRASHED"}, now["message"]
    return now["name"] == "Suspended" and now["id"] != before


def test_whoever_cancels_the_run_that_asks_stops_its_draft(stack):
    run = stack.run("theme-digest", theme="workforce", dry_run=False)
    assert stack.wait(run)["state"]["name"] == "Suspended"
    issue = stack.digest("issues", "weekly")[0]["issue"]
    cancelled = {"state": {"type": "CANCELLED"}, "force": True}
    stack.api(f"/flow_runs/{run}/set_state", cancelled)
    kept = stack.wait(stack.run("housekeeping", dry_run=False), "COMPLETED", "FAILED")
    assert kept["state"]["name"] in {"Done", "Done in part"}, kept["state"]["message"]
    assert issue_state(stack, issue) == "held"
    # By its number it is made anew and asked about.
    again = stack.run("send-issue", issue=issue, dry_run=False)
    assert stack.wait(again)["state"]["name"] == "Suspended"
    stack.answer(again, decision="reject", who_decides="Maya")
    stack.wait(again, "COMPLETED")


def issue_state(stack, issue) -> str:
    return next(one["state"] for one in stack.digest("issues") if one["issue"] == issue)


def test_a_scheduled_run_three_weeks_late_leaves_its_posts_to_the_next(stack):
    now = datetime.now(UTC)
    body = {
        "parameters": {"newsletter": "weekly", "dry_run": False},
        "state": {
            "type": "SCHEDULED",
            "state_details": {"scheduled_time": (now + timedelta(hours=1)).isoformat()},
        },
    }
    number = stack.deployment("weekly-digest")["id"]
    run = stack.api(f"/deployments/{number}/create_flow_run", body)["id"]
    # What the scheduler writes, and only it can.
    stack.in_prefects_database(
        "UPDATE flow_run SET auto_scheduled = TRUE, expected_start_time = :due WHERE id = :run",
        due=now - timedelta(weeks=3),
        run=run,
    )
    soon = {"state": {"type": "SCHEDULED"}, "force": True}
    stack.api(f"/flow_runs/{run}/set_state", soon)
    done = stack.wait(run, "COMPLETED", "FAILED")
    assert done["state"]["name"] == "Skipped", done["state"]["message"]
    [kept] = [one for one in stack.digest("runs", "--most", "90") if one["prefect_run_id"] == run]
    assert (kept["actor"], kept["outcome"]) == ("schedule", "nothing")
    assert "late" in kept["reason"]


def test_an_issue_that_is_not_there_is_a_sentence(stack):
    done = stack.wait(stack.run("send-issue", issue=999, dry_run=False), "FAILED", "COMPLETED")
    assert done["state"]["type"] == "FAILED"
    assert done["state"]["message"] == "there is no issue 999; `digest issues` lists them"


def test_a_hold_decided_elsewhere_is_not_lifted_by_the_run_it_wakes(stack):
    first = stack.run("theme-digest", theme="commissioning", dry_run=False)
    assert stack.wait(first)["state"]["name"] == "Suspended"
    issue = stack.digest("issues", "weekly")[0]["issue"]
    stack.answer(first, decision="hold", who_decides="Maya")
    assert stack.wait(first, "COMPLETED", "FAILED")["state"]["name"] == "Held"
    again = stack.run("send-issue", issue=issue, dry_run=False)
    assert stack.wait(again)["state"]["name"] == "Suspended"
    stack.digest("hold", str(issue), "--by", "Ben", "--reason", "not this week")
    assert stack.wait(again, "COMPLETED", "FAILED")["state"]["name"] == "Held"
    assert issue_state(stack, issue) == "held"


def test_what_is_approved_at_the_desk_goes_out_by_the_run_that_asked(stack):
    made = stack.digest("editors", "add", "Ruth", "--role", "editor", "--generate")
    run = stack.run("theme-digest", theme="personalisation", dry_run=False)
    assert stack.wait(run)["state"]["name"] == "Suspended"
    issue = max(each["issue"] for each in stack.digest("issues", "weekly"))

    desk = requests.Session()
    address = f"{stack.environment['DIGEST_LINKS_URL']}/desk"
    form = {"name": "Ruth", "password": made["password"], "next": f"/desk/issues/{issue}"}
    page = desk.post(f"{address}/sign-in", data=form, timeout=30)
    assert page.url == f"{address}/issues/{issue}"
    fields = dict(re.findall(r'name="(csrf|seen)" value="([^"]+)"', page.text))
    before = len(stack.inbox.mails)
    decision = {**fields, "decision": "approve", "subject": "Money, by Ruth"}
    assert desk.post(f"{address}/issues/{issue}/decide", data=decision, timeout=30).ok

    done = stack.wait(run, "COMPLETED", "FAILED")
    assert done["state"]["name"] == "Sent", done["state"]["message"]
    sent = stack.inbox.mails[before:]
    assert {mail["Subject"] for _, mail in sent} == {"Money, by Ruth"}
    assert len(sent) == stack.digest("account", str(issue))["submitted"] > 0
    again = desk.post(f"{address}/issues/{issue}/decide", data=decision, timeout=30)
    assert again.status_code == 409
    assert "Ruth" in again.text
