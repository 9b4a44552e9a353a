# SPDX-License-Identifier: Apache-2.0
"""A made-up pair of media servers whose calls a test decides, behind the agent's real telemetry: OTLP and /metrics.

For what has to be exact and quick where the subject is Collector, Prometheus or Jaeger; the kernel's side has tests of its own.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext, TraceFlags

from otel_jb.config.environment import read
from otel_jb.model.added import ADDED
from otel_jb.model.stream import (
    AgentCost,
    DepthSnapshot,
    HostShare,
    ProbeState,
    ProbeStatus,
    ResidenceSnapshot,
    RtpSnapshot,
    Series,
    Snapshot,
    StreamRecord,
    Target,
    TargetEnded,
)
from otel_jb.telemetry.endpoint import Endpoint, SharedRefresh, standard_pages
from otel_jb.telemetry.histogram import DEFAULT_BOUNDS_NS
from otel_jb.telemetry.metrics import Exemplar, resource_attributes
from otel_jb.telemetry.pipeline import Telemetry
from otel_jb.telemetry.state import StreamState
from tests.telemetry_samples import FFMPEG, SRS, series, snapshot_of

MILLISECOND = 1_000_000


@dataclass
class World:
    """Two targets, four functions; calls are given by `call`, and seen after `step`."""

    state: StreamState
    telemetry: Telemetry
    metrics_address: str  #: HOST:PORT of /metrics
    spans: OTLPSpanExporter | None
    ffmpeg: Target
    srs: Target
    functions: dict[str, Series]
    durations: dict[int, list[int]] = field(default_factory=dict)
    fresh: dict[int, list[int]] = field(default_factory=dict)
    exemplars: dict[int, list[Exemplar]] = field(default_factory=dict)
    trace_ids: list[str] = field(default_factory=list)
    packets_held: int = 0
    streams: bool = False  #: whether there are RTP streams and the host's share too
    steps: int = 0
    counted: dict[str, dict[str, int]] = field(default_factory=dict)  #: by function: values of its next snapshots
    overhead: dict[int, float] = field(default_factory=dict)  #: by target: the share of a CPU that its probes take

    def call(self, function: str, *durations_ns: int) -> None:
        """Calls that return now."""
        one = self.functions[function]
        self.durations.setdefault(one.id, []).extend(durations_ns)
        self.fresh.setdefault(one.id, []).extend(durations_ns)

    def slow_call(self, function: str, duration_ns: int) -> str:
        """A call with a span that the Collector has accepted, and its exemplar; returns the trace id in hex."""
        assert self.spans is not None, "this world sends nowhere"
        self.call(function, duration_ns)
        one = self.functions[function]
        target = self.ffmpeg if one.target == self.ffmpeg.id else self.srs
        trace_id, span_id, now = secrets.randbits(128) | 1, secrets.randbits(64) | 1, time.time_ns()
        span = ReadableSpan(
            name=function,
            context=SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)),
            resource=Resource(resource_attributes(target)),
            attributes={"code.function.name": function, "jitterbuffer.role": one.role, "thread.id": 77},
            start_time=now - duration_ns,
            end_time=now,
        )
        assert self.spans.export([span]) is SpanExportResult.SUCCESS
        self.exemplars.setdefault(one.id, []).append(Exemplar(duration_ns, now, trace_id, span_id, 77))
        self.trace_ids.append(f"{trace_id:032x}")
        return self.trace_ids[-1]

    def step(self) -> None:
        """The kernel is read: everything called so far is on /metrics, and in the next export."""
        now = time.time_ns()
        taken = []
        for one in self.functions.values():
            all_durations = self.durations.get(one.id, [])
            count = len(all_durations)
            values = snapshot_of(one, all_durations, attached_ns=now - self.srs.attached_unix_nano)
            last = snapshot_of(one, self.fresh.get(one.id, [])).interval
            drops = tuple(count // (20 * (1 + n)) for n in range(len(one.drop_reasons)))
            slow = sum(duration > 10 * MILLISECOND for duration in all_durations)
            taken.append(
                replace(
                    replace(
                        values,
                        interval=last,
                        drops=drops,
                        duplicates=count // 50,
                        counts=(("underruns", count // 10),) if one.has_underruns else (),
                        added=tuple(count * (1 + n) for n in range(len(one.adds))),
                        means=(("target_delay", 60.0),) if one.adds else (),
                        slow=slow,
                        events_emitted=slow,
                    ),
                    **self.counted.get(one.function, {}),  # type: ignore[arg-type]
                )
            )
        self.fresh.clear()
        parse = self.functions["ff_rtp_parse_packet"].id
        depth = DepthSnapshot(self.ffmpeg.id, parse, self.packets_held, 2, 9)
        self.steps += 1
        rtp = self._rtp(parse) if self.streams else ()
        snapshot = Snapshot(now, time.monotonic_ns(), DEFAULT_BOUNDS_NS, tuple(taken), (depth,), 10**9, rtp)
        if self.streams:
            got = self.functions["SrsRtpJitterBuffer::get"].id
            stayed = ResidenceSnapshot(
                self.srs.id, got, 9 * self.steps * 40 * MILLISECOND, self._of_40_ms(9), (("unseen", self.steps),)
            )
            snapshot = replace(snapshot, gap_bounds_ns=DEFAULT_BOUNDS_NS, residences=(stayed,))
        self.state.apply(snapshot)
        for target in (self.ffmpeg, self.srs) if self.streams else ():
            n = self.steps * MILLISECOND
            dropped = ((5004, self.steps),)
            self.state.apply(HostShare(target.id, now, 100 * n, 20 * n, 3 * n, dropped, ((5004, 4096),)))

    def _rtp(self, series_id: int) -> tuple[RtpSnapshot, ...]:
        """One stream of which a tenth is lost, and some packets are late or come twice."""
        n, since = self.steps, self.ffmpeg.attached_unix_nano
        stream = RtpSnapshot(series_id, "live/cam0", 7, since, 90 * n, 90_000 * n, 10 * n, n, n, 0, 40 * MILLISECOND)
        return (replace(stream, gaps_ns=89 * n * 40 * MILLISECOND, gaps=self._of_40_ms(89)),)

    def _of_40_ms(self, each_step: int) -> tuple[int, ...]:
        """Buckets of a histogram that has gained this many values of 40 ms with each step."""
        counts = [0] * (len(DEFAULT_BOUNDS_NS) + 1)
        counts[bisect_left(DEFAULT_BOUNDS_NS, 40 * MILLISECOND)] = each_step * self.steps
        return tuple(counts)

    def end(self, target: Target) -> None:
        """The process is gone."""
        self.state.apply(TargetEnded(target.id, time.time_ns()))


@contextlib.contextmanager
def world(
    otlp: str | None = None,
    environment: Mapping[str, str] | None = None,
    retain: float = 60.0,
    *,
    streams: bool = False,
) -> Iterator[World]:
    """A world whose telemetry runs.

    Args:
        otlp: HOST:PORT for OTLP over gRPC; None: /metrics only.
        environment: further OTEL_* variables.
        retain: seconds for which an ended target's values are kept.
        streams: whether there are RTP streams and the host's share too.
    """
    variables = {"OTEL_METRIC_EXPORT_INTERVAL": "500", **(environment or {})}
    if otlp is not None:
        variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{otlp}"
    now = time.time_ns()
    ffmpeg = replace(FFMPEG, start_time_unix_nano=now - 10**9, attached_unix_nano=now)
    srs = replace(SRS, start_time_unix_nano=now - 10**9, attached_unix_nano=now)
    functions = {
        one.function: one
        for one in (
            series(
                1,
                ffmpeg,
                "ff_rtp_parse_packet",
                "parse",
                has_depth=True,
                drop_reasons=("error",),
                fields=("queue_len",),
                has_rtp=streams,
            ),
            series(2, srs, "SrsRtpJitterBuffer::put", drop_reasons=("late", "full"), has_duplicates=True),
            series(
                3, srs, "SrsRtpJitterBuffer::get", "get", has_bytes=False, has_residence=streams, has_underruns=True
            ),
            series(4, srs, "SrsRtpPacket::decode", "decode", adds=tuple(ADDED) if streams else ()),
        )
    }
    state = StreamState(retain_seconds=retain)
    exemplars: dict[int, list[Exemplar]] = {}
    overhead = {ffmpeg.id: 0.004, srs.id: 0.031}
    telemetry = Telemetry(
        state,
        read(variables),
        interval_seconds=0.5,
        overhead=lambda: overhead,
        exemplars=lambda number: exemplars.get(number, []),
    )
    telemetry.start()
    assert telemetry.page is not None
    refresh = SharedRefresh(lambda: None, 0)
    endpoint = Endpoint("127.0.0.1", 0, standard_pages(telemetry.page.render, refresh, lambda: (True, "")))
    endpoint.start()
    spans = OTLPSpanExporter(f"http://{otlp}", insecure=True, timeout=10) if otlp else None
    made = World(
        state,
        telemetry,
        endpoint.address,
        spans,
        ffmpeg,
        srs,
        functions,
        exemplars=exemplars,
        streams=streams,
        overhead=overhead,
    )
    records: list[StreamRecord] = [AgentCost((("edge", 1.1e-6), ("uretprobe", 0.9e-6))), ffmpeg, srs]
    for record in (*records, *functions.values()):
        state.apply(record)
    for one in functions.values():
        state.apply(
            ProbeStatus(
                one.target, one.function, one.file, "sample", ProbeState.ATTACHED, one.reason, one.strategy, one.id
            )
        )
    made.step()
    try:
        yield made
    finally:
        telemetry.shutdown(2.0)
        endpoint.close()
        if spans is not None:
            spans.shutdown()
