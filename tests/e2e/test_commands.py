# SPDX-License-Identifier: Apache-2.0
"""The agent's commands in README.md and docs/, as they are printed, against a program that has what they name.

1234 becomes the process's number. The commands run in a network namespace of their own, so that port 9310 is theirs.
"""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.blocks import SHELL, blocks, script
from tests.e2e.agent_process import ROOT, until
from tests.e2e.documented import documented_server, started

pytestmark = pytest.mark.e2e

PAGES = ("README.md", "docs/from-the-guide.md", "docs/profiles.md")
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


def test_commands_run_as_printed(tmp_path: Path) -> None:
    """Each ends with 0, by itself or after Ctrl-C; what serves answers the questions of the documentation."""
    with documented_server(tmp_path) as server:

        def ask(line: str) -> bool:
            return server.ask(line).returncode == 0

        for line in END:
            done = server.ask(line)
            assert done.returncode == 0, (line, done)
        for line in SERVE:
            with started(server.shell(line), tmp_path, "serving") as serving:

                def serves(one: subprocess.Popen[bytes] = serving) -> bool:
                    assert one.poll() is None, (tmp_path / "serving.log").read_text()
                    return ask("curl --fail -s http://localhost:9310/metrics | grep -q jitterbuffer_calls_total")

                until(serves, line, every=0.2)
                for question in ASK if line == SERVE[-1] else ():
                    assert ask(question), question
                serving.send_signal(signal.SIGINT)
                assert serving.wait(60) == 0, (line, (tmp_path / "serving.log").read_text())
    assert (tmp_path / "incident.jsonl.gz").stat().st_size > 100
