# SPDX-License-Identifier: Apache-2.0
"""The agent's commands in README.md and docs/, as they are printed, against a program that has what they name.

1234 becomes the process's number. The commands run in a network namespace of their own, so that port 9310 is theirs.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.blocks import SHELL, blocks, script
from tests.e2e.agent_process import COMMAND, ROOT, until

pytestmark = pytest.mark.e2e

PAGES = ("README.md", "docs/from-the-guide.md", "docs/profiles.md")
PROGRAM = """
#include <unistd.h>
struct JitterBuffer {
    int sizes[64] = {};
    unsigned first = 0, last = 0;
    __attribute__((noinline)) int put(const char *packet, int size);
    __attribute__((noinline)) int get(int *size);
};
int JitterBuffer::put(const char *packet, int size) { if (last - first == 64) return -1; sizes[last++ % 64] = size + packet[0]; return 0; }
int JitterBuffer::get(int *size) { if (first == last) return -1; *size = sizes[first++ % 64]; return 0; }
int main()
{
    JitterBuffer buffer;
    for (int size;; usleep(2000)) { buffer.put("", 160); buffer.get(&size); }
}
"""
#: They print and end.
END = (
    "otel-jb discover 1234",
    "otel-jb plan 1234 --rate 1000",
    "otel-jb profile draft ./my-server 'JitterBuffer::*' > mine.yaml",
    "otel-jb profile check mine.yaml ./my-server",
)
#: They serve until Ctrl-C. The recording comes before its replay.
SERVE = (
    "otel-jb record incident.jsonl.gz --pid 1234",
    "otel-jb replay incident.jsonl.gz",
    "otel-jb run --pid 1234",
)
#: What the last of them is asked.
ASK = (
    "curl http://localhost:9310/metrics | grep jitterbuffer",
    "curl http://localhost:9310/health",
    "curl http://localhost:9310/ready",
    "curl -s http://127.0.0.1:9310/metrics | grep jitterbuffer",
)
#: What other tests run, with targets of their own.
ELSEWHERE = {
    "otel-jb demo": "tests/e2e/test_demo.py",
    "otel-jb doctor": "tests/e2e/test_bare_machine.py",
    "otel-jb discover": "tests/unit/test_cli_habits.py",
    "otel-jb discover /usr/bin/ffmpeg": "tests/unit/test_discover.py",
    "otel-jb run --binary /usr/bin/ffmpeg": "tests/e2e/test_fleet.py",
    "otel-jb run --binary /usr/bin/ffmpeg --port 9310": "tests/unit/test_cli_habits.py",
    "otel-jb run --pid 1234 --port 9310": "tests/unit/test_cli_habits.py",
    "otel-jb run --profile mine.yaml my-server": "tests/unit/test_profile_command.py",
    "otel-jb run 'srs*' --function 'SrsRtc*'": "tests/bpf/test_any_function.py",
    "otel-jb top srs": "tests/bpf/test_top.py",
    "otel-jb profile draft ./my-server 'Jitter*' > mine.yaml": "tests/unit/test_profile_command.py",
    "otel-jb layout ./objs/srs > srs.yaml": "tests/unit/test_layout_command.py",
    "otel-jb why srs": "tests/diagnosis/test_host.py",
    "otel-jb help run": "tests/unit/test_cli_habits.py",
    "otel-jb version": "tests/unit/test_cli_habits.py",
}


def test_every_command_is_run_here_or_elsewhere() -> None:
    """Each command of the README, the guide's table and the page about profiles is in one of the lists here, and the lists have no other."""
    shell = [block for block in blocks() if block.page in PAGES and block.language in SHELL]
    lines = [re.sub(r"\s+# .*", "", line) for block in shell for line in script(block).splitlines()]
    shown = {re.sub(r"^(sudo |scripts/)", "", line) for line in lines}
    assert shown == {*END, *SERVE, *ASK, *ELSEWHERE}
    assert all((ROOT / test).is_file() for test in ELSEWHERE.values())


@contextmanager
def started(argv: list[str], directory: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its output in NAME.log, killed at the end if it still runs."""
    with open(directory / f"{name}.log", "wb") as log:
        child = subprocess.Popen(argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def test_commands_run_as_printed(tmp_path: Path) -> None:
    """Each ends with 0, by itself or after Ctrl-C; what serves answers the questions of the documentation."""
    (tmp_path / "server.cc").write_text(PROGRAM)
    subprocess.run(["g++", "-O1", "-g", "-o", "my-server", "server.cc"], cwd=tmp_path, check=True)
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    (bin_directory / "otel-jb").symlink_to(COMMAND)
    path = f"{bin_directory}:{os.environ['PATH']}"
    with (
        started(["unshare", "--net", "sh", "-c", "ip link set lo up && exec sleep infinity"], tmp_path, "net") as net,
        started(["./my-server"], tmp_path, "server") as server,
    ):

        def shell(line: str) -> list[str]:
            text = line.replace("1234", str(server.pid))
            return ["nsenter", f"--net=/proc/{net.pid}/ns/net", "env", f"PATH={path}", "sh", "-c", f"exec {text}"]

        def ask(line: str) -> bool:
            return subprocess.run(shell(line), capture_output=True, timeout=60, check=False).returncode == 0

        until(lambda: ask("ip -brief address show lo | grep -q 127.0.0.1"), "loopback")
        for line in END:
            done = subprocess.run(shell(line), cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == 0, (line, done)
        for line in SERVE:
            with started(shell(line), tmp_path, "serving") as serving:

                def serves(one: subprocess.Popen[bytes] = serving) -> bool:
                    assert one.poll() is None, (tmp_path / "serving.log").read_text()
                    return ask("curl --fail -s http://localhost:9310/metrics | grep -q jitterbuffer_calls_total")

                until(serves, line, every=0.2)
                for question in ASK if line == SERVE[-1] else ():
                    assert ask(question), question
                serving.send_signal(signal.SIGINT)
                assert serving.wait(60) == 0, (line, (tmp_path / "serving.log").read_text())
    assert (tmp_path / "incident.jsonl.gz").stat().st_size > 100
