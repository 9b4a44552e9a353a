"""Slow calls as traces: a span for the call, one for each probed call inside it, and an exemplar once they are accepted.

Spans are made directly, not by a tracer: their times and identities are given, and a provider for each target would cost more than
the spans. The sampler is the SDK's, asked once for each trace.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, sampling
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

import otel_jb
from otel_jb.records import Series, SlowCall, Target
from otel_jb.telemetry.clock import WallClock
from otel_jb.telemetry.exemplars import ExemplarStore
from otel_jb.telemetry.metrics import NESTING_DOUBTFUL, SCOPE, SPANS_DROPPED, Exemplar, resource_attributes
from otel_jb.telemetry.nesting import SameStack, nest
from otel_jb.telemetry.state import StreamState
from otel_jb.telemetry.tally import Tally

_logger = logging.getLogger(__name__)

#: Lines of a stack trace, innermost first; made by another part, which may be slow.
Symbolise = Callable[[Series, SlowCall], "Sequence[str]"]
Offer = Callable[[Sequence[ReadableSpan]], bool]

_SCOPE = InstrumentationScope(SCOPE, otel_jb.__version__)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_MAX_STACK_CHARACTERS = 8192
#: Slow calls that wait to be made into spans. An event with a copy of the stack is some KiB.
_MAX_WAITING = 512


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
        exemplars: told of accepted calls.
        symbolise: lines of the stack trace.
        same_stack: see `nesting`.
    """

    def __init__(
        self,
        state: StreamState,
        clock: WallClock,
        offer: Offer,
        tally: Tally,
        sampler: sampling.Sampler = sampling.DEFAULT_ON,
        exemplars: ExemplarStore | None = None,
        symbolise: Symbolise | None = None,
        same_stack: SameStack = lambda _pid, _a, _b: None,
    ) -> None:
        self._state = state
        self._clock = clock
        self._offer = offer
        self._tally = tally
        self._sampler = sampler
        self._exemplars = exemplars
        self._symbolise = symbolise
        self._same_stack = same_stack
        self._ids = RandomIdGenerator()
        self._resources: dict[int, Resource] = {}
        self._waiting: deque[SlowCall] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._failed = False
        self._thread = threading.Thread(target=self._work, name="span-maker", daemon=True)
        self._thread.start()

    def submit(self, call: SlowCall) -> None:
        """Take a slow call; never blocks. One that finds the queue full is counted in `otel_jb.spans.dropped`."""
        with self._changed:
            if self._stopping or len(self._waiting) >= _MAX_WAITING:
                self._tally.add(SPANS_DROPPED, signal="traces", error__type="queue_full")
                return
            self._waiting.append(call)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if not self._waiting:
                    return
                call = self._waiting.popleft()
            try:
                self.make(call)
            except Exception:
                if not self._failed:  # once: a defect shows with every slow call
                    _logger.exception("a slow call could not be made into a span")
                self._failed = True
                self._tally.add(SPANS_DROPPED, signal="traces", error__type="defect")

    def shutdown(self, budget_seconds: float = 1.0) -> None:
        """Make spans of what waits, and stop."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(budget_seconds)

    def make(self, call: SlowCall) -> bool:
        """Make a trace of one slow call on this thread. Returns whether it was sampled and accepted."""
        found = self._state.series(call.series)
        if found is None:  # its process ended and was forgotten while the event waited
            self._tally.add(SPANS_DROPPED, signal="traces", error__type="unknown_target")
            return False
        series, target = found
        trace_id = self._ids.generate_trace_id()
        attributes = _attributes(series, call)
        decision = self._sampler.should_sample(None, trace_id, series.function, SpanKind.INTERNAL, attributes)
        if decision.decision is not sampling.Decision.RECORD_AND_SAMPLE:
            return False
        if self._symbolise is not None:
            stack = _stack(self._symbolise(series, call))
            if stack:
                attributes["code.stacktrace"] = stack
        if call.nested_omitted:
            attributes["otel_jb.nested.omitted"] = call.nested_omitted
        # The end is mapped, and everything else hangs on it by the monotonic clock: durations are exact, and a child never
        # sticks out of its parent because the wall clock was set meanwhile.
        end = self._clock.unix_nano(call.end_ns)
        shift = end - call.end_ns
        context = SpanContext(trace_id, self._ids.generate_span_id(), False, _SAMPLED)
        root = self._span(
            target, series, context, None, (call.start_ns + shift, end), attributes, _status(series, call)
        )
        children = self._children(call, target, series, context, shift)
        if not self._offer([root, *children]):
            return False
        if self._exemplars is not None:
            exemplar = Exemplar(call.end_ns - call.start_ns, end, trace_id, context.span_id, call.thread_id)
            self._exemplars.add(series.id, exemplar)
        return True

    def _children(
        self, call: SlowCall, target: Target, series: Series, root: SpanContext, shift: int
    ) -> list[ReadableSpan]:
        nesting = nest(call, target.pid, self._same_stack)
        if nesting.doubtful:
            names = {"target": target.service_name, "pid": str(target.pid), "function": series.function}
            self._tally.add(NESTING_DOUBTFUL, len(nesting.doubtful), **names)
        spans: list[ReadableSpan] = []
        contexts: list[SpanContext] = []
        for nested, parent in nesting.children:
            above = root if parent is None else contexts[parent]
            known = self._state.series(nested.series)
            if known is None:
                contexts.append(above)  # what ran inside it hangs on the next span above
                continue
            context = SpanContext(root.trace_id, self._ids.generate_span_id(), False, _SAMPLED)
            contexts.append(context)
            attributes = _identity(known[0], call)
            times = (nested.start_ns + shift, nested.end_ns + shift)
            spans.append(self._span(target, known[0], context, above, times, attributes, None))
        return spans

    def _span(
        self,
        target: Target,
        series: Series,
        context: SpanContext,
        parent: SpanContext | None,
        times: tuple[int, int],
        attributes: dict[str, Any],
        status: Status | None,
    ) -> ReadableSpan:
        return ReadableSpan(
            series.function,
            context,
            parent,
            self._resource(target),
            attributes,
            kind=SpanKind.INTERNAL,
            status=status or Status(StatusCode.UNSET),
            start_time=times[0],
            end_time=times[1],
            instrumentation_scope=_SCOPE,
        )

    def _resource(self, target: Target) -> Resource:
        known = self._resources.get(target.id)
        if known is None:
            if len(self._resources) >= 256:
                self._resources.clear()
            known = self._resources[target.id] = Resource(resource_attributes(target))
        return known


def _stack(lines: Sequence[str]) -> str:
    """The lines, as far as they fit; what is left out is said."""
    length = 0
    for place, line in enumerate(lines):
        length += len(line) + 1
        if length > _MAX_STACK_CHARACTERS:
            return "\n".join([*lines[:place], f"[{len(lines) - place} more frames left out]"])
    return "\n".join(lines)


def _identity(series: Series, call: SlowCall) -> dict[str, Any]:
    return {
        "code.function.name": series.function,
        "jitterbuffer.role": series.role,
        "thread.id": call.thread_id,
        "thread.name": call.thread_name,
    }


def _attributes(series: Series, call: SlowCall) -> dict[str, Any]:
    attributes = _identity(series, call)
    if call.bytes is not None:
        attributes["jitterbuffer.packet.size"] = call.bytes
    if call.return_value is not None:
        attributes["jitterbuffer.return_value"] = call.return_value
    if call.stream is not None:
        attributes["jitterbuffer.stream"] = f"{call.stream:#x}"
    return attributes


def _status(series: Series, call: SlowCall) -> Status | None:
    value = call.return_value
    if value is None or not any(low <= value <= high for low, high in series.error_return):
        return None
    return Status(StatusCode.ERROR, f"returned {value}")
