# SPDX-License-Identifier: Apache-2.0
"""Real RTP streams for the tests: FFmpeg behind the lossy relay, and oRTP's mediastream behind its own simulator."""

from __future__ import annotations

import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.demo.ffmpeg import Receiver, Sender
from otel_jb.demo.relay import Impairment, Relay, RelayCounts
from otel_jb.demo.udp import free_port_pair, has_open, queued_bytes
from tests.e2e.agent_process import until

if TYPE_CHECKING:
    from typing_extensions import Self

#: Losses and reordering that fill FFmpeg's queue again and again.
LOSSY = Impairment(loss=0.04, delayed=0.06, delay_seconds=0.03, duplicated=0.02, seed=7)


class LossyStream:
    """An FFmpeg that listens; `play` sends it a stream through the relay and returns when all of it is handled."""

    def __init__(self, directory: Path, impairment: Impairment = LOSSY, executable: Path | None = None) -> None:
        """`executable`: another FFmpeg than the one that keeps its names."""
        self._directory = directory
        self._impairment = impairment
        self.receiver = Receiver(directory, executable)
        self.pid = self.receiver.pid
        self.receiver.wait_until_listening()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.receiver.stop()

    def play(self, seconds: float, speed: float = 1.0) -> RelayCounts:
        """Send `seconds` of sound, `speed` times as fast. Every datagram that the relay forwarded was parsed on return."""
        relay = Relay(self.receiver.rtp_port, self.receiver.rtcp_port, self._impairment)
        relay.start()
        sender = Sender(self._directory, relay.rtp_port, relay.rtcp_port, seconds=seconds, speed=speed)
        try:
            assert relay.wait_for_forwarded(1, 10), sender.log()
            assert sender.wait(seconds / speed + 20) == 0, sender.log()
            assert relay.wait_until_drained(10)
        finally:
            sender.stop()
            counts = relay.stop()
        self.receiver.wait_until_handled()
        assert self.receiver.kernel_drops() == 0
        assert relay.error is None
        assert counts.received_packets == counts.forwarded_packets + counts.dropped_packets - counts.duplicated_packets
        return counts


@dataclass(frozen=True, slots=True)
class SessionStatistics:
    """What mediastream says of its RTP session when it ends."""

    packets: int
    bytes: int
    duplicated: int
    late: int
    lost: int
    overflow: int


class MediaStream:
    """oRTP's mediastream as installed; it listens on loopback, loses `loss_percent` of what comes in, and records it."""

    def __init__(self, directory: Path, name: str, sound: Path, loss_percent: float = 0.0) -> None:
        self.port, _ = free_port_pair()
        self._log_path = directory / f"{name}.log"
        self._arguments = [
            *("--payload", "0", "--infile", str(sound), "--outfile", str(directory / f"{name}.wav"), "--jitter", "60"),
        ]
        if loss_percent:
            self._arguments += ["--netsim-bandwidth", "1000000", "--netsim-lossrate", f"{loss_percent:g}"]
            self._arguments += ["--netsim-latency", "20"]
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0

    def start(self, remote_port: int) -> None:
        """Start it, and wait until its RTP socket is open."""
        with open(self._log_path, "wb") as log:
            self._process = subprocess.Popen(
                ["mediastream", "--local", str(self.port), "--remote", f"127.0.0.1:{remote_port}", *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.pid = self._process.pid
        until(lambda: has_open(self.pid, self.port), f"mediastream listens: {self.log()}")

    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def wait_until_read(self) -> None:
        """Wait until it has taken every datagram from its socket."""
        until(lambda: queued_bytes(self.port) == 0, "mediastream reads its packets")

    def end(self) -> SessionStatistics:
        """Interrupt it, and read the statistics of its session that it prints last."""
        self.kill(signal.SIGINT)
        text = re.sub(r"(?m)^\S+ \S+ ortp-message-", "", self.log())
        last = text[text.rindex("RTP STATISTICS") :]

        def number(pattern: str) -> int:
            found = re.search(pattern, last)
            assert found is not None, (pattern, last)
            return int(found[1])

        received = r"received +(\d+) packets\s+(\d+) duplicated packets\s+(\d+) bytes"
        found = re.search(received, last)
        assert found is not None, last
        return SessionStatistics(
            packets=int(found[1]),
            duplicated=int(found[2]),
            bytes=int(found[3]),
            lost=number(r"incoming cumulative lost +(-?\d+)"),
            late=number(r"incoming received too late +(\d+)"),
            overflow=number(r"incoming discarded \(queue overflow\) +(\d+)"),
        )

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def make_sound(path: Path, seconds: float) -> None:
    """A WAV file with a sine wave, 8 kHz mono 16 bit."""
    import math
    import struct
    import wave

    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        samples = (int(8000 * math.sin(2 * math.pi * 440 * each / 8000)) for each in range(int(seconds * 8000)))
        sound.writeframes(b"".join(struct.pack("<h", each) for each in samples))
