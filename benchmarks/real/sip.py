# SPDX-License-Identifier: Apache-2.0
"""One SIP call over UDP (RFC 3261), from a caller that knows just enough for it."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

_CONFIG = """\
sip_listen 127.0.0.1:{port}
audio_player aubridge,one
audio_source aubridge,one
audio_alert aubridge,one
rtp_stats yes
jitter_buffer_type fixed
jitter_buffer_delay 5-10
module_path /usr/lib/baresip/modules
module g711.so
module aubridge.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app rtcpsummary.so
"""


def configure(directory: Path, port: int) -> None:
    """A baresip that takes each call at once."""
    (directory / "config").write_text(_CONFIG.format(port=port))
    (directory / "accounts").write_text(f"<sip:called@127.0.0.1:{port}>;regint=0;answermode=auto;audio_codecs=pcmu\n")
    (directory / "contacts").write_text("")


class Call:
    """A call to a SIP port of loopback. `rtp` is the socket that it sends from, `remote_rtp` the port to send to."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._sip = self.rtp = socket.socket()  # replaced when the call begins
        self.remote_rtp = 0
        self._tag = ""

    def __enter__(self) -> Self:
        self._sip, self.rtp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for each in (self._sip, self.rtp):
            each.bind(("127.0.0.1", 0))
        self._sip.settimeout(10)
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
        lines += [f"m=audio {self.rtp.getsockname()[1]} RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=sendrecv", ""]
        self._say("INVITE", 1, "\r\n".join(lines))
        while True:
            answer = self._sip.recv(65535).decode()
            status = int(answer.split(" ", 2)[1])
            assert status < 300, answer
            if status >= 200:
                break
        tag = re.search(r"(?mi)^To:.*;tag=([^\s;]+)", answer)
        media = re.search(r"m=audio (\d+)", answer)
        assert tag is not None, answer
        assert media is not None, answer
        self._tag, self.remote_rtp = tag[1], int(media[1])
        self._say("ACK", 1)
        return self

    def __exit__(self, *_: object) -> None:
        self._say("BYE", 2)
        self._sip.recv(65535)
        self._sip.close()
        self.rtp.close()

    def _say(self, method: str, number: int, body: str = "") -> None:
        here = f"127.0.0.1:{self._sip.getsockname()[1]}"
        to = f"<sip:called@127.0.0.1:{self._to[1]}>"
        head = [
            f"{method} sip:called@127.0.0.1:{self._to[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{method}{number};rport",
            "Max-Forwards: 70",
            f"From: <sip:caller@{here}>;tag=caller",
            f"To: {to}" + (f";tag={self._tag}" if self._tag else ""),
            "Call-ID: one@127.0.0.1",
            f"CSeq: {number} {method}",
            f"Contact: <sip:caller@{here}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self._sip.sendto(("\r\n".join([*head, "", ""]) + body).encode(), self._to)
