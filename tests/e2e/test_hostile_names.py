# SPDX-License-Identifier: Apache-2.0
"""Programs with names that nobody should have: they are measured, and cost no other program its series."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.agent_process import ROOT, AgentProcess, Conversation, agent, run_command, until

pytestmark = pytest.mark.e2e

NAMES = {
    "invalid UTF-8": b"jb-\xff\xfe-caf\xe9",
    "line ends": b"jb-\nlevel=error\r\n# HELP evil",
    "escapes": b"jb-\x1b]0;owned\x07\x1b[2J\x1b[31m",
    "right to left": "jb-\u202egnp.exe\u200f".encode(),
    "quotes": b'jb-"\\{}',
    "long": b"jb-" + b"x" * 250,
}
PLAIN = "jb-plain"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("hostile") / PLAIN
    source = ROOT / "tests" / "bpf" / "programs" / "guide_names.c"
    subprocess.run(["gcc", "-O1", "-o", str(built), str(source)], check=True)
    return built


@pytest.fixture(scope="module")
def hosts(program: Path) -> Iterator[dict[str, Conversation]]:
    """One process of each name, and one with a name like any other."""
    with ExitStack() as stack:
        running = {"plain": stack.enter_context(Conversation(program))}
        for what, name in NAMES.items():
            path = program.parent / os.fsdecode(name)
            shutil.copy(program, path)
            running[what] = stack.enter_context(Conversation(path))
        yield running


def calls(running: AgentProcess, pid: int) -> float:
    return running.scrape().total("jitterbuffer_calls_total", pid=pid, function="jitterbuffer_put", outcome="returned")


@pytest.mark.parametrize("form", ["text", "json"])
def test_programs_with_hostile_names_are_measured_and_cost_no_other_its_series(
    hosts: dict[str, Conversation], tmp_path: Path, form: str
) -> None:
    """Names with bytes that are not UTF-8, line ends, escapes and 250 letters are shown escaped, and every process is counted."""
    with agent(tmp_path, "--name", "jb-*", "--log-format", form, "--log-level", "debug") as running:

        def measured() -> bool:
            found = running.scrape().find("jitterbuffer_calls_total", function="jitterbuffer_put")
            return {labels["pid"] for labels, _ in found} >= {str(each.pid) for each in hosts.values()}

        until(measured, "all are measured")
        before = {what: calls(running, each.pid) for what, each in hosts.items()}
        for each in hosts.values():
            each.tell("70")
            assert each.process.stdout is not None
            assert each.process.stdout.readline() == "done\n"
        for what, each in hosts.items():
            until(lambda what=what, each=each: calls(running, each.pid) == before[what] + 70, f"the calls of {what}")  # type: ignore[misc]
        scraped = running.scrape()
        text = scraped.text
        jobs = {labels["job"] for labels, _ in scraped.find("jitterbuffer_calls_total")}
    assert r"jb-\xff\xfe-caf\xe9" in jobs
    assert r"jb-\u202egnp.exe\u200f" in jobs
    assert all(each.isprintable() for each in jobs)
    assert "\x1b" not in text
    for line in running.log_path.read_bytes().splitlines():
        assert line.decode("utf-8").isprintable(), line


@pytest.mark.parametrize("command", [("discover",), ("discover", "--json"), ("plan",)])
def test_commands_show_hostile_names_escaped(hosts: dict[str, Conversation], command: tuple[str, ...]) -> None:
    """Commands that name a process print its name without anything that a terminal obeys, and as valid UTF-8."""
    for what, each in hosts.items():
        done = run_command(*command, str(each.pid), errors="strict")
        assert done.returncode == 0, (what, done.stderr)
        assert "jitterbuffer_put" in done.stdout
        for line in done.stdout.splitlines():
            assert line.isprintable(), (what, line)
