# SPDX-License-Identifier: Apache-2.0
"""Slow calls as traces: a span for the call, one for each probed call inside it, and an exemplar once they are accepted.

Spans are made directly (`call_span`), not by a tracer: their times and identities are given, and a provider for each target would cost
more than the spans. The sampler is the SDK's, asked once for each trace.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanKind

from otel_jb.model.stream import NestedCall, Series, SlowCall, Target
from otel_jb.model.text import printable
from otel_jb.telemetry.call_span import CallSpan, Identity, Origin, error_of, identity, own_attributes
from otel_jb.telemetry.exemplars import ExemplarStore
from otel_jb.telemetry.holding import Held, Holding, Key, key_of
from otel_jb.telemetry.instruments import NESTING_DOUBTFUL, SPANS_DROPPED
from otel_jb.telemetry.metrics import Exemplar, resource_attributes
from otel_jb.telemetry.nesting import Nesting, SameStack, nest
from otel_jb.telemetry.state import StreamState
from otel_jb.telemetry.tally import Tally

_logger = logging.getLogger(__name__)


class Clock(Protocol):
    """Maps the kernel's times."""

    def unix_nano(self, monotonic_ns: int) -> int:
        """The wall time of a monotonic one."""


#: Lines of a stack trace, innermost first; made by another part, which may be slow.
Symbolise = Callable[[Series, SlowCall], "Sequence[str]"]
#: Frames of the probed calls that a slow call ran in; None where its stack does not tell.
Around = Callable[[Series, SlowCall], "Collection[int] | None"]
Offer = Callable[[Sequence[CallSpan]], bool]
#: Told of a row of calls, each by its series and the spans that it became, its own first, once they were accepted.
Keep = Callable[[Sequence[tuple[int, Sequence[CallSpan]]]], None]

_NOTHING = Nesting((), (), 0)
_NONE: Mapping[Key, Held] = {}
_MAX_STACK_CHARACTERS = 8192
#: Slow calls that wait to be made into spans. An event with a copy of the stack is some KiB.
_MAX_WAITING = 512
_GATHERED = 128  #: enough of them to begin
_MAX_TEXTS = 1024
_MAX_ORIGINS = 4096
#: Calls that have a trace of their own and may yet turn out to be inside a longer one.
_MAX_TOLD = 4096


def sampler(name: str, ratio: float = 1.0) -> sampling.Sampler:
    """The sampler that OTEL_TRACES_SAMPLER names. Slow calls have no parent: a `parentbased_` one acts as its root does."""
    root: sampling.Sampler = {
        "always_on": sampling.ALWAYS_ON,
        "always_off": sampling.ALWAYS_OFF,
        "traceidratio": sampling.TraceIdRatioBased(ratio),
    }[name.removeprefix("parentbased_")]
    return sampling.ParentBased(root) if name.startswith("parentbased_") else root


class SpanMaker:
    """Makes spans of slow calls on its own thread.

    Args:
        state: knows series and targets.
        clock: maps the kernel's times.
        offer: takes a trace's spans, or refuses them (`SpanQueue.offer`).
        tally: counts dropped events and doubtful nesting.
        sampler: decides about each trace.
        exemplars: receives accepted calls.
        symbolise: lines of the stack trace.
        same_stack: see `nesting`.
        around: calls that ran in others wait for those (see `holding`); without it none does.
        now: monotonic seconds, for the waiting.
        keep: receives the calls that were sampled and accepted, some at a time.
        gather_seconds: calls are made into spans some at a time: from the second one of a row on everything is in the processor's caches.
    """

    def __init__(
        self,
        state: StreamState,
        clock: Clock,
        offer: Offer,
        tally: Tally,
        sampler: sampling.Sampler = sampling.DEFAULT_ON,
        exemplars: ExemplarStore | None = None,
        symbolise: Symbolise | None = None,
        same_stack: SameStack = lambda _pid, _a, _b: None,
        around: Around | None = None,
        now: Callable[[], float] = time.monotonic,
        gather_seconds: float = 0.5,
        keep: Keep | None = None,
    ) -> None:
        self._state = state
        self._clock = clock
        self._offer = offer
        self._tally = tally
        self._sampler = sampler
        # A slow call has no parent, so a sampler that asks for it does as its root does.
        # Asking costs as much as the span.
        self._samples_all = sampler.get_description().removeprefix("ParentBased{root:").startswith("AlwaysOnSampler")
        self._exemplars = exemplars
        self._symbolise = symbolise
        self._same_stack = same_stack
        self._around = around
        self._now = now
        self._gather = gather_seconds
        self._keep = keep
        self._holding = Holding()
        self._doubtful: dict[int, int] = {}  # by series, since it was last told
        self._accepted: list[tuple[int, Sequence[CallSpan]]] = []  # of this row: series and spans
        self._shown: list[tuple[SlowCall, int, int, int]] = []  # likewise, see `_exemplar`
        self._told: OrderedDict[Key, Identity] = OrderedDict()
        self._ids = RandomIdGenerator()
        self._series: dict[int, tuple[Series, Target]] = {}  # as the state has them, for one row of calls
        self._resources: dict[int, Resource] = {}
        self._origins: dict[tuple[int, int, str], Origin] = {}  # by series, thread and its name
        self._texts: dict[tuple[str, ...], str] = {}  # of stacks: there are few shapes
        self._waiting: deque[tuple[float, SlowCall]] = deque()  # with the time of arrival
        self._changed = threading.Condition()
        self._stopping = False
        self._failed = False
        self._thread = threading.Thread(target=self._work, name="span-maker", daemon=True)
        self._thread.start()

    def submit(self, *calls: SlowCall) -> None:
        """Take slow calls; never blocks. Those that find the queue full are counted in `otel_jb.spans.dropped`."""
        with self._changed:
            before = len(self._waiting)
            taken = 0 if self._stopping else min(len(calls), _MAX_WAITING - before)
            if taken < len(calls):
                self._tally.add(SPANS_DROPPED, len(calls) - taken, signal="traces", error__type="queue_full")
            now = self._now()
            self._waiting.extend((now, call) for call in calls[:taken])
            if before == 0 < taken or before < _GATHERED <= before + taken:
                self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._waiting and not self._stopping:
                    due = self._holding.next_due()
                    self._changed.wait(None if due is None else max(0.0, due - self._now()))
                if self._waiting:
                    self._changed.wait_for(lambda: self._stopping or len(self._waiting) >= _GATHERED, self._gather)
                ending = self._stopping and not self._waiting
            if not self._waiting:
                self._try(self._release, None if ending else self._now())
            while self._waiting:
                self._take_row()
            self._try(self._finish_row)
            if ending and not len(self._holding):
                return

    def _take_row(self) -> None:
        """Take calls that wait, not more at once than what is handed on afterwards may take of memory."""
        until = -1.0
        for _ in range(min(_GATHERED, len(self._waiting))):
            arrived, call = self._waiting[0]
            # By the times of arrival: symbols may take long, and what is waited for may stand in the queue.
            if arrived > until or self._holding.full:  # those of a row came together
                until = arrived
                if self._holding.due(arrived):
                    self._try(self._release, arrived)
            self._try(self._take, call, arrived)
            self._waiting.popleft()  # only now: the bound is one of memory
        self._try(self._finish_row)

    def _finish_row(self) -> None:
        """Hand on what is of use once a row is done: each step for all calls, whose code and data are in the processor's caches from the second one on."""
        accepted, self._accepted = self._accepted, []
        shown, self._shown = self._shown, []
        if self._keep is not None and accepted:
            self._keep(accepted)
        if self._exemplars is not None and shown:
            self._exemplars.add([_exemplar(*each) for each in shown])
        self._series.clear()
        self._tell_doubtful()

    def _tell_doubtful(self) -> None:
        for series_id, count in self._doubtful.items():
            known = self._state.series(series_id)
            if known is not None:
                series, target = known
                names = {"target": target.service_name, "pid": str(target.pid), "function": series.function}
                self._tally.add(NESTING_DOUBTFUL, count, **names)
        self._doubtful.clear()

    def _try(self, work: Callable[..., None], *values: Any) -> None:
        try:
            work(*values)
        except Exception:
            if not self._failed:  # once: a defect shows with every slow call
                _logger.exception("a slow call could not be made into a span")
            self._failed = True
            self._tally.add(SPANS_DROPPED, signal="traces", error__type="defect")

    def _release(self, until: float | None) -> None:
        for held in self._holding.release(until):
            self._make(held.call, held.series, held.target, held.stack)

    def shutdown(self, budget_seconds: float = 1.0) -> None:
        """Make spans of the waiting calls, and stop."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(budget_seconds)

    def _take(self, call: SlowCall, arrived: float) -> None:
        """Hold a call that ran inside another probed one; make a trace of any other."""
        known = self._series.get(call.series) or self._known(call)
        if known is None:
            return
        series, target = known
        around = self._around(series, call) if self._around is not None else ()
        stack = self._stack_of(series, call)
        if around is None or around:
            self._holding.add(_without_copy(call), series, target, stack, around, arrived)
        else:
            self._make(call, series, target, stack)

    def make(self, call: SlowCall) -> bool:
        """Make a trace of one slow call on this thread. Returns whether it was sampled and accepted."""
        known = self._known(call)
        made = known is not None and self._make(call, *known, self._stack_of(known[0], call))
        self._finish_row()
        return made

    def _known(self, call: SlowCall) -> tuple[Series, Target] | None:
        known = self._series_of(call.series)
        if known is None:  # its process ended and was forgotten while the event waited
            self._tally.add(SPANS_DROPPED, signal="traces", error__type="unknown_target")
        return known

    def _series_of(self, series: int) -> tuple[Series, Target] | None:
        known = self._series.get(series)
        if known is None:
            known = self._state.series(series)
            if known is not None:
                self._series[series] = known
        return known

    def _stack_of(self, series: Series, call: SlowCall) -> str:
        if self._symbolise is None:
            return ""
        lines = tuple(self._symbolise(series, call))
        text = self._texts.get(lines)
        if text is None:
            if len(self._texts) >= _MAX_TEXTS:
                self._texts.clear()
            text = self._texts[lines] = _stack(lines)
        return text

    def _make(self, call: SlowCall, series: Series, target: Target, stack: str) -> bool:
        inner, more, nesting = self._inside(call, target)
        if doubtful := len(nesting.doubtful) + call.nested_doubtful:
            self._doubtful[series.id] = self._doubtful.get(series.id, 0) + doubtful
        trace_id = self._ids.generate_trace_id()
        origin = self._origin(series, target, call)
        own = own_attributes(series, call)
        if not self._samples_all and not self._samples(trace_id, origin, own):
            return False
        if stack:
            own["code.stacktrace"] = stack
        if call.nested_omitted > more:
            own["otel_jb.nested.omitted"] = call.nested_omitted - more
        # The end is mapped, and everything else hangs on it by the monotonic clock: durations are exact, and a child never
        # sticks out of its parent because the wall clock was set meanwhile.
        end = self._clock.unix_nano(call.end_ns)
        shift = end - call.end_ns
        span_id = self._ids.generate_span_id()
        error = error_of(series, call) if call.return_value is not None else ""
        # By their places: names take twice as long.
        root = CallSpan(origin, trace_id, span_id, 0, call.start_ns + shift, end, own, error, (), call.packets, shift)
        spans = [root]
        told = [(key_of(call), call, span_id)]
        if nesting.children:
            self._add_children(root, call, nesting, inner, spans, told)
        if not self._offer(spans):
            return False
        if not call.late:
            self._accepted.append((series.id, spans))
        for key, one, of_span in told:
            self._told[key] = (trace_id, of_span)
            if not one.late:  # else it does not show where the time went
                self._shown.append((one, shift, trace_id, of_span))
        while len(self._told) > _MAX_TOLD:
            self._told.popitem(last=False)
        return True

    def _inside(self, call: SlowCall, target: Target) -> tuple[Mapping[Key, Held], int, Nesting]:
        """The waiting calls that may have run inside this one, how many of them its event does not name, and what ran inside, which waits no longer."""
        if not self._holding and not call.nested:
            return _NONE, 0, _NOTHING
        inner = {held.key: held for held in self._holding.inside(call, target)}
        more: list[NestedCall] = []
        if inner:  # those that the event names already are told once
            named = set(map(key_of, call.nested))
            more = [held.nested() for key, held in inner.items() if held.around is not None and key not in named]
        nesting = nest(call, target.pid, self._same_stack, more) if more or call.nested else _NOTHING
        if inner:
            self._holding.remove([inner[key] for one, _ in nesting.children if (key := key_of(one)) in inner])
        return inner, len(more), nesting

    def _add_children(
        self,
        root: CallSpan,
        call: SlowCall,
        nesting: Nesting,
        inner: Mapping[Key, Held],
        spans: list[CallSpan],
        told: list[tuple[Key, SlowCall, int]],
    ) -> None:
        """Add the spans of what ran inside a call, and which of them are slow calls; or a link where one has a trace of its own."""
        links = []
        #: Of each nested call, by its place: the span that what ran in it hangs on; None: it has been told with all that ran in it.
        parents: list[int | None] = []
        for nested, parent in nesting.children:
            above = root.span_id if parent is None else parents[parent]
            key = key_of(nested)
            earlier = self._told.get(key)
            if above is None or earlier is not None:
                # It could not wait for this call and has a trace of its own: a second span would count it twice.
                parents.append(None)
                links += [earlier] if earlier is not None and above is not None else []
                continue
            held = inner.get(key)
            child = self._child(root, call, nested, held, above)
            parents.append(
                above if child is None else child.span_id
            )  # without one: what ran in it hangs on the next above
            if child is not None:
                spans.append(child)
                if held is not None:
                    told.append((key, held.call, child.span_id))
        root.links = links

    def _samples(self, trace_id: int, origin: Origin, own: Mapping[str, Any]) -> bool:
        attributes = {**origin.attributes, **own}
        decision = self._sampler.should_sample(None, trace_id, origin.name, SpanKind.INTERNAL, attributes)
        return decision.decision is sampling.Decision.RECORD_AND_SAMPLE

    def _child(
        self, root: CallSpan, call: SlowCall, nested: NestedCall, held: Held | None, above: int
    ) -> CallSpan | None:
        """The span of a call that ran in the one that `root` is of; `above`: the span around it."""
        known = self._series_of(nested.series)
        if known is None:
            return None
        series, target = known
        child = CallSpan(
            self._origin(series, target, call),
            root.trace_id,
            self._ids.generate_span_id(),
            above,
            nested.start_ns + root.shift,
            nested.end_ns + root.shift,
        )
        if held is not None:  # slow itself: its own event says more
            own = own_attributes(series, held.call)
            if held.stack:
                own["code.stacktrace"] = held.stack
            child.own, child.error = own, error_of(series, held.call)
            if not call.packets:  # else they are mostly the same
                child.packets, child.shift = held.call.packets, root.shift
        return child

    def _origin(self, series: Series, target: Target, call: SlowCall) -> Origin:
        key = (series.id, call.thread_id, call.thread_name)
        known = self._origins.get(key)
        if known is None:
            if len(self._origins) >= _MAX_ORIGINS:
                self._origins.clear()
            attributes = identity(series, call.thread_id, call.thread_name)
            known = self._origins[key] = Origin(series.function, self._resource(target), attributes)
        return known

    def _resource(self, target: Target) -> Resource:
        known = self._resources.get(target.id)
        if known is None:
            if len(self._resources) >= 256:
                self._resources.clear()
            known = self._resources[target.id] = Resource(resource_attributes(target))
        return known


def _without_copy(call: SlowCall) -> SlowCall:
    """The call without its copy of the stack, which has been walked: what waits need not be large."""
    if not call.stack_copy:
        return call
    return SlowCall(
        call.series,
        call.thread_id,
        call.thread_name,
        call.frame,
        call.start_ns,
        call.end_ns,
        call.bytes,
        call.stream,
        call.return_value,
        call.outcome,
        nested=call.nested,
        nested_doubtful=call.nested_doubtful,
        nested_omitted=call.nested_omitted,
        stream_name=call.stream_name,
        ssrc=call.ssrc,
        packets=call.packets,
        late=call.late,
        cpu_ns=call.cpu_ns,
        run_delay_ns=call.run_delay_ns,
        blocked_ns=call.blocked_ns,
        may_yield=call.may_yield,
    )


def _stack(lines: Sequence[str]) -> str:
    """The lines, as far as they fit, with a note about omitted ones."""
    lines = [printable(line) for line in lines]  # names of files and functions
    length = 0
    for place, line in enumerate(lines):
        length += len(line) + 1
        if length > _MAX_STACK_CHARACTERS:
            return "\n".join([*lines[:place], f"[{len(lines) - place} more frames left out]"])
    return "\n".join(lines)


def _exemplar(call: SlowCall, shift: int, trace_id: int, span_id: int) -> tuple[int, Exemplar]:
    """With the series whose exemplar it is."""
    took, end = call.end_ns - call.start_ns, call.end_ns + shift
    return call.series, Exemplar(took, end, trace_id, span_id, call.thread_id)
