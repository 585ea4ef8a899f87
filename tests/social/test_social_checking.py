"""Templates of threads, snippets and repeats: each that config can use is filled in beforehand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from digest.config import Config
from digest.social.checking import template_problems

TEMPLATES = Path(__file__).parents[2] / "templates"


def a_config(**channel) -> Config:
    site = {"name": "Common Threads", "url": "https://c.org/", "contact": "c@c.org",
            "postal_address": "1 Road", "links_url": "https://c.org/"}  # fmt: skip
    return Config.model_validate(
        {
            "site": site,
            "mailers": {},
            "feeds": {},
            "newsletters": {},
            "series": {"ipc": {"title": "IPC", "hashtag": "IPC", "match": {"categories": ["ipc"]}}},
            "channels": {"mine": {"network": "x", **channel}},
        }
    )


@pytest.fixture
def templates(tmp_path):
    shutil.copytree(TEMPLATES / "social", tmp_path / "social")
    return tmp_path


def faults(templates, **channel) -> list[str]:
    return [str(problem) for problem in template_problems(templates, a_config(**channel))]


def test_what_comes_with_us_is_in_order():
    evergreen = {"series": ["ipc"], "most_repeats": 3}
    assert faults(TEMPLATES, forms={"ipc": "snippet"}, evergreen=evergreen) == []


def test_a_repeat_without_a_template_is_told(templates):
    found = faults(templates, evergreen={"series": ["ipc"], "most_repeats": 4})
    (told,) = found
    assert told == (
        "templates/social/again/4.txt: missing; channels.mine.evergreen.most_repeats is 4:"
        " write it, or repeat 3 times at most"
    )


def test_a_folder_of_templates_that_is_not_there_is_told_once(templates):
    (told,) = faults(templates, template="story")
    assert told == (
        "templates/social/story: missing; channels.mine.template names it: make it with root.txt,"
        " item.txt and last.txt, or name one of: thread"
    )
    assert faults(templates, template="story", form="snippet") == []


def test_repeats_that_say_the_same_are_told(templates):
    shutil.copy(templates / "social/again/1.txt", templates / "social/again/2.txt")
    (found,) = faults(templates, evergreen={"series": ["ipc"]})
    assert found.startswith("templates/social/again/2.txt: says the same as")


def test_a_template_that_no_channel_uses_is_left_alone(templates):
    (templates / "social/snippet/only.txt").write_text("{{ nope }}")
    assert faults(templates) == []
    assert "nope" in "".join(faults(templates, form="snippet"))


def test_a_fault_that_shows_only_without_a_link_is_found(templates):
    (templates / "social/thread/last.txt").write_text("{% if not link %}{{ nope }}{% endif %}")
    assert len(faults(templates)) == 1
