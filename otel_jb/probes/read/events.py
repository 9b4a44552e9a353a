# SPDX-License-Identifier: Apache-2.0
"""Decodes an event of the ring buffer (`struct event` of bpf/abi.h) into a `SlowCall`."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from otel_jb.model.stream import NestedCall, SlowCall
from otel_jb.probes import abi

if TYPE_CHECKING:
    from otel_jb.probes.series import Attached

_HEADER = struct.Struct(abi.EVENT_HEADER)
_STACKS = [struct.Struct(f"<{count}Q") for count in range(abi.STACK_DEPTH + 1)]  #: by the number of return addresses
_CALLS = [struct.Struct("<" + "3Q2I" * count) for count in range(abi.NESTED + 1)]  #: by the number of calls
_CALL_BYTES = _CALLS[1].size
_NESTED = abi.NESTED
_NO_SWITCH_NS = 5000  #: switching to another thread, running it and switching back takes longer
_PAGES = abi.STACK_COPY // abi.STACK_PAGE - 1  #: after the first, which is a part of one


def decode(record: bytes | memoryview, attached: Mapping[int, Attached]) -> SlowCall | None:
    """The slow call, or None if its series is no longer attached (its number could mean another function)."""
    (
        start,
        end,
        frame,
        size,
        stream,
        value,
        sp,
        ip,
        fp,
        lr,
        away,
        waited,
        away_since,
        waited_since,
        accounted,
        index,
        tid,
        _tgid,
        outcome,
        flags,
        inside,
        following,
        filled,
        copied,
        holes,
        comm,
    ) = _HEADER.unpack_from(record)
    item = attached.get(index)
    if item is None:
        return None
    # At once: the kernel wrote it elsewhere, and each piece waits for its cache lines. Of the copy of the stack there are some KiB: once.
    copy = _copy(record, copied, holes, sp)
    record = bytes(record[: abi.EVENT_COPY])
    known = flags & abi.EVENT_NEST_KNOWN
    series, width = item.series, item.probe.return_width
    yields = item.probe.may_yield
    share = None
    # Was the thread preempted between the end and the account? Not within so little time; else it would be a 64th of the call at most.
    if away and not yields and accounted - end <= max(_NO_SWITCH_NS, (end - start) >> 6):
        share = _share(end - start, (away, away_since), (waited, waited_since))
    cpu_ns, run_delay_ns, blocked_ns = share or (None, None, None)
    # By their places: names take three times as long.
    return SlowCall(
        series.id,
        tid,
        _name(comm),
        frame,
        start,
        end,
        size if series.has_bytes else None,
        stream or None,
        _narrow(value, width, item.probe.return_signed) if flags & abi.EVENT_RETURN and width else None,
        None if flags & abi.EVENT_FAULTED else outcome,
        _stack(record, filled),
        sp,
        ip,
        fp,
        lr,
        copy,
        _nested(record, start, end, tid, frame, min(inside, _NESTED), following, attached) if known and inside else (),
        0,  # doubtful: not known before the walk
        inside - _NESTED if known and inside > _NESTED else 0,
        "",  # stream and packets: see `RtpReader`
        None,
        (),
        bool(flags & abi.EVENT_LATE),
        cpu_ns,
        run_delay_ns,
        blocked_ns,
        yields,
    )


@lru_cache(256)
def _name(comm: bytes) -> str:
    """Of a thread: there are few, and each makes many calls."""
    return comm.split(b"\0", 1)[0].decode(errors="replace")


def _share(took: int, away: tuple[int, int], waited: tuple[int, int]) -> tuple[int, int, int] | None:
    """How long the thread of a call that took so long ran, waited for a processor, and slept, from the two words of each `struct share`, at
    its beginning and at its end; None if they contradict each other.

    The scheduler's clock is another than the call's: they drift apart by less than a thousandth. Interrupts, and other guests of the host,
    keep a thread from running that has a processor. Where the kernel does not count that as running, it is waiting, or sleeping if the
    thread slept at all: nobody knows how much of it there was.
    """
    drift = 1000 + took // 1000
    gone = _difference(*away, 64)
    ready = _difference(waited[0] >> abi.SHARE_SLEPT_BITS, waited[1] >> abi.SHARE_SLEPT_BITS, 64 - abi.SHARE_SLEPT_BITS)
    slept = (waited[0] ^ waited[1]) & ((1 << abi.SHARE_SLEPT_BITS) - 1)
    if not 0 <= ready <= gone + drift or not -drift <= gone <= took + drift:
        return None
    gone = min(max(gone, 0), took)
    ready = min(ready, gone) if slept else gone
    return took - gone, ready, gone - ready


def _difference(before: int, after: int, bits: int) -> int:
    """Of two counters of so many bits, signed."""
    difference = (after - before) & (1 << bits) - 1
    return difference - (1 << bits) if difference >> (bits - 1) else difference


def _stack(record: bytes, filled: int) -> tuple[int, ...]:
    if filled <= 0:
        return ()
    found = _STACKS[min(filled // 8, abi.STACK_DEPTH)].unpack_from(record, abi.EVENT_STACK)
    return found if 0 not in found else tuple(filter(None, found))


def _nested(
    record: bytes,
    start: int,
    end: int,
    tid: int,
    frame: int,
    count: int,
    following: int,
    attached: Mapping[int, Attached],
) -> tuple[NestedCall, ...]:
    """The `count` calls (one at least) before the one numbered `following`, as far as they may have run inside the slow one of this thread and frame, between `start` and `end`.

    Stacks grow downwards: what has its frame above the slow call's ran elsewhere.
    """
    oldest = (following - count) % abi.NESTED
    first = min(count, abi.NESTED - oldest)  # of them to the end of the ring; the rest is at its beginning
    words = _CALLS[first].unpack_from(record, abi.EVENT_NESTED + oldest * _CALL_BYTES)
    if first < count:
        words += _CALLS[count - first].unpack_from(record, abi.EVENT_NESTED)
    each = iter(words)
    return tuple(
        [
            NestedCall(item.series.id, inner_frame, inner_start, inner_end)
            for inner_frame, inner_start, inner_end, index, inner_tid in zip(each, each, each, each, each, strict=True)
            if inner_frame < frame and inner_start >= start and inner_end <= end and inner_tid == tid
            if (item := attached.get(index)) is not None
        ]
    )


def _copy(record: bytes | memoryview, copied: int, holes: int, sp: int) -> bytes:
    """The copy of the stack; pages of it that could not be read hold no address of any process, so that a walk ends there."""
    copy = bytes(record[abi.EVENT_COPY : abi.EVENT_COPY + copied])
    if not holes:
        return copy
    first = -sp & (abi.STACK_PAGE - 1)
    unread = [first + place * abi.STACK_PAGE for place in range(_PAGES) if holes & 2 << place]
    if unread[0] >= copied:  # all are behind the end, as where a coroutine's stack has a guard page there
        return copy
    filled = bytearray(copy)
    for at in unread:
        if at < copied:
            filled[at : at + abi.STACK_PAGE] = b"\xff" * abi.STACK_PAGE
    return bytes(filled)


def _narrow(value: int, width: int, signed: bool) -> int:
    """The low `width` bytes of a register as the function's own type."""
    value &= (1 << 8 * width) - 1
    return value - (1 << 8 * width) if signed and value >> (8 * width - 1) else value
