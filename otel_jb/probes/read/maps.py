"""The kernel's arrays as memory: mapped once, read and written word by word without a system call."""

from __future__ import annotations

import ctypes
import mmap
import struct

from otel_jb.probes.bpf import (
    MAP_DELETE_ELEM,
    MAP_GET_NEXT_KEY,
    MAP_LOOKUP_ELEM,
    MAP_UPDATE_ELEM,
    BpfError,
    bpf,
    membarrier,
)

_MEMBARRIER_CMD_GLOBAL = 1


class WordArray:
    """A mapped BPF array as 64-bit words.

    `words[i]` and `words[i] = v` are single machine accesses, so a word that the kernel updates atomically is never torn.
    """

    def __init__(self, fd: int, words: int) -> None:
        page = mmap.PAGESIZE
        self._map = mmap.mmap(
            fd, (words * 8 + page - 1) // page * page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE
        )
        self.words = memoryview(self._map).cast("Q")

    def block(self, index: int, size: int) -> list[int]:
        """A copy of the `index`-th structure of `size` words."""
        return self.words[index * size : (index + 1) * size].tolist()

    def write(self, at: int, data: bytes) -> None:
        """Write raw bytes at a word index; only where the kernel is not looking yet."""
        self._map[at * 8 : at * 8 + len(data)] = data

    def close(self) -> None:
        """Unmap."""
        self.words.release()
        self._map.close()


def wait_for_running_programs() -> bool:
    """Wait until every BPF program that runs now has ended (an RCU grace period); False where the kernel offers no way.

    membarrier(MEMBARRIER_CMD_GLOBAL) is synchronize_rcu() in the kernel (kernel/sched/membarrier.c); it is refused on kernels with
    nohz_full processors.
    """
    return membarrier(_MEMBARRIER_CMD_GLOBAL)


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

    def items(self) -> list[tuple[bytes, bytes]]:
        """A copy of all entries; entries that come and go meanwhile may be missed."""
        found: list[tuple[bytes, bytes]] = []
        first = True
        while self._call(MAP_GET_NEXT_KEY, ctypes.addressof(self._next), key=0 if first else None):
            first = False
            self._key.raw = self._next.raw
            if self._call(MAP_LOOKUP_ELEM, ctypes.addressof(self._value)):
                found.append((self._key.raw, self._value.raw))
            if len(found) > 1 << 16:
                break
        return found

    def set(self, key: bytes, value: bytes) -> bool:
        """Insert or replace."""
        self._key.raw, self._value.raw = key, value
        return self._call(MAP_UPDATE_ELEM, ctypes.addressof(self._value))

    def delete(self, key: bytes) -> bool:
        """Remove; False if it was not there."""
        self._key.raw = key
        return self._call(MAP_DELETE_ELEM, 0)


class Ring:
    """Consumer of a BPF ring buffer (Documentation/bpf/ringbuf.rst): one page of consumer position, one of producer position, data twice."""

    _BUSY, _DISCARD = 1 << 31, 1 << 30

    def __init__(self, fd: int, size: int) -> None:
        page = mmap.PAGESIZE
        self.fd = fd
        self._size = size
        self._consumer_map = mmap.mmap(fd, page, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._producer_map = mmap.mmap(fd, page + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)
        self._consumer = memoryview(self._consumer_map).cast("Q")
        self._producer = memoryview(self._producer_map).cast("Q")
        self._headers = memoryview(self._producer_map).cast("I")
        self._data = memoryview(self._producer_map)

    def records(self, limit: int = 4096) -> list[bytes]:
        """The records that are complete now, oldest first, at most `limit`; their room is given back."""
        found: list[bytes] = []
        position, end = self._consumer[0], self._producer[0]
        page = mmap.PAGESIZE
        while position < end and len(found) < limit:
            at = page + position % self._size
            header = self._headers[at // 4]
            if header & self._BUSY:
                break
            length = header & (self._DISCARD - 1)
            if not header & self._DISCARD:
                found.append(bytes(self._data[at + 8 : at + 8 + length]))
            position += (length + 8 + 7) & ~7
            self._consumer[0] = position
        return found

    def close(self) -> None:
        """Unmap."""
        for view in (self._consumer, self._producer, self._headers, self._data):
            view.release()
        self._consumer_map.close()
        self._producer_map.close()
