# SPDX-License-Identifier: Apache-2.0
"""Numbers for people. Counts keep every digit; rates and bounds are rounded to three."""

from __future__ import annotations

import math
from collections.abc import Sequence

NONE = "-"  #: there is no such value, or it is unknown


def at_most(buckets: Sequence[int], bounds_ns: Sequence[int], share: float) -> float | None:
    """The upper bound of the bucket that contains quantile `share` (0 to 1); None without a call, infinite for the last bucket."""
    total = sum(buckets)
    if total == 0:
        return None
    reached = 0
    for number, bound in zip(buckets, (*bounds_ns, math.inf), strict=True):
        reached += number
        if reached >= share * total:
            return float(bound)
    raise AssertionError("the buckets contain all calls")


def at_most_text(nanoseconds: float | None) -> str:
    """An upper bound of a time, `≤43.2µs`; `over` if there is none."""
    if nanoseconds is None:
        return NONE
    if math.isinf(nanoseconds):
        return "over"
    scale, unit = next(
        ((scale, unit) for scale, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")) if nanoseconds >= scale), (1.0, "ns")
    )
    # Round up to three digits, so that it remains an upper bound.
    step = 10.0 ** (math.floor(math.log10(nanoseconds / scale)) - 2) if nanoseconds > 0 else 1.0
    return f"≤{math.ceil(nanoseconds / scale / step - 1e-9) * step:.3g}{unit}"


def span_text(nanoseconds: float) -> str:
    """A measured time to three digits, `12.3 ms`."""
    for least, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        value = nanoseconds / least
        if value >= 1:
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"
    return f"{nanoseconds:.0f} ns"


def rate(value: float | None) -> str:
    """A rate per second, `1.2M`."""
    if value is None:
        return NONE
    for least, scale, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= least:
            return f"{value / scale:.1f}{unit}"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def whole(value: int | None) -> str:
    """A count with all its digits."""
    return NONE if value is None else str(value)


def count(value: int) -> str:
    """A count in running text, `1 234 567`."""
    return f"{value:,}".replace(",", " ")
