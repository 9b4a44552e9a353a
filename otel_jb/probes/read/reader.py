# SPDX-License-Identifier: Apache-2.0
"""Reads the kernel's arrays into a `Snapshot`, exactly and without stopping anything."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING

from otel_jb.arch.machine import here
from otel_jb.model.added import ADDED, mean_of
from otel_jb.model.counters import TABLE, Counter, Fold
from otel_jb.model.errors import OverrunError
from otel_jb.model.stream import OWN_FIELDS, DepthSnapshot, Interval, SeriesSnapshot, Snapshot
from otel_jb.model.text import printable
from otel_jb.probes import abi
from otel_jb.probes.read.maps import HashMap, WordArray, wait_for_grace
from otel_jb.probes.read.residence import ResidenceReader
from otel_jb.probes.read.returns import Returns
from otel_jb.probes.read.rtp import RtpReader

if TYPE_CHECKING:
    from otel_jb.probes.series import Attached

FORGET_BUFFER_NS = 60_000_000_000  #: a buffer whose close cannot be seen counts for so long after it was last touched
FORGET_OPEN_BUFFER_NS = 600_000_000_000  #: the same where it can be seen: a close may have been missed
SETTLE_AGE_NS = 1_000_000_000
MOST_IN_FLIGHT = (
    1 << 31
)  #: of a series, and more than there can be: a call in flight has a thread's or a coroutine's stack
_MASK = (1 << abi.SERIES_BITS) - 1
_U64 = (1 << 64) - 1
_SPREAD = 8  #: one series of so many is read alone: memory that is not looked at need not come into the caches
_FEW = 64  #: series of which it is quicker to see that no call is in flight than to look through the table of calls
_GOLDEN = 0x9E3779B97F4A7C15
#: rows that a snapshot has a field for, and those that it holds by name because they are metrics
_OWN = tuple(
    (row.name, abi.PLACES[row.name])
    for row in TABLE
    if row.name in OWN_FIELDS and row.name != "packets" and not row.split
)
_COUNTS = tuple(row for row in TABLE if row.instrument and row.name not in OWN_FIELDS and not row.fold.of_interval)
_EXTREMES = tuple(row for row in TABLE if row.fold.of_interval)
_OUTCOMES = (abi.SERIES_ABANDONED, abi.SERIES_MISSED, abi.SERIES_UNTIMED)
_PACKETS, _DROPS, _FAULTS = abi.PLACES["packets"], abi.PLACES["drops"], abi.PLACES["faults"]
_NOT_PACKETS = (abi.PLACES["no_packet"], abi.PLACES["unknown"])
_ADDS_IN_ORDER = here().keeps_order  #: as in bpf/arch.h
_ADDED = abi.PLACES["added"]


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
        rtp: RtpReader,
        residence: ResidenceReader,
        returns: Returns,
    ) -> None:
        self._bounds_ns = bounds_ns
        self._words = abi.series_words(len(bounds_ns) + 1)
        self._series, self._calls, self._control, self._buffers = series, calls, control, buffers
        self._overflow = overflow
        self._attached = attached
        self._rtp = rtp
        self._residence = residence
        self._returns = returns
        self._bases: dict[int, tuple[int, int]] = {}  # index -> (count, sum_ns) of a half when it was last read
        self._intervals: dict[int, Interval | None] = {}
        self._due: dict[
            int, tuple[int, int, int]
        ] = {}  # what `_intervals` lacks until the series is read: half, lowest and highest duration
        self._extremes: dict[int, dict[str, int]] = {}  # of the last interval, where there was one
        self._means: dict[int, tuple[tuple[str, float], ...]] = {}  # of the last interval
        self._read: dict[tuple[int, int], int] = {}  # (index, counter) -> what a mean's word was when it was last read
        self._packets: dict[int, int] = {}  # index -> what was told last, where it is not counted by itself
        self._depth_lost: dict[int, tuple[int, bool]] = {}  # index -> (so far, whether some in the last interval)
        self._rolled_ns = time.monotonic_ns()
        self._interval_ns = 0

    # -- calls in flight ------------------------------------------------------------------------------------

    def open_calls(self) -> list[tuple[int, int, int, int]]:
        """(slot, key, start, tid) of every call in flight; the slot of one in the overflow table is -1."""
        found = []
        with self._calls.looked_at() as words:
            keys = self._calls.column(abi.CALL_WORDS)
            for slot in compress(range(len(keys)), keys):  # most are free
                at = slot * abi.CALL_WORDS
                tid_flags = words[at + abi.CALL_TID_FLAGS]
                if not tid_flags >> 32 & abi.CALL_MARK:
                    found.append((slot, keys[slot], words[at + abi.CALL_START], tid_flags & 0xFFFFFFFF))
        if self._control.words[abi.CONTROL_SPILLED]:
            for raw_key, value in self._overflow.items().items():
                (key,) = struct.unpack("=Q", raw_key)
                _, start, tid, flags = struct.unpack_from("=QQII", value)
                if not flags & abi.CALL_MARK:
                    found.append((-1, key, start, tid))
        return found

    def entered(self, index: int) -> int:
        """How many calls of a series have begun."""
        return self._series.words[index * self._words + abi.SERIES_ENTERED]

    def all_entered(self, indices: Collection[int]) -> Sequence[int] | Mapping[int, int]:
        """The same of these series at least, by index."""
        words = self._series.words
        if len(indices) * _SPREAD * self._words < len(words):
            return {index: words[index * self._words + abi.SERIES_ENTERED] for index in indices}
        every: list[int] = words[abi.SERIES_ENTERED :: self._words].tolist()
        return every

    def in_flight(self, index: int) -> int:
        """How many calls of a series are in flight: entered, but without an outcome yet. Raises OverrunError."""
        words, at = self._series.words, index * self._words
        outcomes = sum(words[at + outcome] for outcome in _OUTCOMES)
        return self._checked(index, words[at + abi.SERIES_ENTERED] - outcomes - self._returns.of(index))

    def _checked(self, index: int, in_flight: int) -> int:
        """The same number, unless it shows that a bucket has run over: returned calls are then short of 2^32, or one less, each time.

        Raises OverrunError.
        """
        if in_flight < MOST_IN_FLIGHT:
            return in_flight
        name = self._attached[index].series.function
        raise OverrunError(
            f"{printable(name)} was called more than 4 000 000 000 times since the agent last read the kernel: its counts ran over, and are not told",
            "Something kept the agent from running (kill -STOP, docker pause, a debugger). Start it again: it counts from 0.",
        )

    def settle(self, indices: Iterable[int], *, returned_unseen: bool = False) -> None:
        """Nothing can end these series' calls in flight any more, and none begins: they count as abandoned, or as untimed where the
        process goes on, so that they may return yet without that it is seen. Their slots are freed.
        """
        wanted = set(indices)
        outcome = abi.SERIES_UNTIMED if returned_unseen else abi.SERIES_ABANDONED
        for index in wanted:
            self._series.words[index * self._words + outcome] += self.in_flight(index)
        with self._calls.looked_at() as words:
            keys = self._calls.column(abi.CALL_WORDS)
            for slot in compress(range(len(keys)), keys):
                if keys[slot] & _MASK in wanted:
                    words[slot * abi.CALL_WORDS] = 0
        if self._control.words[abi.CONTROL_SPILLED]:
            for raw_key in self._overflow.items():
                if struct.unpack("=Q", raw_key)[0] & _MASK in wanted:
                    self._overflow.delete(raw_key)  # the kernel's count of them is a bound from above

    def open_of(self, indices: set[int], form: int) -> list[tuple[int, int, int]]:
        """(slot, key, start) of the calls of these series that links of this form began; not of those in the overflow table."""
        with self._calls.looked_at() as words:
            return [
                (slot, key, start)
                for slot, key, start, _ in self.open_calls()
                if slot >= 0
                and key & _MASK in indices
                and words[slot * abi.CALL_WORDS + abi.CALL_TID_FLAGS] >> 63 == form
            ]

    def settle_dead_threads(self, settle: Callable[[int, int, int], bool]) -> None:
        """Have calls counted as abandoned whose thread is gone; the kernel does it, so that a call which begins at the same place is
        never mistaken for them.
        """
        if len(self._attached) <= _FEW and not any(map(self.in_flight, self._attached)):
            return
        now = time.monotonic_ns()
        threads: dict[tuple[int, int], bool] = {}
        for slot, key, start, tid in self.open_calls():
            item = self._attached.get(key & _MASK)
            if slot < 0 or item is None or start < 2 or now - start < SETTLE_AGE_NS:
                continue
            thread = (item.pid, tid)
            if thread not in threads:
                threads[thread] = os.path.exists(f"/proc/{item.pid}/task/{tid}")  # noqa: PTH110 - thousands
            if not threads[thread]:
                settle(slot, key, start)

    # -- snapshots ------------------------------------------------------------------------------------------

    def snapshot(self, roll: bool, only: set[int] | None = None) -> Snapshot:
        """The values of all series (or of `only` those), in one pass; `roll` starts a new interval of minimum and maximum."""
        if roll:
            self._roll()
        now = time.monotonic_ns()
        unix = time.time_ns()
        items = self._items(only)
        series = tuple(self._one(item, now) for item in items)
        rtp = self._rtp.snapshot({item.index: item for item in items}, rank=roll)
        residences = self._residence.snapshot(items, roll=roll)
        return Snapshot(
            unix,
            now,
            self._bounds_ns,
            series,
            self._depths(only),
            self._interval_ns,
            rtp,
            self._rtp.gap_bounds_ns,
            residences,
            self._rtp.recorder_bytes,
        )

    def _items(self, only: set[int] | None) -> list[Attached]:
        """What is attached, of these indices if there are any given."""
        if only is None:
            return list(self._attached.values())
        return [self._attached[index] for index in sorted(only) if index in self._attached]

    def _roll(self) -> None:
        """End the interval: flip the halves, let running programs finish, read and clear the old half."""
        for index in list(self._due):
            self._interval(index, self._series.block(index, self._words), self._returns.of_halves(index))
        epoch = self._control.words[abi.CONTROL_EPOCH]
        old = epoch & 1
        self._control.words[abi.CONTROL_EPOCH] = epoch + 1
        wait_for_grace()
        now = time.monotonic_ns()
        self._interval_ns, self._rolled_ns = now - self._rolled_ns, now
        words = self._series.words
        for index, item in self._attached.items():
            base = index * self._words
            if item.series.adds:
                self._means[index] = self._interval_means(item, base)
            extremes = self._extremes[index] = _extremes(words, base, old)
            lost = words[base + abi.SERIES_DEPTH_LOST]
            self._depth_lost[index] = (lost, lost > self._depth_lost.get(index, (0, False))[0])
            self._intervals[index] = None
            fastest = extremes.get("duration_min")
            if fastest is not None:
                self._due[index] = (old, fastest, extremes.get("duration_max", fastest))

    def _interval(self, index: int, words: Sequence[int], halves: tuple[int, int]) -> Interval | None:
        """The calls that ended in a series' last interval. `words`: of the series; `halves`: how many calls returned in each."""
        due = self._due.pop(index, None)
        if due is None:
            return self._intervals.get(index)
        half, fastest, slowest = due
        count, sum_ns = halves[half], words[abi.SERIES_SUM_NS + half]
        key = index << 1 | half
        before = self._bases.get(key, (0, 0))
        self._bases[key] = (count, sum_ns)
        calls = count - before[0]
        if calls:
            self._intervals[index] = Interval(calls, sum_ns - before[1], fastest, slowest)
        return self._intervals.get(index)

    def _interval_means(self, item: Attached, base: int) -> tuple[tuple[str, float], ...]:
        """The means of the interval that ends, of those counters of a series that are means and were added to."""
        found = []
        for number, name in enumerate(item.series.adds):
            if name and ADDED[name].is_mean:
                word, key = self._series.words[base + _ADDED + number], (item.index, number)
                mean = mean_of(self._read.get(key, 0), word)
                self._read[key] = word
                found += [(name, mean)] if mean is not None else []
        return tuple(found)

    def _one(self, item: Attached, now_ns: int) -> SeriesSnapshot:
        # `entered` is read after the block, so that no call has an outcome here that has not entered.
        words = self._series.block(item.index, self._words)
        entered = self.entered(item.index)
        buckets, halves = self._returns.read(item.index, words)
        returned = sum(halves)
        in_flight = self._checked(item.index, entered - returned - sum(words[outcome] for outcome in _OUTCOMES))
        reasons, fields = len(item.series.drop_reasons), len(item.series.fields)
        return SeriesSnapshot(
            series=item.series.id,
            returned=returned,
            in_flight=in_flight,
            sum_ns=words[abi.SERIES_SUM_NS] + words[abi.SERIES_SUM_NS + 1],
            buckets=buckets,
            drops=tuple(words[_DROPS : _DROPS + reasons]),
            faults=tuple(words[_FAULTS : _FAULTS + fields]),
            attached_ns=item.time_attached(now_ns),
            interval=self._interval(item.index, words, halves),
            packets=self._packets_of(item, words, returned),
            counts=tuple([(row.name, _number(row, words[abi.PLACES[row.name]])) for row in _COUNTS]),
            extremes=_exported(self._extremes.get(item.index)),
            added=tuple(words[_ADDED : _ADDED + len(item.series.adds)]),
            means=self._means.get(item.index, ()),
            **{name: words[at] for name, at in _OWN},
        )

    def _packets_of(self, item: Attached, words: Sequence[int], returned: int) -> int:
        """How many calls handled a packet: never more than there were, never fewer than told before, and exact once the calls that end now have ended.

        The kernel counts a call without a packet before it counts that the call returned, so everyone who is among `returned` is among
        the others if need be, when those are read later.
        """
        if not (item.probe.read.entry or item.probe.read.end):
            return returned + words[abi.SERIES_UNTIMED]
        counted = words[_PACKETS]
        if not _ADDS_IN_ORDER:
            return counted
        at = item.index * self._words
        others = sum([self._series.words[at + place] for place in _NOT_PACKETS])
        told = self._packets[item.index] = max(self._packets.get(item.index, 0), counted + returned - others)
        return told

    # -- depth ----------------------------------------------------------------------------------------------

    def _depths(self, only: set[int] | None) -> tuple[DepthSnapshot, ...]:
        """One value per group of buffers, told by its primary series; none where a buffer found no room lately."""
        readers: dict[int, list[Attached]] = {}
        for item in self._items(only):
            if item.series.has_depth:
                readers.setdefault(item.group, []).append(item)
        if not readers:
            return ()
        held = self._held(readers)
        found = []
        for group, items in readers.items():
            if any(self._depth_is_incomplete(item.index) for item in items):
                continue
            teller = min(items, key=lambda i: (not i.series.primary, i.series.role != "put", i.series.id))
            highest = [
                self._extremes[i.index]["depth_max"] for i in items if "depth_max" in self._extremes.get(i.index, ())
            ]
            depths = [depth for depth, _ in held[group]]
            if not depths and not highest:
                continue
            # What nobody has touched since the interval ended was as full all the time.
            highest += [depth for depth, seen in held[group] if seen <= self._rolled_ns]
            found.append(
                DepthSnapshot(
                    teller.series.target, teller.series.id, sum(depths), len(depths), max(highest, default=None)
                )
            )
        return tuple(found)

    def _depth_is_incomplete(self, index: int) -> bool:
        """Whether a buffer found no room in the last interval or since."""
        before, lately = self._depth_lost.get(index, (0, False))
        return lately or self._series.words[index * self._words + abi.SERIES_DEPTH_LOST] > before

    def _held(self, readers: Mapping[int, list[Attached]]) -> dict[int, list[tuple[int, int]]]:
        """The depths of the buffers of each group, and when each was last told. What nobody has touched for long is forgotten, and its
        slot is free.
        """
        words, now = self._buffers.words, time.monotonic_ns()
        newest: dict[int, tuple[int, int]] = {}  # key -> (seen, slot)
        for slot, key in enumerate(words[:: abi.PLACE_WORDS].tolist()):
            if not key or key & 0xFFFF not in readers:
                continue
            at = slot * abi.PLACE_WORDS
            seen = words[at + abi.BUFFER_SEEN_NS]
            patience = FORGET_OPEN_BUFFER_NS if readers[key & 0xFFFF][0].closes_buffers else FORGET_BUFFER_NS
            if now - seen > patience and seen:
                words[at] = 0
                continue
            if key in newest:
                # Two threads took a slot each for it: the one that was not written lately goes.
                old = min(newest[key], (seen, slot))
                words[old[1] * abi.PLACE_WORDS] = 0
            newest[key] = max(newest.get(key, (0, 0)), (seen, slot))
        held: dict[int, list[tuple[int, int]]] = {group: [] for group in readers}
        for key, (seen, slot) in newest.items():
            depth = words[slot * abi.PLACE_WORDS + abi.BUFFER_DEPTH]
            if depth >> abi.DEPTH_MARK_SHIFT == (key * _GOLDEN & _U64) >> abi.DEPTH_MARK_SHIFT:
                held[key & 0xFFFF].append((depth & ((1 << abi.DEPTH_MARK_SHIFT) - 1), seen))
        return held

    def forget_buffers(self, groups: set[int]) -> None:
        """Drop the buffers of groups that are no longer measured."""
        if not groups:
            return
        words = self._buffers.words
        for slot, key in enumerate(words[:: abi.PLACE_WORDS].tolist()):
            if key and key & 0xFFFF in groups:
                words[slot * abi.PLACE_WORDS] = 0

    def forget(self, index: int) -> None:
        """Forget a series whose index is released."""
        for half in (0, 1):
            self._bases.pop(index << 1 | half, None)
        self._intervals.pop(index, None)
        self._due.pop(index, None)
        self._extremes.pop(index, None)
        self._depth_lost.pop(index, None)
        self._means.pop(index, None)
        self._packets.pop(index, None)
        self._returns.forget(index)
        for key in [each for each in self._read if each[0] == index]:
            del self._read[key]


def _number(row: Counter, word: int) -> int:
    return word - (1 << 64) if row.fold is Fold.BALANCE and word >> 63 else word


def _extremes(words: memoryview, base: int, half: int) -> dict[str, int]:
    """The highest and the lowest values of a half that is not written any more, by name; it is cleared. What had none is left out."""
    found = {}
    for row in _EXTREMES:
        at = base + abi.PLACES[row.name] + half
        word = words[at]
        if word:
            words[at] = 0
            found[row.name] = word ^ _U64 if row.fold is Fold.LOWEST else word - 1
    return found


def _exported(extremes: Mapping[str, int] | None) -> tuple[tuple[str, int], ...]:
    """Those that are metrics by themselves."""
    if not extremes:
        return ()
    return tuple([(row.name, extremes[row.name]) for row in _EXTREMES if row.instrument and row.name in extremes])
