"""What happens to a running agent: a signal to stop, and a place to run that lacks what programs take for granted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.agent_process import COMMAND, fetch, free_tcp_port, run_command, until
from tests.scale import patience

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_closed_standard_descriptors_change_nothing(tmp_path: Path, closed: str, number: signal.Signals) -> None:
    """An agent that was started without standard input, output or error serves, and a signal ends it with status 0."""
    port = free_tcp_port()
    process = subprocess.Popen(
        ["bash", "-c", f'exec "$0" run --port {port} --name nosuch {closed}', str(COMMAND)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    try:
        until(lambda: fetch(f"http://127.0.0.1:{port}/health")[0] == 200, "/health")
        descriptors = {str(Path(f"/proc/{process.pid}/fd/{each}").readlink()) for each in (0, 1, 2)}
        assert descriptors == {"/dev/null"}
        process.send_signal(number)
        assert process.wait(patience(10)) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.parametrize("command", [("run", "--print-config"), ("version",), ("discover", "--json")])
def test_commands_without_standard_output_are_no_defect(command: tuple[str, ...]) -> None:
    """A command whose output nobody takes ends without an internal error."""
    done = subprocess.run(
        ["bash", "-c", '"$0" "$@" >&-', str(COMMAND), *command], capture_output=True, text=True, check=False, timeout=60
    )
    assert "internal error" not in done.stderr
    assert done.returncode != 1


@pytest.mark.parametrize(("limit", "value"), [("-n", 40), ("-n", 30), ("-n", 20), ("-v", 102_400), ("-f", 0)])
def test_few_resources_are_a_message_and_no_defect(tmp_path: Path, limit: str, value: int) -> None:
    """With 20 to 40 descriptors, 100 MB of address space or no room for files the agent runs, or says what it lacks."""
    port = free_tcp_port()
    process = subprocess.Popen(
        ["bash", "-c", f'ulimit {limit} {value}; exec "$0" run --port {port} --name nosuch', str(COMMAND)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        until(lambda: process.poll() is not None or fetch(f"http://127.0.0.1:{port}/health")[0] == 200, "an outcome")
        time.sleep(1)  # what follows the start needs descriptors and memory, too
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=patience(20))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "internal error" not in said
    assert "Traceback" not in said
    assert process.returncode in (0, 7, 11), said


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    """Output to a full device is a message with a code of its own, whatever the locale."""
    for command in (("run", "--print-config"), ("discover", "--json", sys.executable), ("doctor",)):
        done = subprocess.run(
            ["bash", "-c", '"$0" "$@" >/dev/full', str(COMMAND), *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
        )
        assert "internal error" not in done.stderr, command
        assert done.returncode == 11, (command, done.stderr)
    assert run_command("--version", env={**os.environ, "PYTHONIOENCODING": "ascii"}).returncode == 0
