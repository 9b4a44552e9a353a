"""What one probe hit costs on this machine, measured at start on a tiny child of the agent's own.

The child maps a few instructions from a memory file and calls them in a loop; no compiler is involved. The agent attaches its own
programs to that code as it does to a target's, so what is measured is what a target pays.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import subprocess
import sys
from platform import machine
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_jb.model.stream import AgentCost


CALLS = 300  #: few enough that a round is seldom interrupted
ROUNDS = 20

# int put(long n): calls f n times. f: an emulated instruction, an emulated branch, a stepped one, `ret`.
# Offsets into the code: (f, its branch before the end, an instruction that is stepped, its ret); entry of the loop is 0.
_X86 = bytes.fromhex(
    "53"  # push %rbx
    "4889fb"  # mov %rdi,%rbx
    "e808000000"  # call f (at 17)
    "48ffcb"  # dec %rbx
    "75f6"  # jne to the call
    "5b"  # pop %rbx
    "c3"  # ret
    "90"
    "55"  # f: push %rbp
    "eb00"  # jmp to the next instruction
    "5d"  # pop %rbp
    "c3"  # ret
)
_X86_SPOTS = (17, 18, 20, 21)
_ARM = struct.pack(
    "<13I",
    0xA9BE7BFD,  # stp x29, x30, [sp, #-32]!
    0xF9000BF3,  # str x19, [sp, #16]
    0xAA0003F3,  # mov x19, x0
    0x94000006,  # bl f (at 36)
    0xF1000673,  # subs x19, x19, #1
    0x54FFFFC1,  # b.ne to the bl
    0xF9400BF3,  # ldr x19, [sp, #16]
    0xA8C27BFD,  # ldp x29, x30, [sp], #32
    0xD65F03C0,  # ret
    0x14000001,  # f: b to the next instruction
    0x14000001,  # b to the next instruction
    0xAA0003E0,  # mov x0, x0
    0xD65F03C0,  # ret
)
_ARM_SPOTS = (36, 40, 44, 48)


def code() -> tuple[bytes, tuple[int, int, int, int]]:
    """The machine code and the offsets of (entry, branch before the end, stepped instruction, ret)."""
    return (_ARM, _ARM_SPOTS) if machine() == "aarch64" else (_X86, _X86_SPOTS)


class Specimen:
    """The child process. `run` calls the function and returns the best round's nanoseconds per call."""

    def __init__(self) -> None:
        self._file = os.memfd_create("otel-jb-specimen", os.MFD_CLOEXEC)
        os.write(self._file, code()[0].ljust(mmap.PAGESIZE, b"\0"))
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", __file__, str(self._file)],
            pass_fds=[self._file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self._process.pid
        self.path = f"/proc/{os.getpid()}/fd/{self._file}"
        assert self._process.stdout is not None
        self._process.stdout.readline()  # the code is mapped now

    def run(self) -> float:
        """Nanoseconds per call, with whatever is attached now."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline() or "nan")

    def close(self) -> None:
        """End the child."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()
        os.close(self._file)


def as_costs(bare: float, edge: float, returned: float, stepped: float) -> AgentCost:
    """From nanoseconds per call under each way of probing, entry included, to seconds by kind of hit.

    `emulated` is a hit on an instruction that the kernel emulates, `stepped` on one that it steps out of line, `uretprobe` the
    return half of a return probe. An entry and an edge are two emulated hits.
    """
    from otel_jb.model.stream import AgentCost  # not at the top: the child runs this file alone

    emulated = max(0.0, edge - bare) / 2
    kinds = {
        "emulated": emulated,
        "stepped": max(0.0, stepped - bare - emulated),
        "uretprobe": max(0.0, returned - bare - emulated),
    }
    return AgentCost(tuple((kind, ns / 1e9) for kind, ns in kinds.items()))


def _child() -> None:
    """Runs in the child: one measurement a line of input."""
    import time

    # Private and not writable, as a program's text: the kernel puts no probe into a shared or writable mapping.
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    area = libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE, int(sys.argv[1]), 0)
    call = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_long)(area)
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()
    for _ in sys.stdin.buffer:
        best = float("inf")
        for _round in range(ROUNDS):
            start = time.perf_counter_ns()
            call(CALLS)
            best = min(best, (time.perf_counter_ns() - start) / CALLS)
        sys.stdout.buffer.write(b"%.2f\n" % best)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _child()
