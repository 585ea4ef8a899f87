"""Parameters that several flows have, as their forms show them.

Title and description stand in `json_schema_extra`, for Prefect ignores them anywhere else;
drop-downs are filled from config by `digest_prefect.forms`. The order is the signature's.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import Field


def shown(title: str, description: str, **constraints: Any) -> Any:
    """A field of a form; `constraints` are pydantic's, such as `ge=1`."""
    extra: dict[str, Any] = {"title": title, "description": description}
    return Field(json_schema_extra=extra, **constraints)


Newsletter: TypeAlias = Annotated[str, shown("Newsletter", "Whose readers get it.")]
Repeat: TypeAlias = Annotated[
    bool, shown("Repeat", "Also posts that a reader has had already; kept with the issue.")
]
Edition: TypeAlias = Annotated[
    int, shown("Edition", "2 asks for a second issue in the same period.", ge=1, le=99)
]
DryRun: TypeAlias = Annotated[
    bool, shown("Dry run", "Only shows what would happen. Switch it off to do it for real.")
]
