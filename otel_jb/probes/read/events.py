# SPDX-License-Identifier: Apache-2.0
"""Decodes an event of the ring buffer (`struct event` of bpf/abi.h) into a `SlowCall`."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING

from otel_jb.model.stream import NestedCall, SlowCall
from otel_jb.probes import abi

if TYPE_CHECKING:
    from otel_jb.probes.series import Attached

_HEADER = struct.Struct(abi.EVENT_HEADER)
_STACK = struct.Struct(f"<{abi.STACK_DEPTH}Q")
_NESTED = struct.Struct("<3Q2I")


def decode(record: bytes, attached: Mapping[int, Attached]) -> SlowCall | None:
    """The slow call, or None where its series is no longer attached (its number would mean another function)."""
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
    stack = _STACK.unpack_from(record, abi.EVENT_STACK)[: filled // 8] if filled > 0 else ()
    nested: list[NestedCall] = []
    known = bool(flags & abi.EVENT_NEST_KNOWN)
    if known and inside:
        recent = list(_NESTED.iter_unpack(record[abi.EVENT_NESTED : abi.EVENT_NESTED + abi.NESTED * _NESTED.size]))
        first = following - min(inside, abi.NESTED)
        for place in range(first, following):
            inner_frame, inner_start, inner_end, inner_index, inner_tid = recent[place % abi.NESTED]
            if inner_tid == tid and inner_start >= start and inner_end <= end:
                inner = attached.get(inner_index)
                if inner is not None:
                    nested.append(NestedCall(inner.series.id, inner_frame, inner_start, inner_end))
    series, width = item.series, item.probe.return_width
    return SlowCall(
        series=series.id,
        thread_id=tid,
        thread_name=comm.split(b"\0", 1)[0].decode(errors="replace"),
        frame=frame,
        start_ns=start,
        end_ns=end,
        bytes=size if series.has_bytes else None,
        stream=stream or None,
        return_value=_narrow(value, width, item.probe.return_signed) if flags & abi.EVENT_RETURN and width else None,
        outcome=None if flags & abi.EVENT_FAULTED else outcome,
        stack=tuple(filter(None, stack)),
        stack_pointer=sp,
        instruction_pointer=ip,
        frame_pointer=fp,
        link_register=lr,
        stack_copy=_copy(record, copied, holes, sp),
        nested=tuple(nested),
        nested_omitted=max(0, inside - abi.NESTED) if known else 0,
    )


def _copy(record: bytes, copied: int, holes: int, sp: int) -> bytes:
    """The copy of the stack; pages of it that could not be read hold no address of any process, so that a walk ends there."""
    copy = record[abi.EVENT_COPY : abi.EVENT_COPY + copied]
    if not holes:
        return copy
    filled, first = bytearray(copy), -sp & (abi.STACK_PAGE - 1)
    for page in range(1, abi.STACK_COPY // abi.STACK_PAGE):
        at = first + (page - 1) * abi.STACK_PAGE
        if holes & 1 << page and at < copied:
            filled[at : at + abi.STACK_PAGE] = b"\xff" * abi.STACK_PAGE
    return bytes(filled)


def _narrow(value: int, width: int, signed: bool) -> int:
    """The low `width` bytes of a register as the function's own type."""
    value &= (1 << 8 * width) - 1
    return value - (1 << 8 * width) if signed and value >> (8 * width - 1) else value
