"""An editor in the Prefect UI: from the form to the mailboxes, in a real browser."""

from __future__ import annotations

import re

import pytest

from stack import until

pytestmark = pytest.mark.browser

#: The UI draws itself after its page has loaded, on a busy machine slowly.
PATIENCE = 30_000


@pytest.fixture
def ui(stack, browser):
    """A page that has signed in to Prefect's UI."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(stack.ui)
    page.locator("input").first.fill(stack.connection["auth"])
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Deployments").wait_for()
    yield page
    context.close()


def test_an_editor_sends_a_series_from_the_form(stack, ui):
    number = stack.deployment("series-digest")["id"]
    ui.goto(f"{stack.ui}/v2/deployments/deployment/{number}")
    ui.get_by_role("button", name="Run", exact=True).click()
    ui.get_by_text("Custom run").click()
    # The form: drop-downs from config, words that explain, dry run switched on.
    ui.get_by_text("Which series to send.").wait_for()
    ui.get_by_role("button", name="Select Series").click()
    shown = [option.inner_text() for option in ui.get_by_role("option").all()]
    assert shown == ["socialcarefuture", "ipc", "pbr"]
    ui.get_by_role("option", name="ipc").click()
    dry_run = ui.get_by_role("switch").nth(1)
    assert dry_run.get_attribute("aria-checked") == "true"
    dry_run.click()
    ui.get_by_role("button", name="Submit").click()
    run = until(lambda: suspended(stack), 90)

    # The artifact, and by its link the exact preview.
    ui.goto(f"{stack.ui}/v2/runs/flow-run/{run}")
    ui.get_by_role("tab", name="Artifacts").click()
    ui.get_by_role("link", name=re.compile("issue-")).click()
    ui.locator("a[href*='/artifacts/artifact/']").first.click()
    ui.get_by_role("link", name="Look at exactly what goes out").click()
    ui.get_by_role("heading", name=re.compile(r"weekly series:ipc \d{4}-W\d{2}")).wait_for()
    mail = ui.frame_locator("iframe").first
    assert (
        "What Integrated Personal Commissioning set out to do" in mail.locator("body").inner_text()
    )

    # Resume: without a decision nothing happens; with one it goes out under the typed subject.
    ui.goto(f"{stack.ui}/v2/runs/flow-run/{run}")
    ui.get_by_role("button", name="Open menu").click()
    ui.get_by_role("menuitem", name="Resume").click()
    dialog = ui.get_by_role("dialog")
    dialog.get_by_role("heading", name="Posts").wait_for()
    dialog.get_by_role("button", name="Resume").click()
    ui.get_by_text("'decision' is a required property").wait_for()
    assert stack.state(run)["state"]["name"] == "Suspended"
    dialog.get_by_role("button", name="Select Decision").click()
    ui.get_by_role("option", name="send", exact=True).click()
    approver, subject = dialog.get_by_role("textbox").nth(0), dialog.get_by_role("textbox").nth(1)
    approver.fill("Maya")
    subject.fill("IPC, the whole of it")
    dialog.get_by_role("button", name="Resume").click()
    done = stack.wait(run, "COMPLETED", "FAILED")
    assert done["state"]["name"] == "Sent", done["state"]["message"]
    ui.get_by_text("Sent", exact=True).first.wait_for()
    assert len(stack.inbox.mails) == 7
    assert {mail["Subject"] for _, mail in stack.inbox.mails} == {"IPC, the whole of it"}
    [step] = [
        one
        for one in stack.digest("runs", "--most", "50")
        if one["outcome"] == "done" and one["prefect_run_id"] == run
    ]
    assert step["what"] == "series-digest"


def suspended(stack) -> str | None:
    runs = stack.api("/flow_runs/filter", {})
    return next((one["id"] for one in runs if one["state"]["name"] == "Suspended"), None)


def test_the_ui_asks_nobody_but_this_machine(stack, browser):
    asked: list[str] = []
    context = browser.new_context()
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.goto(stack.ui)
    page.locator("input").first.fill(stack.connection["auth"])
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Deployments").click()
    page.get_by_text("series-digest").first.wait_for()
    page.wait_for_timeout(1500)
    context.close()
    assert asked
    assert not [url for url in asked if not re.match(r"(http|ws)://127\.0\.0\.1:|data:|blob:", url)]
