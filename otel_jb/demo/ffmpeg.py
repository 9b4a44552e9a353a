# SPDX-License-Identifier: Apache-2.0
"""FFmpeg as an RTP sender and as an RTP receiver on loopback.

The binary comes from PyPI's `imageio-ffmpeg`, which keeps FFmpeg's RTP functions in its symbol table; distributions
strip them. A child has its own session, so Ctrl-C reaches only the parent. The kernel kills the child
when its parent dies (PR_SET_PDEATHSIG, set by util-linux's `setpriv`, because Python's `preexec_fn` is unsafe with threads).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.demo.udp import dropped, free_port_pair, has_open, queued_bytes
from otel_jb.model.errors import TargetError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

#: 20 ms of G.711 (RFC 3551 section 4.2) after a 12-byte RTP header.
PACKET_BYTES = 172

#: The session description that a SIP or RTSP server would send: one G.711 A-law stream on this port.
_SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=otel_jb
c=IN IP4 127.0.0.1
t=0 0
m=audio {port} RTP/AVP 8
a=rtpmap:8 PCMA/8000
"""

#: Numbers of poll and ppoll, by machine. A thread that sleeps in one of them has handled everything that it read.
_POLL = {"x86_64": (7, 271), "aarch64": (73,)}


def find_ffmpeg() -> Path:
    """The FFmpeg executable that keeps the names of its RTP functions. Raises UnsupportedError if it is not installed."""
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise UnsupportedError(
            "The demo needs an FFmpeg that keeps the names of its RTP functions, but imageio-ffmpeg is not installed.",
            help="pip install imageio-ffmpeg   (in the environment in which otel-jb runs)",
        ) from error
    try:
        # An ffmpeg from PATH would be the distribution's, without the names, so use only the wheel's own binary.
        return Path(imageio_ffmpeg.get_ffmpeg_exe()).resolve(strict=True)
    except (RuntimeError, OSError) as error:
        raise UnsupportedError(f"imageio-ffmpeg has no FFmpeg for this machine: {error}") from error


class Child:
    """An FFmpeg process; `stop` ends it and waits for it."""

    def __init__(self, arguments: list[str], directory: Path, name: str) -> None:
        self.name = name
        self.log_path = directory / f"{name}.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def log(self) -> str:
        """The last 4 KiB of its output."""
        return self.log_path.read_bytes()[-4096:].decode(errors="replace")

    def wait(self, timeout: float) -> int:
        """Wait until it ends and return the exit status. Raises TimeoutExpired."""
        return self.process.wait(timeout)

    def stop(self) -> None:
        """End it (SIGTERM twice, then SIGKILL after 10 s) and reap it, so that nothing of its session remains."""
        # The first signal ends FFmpeg's main loop, the second the read for which that waits (fftools/ffmpeg.c, `decode_interrupt_cb`).
        for number, seconds in ((signal.SIGTERM, 0.1), (signal.SIGTERM, 10.0), (signal.SIGKILL, None)):
            if self.process.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)


class Receiver(Child):
    """An FFmpeg that receives one RTP stream and discards the sound; runs until stopped."""

    def __init__(self, directory: Path, executable: Path | None = None, name: str = "receiver") -> None:
        self.rtp_port, self.rtcp_port = free_port_pair()
        description = directory / f"{name}.sdp"
        description.write_text(_SDP.format(port=self.rtp_port), encoding="ascii")
        ffmpeg = str(executable or find_ffmpeg())
        options = ["-hide_banner", "-nostats", "-nostdin", "-loglevel", "warning"]
        source = ["-protocol_whitelist", "file,udp,rtp", "-localaddr", "127.0.0.1", "-i", str(description)]
        super().__init__([ffmpeg, *options, *source, "-f", "null", "-"], directory, name)

    def wait_until_listening(self, timeout: float = 10.0) -> None:
        """Wait until both sockets are open and no packet can be missed. Raises TargetError."""
        self._wait(lambda: has_open(self.pid, self.rtp_port) and has_open(self.pid, self.rtcp_port), timeout, "listen")

    def wait_until_handled(self, timeout: float = 10.0) -> None:
        """Wait until every datagram sent to it has passed its RTP parser. Raises TargetError.

        The same thread reads a datagram, parses it and polls for the next. So once nothing is unread and the thread
        sleeps in poll, it has handled the last datagram.
        """
        self._wait(lambda: queued_bytes(self.rtp_port) + queued_bytes(self.rtcp_port) == 0, timeout, "read its packets")
        self._wait(self._polling, timeout, "handle its packets")

    def kernel_drops(self) -> int:
        """Datagrams that the kernel dropped because the receiver was too slow; a test for equality needs 0."""
        return dropped(self.rtp_port) + dropped(self.rtcp_port)

    def _polling(self) -> bool:
        numbers = _POLL[os.uname().machine]
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError, ValueError):
                first = (thread / "syscall").read_text().split()[0]
                if int(first) in numbers:
                    return True
        return False

    def _wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            status = self.process.poll()
            if status is not None:
                raise TargetError(f"FFmpeg, the {self.name}, ended with status {status}.", help=self.log())
            if time.monotonic() > deadline:
                raise TargetError(f"FFmpeg, the {self.name}, did not {what} in {timeout:g} s.", help=self.log())
            time.sleep(0.005)


class Sender(Child):
    """An FFmpeg that sends a sine wave as G.711 A-law, 172-byte packets, `speed` times 50 a second.

    It ends by itself after `seconds` of sound (`seconds / speed` by the clock), or when it is stopped.
    """

    def __init__(
        self,
        directory: Path,
        rtp_port: int,
        rtcp_port: int,
        *,
        seconds: float | None = None,
        speed: float = 1.0,
        executable: Path | None = None,
        name: str = "sender",
    ) -> None:
        ffmpeg = str(executable or find_ffmpeg())
        # Frames of 160 samples leave one by one every 20 ms; with the default of 1024 six packets leave at once.
        sound = "sine=frequency=440:sample_rate=8000:samples_per_frame=160"
        limit = [] if seconds is None else ["-t", f"{seconds:g}"]
        options = ["-hide_banner", "-nostats", "-nostdin", "-loglevel", "warning", "-readrate", f"{speed:g}"]
        # Without this, FFmpeg sends the first half second at once.
        options += ["-readrate_initial_burst", "0.02"]
        url = f"rtp://127.0.0.1:{rtp_port}?pkt_size={PACKET_BYTES}&rtcpport={rtcp_port}&localaddr=127.0.0.1"
        source = ["-f", "lavfi", "-i", sound]
        super().__init__([ffmpeg, *options, *source, *limit, "-c:a", "pcm_alaw", "-f", "rtp", url], directory, name)


def temporary_directory() -> tempfile.TemporaryDirectory[str]:
    """A directory for SDP and logs, removed on close."""
    return tempfile.TemporaryDirectory(prefix="otel-jb-")
