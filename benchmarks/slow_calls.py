# SPDX-License-Identifier: Apache-2.0
"""What slow calls cost the agent: its CPU time while a State Threads server makes 0, 100 and 200 slow calls a second.

    .venv/bin/python -m benchmarks.slow_calls [--seconds N] [--rtp]

Root; g++ and libst-dev; with --rtp only gcc. Twenty coroutines on one thread; half of the slow calls are slow because of the probed call inside them, which is
a slow call too. Everything is on as by default, but for the limit of 100 slow calls a second and function: the Prometheus endpoint, metrics and traces by OTLP/gRPC to a receiver in this process. The
agent's share of a CPU is that of its own process and of its exporter; the sandbox is listed apart.

With --rtp another server takes 650 RTP packets a second of four streams: each span has the packets around its call as events, as with SRS.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import below, cpu_ns, spent_ns
from benchmarks.streams import AS_A_SERVER
from tests.e2e.agent_process import Conversation, agent
from tests.e2e.test_traces import build
from tests.otlp_receiver import grpc_receiver

HERE = Path(__file__).parent
COROUTINES = 20
#: Slow calls a second, by the program's figures: the wait in microseconds between a coroutine's puts gives this rate.
RATES = (0, 100, 200)
GOAL = 0.02
PACKETS = 650  #: RTP packets a second
#: Its put takes half a millisecond where it is slow.
RTP_CONFIG = "slow: {rate: 1000, threshold: 300us}\n"
RTP_PROFILE = """\
profile: rtp-slow
title: The benchmark's server
functions:
  - name: jitterbuffer_put
    role: put
    primary: true
    returns: i32
    stream: arg1
    bytes: i32 arg3
    rtp: arg2
"""


@dataclass(frozen=True)
class Share:
    """What was measured at one rate."""

    wanted: int
    slow: float  #: slow calls a second, as the agent counted them
    traces: int
    spans: int
    agent: float  #: of one CPU, with all its processes
    events: int = 0  #: packets around them


def measure(rate: int, seconds: float) -> Share:
    """The agent at one rate of slow calls."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        program, unlimited = build(directory, "coroutines"), directory / "otel-jb.yaml"
        unlimited.write_text("slow: {rate: 1000}\n")
        # Of three slow calls two are puts, one of which is slow by its decode: puts last 2/3 of what all slow calls a second take.
        puts = rate * 2 / 3
        total = int(puts * (seconds + 6))
        load = f"run {COROUTINES} {total} {total} {int(COROUTINES / puts * 1e6)}" if rate else ""
        return _measure(directory, program, ("--config", str(unlimited)), load, rate, seconds)


def measure_rtp(rate: int, seconds: float) -> Share:
    """The same with RTP packets around the calls."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        program, profile, config = (directory / each for each in ("rtp_slow", "profile.yaml", "otel-jb.yaml"))
        subprocess.run(["gcc", "-O2", *AS_A_SERVER, "-o", program, HERE / "programs" / "rtp_slow.c"], check=True)
        config.write_text(RTP_CONFIG)
        profile.write_text(RTP_PROFILE)
        load = f"run {seconds + 6} {PACKETS} {rate}"
        return _measure(directory, program, ("--config", str(config), "--profile", str(profile)), load, rate, seconds)


def _measure(directory: Path, program: Path, options: Sequence[str], load: str, rate: int, seconds: float) -> Share:
    with (
        grpc_receiver() as receiver,
        Conversation(program) as server,
        agent(directory, *options, "--pid", str(server.pid), "--otlp-endpoint", receiver.endpoint) as measuring,
    ):
        time.sleep(8)  # what is done once at start is over: the cost of a hit is measured
        thread = threading.Thread(target=server.ask if load else lambda _: None, args=(load,), daemon=True)
        thread.start()
        time.sleep(3)  # the stacks are known by then
        pid = measuring.process.pid
        began, own = time.monotonic(), cpu_ns((pid, *below(pid)))
        before, spans_before = measuring.scrape(), len(receiver.spans())
        time.sleep(seconds)
        took = time.monotonic() - began
        spent = spent_ns(own, cpu_ns((pid, *below(pid))))
        after, spans = measuring.scrape(), receiver.spans()[spans_before:]
        thread.join()
    emitted = after.total("otel_jb_events_emitted_total") - before.total("otel_jb_events_emitted_total")
    traces = len({span.trace_id for _, span in spans})
    events = sum(len(span.events) for _, span in spans)
    return Share(rate, emitted / took, traces, len(spans), spent / took / 1e9, events)


def table(shares: list[Share]) -> str:
    """Markdown."""
    lines = [
        "| slow calls/s wanted | counted | traces | spans | packets in them | agent, % of one CPU |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {s.wanted} | {s.slow:.0f} | {s.traces} | {s.spans} | {s.events} | {s.agent * 100:.2f} |" for s in shares
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
    parser.add_argument("--rtp", action="store_true", help="with RTP packets around the calls")
    args = parser.parse_args()
    of = measure_rtp if args.rtp else measure
    print(table([of(rate, args.seconds) for rate in args.rate or RATES]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
