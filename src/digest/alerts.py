"""Where alerts go: an address that Apprise must know."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from digest.errors import Problem

if TYPE_CHECKING:
    from digest.config import Alerts


def alert_problems(alerts: Alerts, file: str) -> list[Problem]:
    """What is wrong with the address of alerts, which is a secret and is not shown."""
    url = alerts.apprise_url.get_secret_value()
    if not url or _known(url):
        return []
    message = (
        "not an address that Apprise knows, such as mailtos://... or slack://...;"
        " see https://github.com/caronc/apprise/wiki"
    )
    return [Problem(file, "alerts.apprise_url", message)]


def _known(url: str) -> bool:
    from apprise import Apprise

    logger = logging.getLogger("apprise")
    # It would log the address, with what is secret in it.
    logger.disabled = True
    try:
        return bool(Apprise().add(url))
    finally:
        logger.disabled = False
