# SPDX-License-Identifier: Apache-2.0
"""Telephony: oRTP's mediastream, baresip in a call, and rtpengine between two ends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.real import ng, sip
from benchmarks.real.children import Started, started
from benchmarks.real.players import BYTES, CALLS, DROPPED, PACKETS, SENDER, by_sequence, of_streams
from benchmarks.real.row import (
    Claim,
    Row,
    bpftrace,
    command_output,
    counted,
    measuring,
    package_version,
    probed,
)
from benchmarks.real.sender import Plan, send
from otel_jb.demo.udp import free_port_pair
from tests.e2e.streams import MediaStream, make_sound

#: What `rtp_session_rtp_parse` takes for RTP: version 2 in the first byte of the message (`mblk_t` has its address at 32).
_RTP = "((uint64)*(uint8 *)*(uint64 *)(arg1 + 32) & 0xc0) == 0x80"
DUPLICATED = "jitterbuffer_duplicated_packets_total"


def mediastream(directory: Path) -> Row:
    """oRTP's mediastream, which prints the statistics of its session when it ends."""
    version = package_version("libortp16")
    command_output("mediastream", "--help")
    sound = directory / "sound.wav"
    make_sound(sound, 30)
    nobody, _ = free_port_pair()
    program = MediaStream(directory, "mediastream", sound)
    program.start(nobody)
    try:
        parse, put = probed(program.pid, "rtp_session_rtp_parse", "rtp_putq")
        clauses = (parse, _RTP, "@parse = count();"), (put, "1", "@put = count();")
        with measuring(program.pid) as agent, bpftrace(program.pid, directory, *clauses) as other:
            sent = send(program.port, Plan())
            program.wait_until_read()
            scraped = agent.settled(program.pid, "rtp_packets_received_total")
            seen = other.read()
        own = program.end()
    finally:
        program.kill()
    taken = counted(scraped, program.pid, parse.function, PACKETS)
    return Row(
        "oRTP, in mediastream",
        version,
        parse.source,
        "rtp_session_rtp_parse`, `rtp_putq",
        (
            Claim("packets", taken, sent.packets, SENDER),
            Claim("bytes", counted(scraped, program.pid, parse.function, BYTES), sent.bytes, SENDER),
            Claim("packets", taken, seen.get("parse"), "bpftrace"),
            Claim("packets", taken, own.packets, "its statistics"),
            Claim(
                "late",
                counted(scraped, program.pid, parse.function, DROPPED, reason="late"),
                own.late,
                "its statistics",
            ),
            Claim(
                "put: duplicated",
                counted(scraped, program.pid, put.function, DUPLICATED),
                own.duplicated,
                "its statistics",
            ),
            *by_sequence(of_streams(scraped, program.pid), sent),
        ),
    )


def baresip(directory: Path) -> Row:
    """baresip takes a call; the agent is there before the call, and so before the first packet."""
    version = package_version("baresip-core")
    sip_port, _ = free_port_pair()
    sip.configure(directory, sip_port)
    with started(["baresip", "-f", directory], directory) as program:
        program.wait_until_open(sip_port)
        (put,) = probed(program.pid, "jbuf_put")
        with measuring(program.pid) as agent, bpftrace(program.pid, directory, (put, "1", "@put = count();")) as other:
            with sip.Call(sip_port) as call:
                sent = send(call.remote_rtp, Plan(), call.rtp)
                program.wait_until_read(call.remote_rtp)
                scraped = agent.settled(program.pid, BYTES)  # its sound goes on without packets
            seen = other.read()
            program.wait_for(r"errors: +\d+ +\d+")
        own = [int(re.findall(rf"{name}: +\d+ +(\d+)", program.log())[-1]) for name in ("packets", "errors")]
    returned = counted(scraped, program.pid, put.function, CALLS, outcome="returned")
    refused = sum(counted(scraped, program.pid, put.function, each) or 0 for each in (DROPPED, DUPLICATED))
    return Row(
        "baresip, with libre",
        version,
        put.source,
        put.function,
        (
            Claim("packets", returned, sent.packets, SENDER),
            Claim("packets", returned, seen.get("put"), "bpftrace"),
            Claim("packets", returned, own[0], "its statistics"),
            Claim("late or duplicated", refused, own[1], "its statistics"),
            Claim(
                "payload bytes",
                counted(scraped, program.pid, put.function, BYTES),
                sent.bytes - 12 * sent.packets,
                SENDER,
            ),
        ),
    )


JITTER_BUFFER = ["--jitter-buffer=10"]  #: packets
CALLER = "one/caller"  #: the call's id and the tag of the side that sends, as ng.Call gives them


@contextmanager
def rtpengine_started(directory: Path, options: Sequence[str]) -> Iterator[tuple[Started, int]]:
    """A running rtpengine, and the port of its control protocol."""
    control, _ = free_port_pair()
    low = free_port_pair()[0]
    arguments = ["--foreground", "--log-stderr", "--table=-1", "--interface=127.0.0.1", "--no-fallback"]
    ports = [f"--listen-ng=127.0.0.1:{control}", f"--port-min={low}", f"--port-max={low + 40}"]
    arguments = ["rtpengine", "--config-file=none", *arguments, *ports, "--delete-delay=0", *options]
    with started(arguments, directory) as program:
        program.wait_until_open(control)
        yield program, control


def _rtpengine(directory: Path, name: str, function: str, options: list[str], transcode: bool) -> Row:
    version = package_version("rtpengine-daemon")
    with rtpengine_started(directory, options) as (program, control):
        (put,) = probed(program.pid, function)
        with measuring(program.pid) as agent, bpftrace(program.pid, directory, (put, "1", "@put = count();")) as other:
            with ng.Call(control, transcode) as call:
                sent = send(call.remote_rtp, Plan(), call.rtp)
                program.wait_until_read(call.remote_rtp)
                scraped = agent.settled(program.pid)
                own = call.statistics()
            seen = other.read()
    returned = counted(scraped, program.pid, function, CALLS, outcome="returned")
    claims: tuple[Claim, ...] = (
        Claim("calls", returned, sent.packets, SENDER),
        Claim("calls", returned, seen.get("put"), "bpftrace"),
        Claim("calls", returned, own, "its statistics"),
    )
    if function == "buffer_packet":  # which is given whole packets, of a call that it leads to
        caller = counted(scraped, program.pid, function, "rtp_packets_received_total", stream=CALLER)
        named = Claim(f"packets of `{CALLER}`", caller, sent.packets, SENDER)
        claims = (*claims, named, *by_sequence(of_streams(scraped, program.pid), sent))
    return Row(name, version, put.source, function, claims)


def rtpengine(directory: Path) -> Row:
    """rtpengine that transcodes a call: its packet sequencer."""
    return _rtpengine(directory, "rtpengine, transcoding", "packet_sequencer_insert", [], transcode=True)


def rtpengine_buffer(directory: Path) -> Row:
    """rtpengine with its jitter buffer."""
    return _rtpengine(directory, "rtpengine `--jitter-buffer`", "buffer_packet", JITTER_BUFFER, transcode=False)
