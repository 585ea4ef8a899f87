"""What is wrong with a channel as declared, beyond the kinds of its values: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import time

    from digest.config_social import Channel, Prices, Quiet

#: Means every channel in commands, flows and stops.
ALL = "all"


def channel_faults(slug: str, channel: Channel) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each fault: the keys below the channel's table, and what is wrong and how to cure it."""
    if slug == ALL:
        yield (), f"{ALL!r} means every channel; give it another name"
    quiet = channel.slots.quiet
    if quiet and all(_is_within(time, quiet) for time in channel.slots.times):
        hours = f"{quiet.after:%H:%M} to {quiet.until:%H:%M}"
        why = f"all lie in the quiet hours, {hours}, so nothing could ever begin; name one outside"
        yield ("slots", "times"), why
    if channel.monthly_cap is not None and _is_free(channel.price_list):
        yield (
            ("monthly_cap",),
            "nothing costs anything here, so it caps nothing; name prices, or leave it out",
        )


def _is_within(moment: time, quiet: Quiet) -> bool:
    if quiet.after < quiet.until:
        return quiet.after <= moment < quiet.until
    return moment >= quiet.after or moment < quiet.until


def _is_free(prices: Prices) -> bool:
    return not any(getattr(prices, name) for name in type(prices).model_fields)
