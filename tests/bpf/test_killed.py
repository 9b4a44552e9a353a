# SPDX-License-Identifier: Apache-2.0
"""An agent that is killed: whatever it was doing, its processes end, its probes go, and its target goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bpf.conftest import Child, Compile
from tests.e2e.agent_process import fetch, free_tcp_port, until
from tests.scale import patience

pytestmark = pytest.mark.bpf

KILLS = 20 if os.environ.get("OTEL_JB_LONG") or os.environ.get("CI") else 2


def marked(mark: str) -> set[int]:
    """Processes that were started with this in their environment and have not ended."""
    found = set()
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (each / "environ").read_bytes().split(b"\0"):
                found.add(int(each.name))
        except OSError:
            continue
    return found


def code(child: Child) -> bytes:
    """The function's bytes in the target's memory."""
    file = child.path.read_bytes()
    listed = subprocess.run(["nm", child.path], check=True, capture_output=True, text=True).stdout.split()
    address = int(listed[listed.index("jitterbuffer_put") - 2], 16)
    base = int(Path(f"/proc/{child.pid}/maps").read_text().split("-", 1)[0], 16)
    assert file[16:18] == b"\x03\0", "not position-independent, so its addresses are no offsets from there"
    with open(f"/proc/{child.pid}/mem", "rb", buffering=0) as memory:
        memory.seek(base + address)
        return memory.read(24)


def test_a_killed_agent_leaves_nothing_behind(compile_program: Compile, start: Callable[..., Child]) -> None:
    """SIGKILL, while it starts and while it measures: no process of its own and no breakpoint stays, and the target computes what it should."""
    child = start(compile_program("own_text.c", "-O2", "-pie", "-fPIE"))
    original = code(child)
    for attempt in range(KILLS):
        mark, port = f"OTEL_JB_TEST_MARK={uuid.uuid4()}", free_tcp_port()
        command = [sys.executable, "-m", "otel_jb", "run", "--pid", str(child.pid), "--listen", f"127.0.0.1:{port}"]
        agent = subprocess.Popen(["env", mark, *command], stderr=subprocess.DEVNULL)
        try:
            if attempt % 2:
                until(lambda port=port: fetch(f"http://127.0.0.1:{port}/ready")[0] == 200, "it is ready")  # type: ignore[misc]
                assert code(child) != original
            else:
                until(lambda mark=mark: len(marked(mark)) > 1, "it has a child")  # type: ignore[misc]
        finally:
            os.kill(agent.pid, signal.SIGKILL)
        assert agent.wait(patience(30)) == -signal.SIGKILL
        until(lambda mark=mark: not marked(mark), "its children are gone")  # type: ignore[misc]
        until(lambda: code(child) == original, "its probes are gone")
        assert child.ask("call 100") == "100 0"
