# SPDX-License-Identifier: Apache-2.0
"""What somebody who typed a word wrong may have meant."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, known: Iterable[str], most: int = 1, cutoff: float = 0.6) -> list[str]:
    """The known words that are nearest, the nearest first; `cutoff`, from 0 to 1, is how alike they have to be."""
    import difflib  # an agent that runs never needs it

    return difflib.get_close_matches(word, list(known), most, cutoff)
