"""Every address with anything, out of the pages' own description: no 5xx, and nobody is lost.

Half of what is sent is made up; the other half are tokens, numbers and words that mean something
here, at places where they may not belong.
"""

from __future__ import annotations

import json
import warnings
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digest import deciding, deciding_threads
from digest.web.app import PAGES
from digest.web.openapi import describe
from fakes.site import Site, form_body

with warnings.catch_warnings():
    # Its dependencies deprecate parts of each other.
    warnings.simplefilter("ignore", DeprecationWarning)
    import schemathesis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: So that a run takes seconds, and the same ones each time.
EXAMPLES = settings(
    max_examples=20,
    database=None,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

OPERATIONS: dict[str, list[Any]] = {}
for _found in schemathesis.openapi.from_dict(describe(PAGES)).get_all_operations():
    _operation = _found.ok()
    _group = "the desk" if _operation.path.startswith("/desk") else "readers"
    OPERATIONS.setdefault(f"{_operation.method} {_group}", []).append(_operation)


#: Of the settings form, whose fields have names by newsletter.
SETTINGS = {
    "rhythm.weekly": ["weekly", "monthly"],
    "what.weekly": ["everything", "chosen"],
    "group.weekly": ["series:ipc", "theme:nope"],
    "until.weekly": ["", "2027-01-01", "9999-12-31"],
}


def _fields(data: Any, names: Iterable[str], made_up: dict[str, Any], words: Any) -> dict[str, Any]:
    """Most of the fields as they mean something here, the others made up."""
    fields = dict(made_up)
    for name in names:
        if name in words and data.draw(st.integers(0, 5), label=f"{name} is made up") < 5:
            fields[name] = data.draw(st.sampled_from(words[name]), label=name)
        elif name not in fields:
            fields[name] = data.draw(st.text(max_size=20), label=name)
    return fields


def _target(data: Any, case: Any, words: Any, site: Site) -> str:
    path = case.path
    parts = dict(case.path_parameters or {})
    for name, value in _fields(data, parts, parts, words).items():
        path = path.replace(f"{{{name}}}", quote(str(value).encode(errors="replace"), safe=""))
    if path.startswith("/look") and data.draw(st.booleans(), label="as signed"):
        return f"{path}?{site.house.look_path().partition('?')[2]}"
    asked = dict(case.query or {})
    query = form_body(_fields(data, asked, asked, words)).decode()
    return f"{path}?{query}" if query else path


@pytest.fixture
def site(house: Any) -> Iterator[Site]:
    with closing(Site(house)) as site:
        yield site


@pytest.mark.parametrize("group", OPERATIONS)
def test_no_page_fails_whatever_is_sent(site, group):
    before = site.bystanders()
    for operation in OPERATIONS[group]:
        _fuzz(site, operation)
        assert site.balanced(), operation.label
        assert site.bystanders() == before, operation.label


def _fuzz(site: Site, operation: Any) -> None:
    """Ask for one page in all ways."""
    site.sign_in()
    page = next(one for one in PAGES if one.path.replace(":int", "") == operation.path)
    own = site.tokens.get(operation.path.split("/")[1])
    words = {**site.sensible, **SETTINGS, "token": [*([own] * 8 if own else ()), *site.anywhere]}
    about = deciding_threads if "threads" in operation.path else deciding
    words["decision"] = sorted(about.Decision)
    names = [*(page.form or ()), *(SETTINGS if operation.path == "/me/{token}" else ())]

    @EXAMPLES
    @given(case=operation.as_strategy(), data=st.data())
    def fuzz(case: Any, data: Any) -> None:
        body = b""
        if case.method == "POST":
            made_up = case.body if isinstance(case.body, dict) else {}
            body = form_body(_fields(data, names, made_up, words))
            if page.raw:
                body = json.dumps(made_up).encode()
        target = _target(data, case, words, site)
        answer = site.ask(case.method, target, body, desk=operation.path.startswith("/desk"))
        assert answer.status < 500, answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"

    fuzz()


def test_every_page_is_described():
    described = {operation.path for group in OPERATIONS.values() for operation in group}
    assert described == {page.path.replace(":int", "") for page in PAGES}
