# SPDX-License-Identifier: Apache-2.0
"""What the agent sees of the kernel: a Protocol, implemented over BPF by `live`, and by a scripted backend in the agent's unit tests.

A replay is not a backend: a recording holds the stream of records that leaves the agent (docs/adr/0055).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Protocol

from otel_jb.model.arrival import Arrival
from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import Probe, ProbePlan
from otel_jb.model.stream import AgentCost, ProbeStatus, SlowCall, Snapshot, StreamRecord, Target


@dataclass(frozen=True, slots=True)
class HitTime:
    """CPU time that a target spent in probe hits while it was sampled."""

    target: int
    seconds: Mapping[int, float]  #: by series
    unknown_s: float  #: in hits of which nobody knows the series: of stepped instructions, of return probes
    hidden: frozenset[int]  #: series that have such hits
    sample_s: float  #: the time for which a sample stands


class Backend(Protocol):
    """Attaches probes and reads what they counted. Not thread-safe: one thread owns it."""

    @property
    def link_kind(self) -> str:
        """`multi` or `perf`: how probes are attached here. Raises PermissionDeniedError, UnsupportedError if no probe can be."""

    @property
    def tells_ends(self) -> bool:
        """Whether `ended` reports every process with a series, or only those that the kernel happened to meet."""

    @property
    def event_descriptor(self) -> int:
        """Readable (epoll) when slow calls wait, or processes have come or ended."""

    def attach(
        self, target: Target, plan: ProbePlan, *, alone: bool = True, running: bool = True
    ) -> list[StreamRecord]:
        """Attach a plan to a process: the Series and ProbeStatus records that come of it. What it has called before, as an arrival,
        is counted.

        `alone`: other processes of its files are not wanted, so that they should not pay. Not `running`: it has ended, and there is
        nothing but what it has called; without that no record comes of it.
        A probe that the kernel refuses is a ProbeStatus with state FAILED; the others work. Raises AttachError if all were refused.
        """

    def extend(self, target_id: int, plan: ProbePlan, *, alone: bool = True) -> list[StreamRecord]:
        """Attach those probes of a newer plan of the same process that are not attached yet: of a library that it loaded since. Where
        the newer plan has no return probe any more, none is put from now on.
        """

    def expect(self, plan: ProbePlan, pid: int) -> None:
        """See to it that the calls of a process (`pid` 0: of every process) are counted from the first one on when it loads these files;
        it arrives by itself then.

        Raises AttachError where that cannot be.
        """

    def arrivals(self) -> list[Arrival]:
        """The processes that came by themselves since the last call: to be attached, or ignored."""

    def ignore(self, arrival: Arrival, target_id: int | None = None) -> None:
        """The process is not wanted; its calls cost only the hit from now on.

        `target_id`: it is this target already, and nothing happens. Unless it is another program than that, one of which the other has
        executed: then `arrivals` tells of it again.
        """

    def ended(self) -> dict[int, bool]:
        """The targets whose process ended (True), or executed another program (False), since the last call: to be detached."""

    def tidy(self) -> list[StreamRecord]:
        """What is to be done once a second or so; returns the ProbeStatus records of functions that are not measured any more."""

    def drop_idle(self) -> None:
        """Take out the probes that wait for processes to come: what is selected now is another."""

    def no_room(self) -> dict[str, int]:
        """Calls that were not counted because their process found no room, by file."""

    def detach(self, *target_ids: int, gone: bool = False) -> Snapshot:
        """Detach targets; returns the last values of their series, calls in flight counted as abandoned. `gone`: their processes have
        ended, or execute another program.
        """

    def snapshot(self, roll: bool = False, only: int | None = None) -> Snapshot:
        """Everything counted so far, or that of one target; `roll` ends the interval of minimum, maximum and average first."""

    def has_counted(self, target_id: int) -> bool:
        """Whether any call of the target's was seen."""

    def entries(self) -> dict[int, int]:
        """How often each series was entered so far."""

    def slow_calls(self, *, every: bool = False) -> list[SlowCall]:
        """The slow calls that arrived since the last call, and those of late packets a moment later, since it takes that long until the
        packets behind them are there; `every`: those too that came just now.
        """

    def set_threshold(self, series: int, threshold_ns: int | None) -> None:
        """From now on a call of at least that long is slow; None: none is."""

    def shed(self, series: int, reason: str, *, shared: bool = True) -> ProbeStatus | None:
        """Stop one probe but keep its series; the gap is visible in `attached_ns`. None: it was not attached, or its links must stay for
        other processes of the file and `shared` is False.
        """

    def restore(self, series: int, reason: str) -> ProbeStatus | None:
        """Let a shed probe count again. None: it was not shed."""

    def measure_cost(self, run: Callable[[Callable[[], object]], object]) -> AgentCost:
        """What one hit of each kind costs here (takes about a second); `run` has the thread that owns the backend do something."""

    def sample_hits(self, target_id: int) -> bool:
        """See how much of its CPU time a target spends in probe hits, until `hit_time`; one target at a time. False where that cannot be: its
        process has ended or has too many threads, or the kernel refuses.
        """

    def hit_time(self) -> HitTime | None:
        """What was seen since `sample_hits`; None: nothing is sampled."""

    def close(self) -> None:
        """Detach everything and free the kernel's memory."""


@dataclass(frozen=True, slots=True)
class KernelOptions:
    """How the BPF backend works."""

    boundaries_ns: Sequence[int]
    max_series: int = 1024
    links: str = "auto"  #: auto, multi, perf
    events: bool = True  #: slow calls leave events (they are counted either way)
    event_rate: float = 100.0  #: events a second and probe
    event_burst: int = 200
    threshold_ns: Callable[[Probe], int | None] | None = None  #: from when on a call is slow; None: never
    streams: int = 20  #: RTP streams of a function that have a label of their own; 0: RTP is left alone
    clock_rates: Mapping[int, int] = field(
        default_factory=dict
    )  #: Hz, by RTP payload type; those of RFC 3551 are known
    flight_recorder: bool = True  #: the last packets of each RTP stream are kept, for slow calls and late packets
