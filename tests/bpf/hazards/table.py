# SPDX-License-Identifier: Apache-2.0
"""The table of docs/safety.md: what each hazard does to its target under this agent, forced return probes, bpftrace and funclatency.

python -m tests.bpf.hazards.table            prints it (some minutes, as root)
python -m tests.bpf.hazards.table --write    renews it in the page
"""

from __future__ import annotations

import argparse
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import peers
from otel_jb.model.plan import Probe
from tests.bpf.hazards.harness import HAZARDS, Agent, Child, Hazard, Outcome, command, play

PAGE = Path(__file__).parents[3] / "docs" / "safety.md"
BEGIN, END = "<!-- table: python -m tests.bpf.hazards.table --write -->", "<!-- end of table -->"
LIMIT_S = 4.0
HEAD = ("hazard", "default, -O2", "default, -O0", "uretprobe by force", "bpftrace", "funclatency")


def main() -> int:
    """Returns 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"renew the table in {PAGE.name}")
    write = parser.parse_args().write
    agent = Agent()
    rows = []
    try:
        for hazard in HAZARDS:
            rows.append(row(agent, hazard))
            print("| " + " | ".join(rows[-1]) + " |", flush=True)
    finally:
        agent.close()
    versions = f"Linux {platform.release().split('-')[0]}, {platform.machine()}; {tool_versions()}."
    lines = ["", versions, "", "| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    lines += ["| " + " | ".join(each) + " |" for each in rows]
    if write:
        text = PAGE.read_text()
        before, rest = text.split(BEGIN)
        PAGE.write_text(before + BEGIN + "\n".join(["", *lines, ""]) + END + rest.split(END)[1])
    else:
        sys.stdout.write("\n".join([*lines, ""]))
    return 0


def row(agent: Agent, hazard: Hazard) -> tuple[str, ...]:
    """One hazard's line."""
    cells = [hazard.what]
    for build in ("O2", "O0"):
        reference = play(command(hazard, build), hazard.rounds)
        outcome = play(command(hazard, build), hazard.rounds, agent, limit(reference))
        entered = [name for name, (count, _) in reference.calls.items() if count]
        used = dict.fromkeys(outcome.strategies[name] for name in entered)
        cells.append(f"{', '.join(used)}: {verdict(outcome, reference)}")
    reference = play(command(hazard, "O2"), hazard.rounds)
    cells.append(verdict(play(command(hazard, "O2"), hazard.rounds, agent, limit(reference), unsafe=True), reference))
    entered = [name for name, (count, _) in reference.calls.items() if count]
    cells.extend(peer(agent, hazard, reference, entered, tool) for tool in (bpftrace, funclatency))
    return tuple(cells)


def limit(reference: Outcome) -> float:
    """Seconds after which a program counts as hung."""
    return max(LIMIT_S, 50 * reference.seconds)


def verdict(outcome: Outcome, reference: Outcome, seen: int | None = None) -> str:
    """In words. `seen`: the returns that another tool has counted."""
    if outcome.end == "hung":
        return "**hangs**"
    if outcome.end.startswith("SIG"):
        return f"**dies** ({outcome.end})"
    if (outcome.end, outcome.output) != (reference.end, reference.output):
        return "**goes wrong**"
    entered = sum(count for count, _ in reference.calls.values())
    returned = sum(count for _, count in reference.calls.values())
    if seen is not None:
        if seen > returned:
            return f"unharmed, {seen} returns seen where {returned} were"
        return "unharmed, all seen" if seen == returned else f"unharmed, {seen} of {returned} returns seen"
    if not outcome.complaints():
        return "unharmed, exact"
    return f"unharmed, {sum(v.returned for v in outcome.values.values())} of {returned} returns ({entered} calls) seen"


Tool = Callable[[int, Sequence[Probe]], tuple[list[str], str]]


def bpftrace(pid: int, probes: Sequence[Probe]) -> tuple[list[str], str]:
    """The usual latency script, and what it says once it is attached."""
    script = 'BEGIN { printf("attached\\n"); } '
    for probe in probes:
        place = f'"{probe.file}":"{probe.symbol.name}"'
        script += f"uprobe:{place} {{ @start[tid] = nsecs; }} "
        script += f"uretprobe:{place} {{ @ns = hist(nsecs - @start[tid]); @seen = count(); }} "
    return ["bpftrace", "-B", "line", "-p", str(pid), "-e", script], "attached"


def funclatency(pid: int, probes: Sequence[Probe]) -> tuple[list[str], str]:
    """As its examples say."""
    return peers.funclatency_command(probes[0].file, [probe.symbol.name for probe in probes], pid), "Tracing"


def peer(agent: Agent, hazard: Hazard, reference: Outcome, functions: Sequence[str], tool: Tool) -> str:
    """What another tool does to the program."""
    child = Child(command(hazard, "O2"))
    assert child.hear(30) == "ready"
    probes = [p for p in agent.plan(child.pid).plan.probes if p.function in functions]
    arguments, attached = tool(child.pid, probes)
    other = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=peers.environment(),
    )
    assert other.stdout is not None
    heard = []
    for line in other.stdout:
        heard.append(line)
        if attached in line:
            break
    if other.poll() is not None:
        child.end(1)
        return "does not attach"
    outcome = Outcome()
    child.say(str(hazard.rounds))
    while (told := child.hear(limit(reference))) is not None:
        outcome.output.append(told)
        if told == "done":
            break
    outcome.end = child.end(limit(reference))
    if other.poll() is None:
        other.send_signal(signal.SIGINT)
    try:
        rest, _ = other.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        other.kill()
        rest, _ = other.communicate()
    counts = re.findall(r"@seen: (\d+)|->.*: (\d+) +\|", rest)
    seen = sum(int(a or b) for a, b in counts)
    return verdict(outcome, reference, seen)


def tool_versions() -> str:
    """Of the others."""
    first = subprocess.run(["bpftrace", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    second = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "bpfcc-tools"], capture_output=True, text=True,
                            check=False).stdout  # fmt: skip
    return f"{first}, funclatency of bpfcc-tools {second}"


if __name__ == "__main__":
    sys.exit(main())
