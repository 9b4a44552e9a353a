# SPDX-License-Identifier: Apache-2.0
"""The programs that troubles are injected into, each on a port of its own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from otel_jb.demo.ffmpeg import Receiver
from tests.diagnosis.injections import runs_first
from tests.e2e.agent_process import TARGETS

#: What a profile would say of tests/targets/media_server.c.
PROFILE = """\
profile: media-server
title: A server with faults
functions:
  - name: jitterbuffer_put
    role: put
    primary: true
    returns: i32
    bytes: i32 arg2
    rtp: arg1
"""


@dataclass(frozen=True)
class Program:
    """A running program that receives RTP. `stream`: its name, where the agent can read one."""

    pid: int
    port: int
    stream: str | None = None


#: An RTCP sender report, which is no packet of a stream.
_REPORT = bytes([0x80, 200, 0, 6]) + bytes(24)


@contextlib.contextmanager
def kept_awake(ports: Sequence[int]) -> Iterator[None]:
    """Send sender reports meanwhile: FFmpeg gives up after 10 s without a datagram."""
    done = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not done.wait(0.5):
                for port in ports:
                    out.sendto(_REPORT, ("127.0.0.1", port))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        yield
    finally:
        done.set()
        sender.join()


@contextlib.contextmanager
def ffmpeg(directory: Path, name: str) -> Iterator[Program]:
    """FFmpeg, which comes before other programs."""
    receiver = Receiver(directory, name=name)
    try:
        receiver.wait_until_listening()
        runs_first(receiver.pid)
        yield Program(receiver.pid, receiver.rtp_port, str(directory / f"{name}.sdp"))
    finally:
        receiver.stop()


@contextlib.contextmanager
def speaking(*command: str | Path) -> Iterator[Program]:
    """A program that prints its port and ends with its input."""
    child = subprocess.Popen([str(each) for each in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield Program(child.pid, int(child.stdout.readline()))
    finally:
        child.kill()
        child.communicate()


@contextlib.contextmanager
def media_server(directory: Path, fault: str) -> Iterator[Program]:
    """tests/targets/media_server.c with a fault of its own."""
    built = directory / f"media_server_{fault}"
    subprocess.run(["gcc", "-O1", "-pthread", "-o", built, TARGETS / "media_server.c"], check=True)
    with speaking(built, fault) as program:
        runs_first(program.pid)
        yield program


@contextlib.contextmanager
def ortp(every_s: float) -> Iterator[Program]:
    """The installed oRTP, with a reader that takes the packets that are due at a fixed interval."""
    with speaking("/usr/bin/python3", TARGETS / "ortp_driver.py", str(every_s)) as program:
        runs_first(program.pid)
        yield program
