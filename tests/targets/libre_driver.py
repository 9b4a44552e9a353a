# SPDX-License-Identifier: Apache-2.0
"""Drives the installed libre's jitter buffer, which at times runs empty, and keeps its own account.

Any Python 3 without packages runs it. It prints "ready"; for each line "run ROUNDS" on stdin it prints one line of JSON; it ends at end of file.
The buffer gives nothing while it holds two frames or fewer. Each round puts no, one or two packets, and takes one.
"""

from __future__ import annotations

import ctypes
import json
import random
import struct
import sys
import time
from collections import deque

ENOENT, EAGAIN = 2, 11
FILLS = 2  # frames that have to be there before one is given
HEADER = 256  # more than a struct rtp_header
SEQUENCE_NUMBER = 6  # where it is in that

library = ctypes.CDLL("libre.so.0")
library.mem_alloc.restype = ctypes.c_void_p
library.mem_alloc.argtypes = [ctypes.c_size_t, ctypes.c_void_p]
library.mem_deref.restype = ctypes.c_void_p
library.mem_deref.argtypes = [ctypes.c_void_p]
library.jbuf_alloc.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_uint32, ctypes.c_uint32]
library.jbuf_put.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
library.jbuf_flush.argtypes = [ctypes.c_void_p]
library.jbuf_get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]


def run(rounds: int) -> dict[str, int]:
    """Play that many rounds on a new buffer; how many calls there were, and what came of them."""
    buffer = ctypes.c_void_p()
    assert library.jbuf_alloc(ctypes.byref(buffer), FILLS, 100) == 0
    source = random.Random(rounds)
    header = ctypes.create_string_buffer(HEADER)
    taken = ctypes.c_void_p()
    number = 0
    held: deque[tuple[int, int]] = deque()  # of each frame in the buffer, the clock before and after it was put
    account = {"put": 0, "get": 0, "packets": 0, "underruns": 0, "filling": 0, "shortest_ns": 0, "longest_ns": 0}
    for _ in range(rounds):
        # It is always given less than is asked for, so it runs empty; now and then all that is left is thrown away.
        for _ in range(source.choice((0, 0, 1, 1, 2))):
            memory = library.mem_alloc(64, None)
            struct.pack_into("=H", header, SEQUENCE_NUMBER, number & 0xFFFF)
            before = time.monotonic_ns()
            assert library.jbuf_put(buffer, header, memory) == 0
            held.append((before, time.monotonic_ns()))
            library.mem_deref(memory)  # the buffer has a reference of its own
            number += 1
            account["put"] += 1
        if source.random() < 0.02:
            library.jbuf_flush(buffer)
            held.clear()
        before = time.monotonic_ns()
        result = library.jbuf_get(buffer, header, ctypes.byref(taken))
        after = time.monotonic_ns()
        account["get"] += 1
        if result in (0, EAGAIN):
            library.mem_deref(taken)
            account["packets"] += 1
            put_before, put_after = held.popleft()
            account["shortest_ns"] += before - put_after
            account["longest_ns"] += after - put_before
        else:
            assert result == ENOENT, result
            account["filling" if held else "underruns"] += 1
    library.mem_deref(buffer)
    return account


def main() -> None:
    """Answer the lines of the standard input."""
    print("ready", flush=True)
    for line in sys.stdin:
        _, rounds = line.split()
        print(json.dumps(run(int(rounds))), flush=True)


if __name__ == "__main__":
    main()
