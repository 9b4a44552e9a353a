# SPDX-License-Identifier: Apache-2.0
"""A made-up host behind the agent's real page and /metrics: as many processes, functions and RTP streams as a test wants, with any names.

For what needs numbers that stand still, many streams, or names that no program has; the page of a real agent has a test of its own.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client import CollectorRegistry

from otel_jb.model.stream import (
    AgentCost,
    DepthSnapshot,
    HostShare,
    ProbeState,
    ProbeStatus,
    RtpSnapshot,
    Series,
    Snapshot,
    Target,
)
from otel_jb.telemetry.endpoint import Endpoint, SharedRefresh, standard_pages
from otel_jb.telemetry.histogram import DEFAULT_BOUNDS_NS
from otel_jb.telemetry.prometheus import MetricsPage, TargetCollector
from otel_jb.telemetry.state import StreamState
from otel_jb.views.page import site
from otel_jb.views.page.feed import Feed
from otel_jb.views.page.tables import Content, Facts
from tests.telemetry_samples import FFMPEG, series, snapshot_of

SECOND = 1_000_000_000
FUNCTIONS = (("put", "put"), ("get", "get"), ("decode", "decode"), ("reset", "reset"))


@dataclass
class Host:
    """`processes` processes of four functions each, the first of which sees `streams` RTP streams."""

    processes: int = 2
    streams: int = 3
    name: str = "server"
    function: str = "Buffer::{}"
    stream: str = "live/cam{}"
    head: Mapping[str, Any] = field(default_factory=dict)
    state: StreamState = field(default_factory=StreamState)
    moment: int = 0  #: how often `go_on` was called
    moves: bool = True  #: whether the counts grow with each refresh
    made: list[Snapshot] = field(default_factory=list)  #: what is next, the latest first

    def __post_init__(self) -> None:
        self.begin = time.time_ns()
        self.functions: list[Series] = []
        self.state.apply(AgentCost((("edge", 1.1e-6), ("entry", 0.9e-6))))
        for number in range(1, self.processes + 1):
            self._start(number)
        self.go_on()

    def _start(self, number: int) -> None:
        target: Target = replace(
            FFMPEG,
            id=number,
            pid=1000 + number,
            name=self.name,
            service_name=self.name,
            service_instance_id=f"8d9c1f3e-0000-5000-8000-{number:012d}",
            attached_unix_nano=self.begin,
        )
        self.state.apply(target)
        for place, (what, role) in enumerate(FUNCTIONS):
            one = series(
                number * 10 + place,
                target,
                self.function.format(what),
                role,
                has_depth=place == 0,
                has_rtp=place == 0,
                has_timing=what != "reset",
                drop_reasons=("late", "full") if place == 0 else (),
            )
            self.functions.append(one)
            self.state.apply(one)
            status = (one.function, one.file, "sample", ProbeState.ATTACHED, one.reason, one.strategy, one.id)
            self.state.apply(ProbeStatus(target.id, *status))
        why = "another function of this name takes its place"
        self.state.apply(ProbeStatus(target.id, self.function.format("other"), "/f", "sample", ProbeState.SKIPPED, why))

    def go_on(self) -> None:
        """A second passes, in which every function is called and every stream gets packets."""
        self.state.apply(self.made.pop() if self.made else self._next())

    def prepare(self, seconds: int) -> None:
        """Prepare the data for this many calls of `go_on`, so that each takes as long as in the agent."""
        self.made = [self._next() for _ in range(seconds)][::-1]

    def _next(self) -> Snapshot:
        self.moment += 1
        now = self.begin + self.moment * SECOND
        taken, rtp, depths = [], [], []
        for one in self.functions:
            # Calls of 1 µs to 10 ms, another number for each function.
            times = [10 ** (3 + (one.id + each) % 5) for each in range(10 + one.id % 7)] * self.moment
            values = snapshot_of(one, times, bytes=len(times) * 172, slow=self.moment, events_emitted=self.moment)
            if not one.has_timing:
                values = replace(values, untimed=values.returned, returned=0, sum_ns=0, interval=None)
                values = replace(values, buckets=(0,) * len(values.buckets))
            if one.drop_reasons:
                values = replace(values, drops=(self.moment * (one.id % 3), self.moment // 2))
            taken.append(values)
            if one.has_rtp:
                depths.append(DepthSnapshot(one.target, one.id, 5 + (self.moment + one.id) % 9, 1, 14))
                rtp += [self._stream(one, each) for each in range(self.streams)]
        for target in range(1, self.processes + 1):
            share = HostShare(target, now, self.moment * SECOND // 10, self.moment * SECOND // 50, 0, ((5004, 3),))
            self.state.apply(share)
        every = (tuple(taken), tuple(depths), 10 * SECOND, tuple(rtp))
        return Snapshot(now, self.moment * SECOND, DEFAULT_BOUNDS_NS, *every)

    def _stream(self, one: Series, each: int) -> RtpSnapshot:
        packets = self.moment * (50 + each % 5)
        lost = self.moment * (each % 3)
        jitter = None if each % 4 == 3 else 1_000_000 + each * 10_000 + self.moment % 7 * 1000
        return RtpSnapshot(
            one.id,
            self.stream.format(each),
            each,
            self.begin,
            packets,
            packets * 172,
            lost,
            each % 2,
            each % 5,
            0,
            jitter,
        )

    def refresh(self) -> None:
        """What the agent does for a scrape."""
        if self.moves:
            self.go_on()


@contextlib.contextmanager
def serving(host: Host, facts: Facts | None = None, **access: Any) -> Iterator[Endpoint]:
    """The host's page and metrics on a port of its own."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(TargetCollector(host.state.view))
    refresh = SharedRefresh(host.refresh)
    head = {"host": "media-1", **host.head}
    feed = Feed(refresh, lambda: Content(host.state, facts or Facts(), head).tables)
    pages = {
        **standard_pages(MetricsPage(registry).stream, refresh, lambda: (True, "")),
        **site.pages(feed.subscribe),
    }
    endpoint = Endpoint("127.0.0.1", 0, pages, **access)
    endpoint.start()
    try:
        yield endpoint
    finally:
        feed.close()
        endpoint.close()
