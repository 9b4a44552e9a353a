# SPDX-License-Identifier: Apache-2.0
"""Players: FFmpeg, PyAV, GStreamer and VLC receive one stream by RTP."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.real.children import started
from benchmarks.real.row import (
    Claim,
    NotMeasuredError,
    Row,
    bpftrace,
    command_output,
    counted,
    measuring,
    package_version,
    probed,
    streams,
)
from benchmarks.real.sender import Plan, Sent, send
from otel_jb.demo.udp import free_port_pair
from tests.e2e.agent_process import Exposition

PACKETS, BYTES = "jitterbuffer_packet_count_total", "jitterbuffer_bytes_total"
DROPPED, CALLS = "jitterbuffer_dropped_packets_total", "jitterbuffer_calls_total"
SENDER = "the sender"
NOBODY = 65534

_DESCRIPTION = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {port} RTP/AVP 0
"""
#: PyAV has no command of its own: what anybody writes who reads a stream with it.
_PYAV = """
import sys, av
av.logging.set_level(av.logging.WARNING)
av.logging.restore_default_callback()
options = {"protocol_whitelist": "file,udp,rtp", "localaddr": "127.0.0.1"}
with av.open(sys.argv[1], options=options) as source:
    for packet in source.demux():
        pass
"""


def _libavformat(started_as: list[str], version: str, name: str, directory: Path) -> Row:
    """What both programs with a libavformat have in common: its functions, its messages."""
    port, _ = free_port_pair()
    description = directory / "stream.sdp"
    description.write_text(_DESCRIPTION.format(port=port))
    arguments = [str(description) if each == "SDP" else each for each in started_as]
    with started(arguments, directory) as scout:  # FFmpeg gives up where no packet comes for 10 s
        scout.wait_until_open(port)
        (parse,) = probed(scout.pid, "ff_rtp_parse_packet")
    with started(arguments, directory) as program:
        program.wait_until_open(port)
        clause = (parse, "arg2 != 0 && *(uint64 *)arg2 != 0", "@packets = count(); @bytes = sum(arg3);")
        with measuring(program.pid) as agent, bpftrace(program.pid, directory, clause) as other:
            sent = send(port, Plan())
            program.wait_until_read(port)
            scraped = agent.settled(program.pid)
            seen = other.read()
        late = program.logged("dropping old packet received too late")
    return Row(
        name,
        version,
        parse.source,
        parse.function,
        (
            Claim("packets", counted(scraped, program.pid, parse.function, PACKETS), sent.packets, SENDER),
            Claim("bytes", counted(scraped, program.pid, parse.function, BYTES), sent.bytes, SENDER),
            Claim("packets", counted(scraped, program.pid, parse.function, PACKETS), seen.get("packets"), "bpftrace"),
            Claim("bytes", counted(scraped, program.pid, parse.function, BYTES), seen.get("bytes"), "bpftrace"),
            Claim("late", counted(scraped, program.pid, parse.function, DROPPED, reason="late"), late, "its log"),
            *by_sequence(of_streams(scraped, program.pid), sent),
        ),
    )


def of_streams(scraped: Exposition, pid: int) -> dict[str, float | None]:
    """What the agent says of the RTP streams of a process."""
    names = ("lost", "reordered_total", "duplicated_total")
    return {name: streams(scraped, pid, f"rtp_packets_{name}") for name in names}


def by_sequence(seen: dict[str, float | None], sent: Sent) -> tuple[Claim, ...]:
    return (
        Claim("lost (RFC 3550)", seen["lost"], sent.truth.lost, SENDER),
        Claim("reordered", seen["reordered_total"], sent.truth.reordered, SENDER),
        Claim("duplicated", seen["duplicated_total"], sent.truth.duplicated, SENDER),
    )


def ffmpeg(directory: Path) -> Row:
    """Debian's ffmpeg: stripped, its RTP functions hidden in libavformat."""
    options = ["-hide_banner", "-nostats", "-nostdin", "-loglevel", "warning", "-protocol_whitelist", "file,udp,rtp"]
    arguments = ["/usr/bin/ffmpeg", *options, "-localaddr", "127.0.0.1", "-i", "SDP", "-f", "null", "-"]
    return _libavformat(arguments, package_version("ffmpeg"), "Debian's FFmpeg", directory)


def pyav(directory: Path) -> Row:
    """PyAV's wheel, which brings an FFmpeg of its own."""
    python = os.environ.get("PYAV_PYTHON", sys.executable)
    version = command_output(python, "-c", "import av; print('av', av.__version__)").strip()
    if not version.startswith("av "):
        raise NotMeasuredError("the wheel `av` is not installed (PYAV_PYTHON names the Python that has it)")
    return _libavformat([python, "-c", _PYAV, "SDP"], version, "PyAV", directory)


def gstreamer(directory: Path) -> Row:
    """GStreamer's rtpjitterbuffer in a pipeline of gst-launch-1.0."""
    version = package_version("gstreamer1.0-plugins-good")
    command_output("gst-launch-1.0", "--version")
    port, _ = free_port_pair()
    caps = "application/x-rtp,media=audio,payload=0,clock-rate=8000,encoding-name=PCMU"
    source = ["udpsrc", "address=127.0.0.1", f"port={port}", f"caps={caps}"]
    pipeline = [*source, "!", "rtpjitterbuffer", "latency=100", "!", "rtppcmudepay", "!", "fakesink", "sync=false"]
    debug = {"GST_DEBUG": "rtpjitterbuffer:6", "GST_DEBUG_NO_COLOR": "1", "GST_REGISTRY": str(directory / "registry")}
    names = ("gst_rtp_jitter_buffer_chain", "rtp_jitter_buffer_append_buffer")
    with started(["gst-launch-1.0", *pipeline], directory, debug) as program:
        program.wait_until_open(port)
        chain, append = probed(program.pid, *names)
        clauses = (chain, "1", "@chain = count();"), (append, "1", "@append = count();")
        with measuring(program.pid, "--detail", "all") as agent, bpftrace(program.pid, directory, *clauses) as other:
            sent = send(port, Plan())
            program.wait_until_read(port)
            scraped = agent.settled(program.pid)
            seen = other.read()
        pushed = program.logged(r"Pushed packet #\d+, now")
        duplicates = program.logged(r"Duplicate packet #\d+ detected, dropping")
    put = counted(scraped, program.pid, append.function, PACKETS)
    return Row(
        "GStreamer",
        version,
        chain.source,
        "gst_rtp_jitter_buffer_chain`, `rtp_jitter_buffer_append_buffer",
        (
            Claim("packets in", counted(scraped, program.pid, chain.function, PACKETS), sent.packets, SENDER),
            Claim("packets in", counted(scraped, program.pid, chain.function, PACKETS), seen.get("chain"), "bpftrace"),
            Claim("packets not too late", put, seen.get("append"), "bpftrace"),
            Claim("packets not too late", put, pushed + duplicates, "its log"),
        ),
    )


def vlc(directory: Path) -> Row:
    """VLC's RTP plugin, as a user who is not root."""
    version = package_version("vlc-bin")
    port, _ = free_port_pair()
    options = ["-I", "dummy", "--no-color", "-vv", "--aout", "adummy"]
    with started(["/usr/bin/vlc", *options, f"rtp://127.0.0.1:{port}"], directory, user=NOBODY) as program:
        program.wait_until_open(port)
        queue, decode = probed(program.pid, "rtp_queue", "rtp_decode")
        clauses = (queue, "1", "@queue = count();"), (decode, "1", "@decode = count();")
        with measuring(program.pid) as agent, bpftrace(program.pid, directory, *clauses) as other:
            sent = send(port, Plan())
            program.wait_until_read(port)
            scraped = agent.settled(program.pid)
            seen = other.read()
    taken = counted(scraped, program.pid, queue.function, PACKETS)
    return Row(
        "VLC",
        version,
        queue.source,
        "rtp_queue`, `rtp_decode",
        (
            Claim("packets in", taken, sent.packets, SENDER),
            Claim("packets in", taken, seen.get("queue"), "bpftrace"),
            Claim(
                "calls of rtp_decode",
                counted(scraped, program.pid, decode.function, CALLS),
                seen.get("decode"),
                "bpftrace",
            ),
        ),
    )
