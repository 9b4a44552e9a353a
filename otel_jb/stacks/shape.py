# SPDX-License-Identifier: Apache-2.0
"""Stacks of the same shape: the same return addresses at the same distances, wherever on which stack they lie.

A server makes its slow calls along a few paths. A walk says what it rests on; a later copy that has the same there would be walked in
the same way, which comparing a dozen words shows.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Collection, Sequence

from otel_jb.model.dataclass import dataclass
from otel_jb.model.stream import SlowCall
from otel_jb.stacks.walk import IN_REGISTER, Walk

MAX_KEYS = 1024
MAX_SHAPES = 8  #: of one function and instruction

_Key = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Shape:
    """A walk without its place: all frames are counted from the stack pointer."""

    lines: tuple[str, ...]  #: innermost first, the last one says so where it is truncated
    frames: frozenset[int]
    around: (
        tuple[int, ...] | None
    )  #: frames of the probed functions among the callers; None: beyond the known part there may be one
    complete: bool
    reached: int
    values: struct.Struct
    expected: tuple[int, ...]
    addresses: struct.Struct
    distances: tuple[int, ...]
    register: int | None  #: frame pointer less stack pointer, where the walk needed it
    length: int | None  #: of the copy, where the walk ended for its end

    def fits(self, call: SlowCall) -> bool:
        """Whether a call's stack would be walked in this way."""
        copy, low = call.stack_copy, call.stack_pointer
        if self.length is not None and self.length != len(copy):
            return False
        if len(copy) < self.values.size or len(copy) < self.addresses.size:
            return False
        if self.values.unpack_from(copy) != self.expected:
            return False
        if self.register is not None and call.frame_pointer - low != self.register:
            return False
        return tuple([value - low for value in self.addresses.unpack_from(copy)]) == self.distances


class Shapes:
    """The shapes that one process's slow calls had lately."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[_Key, list[Shape]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._by_key.values()))

    def find(self, call: SlowCall) -> Shape | None:
        """One that fits."""
        for shape in self._by_key.get(_key(call), ()):
            if shape.fits(call):
                return shape
        return None

    def add(self, call: SlowCall, shape: Shape) -> None:
        """Remember the shape of a call's stack."""
        key = _key(call)
        shapes = self._by_key.setdefault(key, [])
        shapes.insert(0, shape)
        del shapes[MAX_SHAPES:]
        if len(self._by_key) > MAX_KEYS:
            self._by_key.popitem(last=False)


def _key(call: SlowCall) -> _Key:
    return (call.series, call.instruction_pointer, call.frame - call.stack_pointer, call.link_register)


def shape_of(call: SlowCall, walk: Walk, probed: Collection[str]) -> Shape:
    """The shape of a walked stack; `probed` are the names of the process's probed functions."""
    low = call.stack_pointer
    values = {at: value for at, value, is_address in walk.rests_on if not is_address}
    addresses = {at: value - low for at, value, is_address in walk.rests_on if is_address and at != IN_REGISTER}
    in_register = [value - low for at, value, _ in walk.rests_on if at == IN_REGISTER]
    around = tuple(frame - low for frame, function in walk.callers if function in probed)
    # Beyond the stack's known part another probed function may be open, unless there is no other.
    known = bool(around) or walk.complete or len(probed) < 2
    return Shape(
        walk.lines if walk.complete else (*walk.lines, "(truncated)"),
        frozenset(frame - low for frame in walk.frames),
        around if known else None,
        walk.complete,
        walk.reached - low,
        _struct(sorted(values)),
        tuple(values[at] for at in sorted(values)),
        _struct(sorted(addresses)),
        tuple(addresses[at] for at in sorted(addresses)),
        in_register[0] if in_register else None,
        None if walk.complete else len(call.stack_copy),
    )


def _struct(places: Sequence[int]) -> struct.Struct:
    """The words at these places of a copy."""
    form, end = "<", 0
    for place in places:
        form += f"{place - end}xQ"
        end = place + 8
    return struct.Struct(form)
