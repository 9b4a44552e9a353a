# SPDX-License-Identifier: Apache-2.0
"""Many processes of one file: what a call costs, and what a thousand of them cost the agent.

    .venv/bin/python -m benchmarks.fleet [--rounds N] [--most N]

Root; gcc, bpftrace and bpfcc-tools. One process of the file is asked how long a call takes while 1, 10, 200 and 1 000 processes are
measured, by the agent and by bpftrace, and while the agent measures three others and not it. Then the agent is started with all of them
running: time until every one is named, CPU time while nobody scrapes, memory, descriptors, scrapes, 300 ends at once, and the stop.
"""

from __future__ import annotations

import argparse
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.floor import Floor
from benchmarks.peers import bpftrace_histogram
from benchmarks.processes import below, cpu_ns, spent_ns
from otel_jb.model.text import number_of

HERE = Path(__file__).parent
SIZES = (1, 10, 200, 1000)
FUNCTIONS = {"put": "edge sites", "get": "return probe"}
CALLS, BATCHES = 300, 200
ASKED = (
    4  #: times at each size, on the way up and on the way down: the machine's speed drifts by more than what is sought
)
IDLE_S, PATIENCE_S = 30.0, 60.0
LEFT = "not selected"


class Process:
    """One process of the file, which calls both functions twice a second."""

    def __init__(self, path: Path, *before: str) -> None:
        self._process = subprocess.Popen(
            [*before, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout
        self.pid = self._process.pid

    def wait_until_ready(self) -> None:
        """Its functions are called from now on."""
        self._out.readline()

    def ns_per_call(self, function: str) -> float:
        """Of the best of many short batches."""
        self._in.write(f"{function} {CALLS} {BATCHES}\n")
        return float(self._out.readline())

    def kill(self) -> None:
        """End it, without waiting."""
        self._process.kill()

    def wait(self) -> None:
        """Until it is gone."""
        self._process.wait()
        self._in.close()
        self._out.close()


class Fleet:
    """Processes of one file; the first is the one that is asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hot = Process(path, "nice", "-n", "-20", "taskset", "-c", "0")
        self.others: list[Process] = []
        self.hot.wait_until_ready()

    def grow(self, size: int) -> None:
        """Start processes until there are `size` in all."""
        new = [Process(self.path) for _ in range(size - 1 - len(self.others))]
        for each in new:
            each.wait_until_ready()
        self.others += new

    def shrink(self, size: int) -> None:
        """End all but `size` processes, at once."""
        gone, self.others = self.others[size - 1 :], self.others[: size - 1]
        for each in gone:
            each.kill()
        for each in gone:
            each.wait()

    def resize(self, size: int) -> None:
        """Start or end processes until there are `size`."""
        if size > 1 + len(self.others):
            self.grow(size)
        else:
            self.shrink(size)

    def close(self) -> None:
        """End all."""
        self.shrink(1)
        self.hot.kill()
        self.hot.wait()


class Agent:
    """`otel-jb run`, with its endpoint."""

    def __init__(self, *options: str) -> None:
        command = [str(Path(sys.executable).with_name("otel-jb")), "run", "--port", "0", "--overhead-budget", "off"]
        self.started = time.monotonic()
        self.process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True, bufsize=1)
        assert self.process.stderr
        seen = ""
        for line in self.process.stderr:
            seen += line
            page = re.search(r"serving (\S+)metrics", line)
            if page:
                self.url = page[1]
                break
        else:
            raise RuntimeError(f"the agent did not start: {seen[-2000:]}")
        # Nobody reads its log: a thousand lines fit into no pipe.
        self._reader = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)

    def get(self, page: str) -> str:
        """One of its pages."""
        try:
            with urllib.request.urlopen(self.url + page, timeout=PATIENCE_S) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def wait_for(self, processes: int) -> float:
        """Wait until `processes` are measured under their own names. Returns seconds since the start."""
        until = time.monotonic() + PATIENCE_S
        while f" of {number_of(processes, 'process')} " not in self.get("ready"):
            if time.monotonic() > until:
                raise RuntimeError(f"not all are measured: {self.get('ready')}")
            time.sleep(0.02)
        return time.monotonic() - self.started

    def scrape(self) -> float:
        """Seconds that one takes."""
        began = time.monotonic()
        if "jitterbuffer_calls_total" not in self.get("metrics"):
            raise RuntimeError("nothing is scraped")
        return time.monotonic() - began

    def processes(self) -> list[int]:
        """Its own PID and those of all processes below it."""
        return [self.process.pid, *below(self.process.pid)]

    def stop(self) -> float:
        """Seconds until it is gone."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait()
        self._reader.wait()
        if status:
            raise RuntimeError(f"the agent ended with {status}")
        return time.monotonic() - began


@contextmanager
def fleet() -> Iterator[Fleet]:
    """The file, built, and one process of it."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "fleet"
        subprocess.run(["gcc", "-O2", "-o", path, HERE / "programs" / "fleet.c"], check=True)
        made = Fleet(path)
        try:
            yield made
        finally:
            made.close()


def costs(sizes: Sequence[int], rounds: int) -> dict[tuple[str, str], float]:
    """Nanoseconds of a call at best, by function and by who measures: a number of processes, or another tool."""
    found: dict[tuple[str, str], list[float]] = {}

    def note(made: Fleet, who: str) -> None:
        for _ in range(ASKED):
            for function in FUNCTIONS:
                found.setdefault((function, who), []).append(made.hot.ns_per_call(function))

    floor = Floor()
    for number in range(rounds):
        with fleet() as made:
            note(made, "no probe")
            for function in FUNCTIONS:
                with floor.attach(made.path, f"jitterbuffer_{function}", made.hot.pid, "perf", returns=False):
                    asked = [made.hot.ns_per_call(function) for _ in range(ASKED)]
                    found.setdefault((function, "floor"), []).extend(asked)
            with bpftrace_histogram(made.path, [f"jitterbuffer_{function}" for function in FUNCTIONS]):
                note(made, "bpftrace")
            agent = Agent("--binary", str(made.path))
            for size in (*sizes, *reversed(sizes[:-1])):
                made.resize(size)
                agent.wait_for(size)
                note(made, str(size))
            agent.stop()
            made.shrink(4)
            made.grow(4)
            agent = Agent(*(word for each in made.others for word in ("--pid", str(each.pid))))
            agent.wait_for(3)
            note(made, LEFT)
            agent.stop()
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    floor.close()
    return {key: min(values) for key, values in found.items()}


def _kib(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def house(size: int) -> list[tuple[str, float, float, str]]:
    """(what, measured, at most, unit) of an agent with that many processes, of one function each."""
    with fleet() as made:
        made.grow(size)
        agent = Agent("--binary", str(made.path), "--function", "jitterbuffer_put")
        attached = agent.wait_for(size)
        time.sleep(10)  # what is done once is over
        began, before = time.monotonic(), cpu_ns(agent.processes())
        time.sleep(IDLE_S)
        share = spent_ns(before, cpu_ns(agent.processes())) / 1e9 / (time.monotonic() - began)
        scrapes = []
        for _ in range(5):
            scrapes.append(agent.scrape())
            time.sleep(1.1)
        memory = sum(map(_kib, agent.processes())) / 1024
        descriptors = sum(1 for _ in Path(f"/proc/{agent.process.pid}/fd").iterdir())
        longest, until = 0.0, time.monotonic() + 5
        for each in made.others[-min(300, size - 1) :]:
            each.kill()
        while time.monotonic() < until:
            longest = max(longest, agent.scrape())
        stopped = agent.stop()
    return [
        ("all measured under their own names, after the start", attached, 3.0, "s"),
        ("CPU while nobody scrapes, of one", share * 100, 3.0, "%"),
        ("memory of all its processes (PSS), after scrapes", memory, 120.0, "MiB"),
        ("descriptors", descriptors, 200, ""),
        ("a scrape (median)", statistics.median(scrapes), 1.0, "s"),
        ("the longest scrape while 300 processes end at once", longest, statistics.median(scrapes) + 1.0, "s"),
        ("stopped after SIGTERM", stopped, 2.0, "s"),
    ]


def tables(found: dict[tuple[str, str], float], rows: Sequence[tuple[str, float, float, str]], size: int) -> str:
    """Markdown."""
    names = [who for function, who in found if function == "put"]
    sizes = [who for who in names if who.isdecimal()]
    lines = [
        "Nanoseconds of a call, by the number of measured processes of the file.",
        "",
        f"| | {' | '.join(f'{int(each):,}' if each.isdecimal() else each for each in names)} | most ÷ 1 |",
        f"|---|{'---|' * (len(names) + 1)}",
    ]
    for function, way in FUNCTIONS.items():
        ratio = max(found[function, each] for each in sizes) / found[function, "1"]
        cells = " | ".join(f"{found[function, who]:.0f}" for who in names)
        lines.append(f"| {way} | {cells} | **{ratio:.2f}** ({'met' if ratio <= 1.1 else 'missed'}: 1.10) |")
    lines += ["", f"An agent with {size:,} processes, each with one function.", "", "| | measured | at most | |"]
    lines.append("|---|---|---|---|")
    for what, value, limit, unit in rows:
        text = f"{value:.2f}" if unit in ("s", "%") else f"{value:.0f}"
        lines.append(f"| {what} | {text} {unit} | {limit:.4g} {unit} | {'met' if value <= limit else 'missed'} |")
    return "\n".join(lines) + "\n"


def run(rounds: int, most: int = SIZES[-1]) -> str:
    """Measure, and the tables of it."""
    rows = house(most)
    return tables(costs([size for size in SIZES if size <= most], max(1, rounds // 2)), rows, most)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="processes at most")
    args = parser.parse_args()
    print(run(args.rounds, args.most))
    return 0


if __name__ == "__main__":
    sys.exit(main())
