# SPDX-License-Identifier: Apache-2.0
"""Media servers in Go, which nobody packages for Debian: MediaMTX, wherever its executable is."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.real.children import started
from benchmarks.real.players import BYTES, DROPPED, PACKETS, SENDER
from benchmarks.real.row import Claim, NotMeasuredError, Row, bpftrace, command_output, counted, measuring, probed
from benchmarks.real.sender import Plan, send
from otel_jb.demo.udp import free_port_pair

REORDERER = "github.com/bluenviron/gortsplib/v5/pkg/rtpreceiver.(*Receiver).ProcessPacket2"
DUPLICATED = "jitterbuffer_duplicated_packets_total"
BUFFER = 64  #: packets that wait behind a gap before it is given up
HEADER = 12  #: bytes of the RTP header, which the library does not count as the packet's

CONFIGURATION = """\
logLevel: info
api: yes
apiAddress: 127.0.0.1:{api}
rtspAddress: 127.0.0.1:{rtsp}
rtpAddress: 127.0.0.1:{rtp}
rtcpAddress: 127.0.0.1:{rtcp}
rtmp: no
hls: no
webrtc: no
srt: no
paths: {{all_others: }}
"""
SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=sound\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\na=control:trackID=0\r\n"


class _Publisher:
    """A session in which a server records what is sent to it over UDP (RFC 2326)."""

    def __init__(self, port: int) -> None:
        self._url = f"rtsp://127.0.0.1:{port}/sound"
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._number = 0
        self._session = ""
        first, second = free_port_pair()
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind(("127.0.0.1", first))
        self._rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._rtcp.bind(("127.0.0.1", second))
        self._ask("ANNOUNCE", "", {"Content-Type": "application/sdp"}, SDP)
        transport = f"RTP/AVP;unicast;client_port={first}-{second};mode=record"
        answer = self._ask("SETUP", "/trackID=0", {"Transport": transport})
        self._session = answer["session"].partition(";")[0]
        self._ask("RECORD", "", {})

    def _ask(self, method: str, track: str, headers: dict[str, str], body: str = "") -> dict[str, str]:
        """The headers of the answer, by their names in small letters."""
        self._number += 1
        lines = [f"{method} {self._url}{track} RTSP/1.0", f"CSeq: {self._number}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Session: {self._session}"] if self._session else []
        self._connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = self._connection.recv(65536)
            if not more:
                raise NotMeasuredError(f"the server closed the connection at {method}")
            answer += more
        status, *rest = answer.decode().split("\r\n\r\n")[0].split("\r\n")
        if status.split()[1] != "200":
            raise NotMeasuredError(f"the server answers {method} with {status}")
        return {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in rest}

    def close(self) -> None:
        """End the session."""
        with suppress(OSError, NotMeasuredError):
            self._ask("TEARDOWN", "", {})
        for each in (self._connection, self.rtp, self._rtcp):
            each.close()


@contextmanager
def _publishing(port: int) -> Iterator[_Publisher]:
    publisher = _Publisher(port)
    try:
        yield publisher
    finally:
        publisher.close()


def _executable(directory: Path, *, strip: bool) -> tuple[Path, str]:
    """MediaMTX (`MEDIAMTX` names its executable) and its version; a copy without symbols if asked for."""
    found = os.environ.get("MEDIAMTX") or shutil.which("mediamtx")
    if not found:
        raise NotMeasuredError("mediamtx is not installed (MEDIAMTX names its executable)")
    path = Path(found)
    version = f"MediaMTX {command_output(str(path), '--version').split()[0]}"
    if strip:
        subprocess.run(["strip", "-o", directory / "mediamtx", path], check=True)
        return directory / "mediamtx", f"{version}, stripped"
    return path, version


def _mediamtx(directory: Path, *, strip: bool) -> Row:
    executable, version = _executable(directory, strip=strip)
    (api, rtsp), (rtp, rtcp) = free_port_pair(), free_port_pair()
    (directory / "mediamtx.yml").write_text(CONFIGURATION.format(api=api, rtsp=rtsp, rtp=rtp, rtcp=rtcp))
    with started([executable, directory / "mediamtx.yml"], directory) as program:
        program.wait_for(r"\[API\] (listener opened|started)")
        (put,) = probed(program.pid, REORDERER)
        with (
            measuring(program.pid) as agent,
            bpftrace(program.pid, directory, (put, "1", "@put = count();")) as other,
            _publishing(rtsp) as publisher,
        ):
            sent = send(rtp, Plan(tail=2 * BUFFER), publisher.rtp)  # so that at the end nothing waits
            scraped = agent.settled(program.pid, PACKETS)
            seen = other.read()
            with urllib.request.urlopen(f"http://127.0.0.1:{api}/v3/rtspsessions/list", timeout=30) as answer:
                (session,) = json.load(answer)["items"]
    packets, size, late, twice = (
        counted(scraped, program.pid, REORDERER, each) for each in (PACKETS, BYTES, DROPPED, DUPLICATED)
    )
    passed = None if packets is None or late is None or twice is None else packets - late - twice
    claims = (
        Claim("packets", packets, sent.packets, SENDER),
        Claim("packets", packets, seen.get("put"), "bpftrace"),
        Claim("payload bytes", size, sent.bytes - HEADER * sent.packets, SENDER),
        Claim("packets less late and duplicated", passed, float(session["inboundRTPPackets"]), "its statistics"),
    )
    return Row("", version, put.source, REORDERER, claims)


def mediamtx(directory: Path) -> Row:
    """MediaMTX with its symbols, to which RTP is published over RTSP and UDP."""
    return _mediamtx(directory, strip=False)


def mediamtx_stripped(directory: Path) -> Row:
    """The same without symbols."""
    return _mediamtx(directory, strip=True)
