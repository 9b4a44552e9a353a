# SPDX-License-Identifier: Apache-2.0
"""An FFmpeg a stream, many of them, that come and go: the packets of each are what was sent to it."""

from __future__ import annotations

import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from otel_jb.demo.ffmpeg import Receiver, find_ffmpeg
from tests.e2e.agent_process import AgentProcess, until

pytestmark = pytest.mark.e2e

#: OTEL_JB_TEST_FFMPEGS=100 is the whole of it.
RECEIVERS = int(os.environ.get("OTEL_JB_TEST_FFMPEGS", "12"))
PACKETS = (20, 120)
SAMPLES = 160  #: of G.711 in a packet: 20 ms
_starting = threading.Lock()  # a port that is found free is taken by the next who looks


def send(port: int, packets: int, ssrc: int) -> None:
    """So many RTP packets, one each 20 ms."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(packets):
            header = struct.pack("!BBHII", 0x80, 8, number, number * SAMPLES, ssrc)
            sender.sendto(header + bytes(SAMPLES), ("127.0.0.1", port))
            time.sleep(0.02)


def one_life(directory: Path, number: int, dice: random.Random) -> tuple[int, int]:
    """A receiver that starts, gets its packets and ends: (PID, packets)."""
    time.sleep(dice.random() * RECEIVERS / 12)
    with _starting:
        receiver = Receiver(directory, name=f"receiver-{number}")
        try:
            receiver.wait_until_listening(60)
        except BaseException:
            receiver.stop()
            raise
    try:
        packets = dice.randrange(*PACKETS)
        send(receiver.rtp_port, packets, 1000 + number)
        receiver.wait_until_handled(60)
        assert receiver.kernel_drops() == 0
        return receiver.pid, packets
    finally:
        receiver.stop()


def test_each_of_many_receivers_has_the_packets_that_were_sent_to_it(tmp_path: Path) -> None:
    """Twelve FFmpegs start and stop at random while their streams run; packets, bytes and no drop of each, under its own PID."""
    idle = Receiver(tmp_path, name="idle")
    measuring = AgentProcess(tmp_path, "--binary", str(find_ffmpeg()), "--interval", "1s", "--retain", "5m")
    try:
        measuring.wait_until_ready()
        dice = random.Random(11)
        with ThreadPoolExecutor(RECEIVERS) as lives:
            seeds = [random.Random(dice.random()) for _ in range(RECEIVERS)]
            sent = dict(lives.map(one_life, [tmp_path] * RECEIVERS, range(RECEIVERS), seeds))

        def packets(name: str) -> Counter[int]:
            # One that is met while it still becomes FFmpeg (setpriv executes it) is two targets, the first without a call.
            found: Counter[int] = Counter()
            for labels, value in measuring.scrape().find(name, function="ff_rtp_parse_packet"):
                if int(labels["pid"]) in sent:
                    found[int(labels["pid"])] += int(value)
            return found

        def amiss() -> dict[int, tuple[int, int]]:
            counted = packets("jitterbuffer_packet_count_total")
            return {pid: (count, counted[pid]) for pid, count in sent.items() if counted[pid] != count}

        until(lambda: not amiss(), "the packets of each are counted")
        assert packets("jitterbuffer_bytes_total") == {pid: count * (12 + SAMPLES) for pid, count in sent.items()}
        dropped = measuring.scrape().find("jitterbuffer_dropped_packets_total")
        assert sum(value for labels, value in dropped if int(labels["pid"]) in sent) == 0
        assert measuring.stop() == 0
    finally:
        idle.stop()
        measuring.kill()
