# SPDX-License-Identifier: Apache-2.0
"""Renews the measured parts of docs/performance.md.

    .venv/bin/python -m benchmarks.report [--only NAME ...] [--rounds N]

Root; gcc, bpftrace, bpfcc-tools, imageio-ffmpeg. About 8 minutes. What it writes stands between `<!-- measured: NAME -->` and
`<!-- end: NAME -->`; everything else of the page is left as it is.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import agent_cpu, budgets, discovery, fleet, probe_cost, slow_calls, startup

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def machine() -> str:
    """Where and when, and how busy it was: load tells how far to trust absolute times."""
    model = re.search(r"^(?:model name|Model)\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    system = re.search(r'^PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text(), re.MULTILINE)
    return (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, Linux {platform.release().split('-')[0]} {platform.machine()}, "
        f"{system[1] if system else ''}, {os.cpu_count()} processors ({model[1].strip() if model else 'unknown'}), "
        f"{_version(['bpftrace', '--version'])}, load {load}."
    )


def _version(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def replaced(page: str, name: str, text: str) -> str:
    """The page with the part of this name renewed. Raises ValueError where it has no such part."""
    begin, end = f"<!-- measured: {name} -->", f"<!-- end: {name} -->"
    if begin not in page or end not in page:
        raise ValueError(f"{PAGE.name} has no part {name}")
    before, rest = page.split(begin, 1)
    return f"{before}{begin}\n{text.strip()}\n{end}{rest.split(end, 1)[1]}"


def main() -> int:
    """Measure each part and write it at once, so that what was measured is kept if a later one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parts: dict[str, Callable[[int], str]] = {
        "startup": startup.run,
        "discovery": discovery.run,
        "fleet": fleet.run,
        "agent-cpu": lambda rounds: agent_cpu.run(8.0 * rounds),
        "slow-calls": slow_calls.run,
        "budgets": budgets.run,
        "probe-cost": probe_cost.run,
    }
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    args = parser.parse_args()
    for name in args.only:
        where = machine()
        text = parts[name](args.rounds)
        PAGE.write_text(replaced(PAGE.read_text(), name, f"{where}\n\n{text}"))
        print(text, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
