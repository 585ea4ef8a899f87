"""What a crash leaves of a flow: nobody twice, nobody lost, nobody asked again."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing

import pytest

from stack import ENDED, new_stack, until

pytestmark = pytest.mark.kill


@pytest.fixture
def slow_stack():
    """Everything running, with an SMTP server that takes its time over each mail."""
    made = new_stack(seconds=0.7)
    made.start()
    yield made
    made.close()


def process_of(stack, run) -> int:
    """The process that works on a run now, by the worker's name in our own record."""
    with closing(sqlite3.connect(stack.home / "var" / "digest.db")) as database:
        query = "SELECT worker FROM runs WHERE prefect_run_id = ? ORDER BY id DESC LIMIT 1"
        [[worker]] = database.execute(query, [run]).fetchall()
    return int(worker.split(":")[1])


def asks_of(stack) -> int:
    with closing(sqlite3.connect(stack.home / "var" / "digest.db")) as database:
        [[count]] = database.execute("SELECT COUNT(*) FROM asks").fetchall()
    return count


def balanced(account) -> bool:
    return account["recipients"] == sum(n for name, n in account.items() if name != "recipients")


def suspended(stack) -> str:
    run = stack.run("series-digest", series="ipc", dry_run=False)
    assert stack.wait(run)["state"]["name"] == "Suspended"
    return run


def test_a_killed_delivery_goes_on_by_retry(slow_stack):
    stack = slow_stack
    run = suspended(stack)
    assert stack.answer(run, decision="send", who_decides="Maya")["status"] == "ACCEPT"
    until(lambda: len(stack.inbox.mails) >= 2, 60)
    os.kill(process_of(stack, run), signal.SIGKILL)
    assert stack.wait(run, *ENDED)["state"]["type"] == "CRASHED"

    stack.retry(run)
    until(lambda: stack.state(run)["state"]["type"] not in ENDED, 30)
    after = stack.wait(run)
    assert after["state"]["type"] in ENDED, "nobody is asked again"
    account = stack.digest("account", "1")
    assert balanced(account)
    # The one mail that was being said is in doubt, and somebody's to decide: the run says so.
    assert (account["submitted"], account["uncertain"]) == (6, 1)
    assert after["state"]["name"] == "Failed"
    assert "1 uncertain" in after["state"]["message"]
    assert asks_of(stack) == 1

    # This server took nothing of it, which an editor who asked there may know.
    [doubtful] = stack.digest("account", "1", "--who", "uncertain")
    assert doubtful["address"] not in stack.inbox.readers
    fields = {"issue": 1, "decision": "resend", "approver": "Maya", "dry_run": False}
    assert stack.wait(stack.run("settle", **fields), *ENDED)["state"]["type"] == "COMPLETED"
    sent = stack.wait(stack.run("send-issue", issue=1, dry_run=False), *ENDED)
    assert sent["state"]["name"] == "Sent", sent["state"]["message"]
    assert len(stack.inbox.readers) == len(set(stack.inbox.readers)) == 7
    assert stack.digest("account", "1")["submitted"] == 7


def test_after_a_power_cut_a_suspended_run_can_be_approved(slow_stack):
    stack = slow_stack
    run = suspended(stack)
    stack.kill_everything()
    stack.start()
    assert stack.state(run)["state"]["name"] == "Suspended"
    accepted = stack.answer(run, decision="send", who_decides="Maya", subject="After the cut")
    assert accepted["status"] == "ACCEPT"
    done = stack.wait(run, *ENDED)
    assert done["state"]["name"] == "Sent", done["state"]["message"]
    assert {mail["Subject"] for _, mail in stack.inbox.mails} == {"After the cut"}
    assert len(stack.inbox.readers) == len(set(stack.inbox.readers)) == 7


def test_a_relay_that_was_away_is_tried_again_and_retry_goes_on(slow_stack):
    stack = slow_stack
    run = suspended(stack)
    stack.smtp.stop()
    assert stack.answer(run, decision="send", who_decides="Maya")["status"] == "ACCEPT"
    failed = stack.wait(run, *ENDED, seconds=240)
    assert failed["state"]["type"] == "FAILED"
    assert any("cannot be reached" in line for line in stack.logs(run))
    assert stack.digest("account", "1")["uncertain"] == 0
    stack.start_smtp()
    stack.inbox.seconds = 0.0
    # The ledger makes those wait that were tried in vain; somebody who presses Retry does not.
    stack.retry(run)
    until(lambda: stack.state(run)["state"]["type"] not in ENDED, 30)
    after = stack.wait(run)
    assert after["state"]["name"] == "Sent", after["state"]["message"]
    account = stack.digest("account", "1")
    assert balanced(account)
    assert len(stack.inbox.readers) == len(set(stack.inbox.readers)) == account["submitted"] == 7
    assert asks_of(stack) == 1
