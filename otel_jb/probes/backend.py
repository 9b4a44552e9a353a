"""What everything above the kernel sees of it: a Protocol with two implementations, the BPF one and replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from otel_jb.model.plan import Probe, ProbePlan
from otel_jb.model.stream import ProbeStatus, SlowCall, Snapshot, StreamRecord, Target


class Backend(Protocol):
    """Attaches probes and reads what they counted. Not thread-safe: one thread owns it."""

    def attach(self, target: Target, plan: ProbePlan) -> list[StreamRecord]:
        """Attach a plan to a process: the Series and ProbeStatus records that come of it.

        A probe that the kernel refuses is a ProbeStatus with state FAILED; the others work. Raises AttachError if all were refused.
        """

    def extend(self, target_id: int, plan: ProbePlan) -> list[StreamRecord]:
        """Attach those probes of a newer plan of the same process that are not attached yet: of a library that it loaded since."""

    def replace(self, target_id: int, plan: ProbePlan) -> list[StreamRecord]:
        """Measure those functions in another way for which a newer plan of the same process says so; their counts go on.

        The Series and ProbeStatus records of what changed; what the kernel then refuses is FAILED.
        """

    def loads(self, target_id: int) -> int | None:
        """How often the process has loaded something, while that keeps its gated probes from being timed; None: nothing does."""

    def open_gate(self, target_id: int, loads: int) -> None:
        """Time gated probes from now on, unless the process has loaded something since `loads` was told."""

    def detach(self, target_id: int) -> Snapshot:
        """Detach a target, ended or not; returns the last values of its series, calls in flight counted as abandoned."""

    def snapshot(self, roll: bool = False) -> Snapshot:
        """Everything counted so far; `roll` ends the interval of minimum, maximum and average first."""

    def slow_calls(self) -> list[SlowCall]:
        """The slow calls that arrived since the last call."""

    def set_threshold(self, series: int, threshold_ns: int | None) -> None:
        """From now on a call of at least that long is slow; None: none is."""

    def shed(self, series: int, reason: str) -> ProbeStatus | None:
        """Detach one probe but keep its series; what it does not see is visible in `attached_ns`. None: it was not attached."""

    def restore(self, series: int, reason: str) -> ProbeStatus | None:
        """Attach a shed probe again. None: it was not shed."""

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
