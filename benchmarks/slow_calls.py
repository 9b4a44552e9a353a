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

from benchmarks.processes import below, cpu_ns, spent_ns
from tests.e2e.agent_process import Conversation, agent
from tests.e2e.test_traces import build
from tests.otlp_receiver import grpc_receiver

COROUTINES = 20
#: Slow calls a second, by the program's figures: the wait in microseconds between a coroutine's puts gives this rate.
RATES = (0, 100, 200)
GOAL = 0.02


@dataclass(frozen=True)
class Share:
    """What was measured at one rate."""

    wanted: int
    slow: float  #: slow calls a second, as the agent counted them
    traces: int
    spans: int
    agent: float  #: of one CPU, with all its processes


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
            pid = measuring.process.pid
            began, own = time.monotonic(), cpu_ns((pid, *below(pid)))
            before, spans_before = measuring.scrape(), len(receiver.spans())
            time.sleep(seconds)
            took = time.monotonic() - began
            spent = spent_ns(own, cpu_ns((pid, *below(pid))))
            after, spans = measuring.scrape(), receiver.spans()[spans_before:]
            load.join()
        emitted = after.total("otel_jb_events_emitted_total") - before.total("otel_jb_events_emitted_total")
        traces = len({span.trace_id for _, span in spans})
        return Share(rate, emitted / took, traces, len(spans), spent / took / 1e9)


def table(shares: list[Share]) -> str:
    """Markdown."""
    lines = [
        "| slow calls/s wanted | counted | traces | spans | agent, % of one CPU |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {s.wanted} | {s.slow:.0f} | {s.traces} | {s.spans} | {s.agent * 100:.2f} |" for s in shares]
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
