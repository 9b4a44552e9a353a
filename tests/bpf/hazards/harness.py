# SPDX-License-Identifier: Apache-2.0
"""Plays a hazard in a real process, unprobed or measured by the product's own choices, and says what became of it."""

from __future__ import annotations

import functools
import os
import platform
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from otel_jb.catalog import load
from otel_jb.config.model import Config, TargetSelector
from otel_jb.host import procfs
from otel_jb.model.stream import ProbeState, ProbeStatus, Series, SeriesSnapshot, Snapshot, Target
from otel_jb.planner.changes import Found
from otel_jb.planner.targets import Discovery
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.sandbox.client import Inspector
from tests.scale import patience, scaled

PROGRAMS = Path(__file__).parent / "programs"
BOUNDARIES_NS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)

#: Ways to compile: the cold parts and tail calls of -O2; frames and the stack protector's branches, and `endbr64`.
BUILDS: dict[str, tuple[str, ...]] = {
    "O2": ("-O2",),
    "O0": ("-O0", "-fstack-protector-all", *(("-fcf-protection",) if platform.machine() == "x86_64" else ())),
}


class Harm(Enum):
    """What return probes that are put there by force do to the program."""

    KILLS = "kills it, hangs it or makes it go wrong"
    LOSES = "loses returns"
    NONE = "nothing"


@dataclass(frozen=True)
class Hazard:
    """A program that does to its stack what return probes do not expect."""

    name: str
    source: str
    arguments: tuple[str, ...] = ()
    harm: Harm = Harm.NONE
    flags: tuple[str, ...] = ()
    library: str = ""  #: source of a library whose path is the last argument
    rounds: int = 200
    what: str = ""  #: for people

    def __str__(self) -> str:
        return self.name


def _hazards() -> Iterator[Hazard]:
    orders = (("up", "the second stack above the first"), ("down", "below it"))
    for order, said in orders:
        yield Hazard(f"ucontext-{order}", "ucontext.c", (order,), Harm.KILLS,
                     what=f"two `ucontext` coroutines that yield inside, {said}")  # fmt: skip
        yield Hazard(f"ucontext-{order}-outside", "ucontext.c", (f"{order}-outside",), Harm.KILLS,
                     what=f"the same, {said}, yielding between the calls too")  # fmt: skip
    yield Hazard("switch-direct", "switch.c switch.S", ("direct",), Harm.KILLS, ("-DDIRECT_ONLY",),
                 what="a hand-written stack switch, called by name")  # fmt: skip
    yield Hazard("switch-pointer", "switch.c switch.S", ("pointer",), Harm.KILLS,
                 what="a hand-written stack switch, called through a pointer")  # fmt: skip
    yield Hazard("switch-dlopen", "switch.c switch.S", ("dlopen",), Harm.KILLS, library="switch.S",
                 what="a stack switch in a library that is loaded after the probes are attached")  # fmt: skip
    yield Hazard("replaced-lock", "replaced.c", ("replaced",), Harm.KILLS, ("-rdynamic",), library="replaced_library.c",
                 what="coroutines that yield in a lock of the C library which the program has replaced")  # fmt: skip
    yield Hazard("migrating", "migrating.c", (), Harm.KILLS, what="coroutines that move between threads inside a call")
    for kind, said in (
        ("through", "a C++ exception through it"),
        ("rethrown", "an exception that it catches and throws again"),
        ("nested", "an exception through two probed functions"),
        ("callback", "an exception out of a callback"),
    ):
        yield Hazard(f"exception-{kind}", "exceptions.cc", (kind,), Harm.KILLS, (f"-D{kind.upper()}",), what=said)
    yield Hazard("longjmp", "jumps.c", ("longjmp",), what="`longjmp` out of it")
    yield Hazard("siglongjmp", "jumps.c", ("handler",), what="`siglongjmp` out of a signal handler")
    yield Hazard("siglongjmp-leaf", "jumps.c", ("timer",), what="the same, a leaf being interrupted")
    yield Hazard("pthread-exit", "threads.c", ("pthread_exit",), Harm.KILLS, ("-fexceptions",), rounds=50,
                 what="`pthread_exit` inside, a clean-up handler outside")  # fmt: skip
    yield Hazard("cancel", "threads.c", ("cancel",), Harm.KILLS, ("-fexceptions",), rounds=50,
                 what="a thread cancelled inside, a clean-up handler outside")  # fmt: skip
    yield Hazard("thread-dies", "threads.c", ("exit",), rounds=50, what="a thread that dies inside")
    yield Hazard("recursion", "recursion.c", (), Harm.LOSES, rounds=1000, what="recursion 1 000 deep")
    yield Hazard("tail-calls", "tails.c", what="probed functions that tail-call probed functions")
    yield Hazard("cold", "cold.c", flags=("-freorder-blocks-and-partition",), what="an error path in `.cold`")
    yield Hazard("red-zone", "redzone.c", what="a leaf with values below the stack pointer, across a 5-byte `nop`")
    yield Hazard(
        "seccomp", "seccomp.c", what="a leaf in a process that a filter kills for any system call that it does not know"
    )
    yield Hazard("never-returns", "processes.c", ("wait",), rounds=20, what="a function that never returns")
    yield Hazard("ends-process", "processes.c", ("end",), rounds=20, what="a function that ends the process")
    yield Hazard("fork", "processes.c", ("fork",), rounds=40, what="`fork` inside")
    yield Hazard("vfork", "processes.c", ("vfork",), rounds=40, what="`vfork` inside")
    yield Hazard("exec", "processes.c", ("exec",), rounds=40, what="`exec` inside")
    yield Hazard("reload", "reload.c", ("reload",), library="library.c", rounds=40,
                 what="`dlopen` and `dlclose` of its library under load")  # fmt: skip
    yield Hazard("alternate-stack", "jumps.c", ("alternate",), Harm.KILLS, rounds=50,
                 what="a leaf, called again by a signal handler on an alternate stack above")  # fmt: skip


HAZARDS: tuple[Hazard, ...] = tuple(
    hazard if hazard.name == "recursion" else replace(hazard, rounds=scaled(hazard.rounds, 20)) for hazard in _hazards()
)


# -- programs ------------------------------------------------------------------------------------------------------------


@functools.cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="hazards-")


@functools.cache
def compiled(sources: str, *flags: str) -> Path:
    """The program (or library) of these sources, compiled once; it is gone with this process."""
    path = Path(_directory().name) / f"{sources.split('.', maxsplit=1)[0]}-{abs(hash((sources, flags))):x}"
    files = [str(PROGRAMS / source) for source in sources.split()]
    compiler = "g++" if sources.endswith(".cc") else "gcc"
    made = subprocess.run([compiler, "-o", path, *files, *flags, "-lpthread", "-ldl"], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert made.returncode == 0, made.stderr
    return path


def command(hazard: Hazard, build: str) -> list[str]:
    """The command that plays it."""
    program = compiled(hazard.source, *BUILDS[build], *hazard.flags)
    library = [str(compiled(hazard.library, "-shared", "-fPIC", *BUILDS[build]))] if hazard.library else []
    return [str(program), *(hazard.arguments or ("plain",)), *library]


# -- processes -----------------------------------------------------------------------------------------------------------


class Child:
    """A program whose standard input and output are pipes; everything that waits for it has a limit."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._stdin, self._stdout = self.process.stdin, self.process.stdout
        self._rest = b""
        self.pid = self.process.pid
        self.hung = False

    def say(self, line: str) -> None:
        """Send one line; one that is dead does not hear it."""
        try:
            self._stdin.write(f"{line}\n".encode())
        except BrokenPipeError:
            return

    def hear(self, limit_s: float) -> str | None:
        """The next line; None if there is none, or none within the limit (`hung`)."""
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._rest:
            if not select.select([self._stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self.hung = True
                return None
            more = os.read(self._stdout.fileno(), 1 << 16)
            if not more:
                return None
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def end(self, limit_s: float) -> str:
        """Close its input and tell how it ended: `status 7`, `SIGILL`, `hung` (it is killed then)."""
        self._stdin.close()
        try:
            if not self.hung:
                self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.hung = True
        if self.hung:
            self.process.kill()
        status = self.process.wait()
        self._stdout.close()
        if self.hung:
            return "hung"
        return signal.Signals(-status).name if status < 0 else f"status {status}"


@dataclass
class Outcome:
    """What became of a program, and what was counted meanwhile."""

    end: str = ""
    output: list[str] = field(default_factory=list)
    seconds: float = 0.0
    values: dict[str, SeriesSnapshot] = field(default_factory=dict)
    strategies: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether it came to the end of its play."""
        return "done" in self.output

    @property
    def calls(self) -> dict[str, tuple[int, int]]:
        """(entered, returned) by function, as the program itself knows; where it tells twice, the last holds."""
        words = [line.split() for line in self.output]
        return {name: (int(a), int(b)) for name, a, b in (each for each in words if len(each) == 3)}

    def complaints(self) -> list[str]:
        """What the counts do not account for."""
        found = []
        for name, (entered, returned) in self.calls.items():
            values = self.values.get(name)
            if values is None:
                found.append(f"{name} is not measured")
                continue
            if entries(values) != entered:
                found.append(f"{name}: {entered} entered, {entries(values)} accounted for: {values}")
            if values.untimed == 0 and values.returned != returned:
                found.append(f"{name}: {returned} returned, {values.returned} seen to return: {values}")
            if values.untimed not in {0, entered} or values.orphan_ends or values.missed:
                found.append(f"{name}: {values}")
        return found


def added(one: SeriesSnapshot, other: SeriesSnapshot) -> SeriesSnapshot:
    """The calls of both."""
    names = ("returned", "abandoned", "missed", "untimed", "in_flight", "orphan_ends")
    return replace(one, **{name: getattr(one, name) + getattr(other, name) for name in names})


def entries(values: SeriesSnapshot) -> int:
    """Entries by their identity."""
    return values.returned + values.abandoned + values.missed + values.untimed + values.in_flight


class Agent:
    """The product's catalogue, sandbox, plan and backend, without its loop."""

    def __init__(self, links: str = "auto", *, alone: bool = True) -> None:
        self._alone = alone
        self.inspector = Inspector()  # forks: before there are threads
        self.backend = BpfBackend(KernelOptions(BOUNDARIES_NS, links=links))
        self._catalog = load()

    def plan(self, pid: int, *, unsafe: bool = False, wish: str = "auto") -> Found:
        """What `otel-jb run --pid PID [--unsafe-uretprobe '*']` finds and chooses."""
        from otel_jb.config.layers import override, read

        selector = TargetSelector(pid=pid)
        config = Config(targets=(selector,), unsafe_uretprobe=("*",) if unsafe else ())
        config = override(config, {"end_strategy": read("end_strategy", wish)})
        return Discovery(config, self.inspector, self._catalog).find(procfs.process(pid), selector)

    @contextmanager
    def measuring(
        self, pid: int, outcome: Outcome, *, unsafe: bool = False, wish: str = "auto"
    ) -> Iterator[Callable[[], Snapshot]]:
        """Probes on a process while the block runs; then the outcome has the last values. Yields a way to read earlier ones."""
        found = self.plan(pid, unsafe=unsafe, wish=wish)
        records = self.backend.attach(found.target, found.plan, alone=self._alone)
        failed = [r for r in records if isinstance(r, ProbeStatus) and r.state is ProbeState.FAILED]
        series = {record.id: record for record in records if isinstance(record, Series)}
        outcome.strategies = {one.function: one.strategy for one in series.values()}
        outcome.reasons = {one.function: one.reason for one in series.values()}
        last: Snapshot | None = None
        try:
            assert not failed, failed
            yield self.backend.snapshot
        finally:
            last = self.backend.detach(found.target.id)
        outcome.values = {series[one.series].function: one for one in last.series}
        for values, function in self._later(found.target):
            outcome.values[function] = added(outcome.values[function], values)

    def _later(self, target: Target) -> Iterator[tuple[SeriesSnapshot, str]]:
        """What the process counted after it executed itself again, which made another instance of it."""
        for arrival in self.backend.arrivals():
            if arrival.pid != target.pid:
                self.backend.ignore(arrival)
                continue
            records = self.backend.attach(replace(target, id=-arrival.block - 1), arrival.plan, alone=self._alone)
            names = {record.id: record.function for record in records if isinstance(record, Series)}
            for values in self.backend.detach(-arrival.block - 1, gone=True).series:
                yield values, names[values.series]

    def close(self) -> None:
        """Detach everything and end the children."""
        self.backend.close()
        self.inspector.close()


def play(arguments: Sequence[str], rounds: int, agent: Agent | None = None, limit_s: float = patience(30.0), *,
         unsafe: bool = False, wish: str = "auto") -> Outcome:  # fmt: skip
    """Play a hazard to its end, measured if there is an agent. A program that takes longer than the limit is `hung`."""
    outcome = Outcome()
    child = Child(arguments)

    def conversation() -> None:
        started = time.monotonic()
        child.say(str(rounds))
        while (line := child.hear(limit_s)) is not None:
            outcome.output.append(line)
            if line == "done":
                break
        outcome.seconds = time.monotonic() - started

    try:
        assert child.hear(patience(30.0)) == "ready"
        if agent is None:
            conversation()
            outcome.end = child.end(limit_s)
        else:
            with agent.measuring(child.pid, outcome, unsafe=unsafe, wish=wish):
                conversation()
                outcome.end = child.end(limit_s)
    finally:
        if child.process.poll() is None:
            child.process.kill()
            child.process.wait()
    return outcome
