# SPDX-License-Identifier: Apache-2.0
"""What happens to a running agent: signals, a new configuration, and a place to run that lacks what programs take for granted."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.agent_process import COMMAND, AgentProcess, fetch, free_tcp_port, run_command, until
from tests.otlp_receiver import http_receiver
from tests.scale import patience

pytestmark = pytest.mark.e2e

STUCK = """
import hashlib, sys, time
from otel_jb.agent.signals import Signals
Signals(lambda: print("stopping", flush=True), seconds=0.5)
print("ready", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # the main thread is in C for minutes, and runs no handler
"""


def reloads(running: AgentProcess) -> dict[str, float]:
    _, text = fetch(f"{running.url}/metrics")
    return {
        sample.labels["result"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "otel_jb_config_reloads_total"
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_whose_main_thread_is_stuck_ends_in_time(number: signal.Signals) -> None:
    """A signal to stop is obeyed and the time to end kept while the main thread runs no Python."""
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == "stopping\n"
        assert process.wait(patience(20)) == 0


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


def children(pid: int) -> str:
    """The command lines of a process's children."""
    lines = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            pids = (task / "children").read_text().split()
            lines += [Path(f"/proc/{each}/cmdline").read_text().replace("\0", " ") for each in pids]
    return "\n".join(lines)


@pytest.mark.parametrize("after_s", [0.1, 0.5])
def test_a_signal_to_the_process_group_is_no_defect(tmp_path: Path, after_s: float) -> None:
    """Ctrl-C and a service manager signal the children too: the process that the cost of a hit is measured on, the one that fetches debug files."""
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [COMMAND, "run", "--port", "0", "--name", "nosuch"],
            stdin=subprocess.DEVNULL,
            stderr=log,
            cwd=tmp_path,
            env={**os.environ, "DEBUGINFOD_URLS": "http://127.0.0.1:9", "DEBUGINFOD_CACHE_PATH": str(tmp_path)},
            start_new_session=True,
        )
    try:
        until(lambda: "specimen.py" in children(process.pid), "the cost of a hit is measured")
        time.sleep(after_s)  # its first probes come and go
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(patience(20)) == 0, (tmp_path / "log").read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "internal error" not in (tmp_path / "log").read_text()


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


def test_a_hangup_reads_the_configuration_again(tmp_path: Path) -> None:
    """SIGHUP takes over log, exporters and access; a bad file is refused and counted, and the agent goes on as before."""
    path = tmp_path / "otel-jb.yaml"
    path.write_text("targets: [{name: nosuch}]\ninterval: 200ms\n")
    with http_receiver() as receiver:
        running = AgentProcess(tmp_path, "--config", str(path))
        try:
            until(lambda: fetch(f"{running.url}/health")[0] == 200, "/health")
            until(lambda: fetch(f"{running.url}/metrics")[0] == 200, "/metrics")
            path.write_text("targets: [{name: nosuch}]\ninterval: 200ms\nlog: {level: loud}\n")
            running.process.send_signal(signal.SIGHUP)
            until(lambda: reloads(running) == {"refused": 1}, "a refused reload")
            assert f"{path}:3" in running.log()

            path.write_text(
                "targets: [{name: nosuch}]\nlog: {format: json}\ninterval: 200ms\n"
                f"otlp: {{endpoint: '{receiver.endpoint}', protocol: http/protobuf}}\n"
            )
            running.process.send_signal(signal.SIGHUP)
            until(lambda: reloads(running) == {"refused": 1, "applied": 1}, "an applied reload")
            until(lambda: receiver.metric_requests, "metrics at the new receiver")
            assert '"message": "the configuration was read again"' in running.log()

            path.write_text("targets: [{name: nosuch}]\ninterval: 200ms\nmax_series: 7\n")
            running.process.send_signal(signal.SIGHUP)
            until(lambda: reloads(running) == {"refused": 1, "applied": 1, "partial": 1}, "a partly applied reload")
            assert "max_series" in running.log()
            assert running.stop(signal.SIGTERM) == 0
        finally:
            running.kill()


def test_access_is_taken_over_without_a_restart(tmp_path: Path) -> None:
    """After SIGHUP the endpoint asks for the password that the file names now; a file that cannot be used leaves it open."""
    path, web = tmp_path / "otel-jb.yaml", tmp_path / "web.yml"
    path.write_text("targets: [{name: nosuch}]\nweb_config: web.yml\n")
    web.write_text("{}\n")
    running = AgentProcess(tmp_path, "--config", str(path))
    try:
        until(lambda: fetch(f"{running.url}/metrics")[0] == 200, "/metrics")
        web.write_text("basic_auth_users: {alice: s3cret}\n")
        running.process.send_signal(signal.SIGHUP)
        until(lambda: reloads(running) == {"refused": 1}, "a refused reload")
        web.write_text(f"bearer_token_sha256: ['{'0' * 64}']\n")
        running.process.send_signal(signal.SIGHUP)
        until(lambda: fetch(f"{running.url}/metrics")[0] == 401, "/metrics asks who it is")
        assert fetch(f"{running.url}/health")[0] == 200
        assert running.stop(signal.SIGTERM) == 0
    finally:
        running.kill()


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
