# SPDX-License-Identifier: Apache-2.0
"""Programs on file systems that do not answer, or are gone: such programs lose their own series, and no others do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.agent_process import ROOT, Conversation, agent, fetch, until
from tests.fuse import OneProgram

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("hung") / "jb-plain"
    source = ROOT / "tests" / "bpf" / "programs" / "guide_names.c"
    subprocess.run(["gcc", "-O1", "-static", "-o", str(built), str(source)], check=True)
    return built


@pytest.mark.parametrize("how", ["hang", "die"])
def test_a_program_on_a_file_system_that_is_lost_costs_no_other_its_series(
    program: Path, tmp_path: Path, how: str
) -> None:
    """While a process runs from a file system that hangs or is gone, the others are measured, newcomers too, and SIGTERM works."""
    with OneProgram(tmp_path / "mount", program.read_bytes()) as lost, Conversation(lost.path) as poor:
        getattr(lost, how)()
        with Conversation(program) as plain, agent(tmp_path, "--name", "jb-*", "--name", "program") as running:

            def measured(pid: int) -> bool:
                return bool(running.scrape().find("jitterbuffer_calls_total", function="jitterbuffer_put", pid=pid))

            until(lambda: measured(plain.pid), "the first")
            with Conversation(program) as late:
                until(lambda: measured(late.pid), "a newcomer")
                late.tell("70")
                assert late.process.stdout is not None
                assert late.process.stdout.readline() == "done\n"
                until(
                    lambda: running.scrape().total("jitterbuffer_calls_total", pid=late.pid, outcome="returned") == 105,
                    "its calls",
                )
            assert not measured(poor.pid)
            if how == "hang":
                until(lambda: f"(process {poor.pid}) is not measured" in running.log(), "the log names the process")
                assert "does not answer" in running.log()
                assert running.scrape().value("otel_jb_targets", state="unmeasurable", reason="no_answer") == 1
                assert f"({poor.pid}): no answer" in fetch(f"{running.url}/ready")[1]
            assert "Traceback" not in running.log()
        poor.process.kill()
