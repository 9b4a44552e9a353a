# SPDX-License-Identifier: Apache-2.0
"""The kernel's arrays as memory; a file in memory stands in for the kernel's."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator

import pytest

from otel_jb.probes.read.maps import GlancedArray, WordArray

PAGE_WORDS = mmap.PAGESIZE // 8


@pytest.fixture
def memory() -> Iterator[int]:
    """Room for 64 pages."""
    descriptor = os.memfd_create("array")
    os.ftruncate(descriptor, 64 * mmap.PAGESIZE)
    yield descriptor
    os.close(descriptor)


def mapped_kib(descriptor: int) -> int:
    """Kilobytes of this process's address space that show the file."""
    own = os.stat(descriptor).st_ino
    found = 0
    with open("/proc/self/maps") as maps:
        for line in maps:
            at, _, _, _, inode, *_ = line.split()
            if int(inode) == own:
                start, end = (int(each, 16) for each in at.split("-"))
                found += end - start >> 10
    return found


def test_only_what_is_asked_for_is_mapped(memory: int) -> None:
    """What is mapped is the agent's memory, so a large array costs what is used of it."""
    array = WordArray(memory, 64 * PAGE_WORDS, PAGE_WORDS)
    assert mapped_kib(memory) == mmap.PAGESIZE >> 10
    array.reach(3 * PAGE_WORDS)
    assert mapped_kib(memory) == 3 * mmap.PAGESIZE >> 10  # and the first mapping is gone
    array.reach(2 * PAGE_WORDS)
    assert mapped_kib(memory) == 3 * mmap.PAGESIZE >> 10
    array.close()
    assert mapped_kib(memory) == 0


def test_more_of_an_array_is_the_same_memory(memory: int) -> None:
    """What was written before more was mapped is still there, and an earlier view goes on showing it."""
    array = WordArray(memory, 64 * PAGE_WORDS, PAGE_WORDS)
    before = array.words
    before[7] = 42
    array.reach(40 * PAGE_WORDS)
    assert array.words[7] == 42
    array.words[8] = 43
    array.words[39 * PAGE_WORDS] = 44
    assert before[8] == 43
    assert len(before) == PAGE_WORDS
    array.write(39 * PAGE_WORDS, (45).to_bytes(8, "little"))
    assert array.words[39 * PAGE_WORDS] == 45
    before.release()
    array.close()


def test_nothing_beyond_an_array_is_mapped(memory: int) -> None:
    """Growing stops at the array's end, where the kernel would refuse."""
    array = WordArray(memory, 5 * PAGE_WORDS, 4 * PAGE_WORDS)
    array.reach(5 * PAGE_WORDS)
    assert len(array.words) == 5 * PAGE_WORDS
    array.close()


def test_a_large_table_is_mapped_only_while_it_is_looked_at(memory: int) -> None:
    """Looks may be nested, a piece at a time is mapped until the outermost ends, and what is written stays."""
    array = GlancedArray(memory, 64 * PAGE_WORDS)
    assert mapped_kib(memory) == 0
    with array.looked_at() as outer:
        with array.looked_at() as inner:
            inner.words[63 * PAGE_WORDS] = 42
        assert outer.words[63 * PAGE_WORDS] == 42
        assert outer.words[5] == 0
        assert 0 < mapped_kib(memory) < 64 * mmap.PAGESIZE >> 10
    assert mapped_kib(memory) == 0
    with array.looked_at():
        assert array.block(63 * PAGE_WORDS, 1) == [42]
    with pytest.raises(ValueError, match="nobody looks at"):
        _ = array.words[5]
    array.close()


@pytest.mark.parametrize("step", [8, 94, 3 * PAGE_WORDS + 7])
def test_a_table_in_pieces_holds_what_it_holds_as_a_whole(memory: int, step: int) -> None:
    """Columns, rows that lie across the borders of pieces, single words and bytes that are written: all of them as in one mapping."""
    whole = WordArray(memory, 64 * PAGE_WORDS)
    for word in range(64 * PAGE_WORDS):
        whole.words[word] = word * 3
    array = GlancedArray(memory, 64 * PAGE_WORDS)
    rows = 64 * PAGE_WORDS // step
    with array.looked_at():
        assert array.column(step) == whole.column(step)
        assert [array.block(row, step) for row in range(rows)] == [whole.block(row, step) for row in range(rows)]
        for row in reversed(range(rows)):
            array.words[row * step] = row
            array.write(row * step + 1, bytes(8 * (step - 1)))
    assert whole.column(step)[:rows] == list(range(rows))
    assert sum(whole.words[: rows * step]) == sum(range(rows))
    whole.close()
