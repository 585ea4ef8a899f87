"""How a thread stands, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from digest.social.preview import specimen
from digest.social.telling import form_of, is_over, marks, standing


def a_thread(*states, **fields):
    """A thread of snippets in these states; "out" and "gone" are submitted ones."""
    row = specimen("x").publications[0]
    parts = []
    for position, state in enumerate(states, 1):
        known = {"out": "submitted", "gone": "submitted"}.get(state, state)
        deleted = row.slot if state == "gone" else None
        part = replace(row, position=position, state=known, reason=None)
        parts.append(replace(part, deleted_at=deleted))
    empty = {"held_at": None, "undo_at": None, "differs": None, "gone_at": None}
    empty |= {"after_id": None, "form": "thread"}
    return replace(specimen("x"), **(empty | {"publications": tuple(parts)} | fields))


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (["pending"] * 3, "planned"),
        (["out"] * 3, "3 of 3 out"),
        (["out", "pending"], "1 of 2 out"),
        (
            ["out"] * 4 + ["uncertain"] + ["pending"] * 4,
            "4 of 9 out; snippet 5 uncertain: looked up at the next publishing",
        ),
        (["out", "refused", "cancelled", "cancelled"], "1 of 4 out; snippet 2 refused; snippets 3 and 4 cancelled"),
        (["cancelled"] * 3, "0 of 3 out; snippets 1 to 3 cancelled"),
        (["out", "submitting"], "1 of 2 out; snippet 2 being published now"),
        (["gone", "gone"], "0 of 2 out, 2 taken down"),
    ],
)  # fmt: skip
def test_a_thread_is_told_in_a_line(states, words):
    assert standing(a_thread(*states)) == words


def test_tries_and_reasons_are_told():
    thread = a_thread("pending")
    tried = replace(thread.publications[0], attempts=3, reason="the network is down")
    told = standing(replace(thread, publications=(tried,)))
    assert told == "0 of 1 out; snippet 1 tried 3 times: the network is down"


def test_a_doubt_that_was_decided_is_over(now):
    thread = a_thread("out", "uncertain")
    assert not is_over(thread)
    decided = replace(thread.publications[1], settled="leave, by Maya")
    left = replace(thread, publications=(thread.publications[0], decided))
    assert is_over(left)
    assert standing(left) == "1 of 2 out; snippet 2 may be out (leave, by Maya)"


@pytest.mark.parametrize(
    ("states", "over"),
    [(["out", "pending"], False), (["out", "submitting"], False), (["out", "cancelled"], True)],
)
def test_a_thread_is_over_when_nothing_of_it_is_to_come(states, over):
    assert is_over(a_thread(*states)) is over


def test_what_an_editor_must_know_is_marked(now):
    held = a_thread("pending", held_at=now, held_why="its post was edited")
    assert marks(held) == ["held: its post was edited; digest social release 1"]
    undone = {"undo_at": now, "undo_by": "Maya", "undo_why": "wrong figures"}
    assert marks(a_thread("out", "uncertain", **undone)) == [
        "to be taken down, 1 still out, 1 may be out, by Maya: wrong figures"
    ]
    assert not is_over(a_thread("out", **undone))
    assert marks(a_thread("gone", **undone)) == ["taken down, by Maya: wrong figures"]
    assert marks(a_thread("out", differs="snippet 1 lacks its picture")) == [
        "not as it should be: snippet 1 lacks its picture"
    ]
    assert marks(a_thread("out", gone_at=now)) == ["its post is gone"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "thread"),
        ({"form": "snippet"}, "single snippet"),
        ({"form": "snippet", "repeat": 1}, "single snippet, brought back by an editor"),
        ({"form": "snippet", "repeat": 1, "evergreen": True}, "single snippet, brought back by rotation"),
        ({"form": "standing"}, "part of a standing thread, its beginning"),
        ({"form": "standing", "after_id": 4}, "part of a standing thread, goes on from thread 4"),
    ],
)  # fmt: skip
def test_its_form_is_named(fields, words):
    assert form_of(a_thread("pending", **fields)) == words
