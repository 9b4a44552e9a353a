# SPDX-License-Identifier: Apache-2.0
"""What `benchmarks.added_cpu` prints of its rounds."""

from __future__ import annotations

from math import nan

from benchmarks.added_cpu import Round, table


def test_what_was_added_is_compared_within_rounds_by_medians_and_by_means() -> None:
    """Worked out by hand: alone 10, 10, 20 and 20 % of a CPU; with probes 1, 2, 1 and 4 % more."""
    alone, more = (0.10, 0.10, 0.20, 0.20), (0.01, 0.02, 0.01, 0.04)
    rounds = [Round(a, a + b, 0.012, 1000.0) for a, b in zip(alone, more, strict=True)]
    empty = [Round(a, a, nan, nan) for a in alone]
    *_, probed, without = table({"all: 3 functions, 5 sites": rounds, "all, empty programs": empty}).splitlines()
    # The median server takes 15 %. Differences of 1, 1, 2 and 4 % have the median 1.5, and quartiles of 1 and 3.5.
    # Medians: 11, 12, 21 and 24 % have the median 16.5. Means: 17 to 15 %.
    assert probed == (
        "| all: 3 functions, 5 sites | 1,000 | 15.00 | 1.50 | 10.0% (6.7% to 23.3%) | 10.0% | 13.3% | 0.80 |"
    )
    assert without == "| all, empty programs | – | 15.00 | 0.00 | 0.0% (0.0% to 0.0%) | 0.0% | 0.0% | – |"
