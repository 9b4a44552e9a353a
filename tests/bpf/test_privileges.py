# SPDX-License-Identifier: Apache-2.0
"""The agent does its work with what its systemd unit gives it and no more, and root's agent gives up the rest."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from otel_jb.arch import system_calls
from otel_jb.host.privileges import CAPABILITIES
from otel_jb.probes import features
from otel_jb.sandbox import seccomp
from tests.bpf.conftest import Child, Compile
from tests.bpf.test_debug_files import body, missing, server, stripped
from tests.e2e.agent_process import Exposition, fetch, free_tcp_port, until
from tests.scale import patience
from tests.unit import sandbox_attacks

UNIT = Path(__file__).parents[2] / "deploy/systemd/otel-jb.service"
DRIVER = Path(__file__).parents[1] / "targets/speex_driver.py"
SERVICE_USER = 4321
CALLS = "jitterbuffer_calls_total"

#: Does to itself what systemd does for the unit after it has changed the user, then becomes the agent.
CONFINED = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
libc.prctl(65, 1, 0, 0, 0)  # PR_SET_MDWE, from Linux 6.3: MemoryDenyWriteExecute=
code = bytes.fromhex(sys.argv[1])
held = ctypes.create_string_buffer(code)
import struct
program = ctypes.create_string_buffer(struct.pack("@HxxxxxxQ", len(code) // 8, ctypes.addressof(held)))
assert libc.prctl(22, 2, ctypes.c_ulong(ctypes.addressof(program)), 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""


def settings(name: str) -> list[str]:
    """The values of a setting of the unit, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def members(group: str) -> set[str]:
    """The system calls of a group as systemd knows it."""
    text = subprocess.run(
        ["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True
    ).stdout
    found: set[str] = set()
    for line in text.splitlines()[1:]:
        word = line.strip()
        if word and not word.startswith("#"):
            found |= members(word) if word.startswith("@") else {word}
    return found


def unit_filter(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The unit's SystemCallFilter= as a program for this machine."""
    allowed = members("@default")
    for line in settings("SystemCallFilter"):
        for word in line.removeprefix("~").split():
            named = members(word) if word.startswith("@") else {word}
            allowed = allowed - named if line.startswith("~") else allowed | named
    machine = os.uname().machine
    numbers = sandbox_attacks.header_numbers(machine, sorted(allowed))
    monkeypatch.setitem(system_calls.NUMBERS, machine, numbers)
    return seccomp.program(seccomp.allowing(*numbers), machine)


class Manager:
    """A service manager's socket, and what was said to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o777)

    def hears(self, word: str) -> bool:
        """Whether it is said in time."""
        self.socket.settimeout(patience(60))
        try:
            while word not in self.socket.recv(4096).decode():
                pass
        except TimeoutError:
            return False
        return True


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    tmp_path.chmod(0o755)
    made = Manager(tmp_path / "notify")
    yield made
    made.socket.close()


@pytest.fixture
def target(start: Callable[..., Child]) -> Child:
    """The installed libspeexdsp, driven by root."""
    return start(Path(sys.executable), str(DRIVER))


def status(path: Path) -> dict[str, str]:
    """A /proc/…/status as a dictionary; empty where the thread has ended."""
    try:
        lines = (path / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def names(mask: str) -> set[str]:
    """The capabilities of a mask of /proc/PID/status, those without a name as numbers."""
    by_bit = {bit: name for name, bit in CAPABILITIES.items()}
    return {by_bit.get(bit, str(bit)) for bit in range(64) if int(mask, 16) >> bit & 1}


def measure(
    how: list[str], manager: Manager, target: Child, *options: str
) -> tuple[dict[str, Any], dict[str, str], list[dict[str, str]]]:
    """What the target says that it did, what the agent counted, and the status of each of the agent's threads."""
    port = free_tcp_port()
    command = [*how, sys.executable, "-m", "otel_jb", "run", "--pid", str(target.pid), "--listen", f"127.0.0.1:{port}"]
    command = [*command, *options]
    agent = subprocess.Popen(
        command, env={**os.environ, "NOTIFY_SOCKET": str(manager.path)}, stderr=subprocess.PIPE, text=True
    )
    try:
        assert manager.hears("READY=1"), "the agent does not become ready"
        did = json.loads(target.ask("run 200"))
        assert manager.hears("WATCHDOG=1")
        _, text = fetch(f"http://127.0.0.1:{port}/metrics")
        threads = [found for task in Path(f"/proc/{agent.pid}/task").iterdir() if (found := status(task))]
    finally:
        agent.send_signal(signal.SIGTERM)
        _, said = agent.communicate(timeout=patience(30))
    assert agent.returncode == 0, said
    assert manager.hears("STOPPING=1")
    counted = {
        labels["function"]: str(int(value))
        for labels, value in Exposition(text).find("jitterbuffer_calls_total", outcome="returned")
    }
    assert "WARNING" not in said, said
    return did, counted, threads


def confined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What comes before a command that is to run as the unit's: its user, capabilities and system calls."""
    (given,) = settings("AmbientCapabilities")
    assert tuple(given.split()) == features.CAPABILITIES
    assert settings("CapabilityBoundingSet") == [given]
    listed = ",".join("+" + name.removeprefix("CAP_").lower() for name in given.split())
    user = ["setpriv", f"--reuid={SERVICE_USER}", f"--regid={SERVICE_USER}", "--clear-groups"]
    sets = [f"--bounding-set=-all,{listed}", f"--inh-caps=-all,{listed}", f"--ambient-caps=-all,{listed}", "--"]
    return [*user, *sets, sys.executable, "-c", CONFINED, unit_filter(monkeypatch).hex()]


@pytest.mark.skipif(features.multi_link_error() != 0, reason="without multi links CAP_SYS_ADMIN is needed")
def test_the_unit_s_confinement_suffices(manager: Manager, target: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a service user with the unit's capabilities and system calls the agent counts every call of root's process."""
    did, counted, threads = measure(confined(monkeypatch), manager, target)
    assert counted["jitter_buffer_put"] == str(did["put"]["calls"])
    assert counted["jitter_buffer_get"] == str(did["get"]["calls"])
    for thread in threads:
        assert names(thread["CapEff"]) == names(thread["CapPrm"]) == set(features.CAPABILITIES)
        assert names(thread["CapInh"]) == names(thread["CapAmb"]) == set()  # no program that it starts has any
        assert thread["Uid"].split() == [str(SERVICE_USER)] * 4


@pytest.mark.skipif(features.multi_link_error() != 0, reason="without multi links CAP_SYS_ADMIN is needed")
def test_the_unit_keeps_debug_files(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the unit's confinement, a stripped program is measured once its debug file has come, which is kept in the unit's own directory."""
    (directory,) = settings("CacheDirectory")
    assert f"DEBUGINFOD_CACHE_PATH=%C/{directory}" in settings("Environment")
    program, build_id, debug = stripped(compile_program("calls.c", "-O1", "-Wl,--build-id"), tmp_path)
    tmp_path.chmod(0o755)
    cache, log = tmp_path / directory, tmp_path / "log"  # as systemd makes it for the unit's user
    cache.mkdir(mode=0o700)
    os.chown(cache, SERVICE_USER, SERVICE_USER)
    child, port = start(program), free_tcp_port()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (body(debug) if build_id in handler.path else missing)(handler)

    with server(answer) as (url, _), log.open("w") as output:
        environment = {**os.environ, "DEBUGINFOD_URLS": url, "DEBUGINFOD_CACHE_PATH": str(cache)}
        options = ["--pid", str(child.pid), "--function", "put", "--listen", f"127.0.0.1:{port}"]
        command = [*confined(monkeypatch), sys.executable, "-m", "otel_jb", "run", *options]
        agent = subprocess.Popen(command, env=environment, stderr=output)
        try:

            def returned() -> list[float]:
                assert agent.poll() is None, log.read_text()
                answered, text = fetch(f"http://127.0.0.1:{port}/metrics")
                found = Exposition(text).find(CALLS, function="put", outcome="returned") if answered == 200 else ()
                return [value for _, value in found]

            until(lambda: returned() == [0], "it is measured", 60)
            assert child.ask("700 1") == "done"
            until(lambda: returned() == [700], "every call is counted")
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait(patience(30))
    assert (cache / build_id / "debuginfo").read_bytes() == debug
    assert "Traceback" not in log.read_text()
    assert child.close() == 0


def test_root_s_agent_gives_up_what_it_does_not_need(manager: Manager, target: Child) -> None:
    """Every thread of an agent that root started holds only what measuring takes, in all sets and for good."""
    did, counted, threads = measure([], manager, target)
    assert counted["jitter_buffer_put"] == str(did["put"]["calls"])
    needed = set(features.kept_capabilities("auto"))
    assert len(threads) > 1
    for thread in threads:
        assert names(thread["CapEff"]) == names(thread["CapPrm"]) == needed & names(thread["CapBnd"])
        assert names(thread["CapBnd"]) <= needed
        assert names(thread["CapInh"]) == names(thread["CapAmb"]) == set()
        assert thread["NoNewPrivs"] == "1"


def test_what_is_not_compiled_yet_is_compiled_without_root_s_power(manager: Manager, target: Child) -> None:
    """Where programs are kept, but none for these options, the compiler starts after root's agent gave its capabilities up."""
    measure([], manager, target)
    seldom = str(100 + os.getpid() % 900)  # by an earlier run of this test perhaps
    did, counted, _ = measure([], manager, target, "--max-series", seldom)
    assert int(counted["jitter_buffer_put"]) == did["put"]["calls"]
