"""The pages in OpenAPI 3.1's words, for tests that try every address with anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digest.web.routing import Page, Schema

_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
_SECRET: Schema = {"type": "string", "minLength": 1, "maxLength": 120}
_ANSWERS = {
    "default": {
        "description": "A page.",
        "content": {"text/html": {"schema": {"type": "string"}}},
    }
}


def describe(pages: Sequence[Page]) -> dict[str, Any]:
    """The description of these pages."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "digest", "version": "1"},
        "paths": {_PARAMETER.sub(r"{\1}", page.path): _operations(page) for page in pages},
    }


def _operations(page: Page) -> dict[str, Any]:
    names = _PARAMETER.findall(page.path)
    path = [_parameter(name, "path", _SECRET) for name in names]
    query = [_parameter(name, "query", schema) for name, schema in page.query.items()]
    found: dict[str, Any] = {}
    if page.look:
        found["get"] = {
            "summary": page.about,
            "parameters": [*path, *query],
            "responses": _ANSWERS,
        }
    if page.do:
        found["post"] = {"summary": page.about, "parameters": path, "responses": _ANSWERS}
        if page.form is not None:
            schema = {"type": "object", "properties": page.form}
            content = {"application/x-www-form-urlencoded": {"schema": schema}}
            found["post"]["requestBody"] = {"content": content}
        if page.raw:
            content = {"application/json": {"schema": {"type": "object"}}}
            found["post"]["requestBody"] = {"content": content}
    return found


def _parameter(name: str, place: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}
