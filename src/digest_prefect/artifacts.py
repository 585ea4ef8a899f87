"""What a run shows in the UI beside its logs: Markdown made by `digest.showing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def show(key: str, markdown: str, description: str) -> None:
    """An artifact in Markdown; `key` of small letters, digits and hyphens has a history."""
    create_markdown_artifact(markdown, key=key, description=description)


def show_link(key: str, link: str, text: str, description: str) -> None:
    """An artifact that is a link to a page of ours."""
    create_link_artifact(link, link_text=text, key=key, description=description)


def progress(key: str, description: str) -> Callable[[float], None]:
    """An artifact that is a bar; call it with a share from 0 to 1, once a batch."""
    made = create_progress_artifact(0.0, key=key, description=description)

    def update(share: float) -> None:
        update_progress_artifact(made, progress=round(100 * share, 1))  # type: ignore[arg-type]

    return update
