"""Reads the kernel's arrays into a `Snapshot`, exactly and without stopping anything."""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.model.stream import DepthSnapshot, Interval, SeriesSnapshot, Snapshot
from otel_jb.probes import abi
from otel_jb.probes.read.maps import HashMap, WordArray, wait_for_running_programs

if TYPE_CHECKING:
    from otel_jb.probes.series import Attached

FORGET_BUFFER_NS = 60_000_000_000  #: a buffer whose close cannot be seen counts for so long after it was last touched
SETTLE_AGE_NS = 1_000_000_000
GRACE_S = 0.02  #: stands in for a grace period where the kernel has no membarrier
_MASK = (1 << abi.SERIES_BITS) - 1
_U64 = (1 << 64) - 1


class Reader:
    """The one reader of the kernel's statistics; it owns the epoch of minimum and maximum."""

    def __init__(
        self,
        bounds_ns: tuple[int, ...],
        series: WordArray,
        calls: WordArray,
        control: WordArray,
        buffers: WordArray,
        overflow: HashMap,
        attached: Mapping[int, Attached],
    ) -> None:
        self._bounds_ns = bounds_ns
        self._words = abi.series_words(len(bounds_ns) + 1)
        self._series, self._calls, self._control, self._buffers = series, calls, control, buffers
        self._overflow = overflow
        self._attached = attached
        self._bases: dict[int, tuple[int, int]] = {}  # index -> (returned, sum_ns) when the interval began
        self._intervals: dict[int, Interval | None] = {}
        self._depth_max: dict[int, int | None] = {}
        self._settled: dict[tuple[int, int, int], int] = {}  # (slot, key, start) -> index; slot -1: the overflow table
        self._rolled_ns = time.monotonic_ns()
        self._interval_ns = 0

    # -- calls in flight ------------------------------------------------------------------------------------

    def _open_calls(self) -> list[tuple[int, int, int, int, int]]:
        """(slot, key, start, tid, index) of every call in flight."""
        words = self._calls.words
        found = []
        for slot, key in enumerate(words[:: abi.CALL_WORDS].tolist()):
            if key:
                at = slot * abi.CALL_WORDS
                found.append((slot, key, words[at + 1], words[at + 2] & 0xFFFFFFFF, key & _MASK))
        if self._control.words[abi.CONTROL_COLLIDED]:
            for raw_key, value in self._overflow.items():
                (key,) = struct.unpack("=Q", raw_key)
                _, start, tid = struct.unpack_from("=QQI", value)
                found.append((-1, key, start, tid, key & _MASK))
        return found

    def in_flight(self, indices: set[int]) -> int:
        """How many calls of these series are in flight."""
        return sum(1 for call in self._open_calls() if call[4] in indices)

    def settle(self, index: int, *, returned_unseen: bool = False) -> None:
        """Free the slots of a detached series' calls in flight: nothing can end them any more. They count as abandoned, or as untimed
        where the process goes on, so that they may return yet without that it is seen.
        """
        at = index * self._words + (abi.SERIES_UNTIMED if returned_unseen else abi.SERIES_ABANDONED)
        for slot, key, _, _, of in self._open_calls():
            if of != index:
                continue
            if slot >= 0:
                self._calls.words[slot * abi.CALL_WORDS] = 0
            else:
                self._overflow.delete(struct.pack("=Q", key))
            self._series.words[at] += 1
        self._settled = {k: v for k, v in self._settled.items() if v != index}

    def settle_dead_threads(self, indices_by_pid: Mapping[int, set[int]]) -> None:
        """Count as abandoned what a thread that is gone left in flight.

        The slot is left alone: writing it would race with a new call at the same frame. While it still holds the very call,
        the call counts as abandoned here; if the kernel meets the key again, it counts it and this count goes.
        """
        pid_of = {index: pid for pid, indices in indices_by_pid.items() for index in indices}
        now = time.monotonic_ns()
        present: dict[tuple[int, int, int], int] = {}
        for slot, key, start, tid, index in self._open_calls():
            identity = (slot, key, start)
            old_enough = index in pid_of and now - start > SETTLE_AGE_NS
            if identity in self._settled or (old_enough and not Path(f"/proc/{pid_of[index]}/task/{tid}").exists()):
                present[identity] = index
        self._settled = present

    # -- snapshots ------------------------------------------------------------------------------------------

    def snapshot(self, roll: bool, only: set[int] | None = None) -> Snapshot:
        """The values of all series (or of `only` those), in one pass; `roll` starts a new interval of minimum and maximum."""
        if roll:
            self._roll()
        now = time.monotonic_ns()
        unix = time.time_ns()
        open_calls = self._open_calls()
        settled = Counter(index for (slot, key, start, _, index) in open_calls if (slot, key, start) in self._settled)
        in_flight = Counter(call[4] for call in open_calls)
        series = tuple(
            self._one(item, now, in_flight[index] - settled[index], settled[index])
            for index, item in self._attached.items()
            if only is None or index in only
        )
        return Snapshot(unix, now, self._bounds_ns, series, self._depths(now, only), self._interval_ns)

    def _roll(self) -> None:
        """End the interval: flip the halves, let running programs finish, read and clear the old half."""
        epoch = self._control.words[abi.CONTROL_EPOCH]
        old = epoch & 1
        self._control.words[abi.CONTROL_EPOCH] = epoch + 1
        if not wait_for_running_programs():
            time.sleep(GRACE_S)
        now = time.monotonic_ns()
        self._interval_ns, self._rolled_ns = now - self._rolled_ns, now
        words = self._series.words
        for index in self._attached:
            base = index * self._words
            returned = sum(words[base + abi.SERIES_BUCKETS : base + self._words].tolist())
            sum_ns = words[base + abi.SERIES_SUM_NS]
            highest, inverse = words[base + abi.SERIES_MAX + old], words[base + abi.SERIES_INV_MIN + old]
            depth = words[base + abi.SERIES_DEPTH_MAX + old]
            words[base + abi.SERIES_MAX + old] = 0
            words[base + abi.SERIES_INV_MIN + old] = 0
            words[base + abi.SERIES_DEPTH_MAX + old] = 0
            self._depth_max[index] = depth - 1 if depth else None
            before = self._bases.get(index, (0, 0))
            if inverse:
                count = returned - before[0]
                self._intervals[index] = Interval(count, sum_ns - before[1], inverse ^ _U64, highest)
                self._bases[index] = (returned, sum_ns)
            else:
                # A call that is counted already but updates the new half belongs to the next interval.
                self._intervals[index] = None

    def _one(self, item: Attached, now_ns: int, in_flight: int, settled: int) -> SeriesSnapshot:
        words = self._series.block(item.index, self._words)
        buckets = tuple(words[abi.SERIES_BUCKETS :])
        reasons, fields = len(item.series.drop_reasons), len(item.series.fields)
        return SeriesSnapshot(
            series=item.series.id,
            returned=sum(buckets),
            abandoned=words[abi.SERIES_ABANDONED] + settled,
            missed=words[abi.SERIES_MISSED],
            untimed=words[abi.SERIES_UNTIMED],
            in_flight=in_flight,
            orphan_ends=words[abi.SERIES_ORPHAN_ENDS],
            sum_ns=words[abi.SERIES_SUM_NS],
            buckets=buckets,
            no_packet=words[abi.SERIES_NO_PACKET],
            unknown=words[abi.SERIES_UNKNOWN],
            bytes=words[abi.SERIES_BYTES],
            drops=tuple(words[abi.SERIES_DROPS : abi.SERIES_DROPS + reasons]),
            duplicates=words[abi.SERIES_DUPLICATES],
            faults=tuple(words[abi.SERIES_FAULTS : abi.SERIES_FAULTS + fields]),
            slow=words[abi.SERIES_SLOW],
            events_emitted=words[abi.SERIES_EMITTED],
            events_suppressed=words[abi.SERIES_SUPPRESSED],
            events_lost=words[abi.SERIES_LOST],
            attached_ns=item.time_attached(now_ns),
            interval=self._intervals.get(item.index),
            minmax_lost=words[abi.SERIES_MINMAX_LOST],
        )

    # -- depth ----------------------------------------------------------------------------------------------

    def _depths(self, now_ns: int, only: set[int] | None) -> tuple[DepthSnapshot, ...]:
        """One value per group of buffers, told by its primary series; none where a buffer found no room."""
        readers: dict[int, list[Attached]] = {}
        for index, item in self._attached.items():
            if item.series.has_depth and (only is None or index in only):
                readers.setdefault(item.group, []).append(item)
        if not readers:
            return ()
        words = self._buffers.words
        held: dict[int, list[int]] = {group: [] for group in readers}
        for slot, key in enumerate(words[:: abi.BUFFER_WORDS].tolist()):
            group = key & 0xFFFF
            if not key or group not in held:
                continue
            at = slot * abi.BUFFER_WORDS
            if not readers[group][0].closes_buffers and now_ns - words[at + abi.BUFFER_SEEN_NS] > FORGET_BUFFER_NS:
                continue
            held[group].append(words[at + abi.BUFFER_DEPTH])
        found = []
        for group, items in readers.items():
            if any(self._series.words[i.index * self._words + abi.SERIES_DEPTH_LOST] for i in items):
                continue
            teller = min(items, key=lambda i: (not i.series.primary, i.series.role != "put", i.series.id))
            highest = [m for i in items if (m := self._depth_max.get(i.index)) is not None]
            depths = held[group]
            if not depths and not highest:
                continue
            found.append(
                DepthSnapshot(
                    teller.series.target, teller.series.id, sum(depths), len(depths), max(highest, default=None)
                )
            )
        return tuple(found)

    def forget_buffers(self, group: int) -> None:
        """Drop the buffers of a target that is no longer measured."""
        words = self._buffers.words
        for slot, key in enumerate(words[:: abi.BUFFER_WORDS].tolist()):
            if key and key & 0xFFFF == group:
                words[slot * abi.BUFFER_WORDS] = 0

    def forget(self, index: int) -> None:
        """Drop what was kept for a series whose index is given back."""
        self._bases.pop(index, None)
        self._intervals.pop(index, None)
        self._depth_max.pop(index, None)
