# SPDX-License-Identifier: Apache-2.0
"""Receives one RTP stream with the installed libortp, and takes its packets at a fixed interval.

Any Python 3 without packages runs it: `ortp_driver.py SECONDS`. It prints the port that it listens on, and ends at end of file. The session's
queue holds 100 packets; a reader that comes too seldom makes oRTP throw the rest away.
"""

from __future__ import annotations

import ctypes
import select
import socket
import sys
import time

library = ctypes.CDLL("libortp.so.16")
library.rtp_session_new.restype = ctypes.c_void_p
library.rtp_session_new.argtypes = [ctypes.c_int]
library.rtp_session_set_local_addr.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
library.rtp_session_set_payload_type.argtypes = [ctypes.c_void_p, ctypes.c_int]
library.rtp_session_enable_rtcp.argtypes = [ctypes.c_void_p, ctypes.c_int]
library.rtp_session_recvm_with_ts.restype = ctypes.c_void_p
library.rtp_session_recvm_with_ts.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
library.freemsg.argtypes = [ctypes.c_void_p]

RECEIVE_ONLY = 0
PCMA = 8


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main() -> int:
    every = float(sys.argv[1])
    library.ortp_init()
    session = library.rtp_session_new(RECEIVE_ONLY)
    port = free_port()
    if library.rtp_session_set_local_addr(session, b"127.0.0.1", port, -1):
        return 1
    library.rtp_session_set_payload_type(session, PCMA)
    library.rtp_session_enable_rtcp(session, 0)  # nobody to report to
    print(port, flush=True)
    begin = time.monotonic()
    while not select.select([sys.stdin], [], [], every)[0]:
        # All whose time has come: RTP time runs with the clock.
        now = int((time.monotonic() - begin) * 8000)
        while message := library.rtp_session_recvm_with_ts(session, now):
            library.freemsg(message)
    return 0


if __name__ == "__main__":
    sys.exit(main())
