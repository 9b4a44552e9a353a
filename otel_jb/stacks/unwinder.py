# SPDX-License-Identifier: Apache-2.0
"""Stacks of slow calls: their callers, and whether one call ran on the stack of another.

The kernel copies the top of the user stack with a slow call. It is walked (`otel_jb.stacks.walk`) by the rules of `.eh_frame`, so code without
frame pointers is no obstacle; where the copy ends, or a rule is missing, the trace says that it is truncated. Rules and names are read
in the sandbox and remembered, and so are whole stacks by their shape (`otel_jb.stacks.shape`): a stack like an earlier one costs a
comparison.
"""

from __future__ import annotations

import logging
import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack

from otel_jb.arch.machine import here
from otel_jb.model.errors import AgentError
from otel_jb.model.plan import EndStrategy
from otel_jb.model.stream import NestedCall, Series, SlowCall
from otel_jb.sandbox.client import Inspector
from otel_jb.sandbox.limits import MAX_FILES
from otel_jb.sandbox.unwind import Rule, rules
from otel_jb.stacks.shape import Shape, shape_of
from otel_jb.stacks.space import Code, FileKey, Space, Spaces, candidates
from otel_jb.stacks.walk import Place, Walk, address_mask, walk

_logger = logging.getLogger(__name__)

MAX_ADDRESSES = 2000  #: asked for in one request
REMEMBERED_RULES = 50_000
REMEMBERED_CALLS = 4096
_ARCHITECTURE = here()


class Stacks:
    """Walks the stacks of slow calls. Used from one thread.

    Args:
        inspector: the sandbox.
        pid_of: the process of a target by its id, None if it is not measured any more.
        probed: the names of a target's probed functions.
    """

    def __init__(
        self,
        inspector: Inspector,
        pid_of: Callable[[int], int | None],
        probed: Callable[[int], Collection[str]] = lambda _: (),
    ) -> None:
        self._inspector = inspector
        self._pid_of = pid_of
        self._spaces = Spaces(probed)
        self._switching: dict[FileKey, bool] = {}
        self._rules: OrderedDict[tuple[FileKey, int], Rule] = OrderedDict()  # by file and address in its image
        self._biases: dict[FileKey, tuple[tuple[int, int, int], ...]] = {}
        self._cannot_tell = (0, 0)  # process and start of a slow call: it is asked for each call inside it
        self._calls: OrderedDict[tuple[int, int, int], tuple[Shape, int]] = OrderedDict()  # with the stack pointer

    # -- what the span maker asks ------------------------------------------------------------------------------

    def symbolise(self, series: Series, call: SlowCall) -> Sequence[str]:
        """The call's stack, innermost first; the first line is the function itself."""
        shape = self._shape(series, call)
        return shape.lines if shape is not None else (series.function,)

    def around(self, series: Series, call: SlowCall) -> Collection[int] | None:
        """The frames of the probed calls around a slow one; None if its stack does not reach far enough."""
        shape = self._shape(series, call)
        if shape is None:
            return ()
        low = call.stack_pointer
        return None if shape.around is None else [frame + low for frame in shape.around]

    def same_stack(self, pid: int, outer: SlowCall, inner: NestedCall) -> bool | None:
        """Whether a call that ran while `outer` was open ran on its stack; None if uncertain.

        The inner call's own stack decides, if it was slow enough to have been copied: it ran inside exactly if `outer`'s frame is
        among those that it was called from. Else, a thread of a process that cannot switch stacks has one: then the frame decides.
        """
        known = self._calls.get((inner.series, inner.frame, inner.start_ns))
        if known is not None:
            shape, low = known
            if outer.frame - low in shape.frames:
                return True
            if shape.complete or shape.reached > outer.frame - low:
                return False
        if self._cannot_tell == (pid, outer.start_ns):
            return None
        try:
            space = self._spaces.known(pid)
            if not self._may_switch(space):
                return space.one_mapping(outer.frame, inner.frame)
            self._cannot_tell = (pid, outer.start_ns)
            return None
        except (AgentError, OSError):
            return None  # it ended

    def may_switch(self, pid: int) -> bool:
        """Whether something that the process maps has or uses functions that switch stacks (coroutines). Raises AgentError."""
        return self._may_switch(self._spaces.known(pid))

    def _may_switch(self, space: Space) -> bool:
        if space.switches is None:
            files = {code.key: code for code in space.codes}
            for key, code in files.items():
                if key not in self._switching:
                    names = self._ask(space, code, "otel_jb.sandbox.unwind:switching")
                    self._switching[key] = bool(names)
            space.switches = any(self._switching[key] for key in files)
        return space.switches

    # -- walking -----------------------------------------------------------------------------------------------

    def _shape(self, series: Series, call: SlowCall) -> Shape | None:
        """The shape of a call's stack; None if its target is no longer measured."""
        key = (call.series, call.frame, call.start_ns)
        known = self._calls.get(key)
        if known is not None:
            return known[0]
        pid = self._pid_of(series.target)
        if pid is None:
            return None
        try:
            space = self._spaces.of(series.target, pid)
            shape = space.shapes.find(call)
            if shape is None:
                shape = shape_of(call, self._walk(space, series, call), space.probed)
                space.shapes.add(call, shape)
        except AgentError as error:
            _logger.debug("a stack of process %d cannot be walked: %s", pid, error.message)
            nothing = Walk((series.function,), frozenset({call.frame}), complete=False, reached=call.frame)
            shape = shape_of(call, nothing, ("?", "?"))
        self._calls[key] = (shape, call.stack_pointer)
        if len(self._calls) > REMEMBERED_CALLS:
            self._calls.popitem(last=False)
        return shape

    def _walk(self, space: Space, series: Series, call: SlowCall) -> Walk:
        returned = series.strategy == EndStrategy.URETPROBE.value
        highest = max(call.stack_pointer, space.codes[-1].end if space.codes else 0)
        mask = address_mask(_ARCHITECTURE, highest)
        learned = False

        def find(address: int) -> Place | None:
            nonlocal learned
            place = space.places.get(address)
            if place is None:
                code = space.find(address)
                if code is None:
                    return None
                wanted = {address}
                if not learned:
                    # Each word that could be a return address, so that one request brings every rule that this stack may need.
                    learned = True
                    words = struct.unpack_from(f"<{len(call.stack_copy) // 8}Q", call.stack_copy)
                    wanted |= {(value & mask) - 1 for value in (*words, call.link_register)}
                    wanted |= {call.instruction_pointer, call.instruction_pointer - 1}
                self._learn(space, wanted)
                place = space.places.get(address) or space.note(
                    address, Place(code.name, Rule(None, displacement=address - code.start + code.offset))
                )
            return place

        return walk(_ARCHITECTURE, series.function, call, find, mask=mask, returned=returned)

    # -- rules -------------------------------------------------------------------------------------------------

    def _learn(self, space: Space, wanted: Collection[int]) -> None:
        """Note the places of those addresses that are code, asking the sandbox for the rules that are not known.

        A file that is gone or cannot be read has no rules: stacks end there.
        """
        asked: list[tuple[Code, list[tuple[int, int]]]] = []  # (address, the same in the file's image) of each file
        for key, (code, addresses) in candidates(space, tuple(wanted)).items():
            unknown = []
            for address in addresses:
                at = self._in_image(space, space.find(address) or code, address)
                rule = self._rules.get((key, at)) if at is not None else None
                if rule is not None:
                    space.note(address, Place(code.name, rule))
                elif at is not None:
                    unknown.append((address, at))
            if unknown:
                asked.append((code, unknown[:MAX_ADDRESSES]))
        for first in range(0, len(asked), MAX_FILES):
            self._request(space, asked[first : first + MAX_FILES])
        while len(self._rules) > REMEMBERED_RULES:
            self._rules.popitem(last=False)

    def _request(self, space: Space, asked: Sequence[tuple[Code, Sequence[tuple[int, int]]]]) -> None:
        """Ask the sandbox for the rules of these addresses."""
        with ExitStack() as stack:
            files, opened = [], []
            for code, addresses in asked:
                try:
                    file = space.open(code)
                except AgentError as error:
                    _logger.debug("the stacks of process %d end in %s: %s", space.pid, code.name, error.message)
                    continue
                stack.callback(os.close, file)
                files.append(file)
                opened.append((code, addresses))
            if not files:
                return
            names = [code.name for code, _ in opened]
            found = rules(self._inspector, files, names, [[at for _, at in addresses] for _, addresses in opened])
        for (code, addresses), by_address in zip(opened, found, strict=True):
            for address, at in addresses:
                self._rules[(code.key, at)] = by_address[at]
                space.note(address, Place(code.name, by_address[at]))

    def _in_image(self, space: Space, code: Code, address: int) -> int | None:
        """The corresponding address in the file's image; None if no segment of the file covers it, or it cannot be read."""
        if code.key not in self._biases:
            try:
                plain = self._ask(space, code, "otel_jb.sandbox.unwind:segments")
            except AgentError as error:
                _logger.debug("the stacks of process %d end in %s: %s", space.pid, code.name, error.message)
                return None
            self._biases[code.key] = tuple((int(first), int(end), int(bias)) for first, end, bias in plain)
        offset = address - code.start + code.offset
        for first, end, bias in self._biases[code.key]:
            if first <= offset < end:
                return offset + bias
        return None

    def _ask(self, space: Space, code: Code, function: str) -> Sequence[Sequence[int]]:
        """What the sandbox says of one file. Raises AgentError."""
        file = space.open(code)
        try:
            return tuple(self._inspector.call(function, [file], name=code.name))
        finally:
            os.close(file)
