# SPDX-License-Identifier: Apache-2.0
"""What `benchmarks.added_cpu` prints of its rounds."""

from __future__ import annotations

from math import nan

from benchmarks.added_cpu import Round, table


def test_what_was_added_is_compared_within_rounds() -> None:
    """Worked out by hand: alone 10, 10, 20 and 20 % of a CPU; with probes 1, 2, 1 and 4 % more."""
    alone, more = (0.10, 0.10, 0.20, 0.20), (0.01, 0.02, 0.01, 0.04)
    rounds = [Round(a, a + b, 0.012, 1000.0) for a, b in zip(alone, more, strict=True)]
    empty = [Round(a, a, nan, nan) for a in alone]
    *_, probed, without = table({"all: 3 functions, 5 sites": rounds, "all, empty programs": empty}).splitlines()
    # The server takes 15 % in the mean and by the median. The mean of 1, 1, 2 and 4 % is 2; its squared deviations are 1, 1, 0 and 4, so the
    # standard deviation is the root of 2, 1.41, and the standard error half of that. Their median is 1.5.
    assert probed == (
        "| all: 3 functions, 5 sites | 1,000 | 15.00 | 2.00 ± 0.71 | 13.3% ± 4.7% | 10.0% | 1.20 | 0.60 |"
    )
    assert without == "| all, empty programs | – | 15.00 | 0.00 ± 0.00 | 0.0% ± 0.0% | 0.0% | – | – |"
