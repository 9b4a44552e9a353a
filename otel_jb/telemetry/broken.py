# SPDX-License-Identifier: Apache-2.0
"""Impossible values: a size over 64 KB, a depth over the buffer's capacity, an addition over its limit. They show that a field is not
where it was expected.

Such a value is taken off, and with it every other value of the target that is read from the same struct of the same file: what it
counted before may be as wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from otel_jb.model.reads import OUT_OF_RANGE
from otel_jb.model.stream import Series, SeriesSnapshot


def broken(series: Series, values: SeriesSnapshot) -> dict[str, int]:
    """How often values of a series could not be: by `bytes`, `depth` and names of `model.added`, those that ever were."""
    counts = zip(series.fields, values.faults, strict=False)
    return {name.removesuffix(OUT_OF_RANGE): count for name, count in counts if count and name.endswith(OUT_OF_RANGE)}


def doubtful(series: Series, value: str, of_file: Iterable[Series]) -> dict[int, frozenset[str]]:
    """What falls with a broken value of a series: by `Series.id`, the values that are read from the same structs."""
    structs = frozenset(dict(series.sources).get(value, ()))
    fallen = {series.id: frozenset({value})}
    for other in of_file:
        values = frozenset(name for name, read in other.sources if structs & set(read))
        if values:
            fallen[other.id] = fallen.get(other.id, frozenset()) | values
    return fallen


def without(series: Series, values: frozenset[str]) -> Series:
    """The series as if its profile had never known these values."""
    if not values:
        return series
    return replace(
        series,
        has_packets=series.has_packets and "packet" not in values,
        has_bytes=series.has_bytes and not values & {"bytes", "packet"},
        has_depth=series.has_depth and "depth" not in values,
        has_duplicates=series.has_duplicates and not values & {"outcome", "packet"},
        has_underruns=series.has_underruns and not values & {"outcome", "packet"},
        has_rtp=series.has_rtp and not values & {"rtp", "packet", "bytes"},
        has_residence=series.has_residence and not values & {"residence", "packet"},
        drop_reasons=() if values & {"outcome", "packet"} else series.drop_reasons,
        adds=tuple("" if name in values else name for name in series.adds),
    )
