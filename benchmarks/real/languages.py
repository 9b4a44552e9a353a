# SPDX-License-Identifier: Apache-2.0
"""Programs in Go and Rust that receive RTP with the libraries of their languages: built here, from programs/."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from benchmarks.real.children import started
from benchmarks.real.players import BYTES, PACKETS, SENDER, by_sequence, of_streams
from benchmarks.real.row import Claim, NotMeasuredError, Probed, Row, bpftrace, counted, measuring, probed, streams
from benchmarks.real.sender import Plan, Sent, send
from tests.e2e.agent_process import Exposition

PROGRAMS = Path(__file__).parents[1] / "programs"
CACHE = Path.home() / ".cache" / "otel_jb" / "real-programs"
HEADER = 12  #: bytes of the RTP header, which neither library counts as the packet's


def _build(source: Path, *command: str) -> None:
    if shutil.which(command[0]) is None:
        raise NotMeasuredError(f"{command[0]} is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode:
        raise NotMeasuredError(f"{command[0]} could not build it: {done.stderr.strip().splitlines()[-1][:200]}")


class _Run(NamedTuple):
    """A program that took all that was sent, while it was measured."""

    pid: int
    push: Probed
    sent: Sent
    scraped: Exposition
    seen: int | None  #: calls, by bpftrace
    said: str  #: what the program counted itself


def _run(executable: Path, directory: Path, function: str) -> _Run:
    with started([executable], directory) as program:
        program.wait_for(r"port \d+")
        port = int(re.findall(r"port (\d+)", program.log())[0])
        (push,) = probed(program.pid, function)
        counter = bpftrace(program.pid, directory, (push, "1", "@push = count();"))
        with measuring(program.pid) as agent, counter as other:
            sent = send(port, Plan())
            program.wait_until_read(port)
            program.wait_for(r"(?m)^pushed \d+.*$")
            scraped = agent.settled(program.pid)
            seen = other.read()
        said = re.findall(r"(?m)^pushed .*$", program.log())[0]
    return _Run(program.pid, push, sent, scraped, seen.get("push"), said)


def _number(said: str, name: str) -> int:
    return int(re.findall(rf"{name} (\d+)", said)[0])


def _measure(executable: Path, directory: Path, version: str, function: str) -> Row:
    run = _run(executable, directory, function)
    packets, size = (counted(run.scraped, run.pid, function, metric) for metric in (PACKETS, BYTES))
    payload = run.sent.bytes - HEADER * run.sent.packets
    claims = (
        Claim("packets", packets, run.sent.packets, SENDER),
        Claim("packets", packets, _number(run.said, "pushed"), "its own count"),
        Claim("packets", packets, run.seen, "bpftrace"),
        Claim("payload bytes", size, payload, SENDER),
        Claim("payload bytes", size, _number(run.said, "bytes"), "its own count"),
    )
    return Row(executable.name, version, run.push.source, function, claims)


def pion(directory: Path) -> Row:
    """pion's jitter buffer in a stripped Go program."""
    source, executable = PROGRAMS / "pion_receiver", CACHE / "pion_receiver"
    _build(source, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(executable), ".")
    version = re.findall(r"pion/interceptor v\S+", (source / "go.mod").read_text())[0]
    name = "github.com/pion/interceptor/pkg/jitterbuffer.(*JitterBuffer).Push"
    return _measure(executable, directory, f"{version}, stripped", name)


def livekit(directory: Path) -> Row:
    """LiveKit's SFU buffer in a stripped Go program. Building it takes minutes the first time."""
    source, executable = PROGRAMS / "livekit_receiver", CACHE / "livekit_receiver"
    _build(source, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(executable), ".")
    version = re.findall(r"livekit/livekit-server v\S+", (source / "go.mod").read_text())[0]
    name = "github.com/livekit/livekit-server/pkg/sfu/buffer.(*Buffer).Write"
    run = _run(executable, directory, name)
    packets, size = (counted(run.scraped, run.pid, name, metric) for metric in (PACKETS, BYTES))
    duplicated = streams(run.scraped, run.pid, "rtp_packets_duplicated_total")
    unique = None if packets is None or duplicated is None else packets - duplicated
    claims = (
        Claim("packets", packets, run.sent.packets, SENDER),
        Claim("packets", packets, run.seen, "bpftrace"),
        Claim("bytes", size, run.sent.bytes, SENDER),
        *by_sequence(of_streams(run.scraped, run.pid), run.sent),
        Claim("duplicated", duplicated, _number(run.said, "duplicated"), "its statistics"),
        Claim("packets less duplicated", unique, _number(run.said, "unique"), "its statistics"),
        Claim(
            "lost (RFC 3550)",
            streams(run.scraped, run.pid, "rtp_packets_lost"),
            _number(run.said, "lost"),
            "its statistics",
        ),
    )
    return Row(executable.name, f"{version}, stripped", run.push.source, name, claims)


def webrtc_rs(directory: Path) -> Row:
    """webrtc-rs's sample builder in a Rust program with debug information."""
    source, target = PROGRAMS / "rust_receiver", CACHE / "rust"
    _build(source, "cargo", "build", "--release", "--locked", "--target-dir", str(target))
    version = re.findall(r'name = "webrtc-media"\nversion = "([^"]+)"', (source / "Cargo.lock").read_text())[0]
    name = "webrtc_media::io::sample_builder::SampleBuilder<T>::push"
    return _measure(target / "release" / "rust_receiver", directory, f"webrtc-media {version}", name)
