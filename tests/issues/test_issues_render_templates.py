"""`digest check` on templates: every fault at once, with its file, its line and what is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from digest.config import Config
from digest.errors import ConfigError, Problem
from digest.issues.render import FILES, render, template_problems
from digest.issues.specimen import specimens

TEMPLATES = Path(__file__).parents[2] / "templates"


def config(template: str = "weekly") -> Config:
    newsletter = {
        "title": "Weekly",
        "from_name": "Blog",
        "from_address": "digest@blog.example",
        "bounce_address": "bounces@blog.example",
        "reply_to": "editors@blog.example",
        "unsubscribe_mailto": "unsubscribe@blog.example",
        "list_id": "weekly.blog.example",
        "mailer": "local",
        "template": template,
    }
    site = {"name": "Blog", "url": "https://blog.example", "contact": "editors@blog.example"}
    site |= {"postal_address": "1 Example Street", "links_url": "https://blog.example"}
    mailers = {"local": {"kind": "file"}}
    return Config(site=site, mailers=mailers, feeds={}, newsletters={"weekly": newsletter})


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A copy of the shipped templates, to be spoilt."""
    shutil.copytree(TEMPLATES / "email", tmp_path / "templates" / "email")
    return tmp_path / "templates"


def spoil(templates: Path, file: str, old: str, new: str) -> None:
    path = templates / "email" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_shipped_templates_have_no_problem() -> None:
    assert template_problems(TEMPLATES, config()) == []


def test_a_folder_that_is_missing_is_named_with_what_it_must_hold() -> None:
    (problem,) = template_problems(TEMPLATES, config("fancy"))
    assert problem.file == "templates/email/fancy"
    assert all(file in problem.message for file in FILES)


def test_every_missing_file_is_named_at_once(templates: Path) -> None:
    (templates / "email/weekly/subject.txt").unlink()
    (templates / "email/series/body.mjml").unlink()
    assert template_problems(templates, config()) == [
        Problem("templates/email/series/body.mjml", "", "is missing"),
        Problem("templates/email/weekly/subject.txt", "", "is missing"),
    ]


def test_the_opt_in_mail_is_checked_too(templates: Path) -> None:
    (templates / "email/opt-in/subject.txt").unlink()
    spoil(templates, "opt-in/body.txt", "confirm_url", "confirm_ulr")
    found = template_problems(templates, config())
    assert [(p.file, p.key) for p in found] == [
        ("templates/email/opt-in/body.txt", "line 3"),
        ("templates/email/opt-in/subject.txt", ""),
    ]


def test_a_missing_part_is_named_by_the_template_that_needs_it(templates: Path) -> None:
    (templates / "email/_base/layout.txt").unlink()
    found = template_problems(templates, config())
    assert [problem.file for problem in found] == [
        "templates/email/series/body.txt",
        "templates/email/weekly/body.txt",
    ]
    assert all("_base/layout.txt" in problem.message for problem in found)


def test_a_syntax_error_has_file_and_line(templates: Path) -> None:
    spoil(templates, "weekly/body.txt", "{% endfor %}\n{% endblock %}", "{% endblock %}")
    (problem,) = template_problems(templates, config())
    assert (problem.file, problem.key) == ("templates/email/weekly/body.txt", "line 10")
    assert "endfor" in problem.message


def test_an_unknown_filter_has_file_and_line(templates: Path) -> None:
    spoil(templates, "_base/parts.txt", "| wrap", "| wrapp")
    assert {(p.file, p.key) for p in template_problems(templates, config())} == {
        ("templates/email/_base/parts.txt", "line 13")
    }


def test_an_undefined_variable_has_file_and_line_where_it_stands(templates: Path) -> None:
    spoil(templates, "_base/parts.mjml", "item.post.excerpt }}", "item.post.exerpt }}")
    (problem,) = template_problems(templates, config())
    line = (templates / "email/_base/parts.mjml").read_text().split("exerpt")[0].count("\n") + 1
    assert (problem.file, problem.key) == ("templates/email/_base/parts.mjml", f"line {line}")
    assert "exerpt" in problem.message


def test_mjml_that_does_not_render_says_why(templates: Path) -> None:
    spoil(templates, "_base/frame.mjml", "</mj-body>", "")
    found = template_problems(templates, config())
    assert {p.file for p in found} == {
        "templates/email/opt-in/body.mjml",
        "templates/email/series/body.mjml",
        "templates/email/settings-link/body.mjml",
        "templates/email/sign-up/body.mjml",
        "templates/email/weekly/body.mjml",
    }
    assert all("</mjml> stands where </mj-body> is due" in p.message for p in found)


@pytest.mark.parametrize(
    "expression",
    [
        "{{ 1 / 0 }}",
        "{{ 'a' + 1 }}",
        "{% include 'weekly/subject.txt' %}",
        "{{ issue.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ range(999999999) | list }}",
        "{{ items.append(1) }}",
    ],
)
def test_an_expression_that_fails_or_reaches_out_is_a_problem(
    templates: Path, expression: str
) -> None:
    spoil(templates, "weekly/subject.txt", "{% if", expression + "{% if")
    found = template_problems(templates, config())
    assert {problem.file for problem in found} == {"templates/email/weekly/subject.txt"}


def test_a_template_cannot_read_outside_its_folder(templates: Path) -> None:
    (templates / "secret.txt").write_text("secret")
    spoil(
        templates,
        "weekly/body.txt",
        "{% block posts %}",
        "{% block posts %}{% include '../secret.txt' %}",
    )
    (problem,) = template_problems(templates, config())
    assert "no such file" in problem.message


def test_a_problem_found_while_rendering_is_told_the_same_way(templates: Path) -> None:
    spoil(templates, "weekly/preheader.txt", "items[1:]", "itms")
    with pytest.raises(ConfigError) as raised:
        render(specimens("weekly")[0], templates)
    (problem,) = raised.value.problems
    assert (problem.file, problem.key) == ("templates/email/weekly/preheader.txt", "line 1")


def test_an_edited_template_is_used_at_once(templates: Path) -> None:
    content = specimens("weekly")[0]
    before = render(content, templates).text
    spoil(templates, "_base/layout.txt", "Unsubscribe:", "Leave this newsletter:")
    assert "Leave this newsletter:" not in before
    assert "Leave this newsletter:" in render(content, templates).text
