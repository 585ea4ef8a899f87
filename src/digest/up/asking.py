"""What the supervisor asks its children over HTTP, on this machine: are you ready?"""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from digest.errors import DigestError

if TYPE_CHECKING:
    from digest.up.connection import Connection

_SECONDS = 5


class PasswordError(DigestError):
    """Prefect's API answers, and refuses our password."""


def answers(url: str) -> bool:
    """Whether something answers there with 200."""
    return _ask(Request(url)) is not None  # noqa: S310  our own address


def deployments(connection: Connection) -> int:
    """How many deployments Prefect's API knows; 0 while it does not answer."""
    body = _ask(_request(connection, "/deployments/count", {}))
    return int(body) if body else 0


def _request(connection: Connection, path: str, document: dict[str, Any]) -> Request:
    token = base64.b64encode(connection.auth.encode()).decode()
    return Request(  # noqa: S310  our own address
        connection.api_url.rstrip("/") + path,
        data=json.dumps(document).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Basic {token}"},
    )


def _ask(request: Request) -> bytes | None:
    """The body of a good answer; None while there is none."""
    # Without a proxy: the environment's may not know the way back to this machine.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            return bytes(answer.read()) if answer.status == HTTPStatus.OK else None
    except HTTPError as error:
        if error.code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise PasswordError(f"{request.full_url} refuses the password of this home") from error
        return None
    except OSError:
        return None
