# SPDX-License-Identifier: Apache-2.0
"""`otel-jb why` on a real server that the host keeps from its CPU: it accuses the host, and explains by it what follows."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.diagnosis import injections
from tests.diagnosis.injections import Rate, whole
from tests.diagnosis.programs import PROFILE, Program, ffmpeg, media_server
from tests.e2e.agent_process import run_command

pytestmark = pytest.mark.e2e

WINDOW_S = 5
ATTEMPTS = 4  #: five seconds of a machine that others use are not always enough to show a trouble


#: Takes a CPU for 30 ms of 50, before every ordinary program whatever the groups that the kernel shares it out by.
_HOG = """
import time
while True:
    until = time.monotonic() + 0.03
    while time.monotonic() < until:
        pass
    time.sleep(0.02)
"""


@contextlib.contextmanager
def starved(program: Program) -> Iterator[None]:
    """It shares one CPU with a program that comes first."""
    cpu = min(os.sched_getaffinity(0))
    hog = subprocess.Popen(["taskset", "-c", str(cpu), sys.executable, "-S", "-E", "-c", _HOG])
    try:
        os.sched_setscheduler(hog.pid, os.SCHED_RR, os.sched_param(50))
        for thread in Path(f"/proc/{program.pid}/task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
            os.sched_setaffinity(int(thread.name), {cpu})
        yield
    finally:
        hog.kill()
        hog.wait()


@contextlib.contextmanager
def throttled(program: Program) -> Iterator[None]:
    """Its cgroup may use a tenth of a CPU, by version 1 or 2."""
    version1 = Path("/sys/fs/cgroup/cpu")
    group = (version1 if version1.is_dir() else Path("/sys/fs/cgroup")) / f"otel_jb_{program.pid}"
    group.mkdir()
    try:
        for thread in Path(f"/proc/{program.pid}/task").iterdir():  # a quota is for ordinary threads
            os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
        if version1.is_dir():
            (group / "cpu.cfs_quota_us").write_text("10000")
        else:
            (group.parent / "cgroup.subtree_control").write_text("+cpu")
            (group / "cpu.max").write_text("10000 100000")
        (group / "cgroup.procs").write_text(str(program.pid))
        yield
    finally:
        (group.parent / "cgroup.procs").write_text(str(program.pid))
        group.rmdir()


def _why(directory: Path, program: Program) -> dict[str, Any]:
    """The verdict on a program that gets 100 packets a second."""
    profile = directory / "media_server.yaml"
    profile.write_text(PROFILE)
    done = threading.Event()

    def send() -> None:
        seed = 0
        while not done.is_set():
            seed += 1
            injections.play([(program.port, injections.healthy(Rate(0.01), 1.0))], seed)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        ended = run_command(
            "why", "--pid", str(program.pid), "--profile", str(profile), "--for", f"{WINDOW_S}s", "--json"
        )
    finally:
        done.set()
        sender.join()
    assert ended.returncode == 0, ended.stderr
    (found,) = json.loads(ended.stdout)["targets"]
    return dict(found)


def _computing(directory: Path, _name: str) -> contextlib.AbstractContextManager[Program]:
    return media_server(directory, "computes")


Start = Callable[[Path, str], contextlib.AbstractContextManager[Program]]
Keep = Callable[[Program], contextlib.AbstractContextManager[None]]
CASES: tuple[tuple[str, Start, Keep], ...] = (("run_delay", ffmpeg, starved), ("throttled", _computing, throttled))


@pytest.mark.parametrize(("measure", "start", "keep"), CASES if whole() else CASES[:1])
def test_what_keeps_a_server_from_its_cpu_is_the_hosts_fault(
    tmp_path: Path, measure: str, start: Start, keep: Keep
) -> None:
    """The host is accused of it; what follows from it, such as jitter, slow calls and unread packets, accuses nobody else."""
    with start(tmp_path, "receiver") as program, keep(program):
        for _ in range(ATTEMPTS):
            found = _why(tmp_path, program)
            if measure in {each["measure"] for each in found["findings"]}:
                break
    assert {each["culprit"] for each in found["findings"]} == {"host"}, found["findings"]
    assert measure in {each["measure"] for each in found["findings"]}
