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
from typing import Any

import pytest

from tests.bpf.conftest import Child, Compile
from tests.e2e.agent_process import COMMAND, Conversation, agent, run_command, until
from tests.e2e.test_traces import build
from tests.scale import patience

pytestmark = pytest.mark.bpf

COLUMNS, LINES = 100, 30
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][0-9A-B]|[=>])")


class Terminal:
    """A program on a pseudo terminal, and everything that it wrote, without escape sequences."""

    def __init__(self, *arguments: str, kind: str = "xterm-256color") -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        environment = {**os.environ, "TERM": kind, "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            [str(COMMAND), *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.written = ""
        self.sequences = 0  #: that move the cursor or set colours

    def shows(self, text: str) -> None:
        """Wait until it has written this since the last key."""
        self.shows_what(lambda written: text in written, repr(text))

    def shows_what(self, found: Callable[[str], bool], what: str) -> None:
        """Wait until this is true of what it has written since the last key."""
        deadline = time.monotonic() + patience(60)
        while not found(self.written):
            assert time.monotonic() < deadline, f"{what} never shown; last: {self.written[-4000:]!r}"
            if select.select([self._master], [], [], 0.2)[0]:
                try:
                    more, sequences = _SEQUENCE.subn("", os.read(self._master, 1 << 16).decode(errors="replace"))
                    self.written += more
                    self.sequences += sequences
                except OSError as error:
                    raise AssertionError(f"it ended before it showed {what}: {self.written[-4000:]!r}") from error

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
def terminal(*arguments: str, kind: str = "xterm-256color") -> Iterator[Terminal]:
    """A terminal that is closed again."""
    shown = Terminal(*arguments, kind=kind)
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
    """By its address, without a probe of its own, as plain lines where there is no terminal, or a dumb one."""
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
        with terminal("top", "--connect", address, "--seconds", "1", kind="dumb") as shown:
            shown.shows("jitterbuffer_put")
            assert shown.process.wait(patience(20)) == 0
            assert shown.sequences == 0


def _opens_put(shown: Terminal) -> None:
    shown.shows("SrsRtpJitterBuffer::put")
    shown.press("/JitterBuffer::put\r")
    shown.shows("SrsRtpJitterBuffer::put  put")  # as a row of its own
    shown.press("\r")
    shown.shows("verdict: ")


def _shows_call(shown: Terminal, logged: dict[str, Any]) -> None:
    """The open row has the call that the program logged, which slept for 50 ms; and `q` ends it.

    On a busy machine other calls may be slow too, but this one is the longest. nanosleep never takes less than it is told. A slow
    call may be drawn one frame before the reading that counts it, so each line is waited for.
    """
    row = rf"([\d.]+) ms  SrsRtpJitterBuffer::put  \S+ \({logged['thread']}\)"
    low, high = logged["inner_ns"] / 1e6 - 0.1, logged["outer_ns"] / 1e6 + 0.1

    def took(written: str) -> float:
        return max(map(float, re.findall(row, written)), default=0.0)

    def blocked(written: str) -> float:
        share = re.findall(r"ran [\d.]+ \S+, waited for a CPU [\d.]+ \S+, blocked ([\d.]+) ms", written)
        return max(map(float, share), default=0.0)

    def counted(written: str) -> bool:
        bounds = re.findall(r"≤([\d.]+)ms +[^\s\d]+ +1\b", written.partition("calls by duration")[2])
        return any(float(bound) >= took(written) for bound in bounds)

    shown.shows_what(lambda written: low < took(written), f"a call of at least {low} ms")
    assert took(shown.written) < high
    shown.shows_what(lambda written: blocked(written) > 49.9, "that it was blocked")
    assert blocked(shown.written) <= took(shown.written)
    shown.shows_what(counted, "the call in the picture of calls by duration")
    assert shown.close() == 0


def _slow_put(server: Conversation) -> dict[str, Any]:
    """Let one call of forty sleep for 50 ms; what the program logged of it."""
    (logged,) = [each for each in server.ask("run 1 40 1 50000")["log"] if each["planned"]]
    found: dict[str, Any] = logged
    return found


def test_an_open_row_shows_a_slow_call_as_the_program_logged_it(tmp_path: Path) -> None:
    """Its duration, what its thread did, its stack and the call over time: measured by `top` itself."""
    with Conversation(build(tmp_path, "threads")) as server, terminal("top", str(server.pid)) as shown:
        shown.shows("not called yet")
        server.ask("run 1 40 0 0")
        _opens_put(shown)
        logged = _slow_put(server)
        shown.shows("receive_packet")
        shown.shows("serve_session")
        _shows_call(shown, logged)


def test_an_open_row_shows_what_a_running_agent_kept(tmp_path: Path) -> None:
    """The same from the page of an agent that keeps slow calls."""
    settings = tmp_path / "agent.yml"
    settings.write_text("page: {slow_calls: true}\n")
    with (
        Conversation(build(tmp_path, "threads")) as server,
        agent(tmp_path, "--config", str(settings), "--pid", str(server.pid)) as measuring,
    ):
        server.ask("run 1 40 0 0")
        with terminal("top", "--connect", measuring.url) as shown:
            _opens_put(shown)
            logged = _slow_put(server)
            shown.shows("receive_packet")
            _shows_call(shown, logged)


def test_an_open_row_of_a_recording_shows_its_slow_calls(tmp_path: Path) -> None:
    """What `record` wrote of a slow call is shown when the replay gets there."""
    file = tmp_path / "incident.jsonl.gz"
    with Conversation(build(tmp_path, "threads")) as server:
        options = ("--pid", str(server.pid), "--interval", "1s")
        with agent(tmp_path, *options, command=("record", str(file))) as measuring:
            server.ask("run 1 40 0 0")
            measuring.settled(server.pid, seconds=2.5)
            logged = _slow_put(server)
            measuring.settled(server.pid, seconds=2.5)
    with terminal("top", "--replay", str(file)) as shown:
        _opens_put(shown)
        _shows_call(shown, logged)


def test_an_address_where_nobody_answers_is_one_message() -> None:
    """With what to do, exit code 3, and no screen."""
    done = run_command("top", "--connect", "http://127.0.0.1:9")
    assert done.returncode == 3
    assert "no answer from http://127.0.0.1:9/metrics" in done.stderr
    assert done.stdout == ""
