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
from tests.diagnosis.alerts import OF_CULPRIT, alerting, firing
from tests.diagnosis.injections import Rate, whole
from tests.diagnosis.programs import PROFILE, Program, ffmpeg, media_server
from tests.e2e.agent_process import agent, run_command, until

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


@contextlib.contextmanager
def fed(program: Program) -> Iterator[None]:
    """It gets 100 packets a second."""
    done = threading.Event()

    def send() -> None:
        seed = 0
        while not done.is_set():
            seed += 1
            injections.play([(program.port, injections.healthy(Rate(0.01), 1.0))], seed)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        yield
    finally:
        done.set()
        sender.join()


def _computing(directory: Path, _name: str) -> contextlib.AbstractContextManager[Program]:
    return media_server(directory, "computes")


Start = Callable[[Path, str], contextlib.AbstractContextManager[Program]]
Keep = Callable[[Program], contextlib.AbstractContextManager[None]]
CASES: tuple[tuple[str, Start, Keep], ...] = (("run_delay", ffmpeg, starved), ("throttled", _computing, throttled))


@pytest.mark.parametrize(("measure", "start", "keep"), CASES if whole() else CASES[:1])
def test_what_keeps_a_server_from_its_cpu_is_the_hosts_fault(
    tmp_path: Path, measure: str, start: Start, keep: Keep
) -> None:
    """The host is accused of it, by `why` and by its alert in a real Prometheus with the shipped rules; what follows from it, such as
    jitter, slow calls and unread packets, accuses nobody else, and fires no other alert in the end."""
    profile = tmp_path / "media_server.yaml"
    profile.write_text(PROFILE)
    with start(tmp_path, "receiver") as program, keep(program), fed(program):
        options = ("--pid", str(program.pid), "--profile", str(profile))
        with agent(tmp_path, *options, "--interval", "500ms") as running, alerting(tmp_path, running.port) as server:
            for _ in range(ATTEMPTS):
                found = why(*options)
                if measure in {each["measure"] for each in found["findings"]}:
                    break
            expected = {program.pid: {(OF_CULPRIT["host"], "")}}
            until(lambda: firing(server) == expected, "the host's alert fires alone", timeout=60, every=0.3)
    assert {each["culprit"] for each in found["findings"]} == {"host"}, found["findings"]
    assert measure in {each["measure"] for each in found["findings"]}


def why(*options: str) -> dict[str, Any]:
    """What it says of the one target."""
    ended = run_command("why", *options, "--for", f"{WINDOW_S}s", "--json")
    assert ended.returncode == 0, ended.stderr
    (found,) = json.loads(ended.stdout)["targets"]
    return dict(found)
