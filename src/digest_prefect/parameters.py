"""Parameters that several flows have, as their forms show them.

Title and description stand in `json_schema_extra`, for Prefect ignores them anywhere else;
drop-downs are filled from config by `digest_prefect.forms`. The order is the signature's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field

if TYPE_CHECKING:
    from collections.abc import Sequence


def shown(title: str, description: str, choices: Sequence[str] = (), **constraints: Any) -> Any:
    """A field of a form; `constraints` are pydantic's, such as `ge=1`.

    `choices` make a drop-down that config does not change.
    """
    extra: dict[str, Any] = {"title": title, "description": description}
    if choices:
        extra["enum"] = list(choices)
    return Field(json_schema_extra=extra, **constraints)


Newsletter: TypeAlias = Annotated[str, shown("Newsletter", "Whose readers get it.")]
Repeat: TypeAlias = Annotated[
    bool, shown("Repeat", "Also posts that a reader has had already; kept with the issue.")
]
Edition: TypeAlias = Annotated[
    int, shown("Edition", "2 asks for a second issue in the same period.", ge=1, le=99)
]
Approver: TypeAlias = Annotated[
    str, shown("Who decides", "Your name; kept with it.", min_length=2, pattern=r"\S")
]
DryRun: TypeAlias = Annotated[
    bool, shown("Dry run", "Only shows what would happen. Switch it off to do it for real.")
]
