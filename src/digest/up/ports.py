"""The two ports of `digest up`, found in config and tried before anything starts."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from digest.errors import UsageError

if TYPE_CHECKING:
    from digest.config import Config

HOST = "127.0.0.1"

#: Where the pages answer when links lead through another machine to this one.
PAGES_PORT = 8780

_THIS_MACHINE = ("127.0.0.1", "localhost")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_PREFECTS_OWN = 4200

PREFECT_CURE = "digest up --port N, or [prefect] api_url in config"
PAGES_CURE = "[site] links_url in config"


def prefect_port(config: Config, option: int | None) -> int:
    """The option, else the port of `[prefect] api_url`, which must lead to this machine."""
    parts = urlsplit(config.prefect.api_url)
    ours = parts.scheme == "http" and parts.hostname in _THIS_MACHINE
    if not ours or parts.path.rstrip("/") != "/api":
        port = option or parts.port or _PREFECTS_OWN
        raise UsageError(
            f"[prefect] api_url is {config.prefect.api_url}; digest up starts a server on this "
            f"machine: say http://{HOST}:{port}/api, or serve flows to that one instead"
        )
    return option or parts.port or _DEFAULT_PORTS["http"]


def pages_port(config: Config) -> int:
    """The port of `[site] links_url` where that is on this machine, else 8780."""
    parts = urlsplit(config.site.links_url)
    if parts.hostname not in _THIS_MACHINE:
        return PAGES_PORT
    return parts.port or _DEFAULT_PORTS[parts.scheme]


def require_two(prefect: int, pages: int) -> None:
    """Raises UsageError where Prefect and the pages would be on one port."""
    if prefect == pages:
        raise UsageError(
            f"port {prefect} is meant for Prefect and for the pages; name another for Prefect "
            f"({PREFECT_CURE}) or for the pages ({PAGES_CURE})"
        )


def require_free(port: int, what: str, cure: str) -> None:
    """Raises UsageError where nobody can listen there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            why = (
                "is taken by another program"
                if error.errno == errno.EADDRINUSE
                else f"cannot be used ({(error.strerror or str(error)).lower()})"
            )
            raise UsageError(
                f"port {port} for {what} {why}; free it, or name another: {cure}"
            ) from None


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
