"""One probe of one target, and the target it belongs to, as the backend keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field

from otel_jb.model.plan import Probe
from otel_jb.model.stream import Series, Target
from otel_jb.probes.programs.template import Shape


@dataclass(slots=True)
class Attached:
    """One probe of one target, as the backend keeps it."""

    series: Series
    probe: Probe
    index: int  #: of the series in the kernel's arrays; -1: it has none
    group: int
    closes_buffers: bool
    nests: bool = False  #: its calls may run inside others of the target, or others inside it
    programs: list[tuple[str, Shape]] = field(default_factory=list)  #: taken from the instances
    entry_links: list[int] = field(default_factory=list)
    end_links: list[int] = field(default_factory=list)
    since_ns: int | None = None  #: attached since; None: not attached now
    attached_ns: int = 0  #: total of earlier times

    def time_attached(self, now_ns: int) -> int:
        """Nanoseconds for which the probe was attached, in all."""
        return self.attached_ns + (now_ns - self.since_ns if self.since_ns is not None else 0)


@dataclass(slots=True)
class AttachedTarget:
    """One process and its probes."""

    target: Target
    probes: list[Attached]
    groups: dict[str, int]  #: groups of buffers, by profile
    gate: int | None = None  #: of its gated probes
    hook_links: list[int] = field(default_factory=list)  #: that close the gate when it loads a library
