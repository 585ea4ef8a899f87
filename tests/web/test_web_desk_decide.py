"""Deciding at the desk: each decision as the command takes it, once, under the account's name."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import select, update

from digest import deciding, sending, settling
from digest.bootstrap import App
from digest.deciding import Decision, Word
from digest.errors import Refused
from digest.issues import desk
from digest.issues.content import from_json
from digest.model import Act, IssueState
from digest.starting import start_sending
from digest.store import asks, tables
from digest.store import issues as issue_store
from digest.up.connection import Connection

from .conftest import LINKS, NOW, build, client_of, sign_in

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def _no_prefect(monkeypatch):
    """Nobody answers there: no Prefect of this machine is asked."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")


def stock(house):
    house.post()
    house.post()
    for name in ("ann", "bob", "cat"):
        house.reader(name)
    return house


@pytest.fixture
def stocked(any_house):
    return stock(any_house)


@pytest.fixture
def maya(stocked):
    return sign_in(stocked)


def issue_of(house, issue_id=1):
    with house.app.store.read() as c:
        return issue_store.get_issue(c, issue_id)


def steps(house, issue_id=1):
    with house.app.store.read() as c:
        return [
            (step.after, step.actor, step.reason)
            for step in issue_store.transitions_of(c, issue_id)
        ]


def decide(browser, decision, issue_id=1, **fields):
    return browser.post(f"/desk/issues/{issue_id}/decide", decision=decision, **fields)


def told(browser, answer, issue_id=1):
    """What the next page says, once."""
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == f"/desk/issues/{issue_id}"
    page = browser.get(answer.headers["location"]).text
    assert 'class="done"' not in browser.get(answer.headers["location"]).text
    return page.partition('<p class="done" role="status" dir="auto">')[2].partition("</p>")[0]


def draft(house):
    return house.draft()


def approved(house):
    issue = house.draft()
    return desk.approve(house.app.store, house.app.templates, issue.id, house.act)


def held(house):
    issue = house.draft()
    return desk.hold(house.app.store, issue.id, house.act)


def sent_in_part(house, state=IssueState.SENDING):
    issue = house.freeze()
    d = tables.deliveries
    with house.app.store.write() as c:
        c.execute(update(tables.issues).values(state=state))
        rows = zip(
            c.scalars(select(d.c.id).order_by(d.c.id)).all(), ("failed", "uncertain"), strict=False
        )
        for number, after in rows:
            c.execute(
                update(d).where(d.c.id == number).values(state=after, message_id=f"<{number}>")
            )
    return issue


def paused(house):
    return sent_in_part(house, IssueState.PAUSED)


def done(house):
    issue = sent_in_part(house, IssueState.DONE)
    d = tables.deliveries
    with house.app.store.write() as c:
        c.execute(update(d).where(d.c.state == "pending").values(state="submitted"))
    return issue


def by_command(house, act):
    """What each command calls, as in `digest.cli`."""
    app, store, templates = house.app, house.app.store, house.app.templates
    return {
        "approve": lambda: desk.approve(store, templates, 1, act),
        "change": lambda: desk.change(store, templates, 1, act, introduction="Hello.", drop=(1,)),
        "hold": lambda: desk.hold(store, 1, act),
        "reject": lambda: desk.reject(store, 1, act),
        "cancel": lambda: desk.cancel(store, 1, act),
        "pause": lambda: desk.pause(store, 1, act),
        "resume": lambda: desk.resume(store, app.config, templates, 1, act),
        "retry": lambda: sending.retry_failed(app, 1, act),
        "leave": lambda: sending.settle(app, 1, act, resend=False),
        "resend": lambda: sending.settle(app, 1, act, resend=True),
        "look": lambda: settling.settle_deliveries(app, 1, "look", act),
    }


@pytest.mark.parametrize(
    ("decision", "before"),
    [
        ("approve", draft),
        ("change", draft),
        ("hold", draft),
        ("hold", approved),
        ("reject", draft),
        ("reject", held),
        ("resume", held),
        ("resume", paused),
        ("pause", sent_in_part),
        ("cancel", sent_in_part),
        ("cancel", paused),
        ("retry", sent_in_part),
        ("retry", done),
        ("leave", done),
        ("resend", done),
        ("look", done),
    ],
)
def test_a_decision_by_page_is_the_command_s(house, new_store, tmp_path, decision, before):
    page, command = house, build(new_store, tmp_path / "command")
    for each in (page, command):
        stock(each)
        before(each)
        each.turn(minutes=5)
    maya = sign_in(page)
    shown = issue_of(page)
    fields = {
        "approve": {"seen": shown.hash, "subject": shown.subject},
        "change": {
            "seen": shown.hash,
            "subject": shown.subject,
            "introduction": "Hello.",
            "drop": ["1"],
        },
    }.get(decision, {})
    answer = decide(maya, decision, reason="as said", sure="yes", **fields)
    assert answer.status_code == 303, answer.text
    by_command(command, Act("Maya", command.app.clock(), "as said"))[decision]()
    ours, theirs = page.dump(), command.dump()
    # Accounts of the desk, and that a command was run, are beside the point.
    for table in ("editors", "sessions", "runs"):
        del ours[table], theirs[table]
    for table in ours:
        assert ours[table] == theirs[table], table
    assert steps(page)[-1] == steps(command)[-1]
    with page.app.store.read() as c:
        run = c.execute(select(tables.runs)).mappings().all()[-1]
    assert (run["actor"], run["outcome"], run["issue_id"]) == ("Maya", "done", 1)


@pytest.fixture
def new_store(tmp_path, _sqlite_template):
    """A second one, beside `store`."""
    import shutil

    from digest.config import StoreSettings
    from digest.store.engine import open_store

    shutil.copyfile(_sqlite_template, tmp_path / "second.db")
    found = open_store(StoreSettings(url="sqlite:///second.db"), tmp_path)
    yield found
    found.engine.dispose()


# --- approving ---------------------------------------------------------------------------------


def test_approving_says_what_happens_next(stocked, maya):
    issue = stocked.draft()
    answer = decide(maya, "approve", seen=issue.hash, subject=issue.subject)
    said = told(maya, answer)
    assert said.startswith("Approved. No run in Prefect waits for it: where Prefect runs, house")
    assert "digest deliver 1" in said
    assert steps(stocked)[-1] == ("approved", "Maya", "approved")


def test_a_run_that_asked_is_woken_or_told_later(stocked, maya):
    issue = stocked.draft()
    with stocked.app.store.write() as c:
        asks.put_ask(c, issue.id, "0197b9a2-8f5e-7a53-b2c5-6f3b9c1d2e4f", issue.hash, NOW)
    said = told(maya, decide(maya, "approve", seen=issue.hash, subject=issue.subject))
    assert "cannot be told yet" in said
    assert "housekeeping tells it" in said


def test_a_subject_is_sent_as_it_is_typed(stocked, maya):
    issue = stocked.draft()
    decide(maya, "approve", seen=issue.hash, subject="  Budgets\n &  <b>choice</b> ")
    found = issue_of(stocked)
    assert (found.state, found.subject) == ("approved", "Budgets & <b>choice</b>")
    assert "&lt;b&gt;choice" in maya.get("/desk/issues/1").text


def test_what_was_not_looked_at_is_not_approved(stocked, maya):
    issue = stocked.draft()
    desk.change(stocked.app.store, stocked.app.templates, 1, stocked.act, introduction="Other.")
    answer = decide(maya, "approve", seen=issue.hash, subject=issue.subject, reason="fine")
    assert answer.status_code == 409
    assert "was changed since you looked at it; look again" in answer.text
    assert 'value="fine"' in answer.text
    assert issue_of(stocked).state == "draft"
    assert decide(maya, "approve", seen="", subject="x").status_code == 409


def test_a_preflight_error_forbids_it(stocked, maya):
    issue = stocked.draft()
    checks = [{"name": "links", "severity": "error", "message": HOSTILE}]
    with stocked.app.store.write() as c:
        c.execute(update(tables.issues).values(preflight=checks))
    page = maya.get("/desk/issues/1").text
    assert "It cannot be approved" in page
    assert HOSTILE not in page
    answer = decide(maya, "approve", seen=issue.hash, subject=issue.subject)
    assert answer.status_code == 409
    assert HOSTILE not in answer.text


def test_of_two_editors_at_once_one_approves_and_the_other_is_told_who(stocked, maya):
    issue = stocked.draft()
    both = [maya, sign_in(stocked, "Tom")]
    answers, start = {}, threading.Barrier(2)

    def one(browser, name):
        start.wait()
        answers[name] = decide(browser, "approve", seen=issue.hash, subject=issue.subject)

    threads = [
        threading.Thread(target=one, args=(browser, name))
        for browser, name in zip(both, ("Maya", "Tom"), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers.values()) == [303, 409]
    first = next(name for name, answer in answers.items() if answer.status_code == 303)
    second = next(answer for answer in answers.values() if answer.status_code == 409)
    assert [step[:2] for step in steps(stocked)] == [("draft", "Maya"), ("approved", first)]
    assert f"Its last step: approved by {first}, Mon 23 Nov, 08:00." in second.text


def test_a_double_click_counts_once(stocked, maya):
    sent_in_part(stocked)
    assert decide(maya, "pause").status_code == 303
    assert decide(maya, "pause").status_code == 409
    assert decide(maya, "cancel", sure="yes").status_code == 303
    assert decide(maya, "cancel", sure="yes").status_code == 409
    assert [step[0] for step in steps(stocked)].count("cancelled") == 1


# --- changing ----------------------------------------------------------------------------------


def test_a_change_is_rendered_and_looked_at_again(stocked, maya):
    issue = stocked.draft()
    answer = decide(
        maya,
        "change",
        seen=issue.hash,
        subject=issue.subject,
        introduction="One.\r\n\r\nTwo <b>.",
        drop=["2"],
    )
    assert "Nothing was sent" in told(maya, answer)
    content = from_json(issue_of(stocked).content)
    assert content.introduction == "One.\n\nTwo <b>."
    assert [item.post.post_id for item in content.items] == [1]
    assert "Two &lt;b&gt;." in maya.get("/desk/issues/1/mail").text
    now = issue_of(stocked)
    same = {"subject": now.subject, "introduction": content.introduction}
    assert decide(maya, "change", seen=now.hash, **same).status_code == 409


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"decision": "nope"}, 400),
        ({"decision": ""}, 400),
        ({"decision": "change", "drop": ["x"]}, 400),
        ({"decision": "change", "drop": ["9" * 30]}, 400),
        ({"decision": "change", "drop": ["77"], "subject": "x"}, 409),
        ({"decision": "change", "drop": ["1", "2"], "subject": "x"}, 409),
        ({"decision": "change", "subject": " "}, 409),
        ({"decision": "approve", "subject": ""}, 409),
        ({"decision": "approve", "subject": "x" * 201}, 400),
        ({"decision": "hold", "reason": "x" * 501}, 400),
        ({"decision": "test", "to": ""}, 409),
        ({"decision": "test", "to": "no address"}, 409),
        ({"decision": "test", "to": "a@example.org\r\nBcc: b@example.org"}, 409),
        ({"decision": "pause"}, 409),
        ({"decision": "resume"}, 409),
        ({"decision": "retry"}, 409),
        ({"decision": "send"}, 409),
        ({"decision": "resend", "sure": "yes"}, 409),
    ],
)
def test_what_cannot_be_changes_nothing_and_says_why(house, fields, status):
    maya, issue = sign_in(stock(house)), house.draft()
    before = house.dump()
    answer = maya.post("/desk/issues/1/decide", **{"seen": issue.hash, **fields})
    assert answer.status_code == status, answer.text
    after = house.dump()
    assert {**after, "runs": []} == {**before, "runs": []}
    if status == 409:
        assert "Nothing was done: " in answer.text


def test_no_issue_is_decided_that_is_not_there(house):
    maya = sign_in(house)
    for number in (9, 2**63):
        assert decide(maya, "hold", number).status_code == 404


# --- grave ones --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decision", "before", "question"),
    [
        ("reject", draft, "Reject this issue?"),
        ("cancel", sent_in_part, "Cancel this issue?"),
        ("resend", done, "Send the uncertain ones again?"),
    ],
)
def test_what_is_grave_is_asked_once_more(stocked, maya, decision, before, question):
    before(stocked)
    was = stocked.dump()
    page = decide(maya, decision, reason=HOSTILE)
    assert page.status_code == 200
    assert question in page.text
    assert HOSTILE not in page.text
    assert stocked.dump() == was
    assert decide(maya, decision, sure="yes").status_code == 303


# --- deliveries --------------------------------------------------------------------------------


def test_retrying_and_settling_say_how_many_and_who_sends_them(stocked, maya):
    done(stocked)
    said = told(maya, decide(maya, "retry"))
    assert said.startswith("1 that failed are pending again. No run could be started: Prefect does")
    assert "digest deliver 1" in said
    assert "1 uncertain left as they are" in told(maya, decide(maya, "leave"))
    assert "settled" not in maya.get("/desk/issues/1").text.partition("Deliveries")[0]
    page = maya.get("/desk/issues/1").text
    assert "0 of them undecided" in page
    assert 'value="look"' not in page
    assert "1 that were uncertain are pending again" in told(
        maya, decide(maya, "resend", sure="yes")
    )
    assert issue_of(stocked).state == "sending"


def test_what_is_paused_is_not_started(stocked, maya):
    paused(stocked)
    assert "resume it to send them" in told(maya, decide(maya, "retry"))


def test_a_test_copy_goes_to_one_address_that_is_kept_on_no_page(stocked, maya):
    stocked.draft()
    answer = decide(maya, "test", to="me@example.net")
    assert "@" not in answer.headers["location"]
    assert told(maya, answer) == "The test copy was submitted."
    (mail,) = stocked.mails()
    assert mail["To"] == "me@example.net"
    assert mail["Subject"].startswith("[Test] ")
    assert "me@example.net" not in maya.get("/desk/issues/1").text
    with stocked.app.store.read() as c:
        assert "@" not in str(c.execute(select(tables.runs.c.parameters)).all())


class Refusing(App):
    """Its mailer repeats whom a mail was for."""

    def mailer(self, slug):
        return self

    def submit(self, mails, key):
        (mail,) = mails
        said = f"550 5.1.1 <{mail.envelope.recipient}>: no such user"
        return (Refused(said, "550 5.1.1"),)

    def close(self):
        pass


def test_a_server_that_repeats_the_address_puts_it_on_no_page(house, viewer):
    stock(house).draft()
    app = Refusing(house.app.home, house.app.config, house.app.store, house.app.clock)
    said = deciding.decide(app, 1, Word(Decision.TEST, test_to="me@example.net"), "Maya")
    assert "no such user" in said
    page = viewer.get("/desk/issues/1").text
    assert "no such user" in page
    assert "me@example.net" not in page


def test_send_now_starts_a_run_or_says_how_to_send_it(stocked, maya):
    approved(stocked)
    said = told(maya, decide(maya, "send"))
    assert said.startswith("No run could be started: Prefect does not answer")
    assert "digest deliver 1" in said


# --- a run in Prefect --------------------------------------------------------------------------


class Prefect:
    """Answers as Prefect's API does, or as it is told to."""

    def __init__(self, answers):
        self.asked, self.answers = [], answers
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("content-length", 0))
                body = json.loads(self.rfile.read(length) or "null")
                outer.asked.append((self.command, self.path, body, self.headers["authorization"]))
                told = outer.answers[self.command]
                status, found = told.pop(0) if isinstance(told, list) else told
                self.send_response(status)
                self.end_headers()
                self.wfile.write(found if isinstance(found, bytes) else json.dumps(found).encode())

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


GOOD = {"GET": (200, {"id": "d1"}), "POST": (201, {"id": "r1"})}
BRISK = (1.0, 2.0)


def test_send_now_starts_send_issue_with_the_number(house, monkeypatch):
    stock(house)
    maya = sign_in(house)
    approved(house)
    with Prefect(GOOD) as prefect:
        monkeypatch.setenv("PREFECT_API_URL", prefect.url)
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:pass")
        said = told(maya, decide(maya, "send"))
    assert said == "A run in Prefect was started that sends it."
    (_, named, _, auth), (_, path, body, _) = prefect.asked
    assert named == "/api/deployments/name/send-issue/send-issue"
    assert path == "/api/deployments/d1/create_flow_run"
    assert body["parameters"] == {"issue": 1, "dry_run": False}
    assert body["idempotency_key"] == "desk-1-20261123T0800"
    assert auth.startswith("Basic ")


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"GET": (404, {})}, "no deployment send-issue"),
        ({"GET": (401, {})}, "does not let us in (HTTP 401)"),
        ({"GET": (200, b"<html>")}, "no answer of Prefect's API (HTTP 200)"),
        ({"GET": (200, {"id": 7})}, "no answer of Prefect's API (HTTP 200)"),
        ({"GET": (302, {"id": "d1"})}, "no answer of Prefect's API (HTTP 302)"),
        ({**GOOD, "POST": (409, {})}, "no answer of Prefect's API (HTTP 409)"),
        ({**GOOD, "POST": (201, [])}, "no answer of Prefect's API (HTTP 201)"),
    ],
)
def test_why_no_run_was_started(answers, why):
    with Prefect(answers) as prefect:
        assert why in start_sending(Connection(prefect.url), 1, NOW, BRISK)


def test_a_run_that_is_over_is_not_taken_for_a_new_one():
    """Prefect gives the run of a minute ago for the same key, whatever became of it."""
    over = {"id": "r1", "state": {"type": "COMPLETED"}}
    answers = [(200, over), (200, {**over, "id": "r2"}), (201, {"id": "r3"})]
    with Prefect({**GOOD, "POST": answers}) as prefect:
        assert start_sending(Connection(prefect.url), 1, NOW, BRISK) == ""
    keys = [body["idempotency_key"] for _, _, body, _ in prefect.asked[1:]]
    first = "desk-1-20261123T0800"
    assert keys == [first, f"{first}-r1", f"{first}-r1-r2"]


# --- what a page offers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "offered"),
    [
        (draft, {"approve", "change", "test", "hold", "reject"}),
        (approved, {"send", "test", "hold", "reject"}),
        (held, {"resume", "test", "reject"}),
        (
            sent_in_part,
            {"send", "test", "pause", "cancel", "retry", "look", "leave", "resend"},
        ),
        (paused, {"resume", "test", "cancel", "retry", "look", "leave", "resend"}),
        (done, {"test", "retry", "look", "leave", "resend"}),
    ],
)
def test_a_page_offers_what_may_be_decided_and_nothing_else(house, before, offered):
    before(stock(house))
    page = sign_in(house).get("/desk/issues/1").text
    found = {one for one in Decision if f'name="decision" value="{one}"' in page}
    assert found == offered


def test_words_of_a_decision_are_of_this_session_alone(house):
    stock(house)
    issue = house.draft()
    maya, tom = sign_in(house), sign_in(house, "Tom")
    decide(maya, "hold")
    assert issue.id == 1
    tom.client.cookies.set("digest-told", maya.client.cookies["digest-told"])
    assert "Held." not in tom.get("/desk").text
    assert "Held." in maya.get("/desk").text


def test_below_a_path_a_decision_leads_back_below_it(house):
    from starlette.testclient import TestClient

    from digest.settings import load_config
    from digest.web.app import make_app

    sign_in(stock(house))
    house.draft()
    house.configure("http://127.0.0.1:8780", "http://127.0.0.1:8780/letters", "site.toml")
    house.app = replace(house.app, config=load_config(house.app.home, {}))
    client = TestClient(make_app(house.app), base_url=LINKS, follow_redirects=False)
    fields = {"name": "Maya", "password": "a long enough password"}
    client.post("/letters/desk/sign-in", data=fields)
    page = client.get("/letters/desk/issues/1").text
    assert 'action="/letters/desk/issues/1/decide"' in page
    assert 'src="/letters/desk/issues/1/frame?' in page
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
    form = {"csrf": csrf, "decision": "hold"}
    answer = client.post("/letters/desk/issues/1/decide", data=form)
    assert answer.headers["location"] == "/letters/desk/issues/1"
    assert "Held." in client.get("/letters/desk/issues/1").text


def test_without_a_session_or_the_field_nothing_is_decided(house):
    maya = sign_in(stock(house))
    house.draft()
    before = house.dump()
    form = {"decision": "hold", "csrf": maya.csrf}
    assert client_of(house).post("/desk/issues/1/decide", data=form).status_code == 403
    bare = {"decision": "hold"}
    assert maya.client.post("/desk/issues/1/decide", data=bare).status_code == 403
    evil = {"origin": "https://evil.example"}
    answer = maya.client.post("/desk/issues/1/decide", data=form, headers=evil)
    assert answer.status_code == 403
    assert house.dump() == before
