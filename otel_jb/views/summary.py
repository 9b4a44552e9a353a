# SPDX-License-Identifier: Apache-2.0
"""The summary of a run in a few lines, printed when `otel-jb run` ends.

Values come from the stream of records. Ended processes are added up by name, so a day of short-lived processes takes no more memory
than a minute of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import field

from otel_jb.model.dataclass import dataclass
from otel_jb.model.stream import Series, SeriesSnapshot, Snapshot, StreamRecord, Target, TargetEnded
from otel_jb.model.text import printable
from otel_jb.views.numbers import at_most, at_most_text, count

_FUNCTIONS = 12  #: maximum number of functions listed per program
_PROGRAMS = 8  #: maximum number of programs listed
_NEVER = 6  #: maximum number of functions listed as never called


@dataclass(slots=True)
class _Function:
    """One function, summed over all processes of one name."""

    role: str
    calls: int = 0
    unknown: int = 0  #: calls of unknown duration: abandoned, missed, untimed
    packets: int | None = None
    drops: int | None = None
    bounds_ns: tuple[int, ...] = ()
    buckets: list[int] = field(default_factory=list)

    def add(self, series: Series, values: SeriesSnapshot, bounds_ns: tuple[int, ...]) -> None:
        unknown = values.abandoned + values.missed + values.untimed
        self.calls += values.returned + unknown + values.in_flight
        self.unknown += unknown
        if series.has_packets:
            from otel_jb.telemetry.metrics import packets  # at the end: nobody waits for the first probe any more

            self.packets = (self.packets or 0) + packets(values)
        if series.drop_reasons:
            self.drops = (self.drops or 0) + sum(values.drops)
        if series.has_timing and self.bounds_ns in ((), bounds_ns):
            self.bounds_ns = bounds_ns
            before = self.buckets or [0] * len(values.buckets)
            self.buckets = [old + new for old, new in zip(before, values.buckets, strict=True)]


@dataclass(slots=True)
class _Program:
    """All processes of one name."""

    pids: list[int] = field(default_factory=list)  #: the first few
    processes: int = 0
    functions: dict[str, _Function] = field(default_factory=dict)


class Summary:
    """Accumulates the stream of records and summarises it at the end; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._targets: dict[int, Target] = {}
        self._series: dict[int, Series] = {}
        self._values: dict[int, tuple[SeriesSnapshot, tuple[int, ...]]] = {}
        self._programs: dict[str, _Program] = {}

    def take(self, record: StreamRecord) -> None:
        """Note one record."""
        with self._lock:
            if isinstance(record, Snapshot):
                for values in record.series:
                    if values.series in self._series:
                        self._values[values.series] = (values, record.bounds_ns)
            elif isinstance(record, Target):
                self._targets[record.id] = record
                program = self._programs.setdefault(record.name, _Program())
                program.processes += 1
                if len(program.pids) < 4:
                    program.pids.append(record.pid)
            elif isinstance(record, Series):
                self._series[record.id] = record
            elif isinstance(record, TargetEnded):
                self._fold(record.target)

    def _fold(self, target_id: int) -> None:
        target = self._targets.pop(target_id, None)
        if target is None:
            return
        functions = self._programs[target.name].functions
        for series in [each for each in self._series.values() if each.target == target_id]:
            del self._series[series.id]
            function = functions.setdefault(series.function, _Function(series.role))
            values, bounds_ns = self._values.pop(series.id, (None, ()))
            if values is not None:
                function.add(series, values, bounds_ns)

    def lines(self, seconds: float) -> list[str]:
        """The summary of what was measured in this time. Closes it: later records are ignored."""
        with self._lock:
            for target in list(self._targets):
                self._fold(target)
            if not self._programs:
                return [f"Measured nothing in {_time(seconds)}: no process that could be measured was running."]
            programs = sorted(self._programs.items(), key=lambda item: -_calls(item[1]))
        lines = [f"Measured for {_time(seconds)}:"]
        for name, program in programs[:_PROGRAMS]:
            lines += _program_lines(name, program)
        if len(programs) > _PROGRAMS:
            lines.append(f"and {len(programs) - _PROGRAMS} more programs")
        return lines


def _calls(program: _Program) -> int:
    return sum(function.calls for function in program.functions.values())


def _program_lines(name: str, program: _Program) -> Iterator[str]:
    if program.processes == 1:
        yield f"{printable(name)} (process {program.pids[0]})"
    else:
        more = ", …" if program.processes > len(program.pids) else ""
        yield f"{printable(name)} ({program.processes} processes: {', '.join(map(str, program.pids))}{more})"
    called = [(each, function) for each, function in program.functions.items() if function.calls]
    called.sort(key=lambda item: -item[1].calls)
    rows = [(f"  {printable(each)}", function.role, *_cells(function)) for each, function in called[:_FUNCTIONS]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
        right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        yield "  ".join([*left, *right]).rstrip()
    if len(called) > _FUNCTIONS:
        yield f"  and {len(called) - _FUNCTIONS} more functions"
    never = [printable(each) for each, function in program.functions.items() if not function.calls]
    if never:
        more = f" and {len(never) - _NEVER} more" if len(never) > _NEVER else ""
        yield f"  never called: {', '.join(never[:_NEVER])}{more}"
    unknown = sum(function.unknown for function in program.functions.values())
    if unknown:
        yield f"  {count(unknown)} of these calls were counted but not timed (docs/metrics.md: outcome)"


def _cells(function: _Function) -> Iterator[str]:
    yield f"{count(function.calls)} call{'' if function.calls == 1 else 's'}"
    p99 = at_most(function.buckets, function.bounds_ns, 0.99) if function.buckets else None
    yield f"p99 {at_most_text(p99)}" if p99 is not None else ""
    yield f"{count(function.packets)} packets" if function.packets is not None else ""
    yield f"{count(function.drops)} dropped" if function.drops is not None else ""


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
