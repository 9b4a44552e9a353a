# SPDX-License-Identifier: Apache-2.0
"""Stacks of slow calls, copied by the kernel and walked by the agent, against the program's own unwinder."""

from __future__ import annotations

import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from platform import machine

import pytest

from otel_jb.host import procfs
from otel_jb.model.errors import TargetError
from otel_jb.model.plan import EndStrategy
from otel_jb.model.stream import Series, SlowCall
from otel_jb.sandbox.client import Inspector
from otel_jb.stacks.space import Space
from otel_jb.stacks.unwinder import Stacks
from otel_jb.stacks.walk import Walk
from tests.bpf.conftest import PROGRAMS, Child
from tests.bpf.plans import Meaning, plan_for
from tests.bpf.test_counting import backend, target

pytestmark = pytest.mark.bpf

BUILDS = [
    f"{compiler} {level} -f{frames}omit-frame-pointer"
    for compiler in ("gcc", "clang")
    for level in ("-O0", "-O2")
    for frames in ("", "no-")
]
if machine() == "aarch64":
    # Return addresses are signed where the processor can; elsewhere the instructions do nothing.
    BUILDS += [f"{compiler} -O2 -mbranch-protection=standard" for compiler in ("gcc", "clang")]
STRATEGIES = [EndStrategy.EDGE_SITES, EndStrategy.RET_SITES, EndStrategy.URETPROBE]
#: How to build a program with coroutines of each kind, and the function that is the outermost one on the stack of one; None: it has no name.
COROUTINES: dict[str, tuple[str, str | None]] = {
    "state-threads": ("gcc -DSTATE_THREADS", "st_thread_create"),
    "ucontext": ("gcc -DUCONTEXT", None),
    "boost::context": ("g++ -x c++ -DBOOST", "boost::context::detail::fiber_entry<"),
    **({"libco": ("gcc -DLIBCO", "CoRoutineFunc")} if machine() == "x86_64" else {}),
}
PATH = ["put", "middle", "outer", "main"]


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    """The sandbox that reads unwind tables and names."""
    with Inspector() as made:
        yield made


def build(directory: Path, flags: str, source: str = "stacks.c") -> Path:
    compiler, *options = flags.split()
    path = directory / "stacks"
    subprocess.run(
        [
            compiler,
            *options,
            "-fno-optimize-sibling-calls",
            "-o",
            path,
            PROGRAMS / source,
            "-Wl,--as-needed",
            "-ldl",
            "-lpthread",
            "-lst",
            *(["-lboost_context"] if "-DBOOST" in options else []),
        ],
        check=True,
    )
    return path


def names(lines: list[str]) -> list[str]:
    """The functions of the program itself, innermost first."""
    return [line.split("+0x")[0] for line in lines if "(stacks)" in line or "(" not in line]


class Slow:
    """One call of `put`, with everything that the agent knows of it."""

    def __init__(self, child: Child, inspector: Inspector, line: str, strategy: EndStrategy) -> None:
        plan = plan_for(child.path, {"put": Meaning(uretprobe="leaf")}, strategy)
        self.strategy = plan.probes[0].strategy
        # Asked while nothing is attached: a return probe hides the callers from the program's unwinder, not from the agent.
        *self.own, self.base = [int(word, 16) for word in child.ask(line).split()]
        with backend(events=True, threshold_ns=lambda _probe: 0) as kernel:
            self.series = next(r for r in kernel.attach(target(child), plan) if isinstance(r, Series))
            child.ask(line)
            (self.call,) = list[SlowCall](kernel.slow_calls())
            stacks = Stacks(inspector, lambda _target: child.pid, lambda _target: ("put", "outer"))
            self.lines = list(stacks.symbolise(self.series, self.call))
            self.around = stacks.around(self.series, self.call)
            self.may_switch = stacks.may_switch(child.pid)

    def displacements(self) -> list[str]:
        return [line.split("+")[1].split(" ")[0] for line in self.lines[1:] if "+0x" in line]


@pytest.mark.parametrize("flags", BUILDS)
def test_a_stack_is_that_of_the_programs_own_unwinder(
    flags: str, tmp_path: Path, start: Callable[..., Child], inspector: Inspector
) -> None:
    """With and without optimisation and frame pointers, at every kind of end: the call path, out to the outermost function."""
    path = build(tmp_path, flags)
    symbols = addresses(path)
    chosen = set()
    for strategy in STRATEGIES:
        slow = Slow(start(path), inspector, "plain", strategy)
        chosen.add(slow.strategy)
        assert names(slow.lines)[:4] == PATH, slow.lines
        assert slow.lines[-1] != "(truncated)", slow.lines
        # backtrace(3) sees, from `note` up, the return addresses into put, middle, outer, main; the agent those from middle on.
        expected = [hex(own - 1 - slow.base - symbols[name]) for own, name in zip(slow.own[2:5], PATH[1:], strict=True)]
        assert slow.displacements()[:3] == expected
        assert len(slow.lines) == len(slow.own) - 1  # as deep, less `note`, as far as libc's start
        assert slow.around is not None
        assert len(slow.around) == 1
        assert slow.may_switch is False
        if "branch-protection" in flags:
            assert signed(slow) == ("paca" in Path("/proc/cpuinfo").read_text())
    assert EndStrategy.RET_SITES in chosen


def signed(slow: Slow) -> bool:
    """Whether a return address of the program lies in the copied stack with something in the bits above it."""
    words = struct.unpack_from(f"<{len(slow.call.stack_copy) // 8}Q", slow.call.stack_copy)
    return any(word >> 48 and word & (1 << 48) - 1 in slow.own for word in words)


def addresses(path: Path) -> dict[str, int]:
    output = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    return {name: int(at, 16) for at, kind, name in (li.split() for li in output.splitlines() if li[0] != " ")}


@pytest.mark.parametrize("flags", ["gcc -O2", "clang -O2 -fno-omit-frame-pointer"])
def test_a_large_frame_is_walked_and_beyond_the_copy_nothing_is_claimed(
    flags: str, tmp_path: Path, start: Callable[..., Child], inspector: Inspector
) -> None:
    """A frame of 11 KB, most of it never touched, is passed; beyond the 16 KiB that are copied the last line says so."""
    program = build(tmp_path, flags)
    for bytes_of_stack in (2000, 6000, 11_000):
        within = Slow(start(program), inspector, f"deep {bytes_of_stack}", EndStrategy.RET_SITES)
        assert names(within.lines)[:4] == PATH
        assert within.lines[-1] != "(truncated)"
    slow = Slow(start(program), inspector, "deep 20000", EndStrategy.RET_SITES)
    assert len(slow.call.stack_copy) <= 16384
    assert names(slow.lines)[:2] == PATH[:2]
    assert slow.lines[2:] == ["(truncated)"]
    assert slow.around is None


@pytest.mark.parametrize("strategy", [EndStrategy.RET_SITES, EndStrategy.URETPROBE])
def test_the_stack_of_a_thread_ends_where_the_thread_began(
    strategy: EndStrategy, tmp_path: Path, start: Callable[..., Child], inspector: Inspector
) -> None:
    """Nothing called a thread's first function: its stack is complete, as deep as the program's own unwinder finds it."""
    slow = Slow(start(build(tmp_path, "gcc -O2")), inspector, "thread", strategy)
    assert slow.strategy is strategy
    assert names(slow.lines)[:4] == ["put", "middle", "outer", "begin"]
    assert slow.lines[-1] != "(truncated)", slow.lines
    assert len(slow.lines) == len(slow.own) - 1


def test_a_stack_goes_through_a_signal_handler(
    tmp_path: Path, start: Callable[..., Child], inspector: Inspector
) -> None:
    """A call in a signal handler shows the handler and what was interrupted, as far as the copy reaches."""
    slow = Slow(start(build(tmp_path, "gcc -O2")), inspector, "signal", EndStrategy.RET_SITES)
    assert names(slow.lines)[:2] == ["put", "handler"]
    # The kernel's frame for the handler holds the vector registers; on large ones the copy ends in it.
    if slow.lines[-1] != "(truncated)":
        assert [name for name in names(slow.lines) if name in PATH] == PATH
    else:
        assert len(slow.lines) >= 4, slow.lines


def test_a_function_that_calls_nothing_is_known_where_a_signal_interrupts_it(
    tmp_path: Path, start: Callable[..., Child], inspector: Inspector
) -> None:
    """The interrupted function is that of the saved instruction pointer; on AArch64 its caller is in the saved x30 and nowhere else."""
    slow = Slow(start(build(tmp_path, "gcc -O2")), inspector, "leaf", EndStrategy.RET_SITES)
    known = ["put", "handler", "spin", *(["middle"] if machine() == "aarch64" else [])]
    assert [name for name in names(slow.lines) if name.isidentifier()][: len(known)] == known, slow.lines


@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize("kind", COROUTINES)
def test_the_stack_of_a_coroutine_ends_where_the_coroutine_began(
    kind: str, level: str, tmp_path: Path, start: Callable[..., Child], inspector: Inspector
) -> None:
    """What made the coroutine is no caller of it, whatever lies above: the stack is complete, and no function is around but its own."""
    compiler, first = COROUTINES[kind]
    child = start(build(tmp_path, compiler.replace(" ", f" {level} ", 1), "coroutine_stack.c"))
    for line in ("plain", "frame 3000", "frame 11000"):
        slow = Slow(child, inspector, line, EndStrategy.RET_SITES)
        assert names(slow.lines)[:4] == ["put", "middle", "outer", "coroutine"], slow.lines
        assert slow.lines[-1] != "(truncated)"
        beyond = [line.split("+")[0] for line in slow.lines[4:]]
        assert len(beyond) <= 1 if first is None else any(name.startswith(first) for name in beyond[-1:]), beyond
        assert slow.around is not None
        assert len(slow.around) == 1
        assert slow.may_switch is True


def test_a_stack_like_an_earlier_one_is_not_walked_again(
    tmp_path: Path, start: Callable[..., Child], inspector: Inspector
) -> None:
    """The same path from the same place is one shape, on whichever stack; another depth is another one, and never taken for it."""
    child = start(build(tmp_path, "gcc -O2 -fno-omit-frame-pointer"))
    plan = plan_for(child.path, {"put": Meaning(uretprobe="leaf")}, EndStrategy.RET_SITES)
    stacks = Stacks(inspector, lambda _target: child.pid, lambda _target: ("put", "outer"))
    walks = []
    walk = stacks._walk

    def counted(space: Space, series: Series, call: SlowCall) -> Walk:
        walks.append(call)
        return walk(space, series, call)

    stacks._walk = counted  # type: ignore[method-assign]
    with backend(events=True, threshold_ns=lambda _probe: 0) as kernel:
        series = next(r for r in kernel.attach(target(child), plan) if isinstance(r, Series))
        seen: dict[str, set[tuple[str, ...]]] = {}
        frames = set()
        for line in ("plain", "deep 500", "deep 1500", "thread", "thread") * 4:
            child.ask(line)
            (call,) = kernel.slow_calls()
            seen.setdefault(line, set()).add(tuple(stacks.symbolise(series, call)))
            around = stacks.around(series, call)
            assert around is not None
            frames.add((line, call.frame, *around))
    assert all(len(each) == 1 for each in seen.values()), seen
    assert all("(truncated)" not in next(iter(each)) for each in seen.values())
    assert all(len(one) == 3 for one in frames)
    assert 3 <= len(walks) <= 8, len(walks)


def test_a_file_that_is_gone_ends_the_stack_and_nothing_else(
    tmp_path: Path, start: Callable[..., Child], inspector: Inspector, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the agent cannot open what the process runs, the stack is truncated there; that is no defect, and nothing raises."""
    child = start(build(tmp_path, "gcc -O2"))
    plan = plan_for(child.path, {"put": Meaning(uretprobe="leaf")}, EndStrategy.RET_SITES)
    stacks = Stacks(inspector, lambda _target: child.pid)
    with backend(events=True, threshold_ns=lambda _probe: 0) as kernel:
        series = next(r for r in kernel.attach(target(child), plan) if isinstance(r, Series))
        child.ask("plain")
        (call,) = kernel.slow_calls()
    space = stacks._spaces.of(0, child.pid)
    space.process = replace(procfs.process(child.pid), pid=2**22, root="/nowhere")
    first, caller, last = stacks.symbolise(series, call)
    assert (first, last) == ("put", "(truncated)")
    assert caller.startswith("stacks+0x")
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def test_a_file_that_hangs_ends_the_stack_and_keeps_nobody_waiting(
    tmp_path: Path, start: Callable[..., Child], inspector: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a file system does not answer, stacks through its files are truncated, after one attempt and not one for each call."""
    child = start(build(tmp_path, "gcc -O2"))
    plan = plan_for(child.path, {"put": Meaning(uretprobe="leaf")}, EndStrategy.RET_SITES)
    stacks = Stacks(inspector, lambda _target: child.pid)
    answers, asked = threading.Event(), []

    def hanging(_process: procfs.Process, file: procfs.MappedFile) -> int:
        asked.append(file.path)
        answers.wait(60)
        raise TargetError("too late")

    with backend(events=True, threshold_ns=lambda _probe: 0) as kernel:
        series = next(r for r in kernel.attach(target(child), plan) if isinstance(r, Series))
        for _ in range(5):
            child.ask("plain")
        calls = kernel.slow_calls()
    monkeypatch.setattr("otel_jb.host.patience.PATIENCE_S", 0.2)
    monkeypatch.setattr("otel_jb.host.patience._silent", {})  # other tests' files are on the same file system
    monkeypatch.setattr("otel_jb.host.procfs.open_file", hanging)
    try:
        seen = [stacks.symbolise(series, call) for call in calls]
    finally:
        answers.set()
    assert len(seen) == 5
    assert all(lines[0] == "put" and lines[-1] == "(truncated)" for lines in seen)
    devices = {code.key[0] for code in stacks._spaces.of(0, child.pid).codes}
    assert 1 <= len(asked) <= len(devices)


def test_a_program_with_coroutines_may_switch_stacks(
    inspector: Inspector, start: Callable[..., Child], tmp_path: Path
) -> None:
    """A process that maps State Threads is known to be able to switch; others are not."""
    path = tmp_path / "st"
    subprocess.run(["gcc", "-O1", "-o", path, PROGRAMS / "st_server.c", "-lst", "-lpthread"], check=True)
    child = start(path, str(tmp_path / "log"))
    assert Stacks(inspector, lambda _target: child.pid).may_switch(child.pid) is True
