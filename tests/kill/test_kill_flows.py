"""What a crash leaves of a flow: nobody twice, nobody lost, nobody asked again."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing

import pytest

from stack import CONNECTIONS, ENDED, new_stack, until

pytestmark = pytest.mark.kill


@pytest.fixture(scope="module")
def own_stack():
    """Everything running, to be killed and begun again; each test has a series of its own."""
    made = new_stack()
    made.start()
    yield made
    made.close()


def process_of(stack, run) -> int:
    """The process that works on a run now, by the worker's name in our own record."""
    with closing(sqlite3.connect(stack.home / "var" / "digest.db")) as database:
        query = "SELECT worker FROM runs WHERE prefect_run_id = ? ORDER BY id DESC LIMIT 1"
        [[worker]] = database.execute(query, [run]).fetchall()
    return int(worker.split(":")[1])


def asks_of(stack, issue) -> int:
    with closing(sqlite3.connect(stack.home / "var" / "digest.db")) as database:
        query = "SELECT COUNT(*) FROM asks WHERE issue_id = ?"
        [[count]] = database.execute(query, [issue]).fetchall()
    return count


def balanced(account) -> bool:
    return account["recipients"] == sum(n for name, n in account.items() if name != "recipients")


def suspended(stack, series) -> tuple[str, str]:
    """A run that asks about an issue of that series, and the number of the issue."""
    stack.inbox.mails.clear()
    run = stack.run("series-digest", series=series, dry_run=False)
    assert stack.wait(run)["state"]["name"] == "Suspended"
    return run, str(stack.digest("issues", "weekly")[0]["issue"])


def test_a_killed_delivery_goes_on_by_retry(own_stack):
    stack = own_stack
    run, issue = suspended(stack, "ipc")
    stack.inbox.most = 2
    assert stack.answer(run, decision="send", who_decides="Maya")["status"] == "ACCEPT"
    # Each connection says a mail that is not answered; the ledger has the two answers before.
    until(lambda: stack.inbox.waiting == CONNECTIONS, 60)
    os.kill(process_of(stack, run), signal.SIGKILL)
    until(lambda: stack.inbox.waiting == 0, 60)
    stack.inbox.most = None
    assert stack.wait(run, *ENDED)["state"]["type"] == "CRASHED"

    stack.retry(run)
    until(lambda: stack.state(run)["state"]["type"] not in ENDED, 30)
    after = stack.wait(run)
    assert after["state"]["type"] in ENDED, "nobody is asked again"
    account = stack.digest("account", issue)
    assert balanced(account)
    # The mails that were being said are in doubt, and somebody's to decide: the run says so.
    assert (account["submitted"], account["uncertain"]) == (7 - CONNECTIONS, CONNECTIONS)
    assert after["state"]["name"] == "Failed"
    assert f"{CONNECTIONS} uncertain" in after["state"]["message"]
    assert asks_of(stack, issue) == 1

    # This server took none of them, which an editor who asked there may know.
    doubtful = {line["address"] for line in stack.digest("account", issue, "--who", "uncertain")}
    assert len(doubtful) == CONNECTIONS
    assert not doubtful & set(stack.inbox.readers)
    fields = {"issue": int(issue), "decision": "resend", "approver": "Maya", "dry_run": False}
    assert stack.wait(stack.run("settle", **fields), *ENDED)["state"]["type"] == "COMPLETED"
    sent = stack.wait(stack.run("send-issue", issue=int(issue), dry_run=False), *ENDED)
    assert sent["state"]["name"] == "Sent", sent["state"]["message"]
    assert len(stack.inbox.readers) == len(set(stack.inbox.readers)) == 7
    assert stack.digest("account", issue)["submitted"] == 7


def test_after_a_power_cut_a_suspended_run_can_be_approved(own_stack):
    stack = own_stack
    run, issue = suspended(stack, "socialcarefuture")
    stack.kill_everything()
    stack.start()
    assert stack.state(run)["state"]["name"] == "Suspended"
    accepted = stack.answer(run, decision="send", who_decides="Maya", subject="After the cut")
    assert accepted["status"] == "ACCEPT"
    done = stack.wait(run, *ENDED)
    assert done["state"]["name"] == "Sent", done["state"]["message"]
    assert {mail["Subject"] for _, mail in stack.inbox.mails} == {"After the cut"}
    assert len(stack.inbox.readers) == len(set(stack.inbox.readers)) == 7
    assert stack.digest("account", issue)["submitted"] == 7


def test_a_relay_that_was_away_is_tried_again_and_retry_goes_on(own_stack):
    stack = own_stack
    run, issue = suspended(stack, "pbr")
    stack.smtp.stop()
    assert stack.answer(run, decision="send", who_decides="Maya")["status"] == "ACCEPT"
    failed = stack.wait(run, *ENDED, seconds=240)
    assert failed["state"]["type"] == "FAILED"
    assert any("cannot be reached" in line for line in stack.logs(run))
    assert stack.digest("account", issue)["uncertain"] == 0
    stack.start_smtp()
    # The ledger makes those wait that were tried in vain; somebody who presses Retry does not.
    stack.retry(run)
    until(lambda: stack.state(run)["state"]["type"] not in ENDED, 30)
    after = stack.wait(run)
    assert after["state"]["name"] == "Sent", after["state"]["message"]
    account = stack.digest("account", issue)
    assert balanced(account)
    assert len(stack.inbox.readers) == len(set(stack.inbox.readers)) == account["submitted"] == 6
    assert asks_of(stack, issue) == 1
