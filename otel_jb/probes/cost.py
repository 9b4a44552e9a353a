# SPDX-License-Identifier: Apache-2.0
"""What one probe hit costs on this machine, measured at start on a tiny child of the agent's own.

The child maps a few instructions from a memory file and calls them in a loop; no compiler is involved. The agent attaches its own
programs to that code as it does to a target's, so it measures what a target pays. A busy machine must not distort it: time is
the child's own CPU time, the ways of probing take turns in several passes, medians count, and there are more passes as long as the
last one still changes them. (The best round would be too low: beside busy neighbours every hit takes longer, a target's too.) A hit
is measured *warm*, one right after the other, and *cold*, after a sleep and other work, as a server's hit on a packet that
has just arrived: then nothing that it needs is in the processor's caches.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_jb.model.plan import Probe
    from otel_jb.model.stream import AgentCost

_Way = TypeVar("_Way")

_PROGRAM = Path(__file__).with_name("specimen.py")
FEWEST_PASSES, MOST_PASSES = 3, 7
LONGEST_S = 2.0  #: no further pass begins after this time: on a busy machine a pass takes long
SPREAD = 0.05  #: if the last pass moved the median of any way by more, there is another one


class Sample(NamedTuple):
    """CPU nanoseconds of one call."""

    warm: float  #: where it follows another one
    cold: float  #: after a sleep and other work


class Specimen:
    """The child process. `run` calls the function."""

    def __init__(self) -> None:
        from otel_jb.arch.specimen import specimen

        self._file = os.memfd_create("otel-jb-specimen", os.MFD_CLOEXEC)
        os.write(self._file, specimen().code.ljust(mmap.PAGESIZE, b"\0"))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_PROGRAM), str(self._file)],
            pass_fds=[self._file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self._process.pid
        self.path = f"/proc/{os.getpid()}/fd/{self._file}"
        assert self._process.stdout is not None
        self._process.stdout.readline()  # the code is mapped now

    def run(self) -> Sample:
        """A call with the currently attached probes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        warm, cold = (self._process.stdout.readline() or b"nan nan").split()
        return Sample(float(warm), float(cold))

    def close(self) -> None:
        """End the child."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()
        os.close(self._file)


def measure(
    once: Callable[[_Way], Sample], ways: Sequence[_Way], now: Callable[[], float] = time.monotonic
) -> list[Sample]:
    """Measure each way in turn, in passes, until a pass changes little or there were enough; the medians of the passes."""
    passes: list[list[Sample]] = []
    settled, last = False, now() + LONGEST_S
    while not passes or (now() < last and (len(passes) < FEWEST_PASSES or not (settled or len(passes) >= MOST_PASSES))):
        passes.append([once(way) for way in ways])
        settled = len(passes) > 1 and all(_settled([each[at].warm for each in passes]) for at in range(len(ways)))
    return [
        Sample(median(sample.warm for sample in samples), median(sample.cold for sample in samples))
        for samples in zip(*passes, strict=True)
    ]


def _settled(warm: Sequence[float]) -> bool:
    before = median(warm[:-1])
    return abs(median(warm) - before) <= before * SPREAD + 1.0  # a bare call takes 2 ns: there a nanosecond is noise


def ways(path: str) -> list[Probe | None]:
    """The ways of probing the specimen's function whose costs are told by `as_costs`, in its order; None: no probe."""
    from otel_jb.arch.specimen import specimen
    from otel_jb.model.plan import EndStrategy, Probe, ProbeSite, SiteKind, Symbol, SymbolSource
    from otel_jb.model.reads import ReadProgram

    spots = specimen()
    entry = spots.entry
    symbol = Symbol("specimen", entry, 0, SymbolSource.SYMTAB, "specimen")

    def way(strategy: EndStrategy, kind: SiteKind, at: int, displacement: int) -> Probe:
        sites = (
            ProbeSite(SiteKind.ENTRY, entry, entry),
            ProbeSite(kind, at, at, frame_offset=displacement),
        )
        return Probe("specimen", symbol, path, None, "put", False, "specimen", strategy, "", sites, ReadProgram())  # fmt: skip

    return [
        None,
        way(EndStrategy.EDGE_SITES, SiteKind.EDGE, spots.branch, spots.displacement),
        way(EndStrategy.URETPROBE, SiteKind.URETPROBE, entry, 0),
        way(EndStrategy.EDGE_SITES, SiteKind.EDGE, spots.stepped, spots.displacement),
    ]


def as_costs(bare: Sample, edge: Sample, returned: Sample, stepped: Sample) -> AgentCost:
    """From a call under each way of probing, entry included, to seconds by kind of hit.

    `emulated` is a hit on an instruction that the kernel emulates, `stepped` on one that it steps out of line, `uretprobe` the
    return half of a return probe. An entry and an edge are two emulated hits. `cold` is the extra cost of any hit where
    the caches hold something else, as two emulated hits show it: a stepped one costs two to three times as much extra on a busy machine.
    """
    from otel_jb.model.stream import AgentCost

    emulated = max(0.0, edge.warm - bare.warm) / 2
    kinds = {
        "emulated": emulated,
        "stepped": max(0.0, stepped.warm - bare.warm - emulated),
        "uretprobe": max(0.0, returned.warm - bare.warm - emulated),
        "cold": max(0.0, edge.cold - bare.cold - (edge.warm - bare.warm)) / 2,
    }
    return AgentCost(tuple((kind, ns / 1e9) for kind, ns in kinds.items()))
