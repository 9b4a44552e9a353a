# SPDX-License-Identifier: Apache-2.0
"""An agent among processes that come and go, for an hour: does its memory grow, do its descriptors or threads?

    .venv/bin/python -m benchmarks.soak [--seconds N]

Root; gcc. What the agent and its children have in the last quarter of the time is compared with what they had in the second one; the exit
status is 1 if it is more. Series of ended processes stay for 5 s, so there are as many after a quarter of the time as at its end.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import below
from tests.bpf.conftest import PROGRAMS
from tests.e2e.agent_process import agent, fetch

AT_ONCE = 8  #: processes; each lives for a quarter of a second
SAMPLES = 40
PATIENCE_S = 60.0  #: for a scrape


class Held(NamedTuple):
    """What the agent and the processes below it have."""

    kib: int  #: proportional set size
    descriptors: int
    threads: int

    def flat_to(self, later: Held) -> bool:
        """Whether `later` is not more, but for what an allocator keeps and a request that is under way."""
        more = (later.kib - self.kib * 1.05, later.descriptors - self.descriptors, later.threads - self.threads)
        return more[0] <= 1024 and more[1] <= 4 and more[2] <= 2


def held(pid: int) -> Held:
    """Of the process and those below it."""
    found = []
    for each in (pid, *below(pid)):
        try:
            rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
            size = re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)
            descriptors, threads = (len(os.listdir(f"/proc/{each}/{what}")) for what in ("fd", "task"))  # noqa: PTH208
            found.append((int(size[1]) if size else 0, descriptors, threads))
        except FileNotFoundError:  # a worker of the sandbox, which lives for one request
            continue
    return Held(*map(sum, zip(*found, strict=True)))


def middle(samples: list[Held]) -> Held:
    """The medians."""
    return Held(*(int(statistics.median(values)) for values in zip(*samples, strict=True)))


def scraped(url: str) -> str:
    """The page of metrics, on a machine that may be busy for a while. Raises RuntimeError where it is not served."""
    until = time.monotonic() + PATIENCE_S
    while True:
        status, page = fetch(f"{url}/metrics")
        if status == 200:
            return page
        if time.monotonic() > until:
            raise RuntimeError(f"/metrics answered {status}: {page[:200]}")


def soak(seconds: float) -> tuple[int, list[Held]]:
    """How many processes came and went, and what was held meanwhile. Raises RuntimeError where the agent does not measure them."""
    samples: list[Held] = []
    came = 0
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        program = directory / "soaked"
        source = PROGRAMS / "fleet.c"
        subprocess.run(["gcc", "-O1", "-fcf-protection=none", "-o", program, source], check=True)
        idle = stack.enter_context(subprocess.Popen([program, "idle"]))
        stack.callback(idle.kill)
        options = ("--name", program.name, "--interval", "1s", "--retain", "5s")
        running = stack.enter_context(agent(directory, *options))
        begin = time.monotonic()
        while len(samples) < SAMPLES:
            group = [subprocess.Popen([program, "live", "250"], stdout=subprocess.DEVNULL) for _ in range(AT_ONCE)]
            came += len(group)
            if any(each.wait() for each in group):
                raise RuntimeError("a process died")
            if time.monotonic() >= begin + (len(samples) + 1) * seconds / SAMPLES:
                page = scraped(running.url)
                if page.count("jitterbuffer_calls_total{") <= AT_ONCE:
                    raise RuntimeError("/metrics has none but the idle process")
                samples.append(held(running.process.pid))
        if "Traceback" in running.log():
            raise RuntimeError(running.log())
    return came, samples


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600.0)
    came, samples = soak(parser.parse_args().seconds)
    before, after = middle(samples[SAMPLES // 4 : SAMPLES // 2]), middle(samples[-SAMPLES // 4 :])
    print(f"{came} processes came and went.")
    for when, each in (("second quarter", before), ("last quarter", after)):
        print(f"{when}: {each.kib / 1024:.1f} MiB, {each.descriptors} descriptors, {each.threads} threads")
    flat = before.flat_to(after)
    print("flat" if flat else "it grows")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
