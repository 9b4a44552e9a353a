# SPDX-License-Identifier: Apache-2.0
"""Numbers that are given out and taken back."""

from __future__ import annotations

import pytest

from otel_jb.model.errors import AttachError
from otel_jb.probes.attach.places import Indices


def test_the_longest_unused_number_comes_first() -> None:
    """Numbers that nobody has had come before those that were given back, and these in the order of their return."""
    numbers = Indices(3, 6, "places")
    assert [numbers.take() for _ in range(3)] == [3, 4, 5]
    numbers.give_back(5)
    numbers.give_back(3)
    assert numbers.left == 3
    assert [numbers.take() for _ in range(3)] == [6, 5, 3]
    with pytest.raises(AttachError, match="no room for more places"):
        numbers.take()
