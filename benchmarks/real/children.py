# SPDX-License-Identifier: Apache-2.0
"""The programs as processes: started with a log, known to listen, ended by their PID."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from otel_jb.demo.udp import dropped, has_open, queued_bytes
from tests.e2e.agent_process import until


class Started:
    """A running program."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.pid = process.pid
        self.log_path = log

    def log(self) -> str:
        """All that it has printed."""
        return self.log_path.read_text(errors="replace")

    def logged(self, pattern: str) -> int:
        """How often a line has said so. FFmpeg says "Last message repeated N times" instead of repeating itself."""
        count, last = 0, False
        for line in re.split(r"[\r\n]+", self.log()):
            repeated = re.search(r"Last message repeated (\d+) times", line)
            if repeated:
                count += int(repeated[1]) if last else 0
                continue
            if line.strip():
                last = re.search(pattern, line) is not None
                count += last
        return count

    def wait_for(self, pattern: str, seconds: float = 30.0) -> None:
        """Wait until it has printed this."""
        until(lambda: self._alive() and re.search(pattern, self.log()), f"{pattern}: {self.log()[-2000:]}", seconds)

    def wait_until_open(self, port: int) -> None:
        """Wait until its UDP socket is open."""
        until(lambda: self._alive() and has_open(self.pid, port), f"it listens at {port}")

    def wait_until_read(self, port: int) -> None:
        """Wait until nothing waits in its socket; raises AssertionError if the kernel dropped anything there."""
        until(lambda: self._alive() and queued_bytes(port) == 0, f"{port} is read")
        assert dropped(port) == 0, "the receiver was too slow"

    def end(self, number: int = signal.SIGINT) -> None:
        """End it, by SIGKILL if it does not obey within 10 s."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _alive(self) -> bool:
        assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log()[-3000:]}"
        return True


@contextlib.contextmanager
def started(
    arguments: Sequence[str | Path], directory: Path, environment: Mapping[str, str] | None = None, user: int = 0
) -> Iterator[Started]:
    """A program with its log in `directory`; as another user where it refuses to run as root."""
    log = directory / "program.log"
    if user:
        directory.chmod(0o777)
        arguments = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--", *arguments]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [str(each) for each in arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=directory,
            env={**os.environ, "HOME": str(directory), **(environment or {})},
        )
    running = Started(process, log)
    try:
        yield running
    finally:
        running.end(signal.SIGTERM)
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
