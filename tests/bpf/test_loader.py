# SPDX-License-Identifier: Apache-2.0
"""The child that compiles the BPF program."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from queue import Queue

import pytest

from otel_jb.model.errors import UnsupportedError
from otel_jb.probes.programs.compiled import Loading
from tests.scale import patience

pytestmark = pytest.mark.bpf


def loading() -> Loading:
    """A child at work, with nothing kept from before."""
    return Loading(24, 5, 64)


def child_of(work: Loading) -> subprocess.Popen[bytes]:
    assert work._child is not None
    assert isinstance(work._child.process, subprocess.Popen)
    return work._child.process


def test_signals_for_the_agent_do_not_end_the_loader() -> None:
    """A terminal's Ctrl-C and a service manager's SIGTERM reach the child too: the agent still starts, and then stops cleanly."""
    work = loading()
    pid = child_of(work).pid
    deadline = time.monotonic() + patience(20)
    while not ignores(pid, signal.SIGTERM):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    work.result().close()


def test_a_loader_that_was_killed_is_said_to_have_been() -> None:
    """Where the child is killed the error names the signal."""
    work = loading()
    child_of(work).kill()
    with pytest.raises(UnsupportedError, match="killed by SIGKILL"):
        work.result()


def test_a_thread_that_waits_for_the_loader_is_let_go() -> None:
    """Where the start fails for another reason meanwhile, nobody waits for the compiler any more, and it is gone."""
    work, refused = loading(), Queue[UnsupportedError]()
    child_of(work).send_signal(signal.SIGSTOP)  # it never answers

    def wait() -> None:
        with pytest.raises(UnsupportedError) as caught:
            work.result()
        refused.put(caught.value)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    deadline = time.monotonic() + patience(20)
    while not work._awaited:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    work.cancel()
    assert "killed by SIGKILL" in refused.get(timeout=patience(20)).message
    assert child_of(work).returncode == -signal.SIGKILL


def ignores(pid: int, number: int) -> bool:
    """Whether a process ignores a signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    mask = next(line for line in status.splitlines() if line.startswith("SigIgn:"))
    return bool(int(mask.split()[1], 16) >> (number - 1) & 1)
