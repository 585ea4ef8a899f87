"""Asking an editor about a draft and doing what they answered, whatever screen shows it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from digest import asking, sending
from digest.asking import CHANGE, HOLD, REJECT, SEND, TEST, Answer
from digest.bootstrap import bootstrap
from digest.issues import desk as desk_steps
from digest.model import Act
from digest.store import asks
from digest.store.issues import get_issue, transitions_of


@pytest.fixture
def app(stocked, draft):
    with bootstrap(stocked.home) as opened:
        yield opened


@pytest.fixture
def draft(drafted):
    return drafted


def issue_of(app, number):
    with app.store.read() as c:
        return get_issue(c, number)


def asked(app, number, run="run-1"):
    return asking.put(app, issue_of(app, number), run)


def as_shown(app, number, **changes):
    """An answer with the fields of the form as they stood in it."""
    question = asking.question(issue_of(app, number))
    shown = Answer(SEND, "Maya", question.issue.subject, question.introduction)
    return replace(shown, **changes)


def open_ask(app, number):
    with app.store.read() as c:
        return asks.open_ask(c, number)


def test_send_approves_what_was_shown_and_says_who(app, draft):
    ask = asked(app, draft)
    assert asking.take(app, ask, as_shown(app, draft)) == ""
    issue = issue_of(app, draft)
    assert (issue.state, issue.approved_hash) == ("approved", ask.hash)
    with app.store.read() as c:
        last = transitions_of(c, draft)[-1]
    assert (last.actor, last.reason) == ("Maya", "send")
    assert open_ask(app, draft) is None


def test_a_typed_subject_goes_out_at_once(app, draft):
    asking.take(app, asked(app, draft), as_shown(app, draft, subject=" Bread,\n and more "))
    issue = issue_of(app, draft)
    assert (issue.state, issue.subject) == ("approved", "Bread, and more")


@pytest.mark.parametrize("decision", [SEND, CHANGE])
def test_changed_words_are_asked_again(app, draft, decision):
    changed = as_shown(app, draft, decision=decision, introduction="A quieter week.")
    note = asking.take(app, asked(app, draft), changed)
    assert "Nothing was sent" in note
    issue = issue_of(app, draft)
    assert (issue.state, "A quieter week." in issue.text) == ("draft", True)


def test_dropped_posts_are_asked_again_with_the_typed_subject(app, draft):
    question = asking.question(issue_of(app, draft))
    label, post = next(iter(question.posts.items()))
    answer = as_shown(app, draft, decision=CHANGE, drop=(post,), subject="Less is more")
    asking.take(app, asked(app, draft), answer)
    after = asking.question(issue_of(app, draft))
    assert post not in after.posts.values()
    assert after.issue.subject == "Less is more"
    assert label.startswith("1. ")


def test_change_without_a_change_says_so(app, draft):
    before = issue_of(app, draft)
    note = asking.take(app, asked(app, draft), as_shown(app, draft, decision=CHANGE))
    assert note == "Nothing was changed."
    assert issue_of(app, draft) == before


@pytest.mark.parametrize(("decision", "state"), [(HOLD, "held"), (REJECT, "rejected")])
def test_hold_and_reject_are_kept_with_their_reason(app, draft, decision, state):
    answer = as_shown(app, draft, decision=decision, reason="the minister calls")
    assert asking.take(app, asked(app, draft), answer) == ""
    assert issue_of(app, draft).state == state
    with app.store.read() as c:
        assert transitions_of(c, draft)[-1].reason == "the minister calls"


def test_a_test_copy_goes_out_and_its_address_is_in_no_word_of_ours(app, draft, stocked):
    answer = as_shown(app, draft, decision=TEST, test_to="maya@desk.example")
    note = asking.take(app, asked(app, draft), answer)
    assert note == "The test copy was submitted."
    assert issue_of(app, draft).state == "draft"
    assert open_ask(app, draft) is None
    [copy] = [m for m in stocked.mails().values() if m["To"] == "maya@desk.example"]
    assert copy["Subject"].startswith("[Test] ")


@pytest.mark.parametrize("address", ["", "nobody", "a@b@c"])
def test_a_test_copy_to_no_address_sends_nothing(app, draft, stocked, address):
    note = asking.take(app, asked(app, draft), as_shown(app, draft, decision=TEST, test_to=address))
    assert "address" in note
    assert not (stocked.home / "var" / "mail" / "new").exists()


def test_an_answer_about_another_draft_is_not_carried_out(app, draft):
    ask, answer = asked(app, draft), as_shown(app, draft)
    act = Act("Ben", app.clock(), "meanwhile")
    desk_steps.change(app.store, app.templates, draft, act, introduction="Something else.")
    note = asking.take(app, ask, answer)
    assert "not carried out" in note
    assert "changed since you looked" in note
    assert issue_of(app, draft).state == "draft"


def test_an_answer_after_somebody_decided_changes_nothing(app, draft):
    ask, answer = asked(app, draft), as_shown(app, draft)
    desk_steps.reject(app.store, draft, Act("Ben", app.clock(), "no"))
    assert "not carried out" in asking.take(app, ask, answer)
    assert issue_of(app, draft).state == "rejected"


@pytest.mark.parametrize("given", [{"approver": "  "}, {"subject": "  "}])
def test_an_answer_that_lacks_what_it_needs_sends_nothing(app, draft, given):
    note = asking.take(app, asked(app, draft), as_shown(app, draft, **given))
    assert "not carried out" in note
    assert issue_of(app, draft).state == "draft"


def test_dropping_everything_is_refused(app, draft):
    posts = tuple(asking.question(issue_of(app, draft)).posts.values())
    note = asking.take(app, asked(app, draft), as_shown(app, draft, decision=CHANGE, drop=posts))
    assert "reject it instead" in note
    assert len(asking.question(issue_of(app, draft)).posts) == len(posts)


def test_an_issue_has_one_open_ask_whoever_asks(app, draft):
    first = asked(app, draft, "run-1")
    assert asked(app, draft, "run-2") == first
    asking.end(app, first, "its run is gone")
    assert asked(app, draft, "run-2").prefect_run_id == "run-2"


def test_a_draft_that_fails_its_preflight_cannot_be_sent(app, draft):
    failing = replace(issue_of(app, draft), preflight=(failure(),))
    assert SEND not in asking.question(failing).decisions


def failure():
    from digest.model import Check, Severity

    return Check("links", Severity.ERROR, "a link leads nowhere")


def test_the_deadline_says_what_silence_means(app, draft):
    issue = issue_of(app, draft)
    assert issue.decide_by is not None
    assert timedelta(hours=47) < issue.decide_by - app.clock() <= timedelta(hours=48)
    said = asking.deadline(app, issue)
    assert said.endswith("it is held.")
    assert "GMT" in said or "BST" in said


def test_one_run_at_a_time_sends_an_issue(app, draft):
    with sending.alone(app, draft) as mine, sending.alone(app, draft) as theirs:
        assert (mine, theirs) == (True, False)
    with sending.alone(app, draft) as mine:
        assert mine
