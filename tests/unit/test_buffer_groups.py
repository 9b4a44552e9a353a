# SPDX-License-Identifier: Apache-2.0
"""The numbers of buffer groups."""

from __future__ import annotations

import pytest

from otel_jb.model.errors import AttachError
from otel_jb.probes.attach.places import Indices

pytestmark = pytest.mark.unit


def test_a_number_that_was_given_back_comes_last() -> None:
    """Numbers that were never used come first, then those that have been unused the longest; none is there twice."""
    numbers = Indices(5, 8, "groups")
    assert [numbers.take(), numbers.take(), numbers.left] == [5, 6, 2]
    numbers.give_back(6)
    numbers.give_back(5)
    assert numbers.left == 4
    assert [numbers.take() for _ in range(4)] == [7, 8, 6, 5]
    assert numbers.left == 0
    with pytest.raises(AttachError):
        numbers.take()
