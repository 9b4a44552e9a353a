# SPDX-License-Identifier: Apache-2.0
"""The fast searches, against `bytes.find` and `in`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.elf.search import holds, occurrences, positions

pytestmark = pytest.mark.unit

#: Few different bytes, so that what is sought occurs, overlaps itself, and contains what means something to `re`.
texts = st.lists(st.sampled_from([b"a", b"J", b".", b"\0", b"\\", b"]", b"\n", b"\xff", b"^"]), max_size=80).map(
    b"".join
)


def found(text: bytes, sought: bytes, start: int, end: int) -> list[int]:
    return [at for at in range(start, end - len(sought) + 1) if text.find(sought, at, at + len(sought)) == at]


@given(texts, texts.filter(len).map(lambda text: text[:5]), st.integers(0, 80), st.integers(0, 80))
def test_what_is_found_is_where_it_is(text: bytes, sought: bytes, start: int, end: int) -> None:
    """Each occurrence that lies wholly between the offsets is found once, in order, overlapping ones too."""
    end = min(end, len(text))
    assert list(occurrences(text, sought, start, end)) == found(text, sought, start, end)
    assert holds(text, sought, start, end) == (sought in text[start:end])


@given(texts, st.sets(texts.filter(len).map(lambda text: text[:6]), max_size=8))
def test_words_that_share_a_part_are_found_like_others(text: bytes, words: set[bytes]) -> None:
    """One pass for several words finds what a pass for each would."""
    assert positions(text, words) == sorted({at for word in words for at in found(text, word, 0, len(text))})
