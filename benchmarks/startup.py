# SPDX-License-Identifier: Apache-2.0
"""Time to the first probe, and memory: `otel-jb run`, bpftrace and funclatency on the same FFmpeg, in interleaved rounds.

    .venv/bin/python -m benchmarks.startup [--rounds N]

Root; imageio-ffmpeg, bpftrace and bpfcc-tools. The clock stops when a byte of the function in the target's memory has become a
breakpoint, regardless of who put it there and what the tool reports. The agent has everything on: OTLP over gRPC for metrics and
traces to a receiver that takes them, and the Prometheus endpoint. Memory is the proportional set size, in which a page that processes share
counts once, of the tool and all processes below it: 6 s after the start, when the agent's sandbox has just read files, and 20 s after it,
when it has ended because nothing is left to read. What it takes at most is sampled in starts of their own, as that slows a start down.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import INTERRUPTIBLE, bpftrace_command, environment, funclatency_command
from benchmarks.processes import below
from otel_jb.demo.ffmpeg import Receiver, Sender, find_ffmpeg, temporary_directory
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import find
from otel_jb.host import procfs
from otel_jb.probes.programs.cache import PLACE
from tests.otlp_receiver import grpc_receiver

FUNCTION = "ff_rtp_parse_packet"
EARLY_S, SETTLED_S = 6.0, 20.0
SAMPLE_S = 0.02
_KCMP_VM = 1  # linux/kcmp.h
LIMIT_S = 60.0
GOAL_S, GOAL_MB = 1.0, 95.0
COLD, WARM = "otel-jb run, the first time", "otel-jb run, compiled before"


@dataclass
class Measured:
    """Of one tool: seconds to the first probe, and MB proportional of its processes, early and settled: the tool itself first."""

    seconds: list[float] = field(default_factory=list)
    early: list[float] = field(default_factory=list)
    memory: list[tuple[float, ...]] = field(default_factory=list)
    most: list[tuple[float, float]] = field(
        default_factory=list
    )  #: MB of all processes at most, of each start; seconds after it


class Code:
    """The function's bytes in the target's memory."""

    def __init__(self, pid: int, path: Path) -> None:
        image = Image.from_file(str(path))
        symbol = next(s for s in find(image, [FUNCTION]) if s.name == FUNCTION)
        offset = image.offset(symbol.address)
        where = next(
            m for m in procfs.maps(pid) if m.executable and m.offset <= offset < m.offset + m.end - m.start and m.path
        )
        self._at, self._size = where.start + offset - where.offset, symbol.size
        self._memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        self._original = self._read()

    def _read(self) -> bytes:
        return os.pread(self._memory, self._size, self._at)

    def probed(self) -> bool:
        """Whether a breakpoint, or a jump that replaces one, is in it."""
        return self._read() != self._original

    def close(self) -> None:
        """Close the target's memory."""
        os.close(self._memory)


@contextmanager
def running(command: Sequence[str], code: Code) -> Iterator[subprocess.Popen[bytes]]:
    """A tool, ended at last, until its probes are gone."""
    if code.probed():
        raise RuntimeError(f"another tool has probed {FUNCTION}")
    process = subprocess.Popen(
        [*INTERRUPTIBLE, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment()
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()
    deadline = time.monotonic() + 10
    while code.probed() and time.monotonic() < deadline:
        time.sleep(0.01)


def one(command: Sequence[str], code: Code, measured: Measured) -> None:
    """Start a tool, wait for its first probe, let it settle, measure, end it."""
    started = time.monotonic()
    with running(command, code) as process:
        while not code.probed():
            if process.poll() is not None or time.monotonic() > started + LIMIT_S:
                process.kill()
                raise RuntimeError(f"{command[0]} put no probe: {process.communicate()[1][-500:].decode()}")
            time.sleep(0.002)
        measured.seconds.append(time.monotonic() - started)
        time.sleep(max(0.0, started + EARLY_S - time.monotonic()))
        measured.early.append(sum(_memory(process.pid)))
        time.sleep(max(0.0, started + SETTLED_S - time.monotonic()))
        measured.memory.append(_memory(process.pid))


def most(command: Sequence[str], code: Code) -> tuple[float, float]:
    """Start a tool, and sample what all of its processes take until it has settled: MB at most, and seconds after the start."""
    started = time.monotonic()
    samples = []
    with running(command, code) as process:
        while time.monotonic() < started + SETTLED_S:
            samples.append((sum(_memory(process.pid)), time.monotonic() - started))
            time.sleep(SAMPLE_S)
    return max(samples)


def _memory(pid: int) -> tuple[float, ...]:
    """MB of a process and of each below it; of those that end meanwhile, nothing."""
    found = [(name, size) for each in below(pid) for name, size in [_state(each)] if size and not _is_vfork(each)]
    return tuple(size * 1024 / 1e6 for _, size in [_state(pid), *sorted(found)])


def _state(pid: int) -> tuple[str, int]:
    """Name and KiB."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        name = Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return "", 0
    found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    return name, int(found[1]) if found else 0


def _is_vfork(pid: int) -> bool:
    """Whether a process still has its parent's memory, as between vfork and exec: it would be counted twice."""
    try:
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return False
    kcmp = {"x86_64": 312, "aarch64": 272}[platform.machine()]
    return bool(ctypes.CDLL(None).syscall(kcmp, parent, pid, _KCMP_VM, 0, 0) == 0)


def measure(rounds: int, show: Callable[[str], None]) -> dict[str, Measured]:
    """Every tool in turn, `rounds` times."""
    path = find_ffmpeg()
    agent = str(Path(sys.executable).with_name("otel-jb"))
    with temporary_directory() as name, grpc_receiver() as collector:
        directory = Path(name)
        receiver = Receiver(directory)
        receiver.wait_until_listening()
        sender = Sender(directory, receiver.rtp_port, receiver.rtcp_port)
        code = Code(receiver.pid, path)
        pid = receiver.pid
        # A threshold that every call is over: spans, stacks and exemplars are made all the time.
        options = ["--pid", str(pid), "--port", "0", "--interval", "1s", "--slow-threshold", "1us"]
        commands: dict[str, list[str]] = {
            COLD: [agent, "run", *options, "--otlp-endpoint", collector.endpoint],
            WARM: [agent, "run", *options, "--otlp-endpoint", collector.endpoint],
            "bpftrace `hist()`": bpftrace_command(path, [FUNCTION], pid),
            "funclatency": funclatency_command(path, [FUNCTION], pid),
        }
        results = {tool: Measured() for tool in commands}
        try:
            for number in range(rounds):
                for tool, command in commands.items():
                    if tool == COLD:
                        shutil.rmtree(Path("/").joinpath(*PLACE), ignore_errors=True)
                    one(command, code, results[tool])
                for tool in (COLD, WARM):
                    if tool == COLD:
                        shutil.rmtree(Path("/").joinpath(*PLACE), ignore_errors=True)
                    results[tool].most.append(most(commands[tool], code))
                show(f"round {number + 1} of {rounds}")
            if not collector.metric_requests or not collector.trace_requests:
                raise RuntimeError("the agent sent no metrics or no traces: not everything was on")
        finally:
            code.close()
            sender.stop()
            receiver.stop()
    return results


def tables(results: dict[str, Measured]) -> str:
    """Markdown."""
    lines = [
        f"| | first probe: best s (median) | PSS, MB, after {EARLY_S:.0f} s: median (most) | after {SETTLED_S:.0f} s | of each process |",
        "|---|---|---|---|---|",
    ]
    for tool, m in results.items():
        each = " + ".join(f"{statistics.median(sizes):.0f}" for sizes in zip(*m.memory, strict=True))
        lines.append(
            f"| {tool} | {min(m.seconds):.2f} ({statistics.median(m.seconds):.2f}) "
            f"| {statistics.median(m.early):.1f} ({max(m.early):.1f}) "
            f"| {statistics.median(map(sum, m.memory)):.1f} ({max(map(sum, m.memory)):.1f}) | {each} |"
        )
    lines.append("")
    for tool in (COLD, WARM):
        own = results[tool].seconds
        within = sum(each <= GOAL_S for each in own)
        lines.append(f"{tool}: first probe within {GOAL_S:.1f} s in {within} of {len(own)} rounds.")
    for tool in (COLD, WARM):
        size, when = max(results[tool].most)
        met = "met" if size <= GOAL_MB else "missed"
        lines.append(
            f"{tool}: all processes at most {size:.1f} MB, {when:.1f} s after the start. Goal, at most {GOAL_MB:.0f} MB at any time: {met}."
        )
    return "\n".join(lines) + "\n"


def run(rounds: int) -> str:
    """Measure, and the tables of it."""
    return tables(measure(rounds, lambda line: print(line, file=sys.stderr)))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    print(run(args.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
