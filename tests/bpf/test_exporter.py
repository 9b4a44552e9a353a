# SPDX-License-Identifier: Apache-2.0
"""The exporter process: what code that was made to run in it can do, and what becomes of the agent when it dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_jb.probes import features
from tests.bpf.conftest import Child
from tests.bpf.test_privileges import DRIVER, SERVICE_USER, status
from tests.e2e.agent_process import fetch, free_tcp_port, until
from tests.scale import patience

KILLS = 20 if os.environ.get("OTEL_JB_LONG") else 2
PROGRAM = Path(__file__).with_name("exporter_attacks.py")
#: What serving and sending take: the exporter reads what every user may, makes sockets, and handles its own signals and clocks.
ALLOWED = {
    *("open a file", "open itself by /proc", "see that a file exists", "see a file's size", "read a link"),
    *("make an internet socket", "make a netlink socket", "make a pair of sockets"),
    *("make a file in memory", "map memory that can run", "signal a thread", "change a limit"),
}
_GIVEN = ",".join("+" + name.removeprefix("CAP_").lower() for name in features.CAPABILITIES)
STARTS: dict[str, tuple[str, ...]] = {
    "as root": (),
    "as a service user": (
        *("setpriv", f"--reuid={SERVICE_USER}", f"--regid={SERVICE_USER}", "--clear-groups"),
        *(f"--inh-caps=-all,{_GIVEN}", f"--ambient-caps=-all,{_GIVEN}", "--"),
    ),
}


@pytest.fixture
def target(start: Callable[..., Child]) -> Child:
    """A process of root, which is measured."""
    return start(Path(sys.executable), str(DRIVER))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that only root may read, where everyone may look."""
    tmp_path.chmod(0o755)
    file = tmp_path / "secret"
    file.write_text("root's")
    file.chmod(0o600)
    return file


@pytest.mark.skipif(features.multi_link_error() != 0, reason="without multi links CAP_SYS_ADMIN is needed")
@pytest.mark.parametrize("how", STARTS)
def test_code_inside_the_exporter_reaches_no_target(how: str, target: Child, secret: Path, tmp_path: Path) -> None:
    """It reads no memory and no file of others, attaches nothing, starts nothing, changes nothing; and the reader has no network."""
    port = free_tcp_port()
    command = [*STARTS[how], sys.executable, str(PROGRAM), str(target.pid), str(secret), str(port)]
    agent = subprocess.Popen(command, cwd="/", stdout=subprocess.PIPE, text=True)
    assert agent.stdout is not None
    try:
        assert json.loads(agent.stdout.readline()) == {
            "AF_INET": "EPERM",
            "AF_INET6": "EPERM",
            "AF_NETLINK": "EPERM",
            "AF_UNIX": "done",
        }
        until(lambda: fetch(f"http://127.0.0.1:{port}/ready")[0] == 200, "the agent is ready", 60)
        code, text = fetch(f"http://127.0.0.1:{port}/attack")
        assert code == 200, text
        seen = json.loads(text)
        assert seen["pid"] != agent.pid
        assert {name for name, ended in seen["attempts"].items() if ended == "done"} <= ALLOWED
        assert len(seen["attempts"]) >= 50
        held = status(Path("/proc", str(seen["pid"])))
        assert {held[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {"0" * 16}
        assert (held["NoNewPrivs"], held["Seccomp"]) == ("1", "2")
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(patience(30))
        agent.stdout.close()
    assert agent.returncode == 0


@pytest.mark.parametrize("killed", ["reader", "exporter"])
def test_a_killed_agent_leaves_no_orphan(killed: str, target: Child) -> None:
    """Killed while it starts or while it measures, the reader takes every process of the agent with it, and so does the exporter."""
    for attempt in range(KILLS):
        mark, port = f"OTEL_JB_TEST_MARK={uuid.uuid4()}", free_tcp_port()
        command = ["env", mark, sys.executable, "-m", "otel_jb", "run", "--pid", str(target.pid)]
        agent = subprocess.Popen([*command, "--listen", f"127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
        if attempt % 3:  # by then threads run and privileges are given up
            until(lambda port=port: fetch(f"http://127.0.0.1:{port}/ready")[0] == 200, "the agent is ready", 60)  # type: ignore[misc]
        exporter = until(lambda mark=mark: [pid for pid, name in marked(mark) if name == "jb-exporter"], "an exporter")  # type: ignore[misc]
        os.kill(agent.pid if killed == "reader" else exporter[0], signal.SIGKILL)
        assert agent.wait(patience(30)) == (-signal.SIGKILL if killed == "reader" else 1)
        until(lambda mark=mark: not marked(mark), "every process of the agent is gone")  # type: ignore[misc]
    assert target.process.poll() is None


def marked(mark: str) -> list[tuple[int, str]]:
    """Processes that were started with this in their environment, and their names; none that has ended."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (each / "environ").read_bytes().split(b"\0"):
                found.append((int(each.name), (each / "comm").read_text().strip()))
        except OSError:
            continue
    return found


def test_the_agent_ends_when_its_exporter_dies(target: Child) -> None:
    """A killed exporter ends the agent with an error that says so, for a service manager to start it anew; nothing stays behind."""
    port = free_tcp_port()
    agent = subprocess.Popen(
        [sys.executable, "-m", "otel_jb", "run", "--pid", str(target.pid), "--listen", f"127.0.0.1:{port}"],
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: fetch(f"http://127.0.0.1:{port}/ready")[0] == 200, "the agent is ready", 60)
    (listening,) = {int(each.name) for each in Path("/proc").glob("[0-9]*") if _listens(int(each.name), port)}
    assert listening != agent.pid
    os.kill(listening, signal.SIGKILL)
    _, said = agent.communicate(timeout=patience(30))
    assert agent.returncode == 1
    assert "the exporter process ended" in said
    assert "Traceback" not in said


def _listens(pid: int, port: int) -> bool:
    """Whether the process has a socket that listens on the port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {words[9] for words in lines if words[1].endswith(f":{port:04X}") and words[3] == "0A"}
    try:
        links = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return False
    return any(f"socket:[{inode}]" in links for inode in inodes)
