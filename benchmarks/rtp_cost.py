# SPDX-License-Identifier: Apache-2.0
"""What a packet's RTP header and its stream's state cost at an entry, beside an entry that reads nothing and one that reads the header.

    .venv/bin/python -m benchmarks.rtp_cost [--rounds N]

Root and gcc. Twenty streams of one thread; ns of the thread's own CPU time a call, the best of three runs in each round, all ways in turn. The clock
rate is not known, so there is no jitter; everything else is counted, the flight recorder among it.
"""

from __future__ import annotations

import argparse
import statistics
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.streams import AS_A_SERVER
from otel_jb.model.plan import EndStrategy
from otel_jb.model.reads import Op, ReadOp, ReadProgram
from otel_jb.model.stream import Target
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from tests.bpf.conftest import PROGRAMS
from tests.bpf.plans import Meaning, plan_for
from tests.rtp_oracle import packet

PACKETS, STREAMS, RUNS = 60_000, 20, 3
#: put(buffer, packet, bytes)
_SIZE = (ReadOp(Op.STREAM, src=0), ReadOp(Op.EXT, dst=2, width=4), ReadOp(Op.BYTES, src=2))
_END = ReadOp(Op.END)
HEADER, RTP = "the header is read", "RTP and streams"
WAYS = {
    "nothing is read": ReadProgram(entry=(*_SIZE, _END)),
    HEADER: ReadProgram(
        entry=(*_SIZE, ReadOp(Op.READ, dst=3, src=1, width=8, skip=0), ReadOp(Op.SAVE, src=3), _END), fields=("rtp",)
    ),
    RTP: ReadProgram(entry=(*_SIZE, ReadOp(Op.RTP, src=1, skip=0), _END), fields=("rtp",)),
}


def _packets(path: Path) -> None:
    """The streams in turn, every packet in its own."""
    with path.open("wb") as file:
        for number in range(PACKETS):
            turn, stream = divmod(number, STREAMS)
            data = packet(turn, 160 * turn, stream + 1)
            file.write(struct.pack("=IIQ", len(data), 0, 0x7F00_0000_1000 + 64 * stream) + data)


def measure(rounds: int) -> dict[str, list[int]]:
    """Ns a call by what is read, one value a round. Raises RuntimeError where not every packet was counted."""
    found: dict[str, list[int]] = {name: [] for name in ("no probe", *WAYS)}
    with tempfile.TemporaryDirectory() as name:
        program, packets = Path(name, "rtp_streams"), Path(name, "packets")
        source = PROGRAMS / "rtp_streams.c"
        subprocess.run(["gcc", "-O2", *AS_A_SERVER, "-pthread", "-o", program, source], check=True)
        _packets(packets)
        with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdout.readline()

            def run() -> int:
                assert child.stdin is not None
                assert child.stdout is not None
                child.stdin.write(f"{packets}\n")
                return int(child.stdout.readline().split()[1])

            target = Target(1, child.pid, 0, program.name, str(program), None, program.name, "x", 0)
            for _ in range(rounds):
                found["no probe"].append(min(run() for _ in range(RUNS)))
                for way, read in WAYS.items():
                    kernel = BpfBackend(KernelOptions([1_000_000], streams=STREAMS))
                    try:
                        meaning = Meaning(program=read, argument_registers=frozenset({1, 2, 3}))
                        kernel.attach(target, plan_for(program, {"put": meaning}, EndStrategy.ENTRY_ONLY))
                        found[way].append(min(run() for _ in range(RUNS)))
                        counted = sum(each.received for each in kernel.snapshot(roll=True).rtp)
                        if way == RTP and counted != RUNS * PACKETS:
                            raise RuntimeError(f"{counted} packets of {RUNS * PACKETS} counted")
                    finally:
                        kernel.close()
            child.stdin.close()
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    found = measure(parser.parse_args().rounds)
    print("| entry | best, ns a call | median |\n|---|---:|---:|")
    for way, values in found.items():
        print(f"| {way} | {min(values)} | {statistics.median(values):.0f} |")
    print(f"RTP and streams cost {min(found[RTP]) - min(found[HEADER])} ns over the header's read at best.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
