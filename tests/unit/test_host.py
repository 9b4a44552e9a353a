# SPDX-License-Identifier: Apache-2.0
"""Processes: what /proc says, what ends meanwhile, what is no process."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from otel_jb.host import container, procfs, vdso
from otel_jb.host.identity import instance_id, make_target
from otel_jb.host.procfs import MappedFile, Process, process
from otel_jb.host.watch import Watcher
from otel_jb.model.errors import TargetError

NO_PID = 4_194_303


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A child that has already executed its program; it is ended with the block."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            yield child
        finally:
            child.kill()


def loaded(child: subprocess.Popen[bytes], library: str = "libc.so.6") -> list[MappedFile]:
    """The files of a child once the loader has mapped this one: `exec` returns before that."""
    while True:
        files = procfs.mapped_files(child.pid)
        if library in [Path(file.path).name for file in files]:
            return files
        assert child.poll() is None
        os.sched_yield()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with running("sleep", "100") as child:
        yield child


def test_a_process_is_described_as_proc_has_it(sleeper: subprocess.Popen[bytes]) -> None:
    """Name, executable, start time and file identity are those of the child that was started."""
    found = process(sleeper.pid)
    status = Path("/usr/bin/sleep").stat()
    assert (found.name, found.comm, found.executable) == ("sleep", "sleep", "/usr/bin/sleep")
    assert (found.device, found.inode, found.deleted) == (status.st_dev, status.st_ino, False)
    assert abs(found.start_time_unix_nano - time.time_ns()) < 5_000_000_000
    assert found.root == f"/proc/{sleeper.pid}/root"
    assert procfs.alive(found)
    assert found in list(procfs.processes())


def test_the_start_time_is_what_ps_prints(sleeper: subprocess.Popen[bytes]) -> None:
    """The wall-clock start of a process is within a second of the one that ps computes."""
    printed = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(sleeper.pid)],
        check=True,
        capture_output=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout
    expected = time.mktime(time.strptime(printed.decode().strip(), "%a %b %d %H:%M:%S %Y"))
    assert abs(process(sleeper.pid).start_time_unix_nano / 1e9 - expected) <= 1.0


@pytest.mark.parametrize("text", ["0", "-1", "4194305", "99999999999999999999", "12a", "", "1.5", "٣"])
def test_what_is_no_pid_is_said_to_be_none(text: str) -> None:
    """Text that is no number of a process is refused before /proc is looked at."""
    with pytest.raises(TargetError, match="is not a PID"):
        procfs.parse_pid(text)


def test_no_such_process_is_a_target_error() -> None:
    """A PID that nobody has is one clear message."""
    with pytest.raises(TargetError, match=f"no process with PID {NO_PID}"):
        process(NO_PID)


def test_a_kernel_thread_is_refused_by_name() -> None:
    """A kernel thread is no target, and is not listed."""
    threads = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal() and (stat := procfs.read_stat(int(entry.name))) and stat.kernel_thread
    ]
    if not threads:  # inside a container's PID namespace there are none to be seen
        assert procfs.Stat("kthreadd", "S", 0x208040, 1, 0).kernel_thread
        return
    with pytest.raises(TargetError, match="is a kernel thread"):
        process(threads[0])
    assert not {found.pid for found in procfs.processes()} & set(threads)


def test_a_thread_is_no_process() -> None:
    """The number of a thread is refused, and the process is named that it belongs to."""
    ids: list[int] = []
    started, finish = threading.Event(), threading.Event()

    def work() -> None:
        ids.append(threading.get_native_id())
        started.set()
        finish.wait()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        started.wait()
        with pytest.raises(TargetError, match=f"{ids[0]} is a thread of process {os.getpid()}"):
            process(ids[0])
    finally:
        finish.set()
        thread.join()


def test_a_zombie_has_ended() -> None:
    """A process that only waits to be collected is no target, is not listed, and is not alive."""
    child = subprocess.Popen(["sleep", "100"])
    before = process(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        with pytest.raises(TargetError, match=r"has ended; its parent has not collected it"):
            process(child.pid)
        assert not procfs.alive(before)
        assert child.pid not in {found.pid for found in procfs.processes()}
    finally:
        child.wait()


def test_a_process_whose_first_thread_ended_still_runs() -> None:
    """A process goes on when its first thread has called pthread_exit: it is alive, and its program is known."""
    program = (
        "import ctypes, threading, sys, time\n"
        "threading.Thread(target=lambda: (print('ready', flush=True), time.sleep(100))).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    with running(sys.executable, "-c", program) as child:
        assert child.stdout is not None
        child.stdout.readline()
        while (stat := procfs.read_stat(child.pid)) and stat.state != "Z":
            os.sched_yield()
        found = process(child.pid)
        assert found.executable == str(Path(sys.executable).resolve())
        assert procfs.alive(found)


def test_a_process_that_ends_while_it_is_read_is_said_to_have_ended(sleeper: subprocess.Popen[bytes]) -> None:
    """Maps and files of a process that ended meanwhile are a TargetError that says so."""
    found = process(sleeper.pid)
    files = loaded(sleeper)
    sleeper.kill()
    sleeper.wait()
    with pytest.raises(TargetError, match=rf"process {sleeper.pid} \(.*\) ended while it was being read"):
        procfs.maps(sleeper.pid)
    with pytest.raises(TargetError, match=rf"process {sleeper.pid} \(sleep\) ended while it was being read"):
        procfs.open_file(found, files[0])
    assert not procfs.alive(found)


def test_another_process_of_the_same_pid_is_another(sleeper: subprocess.Popen[bytes]) -> None:
    """A PID with another start time is not the process that was meant."""
    found = process(sleeper.pid)
    earlier = Process(found.pid, found.start_time_ticks - 1, 0, found.name, found.executable, found.root)
    assert not procfs.alive(earlier)
    assert instance_id(earlier) != instance_id(found)


def test_names_with_any_byte_are_read(tmp_path: Path) -> None:
    """Parentheses, spaces and newlines in a program's name do not disturb what is read of it."""
    program = tmp_path / "a) R 1 (b\n\\"
    shutil.copy("/usr/bin/sleep", program)
    with running(str(program), "100") as child:
        found = process(child.pid)
        assert found.executable == str(program)
        assert found.comm == program.name[:15]
        assert str(program) in [file.path for file in loaded(child)]


def test_mapped_files_are_what_maps_says(sleeper: subprocess.Popen[bytes]) -> None:
    """Executable and libraries are found with their ranges, and opening one gives the file itself."""
    found = process(sleeper.pid)
    files = {Path(file.path).name: file for file in loaded(sleeper)}
    assert {"sleep", "libc.so.6"} <= files.keys()
    for file in files.values():
        descriptor = procfs.open_file(found, file)
        try:
            status = os.fstat(descriptor)
            assert status.st_ino == file.inode == Path(file.path).stat().st_ino
        finally:
            os.close(descriptor)
        text = Path(f"/proc/{sleeper.pid}/maps").read_text()
        for mapping in file.mappings:
            assert f"{mapping.start:08x}-{mapping.end:08x} {mapping.permissions} {mapping.offset:08x}" in text


def test_a_deleted_program_and_library_are_still_read(tmp_path: Path) -> None:
    """Replaced by an update, the running program and its library are opened all the same."""
    program, library = tmp_path / "sleep", tmp_path / "library.so"
    shutil.copy("/usr/bin/sleep", program)
    shutil.copy("/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1", library)
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    with subprocess.Popen([str(program), "100"], env=environment) as child:
        try:
            loaded(child)
            originals = {path.name: path.read_bytes() for path in (program, library)}
            for path in (program, library):
                path.unlink()
                path.write_bytes(b"another")
            found = process(child.pid)
            assert (found.executable, found.deleted, found.name) == (str(program), True, "sleep")
            assert Path(found.executable_path).read_bytes() == originals["sleep"]
            files = {Path(file.path).name: file for file in procfs.mapped_files(child.pid)}
            for name, content in originals.items():
                assert files[name].deleted
                descriptor = procfs.open_file(found, files[name])
                with os.fdopen(descriptor, "rb") as opened:
                    assert opened.read() == content
        finally:
            child.kill()


def test_a_process_is_the_same_whatever_it_is_called(tmp_path: Path) -> None:
    """Its program is renamed and deleted, and it takes another name itself; a copy of the program in its place is another one."""
    program = tmp_path / "called"
    renames = "import ctypes; ctypes.CDLL(None).prctl(15, b'another'); print('ready', flush=True); input()"
    shutil.copy(Path(sys.executable).resolve(), program)
    with subprocess.Popen(
        [str(program), "-c", renames],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONHOME": sys.base_prefix},
    ) as child:
        before = process(child.pid)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        program.rename(tmp_path / "renamed")
        renamed = process(child.pid)
        (tmp_path / "renamed").unlink()
        deleted = process(child.pid)
        assert [each.name for each in (before, renamed, deleted)] == ["called", "renamed", "renamed"]
        assert (renamed.comm, deleted.deleted) == ("another", True)
        assert before == renamed == deleted
        child.communicate(b"\n")


HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("cgroup", "expected"),
    [
        (f"0::/system.slice/docker-{HEX}.scope", HEX),
        (f"12:cpu:/docker/{HEX}\n0::/docker/{HEX}", HEX),
        (
            f"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_0a1b_0a1b_0a1b_0a1b2c3d4e5f.slice/cri-containerd-{HEX}.scope",
            HEX,
        ),
        (f"5:memory:/kubepods/besteffort/pod0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f/{HEX}", HEX),
        (f"0::/kubepods.slice/kubepods-pod0a1b2c3d_0a1b_0a1b_0a1b_0a1b2c3d4e5f.slice/crio-{HEX}.scope", HEX),
        (f"0::/kubepods.slice/kubepods-pod0a1b2c3d_0a1b_0a1b_0a1b_0a1b2c3d4e5f.slice/crio-conmon-{HEX}.scope", None),
        (f"0::/machine.slice/libpod-{HEX}.scope/container", HEX),
        (f"0::/machine.slice/libpod-conmon-{HEX}.scope", None),
        (f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{HEX}.scope", HEX),
        (f"0::/system.slice/containerd.service/kubepods-besteffort-pod1.slice:cri-containerd:{HEX}", HEX),
        (f"0::/../{HEX}", HEX),
        ("0::/user.slice/user-0.slice/session-1.scope", None),
        ("0::/", None),
        ("", None),
    ],
)
def test_the_container_is_read_from_the_cgroup(
    cgroup: str, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The container id is found in the cgroup paths of every common runtime, versions 1 and 2."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text(cgroup + "\n")
    monkeypatch.setattr(container, "PROC", str(tmp_path))
    assert container.container_id(7) == expected
    assert container.pod_uid(7) == ("0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f" if "pod0a1b" in cgroup else None)


def test_a_container_that_hides_its_cgroup_is_known_by_its_mounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the cgroup says `/` only, what the runtime mounted names the container."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text("0::/\n")
    (tmp_path / "7" / "mountinfo").write_text(
        f"1 2 8:1 /var/lib/docker/containers/{HEX}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
    )
    monkeypatch.setattr(container, "PROC", str(tmp_path))
    assert container.container_id(7) == HEX
    assert container.container_id(8) is None


def test_a_target_has_an_identity_of_its_own(sleeper: subprocess.Popen[bytes]) -> None:
    """The target's record names process and service; its instance id is a version 5 UUID that stays the same."""
    found = process(sleeper.pid)
    target = make_target(found, 3, "abcd", None, {"deployment.environment.name": "test"})
    assert (target.id, target.pid, target.name, target.service_name, target.build_id) == (
        3,
        sleeper.pid,
        "sleep",
        "sleep",
        "abcd",
    )
    assert uuid.UUID(target.service_instance_id).version == 5
    assert make_target(process(sleeper.pid), 4, None, "media").service_instance_id == target.service_instance_id
    assert make_target(found, 4, None, "media").service_name == "media"
    assert ("deployment.environment.name", "test") in target.attributes
    with running("sleep", "100") as other:
        assert instance_id(process(other.pid)) != target.service_instance_id


def test_the_pid_inside_a_namespace_is_known() -> None:
    """A process has as many PIDs as namespaces that lead to it, the agent's first."""
    assert container.namespace_pids(os.getpid())[0] == os.getpid()
    assert container.namespace_pids(NO_PID) == ()


# -- watching ---------------------------------------------------------------------------------------------------


@pytest.fixture
def own_sleep(tmp_path: Path) -> str:
    """A program that no other process of this host runs."""
    return str(shutil.copy("/usr/bin/sleep", tmp_path / "own-sleep"))


def test_processes_that_come_and_go_are_reported_once(own_sleep: str) -> None:
    """A selected process is new at one poll and ended at one; others are never reported."""
    watcher = Watcher(lambda found: found.executable == own_sleep)
    assert watcher.poll() == ([], [])
    with running(own_sleep, "100") as child, running("cat"):
        new, ended = watcher.poll()
        assert [found.pid for found in new] == [child.pid]
        assert ended == []
        assert watcher.poll() == ([], [])
    new, ended = watcher.poll()
    assert new == []
    assert [found.pid for found in ended] == [child.pid]
    assert watcher.poll() == ([], [])


def test_where_only_some_can_be_selected_no_other_process_is_looked_at() -> None:
    """Of two processes the watcher reports the one that it is to watch, its end, and the other one once it may."""
    with subprocess.Popen(["sleep", "60"]) as one, subprocess.Popen(["sleep", "60"]) as other:
        asked: list[int] = []

        def select(found: Process) -> bool:
            asked.append(found.pid)
            return True

        watcher = Watcher(select, only={one.pid})
        assert [found.pid for found in watcher.poll()[0]] == [one.pid]
        assert asked == [one.pid]
        assert watcher.poll() == ([], [])
        one.kill()
        one.wait()
        assert [found.pid for found in watcher.poll()[1]] == [one.pid]
        watcher.only = {other.pid}
        assert [found.pid for found in watcher.poll()[0]] == [other.pid]
        other.kill()


def test_a_process_that_executes_another_program_is_another(own_sleep: str) -> None:
    """After `exec` the old program has ended and the new one is new, under the same PID."""
    with running("sh", "-c", f"echo ready; read line; exec '{own_sleep}' 100") as child:
        watcher = Watcher(lambda found: found.pid == child.pid)
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        before = watcher.poll()[0]
        assert [found.pid for found in before] == [child.pid]
        child.stdin.write(b"go\n")
        child.stdin.flush()
        while process(child.pid).name != "own-sleep":
            os.sched_yield()
        new, ended = watcher.poll()
        assert [(found.pid, found.name) for found in new] == [(child.pid, "own-sleep")]
        assert ended == before


def test_a_zombie_has_ended_for_the_watcher(own_sleep: str) -> None:
    """A selected process that was killed is reported as ended although nobody collected it."""
    watcher = Watcher(lambda found: found.executable == own_sleep)
    child = subprocess.Popen([own_sleep, "100"])
    try:
        while not any(found.pid == child.pid for found in watcher.poll()[0]):
            os.sched_yield()
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert [found.pid for found in watcher.poll()[1]] == [child.pid]
    finally:
        child.kill()
        child.wait()


def test_watching_a_thousand_processes_costs_little(tmp_path: Path) -> None:
    """A poll in which nothing changed costs less than 30 µs of processor time for each of 1 000 processes."""
    program = tmp_path / "many.c"
    program.write_text(
        "#include <signal.h>\n#include <unistd.h>\n"
        "int main(void) { for (int i = 0; i < 999; i++) if (!fork()) pause();\n"
        'write(1, "ready\\n", 6); pause(); return 0; }\n'
    )
    many = tmp_path / "many"
    subprocess.run(["gcc", "-O1", "-w", "-o", many, program], check=True)
    watcher = Watcher(lambda found: found.executable == str(many))
    with subprocess.Popen([many], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        try:
            assert len(watcher.poll()[0]) == 1000  # and all others of this host, which are not selected
            costs = []
            for _ in range(5):
                started = time.process_time()
                watcher.poll()
                costs.append(time.process_time() - started)
        finally:
            os.killpg(parent.pid, signal.SIGKILL)
    assert min(costs) < 0.030


@pytest.mark.parametrize(
    ("line", "expected"),
    [("x86_Thread_features:\tshstk wrss ", True), ("x86_Thread_features:\t", False), ("Name:\tshstk", False)],
)
def test_a_shadow_stack_is_read_from_the_thread_features(
    line: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel lists a user shadow stack among the thread's features, and a process without /proc has none."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text(f"Name:\tx\n{line}\nx86_Thread_features_locked:\tshstk\n")
    monkeypatch.setattr(procfs, "PROC", str(tmp_path))
    assert [procfs.has_shadow_stack_and_filter(pid) for pid in (7, 8)] == [(expected, False), (False, False)]


def test_the_vdso_is_where_the_kernel_told_the_process() -> None:
    """It begins where the auxiliary vector says; the copy that is read instead is code for this machine."""
    with running("cat") as child:
        loaded(child)
        vector = Path(f"/proc/{child.pid}/auxv").read_bytes()
        where = vdso.mapped(child.pid)
    (start,) = (value for kind, value in struct.iter_unpack("<QQ", vector) if kind == 33)  # AT_SYSINFO_EHDR
    assert where is not None
    assert where[0] == start
    file = vdso.descriptor()
    assert file is not None
    assert vdso.descriptor() == file
    assert os.fstat(file).st_size == where[1] - where[0]
    symbols = subprocess.run(
        ["readelf", "-W", "--dyn-syms", f"/proc/{os.getpid()}/fd/{file}"], capture_output=True, text=True, check=True
    )
    assert "clock_gettime" in symbols.stdout


def test_a_process_that_has_ended_has_no_vdso() -> None:
    """It is an error that says so, as for everything else that is read of it."""
    with pytest.raises(TargetError, match="ended"):
        vdso.mapped(NO_PID)


@pytest.mark.parametrize("at_once", [1, 64, 4096])
def test_fields_of_a_status_are_what_awk_finds_there(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """However much of it a read brings; a field that is not there, and a process that is not, have none."""
    monkeypatch.setattr(procfs, "_AT_ONCE_BYTES", at_once)
    with running("sleep", "100") as child:
        for name in ("Uid", "NSpid", "TracerPid", "Seccomp"):
            program = f'/^{name}:/ {{ sub(/^[^:]*:[[:space:]]*/, ""); print }}'
            found = subprocess.run(["awk", program, f"/proc/{child.pid}/status"], capture_output=True, check=True)
            assert procfs.status_field(child.pid, name.encode()) == found.stdout.strip() != b""
        assert procfs.status_field(child.pid, b"Uids") is None
    assert procfs.status_field(child.pid, b"Uid") is None
