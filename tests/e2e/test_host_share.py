# SPDX-License-Identifier: Apache-2.0
"""The host's share of a real server's troubles, against what was sent and what the server itself read."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.agent_process import TARGETS, agent, until

pytestmark = pytest.mark.e2e

SENT = 400
RUN_DELAY, CPU_TIME = "jitterbuffer_host_run_delay_seconds_total", "jitterbuffer_host_cpu_time_seconds_total"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A slow server on one CPU that it shares with a busy program."""
    built = tmp_path / "udp_server"
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", built, TARGETS / "udp_server.c"], check=True)
    cpu = str(min(os.sched_getaffinity(0)))
    busy = subprocess.Popen(["taskset", "-c", cpu, sys.executable, "-S", "-E", "-c", "while True: pass"])
    child = subprocess.Popen(
        ["taskset", "-c", cpu, str(built)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield child
    finally:
        for process in (busy, child):
            process.kill()
            process.wait()


def test_drops_at_the_socket_and_waiting_for_a_cpu_are_the_hosts_share(
    tmp_path: Path, server: subprocess.Popen[str]
) -> None:
    """Datagrams sent less datagrams read are those that /metrics calls dropped at the server's port; it waited about as long as it ran."""
    assert server.stdout is not None
    port = int(server.stdout.readline())
    with agent(tmp_path, "--pid", str(server.pid), "--interval", "500ms") as measuring:
        until(lambda: measuring.scrape().value(CPU_TIME, pid=server.pid) is not None, "the host is looked at")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(SENT):
                sender.sendto(bytes(500), ("127.0.0.1", port))
                time.sleep(0.0005)
            until(
                lambda: measuring.scrape().value("jitterbuffer_host_udp_queue_bytes", pid=server.pid) == 0,
                "everything that arrived was read",
            )
            sender.sendto(b"", ("127.0.0.1", port))
        received = int(server.stdout.readline())
        lost = SENT - received
        assert lost > 0

        def all_drops_seen() -> bool:
            drops = measuring.scrape().value("jitterbuffer_host_udp_drops_total", pid=server.pid, server_port=port)
            return drops == lost

        until(all_drops_seen, f"{lost} drops")
        found = measuring.scrape()
        assert found.value("jitterbuffer_calls_total", pid=server.pid, outcome="returned") == received
        ran = found.value(CPU_TIME, pid=server.pid)
        waited = found.value(RUN_DELAY, pid=server.pid)
        assert ran is not None
        assert waited is not None
        # Each put used a millisecond of CPU by the thread's own clock, all but those before the first look.
        assert ran >= received * 0.001 * 0.9
        assert waited >= ran * 0.5
