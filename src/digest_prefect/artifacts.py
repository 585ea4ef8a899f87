"""What a run shows in the UI beside its logs, as artifacts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)

from digest.issues.preview import preview, preview_of_issue
from digest.links import desk_url, look_url, preview_url
from digest.previews import preview_files
from digest.showing import draft_markdown
from digest.store.issues import transitions_of
from digest.store.memberships import ensure_memberships

if TYPE_CHECKING:
    from collections.abc import Callable

    from digest.bootstrap import App
    from digest.issues.compose import Request
    from digest.issues.preview import Preview
    from digest.store.issues import Issue
    from digest_prefect.running import Run

log = logging.getLogger("digest.flows")


def show(key: str, markdown: str, description: str) -> None:
    """An artifact in Markdown; `key` of small letters, digits and hyphens has a history."""
    create_markdown_artifact(markdown, key=key, description=description)


def show_draft(run: Run, issue: Issue) -> None:
    """A stored issue as it stands, with the address of its exact preview."""
    app = run.app
    with app.store.read() as c:
        shown = preview_of_issue(c, issue)
        step = transitions_of(c, issue.id)[-1]
    link = preview_url(app.config.site.links_url, app.secret, issue.id)
    log.info("issue %s: exactly what goes out: %s", issue.id, link)
    description = f"{issue.name}: {issue.state} by {step.actor}"
    more = at_the_desk(app, issue.id)
    _show_preview(run, f"issue-{issue.id}", shown, link, description, more=more)


def show_look(run: Run, request: Request) -> Preview:
    """What would be composed for a request, of which nothing is stored; returns it."""
    app = run.app
    with app.store.write() as c:
        ensure_memberships(c, app.config)
    with app.store.read() as c:
        shown = preview(c, app.config, app.templates, request)
    link = look_url(app.config.site.links_url, app.secret, request)
    scope = str(request.scope).replace(":", "-")
    key = f"look-{request.newsletter}-{scope}"
    _show_preview(run, key, shown, link, "What would go out, and why; nothing is stored")
    return shown


def at_the_desk(app: App, issue_id: int) -> str:
    """A link to the issue's page at the desk, as a paragraph."""
    address = desk_url(app.config.site.links_url, "issues", str(issue_id))
    return f"\n[Issue {issue_id} at the desk]({address})\n"


def _show_preview(
    run: Run, key: str, shown: Preview, link: str, description: str, *, more: str = ""
) -> None:
    made = preview_files(run.app, shown, None, run.scheduled_at)
    text = made.files.get("issue.txt", b"").decode()
    show(key, draft_markdown(shown, text, link) + more, description)


def progress(key: str, description: str) -> Callable[[float], None]:
    """An artifact that is a bar; call it with a share from 0 to 1, once a batch."""
    made = create_progress_artifact(0.0, key=key, description=description)

    def update(share: float) -> None:
        update_progress_artifact(made, progress=round(100 * share, 1))  # type: ignore[arg-type]

    return update
