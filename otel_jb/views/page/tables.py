# SPDX-License-Identifier: Apache-2.0
"""What the page shows, as tables of plain values: a row per process, function, stream and probe, by a key that stays.

The rows are those of `otel-jb top` (`otel_jb.views.rows`), so the page, the terminal and `/metrics` show the same numbers. Texts that a
target controls were made printable when the records were created; the browser only ever sets them as text.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any

import otel_jb
from otel_jb.diagnosis.verdict import Verdict
from otel_jb.model.dataclass import dataclass
from otel_jb.model.stream import ProbeStatus
from otel_jb.telemetry.kept_calls import KeptCall
from otel_jb.telemetry.state import SeriesView, StateView, StreamState, TargetView
from otel_jb.views.page.timeline import timeline
from otel_jb.views.rows import LiveTable, ProcessRow, Row, StreamRow

#: A value of a cell. Numbers beyond what a browser counts exactly are texts.
Value = Any
Table = dict[str, list[Value]]

_JUDGED_EVERY_S = 5.0
_JUDGED_AT_ONCE = 10  #: a verdict takes two milliseconds, so processes beyond this number take turns
_EXACT = 1 << 53  #: a browser's numbers are exact up to here
_MOST_FINDINGS = 10  #: of one process, the strongest
OVER = -1  #: in place of a bound: beyond the last one


@dataclass(frozen=True, slots=True)
class Facts:
    """What the agent knows beside the stream of records; each is asked for whenever the page is renewed.

    Attributes:
        overhead: estimated CPU time spent in probes by `Target.id`, as a fraction of one CPU.
        targets: processes by state (measured, unmeasurable, ignored) and reason.
        unmeasured: (pid, name, kind, reason) of processes that somebody expects to be measured, and of which nothing can be.
        uncounted: calls of processes that found no room.
        slow_calls: the latest ones that are kept, the oldest first.
    """

    overhead: Callable[[], Mapping[int, float]] = dict
    targets: Callable[[], Mapping[tuple[str, str], int]] = dict
    unmeasured: Callable[[], Iterable[tuple[int, str, str, str]]] = tuple
    uncounted: Callable[[], int] = int
    slow_calls: Callable[[], Iterable[KeptCall]] = tuple


@dataclass(frozen=True, slots=True)
class Tables:
    """The page's content at one moment.

    Attributes:
        head: single values.
        tables: rows by table and key.
        buckets: cumulative calls by bucket of each timed function, by its key.
    """

    head: dict[str, Value]
    tables: dict[str, Table]
    buckets: dict[str, tuple[int, ...]] = field(default_factory=dict)


class Content:
    """Makes the tables; one thread uses it.

    Args:
        state: the accumulated state of the agent's stream.
        facts: what else the agent knows.
        head: single values that never change: the host's name, the template of links to traces.
        now: monotonic seconds.
    """

    def __init__(
        self,
        state: StreamState,
        facts: Facts,
        head: Mapping[str, Value],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._live = LiveTable(state, now=now)
        self._facts = facts
        self._head = dict(head)
        self._now = now
        self._state = state
        self._judged_at: dict[int, float] = {}
        self._verdicts: Table = {}
        self._stacks: dict[str, str] = {}  # a number for each text: many calls share one
        self._probes: dict[int, tuple[tuple[ProbeStatus, ...], Table]] = {}

    def tables(self) -> Tables:
        """The tables now."""
        view, picture = self._live.reading()
        self._judge(view)
        overhead = self._facts.overhead()
        functions: Table = {}
        known: Table = {}
        streams: Table = {}
        buckets: dict[str, tuple[int, ...]] = {}
        rows, stream_rows = iter(picture.functions), iter(picture.streams)
        for target in view.targets:
            for each in target.series:
                key = str(each.series.id)
                functions[key] = _function(next(rows), each)
                known[key] = _known(target, each)
                if each.series.has_timing:
                    buckets[key] = each.values.buckets
                for rtp in each.rtp:
                    streams[f"{key}/{rtp.stream}"] = _stream(next(stream_rows), target, each, rtp.ssrc)
        processes = {
            str(target.target.id): _process(row, target, overhead.get(target.target.id))
            for target, row in zip(view.targets, picture.processes, strict=True)
        }
        bounds = next((each.bounds_ns for target in view.targets for each in target.series), ())
        return Tables(
            {**self._head, **self._single(view), "bounds_ns": bounds},
            {
                "processes": processes,
                "functions": functions,
                "known": known,
                "streams": streams,
                "probes": self._of_probes(view),
                "verdicts": self._verdicts,
                **self._slow(),
            },
            buckets,
        )

    def _slow(self) -> dict[str, Table]:
        """Slow calls, and the texts of their stacks."""
        kept = list(self._facts.slow_calls())
        known = {each.stack for each in kept}
        self._stacks = {text: number for text, number in self._stacks.items() if text in known}
        for text in known:
            if text not in self._stacks:
                self._stacked += 1
                self._stacks[text] = str(self._stacked)
        return {
            "slow": {str(each.number): _slow_call(each, self._stacks[each.stack]) for each in kept},
            "stacks": {number: [text] for text, number in self._stacks.items()},
        }

    _stacked = 0

    def _judge(self, view: StateView) -> None:
        """Renew the verdicts that are due, the oldest first."""
        now = self._now()
        at = {each.target.id: self._judged_at.get(each.target.id, -math.inf) for each in view.live}
        due = sorted((number for number in at if now - at[number] >= _JUDGED_EVERY_S), key=lambda number: at[number])
        rows = {key: row for key, row in self._verdicts.items() if int(key) in at}
        for number in due[:_JUDGED_AT_ONCE]:
            at[number] = now
            verdict = self._state.verdict(number)
            if verdict is not None:
                rows[str(number)] = _verdict(verdict)
        self._judged_at, self._verdicts = at, rows

    def _single(self, view: StateView) -> dict[str, Value]:
        return {
            "version": otel_jb.__version__,
            "read_ms": None if view.snapshot_unix_nano is None else view.snapshot_unix_nano // 1_000_000,
            "slow_calls": view.slow_calls,
            "uncounted": _whole(self._facts.uncounted()),
            "costs": [[kind, seconds] for kind, seconds in view.cost.seconds_by_kind],
            "counts": [[state, reason, count] for (state, reason), count in self._facts.targets().items()],
            "unmeasured": [list(each) for each in self._facts.unmeasured()],
        }

    def _of_probes(self, view: StateView) -> Table:
        """The rows of each target's probes, kept as long as they are the same records."""
        old, self._probes = self._probes, {}
        table: Table = {}
        for target in view.targets:
            number = target.target.id
            kept = old.get(number)
            if kept is None or kept[0] != target.probes:
                rows = {f"{number}/{each.function}/{each.file}": _probe(number, each) for each in target.probes}
                kept = (target.probes, rows)
            self._probes[number] = kept
            table.update(kept[1])
        return table


def _function(row: Row, view: SeriesView) -> list[Value]:
    values = view.values
    return [
        _whole(row.calls),
        _rate(row.calls_per_second),
        _bound(row.p50_at_most_ns),
        _bound(row.p99_at_most_ns),
        _rate(row.bytes_per_second),
        _whole(row.packets),
        _whole(row.drops),
        _whole(row.depth),
        [[reason, _whole(count)] for reason, count in row.drops_by_reason],
        [_whole(each) for each in (values.returned, values.abandoned, values.missed, values.untimed)],
        _whole(values.sum_ns),
        _whole(values.bytes) if view.series.has_bytes else None,
        _whole(values.slow),
        _whole(values.events_lost + values.events_suppressed),
        int(row.ended),
        [[name, unit.strip("{}"), value] for name, unit, value in row.added],
    ]


def _known(target: TargetView, view: SeriesView) -> list[Value]:
    series = view.series
    absent = [
        name
        for name, has in (
            ("time of a call", series.has_timing),
            ("packets", series.has_packets),
            ("bytes", series.has_bytes),
            ("packets held", series.has_depth),
            ("drops", bool(series.drop_reasons)),
            ("RTP", series.has_rtp),
        )
        if not has
    ]
    return [
        target.target.id,
        series.function,
        series.role,
        int(series.primary),
        series.profile,
        series.strategy,
        series.reason,
        series.file,
        absent,
    ]


def _stream(row: StreamRow, target: TargetView, view: SeriesView, ssrc: int | None) -> list[Value]:
    return [
        target.target.id,
        view.series.id,
        row.stream,
        None if ssrc is None else f"{ssrc:08x}",
        _whole(row.packets),
        _rate(row.packets_per_second),
        _rate(row.bytes_per_second),
        _whole(row.lost),
        _whole(row.reordered),
        _whole(row.duplicated),
        _whole(row.jitter_ns),
        int(row.ended),
    ]


def _process(row: ProcessRow, target: TargetView, overhead: float | None) -> list[Value]:
    return [
        row.process,
        row.pid,
        row.functions,
        _whole(row.calls),
        _rate(row.calls_per_second),
        _share(row.cpu),
        _share(row.waited),
        _share(row.throttled),
        _whole(row.udp_drops),
        _share(overhead),
        target.target.service_name,
        target.target.executable,
        target.target.attached_unix_nano // 1_000_000,
        int(row.ended),
    ]


def _slow_call(call: KeptCall, stack: str) -> list[Value]:
    return [
        call.series,
        call.end_unix_nano // 1_000_000,
        call.took_ns,
        call.thread,
        stack,
        call.trace_id,
        [list(each) for each in call.inside],
        _whole(call.packet_bytes),
        call.failure,
        *_packets(call),
        None if call.share_ns is None else list(call.share_ns),
        int(call.may_yield),
    ]


def _packets(call: KeptCall) -> tuple[list[Value], list[Value]]:
    """The packets around a call, and the gaps between their numbers."""
    found = timeline(call.packets)
    rows = [
        [
            each.line,
            each.packet.after_ns,
            each.packet.sequence_number,
            each.packet.rtp_time,
            each.packet.ssrc,
            each.packet.order,
            each.late_ns,
            each.packet.outcome,
            each.packet.stayed_ns,
        ]
        for each in found.placed
    ]
    return rows, [list(each) for each in found.missing]


def _probe(target: int, probe: ProbeStatus) -> list[Value]:
    return [
        target,
        probe.function,
        probe.state.value,
        probe.strategy,
        probe.reason,
        probe.profile,
        probe.file,
        probe.series,
    ]


def _verdict(verdict: Verdict) -> list[Value]:
    findings = [
        [
            finding.sentence,
            finding.reading.measure.culprit.value,
            finding.reading.measure.shown(finding.reading.measure.limit),
            finding.since_unix_nano // 1_000_000,
            finding.reading.stream,
        ]
        for finding in verdict.findings[:_MOST_FINDINGS]
    ]
    culprit = verdict.culprit
    return [
        None if culprit is None else culprit.value,
        findings,
        list(verdict.missing),
        round(verdict.seconds),
        len(verdict.findings) - len(findings),
    ]


def _whole(value: int | None) -> Value:
    return value if value is None or -_EXACT < value < _EXACT else str(value)


def _rate(value: float | None) -> float | None:
    """Two digits after the point: more would change with every reading and say nothing."""
    return None if value is None else round(value, 2)


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _bound(value: float | None) -> Value:
    return None if value is None else OVER if math.isinf(value) else round(value)
