# SPDX-License-Identifier: Apache-2.0
"""The host's share: the kernel's accounting of threads, cgroups and sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_jb.host import cgroups, scheduling
from otel_jb.host.share import Follower
from otel_jb.host.sockets import SocketTables, sockets_of


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty /proc that a test fills."""
    for module in (cgroups, scheduling):
        monkeypatch.setattr(module, "PROC", str(tmp_path))
    cgroups._mounts.cache_clear()
    monkeypatch.setattr(cgroups, "_mounts", cgroups._mounts.__wrapped__)
    return tmp_path


def thread(proc: Path, tid: int, cpu: int, delay: int) -> Path:
    directory = proc / "7/task" / str(tid)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "schedstat").write_text(f"{cpu} {delay} 2\n")
    return directory


def test_times_of_ended_threads_stay_in_the_sum(proc: Path) -> None:
    """A thread that ended, and one whose id was given to a younger thread, take nothing away."""
    times = scheduling.ThreadTimes(7)
    assert times.read() is None
    thread(proc, 7, 100, 10)
    ended = thread(proc, 8, 40, 4)
    assert times.read() == scheduling.Scheduled(140, 14, 4)
    (ended / "schedstat").unlink()
    ended.rmdir()
    assert times.read() == scheduling.Scheduled(140, 14, 4)
    thread(proc, 8, 5, 1)  # the same id, another thread
    assert times.read() == scheduling.Scheduled(145, 15, 6)
    thread(proc, 7, 3, 0)
    assert times.read() == scheduling.Scheduled(148, 15, 8)


def switches(pid: int) -> int:
    """How often a thread of a process gave up a CPU or lost it."""
    status = [(thread / "status").read_text() for thread in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(line.split()[1]) for text in status for line in text.splitlines() if "ctxt_switches" in line)


def test_a_timeslice_ends_with_each_switch_to_something_else() -> None:
    """A program that sleeps often gets a CPU as often as the kernel switched away from it."""
    program = "import sys, time\nprint(flush=True)\nfor line in sys.stdin:\n  for _ in range(200): time.sleep(0.001)\n  print(flush=True)"
    with subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        share = Follower(1, child.pid)
        share.read()
        before = switches(child.pid)
        child.stdin.write("\n")
        child.stdout.readline()
        found = share.read().timeslices
        switched = switches(child.pid) - before
        child.stdin.close()
    assert found is not None
    assert switched >= 200
    # It was not asked at the same moments: it may have begun or ended to wait for a line in between.
    assert abs(found - switched) <= 3


def test_run_delay_is_what_a_busy_thread_did_not_run() -> None:
    """Three loops share one CPU: what each did not run of its life, it waited, by the clock of each."""
    cpu = min(os.sched_getaffinity(0))
    program = f"import os; os.sched_setaffinity(0, {{{cpu}}}); print(flush=True)\nwhile True: pass"
    begin = time.monotonic_ns()
    children = [subprocess.Popen([sys.executable, "-S", "-E", "-c", program], stdout=subprocess.PIPE) for _ in range(3)]
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        shares = [Follower(1, child.pid) for child in children]
        for share in shares:
            share.read()
        deadline = time.monotonic() + 30
        while min(share.read().cpu_ns or 0 for share in shares) < 50_000_000:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for share in shares:
            found = share.read()
            lived = time.monotonic_ns() - begin
            assert found.cpu_ns is not None
            assert found.run_delay_ns is not None
            assert found.run_delay_ns > found.cpu_ns * 0.5  # it shares with two others, and who knows with whom else
            # The kernel accounts for a wait when it ends, so one that began before the first look is in it too.
            assert found.cpu_ns + found.run_delay_ns <= lived * 1.01
    finally:
        for child in children:
            child.kill()
            child.wait()


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.bind(("127.0.0.1", 0))
        yield opened


def test_dropped_datagrams_are_those_that_never_arrive(receiver: socket.socket) -> None:
    """By port, the datagrams sent but never readable equal the drops that the kernel counts; waiting ones are counted in bytes."""
    share = Follower(1, os.getpid())
    port = receiver.getsockname()[1]
    before = dict(share.read().udp_drops)
    assert before[port] == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(500):
            sender.sendto(bytes(200), ("127.0.0.1", port))
    found = share.read()
    assert dict(found.udp_queue)[port] > 0
    receiver.setblocking(False)
    arrived = 0
    try:
        while receiver.recv(2000):
            arrived += 1
    except BlockingIOError:
        pass
    assert arrived < 500
    assert dict(found.udp_drops)[port] == 500 - arrived
    assert dict(share.read().udp_queue)[port] == 0


def test_drops_of_a_closed_socket_stay_counted_and_a_new_one_adds_to_them() -> None:
    """A server that opens its port again has not lost fewer datagrams; IPv6 sockets count as well."""
    share = Follower(1, os.getpid())
    share.read()
    total = 0
    port = 0
    for _ in range(2):
        with (
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as opened,
            socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender,
        ):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            opened.bind(("::1", port))
            port = opened.getsockname()[1]
            for _ in range(200):
                sender.sendto(bytes(200), ("::1", port))
            total += next(each.dropped for each in sockets_of(os.getpid()) if each.port == port)
            assert dict(share.read().udp_drops)[port] == total
    assert dict(share.read().udp_drops)[port] == total > 0
    assert port not in dict(share.read().udp_queue)


def test_nobody_glances_at_a_process_without_a_socket_and_that_time_does_not_count() -> None:
    """What waits in a new socket counts from the first glance at it, not from the last one at a socket that was closed long before."""
    share = Follower(1, os.getpid())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
        first.bind(("127.0.0.1", 0))
        share.read()
        had = share.has_sockets
        share.glance(SocketTables(), 1_000)
    share.read()
    assert (had, share.has_sockets) == (True, False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
        second.bind(("127.0.0.1", 0))
        second.sendto(bytes(200), second.getsockname())
        share.read()
        (one,) = (each.queued_bytes for each in sockets_of(os.getpid()))
        share.glance(SocketTables(), 10_000)
        share.glance(SocketTables(), 10_500)
        second.recv(2000)
        share.glance(SocketTables(), 10_600)
        assert dict(share.read().udp_waited)[second.getsockname()[1]] == one * 500


def test_what_waited_in_a_socket_counts_once_it_was_read(receiver: socket.socket) -> None:
    """Bytes times the time between two glances that see them; of a socket that is never read, nothing. Another process's socket is not looked at."""
    share, port = Follower(1, os.getpid()), receiver.getsockname()[1]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unread,
    ):
        unread.bind(("127.0.0.1", 0))
        share.read()
        share.glance(SocketTables(), 1_000)
        for to in (port, unread.getsockname()[1]):
            sender.sendto(bytes(200), ("127.0.0.1", to))
        (one,) = (each.queued_bytes for each in sockets_of(os.getpid()) if each.port == port)
        share.glance(SocketTables(), 1_300)
        sender.sendto(bytes(200), ("127.0.0.1", port))
        share.glance(SocketTables(), 2_000)
        assert port not in dict(share.read().udp_waited)
        receiver.recv(2000)
        receiver.recv(2000)
        share.glance(SocketTables(), 2_100)
        share.glance(SocketTables(), 2_900)
        found = dict(share.read().udp_waited)
        assert found[port] == one * 300 + 2 * one * 700
        assert unread.getsockname()[1] not in found


def test_of_a_process_that_is_gone_nothing_is_claimed() -> None:
    """A PID that nobody has gives no times and no sockets."""
    with subprocess.Popen(["true"]) as child:
        pass
    found = Follower(1, child.pid).read()
    assert (found.cpu_ns, found.run_delay_ns, found.throttled_ns, found.udp_drops) == (None, None, None, ())


def test_threads_of_a_process_are_added_up() -> None:
    """Work on a second thread is in the CPU time of the process, within what rusage says."""
    import resource

    share = Follower(1, os.getpid())
    share.read()
    begin = resource.getrusage(resource.RUSAGE_SELF)

    spun, seen = threading.Event(), threading.Event()

    def spin() -> None:
        until = time.thread_time() + 0.2
        while time.thread_time() < until:
            pass
        spun.set()
        seen.wait(60)  # a thread that has ended can no longer be read

    worker = threading.Thread(target=spin)
    worker.start()
    assert spun.wait(60)
    cpu_ns = share.read().cpu_ns or 0
    seen.set()
    worker.join()
    end = resource.getrusage(resource.RUSAGE_SELF)
    used = (end.ru_utime - begin.ru_utime + end.ru_stime - begin.ru_stime) * 1e9
    assert 0.19e9 < cpu_ns <= used * 1.1 + 20e6
    assert (share.read().cpu_ns or 0) >= cpu_ns


VERSION_2 = "30 1 0:26 / {place} rw - cgroup2 cgroup2 rw\n"
VERSION_1 = "31 1 0:27 / {place} rw - cgroup cgroup rw,cpu,cpuacct\n"


@pytest.mark.parametrize(
    ("mount", "line", "stat", "expected"),
    [
        (VERSION_2, "0::/a/b\n", "usage_usec 5\nthrottled_usec 7\n", 14_000),
        (VERSION_1, "4:cpu,cpuacct:/a/b\n0::/\n", "nr_throttled 2\nthrottled_time 9\n", 18),
        (VERSION_2, "0::/a/b\n", "usage_usec 5\n", None),
        (VERSION_2, "0::/../a/b\n", "throttled_usec 7\n", None),
    ],
)
def test_throttling_is_read_from_the_cgroups_of_either_version(
    proc: Path, mount: str, line: str, stat: str, expected: int | None
) -> None:
    """Its own cgroup and the one around it are added; without the controller, or outside of what is mounted, nothing is claimed."""
    place = proc / "mounted"
    for directory in (place / "a/b", place / "a"):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "cpu.stat").write_text(stat)
    (proc / "self").mkdir()
    (proc / "self/mountinfo").write_text(mount.format(place=place))
    (proc / "7").mkdir()
    (proc / "7/cgroup").write_text(line)
    assert cgroups.throttled_ns(7) == expected


def test_throttled_time_goes_on_where_a_process_is_moved(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cgroup with smaller numbers does not make the counter fall."""
    del proc
    values = iter([100, 150, 20, 50, None, 60])
    monkeypatch.setattr(cgroups, "throttled_ns", lambda _: next(values))
    share = Follower(1, 7)
    assert [share._throttling() for _ in range(6)] == [0, 50, 50, 80, 80, 90]
