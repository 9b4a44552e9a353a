# SPDX-License-Identifier: Apache-2.0
"""From a process to a plan."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_jb.config.model import Config
from otel_jb.host import procfs
from otel_jb.host.procfs import Process
from otel_jb.planner import files
from otel_jb.planner.mapped import only_plain
from otel_jb.planner.planner import Planner, kernel_facts
from otel_jb.sandbox.client import Inspector

SOURCE = """
#include <stdio.h>
int (*volatile chosen)(int) = 0;
int plain(int a) { return a + 1; }
__attribute__((noipa)) int jitterbuffer_put(int a) { int b = chosen(a); return b * 3; }
int main(void) { chosen = plain; puts("ready"); fflush(stdout); getchar(); return jitterbuffer_put(1); }
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """A process with a function that calls through a pointer, and nothing that could switch stacks."""
    path = tmp_path / "server"
    subprocess.run(["gcc", "-O2", "-o", path, "-x", "c", "-"], input=SOURCE, text=True, check=True, capture_output=True)
    child = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdin is not None
    child.stdout.readline()
    yield procfs.process(child.pid)
    child.stdin.close()
    child.stdout.close()
    child.wait(10)


@pytest.fixture
def planner() -> Iterator[Planner]:
    with Inspector() as inspector:
        yield Planner(Config(), inspector)


def strategy(planner: Planner, process: Process) -> str:
    (probe,) = planner.plan_process(process, named=True).probes
    return probe.strategy.value


def test_what_a_pointer_may_lead_to_forbids_a_return_probe(planner: Planner, process: Process) -> None:
    """Whatever else the process can do: what is linked for a file meets processes that nobody has looked at."""
    assert strategy(planner, process) == "ret-sites"


def test_the_c_librarys_vector_functions_are_not_read() -> None:
    """What gcc links with `-ffast-math` holds no jitter buffer; FFmpeg's static builds have it, and it cost a start 28 ms."""
    assert only_plain(("libmvec.so.1", "libm.so.6"))
    assert not only_plain(("libmvec.so.1", "libmvecbuffer.so"))


def test_probes_by_perf_events_know_no_sessions() -> None:
    """`--link perf` plans as for a kernel without multi links."""
    facts = kernel_facts(perf=True)
    assert (facts.multi_links, facts.sessions) == (False, False)


def test_a_file_is_known_by_its_content_whatever_its_times_say(
    planner: Planner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another build in the same place, of the same size, on a file system whose times tell nothing: analysed anew, so with its own code."""
    monkeypatch.setattr(files, "_key", lambda status: (status.st_dev, status.st_ino, 0, 0, 0))
    path, builds = tmp_path / "library.so", []
    for add in (1, 2):
        command = ["gcc", "-O1", "-shared", "-fPIC", "-o", str(path), "-x", "c", "-"]
        subprocess.run(command, input=f"int jitterbuffer_put(int a) {{ return a + {add}; }}", text=True, check=True)
        builds.append(path.read_bytes())
    found = []
    for build in builds:
        with path.open("r+b") as file:
            file.write(build)
        for _ in range(2):  # the second time from what is known
            (text,) = planner.files.examine(str(path), "server").facts.text.values()
            found.append(all(build[offset : offset + len(code)] == code for offset, code in text))
    assert found == [True] * 4
