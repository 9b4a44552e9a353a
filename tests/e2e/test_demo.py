# SPDX-License-Identifier: Apache-2.0
"""`otel-jb demo`: what a newcomer sees, and that nothing stays behind."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_jb.cli.progress import STARTING
from tests.e2e.agent_process import COMMAND, Exposition, fetch, free_tcp_port, run_command, until
from tests.scale import patience

pytestmark = pytest.mark.e2e

SUMMARY = re.compile(r"relay forwarded (\d+) packets, (\d+) bytes = agent counted (\d+) packets, (\d+) bytes")


def descendants(pid: int) -> list[int]:
    """Living processes that `pid` started, and those that these started."""
    found = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextlib.contextmanager
def demo(
    directory: Path, *arguments: str, output: int = subprocess.PIPE, columns: int | None = 140
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A running demo and the port of its endpoint, once FFmpeg's packets are counted."""
    port = free_tcp_port()
    temporary = directory / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    if columns is not None:
        environment |= {"COLUMNS": str(columns), "LINES": "40"}
    process = subprocess.Popen(
        [str(COMMAND), "demo", "--port", str(port), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    try:

        def counts() -> bool:
            assert process.poll() is None, f"the demo ended with {process.returncode}"
            status, body = fetch(f"http://127.0.0.1:{port}/metrics")
            return status == 200 and Exposition(body).total("jitterbuffer_packet_count_total") > 20

        until(counts, "the demo counts packets", timeout=20, every=0.1)
        yield process, port
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def assert_equal_counts(output: str) -> None:
    found = SUMMARY.search(output)
    assert found is not None, output
    packets, size, counted, counted_size = map(int, found.groups())
    assert (packets, size) == (counted, counted_size)
    assert packets > 20


def test_the_demo_ends_by_itself_and_the_counts_agree() -> None:
    """After --seconds it ends with 0, and says that the agent counted what the relay forwarded."""
    ended = run_command("demo", "--seconds", "3", "--port", "0", timeout=40)
    assert ended.returncode == 0, ended
    assert ended.stderr == ""
    assert_equal_counts(ended.stdout)
    assert re.search(r"http://127\.0\.0\.1:\d+/metrics", ended.stdout)
    assert re.search(r"ff_rtp_parse_packet +put +\S+ +(≤\S+ +)?≤\S+ +\S+ +\d+ +\d+ +\d+", ended.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C or SIGTERM: exit code 0, the summary, and neither a process nor a file is left."""
    with demo(tmp_path) as (process, _):
        children = descendants(process.pid)
        assert len(children) >= 2  # the two FFmpegs at least
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 0, output
    assert_equal_counts(output)
    assert "Traceback" not in output
    until(lambda: not any(map(alive, children)), "all its children end", timeout=5)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_nothing_outlives_a_killed_demo(tmp_path: Path) -> None:
    """Even SIGKILL, which nobody can catch, leaves no FFmpeg behind."""
    with demo(tmp_path) as (process, _):
        children = descendants(process.pid)
        assert len(children) >= 2
        process.kill()
        process.wait()
        until(lambda: not any(map(alive, children)), "all its children end", timeout=5)


def test_a_terminal_shows_a_table_that_is_redrawn(tmp_path: Path) -> None:
    """On a terminal a line moves from the start on, then the table is drawn again and again in place; Ctrl-C typed there ends it."""
    master, slave = pty.openpty()
    shown = ""
    try:
        with demo(tmp_path, output=slave) as (process, _):
            os.close(slave)
            until_seen = time.monotonic() + 15
            process_signalled = False
            while time.monotonic() < until_seen + 10:
                if select.select([master], [], [], 0.1)[0]:
                    try:
                        shown += os.read(master, 65536).decode(errors="replace")
                    except OSError:  # EIO: the other side is closed
                        break
                if shown.count("ff_rtp_parse_packet") >= 3 and not process_signalled:
                    process.send_signal(signal.SIGINT)
                    process_signalled = True
            assert process.wait(10) == 0
    finally:
        os.close(master)
    before, _, after = shown.partition("\x1b[?1049h")
    assert STARTING in before
    assert "\x1b[" in after
    assert_equal_counts(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", shown).replace("\n", " "))


def test_a_resized_terminal_is_drawn_anew(tmp_path: Path) -> None:
    """On a screen of its own, each frame begins at the top and fits the terminal's size at that moment; the end restores it."""
    import fcntl
    import struct
    import termios

    def resize(columns: int, lines: int) -> None:
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    master, slave = pty.openpty()
    shown = ""
    try:
        resize(120, 30)
        with demo(tmp_path, output=slave, columns=None) as (process, _):
            os.close(slave)
            deadline = time.monotonic() + patience(25)
            narrow_from, signalled = 0, False
            while time.monotonic() < deadline:
                if select.select([master], [], [], 0.1)[0]:
                    try:
                        shown += os.read(master, 65536).decode(errors="replace")
                    except OSError:  # EIO: the other side is closed
                        break
                if not narrow_from and shown.count("ff_rtp_parse_packet") >= 3:
                    resize(60, 12)
                    narrow_from = len(shown)
                elif narrow_from and not signalled and shown[narrow_from:].count("ff_rtp_parse_packet") >= 4:
                    process.send_signal(signal.SIGINT)
                    signalled = True
            assert process.wait(patience(10)) == 0
    finally:
        os.close(master)
    assert "\x1b[?1049h" in shown
    drawn, _, after = shown.rpartition("\x1b[?1049l")
    frames = [plain(frame) for frame in drawn.split("\x1b[H")[1:]]
    widths = [max(map(len, frame.splitlines())) for frame in frames if "ff_rtp_parse_packet" in frame]
    assert 60 < max(widths) <= 120
    assert widths[-1] <= 60
    assert_equal_counts(plain(after).replace("\n", " "))


def plain(text: str) -> str:
    """The text without what steers the terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", text)


def test_a_taken_port_ends_the_demo_before_any_traffic(tmp_path: Path) -> None:
    """The message names the address, and both FFmpegs are gone."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = str(listener.getsockname()[1])
        ended = run_command("demo", "--seconds", "5", "--port", taken)
    assert ended.returncode == 8, ended
    assert taken in ended.stderr
    assert f"demo --seconds 5 --port {int(taken) + 1}" in ended.stderr
    assert "otel-jb run" not in ended.stderr
    assert "Traceback" not in ended.stderr
