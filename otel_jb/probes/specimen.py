# SPDX-License-Identifier: Apache-2.0
"""The child that `cost` attaches probes to: it calls the specimen's function, one measurement a line of input.

A program of its own that imports hardly anything: its memory counts as the agent's, at a time when files are read and libraries
imported. `argv[1]`: the descriptor of the function's code.
"""

import ctypes
import sys
import time

CALLS = 300  #: few enough that a round is seldom interrupted
ROUNDS = 8
COLD_CALLS = 15
COLD_SLEEP_S = 0.0005  #: before each cold call, as a server sleeps until its next packet
EVICT_BYTES = 1 << 20  #: and what it then works on before the call: more than a core's own caches usually hold
PAGE_BYTES = 4096  #: at least what the kernel maps; `mmap` would have to be imported for the real size
# mman.h. Private and not writable, as a program's text: the kernel puts no probe into a shared or writable mapping.
_PROT_READ_EXEC, _MAP_PRIVATE = 1 | 4, 2


def _median(values: list[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    area = libc.mmap(None, PAGE_BYTES, _PROT_READ_EXEC, _MAP_PRIVATE, int(sys.argv[1]), 0)
    call = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_long)(area)
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()
    other = ctypes.create_string_buffer(EVICT_BYTES)
    for _ in sys.stdin.buffer:
        warm: list[float] = []
        cold: list[float] = []
        for _round in range(ROUNDS):
            start = time.thread_time_ns()
            call(CALLS)
            warm.append((time.thread_time_ns() - start) / CALLS)
        for turn in range(COLD_CALLS):
            time.sleep(COLD_SLEEP_S)
            ctypes.memset(other, turn & 255, EVICT_BYTES)
            start = time.thread_time_ns()
            call(1)
            cold.append(time.thread_time_ns() - start)
        sys.stdout.buffer.write(b"%.2f %.2f\n" % (_median(warm), _median(cold)))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _main()
