# SPDX-License-Identifier: Apache-2.0
"""PJSIP, as the wheel pjsua2-python brings it: a program in Python that takes a call."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from benchmarks.real import sip
from benchmarks.real.children import Started, started
from benchmarks.real.players import BYTES, CALLS, DROPPED, PACKETS, SENDER
from benchmarks.real.row import Claim, NotMeasuredError, Row, bpftrace, command_output, counted, measuring, probed
from benchmarks.real.sender import SAMPLES, Plan, send
from otel_jb.demo.udp import free_port_pair

FRAME = 80  #: samples, and bytes, of a frame of G.711: PJMEDIA keeps packets as frames of 10 ms
ORIGIN = 132  #: of the head's number in pjmedia_jbuf, up to 2.15.1
PUT, GET = "pjmedia_jbuf_put_frame3", "pjmedia_jbuf_get_frame3"
#: What anybody writes who takes calls with it. A device that plays nothing takes the sound at its times, until the first line of input; the second asks for
#: the statistics.
_PROGRAM = """
import sys, pjsua2 as pj
class Call(pj.Call):
    def onCallMediaState(self, _):
        self.getAudioMedia(-1).startTransmit(endpoint.audDevManager().getPlaybackDevMedia())
class Account(pj.Account):
    call = None
    def onIncomingCall(self, asked):
        self.call = Call(self, asked.callId)
        answer = pj.CallOpParam()
        answer.statusCode = 200
        self.call.answer(answer)
endpoint = pj.Endpoint()
endpoint.libCreate()
endpoint.libInit(pj.EpConfig())
transport = pj.TransportConfig()
transport.port, transport.boundAddress, transport.publicAddress = int(sys.argv[1]), "127.0.0.1", "127.0.0.1"
endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
endpoint.audDevManager().setNullDev()
endpoint.libStart()
configuration = pj.AccountConfig()
configuration.idUri = "sip:called@127.0.0.1"
account = Account()
account.create(configuration)
print("ready", flush=True)
sys.stdin.readline()
account.call.getAudioMedia(-1).stopTransmit(endpoint.audDevManager().getPlaybackDevMedia())
sys.stdin.readline()
told = account.call.getStreamStat(0)
print("statistics", told.rtcp.rxStat.pkt, told.rtcp.rxStat.bytes, told.jbuf.empty + told.jbuf.lost, flush=True)
sys.stdin.readline()
"""


def _say(program: Started) -> None:
    assert program.process.stdin is not None
    program.process.stdin.write(b"\n")
    program.process.stdin.flush()


def pjsip(directory: Path) -> Row:
    """The wheel takes a call; its jitter buffer is in the same file as the rest of PJSIP."""
    python = os.environ.get("PJSUA2_PYTHON", sys.executable)
    asks = "import importlib.metadata as about, pjsua2; print('pjsua2-python', about.version('pjsua2-python'))"
    version = command_output(python, "-c", asks).strip()
    if not version.startswith("pjsua2-python "):
        raise NotMeasuredError(
            "the wheel `pjsua2-python` is not installed (PJSUA2_PYTHON names the Python that has it)"
        )
    sip_port, _ = free_port_pair()
    with started([python, "-c", _PROGRAM, str(sip_port)], directory) as program:
        program.wait_for("(?m)^ready")
        put, _ = probed(program.pid, PUT, GET)
        late = f"(int32)arg4 < *(int32 *)(arg0 + {ORIGIN})"
        clauses = (put, "1", "@put = count();"), (put, late, "@late = count();")
        with measuring(program.pid) as agent, bpftrace(program.pid, directory, *clauses) as other:
            with sip.Call(sip_port) as call:
                sent = send(call.remote_rtp, Plan(), call.rtp)
                program.wait_until_read(call.remote_rtp)
                _say(program)
                scraped = agent.settled(program.pid)
                _say(program)
                program.wait_for(r"statistics \d+")
            seen = other.read()
        packets, size, nothing = map(int, re.findall(r"statistics (\d+) (\d+) (\d+)", program.log())[0])
    calls, gets = (counted(scraped, program.pid, each, CALLS, outcome="returned") for each in (PUT, GET))
    out = counted(scraped, program.pid, GET, PACKETS)
    empty = None if gets is None or out is None else gets - out
    frames = SAMPLES // FRAME
    claims = (
        Claim("frames of 10 ms", calls, sent.packets * frames, SENDER),
        Claim("frames of 10 ms", calls, seen.get("put"), "bpftrace"),
        Claim("frames of 10 ms", calls, packets * frames, "its statistics"),
        Claim("payload bytes", counted(scraped, program.pid, PUT, BYTES), sent.bytes - 12 * sent.packets, SENDER),
        Claim("payload bytes", counted(scraped, program.pid, PUT, BYTES), size, "its statistics"),
        Claim("late", counted(scraped, program.pid, PUT, DROPPED, reason="late"), seen.get("late"), "bpftrace"),
        Claim("calls of pjmedia_jbuf_get_frame3 without a frame", empty, nothing, "its statistics"),
    )
    return Row("PJSIP", version, put.source, f"{PUT}`, `{GET}", claims)
