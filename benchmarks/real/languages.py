# SPDX-License-Identifier: Apache-2.0
"""Programs in Go and Rust that receive RTP with the libraries of their languages: built here, from programs/."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from benchmarks.real.children import started
from benchmarks.real.players import BYTES, PACKETS, SENDER
from benchmarks.real.row import Claim, NotMeasuredError, Row, bpftrace, counted, measuring, probed
from benchmarks.real.sender import Plan, send

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


def _measure(executable: Path, directory: Path, version: str, function: str) -> Row:
    with started([executable], directory) as program:
        program.wait_for(r"port \d+")
        port = int(re.findall(r"port (\d+)", program.log())[0])
        (push,) = probed(program.pid, function)
        counter = bpftrace(program.pid, directory, (push, "1", "@push = count();"))
        with measuring(program.pid) as agent, counter as other:
            sent = send(port, Plan())
            program.wait_until_read(port)
            program.wait_for(r"pushed \d+")
            scraped = agent.settled(program.pid)
            seen = other.read()
        own = [int(each) for each in re.findall(r"pushed (\d+) bytes (\d+)", program.log())[0]]
    packets, size = (counted(scraped, program.pid, function, metric) for metric in (PACKETS, BYTES))
    payload = sent.bytes - HEADER * sent.packets
    claims = (
        Claim("packets", packets, sent.packets, SENDER),
        Claim("packets", packets, own[0], "its own count"),
        Claim("packets", packets, seen.get("push"), "bpftrace"),
        Claim("payload bytes", size, payload, SENDER),
        Claim("payload bytes", size, own[1], "its own count"),
    )
    return Row(executable.name, version, push.source, function, claims)


def pion(directory: Path) -> Row:
    """pion's jitter buffer in a stripped Go program."""
    source, executable = PROGRAMS / "pion_receiver", CACHE / "pion_receiver"
    _build(source, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(executable), ".")
    version = re.findall(r"pion/interceptor v\S+", (source / "go.mod").read_text())[0]
    name = "github.com/pion/interceptor/pkg/jitterbuffer.(*JitterBuffer).Push"
    return _measure(executable, directory, f"{version}, stripped", name)


def webrtc_rs(directory: Path) -> Row:
    """webrtc-rs's sample builder in a Rust program with debug information."""
    source, target = PROGRAMS / "rust_receiver", CACHE / "rust"
    _build(source, "cargo", "build", "--release", "--locked", "--target-dir", str(target))
    version = re.findall(r'name = "webrtc-media"\nversion = "([^"]+)"', (source / "Cargo.lock").read_text())[0]
    name = "webrtc_media::io::sample_builder::SampleBuilder<T>::push"
    return _measure(target / "release" / "rust_receiver", directory, f"webrtc-media {version}", name)
