# SPDX-License-Identifier: Apache-2.0
"""What the backend keeps of probes: sets of functions of a file, the links that serve them, and the series of one process."""

from __future__ import annotations

import time
from dataclasses import field

from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AttachError
from otel_jb.model.plan import Probe
from otel_jb.model.stream import Series, Target
from otel_jb.probes.programs.template import Shape


@dataclass(slots=True)
class Links:
    """One function's links, for one process or for all that map its file."""

    entries: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    programs: list[tuple[str, Shape]] = field(default_factory=list)  #: taken from the instances

    @property
    def descriptors(self) -> list[int]:
        return [*self.entries, *self.ends]


@dataclass(slots=True, eq=False)
class Function:
    """One function of a set."""

    probe: Probe
    number: int  #: within the set
    closes_buffers: bool
    links: dict[int, Links] = field(default_factory=dict)  #: by PID; 0: of every process
    refused: AttachError | None = None  #: why it cannot be linked for all processes
    shed: bool = False  #: not linked, because nobody wants it now
    instead: dict[int, Probe] = field(
        default_factory=dict
    )  #: by PID: for processes that must not have `probe` any more

    def of(self, pid: int) -> Probe:
        """The probe that is linked for a process, or for every one."""
        return self.instead.get(pid, self.probe)


@dataclass(slots=True, eq=False)
class ProbeSet:
    """The functions of one file that are probed in the same way in all processes that map it."""

    number: int
    key: tuple[object, ...]
    file: int  #: a descriptor, which keeps the very file
    path: str  #: that leads to it
    functions: list[Function]
    nests: bool  #: its calls may run inside other probed calls, or others inside them
    private: (
        bool  #: return probes that could not be left out for a process that nobody has looked at: never linked for all
    )
    everyone: bool = False  #: linked for all processes
    leased: bool = False  #: nobody can write to the file unnoticed, see `attach.lease`
    form: int = 0  #: of its links
    members: dict[int, int] = field(default_factory=dict)  #: PID -> first series of the processes that are measured
    awaited: dict[int, int] = field(
        default_factory=dict
    )  #: PID -> start (clock ticks) of processes that may map the file
    used_s: float = field(default_factory=time.monotonic)  #: when it last had a member
    changed: tuple[int, int] = (0, 0)  #: size and time of change of the file when it was last compared

    @property
    def profiles(self) -> list[str]:
        """The groups of buffers that its functions report, each once."""
        return list(dict.fromkeys(function.probe.profile for function in self.functions))


@dataclass(slots=True, eq=False)
class Attached:
    """One function of one process."""

    series: Series
    set: ProbeSet
    function: Function
    pid: int
    probe: Probe  #: as it was planned for this process
    index: int  #: of the series in the kernel's arrays
    group: int
    since_ns: int | None = None  #: counts since; None: it does not now
    attached_ns: int = 0  #: total of earlier times

    @property
    def closes_buffers(self) -> bool:
        """Whether a buffer's end is seen."""
        return self.function.closes_buffers

    def time_attached(self, now_ns: int) -> int:
        """Nanoseconds for which the probe was attached, in all."""
        return self.attached_ns + (now_ns - self.since_ns if self.since_ns is not None else 0)

    def stop(self) -> None:
        """Whether it no longer counts."""
        now = time.monotonic_ns()
        self.attached_ns, self.since_ns = self.time_attached(now), None


@dataclass(slots=True)
class AttachedTarget:
    """One process and its probes."""

    target: Target
    probes: list[Attached] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)  #: first series of each
    groups: dict[str, int] = field(default_factory=dict)  #: groups of buffers, by profile
