"""What is looked at again before the first delivery of an issue (rule 4).

The posts are fetched once more, and one message is built on trial: a fault that
would hit every delivery stops the issue before the first.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from digest.feeds.recheck import recheck_posts
from digest.issues.compose import newsletter_of
from digest.issues.content import from_json
from digest.mail.letters import Letters
from digest.mail.policy import MessageError
from digest.store.accounts import StoredVariant
from digest.store.deliveries import Claimed
from digest.store.posts import mark_gone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from digest.bootstrap import App
    from digest.feeds.recheck import Recheck
    from digest.store.issues import Issue

log = logging.getLogger(__name__)

#: What an editor does about a post that stops an issue.
_CURES = {
    "gone": "the draft that resume makes leaves it out; if it is back, digest ingest --whole",
    "changed": "read it again by digest ingest --whole before you resume",
}


@dataclass(frozen=True, slots=True)
class Findings:
    """One sentence each: why the issue must not go out, and what could not be looked at."""

    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def look_again(app: App, issue: Issue) -> Findings:
    """Try a message and fetch the posts again."""
    trial = _trial(app, issue)
    return Findings(tuple(trial)) if trial else _posts(app, issue)


def _trial(app: App, issue: Issue) -> list[str]:
    newsletter = newsletter_of(app.config, issue.newsletter)
    letters = Letters(
        app.config.site, newsletter, issue, app.secret, app.clock, app.signer(newsletter)
    )
    nobody = Claimed(0, issue.id, 0, 0, 0, newsletter.from_address, "", 0)
    try:
        letters.make(nobody, StoredVariant(0, issue.subject, issue.html, issue.text))
    except MessageError as error:
        return [f"no message can be made: {error}"]
    return []


def _posts(app: App, issue: Issue) -> Findings:
    posts = [item.post for item in from_json(issue.content).items]
    fetcher = app.fetcher()
    try:
        checks = recheck_posts(fetcher, app.config, posts)
    finally:
        fetcher.close()
    _remember_gone(app, checks)
    faults = [
        f"{check.message} ({_CURES[check.verdict]})" for check in checks if check.verdict in _CURES
    ]
    warnings = [check.message for check in checks if check.verdict == "unreachable"]
    for warning in warnings:
        log.warning("issue %s: %s", issue.id, warning)
    return Findings(tuple(faults), tuple(warnings))


def _remember_gone(app: App, checks: Sequence[Recheck]) -> None:
    """No later issue picks them, until an edit or a whole reading shows them again."""
    gone = [check.post_id for check in checks if check.verdict == "gone"]
    if gone:
        with app.store.write() as c:
            mark_gone(c, gone, app.clock())
