# SPDX-License-Identifier: Apache-2.0
"""Which processes are measured, and what is said of those that are not."""

from __future__ import annotations

import logging
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from otel_jb.config.model import Config, Functions, TargetSelector
from otel_jb.host import container, libraries, procfs
from otel_jb.model.arrival import Arrival
from otel_jb.model.errors import NoFunctionError, NothingYetError, TargetError
from otel_jb.model.stream import AgentCost
from otel_jb.planner import named_files
from otel_jb.planner.mapped import paths
from otel_jb.planner.named_files import NamedFiles
from otel_jb.planner.servers import is_server
from otel_jb.planner.targets import Discovery
from otel_jb.sandbox.client import Inspector

pytestmark = pytest.mark.unit


@pytest.fixture
def inspector() -> Iterator[Inspector]:
    with Inspector() as made:
        yield made


@contextmanager
def running(directory: Path, name: str) -> Iterator[procfs.Process]:
    """A stripped program of this name, which has no jitter buffer."""
    program = directory / name
    if not program.exists():
        shutil.copy("/usr/bin/sleep", program)
    child = subprocess.Popen([program, "100"])
    try:
        # Popen returns before the loader has mapped what the program needs, and even before the program itself is mapped.
        deadline = time.monotonic() + 30
        while not any("/libc.so" in file.path for file in procfs.mapped_files(child.pid)):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        yield procfs.process(child.pid)
    finally:
        child.kill()
        child.wait()


def test_a_media_server_that_is_passed_over_is_named_once(
    inspector: Inspector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two processes of one stripped ffmpeg are one warning with what helps, and both are known to be unmeasured."""
    discovery = Discovery(Config(), inspector)
    caplog.set_level(logging.WARNING)
    with running(tmp_path, "ffmpeg") as one, running(tmp_path, "ffmpeg") as other:
        for process in (one, other):
            assert discovery._try(process, time.monotonic(), None) is None
        assert [str(each) for each in discovery.unmeasured.values()] == [f"ffmpeg ({one.pid})", f"ffmpeg ({other.pid})"]
    (record,) = caplog.records
    assert f"otel-jb doctor {one.pid}" in record.getMessage()


def test_processes_are_counted_by_why_they_are_not_measured(inspector: Inspector, tmp_path: Path) -> None:
    """A media server without symbols counts as stripped, what nobody expects as ignored."""
    discovery = Discovery(Config(), inspector)
    with running(tmp_path, "ffmpeg") as server, running(tmp_path, "my-shell") as other:
        for process in (server, other):
            discovery._try(process, time.monotonic(), None)
        assert discovery.counts() == {("unmeasurable", "stripped"): 1, ("ignored", "nothing_to_measure"): 1}


def test_a_program_that_nobody_expects_to_be_measured_is_passed_over_in_silence(
    inspector: Inspector, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A shell without a jitter buffer is no news."""
    discovery = Discovery(Config(), inspector)
    caplog.set_level(logging.WARNING)
    with running(tmp_path, "my-shell") as process:
        assert discovery._try(process, time.monotonic(), None) is None
    assert not discovery.unmeasured
    assert not caplog.records


def test_a_named_program_that_can_never_be_measured_is_an_error(inspector: Inspector) -> None:
    """/bin/true has nothing to probe, no library that could have, and no means to load one: it is not waited for."""
    discovery = Discovery(Config(targets=(TargetSelector(binary="/bin/true"),)), inspector)
    with pytest.raises(NoFunctionError, match="/bin/true"):
        discovery.first()


def test_a_named_program_that_loads_libraries_is_waited_for(inspector: Inspector, tmp_path: Path) -> None:
    """A program that calls dlopen may yet load a jitter buffer."""
    program = tmp_path / "loader"
    source = "#include <dlfcn.h>\nint main(int n, char **a) { return dlopen(a[0], 1) == 0; }"
    subprocess.run(["gcc", "-o", program, "-x", "c", "-", "-ldl"], input=source, text=True, check=True)
    assert Discovery(Config(targets=(TargetSelector(binary=str(program)),)), inspector).first() == []


def load_and_wait(directory: Path, *libraries: Path) -> subprocess.Popen[str]:
    """A process that can load libraries, has loaded these, and has no jitter buffer."""
    program = directory / "loader"
    source = """#include <dlfcn.h>
    #include <stdio.h>
    int main(int n, char **a) { while (*++a) if (!dlopen(*a, RTLD_NOW)) return 1; puts("ready"); fflush(stdout); return getchar(); }"""
    subprocess.run(["gcc", "-o", program, "-x", "c", "-", "-ldl"], input=source, text=True, check=True)
    child = subprocess.Popen([program, *libraries], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_a_process_that_may_load_its_library_later_is_waited_for_if_named_by_its_pid(
    inspector: Inspector, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is said once, of the process, and its library is expected; another configuration does both again. Once the process has ended,
    nothing is waited for.
    """
    caplog.set_level(logging.INFO)
    find = libraries.find
    monkeypatch.setattr(libraries, "find", lambda globs, root: [p for p in find(globs, root) if "speexdsp" in p])
    with load_and_wait(tmp_path) as child:
        config = Config(targets=(TargetSelector(pid=child.pid),))
        discovery = Discovery(config, inspector)
        said = f"loader (process {child.pid}) has no jitter buffer yet"
        assert discovery.first() == []
        changes = discovery.poll()
        assert (changes.found, changes.anew, [each.pid for each in changes.expected]) == ([], False, [child.pid])
        assert list(discovery.waiting.values()) == [said]
        assert caplog.messages == [f"{said}; waiting until it loads a library that has one"]
        named = Functions(include=("jitter_buffer_put",))
        discovery.reconfigure(replace(config, functions=named), discovery.planner.catalog)
        changes = discovery.poll()
        assert (changes.found, changes.anew) == ([], True)
        assert [probe.function for each in changes.expected for probe in each.plan.probes] == ["jitter_buffer_put"]
        said = said.replace("jitter buffer", "function called jitter_buffer_put")
        assert list(discovery.waiting.values()) == [said]
        child.communicate("\n")
    discovery.poll()
    assert not discovery.waiting


def test_another_configuration_finds_processes_that_nobody_looked_at_before(
    inspector: Inspector, tmp_path: Path
) -> None:
    """Where only a PID is named, no other process is looked at; named by its program, the other one is found at the next look."""
    program = tmp_path / "server"
    source = '__attribute__((noinline)) void jitterbuffer_put(void) { __asm__(""); } int main(void) { jitterbuffer_put(); getchar(); }'
    subprocess.run(["gcc", "-w", "-o", program, "-x", "c", "-"], input=source, text=True, check=True)
    with (
        subprocess.Popen([program], stdin=subprocess.PIPE) as one,
        subprocess.Popen([program], stdin=subprocess.PIPE) as other,
    ):
        config = Config(targets=(TargetSelector(pid=one.pid),))
        discovery = Discovery(config, inspector)
        assert [found.process.pid for found in discovery.first()] == [one.pid]
        assert discovery.poll().found == []
        both = replace(config, targets=(TargetSelector(binary=str(program)),))
        discovery.reconfigure(both, discovery.planner.catalog)
        found = {each.process.pid for _ in range(3) for each in discovery.poll().found}
        assert other.pid in found
        for child in (one, other):
            child.communicate(b"\n")


def test_a_process_whose_library_has_lost_its_names_is_not_waited_for(inspector: Inspector, tmp_path: Path) -> None:
    """A library that a profile knows, without a symbol: the error is the same as without waiting, and says what helps."""
    library = tmp_path / "plugin.so"
    command = ["gcc", "-shared", "-s", "-Wl,-soname,libavformat.so.59", "-o", str(library), "-x", "c", "-"]
    subprocess.run(command, input="static int a;", text=True, check=True)
    with load_and_wait(tmp_path, library) as child:
        discovery = Discovery(Config(targets=(TargetSelector(pid=child.pid),)), inspector)
        with pytest.raises(NoFunctionError) as caught:
            discovery.first()
        assert type(caught.value) is NoFunctionError
        assert "is stripped" in caught.value.help
        child.communicate("\n")


def test_the_c_librarys_own_dlopen_is_no_reason_to_wait(inspector: Inspector, tmp_path: Path) -> None:
    """A program that loads nothing has no named function, and never will, although the C library is read too where functions are named."""
    program = tmp_path / "calm"
    source = '#include <stdio.h>\nint main(void) { puts("ready"); fflush(stdout); return getchar(); }'
    subprocess.run(["gcc", "-s", "-o", program, "-x", "c", "-"], input=source, text=True, check=True)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        config = Config(targets=(TargetSelector(pid=child.pid),), functions=Functions(include=("put",)))
        with pytest.raises(NoFunctionError) as caught:
            Discovery(config, inspector).first()
        assert not isinstance(caught.value, NothingYetError)
        child.communicate("\n")


@pytest.mark.parametrize(("name", "waits"), [("srs", False), ("gst-launch-1.0", True), ("anything", True)])
def test_a_media_server_has_its_jitter_buffer_in_its_program_unless_it_loads_plugins(
    inspector: Inspector, tmp_path: Path, name: str, waits: bool
) -> None:
    """A stripped SRS is not waited for, which would be in vain; GStreamer loads its jitter buffer when a stream needs it."""
    with load_and_wait(tmp_path) as child:
        process = replace(procfs.process(child.pid), name=name)
        with pytest.raises(NoFunctionError) as caught:
            Discovery(Config(), inspector).find(process, TargetSelector(pid=child.pid))
        assert isinstance(caught.value, NothingYetError) == waits
        child.communicate("\n")


def test_a_function_that_is_not_there_is_said_to_be_missing(inspector: Inspector) -> None:
    """`--function` with a name that the process does not have: what it has, and what was probably meant."""
    import ctypes
    import os

    ctypes.CDLL("/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1")
    config = Config(targets=(TargetSelector(pid=os.getpid()),), functions=Functions(include=("jiter_buffer_put",)))
    discovery = Discovery(config, inspector)
    with pytest.raises(NoFunctionError, match=r"no function of .* is called jiter_buffer_put") as caught:
        discovery.find(procfs.process(os.getpid()), config.targets[0])
    assert "Did you mean jitter_buffer_put" in caught.value.help
    assert "It has: jitter_buffer_" in caught.value.help


def look_at_all(discovery: Discovery) -> None:
    """Polls until every process was looked at."""
    while discovery.poll().more:
        pass


def test_a_file_that_is_named_means_what_had_its_name_and_what_has_it(inspector: Inspector, tmp_path: Path) -> None:
    """A path selects the processes of its file, whether that was deleted, replaced or renamed since, or got the name later, and no others."""
    path = tmp_path / "server"
    with running(tmp_path, "server") as deleted:
        path.unlink()
        with (
            running(tmp_path, "later") as later,
            running(tmp_path, "server") as renamed,
            running(tmp_path, "other") as other,
        ):
            discovery = Discovery(Config(targets=(TargetSelector(binary=str(path)),)), inspector)
            look_at_all(discovery)
            assert set(discovery._looks) == {deleted, renamed}
            path.rename(tmp_path / "server.old")
            (tmp_path / "later").rename(path)
            look_at_all(discovery)
            assert set(discovery._looks) == {deleted, renamed, later}
            every = [procfs.process(each.pid) for each in (deleted, renamed, later, other)]
            assert [discovery._selected(each) for each in every] == [True, True, True, False]


def test_an_inode_that_is_used_again_is_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of a file with the inode of one that had the name is another's, as the time tells at which it was made."""
    files, path = NamedFiles(), tmp_path / "server"
    with running(tmp_path, "server") as process:
        files.look([str(path)])
        assert files.runs(process, str(path))
        path.rename(tmp_path / "moved")
        path.write_text("another")
        files.look([str(path)])
        assert files.runs(process, str(path))
        monkeypatch.setattr(named_files, "_of_mapped", lambda *_: (process.device, process.inode, 1))
        assert not files.runs(replace(process, born_ns=1), str(path))


def test_a_deleted_file_that_is_named_and_runs_is_no_error(inspector: Inspector, tmp_path: Path) -> None:
    """It is without a process that runs it."""
    path = tmp_path / "server"
    config = Config(targets=(TargetSelector(binary=str(path)),))
    with running(tmp_path, "server") as process:
        path.unlink()
        Discovery(config, inspector).first()
    with pytest.raises(TargetError):
        Discovery(config, inspector).first()
    assert process.executable == str(path)


def test_server_names_are_whole_names() -> None:
    """The list is of executables: ffmpeg with a version is one, a script that mentions it is none."""
    assert is_server("ffmpeg")
    assert is_server("ffmpeg-linux-x86_64-v7.1")
    assert is_server("srs")
    assert not is_server("my-ffmpeg")
    assert not is_server("srsly")


def test_another_process_of_a_known_file_costs_one_look_at_its_mappings(
    inspector: Inspector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand processes of one file cost a thousand readings of /proc/PID/maps, and none of their mounts; that they have called meanwhile
    costs no further one.
    """
    program = tmp_path / "server"
    source = "#include <unistd.h>\nint jitterbuffer_put(int a) { return a + 1; } int main(void) { return pause(); }"
    subprocess.run(["gcc", "-x", "c", "-o", program, "-"], input=source, text=True, check=True)
    discovery = Discovery(Config(targets=(TargetSelector(binary=str(program)),)), inspector)
    read: list[str] = []

    def noting(path: object, *args: object, **options: object) -> object:
        read.append(str(path))
        return open(path, *args, **options)  # type: ignore[call-overload]

    with running(tmp_path, "server") as one:
        assert [found.process for found in discovery.first()] == [one]
        with running(tmp_path, "server") as other:
            for module in (procfs, container):
                monkeypatch.setattr(module, "open", noting, raising=False)
            found = discovery.poll().found
            while not found:
                found = discovery.poll().found
            assert [each.process for each in found] == [other]
            of_other = [path.rpartition("/")[2] for path in read if path.startswith(f"/proc/{other.pid}/")]
            assert of_other.count("maps") == 1
            assert of_other.count("mountinfo") == 0
            read.clear()
            discovery.tell([Arrival(0, other.pid, 0, "server", 0, discovery._plan_of[other])], {})
            assert [each.target for each in discovery.poll().placed] == [discovery._target_of[other]]
            assert f"/proc/{other.pid}/maps" not in read


def test_processes_of_a_file_are_planned_once(
    inspector: Inspector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has the first one's plan with paths of its own; a new build under its name is planned anew."""
    program = tmp_path / "server"
    source = tmp_path / "server.c"
    source.write_text(
        "#include <unistd.h>\nint jitterbuffer_put(int a) { return a + 1; } int main(void) { return pause(); }"
    )
    subprocess.run(["gcc", "-O0", "-o", program, source], check=True)
    planner = Discovery(Config(), inspector).planner
    with running(tmp_path, "server") as one, running(tmp_path, "server") as other:
        examined, plan = planner.examined_plan(one, named=True)
        with monkeypatch.context() as nothing_more:
            nothing_more.setattr(planner, "examine_process", None)
            again, second = planner.examined_plan(other, named=True)
        assert [probe.function for probe in second.probes] == ["jitterbuffer_put"]
        assert [probe.file for probe in second.probes] == [f"/proc/{other.pid}/root{program}"]
        assert [replace(probe, file=plan.probes[0].file) for probe in second.probes] == list(plan.probes)
        assert [each.path for each in again] == [each.path.replace(str(one.pid), str(other.pid)) for each in examined]
        # What probes cost was measured meanwhile: another plan would be another set of links, which the first calls went by.
        planner.use_costs(AgentCost((("emulated", 9e-6), ("stepped", 1e-7), ("uretprobe", 9e-6))))
        assert planner.plan_process(other, named=True).probes == second.probes
        planner._kinds.clear()  # as for a process that is looked at before it has mapped its libraries
        assert planner.plan_process(other, named=True).probes == second.probes
        (priced,) = planner.priced_again(other, second, named=True).probes
        assert priced == replace(second.probes[0], cost_ns=priced.cost_ns)
    subprocess.run(["gcc", "-O2", "-o", program, source], check=True)
    with running(tmp_path, "server") as rebuilt:
        assert planner.plan_process(rebuilt, named=True).probes[0].code != plan.probes[0].code


def test_a_process_is_planned_by_what_it_had_mapped_when_it_was_looked_at(inspector: Inspector, tmp_path: Path) -> None:
    """One that runs another program a moment later (execve) is not planned by that one's files under the first one's name, nor are those that
    look alike after it.
    """
    program = tmp_path / "server"
    source = "#include <unistd.h>\nint jitterbuffer_put(int a) { return a + 1; } int main(void) { return pause(); }"
    subprocess.run(["gcc", "-x", "c", "-o", program, "-"], input=source, text=True, check=True)
    planner = Discovery(Config(), inspector).planner
    with running(tmp_path, "server") as one, running(tmp_path, "server") as other:
        for process in (one, other):
            before = [(path, file) for path, file in paths(process) if file.path != str(program)]
            assert len(before) < len(paths(process))
            examined, plan = planner.examined_plan(process, named=True, files=before)
            assert {each.path for each in examined} <= {path for path, _ in before}
            assert plan.probes == ()
            assert planner.plan_process(process, named=True).probes, "once it has mapped its program"


def test_a_process_of_which_the_kernel_tells_all_is_looked_at_for_libraries_alone(
    inspector: Inspector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only PIDs are named and the kernel tells of their ends, nothing is looked at until a look at loaded libraries is due; else once in the time that is asked for."""
    source = "#include <unistd.h>\nint jitterbuffer_put(int a) { return a + 1; } int main(void) { return pause(); }"
    subprocess.run(["gcc", "-x", "c", "-o", tmp_path / "server", "-"], input=source, text=True, check=True)
    with running(tmp_path, "server") as process:
        waits: list[float] = []
        discovery = Discovery(Config(targets=(TargetSelector(pid=process.pid),)), inspector)
        monkeypatch.setattr(discovery._news, "wait", waits.append)
        assert [found.process for found in discovery.first()] == [process]
        discovery.wait(0.1)
        discovery.held = {process.pid}
        discovery._looks[process] = replace(discovery._looks[process], next_s=time.monotonic() + 50.0)
        discovery.wait(0.1)
        discovery.wait(100.0)
        discovery.forget(process)  # it could not be attached
        discovery.wait(0.1)
        assert (waits[0], waits[2], waits[3]) == (0.1, 100.0, 0.1)
        assert 0.1 < waits[1] <= 50.0, "until the look at its libraries"
        other = Discovery(Config(targets=(TargetSelector(name="server"),)), inspector)
        monkeypatch.setattr(other._news, "wait", waits.append)
        assert other.first()
        other.held = {process.pid}
        other.wait(0.1)
        assert waits[4] == 0.1, "another of that name may come"
