# SPDX-License-Identifier: Apache-2.0
"""The kernel's arrays as memory: mapped once, read and written word by word without a system call."""

from __future__ import annotations

import ctypes
import mmap
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from otel_jb.arch.machine import here
from otel_jb.probes.bpf import (
    MAP_DELETE_ELEM,
    MAP_GET_NEXT_KEY,
    MAP_LOOKUP_ELEM,
    BpfError,
    bpf,
    membarrier,
)

_Decoded = TypeVar("_Decoded")

_PIECE_BYTES = 128 << 10  #: of a large table, that is mapped at a time
_NOTHING = memoryview(b"").cast("Q")
GRACE_S = 0.02  #: stands in for a grace period where the kernel has no membarrier
_MEMBARRIER_CMD_GLOBAL = 1
_MEMBARRIER_CMD_PRIVATE_EXPEDITED, _MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 8, 16
_KEEPS_ORDER = here().keeps_order


class WordArray:
    """A mapped BPF array as 64-bit words.

    `words[i]` and `words[i] = v` are single machine accesses, so a word that the kernel updates atomically is never torn.
    """

    def __init__(self, fd: int, words: int, first: int | None = None) -> None:
        """`first`: how many words are mapped until `reach` asks for more; without it, all. Every mapped page counts as the agent's memory."""
        self._fd = fd
        self._total = words
        self._mapped = 0
        self.reach(words if first is None else first)

    def reach(self, words: int) -> None:
        """Map at least this many words. `words` is a new view of the same memory then; an old one stays valid, and as short as it was."""
        if words <= self._mapped:
            return
        page = mmap.PAGESIZE
        self._mapped = min(self._total, max(words, 2 * self._mapped))
        size = (self._mapped * 8 + page - 1) // page * page
        # Nobody closes the earlier mapping: it ends with the last view of it.
        self._map = mmap.mmap(self._fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self.words = memoryview(self._map).cast("Q")

    def block(self, index: int, size: int) -> list[int]:
        """A copy of the `index`-th structure of `size` words."""
        return self.words[index * size : (index + 1) * size].tolist()

    def column(self, step: int) -> list[int]:
        """A copy of every `step`-th word, from the first one on."""
        return self.words[::step].tolist()

    def write(self, at: int, data: bytes) -> None:
        """Write raw bytes at a word index; only where the kernel is not looking yet."""
        self._map[at * 8 : at * 8 + len(data)] = data

    @contextmanager
    def looked_at(self) -> Iterator[memoryview]:
        """The words, mapped at least until this ends."""
        yield self.words

    def close(self) -> None:
        """Unmap."""
        self.words.release()
        self._map.close()


class GlancedArray(WordArray):
    """The same for large tables that are read once in a while, in one thread: mapped only while it is `looked_at`, which may be nested, and then a piece at a time.

    The kernel maps all pages of a piece at once, used or not, and what is mapped counts as the agent's memory.
    """

    def __init__(self, fd: int, words: int) -> None:
        self._fd = fd
        self._total = words
        self._looking = 0
        self._piece = _NOTHING
        self._first = self._end = 0  # the words that are mapped

    @property
    def words(self) -> GlancedArray:  # type: ignore[override]
        """Itself, one word by its index."""
        return self

    def __getitem__(self, index: int) -> int:
        if not self._first <= index < self._end:
            self._move(index, 1)
        return self._piece[index - self._first]

    def __setitem__(self, index: int, value: int) -> None:
        if not self._first <= index < self._end:
            self._move(index, 1)
        self._piece[index - self._first] = value

    def column(self, step: int) -> list[int]:
        found: list[int] = []
        index = 0
        while index < self._total:
            self._move(index, 1)
            found += self._piece[index - self._first :: step]
            index = step * len(found)
        return found

    def block(self, index: int, size: int) -> list[int]:
        at = index * size
        if not self._first <= at <= at + size <= self._end:
            self._move(at, size)
        return self._piece[at - self._first : at - self._first + size].tolist()

    def write(self, at: int, data: bytes) -> None:
        size = len(data) // 8
        if not self._first <= at <= at + size <= self._end:
            self._move(at, size)
        self._piece[at - self._first : at - self._first + size] = memoryview(data).cast("Q")

    def _move(self, index: int, size: int) -> None:
        """Map the piece that begins with this word, and has at least so many."""
        if not self._looking:
            raise ValueError("a table that nobody looks at is not mapped")
        self._unmap()
        begin = 8 * index // mmap.PAGESIZE * mmap.PAGESIZE
        length = min(8 * self._total - begin, max(_PIECE_BYTES, 8 * (index + size) - begin))
        # Nobody closes the mapping: it ends with its view.
        area = mmap.mmap(self._fd, length, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=begin)
        self._piece = memoryview(area).cast("Q")
        self._first, self._end = begin // 8, (begin + length) // 8

    def _unmap(self) -> None:
        self._piece = _NOTHING
        self._first = self._end = 0

    @contextmanager
    def looked_at(self) -> Iterator[GlancedArray]:  # type: ignore[override]
        """The words, until the outermost of these ends."""
        self._looking += 1
        try:
            yield self
        finally:
            self._looking -= 1
            if not self._looking:
                self._unmap()

    def close(self) -> None:
        """Do nothing: it is not mapped."""


class Windows:
    """A BPF array that is mapped piece by piece, for as long as the piece is looked at: what stays mapped counts as the agent's memory."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, at: int, words: int) -> list[int]:
        """A copy of these words, each read with one machine access."""
        with self._map(at, words) as (view, skipped):
            return view[skipped : skipped + words].tolist()

    def clear(self, at: int, words: int) -> None:
        """Write zeros; only where the kernel is not looking."""
        with self._map(at, words) as (view, skipped):
            view[skipped : skipped + words] = memoryview(bytes(8 * words)).cast("Q")

    @contextmanager
    def _map(self, at: int, words: int) -> Iterator[tuple[memoryview, int]]:
        """The pages around these words, and how many words there are before them."""
        skipped = 8 * at % mmap.PAGESIZE
        begin = 8 * at - skipped
        with (
            mmap.mmap(
                self._fd, skipped + 8 * words, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=begin
            ) as pages,
            memoryview(pages) as whole,
            whole.cast("Q") as view,
        ):
            yield view, skipped // 8


def wait_for_running_programs() -> bool:
    """Wait until every BPF program that runs now has ended (an RCU grace period); False where the kernel offers no way.

    membarrier(MEMBARRIER_CMD_GLOBAL) is synchronize_rcu() in the kernel (kernel/sched/membarrier.c); it is refused on kernels with
    nohz_full processors.
    """
    return membarrier(_MEMBARRIER_CMD_GLOBAL)


def _order() -> None:
    """No memory access before this is seen after one behind it."""
    if not _KEEPS_ORDER:
        membarrier(_MEMBARRIER_CMD_PRIVATE_EXPEDITED)


def wait_for_grace() -> None:
    """Return once every program that was running has ended."""
    if not wait_for_running_programs():
        time.sleep(GRACE_S)


class HashMap:
    """A BPF hash map through the bpf system call: for the rarely used side tables only."""

    def __init__(self, fd: int, key_bytes: int, value_bytes: int) -> None:
        self._fd = fd
        self._key = ctypes.create_string_buffer(key_bytes)
        self._next = ctypes.create_string_buffer(key_bytes)
        self._value = ctypes.create_string_buffer(value_bytes)

    def _call(self, command: int, second: int, flags: int = 0, key: int | None = None) -> bool:
        address = ctypes.addressof(self._key) if key is None else key
        try:
            return bpf(command, struct.pack("=IIQQQ", self._fd, 0, address, second, flags)) == 0
        except BpfError:
            return False

    def items(self) -> dict[bytes, bytes]:
        """A copy of all entries; entries that come and go meanwhile may be missed."""
        found: dict[bytes, bytes] = {}
        first, steps = True, 0
        # An entry that is deleted while it is the key starts the kernel's walk again, so the same one may come twice.
        while self._call(MAP_GET_NEXT_KEY, ctypes.addressof(self._next), key=0 if first else None):
            first = False
            self._key.raw = self._next.raw
            if self._call(MAP_LOOKUP_ELEM, ctypes.addressof(self._value)):
                found[self._key.raw] = self._value.raw
            steps += 1
            if steps > 1 << 16:
                break
        return found

    def delete(self, key: bytes) -> bool:
        """Remove; False if it was not there."""
        self._key.raw = key
        return self._call(MAP_DELETE_ELEM, 0)


class Ring:
    """Consumer of a BPF ring buffer (Documentation/bpf/ringbuf.rst): one page of consumer position, one of producer position, data twice."""

    _BUSY, _DISCARD = 1 << 31, 1 << 30

    def __init__(self, fd: int, size: int) -> None:
        page = mmap.PAGESIZE
        if not _KEEPS_ORDER:
            membarrier(_MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
        self.fd = fd
        self._size = size
        self._consumer_map = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._producer_map = mmap.mmap(fd, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._consumer = memoryview(self._consumer_map).cast("Q")
        self._producer = memoryview(self._producer_map).cast("Q")
        self._headers = memoryview(self._producer_map).cast("I")
        self._data = memoryview(self._producer_map)

    def read(self, decode: Callable[[memoryview], _Decoded], limit: int = 4096) -> list[_Decoded]:
        """What `decode` makes of the records that are complete now, oldest first, at most `limit`; then their room is given back.

        It gets the ring's own memory, and must keep nothing of it: a record is 17 KiB, of which not all is wanted.
        """
        position, end = self._consumer[0], self._producer[0]
        if position == end:  # most of the time
            return []
        page = mmap.PAGESIZE
        complete: list[tuple[int, int]] = []  # (place of the data, length)
        _order()  # headers after the producer's position
        while position < end and len(complete) < limit:
            at = page + position % self._size
            header = self._headers[at // 4]
            if header & self._BUSY:
                break
            length = header & (self._DISCARD - 1)
            if not header & self._DISCARD:
                complete.append((at + 8, length))
            position += (length + 8 + 7) & ~7
        _order()  # data after its header
        try:
            return [decode(self._data[at : at + length]) for at, length in complete]
        finally:
            _order()  # and all of it before its room is given back
            self._consumer[0] = position

    def close(self) -> None:
        """Unmap."""
        for view in (self._consumer, self._producer, self._headers, self._data):
            view.release()
        self._consumer_map.close()
        self._producer_map.close()
