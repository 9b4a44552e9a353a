# SPDX-License-Identifier: Apache-2.0
"""Drives the installed libspeexdsp's jitter buffer with gaps and late packets, and keeps its own account.

Any Python 3 without packages runs it. It prints "ready"; for each line "run ROUNDS" on stdin it prints one line of JSON;
it ends at end of file. In each round of 20 ms the buffer is given the packet of that round, unless it is lost (every
17th), comes three rounds late (every 23rd), or comes far too late to be kept (every 40th); then one packet is taken.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from collections import Counter

STEP = 160  # timestamp units and bytes: 20 ms of G.711
PLACES = 200  # SPEEX_JITTER_MAX_BUFFER_SIZE


class Packet(ctypes.Structure):
    """JitterBufferPacket of speex_jitter.h."""

    _fields_ = (
        ("data", ctypes.POINTER(ctypes.c_char)),
        ("len", ctypes.c_uint32),
        ("timestamp", ctypes.c_uint32),
        ("span", ctypes.c_uint32),
        ("sequence", ctypes.c_uint16),
        ("user_data", ctypes.c_uint32),
    )


class Buffer(ctypes.Structure):
    """The head of JitterBuffer in jitter.c, as far as the places for packets."""

    _fields_ = (("head", ctypes.c_uint32 * 4), ("packets", Packet * PLACES))


library = ctypes.CDLL("libspeexdsp.so.1")
library.jitter_buffer_init.restype = ctypes.POINTER(Buffer)
library.jitter_buffer_init.argtypes = [ctypes.c_int]
library.jitter_buffer_put.restype = None
library.jitter_buffer_put.argtypes = [ctypes.POINTER(Buffer), ctypes.POINTER(Packet)]
library.jitter_buffer_get.argtypes = [
    ctypes.POINTER(Buffer),
    ctypes.POINTER(Packet),
    ctypes.c_int32,
    ctypes.POINTER(ctypes.c_int32),
]
library.jitter_buffer_tick.restype = None
library.jitter_buffer_tick.argtypes = [ctypes.POINTER(Buffer)]
library.jitter_buffer_destroy.restype = None
library.jitter_buffer_destroy.argtypes = [ctypes.POINTER(Buffer)]


def kept(buffer: ctypes._Pointer[Buffer], timestamp: int) -> bool:
    """Whether a place of the buffer holds the packet of this time: what became of it, seen from outside."""
    return any(place.data and place.timestamp == timestamp for place in buffer.contents.packets)


def run(rounds: int) -> dict[str, object]:
    """Play `rounds` rounds on a new buffer; what was called, with how many bytes, and what came back."""
    buffer = library.jitter_buffer_init(STEP)
    storage = ctypes.create_string_buffer(4 * STEP)
    returns: Counter[int] = Counter()
    put = put_bytes = thrown_away = got_bytes = 0
    late: dict[int, list[int]] = {}
    entered: dict[int, tuple[int, int]] = {}  # by a packet's time: the clock's before and after it was put
    stayed = shortest = longest = 0
    for number in range(rounds):
        due = late.pop(number, [])
        if number % 17 == 16:
            pass
        elif number % 23 == 22:
            late.setdefault(number + 3, []).append(number)
        elif number % 40 == 39:
            late.setdefault(number + 30, []).append(number)
        else:
            due.append(number)
        for each in due:
            size = STEP - each % 5  # sizes differ, so that a sum of bytes says more than a count
            packet = Packet(storage, size, each * STEP, STEP, each & 0xFFFF, 0)
            before = time.monotonic_ns()
            library.jitter_buffer_put(buffer, ctypes.byref(packet))
            entered[each * STEP] = (before, time.monotonic_ns())
            put += 1
            put_bytes += size
            thrown_away += not kept(buffer, each * STEP)
        packet = Packet(storage, len(storage), 0, 0, 0, 0)
        offset = ctypes.c_int32()
        before = time.monotonic_ns()
        code = library.jitter_buffer_get(buffer, ctypes.byref(packet), STEP, ctypes.byref(offset))
        after = time.monotonic_ns()
        returns[code] += 1
        if code == 0:
            got_bytes += packet.len
            stayed += 1
            shortest += before - entered[packet.timestamp][1]
            longest += after - entered[packet.timestamp][0]
        library.jitter_buffer_tick(buffer)
    library.jitter_buffer_destroy(buffer)
    return {
        "put": {"calls": put, "bytes": put_bytes, "late": thrown_away},
        "get": {"calls": rounds, "bytes": got_bytes, "returns": {str(code): count for code, count in returns.items()}},
        "tick": {"calls": rounds},
        "residence": {"packets": stayed, "shortest_ns": shortest, "longest_ns": longest},
    }


def main() -> int:
    print("ready", flush=True)
    for line in sys.stdin:
        command, _, rounds = line.partition(" ")
        if command != "run" or not rounds.strip().isdecimal():
            print(f"speex_driver: not a command: {line.strip()}", file=sys.stderr)
            return 2
        print(json.dumps(run(int(rounds))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
