# SPDX-License-Identifier: Apache-2.0
"""The last slow calls, kept for the page: a few of each function, with their stacks, the probed calls inside and the packets around them."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from otel_jb.model.dataclass import dataclass
from otel_jb.telemetry.span_names import MAY_YIELD, SHARE

if TYPE_CHECKING:
    from otel_jb.model.stream import PassedPacket
    from otel_jb.telemetry.call_span import CallSpan

OF_A_FUNCTION = 10  #: so that one with many leaves room for the others
IN_ALL = 100


@dataclass(frozen=True, slots=True)
class KeptPacket:
    """An RTP packet that went into the buffer of a slow call, as the trace tells it."""

    after_ns: int  #: since the call began; negative: before it
    ssrc: str  #: eight hexadecimal digits
    sequence_number: int
    rtp_time: int
    order: str  #: in_order, reordered, duplicated, stray
    clock_rate: int | None  #: steps of `rtp_time` in a second
    outcome: str = ""  #: what became of it; empty: it is in the buffer, or its end cannot be seen
    stayed_ns: int | None = None  #: until then


@dataclass(frozen=True, slots=True)
class KeptCall:
    """A slow call, as its trace tells it."""

    number: int  #: in the order of arrival
    series: int
    end_unix_nano: int
    took_ns: int
    thread: str
    stack: str  #: innermost first; empty: none could be read
    trace_id: str  #: 32 hexadecimal digits; empty: no receiver for traces was given it
    inside: tuple[tuple[str, int, int], ...]  #: function, duration, and begin after that of the call, in ns
    packet_bytes: int | None
    failure: str  #: what its return value means; empty: no failure
    packets: tuple[KeptPacket, ...] = ()  #: in the order in which they came
    share_ns: tuple[int, int, int] | None = None  #: ran, waited for a processor, slept; None: not known
    may_yield: bool = False  #: because of coroutines


class KeptCalls:
    """Keeps the latest; thread-safe. A call is kept as its spans until somebody looks: nearly all are gone before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._calls: OrderedDict[int, tuple[int, Sequence[CallSpan], bool]] = OrderedDict()  # as `add` got them
        self._seen: dict[int, KeptCall] = {}  # those that somebody has looked at
        self._of: dict[int, deque[int]] = {}

    def add(self, calls: Sequence[tuple[int, Sequence[CallSpan]]], *, traced: bool) -> None:
        """Keep a row of calls, each by its series and its spans, its own first. `traced`: a receiver gets them."""
        with self._lock:
            later: dict[int, int] = {}
            wanted = []  # a function's last ones: those before would be gone at the end of the row
            for place in range(len(calls) - 1, -1, -1):
                series = calls[place][0]
                later[series] = of_function = later.get(series, 0) + 1
                if of_function <= OF_A_FUNCTION:
                    wanted.append(place)
            for place in reversed(wanted):
                self._add(self._number + 1 + place, *calls[place], traced=traced)
            self._number += len(calls)

    def _add(self, number: int, series: int, spans: Sequence[CallSpan], *, traced: bool) -> None:
        self._calls[number] = (series, spans, traced)
        own = self._of.get(series)
        if own is None:
            own = self._of[series] = deque()
        own.append(number)
        if len(own) > OF_A_FUNCTION:
            self._forget(own[0])
        elif len(self._calls) > IN_ALL:
            self._forget(next(iter(self._calls)))

    def _forget(self, number: int) -> None:
        """The oldest of its function."""
        series = self._calls.pop(number)[0]
        self._seen.pop(number, None)
        own = self._of[series]
        own.popleft()
        if not own:
            del self._of[series]

    def latest(self) -> tuple[KeptCall, ...]:
        """Those that are kept, the oldest first."""
        with self._lock:
            for number, (series, spans, traced) in self._calls.items():
                if number not in self._seen:
                    self._seen[number] = _kept(number, series, spans, traced)
            return tuple([self._seen[number] for number in self._calls])


def _kept(number: int, series: int, spans: Sequence[CallSpan], traced: bool) -> KeptCall:
    root, *inner = spans
    begin, attributes = root.start_time, root.attributes
    size = attributes.get("jitterbuffer.packet.size")
    return KeptCall(
        number=number,
        series=series,
        end_unix_nano=root.end_time,
        took_ns=root.end_time - begin,
        thread=f"{attributes.get('thread.name', '')} ({attributes.get('thread.id', '')})",
        stack=str(attributes.get("code.stacktrace", "")),
        trace_id=f"{root.trace_id:032x}" if traced else "",
        inside=tuple((each.name, each.end_time - each.start_time, each.start_time - begin) for each in inner),
        packet_bytes=size if isinstance(size, int) else None,
        failure=root.error,
        packets=tuple(_packet(each, begin - root.shift) for each in root.packets),
        share_ns=_share(attributes),
        may_yield=bool(attributes.get(MAY_YIELD)),
    )


def _share(attributes: Mapping[str, Any]) -> tuple[int, int, int] | None:
    if any(name not in attributes for name in SHARE):
        return None
    ran, waited, slept = (round(attributes[name] * 1e9) for name in SHARE)
    return ran, waited, slept


def _packet(packet: PassedPacket, begin_ns: int) -> KeptPacket:
    """As a call that began then (monotonic) has it."""
    return KeptPacket(
        after_ns=packet.put_ns - begin_ns,
        ssrc=f"{packet.ssrc:08x}",
        sequence_number=packet.sequence_number,
        rtp_time=packet.rtp_time,
        order=packet.state,
        clock_rate=packet.clock_rate,
        outcome=packet.outcome,
        stayed_ns=None if packet.end_ns is None else packet.end_ns - packet.put_ns,
    )
