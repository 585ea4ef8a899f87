"""A channel is asked for its limits once a day, and its last ones do where it does not answer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from digest.errors import Unavailable
from digest.model import Limits
from digest.social.remembered import limits_of

LIMITS = Limits(500, 23, 16_000_000, ("image/jpeg", "image/png"), 33_000_000, 1500)
NEWER = Limits(5000, None, 16_000_000, ("image/jpeg",))
WRITTEN = (
    b'{"at": "%s", "where": "mastodon https://example.social", "limits": {"characters": %s, "link_weight": 23, "picture_bytes": 1,'
    b' "picture_types": ["image/jpeg"]}}'
)
HERE = "mastodon https://example.social"
DOWN = Unavailable("the instance does not answer")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "limits"


@pytest.fixture
def asked(folder, now):
    """Ask after so long, with what the network would say; the limits, and whether it was asked."""

    def ask(answer, *, after=timedelta(0)):
        questions = []
        limits = limits_of(
            "toots", HERE, folder, lambda: questions.append(1) or answer, now + after
        )
        return limits, bool(questions)

    return ask


def test_within_a_day_it_is_not_asked_again(asked):
    assert asked(LIMITS) == (LIMITS, True)
    assert asked(NEWER, after=timedelta(hours=23, minutes=59)) == (LIMITS, False)
    assert asked(NEWER, after=timedelta(days=1)) == (NEWER, True)
    assert asked(LIMITS, after=timedelta(days=1, hours=1)) == (NEWER, False)


def test_where_asking_fails_the_old_ones_do_and_it_is_said(asked, caplog):
    asked(LIMITS)
    assert asked(DOWN, after=timedelta(days=400)) == (LIMITS, True)
    assert "toots" in caplog.text
    assert "2026-11-22" in caplog.text
    assert DOWN.reason in caplog.text
    assert asked(NEWER, after=timedelta(days=400)) == (NEWER, True)


def test_where_nothing_was_ever_known_nothing_is(asked, folder, caplog):
    assert asked(DOWN) == (None, True)
    assert DOWN.reason in caplog.text
    assert not folder.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"null",
        b'{"at": "2026-11-22T18:00:00Z", "limits": {"characters": 500}}',
        WRITTEN % (b"2026-11-22T18:00:00Z", b'"many"'),
        # No zone: whose evening?
        WRITTEN % (b"2026-11-22T18:00:00", b"500"),
    ],
)
def test_a_broken_file_is_asked_anew(asked, folder, content):
    folder.mkdir()
    (folder / "toots.json").write_bytes(content)
    assert asked(DOWN) == (None, True)
    assert asked(LIMITS) == (LIMITS, True)
    assert asked(NEWER) == (LIMITS, False)


def test_a_file_of_before_a_limit_was_known_is_read(asked, folder):
    folder.mkdir()
    (folder / "toots.json").write_bytes(WRITTEN % (b"2026-11-22T17:00:00Z", b"500"))
    assert asked(NEWER) == (Limits(500, 23, 1, ("image/jpeg",)), False)


def test_an_answer_of_tomorrow_is_not_believed(asked):
    asked(LIMITS, after=timedelta(days=300))
    assert asked(NEWER) == (NEWER, True)


def test_each_channel_has_its_own(folder, now):
    limits_of("one", HERE, folder, lambda: LIMITS, now)
    assert limits_of("other", HERE, folder, lambda: NEWER, now) == NEWER
    assert (folder / "one.json").stat().st_mode & 0o777 == 0o600


def test_a_channel_that_moved_has_the_limits_of_where_it_is(folder, now, caplog):
    limits_of("one", HERE, folder, lambda: LIMITS, now)
    there = "mastodon https://example.town"
    assert limits_of("one", there, folder, lambda: DOWN, now) is None
    assert limits_of("one", there, folder, lambda: NEWER, now) == NEWER


def test_where_nothing_can_be_written_it_is_asked_each_time(tmp_path, now, caplog):
    (tmp_path / "file").write_text("")
    for _ in range(2):
        assert limits_of("one", HERE, tmp_path / "file", lambda: LIMITS, now) == LIMITS
    assert "not remembered" in caplog.text
