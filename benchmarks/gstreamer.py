# SPDX-License-Identifier: Apache-2.0
"""GStreamer as Debian ships it, stripped, receiving while its plugins load: every packet counted, at every scrape.

    .venv/bin/python -m benchmarks.gstreamer [--packets N] [--scrapes N] [--busy N]

Root; gstreamer1.0-tools, gstreamer1.0-plugins-base and -good. `gst-launch-1.0` waits for RTP; the agent finds the functions of its
`rtpjitterbuffer` by marks. Then RTP comes, and `decodebin` loads the plugins that the first packet asks for. Packets are sent in bursts; the next
begins once all of the last were counted. No scrape may have a packet more than was sent, or a call whose packet is missing, and no count may fall.
"""

from __future__ import annotations

import argparse
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.fleet import Agent

PUT, POP = "rtp_jitter_buffer_append_buffer", "rtp_jitter_buffer_pop"
BURST = 60
SPACING_S, SAMPLES = 0.002, 16  # of 8 kHz
CAPS = "application/x-rtp,media=audio,clock-rate=8000,encoding-name=PCMA,payload=8"
PATIENCE_S = 60.0


class WrongError(Exception):
    """A count is not what was sent."""


class Counts:
    """What scrapes say of one process, each compared with the one before and with what was sent."""

    def __init__(self, agent: Agent, pid: int) -> None:
        self._agent, self._pid = agent, str(pid)
        self._last: dict[tuple[str, ...], float] = {}
        self.sent = 0  #: by now; written before the packet leaves
        self.scrapes = 0

    def scrape(self) -> dict[str, float]:
        """Packets by function. Raises WrongError."""
        page = self._agent.get("metrics")
        most = self.sent
        self.scrapes += 1
        packets: dict[str, float] = {}
        calls: dict[str, dict[str, float]] = {}
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                labels = sample.labels
                if labels.get("pid") != self._pid or not sample.name.endswith("_total"):
                    continue
                key = (sample.name, *sorted(map(str, labels.items())))
                if sample.value < self._last.get(key, 0.0):
                    raise WrongError(f"{key} fell from {self._last[key]:.0f} to {sample.value:.0f}")
                self._last[key] = sample.value
                if sample.name == "jitterbuffer_packet_count_total":
                    packets[labels["function"]] = sample.value
                elif sample.name == "jitterbuffer_calls_total":
                    calls.setdefault(labels["function"], {})[labels["outcome"]] = sample.value
        for function in (PUT, POP):
            if packets.get(function, 0.0) > most:
                raise WrongError(f"{function}: {packets[function]:.0f} packets of {most} sent")
        put = calls.get(PUT, {})
        if packets.get(PUT, 0.0) != put.get("returned", 0.0) + put.get("untimed", 0.0):
            raise WrongError(f"{PUT}: {packets.get(PUT)} packets in {put}")
        if put.get("missed") or put.get("abandoned"):
            raise WrongError(f"{PUT}: {put}")
        return packets

    def wait_for_all(self) -> None:
        """Until every packet is counted in and out of the jitter buffer."""
        until = time.monotonic() + PATIENCE_S
        while True:
            packets = self.scrape()
            if packets.get(PUT) == packets.get(POP) == self.sent:
                return
            if time.monotonic() > until:
                raise WrongError(f"{packets} packets of {self.sent} sent")


def free_port() -> int:
    """A UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def plugins(pid: int) -> int:
    """How many of GStreamer's plugins a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return len({line.split()[-1] for line in lines if "/gstreamer-1.0/" in line})


@contextmanager
def receiver(directory: Path, port: int) -> Iterator[int]:
    """The PID of a GStreamer that waits for RTP."""
    pipeline = ["udpsrc", "address=127.0.0.1", f"port={port}", "buffer-size=2000000", f"caps={CAPS}", "!"]
    pipeline += "rtpjitterbuffer latency=50 ! rtpptdemux ! decodebin ! audioconvert ! fakesink".split()
    process = subprocess.Popen(
        ["gst-launch-1.0", "-q", *pipeline], env=os.environ | {"GST_REGISTRY": str(directory / "registry")}
    )
    try:
        until = time.monotonic() + PATIENCE_S
        while f":{port:04X} " not in Path("/proc/net/udp").read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("GStreamer does not listen")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def spinning(count: int) -> Iterator[None]:
    """Programs that only compute."""
    spin = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in spin:
            each.kill()
            each.wait()


def measure(packets: int, scrapes: int, busy: int) -> str:
    """One sentence about what was counted. Raises WrongError."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port()
        pid = stack.enter_context(receiver(directory, port))
        agent = Agent("--pid", str(pid))
        stack.callback(agent.stop)
        agent.wait_for(1)
        stack.enter_context(spinning(busy))
        counts, before = Counts(agent, pid), plugins(pid)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while counts.sent < packets:
                burst = min(BURST, packets - counts.sent)
                sending = threading.Thread(target=_send, args=(sender, port, counts, burst))
                sending.start()
                while sending.is_alive():
                    counts.scrape()
                counts.wait_for_all()
        while counts.scrapes < scrapes:
            counts.wait_for_all()
        after = plugins(pid)
    if after <= before:
        raise WrongError(f"no plugin was loaded: {before} before, {after} after")
    return (
        f"{counts.sent} of {counts.sent} packets in and out, right at every one of {counts.scrapes} scrapes; "
        f"{after - before} plugins were loaded meanwhile"
    )


def _send(sender: socket.socket, port: int, counts: Counts, burst: int) -> None:
    for _ in range(burst):
        number = counts.sent
        counts.sent += 1
        header = struct.pack("!BBHII", 0x80, 8, number & 0xFFFF, number * SAMPLES, 4711)
        sender.sendto(header + bytes([0xD5] * SAMPLES), ("127.0.0.1", port))
        time.sleep(SPACING_S)


def main() -> int:
    """Measure and print; 1 if a count was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=2400)
    parser.add_argument("--scrapes", type=int, default=1000)
    parser.add_argument("--busy", type=int, default=0, help="programs that only compute, beside it")
    args = parser.parse_args()
    try:
        print(measure(args.packets, args.scrapes, args.busy))
    except WrongError as error:
        print(f"wrong: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
