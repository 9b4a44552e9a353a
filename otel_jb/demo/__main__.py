# SPDX-License-Identifier: Apache-2.0
"""`python -m otel_jb.demo`: a sender, a lossy relay and a receiver, without an agent; for docker-compose's demo profile.

It runs until SIGTERM or SIGINT and prints the relay's counts every ten seconds.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from otel_jb.demo.ffmpeg import Receiver, Sender, temporary_directory
from otel_jb.demo.relay import Impairment, Relay


def main() -> int:
    """Run the traffic; 1 if an FFmpeg ended by itself."""
    argparse.ArgumentParser(prog="python -m otel_jb.demo", description=__doc__).parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with temporary_directory() as name:
        directory = Path(name)
        receiver = Receiver(directory)
        try:
            receiver.wait_until_listening()
            relay = Relay(receiver.rtp_port, receiver.rtcp_port, Impairment(loss=0.03, delayed=0.05, duplicated=0.02))
            relay.start()
            sender = Sender(directory, relay.rtp_port, relay.rtcp_port)
            try:
                while not stop.wait(10.0):
                    for child in (receiver, sender):
                        if child.process.poll() is not None:
                            print(f"FFmpeg, the {child.name}, ended: {child.log()}", file=sys.stderr)
                            return 1
                    print(relay.counts(), flush=True)
            finally:
                sender.stop()
                relay.stop()
        finally:
            receiver.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
