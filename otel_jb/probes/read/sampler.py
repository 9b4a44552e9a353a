# SPDX-License-Identifier: Apache-2.0
"""Where the threads of a process spend their CPU time, by sampling.

A timer that runs while a thread runs (PERF_COUNT_SW_TASK_CLOCK, which every machine has) interrupts it each millisecond of its CPU time. It takes CAP_PERFMON, which attaching takes too.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
import sys
from collections.abc import Iterator

from otel_jb.arch.machine import here
from otel_jb.host import procfs
from otel_jb.probes.bpf import perf_event_open
from otel_jb.probes.read.hits import Sample

#: Of a thread's CPU time, from sample to sample. An interrupt takes up to 30 us of it in a virtual machine, and so much of a period is not the
#: thread's own; no round number, since servers have those.
PERIOD_NS = 997_000
MOST_THREADS = 128  #: of a process; one with more is not sampled
_MOST_PAGES = 8  #: of a ring; they hold the samples of more than a second
#: Pages of all rings, without those that the kernel adds: with these fewer than perf_event_mlock_kb of two processors.
_ALL_PAGES = 128

_TYPE_SOFTWARE, _TASK_CLOCK = 1, 1
_SAMPLE_REGS_USER = 1 << 12
_DISABLED = 1
_CLOEXEC = 8
_IOC_REFRESH = 0x2402
_HEAD = 1024  #: data_head of struct perf_event_mmap_page
_HEADER = struct.Struct("=IHH")  #: struct perf_event_header: type, misc, size
_RECORD_BYTES = 24
_REGISTERS = struct.Struct("=QQ")  #: their ABI, 0 if they are unknown, and the one that was asked for
_RECORD_SAMPLE = 9
_MODE, _IN_KERNEL = 7, 1  #: of `misc`


class Sampler:
    """The threads of a process, from now until `end`. Not those that begin meanwhile."""

    def __init__(self, pid: int) -> None:
        """Raises OSError: the process has ended, has more than `MOST_THREADS`, or the kernel refuses."""
        self._threads: list[_Thread] = []
        numbers = [int(name) for name in os.listdir(f"{procfs.PROC}/{pid}/task")]  # noqa: PTH208 (a fifth of the time)
        if len(numbers) > MOST_THREADS:
            raise OSError(errno.E2BIG, "too many threads to sample")
        pages = _MOST_PAGES
        while pages * len(numbers) > _ALL_PAGES:
            pages //= 2
        self.period_ns = PERIOD_NS * _MOST_PAGES // pages  #: of a thread's CPU time, for which a sample stands
        try:
            for number in numbers:
                self._add(number, pages)
        except OSError:
            self.close()
            raise

    def _add(self, number: int, pages: int) -> None:
        try:
            self._threads.append(_Thread(number, pages, self.period_ns))
        except OSError as error:
            if error.errno != errno.ESRCH:  # it has ended
                raise

    def end(self) -> tuple[list[Sample], int]:
        """What was seen, and the nanoseconds of CPU time that a sample stands for; closes.

        What each thread ran since its last sample has none, so of many threads that run little, samples are fewer than their CPU time has periods.
        """
        try:
            samples = [sample for thread in self._threads for sample in thread.samples()]
            used_ns = sum(thread.used_ns() for thread in self._threads)
        finally:
            self.close()
        return samples, max(self.period_ns, used_ns // len(samples) if samples else 0)

    def close(self) -> None:
        """Sample no more."""
        for thread in self._threads:
            thread.close()
        self._threads = []


class _Thread:
    def __init__(self, number: int, pages: int, period_ns: int) -> None:
        """Raises OSError."""
        attributes = bytearray(128)
        struct.pack_into(
            "=IIQQQQQ", attributes, 0, _TYPE_SOFTWARE, 128, _TASK_CLOCK, period_ns, _SAMPLE_REGS_USER, 0, _DISABLED
        )
        struct.pack_into("=Q", attributes, 80, 1 << here().sampled_instruction_pointer)
        self._event = perf_event_open(bytes(attributes), number, -1, _CLOEXEC)
        try:
            self._ring = mmap.mmap(self._event, (1 + pages) * mmap.PAGESIZE)
            try:
                # It stops by itself before the ring is full, whoever forgets it.
                fcntl.ioctl(self._event, _IOC_REFRESH, pages * mmap.PAGESIZE // _RECORD_BYTES - 1)
            except OSError:
                self._ring.close()
                raise
        except OSError:
            os.close(self._event)
            raise

    def samples(self) -> Iterator[Sample]:
        (head,) = struct.unpack_from("=Q", self._ring, _HEAD)
        data, at = self._ring[mmap.PAGESIZE :], 0
        end = min(head, len(data))
        while at + _RECORD_BYTES <= end:
            kind, misc, size = _HEADER.unpack_from(data, at)
            if kind == _RECORD_SAMPLE:
                known, address = _REGISTERS.unpack_from(data, at + _HEADER.size)
                yield Sample(address if known else 0, misc & _MODE == _IN_KERNEL)
            at += max(size, _HEADER.size)

    def used_ns(self) -> int:
        """The thread's CPU time while it was sampled."""
        return int.from_bytes(os.read(self._event, 8), sys.byteorder)

    def close(self) -> None:
        self._ring.close()
        os.close(self._event)
