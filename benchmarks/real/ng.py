# SPDX-License-Identifier: Apache-2.0
"""A call through rtpengine, by its control protocol: a cookie and a dictionary in bencoding, one datagram each."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from typing_extensions import Self

Value = Union[int, bytes, "list[Value]", "dict[bytes, Value]"]
_DESCRIPTION = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio {port} RTP/AVP {payload_type}
a=rtpmap:{payload_type} {codec}/8000
a=sendrecv
"""
PCMU, PCMA = 0, 8


def encode(value: object) -> bytes:
    """Bencoding of integers, text, lists and dictionaries."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, dict):
        pairs = sorted((str(key).encode(), each) for key, each in value.items())
        return b"d" + b"".join(encode(key) + encode(each) for key, each in pairs) + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(encode, value)) + b"e"
    text = value if isinstance(value, bytes) else str(value).encode()
    return b"%d:%s" % (len(text), text)


def decode(data: bytes) -> Value:
    """The value that `encode` wrote. Raises ValueError."""
    value, rest = _decode(data)
    if rest:
        raise ValueError("more than one value")
    return value


def _decode(data: bytes) -> tuple[Value, bytes]:
    kind = data[:1]
    if kind == b"i":
        number, _, rest = data[1:].partition(b"e")
        return int(number), rest
    if kind in (b"l", b"d"):
        items: list[Value] = []
        rest = data[1:]
        while rest[:1] != b"e":
            item, rest = _decode(rest)
            items.append(item)
        if kind == b"l":
            return items, rest[1:]
        return {bytes(key): each for key, each in zip(items[::2], items[1::2], strict=True)}, rest[1:]  # type: ignore[arg-type]
    length, _, rest = data.partition(b":")
    return rest[: int(length)], rest[int(length) :]


class Call:
    """A call between two sockets of ours; the caller sends PCMU, and the called one gets PCMA if it is transcoded."""

    def __init__(self, control: int, transcode: bool) -> None:
        self._control = ("127.0.0.1", control)
        self._transcode = transcode
        self._asks = self._called = self.rtp = socket.socket()  # replaced when the call begins
        self.remote_rtp = 0
        self._cookie = 0

    def __enter__(self) -> Self:
        self._asks, self.rtp, self._called = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3))
        for each in (self._asks, self.rtp, self._called):
            each.bind(("127.0.0.1", 0))
        self._asks.settimeout(10)
        extra: dict[str, object] = {}
        if self._transcode:
            extra = {"codec": {"mask": ["PCMU"], "transcode": ["PCMA"]}}
        offer = _DESCRIPTION.format(port=self.rtp.getsockname()[1], payload_type=PCMU, codec="PCMU")
        self._ask("offer", {"from-tag": "caller", "sdp": offer, **extra})
        taken, codec = (PCMA, "PCMA") if self._transcode else (PCMU, "PCMU")
        answer = _DESCRIPTION.format(port=self._called.getsockname()[1], payload_type=taken, codec=codec)
        answered = self._ask("answer", {"from-tag": "caller", "to-tag": "called", "sdp": answer})
        found = re.search(rb"m=audio (\d+)", bytes(answered[b"sdp"]))  # type: ignore[arg-type]
        assert found, answered
        self.remote_rtp = int(found[1])
        return self

    def __exit__(self, *_: object) -> None:
        self._ask("delete", {"from-tag": "caller"})
        for each in (self._asks, self.rtp, self._called):
            each.close()

    def statistics(self) -> int:
        """RTP packets that it received, by its own count."""
        totals = self._ask("query", {})[b"totals"]
        assert isinstance(totals, dict)
        rtp = totals[b"RTP"]
        assert isinstance(rtp, dict)
        packets = rtp[b"packets"]
        assert isinstance(packets, int)
        return packets

    def _ask(self, command: str, with_: dict[str, object]) -> dict[bytes, Value]:
        self._cookie += 1
        cookie = b"%d" % self._cookie
        self._asks.sendto(cookie + b" " + encode({"command": command, "call-id": "one", **with_}), self._control)
        answer = self._asks.recv(65535)
        assert answer.startswith(cookie + b" "), answer
        said = decode(answer[len(cookie) + 1 :])
        assert isinstance(said, dict)
        assert said[b"result"] == b"ok", said
        return said
