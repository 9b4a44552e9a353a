# SPDX-License-Identifier: Apache-2.0
"""A thousand RTP streams through one server, 100 000 packets a second by four threads: what the agent says of them, and what it holds.

    .venv/bin/python -m benchmarks.streams [--seconds N] [--rate N]

Root and gcc. The server keeps its own account of every stream. With a label for each stream, every count of every stream must be the
server's. With twenty labels, the sums must be, and the streams that have a label in the end must be the twenty busiest. A minute after
the last packet nothing must be left of them. Exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.agent_cpu import cpu_ns
from benchmarks.fleet import Agent

HERE = Path(__file__).parent
PROFILE = """\
profile: streams
title: The benchmark's server
functions:
  - name: jitterbuffer_put
    role: put
    primary: true
    returns: i32
    bytes: i32 arg2
    rtp: arg1
"""
METRICS = (
    "rtp_packets_received_total",
    "rtp_received_bytes_total",
    "rtp_packets_lost",
    "rtp_packets_reordered_total",
    "rtp_packets_duplicated_total",
)
#: Its put begins with a push, as functions of servers do. Probes on what so small a function would begin and end with are stepped, for 14 µs a
#: call on virtual machines, and two processors then never see 100 000 packets a second.
AS_A_SERVER = ("-fcf-protection=none", "-fstack-protector-all", "-fno-omit-frame-pointer", "-fno-shrink-wrap")
STREAMS, BUSY, LABELS = 1000, 5, 20
OTHER = "_other"
Counts = tuple[int, ...]


class Server:
    """The program, and what it has counted."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout
        self.pid = self._process.pid
        self._out.readline()

    def run(self, seconds: float, rate: int) -> tuple[dict[str, Counts], float]:
        """Its account in all by label, and how many seconds it took."""
        self._in.write(f"run {seconds} {rate}\n")
        account = {}
        while not (line := self._out.readline()).startswith("done"):
            ssrc, *counts = map(int, line.split())
            account[f"ssrc:{ssrc:08x}"] = tuple(counts)
        return account, float(line.split()[1])

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def measured(directory: Path, labels: int) -> Iterator[tuple[Server, Agent]]:
    """The server, and an agent with this number of labels."""
    server = Server(directory / "streams")
    try:
        agent = Agent(
            *("--pid", str(server.pid), "--profile", str(directory / "streams.yaml"), "--interval", "1s"),
            *("--streams", str(labels)),
        )
        agent.wait_for(1)
        yield server, agent
        agent.stop()
    finally:
        server.close()


def told(agent: Agent) -> dict[str, Counts]:
    """What the agent says, by label."""
    found: dict[str, dict[str, int]] = {}
    for family in text_string_to_metric_families(agent.get("metrics")):
        for sample in family.samples:
            if sample.name in METRICS:
                found.setdefault(sample.labels["stream"], {})[sample.name] = int(sample.value)
    return {stream: tuple(of_stream[name] for name in METRICS) for stream, of_stream in found.items()}


def settled(agent: Agent, packets: int) -> dict[str, Counts]:
    """The same once all that was sent is counted, or is not for 30 s."""
    deadline = time.monotonic() + 30
    while True:
        found = told(agent)
        if sum(counts[0] for counts in found.values()) >= packets or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def sums(counts: dict[str, Counts]) -> Counts:
    """Over all streams."""
    return tuple(map(sum, zip(*counts.values(), strict=True)))


def resident_mib(agent: Agent) -> float:
    """Of the agent and its children."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in agent.processes())
    return pages * 4096 / 2**20


def every_stream(directory: Path, seconds: float, rate: int) -> bool:
    """Every count of every stream; packets a second, the agent's CPU time and its memory are printed."""
    with measured(directory, STREAMS) as (server, agent):
        before = resident_mib(agent)
        used = cpu_ns(agent.process.pid)
        account, took = server.run(seconds, rate)
        used = cpu_ns(agent.process.pid) - used
        found = settled(agent, sums(account)[0])
        wrong = [label for label, counts in account.items() if found.get(label) != counts]
        made = sums(account)[0]
        print(f"{len(account)} streams, {made} packets at {made / took:.0f}/s: {len(wrong)} streams differ")
        print(
            f"agent: {used / took / 1e7:.1f} % of a CPU, {before:.0f} MiB before, {resident_mib(agent):.0f} MiB after"
        )
        return not wrong and set(found) - {OTHER} == set(account)


def busiest(directory: Path, seconds: float, rate: int) -> bool:
    """Sums, the twenty that have a label, and what is left a minute later."""
    wanted = {f"ssrc:{thread * STREAMS // 4 + place + 1:08x}" for thread in range(4) for place in range(BUSY)}
    with measured(directory, LABELS) as (server, agent):
        server.run(seconds, rate)
        between = told(agent)
        account, _ = server.run(seconds, rate)
        found = settled(agent, sums(account)[0])
        exact = sums(found) == sums(account)
        grown = {label for label, counts in found.items() if counts[0] > between.get(label, (0,))[0]} - {OTHER}
        print(f"with {LABELS} labels: {'sums are exact' if exact else f'{sums(found)} is not {sums(account)}'}")
        print(f"the busiest have a label: {grown == wanted}; {len(found)} labels shown")
        left = found
        deadline = time.monotonic() + 150
        while set(left) - {OTHER} and time.monotonic() < deadline:
            time.sleep(1)
            left = told(agent)
        print(f"labels left after the streams ended: {len(set(left) - {OTHER})}")
        return exact and grown == wanted and len(found) <= 2 * LABELS + 1 and not set(left) - {OTHER}


def main() -> int:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        source = HERE / "programs" / "streams.c"
        subprocess.run(["gcc", "-O2", *AS_A_SERVER, "-pthread", "-o", directory / "streams", source], check=True)
        (directory / "streams.yaml").write_text(PROFILE)
        whole = every_stream(directory, given.seconds, given.rate)
        return 0 if busiest(directory, given.seconds, given.rate) and whole else 1


if __name__ == "__main__":
    sys.exit(main())
