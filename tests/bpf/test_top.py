# SPDX-License-Identifier: Apache-2.0
"""`otel-jb top` on a real terminal: beside a running agent, by itself, and on a recording."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bpf.conftest import Child, Compile
from tests.e2e.agent_process import COMMAND, agent, run_command, until
from tests.scale import patience

pytestmark = pytest.mark.bpf

COLUMNS, LINES = 100, 30
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][0-9A-B]|[=>])")


class Terminal:
    """A program on a pseudo terminal, and everything that it wrote, without escape sequences."""

    def __init__(self, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            [str(COMMAND), *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.written = ""

    def shows(self, text: str) -> None:
        """Wait until it has written this since the last key."""
        deadline = time.monotonic() + patience(60)
        while text not in self.written:
            assert time.monotonic() < deadline, f"{text!r} never shown; last: {self.written[-2000:]!r}"
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    self.written += _SEQUENCE.sub("", os.read(self._master, 1 << 16).decode(errors="replace"))
                except OSError as error:
                    raise AssertionError(f"it ended before it showed {text!r}: {self.written[-2000:]!r}") from error

    def press(self, key: str) -> None:
        """Press a key; what was written before it counts no more."""
        self.written = ""
        os.write(self._master, key.encode())

    def close(self) -> int:
        """End it by its key, or by force; its exit status."""
        if self._master < 0:
            return self.process.wait()
        if self.process.poll() is None:
            os.write(self._master, b"q")
        try:
            return self.process.wait(patience(20))
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(20)
        finally:
            os.close(self._master)
            self._master = -1


@contextmanager
def terminal(*arguments: str) -> Iterator[Terminal]:
    """A terminal that is closed again."""
    shown = Terminal(*arguments)
    try:
        yield shown
    finally:
        shown.close()


def test_a_terminal_shows_what_runs(compile_program: Compile, start: Callable[..., Child]) -> None:
    """It measures the process by itself, each key changes the picture, and `q` ends it with exit code 0."""
    child = start(compile_program("guide_names.c", "-O1"))
    with terminal("top", str(child.pid)) as shown:
        shown.shows("not called yet")
        assert child.ask("90") != ""
        shown.shows("jitterbuffer_put  put")  # as a row of its own
        shown.press("\r")
        shown.shows("by duration")
        shown.press("\t")
        shown.shows("[streams]")
        shown.press("\t")
        shown.shows(f"[{child.pid}]")
        assert shown.close() == 0


def test_beside_a_running_agent_it_shows_that_agents_numbers(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path
) -> None:
    """By its address, without a probe of its own, as plain lines where there is no terminal; a recording likewise."""
    child = start(compile_program("guide_names.c", "-O1"))
    with agent(tmp_path, "--pid", str(child.pid)) as measuring:
        assert child.ask("70") != ""
        until(lambda: measuring.scrape().total("jitterbuffer_calls_total") >= 105, "all calls")
        address = measuring.url
        done = run_command("top", "--connect", address, "--seconds", "1")
        assert done.returncode == 0, done.stderr
        (line,) = [line for line in done.stdout.splitlines() if "jitterbuffer_put" in line][-1:]
        assert "70" in line.split()
        assert str(child.pid) in line


def test_an_address_where_nobody_answers_is_one_message() -> None:
    """With what to do, exit code 3, and no screen."""
    done = run_command("top", "--connect", "http://127.0.0.1:9")
    assert done.returncode == 3
    assert "no answer from http://127.0.0.1:9/metrics" in done.stderr
    assert done.stdout == ""
