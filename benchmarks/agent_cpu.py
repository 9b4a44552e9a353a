# SPDX-License-Identifier: Apache-2.0
"""What the agent itself costs: its CPU time while the target makes 2 000 calls a second, and while it makes 200 000.

    .venv/bin/python -m benchmarks.agent_cpu [--seconds N]

Root; gcc. One thread of one program calls an edge-probed function at either rate, in turn, N seconds in all at each; the agent has
its Prometheus endpoint on, scraped once a second. The overhead budget is off: 200 000 probed calls take more of a CPU than the
default budget lets them, and the governor would detach the probe.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
SLOW, FAST = 2_000, 200_000
TURNS = (SLOW, FAST, FAST, SLOW)
GOAL = 1.1


@contextmanager
def caller(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """The target."""
    path = directory / "rate"
    subprocess.run(["gcc", "-O2", "-o", path, HERE / "programs" / "rate.c"], check=True)
    process = subprocess.Popen(
        ["nice", "-n", "-20", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdin
    assert process.stdout
    process.stdout.readline()
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait()


@contextmanager
def agent(pid: int) -> Iterator[tuple[int, str]]:
    """The agent, attached: its PID and the address of its page."""
    command = [
        str(Path(sys.executable).with_name("otel-jb")),
        "run",
        "--pid",
        str(pid),
        "--port",
        "0",
        "--overhead-budget",
        "off",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    seen = ""
    try:
        for line in process.stderr:
            seen += line
            page = re.search(r"serving (\S+/metrics)", line)
            if page:
                break
        else:
            raise RuntimeError(f"the agent did not start: {seen}")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield process.pid, page[1]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def cpu_ns(pid: int) -> int:
    """CPU time of a process and its children, ended threads included; stat has ticks of 10 ms, its CPU clock nanoseconds."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    # clock_getcpuclockid(3), which Python has for threads only
    return sum(time.clock_gettime_ns(~each << 3 | 2) for each in (pid, *map(int, children)))


def calls_counted(page: str) -> int:
    """Returned calls, as the agent exports them."""
    text = urllib.request.urlopen(page).read().decode()
    return int(
        sum(float(v) for v in re.findall(r"^jitterbuffer_delay_seconds_count\{[^}]*\} (\S+)", text, re.MULTILINE))
    )


def measure(seconds: float) -> tuple[dict[int, float], dict[int, float]]:
    """By wanted rate: the agent's CPU share, in CPUs; and the rate that was counted."""
    spent = dict.fromkeys(TURNS, 0)
    counted = dict.fromkeys(TURNS, 0)
    elapsed = dict.fromkeys(TURNS, 0.0)
    with tempfile.TemporaryDirectory() as name, caller(Path(name)) as target, agent(target.pid) as (pid, page):
        assert target.stdin
        time.sleep(5)  # what is done once at start is over
        for rate in TURNS:
            target.stdin.write(f"{rate}\n")
            time.sleep(1)
            began, from_ns, from_calls = time.monotonic(), cpu_ns(pid), calls_counted(page)
            while time.monotonic() < began + seconds * TURNS.count(rate) / len(TURNS):
                time.sleep(1)
                calls = calls_counted(page)
            counted[rate] += calls - from_calls
            spent[rate] += cpu_ns(pid) - from_ns
            elapsed[rate] += time.monotonic() - began
    return (
        {rate: spent[rate] / 1e9 / elapsed[rate] for rate in spent},
        {rate: counted[rate] / elapsed[rate] for rate in spent},
    )


def tables(shares: dict[int, float], rates: dict[int, float]) -> str:
    """Markdown."""
    lines = ["| calls/s wanted | calls/s counted | agent, % of one CPU |", "|---|---|---|"]
    lines += [f"| {rate:,} | {rates[rate]:,.0f} | {shares[rate] * 100:.2f} |" for rate in (SLOW, FAST)]
    ratio = shares[FAST] / shares[SLOW]
    lines += ["", f"Ratio: {ratio:.2f} (goal: at most {GOAL}; {'met' if ratio <= GOAL else 'missed'})."]
    return "\n".join(lines) + "\n"


def run(seconds: float) -> str:
    """Measure, and the tables of it."""
    return tables(*measure(seconds))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0, help="at each rate")
    args = parser.parse_args()
    print(run(args.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
