# SPDX-License-Identifier: Apache-2.0
"""Who is at fault: the network, the host or the server, by what was measured; and what was not, where that does not suffice.

A measure over its limit accuses somebody, unless another one explains it: packets that the kernel dropped at the server's own socket
were not lost by the network, and a server that waits for a CPU is slow through no fault of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from otel_jb.diagnosis import limits
from otel_jb.diagnosis.history import History, Span, Stream
from otel_jb.diagnosis.limits import Culprit, Measure
from otel_jb.model.dataclass import dataclass
from otel_jb.model.stream import Series

OTHER = "_other"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one measure said of a target or a stream."""

    measure: Measure
    stream: str | None
    value: float
    about: int  #: packets or calls

    @property
    def exceeds(self) -> bool:
        """Whether it is evidence."""
        return self.value >= self.measure.limit and self.about >= self.measure.least

    @property
    def severity(self) -> float:
        """How many times the limit it is."""
        return self.value / self.measure.limit


@dataclass(frozen=True, slots=True)
class Finding:
    """Evidence against somebody."""

    reading: Reading
    since_unix_nano: int
    more: str = ""  #: what else is known of it, a part of the sentence

    @property
    def sentence(self) -> str:
        """For people."""
        reading = self.reading
        who = reading.stream if reading.stream is not None else "the server"
        return f"{who} {reading.measure.says.format(value=reading.measure.shown(reading.value))}{self.more}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one target. `findings`: the strongest first; none: nothing is over a limit."""

    target: int
    readings: tuple[Reading, ...]
    findings: tuple[Finding, ...]
    missing: tuple[str, ...]
    seconds: float  #: how long it was looked at

    @property
    def culprit(self) -> Culprit | None:
        """Who is accused by the strongest evidence."""
        return self.findings[0].reading.measure.culprit if self.findings else None


def judge(history: History, target: int, stream: str | None = None, *, silence: bool = True) -> Verdict:
    """The verdict on a target's window, or on one of its streams.

    `silence`: a stream that stopped is evidence. It is for somebody who asks why nothing comes; by itself it is how every call ends.
    """
    whole = history.whole(target)
    missing = tuple(_missing(history, target, whole, stream))
    if whole is None or whole.seconds <= 0:
        return Verdict(target, (), (), missing, 0.0)
    steps = history.steps(target)
    readings = tuple(_readings(whole, steps, stream))
    over = [reading for reading in readings if reading.exceeds and (silence or reading.measure is not limits.SILENCE)]
    accused = _unexplained(over, whole)
    findings = [Finding(reading, _since(reading, steps, whole), _more(reading, history, target)) for reading in accused]
    findings.sort(key=lambda finding: -finding.reading.severity)
    return Verdict(target, readings, tuple(findings), missing, whole.seconds)


def _more(reading: Reading, history: History, target: int) -> str:
    """What slow calls spent most of their time on; how many of the lost packets came after all."""
    if reading.measure is limits.LOSS:
        whole = history.whole(target)
        stream = whole.streams.get(reading.stream or "") if whole is not None else None
        repaired = _repaired(whole, stream) if whole is not None and stream is not None else 0
        return (
            f"; {repaired / reading.about:.0%} of them came after all, late or sent again".replace("%", " %")
            if repaired
            else ""
        )
    if reading.measure is not limits.SLOW_CALLS:
        return ""
    spent = history.slow_time(target)
    parts = {"it ran": spent.cpu_ns, "it waited for a CPU": spent.run_delay_ns, "it was blocked": spent.blocked_ns}
    what, most_ns = max(parts.items(), key=lambda part: part[1])
    whole_ns = sum(parts.values())
    if spent.calls < limits.SLOW_CALLS.least or not whole_ns:
        return ""
    return f"; {most_ns / whole_ns:.0%} of that time {what}".replace("%", " %")


def accused(history: History, target: int) -> tuple[tuple[Culprit, str | None], ...]:
    """Who is accused now, and for which stream (None: the whole target), each once, by the strongest evidence first.

    Silence accuses nobody here. It is made for the metric: without the steps of the window it costs a tenth of `judge`.
    """
    whole = history.whole(target) if history.sampled_ns(target) is not None else None
    if whole is None or whole.seconds <= 0:
        return ()
    readings = [*_readings(whole, [], None), Reading(limits.STALLED, None, history.stalled(target), 0)]
    found = _unexplained([reading for reading in readings if reading.exceeds], whole)
    found.sort(key=lambda reading: -reading.severity)
    return tuple(dict.fromkeys((reading.measure.culprit, reading.stream) for reading in found))


def _readings(span: Span, steps: list[Span], only: str | None) -> Iterable[Reading]:
    for name, stream in span.streams.items():
        if name != OTHER and only in (None, name):
            yield from _of_stream(name, stream, steps, _repaired(span, stream))
    if span.run_delay_s is not None:
        yield Reading(limits.RUN_DELAY, None, _waited_s(span, span.run_delay_s) / span.share_seconds, 0)
    if span.throttled_s is not None:
        yield Reading(limits.THROTTLED, None, span.throttled_s / span.share_seconds, 0)
    arrived = _arrived(span)
    yield Reading(limits.SOCKET_DROPS, None, _share(span.socket_drops, arrived), span.socket_drops)
    unread_s = _unread_s(span)
    if unread_s is not None:
        yield Reading(limits.UNREAD, None, unread_s, arrived)
    if steps:
        stalled = sum(step.seconds for step in steps if step.stalled)
        yield Reading(limits.STALLED, None, stalled / sum(step.seconds for step in steps), 0)
    yield Reading(limits.SLOW_CALLS, None, _share(span.slow_calls, span.calls), span.slow_calls)
    yield Reading(limits.REFUSED, None, _share(span.refused, span.packets), span.refused)


def _of_stream(name: str, stream: Stream, steps: list[Span], repaired: int) -> Iterable[Reading]:
    """`repaired`: packets that were lost and came when they were asked for again, all that came out of order, or none."""
    came = stream.received - stream.duplicated
    lost = max(0, stream.lost)
    yield Reading(limits.LOSS, name, _share(lost + repaired, came + lost), lost + repaired)
    yield Reading(limits.REORDERING, name, _share(stream.reordered - repaired, came), stream.reordered - repaired)
    yield Reading(limits.DUPLICATION, name, _share(stream.duplicated, came), stream.duplicated)
    if stream.jitter_s is not None:
        yield Reading(limits.JITTER, name, stream.jitter_s, stream.received)
    if not steps:
        return
    silent = 0.0
    for step in reversed(steps):
        of_step = step.streams.get(name)
        if of_step is None or of_step.received or not of_step.watched:
            break
        silent += step.seconds
    yield Reading(limits.SILENCE, name, silent / sum(step.seconds for step in steps), stream.received)


def _repaired(span: Span, stream: Stream) -> int:
    """Of the packets of a stream that came out of order, those that had been lost: all, if the server asked for most of what came so.

    It asks for none that is merely overtaken by a few others: SRS waits 10 ms. Who came and who was asked for is known of the server as a whole.
    """
    reordered = sum(each.reordered for each in span.streams.values())
    return stream.reordered if span.requested and span.requested >= limits.MOST_OF_IT * reordered else 0


def _waited_s(span: Span, run_delay_s: float) -> float:
    """How long the server's threads waited for a CPU, if that was long beside what they ran, and long enough at a time to hurt; otherwise 0."""
    if run_delay_s < limits.BUSY_SHARE * (span.cpu_s or 0.0):
        return 0.0
    if span.timeslices is None or run_delay_s >= limits.MUCH_WAITING * span.share_seconds:
        return run_delay_s
    return run_delay_s if run_delay_s >= limits.LONG_WAIT_S * span.timeslices else 0.0


def _share(part: int, whole: int) -> float:
    return max(0, part) / whole if whole > 0 else 0.0


def _unexplained(readings: list[Reading], span: Span) -> list[Reading]:
    """The readings that no other one explains."""
    host_is_busy = any(reading.measure.culprit is Culprit.HOST for reading in readings)
    stalled = any(reading.measure is limits.STALLED for reading in readings)
    unread = any(reading.measure is limits.UNREAD for reading in readings)
    lost, reordered = span.lost_by_share, span.reordered_by_share
    if lost is None or reordered is None:
        lost = sum(max(0, stream.lost) for stream in span.streams.values())
        reordered = sum(stream.reordered for stream in span.streams.values())
    # What the kernel dropped at the socket was seen as lost by the sequence numbers or, where it was sent again on request, as out of order.
    # Drops are read at moments of their own: what was lost since then accuses nobody yet.
    dropped_here = span.socket_drops >= limits.MOST_OF_IT * lost
    sent_again = span.socket_drops >= limits.MOST_OF_IT * (lost + reordered)
    repaired = any(_repaired(span, stream) for stream in span.streams.values())
    explained: dict[Measure, bool] = {
        limits.LOSS: sent_again if repaired else dropped_here,
        limits.REORDERING: sent_again,
        limits.JITTER: host_is_busy or unread,
        limits.SILENCE: host_is_busy or stalled,
        limits.SOCKET_DROPS: host_is_busy,
        limits.UNREAD: host_is_busy,
        limits.STALLED: host_is_busy,
        limits.SLOW_CALLS: host_is_busy,
        limits.REFUSED: host_is_busy,
    }
    return [
        reading for reading in readings if not explained.get(reading.measure, False) and not _is_early(reading, span)
    ]


def _is_early(reading: Reading, span: Span) -> bool:
    """Whether it is jitter that began after the server's sockets were last looked at: perhaps the packets only waited there."""
    if reading.measure is not limits.JITTER or span.jitter_by_share is None:
        return False
    then = span.jitter_by_share.get(reading.stream or "") or 0.0
    if then >= reading.measure.limit:
        return False
    # Jitter that grows: most of it was there when they were looked at, and hardly anything waited.
    waited_s = _unread_s(span)
    seen = then >= limits.MOST_OF_IT * reading.measure.limit
    return not (seen and waited_s is not None and waited_s < limits.MOST_OF_IT * limits.UNREAD.limit)


def _arrived(span: Span) -> int:
    """Packets that came to the server's sockets."""
    return max(sum(stream.received for stream in span.streams.values()), span.packets) + span.socket_drops


def _unread_s(span: Span) -> float | None:
    """How long packets waited in the sockets, on average, by Little's law; None: nobody looked, or none came."""
    arrived = _arrived(span)
    return span.unread / (arrived / span.seconds) if span.unread is not None and arrived else None


def _since(reading: Reading, steps: list[Span], whole: Span) -> int:
    """When what is now over the limit got there."""
    since = steps[-1].begin_unix_nano if steps else whole.begin_unix_nano
    for step in reversed(steps):
        values = [
            each.value
            for each in _readings(step, [step], reading.stream)
            if each.measure is reading.measure and each.stream == reading.stream
        ]
        if not values or values[0] < reading.measure.limit:
            break
        since = step.begin_unix_nano
    return since


def _missing(history: History, target: int, span: Span | None, stream: str | None) -> Iterable[str]:
    functions = history.functions(target)
    if span is None:
        yield "nothing was measured yet: look longer (--for)"
        return
    if not any(each.has_rtp for each in functions):
        yield "no RTP headers are read in this server, so loss and jitter are not known"
    elif stream is not None and stream not in span.streams:
        known = ", ".join(name for name in span.streams if name != OTHER)
        yield f"no stream {stream} was seen; seen: {known or 'none'}"
    elif not any(each.received for each in span.streams.values()):
        yield "no RTP packet came while it was looked at"
    elif all(each.jitter_s is None for each in span.streams.values()):
        yield "no clock rate is known, so there is no jitter (--sdp, --clock-rate)"
    if not history.has_share(target):
        yield "the host's share was not read"
    elif span.run_delay_s is None:
        yield "the kernel does not say how long the server waited for a CPU"
    if not _any(functions, lambda each: each.has_timing and each.primary and each.role in limits.PACKET_ROLES):
        yield "no function that handles packets is timed, so how slow the server is is not known"


def _any(functions: Iterable[Series], holds: Callable[[Series], bool]) -> bool:
    return any(holds(each) for each in functions)
