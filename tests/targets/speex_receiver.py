# SPDX-License-Identifier: Apache-2.0
"""Receives one RTP stream into the installed libspeexdsp's jitter buffer, and plays it: one packet every 20 ms.

`python -m tests.targets.speex_receiver`: it prints the port that it listens on, and ends at end of file.
"""

from __future__ import annotations

import ctypes
import select
import socket
import struct
import sys
import time

from tests.targets.speex_driver import STEP, Packet, library

TICK_S = 0.02


def main() -> int:
    buffer = library.jitter_buffer_init(STEP)
    taken = ctypes.create_string_buffer(4 * STEP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        source.bind(("127.0.0.1", 0))
        print(source.getsockname()[1], flush=True)
        due = time.monotonic() + TICK_S
        while True:
            ready = select.select([source, sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]
            if sys.stdin in ready:
                return 0
            if source in ready:
                data = source.recv(2048)
                sequence, rtp_time = struct.unpack_from("!HI", data, 2)
                payload = ctypes.create_string_buffer(data[12:], len(data) - 12)
                library.jitter_buffer_put(buffer, ctypes.byref(Packet(payload, len(payload), rtp_time, STEP, sequence)))
            if time.monotonic() >= due:
                packet, offset = Packet(taken, len(taken)), ctypes.c_int32()
                library.jitter_buffer_get(buffer, ctypes.byref(packet), STEP, ctypes.byref(offset))
                library.jitter_buffer_tick(buffer)
                due += TICK_S


if __name__ == "__main__":
    sys.exit(main())
