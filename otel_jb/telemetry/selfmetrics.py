# SPDX-License-Identifier: Apache-2.0
"""The agent's own metrics: what each instrument observes. `register` makes observable instruments of the SDK of them, for OTLP;
`prometheus.SelfCollector` writes them on /metrics.

Attributes that name a target are `target` (its service.name), `pid` and `function`, as on the targets' metrics.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import otel_jb
from otel_jb.model.instruments import Instrument, Kind
from otel_jb.model.reads import OUT_OF_RANGE
from otel_jb.model.stream import ProbeState, ProbeStatus, Series, SeriesSnapshot, Target
from otel_jb.telemetry import instruments
from otel_jb.telemetry.broken import broken
from otel_jb.telemetry.state import StateView, TargetView
from otel_jb.telemetry.tally import Tally

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter

_DETAIL = re.compile(r"[:;(]|\d")  #: where a reason turns from its kind to its details


class Observation(NamedTuple):
    """A value of an instrument now."""

    value: float
    attributes: Mapping[str, str | int] = {}


_Observations = Iterable[Observation]
#: What each instrument observes now.
Sources = Mapping[Instrument, Callable[[], _Observations]]


def sources(
    view: Callable[[], StateView],
    tally: Tally,
    overhead: Callable[[], Mapping[int, float]] = dict,
    uncounted: Callable[[], int] = int,
    targets: Callable[[], Mapping[tuple[str, str], int]] = dict,
    reader: int | None = None,
) -> Sources:
    """The source of every instrument of `instruments.SELF_INSTRUMENTS`.

    Args:
        view: gives the state.
        tally: counts of the exporters and of the span maker.
        overhead: estimated CPU time spent in probes, as a fraction of one CPU, by `Target.id`.
        uncounted: calls of processes that found no room.
        targets: processes by state and reason.
        reader: the process that measures, where it is not this one.
    """
    return {
        instruments.PROBES: lambda: _probes(view()),
        instruments.READS_FAULTED: lambda: _faults(view(), _faulted),
        instruments.FIELDS_BROKEN: lambda: _faults(view(), broken),
        instruments.EVENTS_EMITTED: lambda: _per_series(view(), lambda values: values.events_emitted),
        instruments.EVENTS_LOST: lambda: _per_series(view(), lambda values: values.events_lost),
        instruments.EVENTS_SUPPRESSED: lambda: _per_series(view(), lambda values: values.events_suppressed),
        instruments.SPANS_DROPPED: lambda: _tally(tally, instruments.SPANS_DROPPED),
        instruments.EXPORT_FAILURES: lambda: _tally(tally, instruments.EXPORT_FAILURES),
        instruments.BUILD_INFO: lambda: [Observation(1, build_info())],
        instruments.CONFIG_RELOADS: lambda: _tally(tally, instruments.CONFIG_RELOADS),
        instruments.EXPORT_REJECTED: lambda: _tally(tally, instruments.EXPORT_REJECTED),
        instruments.TARGETS: lambda: _targets(view(), targets()),
        instruments.CALLS_UNCOUNTED: lambda: [Observation(uncounted())],
        instruments.RECORDER_MEMORY: lambda: [Observation(view().recorder_bytes)],
        instruments.POINTS_LEFT_OUT: lambda: _of_targets(view(), _tally(tally, instruments.POINTS_LEFT_OUT)),
        instruments.NESTING_DOUBTFUL: lambda: _of_targets(view(), _tally(tally, instruments.NESTING_DOUBTFUL)),
        instruments.PROBE_COST: lambda: [
            Observation(cost, {"kind": kind}) for kind, cost in view().cost.seconds_by_kind
        ],
        instruments.PROBE_ATTACHED_TIME: lambda: _per_series(view(), lambda values: values.attached_ns / 1e9),
        instruments.OVERHEAD: lambda: _overhead(view(), overhead()),
        instruments.CPU_TIME: lambda: _cpu_time(reader),
        instruments.MEMORY_USAGE: lambda: [Observation(resident_bytes(reader))],
    }


def register(meter: Meter, observed: Sources) -> None:
    """Create all instruments on the meter, which is of scope `instruments.SELF_SCOPE`."""
    for instrument, source in observed.items():
        _create(meter, instrument, source)


def _targets(view: StateView, counts: Mapping[tuple[str, str], int]) -> _Observations:
    """Without counts, of a replay, those that are measured are known."""
    for (state, reason), count in (counts or {("measured", ""): len(view.live)}).items():
        yield Observation(count, {"state": state, "reason": reason})


def build_info() -> dict[str, str]:
    """Versions of the running software; `revision` if the image defines it."""
    versions = {"version": otel_jb.__version__, "python": platform.python_version(), "kernel": platform.release()}
    revision = os.environ.get("OTEL_JB_REVISION")
    return {**versions, "revision": revision} if revision else versions


def _create(meter: Meter, instrument: Instrument, source: Callable[[], _Observations]) -> None:
    from opentelemetry.metrics import Observation as SdkObservation

    def callback(_: CallbackOptions) -> Iterator[SdkObservation]:
        return (SdkObservation(each.value, dict(each.attributes)) for each in source())

    create = {
        Kind.COUNTER: meter.create_observable_counter,
        Kind.UP_DOWN_COUNTER: meter.create_observable_up_down_counter,
        Kind.GAUGE: meter.create_observable_gauge,
    }[instrument.kind]
    create(instrument.name, [callback], instrument.unit, instrument.description)


def _probes(view: StateView) -> Iterator[Observation]:
    counts: dict[tuple[ProbeState, str, str], int] = {}
    for target in view.live:
        for probe in target.probes:
            key = (probe.state, _category(probe), probe.strategy)
            counts[key] = counts.get(key, 0) + 1
    for (state, reason, strategy), count in counts.items():
        yield Observation(count, {"state": state.value, "reason": reason, "strategy": strategy})


def _category(probe: ProbeStatus) -> str:
    """The kind of reason, without the function's own numbers and names, which would make ever more label values.

    Why a probe is attached as it is, `discover` says; its strategy is a label.
    """
    return "" if probe.state is ProbeState.ATTACHED else _DETAIL.split(probe.reason, 1)[0].strip()


def _identity(target: Target, series: Series) -> dict[str, str]:
    return {"target": target.service_name, "pid": str(target.pid), "function": series.function}


def _sum(pairs: Iterable[tuple[dict[str, str], float]]) -> Iterator[Observation]:
    # Two probes may bear one name (see metrics.target_metrics).
    totals: dict[tuple[tuple[str, str], ...], float] = {}
    for attributes, value in pairs:
        key = tuple(attributes.items())
        totals[key] = totals.get(key, 0) + value
    for key, value in totals.items():
        yield Observation(value, dict(key))


def _per_series(view: StateView, value: Callable[..., float]) -> Iterator[Observation]:
    return _sum((_identity(one.target, s.series), value(s.values)) for one in view.targets for s in one.series)


def _faulted(series: Series, values: SeriesSnapshot) -> dict[str, int]:
    counts = zip(series.fields, values.faults, strict=False)
    return {name: count for name, count in counts if not name.endswith(OUT_OF_RANGE)}


def _faults(view: StateView, by_field: Callable[[Series, SeriesSnapshot], dict[str, int]]) -> Iterator[Observation]:
    def pairs(target: TargetView) -> Iterator[tuple[dict[str, str], float]]:
        for one in target.series:
            for name, count in by_field(one.series, one.values).items():
                yield {**_identity(target.target, one.series), "field": name}, count

    return _sum(pair for target in view.targets for pair in pairs(target))


def _overhead(view: StateView, by_target: Mapping[int, float]) -> Iterator[Observation]:
    for one in view.live:
        if one.target.id in by_target:
            attributes = {"target": one.target.service_name, "pid": str(one.target.pid)}
            yield Observation(by_target[one.target.id], attributes)


def _tally(tally: Tally, instrument: Instrument) -> Iterator[Observation]:
    for attributes, count in tally.read(instrument):
        yield Observation(count, dict(attributes))


def _of_targets(view: StateView, observations: Iterable[Observation]) -> Iterator[Observation]:
    """Those about processes that are measured or still retained: a counter about one that ended ends with it."""
    pids = {str(one.target.pid) for one in view.targets}
    for each in observations:
        if each.attributes.get("pid") in (None, *pids):
            yield each


def _cpu_time(reader: int | None) -> Iterator[Observation]:
    """Of this process and the reader. /proc shows everyone the times and the memory of any process."""
    times = os.times()
    user, system = times.user, times.system
    if reader is not None and (fields := _proc(reader, "stat").rpartition(b")")[2].split()):
        tick = os.sysconf("SC_CLK_TCK")
        user, system = user + int(fields[11]) / tick, system + int(fields[12]) / tick
    yield Observation(user, {"cpu.mode": "user"})
    yield Observation(system, {"cpu.mode": "system"})


def resident_bytes(reader: int | None = None) -> int:
    """Resident memory of this process and the reader; pages that both share count twice."""
    pages = int(_proc(os.getpid(), "statm").split()[1])
    if reader is not None and (fields := _proc(reader, "statm").split()):
        pages += int(fields[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _proc(pid: int, name: str) -> bytes:
    """A file of a process in /proc; empty where it is gone or hidden (hidepid)."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""
