# SPDX-License-Identifier: Apache-2.0
"""What slow calls cost the agent: its CPU time while a State Threads server makes 0, 100 and 200 slow calls a second.

    .venv/bin/python -m benchmarks.slow_calls [--seconds N]

Root; g++ and libst-dev. Twenty coroutines on one thread; half of the slow calls are slow because of the probed call inside them, which is
a slow call too. Everything is on as by default, but for the limit of 100 slow calls a second and function: the Prometheus endpoint, metrics and traces by OTLP/gRPC to a receiver in this process. The
agent's share of a CPU is that of its own process and of its exporter; the sandbox is listed apart.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.agent_process import Conversation, agent
from tests.e2e.test_traces import build
from tests.otlp_receiver import grpc_receiver

COROUTINES = 20
#: Slow calls a second, by the program's figures: the wait in microseconds between a coroutine's puts gives this rate.
RATES = (0, 100, 200)
GOAL = 0.02
EXPORTER = "jb-exporter"  #: its name for ps


@dataclass(frozen=True)
class Share:
    """What was measured at one rate."""

    wanted: int
    slow: float  #: slow calls a second, as the agent counted them
    traces: int
    spans: int
    agent: float  #: of one CPU
    children: float


def cpu_ns(pid: int) -> int:
    """CPU time of a process, ended threads included."""
    return time.clock_gettime_ns(~pid << 3 | 2)  # clock_getcpuclockid(3), which Python has for threads only


def processes(pid: int) -> tuple[list[int], list[int]]:
    """The agent with its exporter, and the sandbox."""
    children = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    exporters = [each for each in children if Path(f"/proc/{each}/comm").read_text().strip() == EXPORTER]
    return [pid, *exporters], [each for each in children if each not in exporters]


def measure(rate: int, seconds: float) -> Share:
    """The agent at one rate of slow calls."""
    with tempfile.TemporaryDirectory() as name, grpc_receiver() as receiver:
        directory = Path(name)
        program, unlimited = build(directory, "coroutines"), directory / "otel-jb.yaml"
        unlimited.write_text("slow: {rate: 1000}\n")
        with (
            Conversation(program) as server,
            agent(
                directory, "--config", str(unlimited), "--pid", str(server.pid), "--otlp-endpoint", receiver.endpoint
            ) as measuring,
        ):
            time.sleep(8)  # what is done once at start is over: the cost of a hit is measured
            # Of three slow calls two are puts, one of which is slow by its decode: puts last 2/3 of what all slow calls a second take.
            puts = rate * 2 / 3
            load = threading.Thread(target=lambda: None)
            if rate:
                wait_us = int(COROUTINES / puts * 1e6)
                total = int(puts * (seconds + 6))
                load = threading.Thread(
                    target=server.ask, args=(f"run {COROUTINES} {total} {total} {wait_us}",), daemon=True
                )
            load.start()
            time.sleep(3)  # the stacks are known by then
            own_pids, sandbox = processes(measuring.process.pid)
            began, own, theirs = time.monotonic(), sum(map(cpu_ns, own_pids)), sum(map(cpu_ns, sandbox))
            before, spans_before = measuring.scrape(), len(receiver.spans())
            time.sleep(seconds)
            took = time.monotonic() - began
            own, theirs = sum(map(cpu_ns, own_pids)) - own, sum(map(cpu_ns, sandbox)) - theirs
            after, spans = measuring.scrape(), receiver.spans()[spans_before:]
            load.join()
        emitted = after.total("otel_jb_events_emitted_total") - before.total("otel_jb_events_emitted_total")
        traces = len({span.trace_id for _, span in spans})
        return Share(rate, emitted / took, traces, len(spans), own / took / 1e9, theirs / took / 1e9)


def table(shares: list[Share]) -> str:
    """Markdown."""
    lines = [
        "| slow calls/s wanted | counted | traces | spans | agent, % of one CPU | its sandbox, % |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {s.wanted} | {s.slow:.0f} | {s.traces} | {s.spans} | {s.agent * 100:.2f} | {s.children * 100:.2f} |"
        for s in shares
    ]
    worst = max(share.agent for share in shares)
    lines += ["", f"At most {worst:.2%} of a CPU (goal: {GOAL:.0%}; {'met' if worst <= GOAL else 'missed'})."]
    return "\n".join(lines) + "\n"


def run(rounds: int) -> str:
    """Measure, and the table of it."""
    return table([measure(rate, 4.0 * rounds) for rate in RATES])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="at each rate")
    parser.add_argument("--rate", type=int, action="append", help="only this one (repeatable)")
    args = parser.parse_args()
    print(table([measure(rate, args.seconds) for rate in args.rate or RATES]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
