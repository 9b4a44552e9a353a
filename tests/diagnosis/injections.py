# SPDX-License-Identifier: Apache-2.0
"""Streams with one trouble each, sent at the times that they are made for, with a log of what left and when."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.rtp_oracle import Truth, jitter_s, packet, truth


def whole() -> bool:
    """Whether everything is injected, which takes minutes, or what shows most in a short time."""
    return os.environ.get("OTEL_JB_INJECTIONS") == "all"


@dataclass(frozen=True)
class Codec:
    """A payload type of RFC 3551, with its clock and the payload's bytes per packet."""

    payload_type: int
    clock_rate: int
    bytes: int


PCMA = Codec(8, 8000, 160)
DVI4 = Codec(6, 16000, 164)


@dataclass(frozen=True)
class Sent:
    """One datagram to send: when (seconds from the start), the packet's true number, its RTP time and its codec."""

    at: float
    number: int
    rtp_time: int
    codec: Codec


@dataclass(frozen=True)
class Rate:
    """How a stream is made where nothing happens to it."""

    spacing_s: float = 0.02
    codec: Codec = PCMA
    seed: int = 1


Trouble = Callable[[Rate, float], list[Sent]]


def healthy(rate: Rate, seconds: float) -> list[Sent]:
    """Every packet in its turn."""
    step = round(rate.spacing_s * rate.codec.clock_rate)
    return [Sent(n * rate.spacing_s, n, n * step, rate.codec) for n in range(int(seconds / rate.spacing_s))]


def _changed(rate: Rate, seconds: float, change: Callable[[random.Random, Sent, int], list[float]]) -> list[Sent]:
    """Each packet but the first and the last, by which loss is told, leaves at the times that `change` says, or never."""
    source = random.Random(rate.seed)
    packets = healthy(rate, seconds)
    inner = (
        Sent(at, each.number, each.rtp_time, each.codec)
        for each in packets[1:-1]
        for at in change(source, each, len(packets))
    )
    last = packets[-1]
    end = Sent(last.at + 0.2, last.number, last.rtp_time, last.codec)
    return sorted((packets[0], *inner, end), key=lambda each: each.at)


def loss(rate: Rate, seconds: float) -> list[Sent]:
    """3 % never leave."""
    return _changed(rate, seconds, lambda source, each, _: [] if source.random() < 0.03 else [each.at])


def reordering(rate: Rate, seconds: float) -> list[Sent]:
    """5 % are passed by the two behind them."""
    late = 2.5 * rate.spacing_s
    return _changed(rate, seconds, lambda source, each, _: [each.at + (late if source.random() < 0.05 else 0)])


def duplicates(rate: Rate, seconds: float) -> list[Sent]:
    """5 % leave twice."""
    return _changed(
        rate, seconds, lambda source, each, _: [each.at, each.at + 0.001] if source.random() < 0.05 else [each.at]
    )


def bursts(rate: Rate, seconds: float) -> list[Sent]:
    """They wait for each other, half a second long, and leave at once."""
    return _changed(rate, seconds, lambda _source, each, _n: [(each.at // 0.5 + 1) * 0.5])


def jitter_ramp(rate: Rate, seconds: float) -> list[Sent]:
    """Delays of up to more and more, 150 ms in the end."""
    return _changed(rate, seconds, lambda source, each, count: [each.at + source.random() * 0.15 * each.number / count])


def stops(rate: Rate, seconds: float) -> list[Sent]:
    """Nothing leaves in the second half."""
    return healthy(rate, seconds / 2)


def clock_change(rate: Rate, seconds: float) -> list[Sent]:
    """In the middle the sender changes to a codec with another clock; packets leave as before."""
    packets = healthy(rate, seconds)
    half = len(packets) // 2
    other = PCMA if rate.codec == DVI4 else DVI4
    begin, step = packets[half].rtp_time, round(rate.spacing_s * other.clock_rate)
    return packets[:half] + [
        Sent(each.at, each.number, begin + (each.number - half) * step, other) for each in packets[half:]
    ]


@dataclass(frozen=True)
class Log:
    """A stream as it left: when, and which packet."""

    ssrc: int
    sent: tuple[tuple[float, Sent], ...]

    @property
    def label(self) -> str:
        """Its name where no other is known."""
        return f"ssrc:{self.ssrc:08x}"

    @property
    def truth(self) -> Truth:
        """What a receiver of everything must have counted."""
        return truth([(each.number, 12 + each.codec.bytes) for _, each in self.sent])

    @property
    def jitter_s(self) -> float:
        """RFC 3550's jitter at the end, of the last clock."""
        codec = self.sent[-1][1].codec
        return jitter_s(((at, each.rtp_time) for at, each in self.sent if each.codec == codec), codec.clock_rate)


def play(streams: Sequence[tuple[int, list[Sent]]], seed: int) -> list[Log]:
    """Send each list to its port of this machine, all at once, by this thread. It comes first while it does so: what is late by
    this machine's fault is not in the plan."""
    schedule = [(each.at, place, each) for place, (_, sent) in enumerate(streams) for each in sent]
    schedule.sort(key=lambda entry: entry[:2])
    ssrcs = [random.Random(seed * 1000 + place).getrandbits(32) for place in range(len(streams))]
    logs: list[list[tuple[float, Sent]]] = [[] for _ in streams]
    with first_of_all(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        begin = time.monotonic() + 0.01
        for at, place, each in schedule:
            time.sleep(max(0.0, begin + at - time.monotonic()))
            codec = each.codec
            data = packet(65500 + each.number, each.rtp_time, ssrcs[place], codec.payload_type, 12 + codec.bytes)
            logs[place].append((time.monotonic(), each))
            out.sendto(data, ("127.0.0.1", streams[place][0]))
    return [Log(ssrc, tuple(log)) for ssrc, log in zip(ssrcs, logs, strict=True)]


@contextlib.contextmanager
def first_of_all() -> Iterator[None]:
    """This thread runs whenever it can (SCHED_FIFO)."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(20))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def runs_first(pid: int, priority: int = 10) -> None:
    """All threads of a process and of its children come before ordinary ones, so that a busy machine is not among its troubles."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(priority))
    for child in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split():
        runs_first(int(child), priority)
