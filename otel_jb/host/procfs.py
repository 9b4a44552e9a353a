# SPDX-License-Identifier: Apache-2.0
"""Processes as /proc shows them: identity, executable, mapped files.

A process may end at any moment, and its PID may be reused. So everything read about a process is checked against its start time,
and a process that has ended raises a `TargetError`. Paths are as the process sees them; `Process.root` leads there.
"""

# Names under /proc are short-lived strings, and there are thousands of them at each look: no Path objects.
# ruff: noqa: PTH115, PTH119, PTH208
from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import field
from functools import lru_cache
from typing import NamedTuple

from otel_jb.host import roots
from otel_jb.host.patience import known_status, patiently
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import PermissionDeniedError, TargetError

PROC = "/proc"
_PF_KTHREAD = 0x00200000
_AT_ONCE_BYTES = 4096
_MAX_PID = 1 << 22  #: PID_MAX_LIMIT of a 64-bit kernel
_MAX_MAPPINGS = 1 << 20
_DELETED = " (deleted)"
_OCTAL = re.compile(r"\\([0-7]{3})")
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+) +(/.*)")


@dataclass(frozen=True, slots=True)
class Process:
    """One user process. Equal values mean the same process running the same program, whatever it calls itself and whatever became of the
    program's name since.
    """

    pid: int  #: as the host counts
    start_time_ticks: int  #: clock ticks since boot; PID and start time identify the process
    start_time_unix_nano: int = field(compare=False)
    name: str = field(
        compare=False
    )  #: base name of the executable, or the kernel's short name if the executable cannot be read
    executable: str = field(compare=False)  #: path as the process sees it; empty if it cannot be read
    root: str = field(compare=False)  #: `/proc/PID/root`
    comm: str = field(default="", compare=False)  #: the kernel's short name, at most 15 bytes
    deleted: bool = field(default=False, compare=False)  #: the executable was replaced or removed since it was started
    device: int = 0  #: of the executable; 0 if it cannot be read
    inode: int = 0
    born_ns: int = field(default=0, compare=False)  #: when the executable was made (Unix time); 0: not known

    @property
    def executable_path(self) -> str:
        """The path by which the agent opens the running program, even if its file was deleted."""
        return f"{PROC}/{self.pid}/exe"


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping of a file. `deleted`: the file no longer has a name."""

    start: int
    end: int
    permissions: str
    offset: int
    device: str
    inode: int
    path: str
    deleted: bool

    @property
    def executable(self) -> bool:
        return "x" in self.permissions

    @property
    def device_number(self) -> int:
        """What stat() calls the device on most file systems."""
        major, _, minor = self.device.partition(":")
        return os.makedev(int(major, 16), int(minor, 16))


@dataclass(frozen=True, slots=True)
class MappedFile:
    """A file whose code a process has mapped: its executable mappings, in order of address."""

    path: str
    device: str
    inode: int
    deleted: bool
    mappings: tuple[Mapping, ...]


class Stat(NamedTuple):
    """Fields of /proc/PID/stat."""

    comm: str
    state: str
    flags: int
    threads: int
    start_time_ticks: int

    @property
    def kernel_thread(self) -> bool:
        return bool(self.flags & _PF_KTHREAD)

    @property
    def ended(self) -> bool:
        """A zombie without other threads. The first thread may end long before the process does."""
        return self.state in ("Z", "X", "x") and self.threads <= 1


def parse_pid(text: str) -> int:
    """A PID from the command line. Raises TargetError."""
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:12]) <= _MAX_PID:
        raise TargetError(f"{text!r} is not a PID", f"A PID is a number from 1 to {_MAX_PID}.")
    return int(text)


def processes() -> Iterator[Process]:
    """Every running user process; excludes kernel threads and zombies."""
    for entry in os.listdir(PROC):
        if entry.isdecimal():
            found = look(int(entry))
            if found is not None:
                yield found


def process(pid: int) -> Process:
    """The process of this PID. Raises TargetError: no such PID, a thread, a kernel thread, ended."""
    if not 0 < pid <= _MAX_PID:
        raise TargetError(f"{pid} is not a PID", f"A PID is a number from 1 to {_MAX_PID}.")
    status = read_stat(pid)
    if status is None:
        raise TargetError(f"no process with PID {pid}", "It may have ended; `otel-jb discover` lists the running ones.")
    if status.kernel_thread:
        raise TargetError(f"PID {pid} ({status.comm}) is a kernel thread; it runs no program that could be measured")
    leader = _thread_group(pid)
    if leader not in (None, pid):
        raise TargetError(f"{pid} is a thread of process {leader}", f"Name the process: --pid {leader}.")
    if status.ended:
        raise TargetError(f"process {pid} ({status.comm}) has ended; its parent has not collected it yet")
    found = look(pid)
    if found is None or found.start_time_ticks != status.start_time_ticks:
        raise ended(pid, status.comm)
    return found


def ended(pid: int, name: str) -> TargetError:
    """The error for a process that ended while it was being read."""
    return TargetError(f"process {pid} ({name}) ended while it was being read", "Start it again, or name another one.")


def look(pid: int) -> Process | None:
    """The user process with this PID; None if there is none."""
    status = read_stat(pid)
    if status is None or status.kernel_thread or status.ended:
        return None
    executable, deleted, device, inode, born_ns = "", False, 0, 0, 0
    try:
        link = f"{PROC}/{pid}/exe"
        if status.state in ("Z", "X"):  # the first thread is gone, but others still run the program
            link = _task_link(pid) or link
        executable = os.readlink(link)
        found = known_status(link)
        device, inode, born_ns = found.device, found.inode, found.born_ns
        if executable.endswith(_DELETED) and found.links == 0:
            executable, deleted = executable[: -len(_DELETED)], True
    except PermissionError:
        pass
    except (FileNotFoundError, ProcessLookupError):
        if read_stat(pid) is None:
            return None
    except OSError:  # its file system is gone (ENOTCONN, ESTALE, EIO), which affects only this process
        pass
    return Process(
        pid=pid,
        start_time_ticks=status.start_time_ticks,
        start_time_unix_nano=start_time_unix_nano(status.start_time_ticks),
        name=os.path.basename(executable) or status.comm,
        executable=executable,
        root=f"{PROC}/{pid}/root",
        comm=status.comm,
        deleted=deleted,
        device=device,
        inode=inode,
        born_ns=born_ns,
    )


def alive(target: Process) -> bool:
    """Whether this process still runs; False for a zombie, or if the PID was reused."""
    status = read_stat(target.pid)
    return status is not None and status.start_time_ticks == target.start_time_ticks and not status.ended


def read_stat(pid: int) -> Stat | None:
    """/proc/PID/stat; None if there is no such process."""
    try:
        with open(f"{PROC}/{pid}/stat", "rb") as file:
            data = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name is in parentheses and may contain any byte, including parentheses and spaces.
    start, end = data.find(b"("), data.rfind(b")")
    fields = data[end + 1 :].split()
    if start < 0 or len(fields) < 20:
        return None
    comm = data[start + 1 : end].decode("utf-8", "backslashreplace")
    return Stat(comm, fields[0].decode(), int(fields[6]), int(fields[17]), int(fields[19]))


def command_line(pid: int) -> str:
    """The words that the process was started with, joined by spaces, at most 64 KiB; "" where it has none or ended."""
    try:
        with open(f"{PROC}/{pid}/cmdline", "rb") as file:
            return file.read(1 << 16).rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "backslashreplace")
    except OSError:
        return ""


def status_field(pid: int, name: bytes) -> bytes | None:
    """The value of a line of /proc/PID/status behind the first one, such as `Uid`; None if there is no such line, or no such process."""
    try:
        file = os.open(f"{PROC}/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    # Without a file object and its lines: it is asked for once a second, and what is used that seldom is not in the processor's caches.
    data = b""
    try:
        while len(data) % _AT_ONCE_BYTES == 0 and (more := os.read(file, _AT_ONCE_BYTES)):
            data += more
    except OSError:  # it has just ended
        return None
    finally:
        os.close(file)
    return _line_of(data, b"\n" + name + b":").strip() or None


def has_shadow_stack_and_filter(pid: int) -> tuple[bool, bool]:
    """Whether a process has a user shadow stack (x86, Linux 6.6), and whether a seccomp filter restricts its system calls; False if unknown."""
    try:
        with open(f"{PROC}/{pid}/status", "rb") as file:
            data = file.read()
    except OSError:
        return False, False
    features, mode = (_line_of(data, name).split() for name in (b"\nx86_Thread_features:", b"\nSeccomp:"))
    return b"shstk" in features, mode == [b"2"]


def _line_of(data: bytes, begins: bytes) -> bytes:
    """The rest of the line that begins so (with its line feed before); empty where there is none."""
    found = data.find(begins)
    return b"" if found < 0 else data[found + len(begins) : data.find(b"\n", found + 1)]


def user_id(pid: int) -> int | None:
    """The real user id of a process; None if there is no such process."""
    found = status_field(pid, b"Uid")
    return int(found.split()[0]) if found else None


def pages(pid: int) -> int | None:
    """How large a process's memory is, in pages; None where that cannot be read."""
    try:
        with open(f"{PROC}/{pid}/statm", "rb", buffering=0) as file:
            return int(file.read(64).split(b" ", 1)[0])
    except (OSError, ValueError):
        return None


def start_time_unix_nano(ticks: int) -> int:
    """Wall-clock time of a start time in clock ticks since boot."""
    return _boot_time_unix_nano() + ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def maps(pid: int, *, code: bool = False, inode: int | None = None) -> list[Mapping]:
    """The mappings of files (`code`: only executable ones; `inode`: only of files with this number), in order of address.

    Raises TargetError (ended), PermissionDeniedError.
    """
    found = []
    wanted = "" if inode is None else f" {inode} "
    try:
        with open(f"{PROC}/{pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
            for number, line in enumerate(file):
                if number >= _MAX_MAPPINGS:
                    break
                if wanted not in line:
                    continue
                if code and line[line.find(" ") + 3 : line.find(" ") + 4] != "x":
                    continue
                match = _MAPPING.match(line.rstrip("\n"))
                if match is None or match[6] == "0" or (inode is not None and int(match[6]) != inode):
                    continue
                path = _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), match[7])
                deleted = path.endswith(_DELETED)
                found.append(
                    Mapping(
                        int(match[1], 16),
                        int(match[2], 16),
                        match[3],
                        int(match[4], 16),
                        match[5],
                        int(match[6]),
                        path[: -len(_DELETED)] if deleted else path,
                        deleted,
                    )
                )
    except (FileNotFoundError, ProcessLookupError) as error:
        raise ended(pid, "?") from error
    except PermissionError as error:
        raise _denied(pid) from error
    return found


def uprobe_areas(pid: int) -> list[range]:
    """Where the kernel has put code of its own for uprobes: `[uprobes]`, and `[uprobes-trampoline]` since Linux 6.18. Raises OSError."""
    with open(f"{PROC}/{pid}/maps", "rb") as file:
        named = [line.split(b" ", 1)[0].split(b"-") for line in file if b" [uprobes" in line]
    return [range(int(begin, 16), int(end, 16)) for begin, end in named]


def mapped_files(pid: int) -> list[MappedFile]:
    """The files that a process has mapped as executable, in order of address."""
    grouped: dict[tuple[str, int], list[Mapping]] = {}
    for mapping in maps(pid, code=True):
        grouped.setdefault((mapping.device, mapping.inode), []).append(mapping)
    return [
        MappedFile(group[0].path, device, inode, group[0].deleted, tuple(group))
        for (device, inode), group in grouped.items()
    ]


def file_path(target: Process, file: MappedFile) -> str:
    """The path by which the agent opens a mapped file. Raises TargetError (ended, replaced), PermissionDeniedError.

    `/proc/PID/map_files` leads to the mapped file itself, deleted or not, but needs privileges. Without them, use
    `/proc/PID/root`, provided that the name still leads to the mapped file.
    """
    named = target.root + file.path
    try:
        # Unlike map_files, a name stays valid after the process ends, so prefer it if it leads to the same file.
        if not file.deleted and _inode(named, file) == file.inode:
            return named
    except OSError:
        pass
    return _exact_path(target, file)


def _exact_path(target: Process, file: MappedFile) -> str:
    """A path that leads to the mapped file itself, whatever became of its name. Raises as `file_path`."""
    first = file.mappings[0]
    exact = f"{PROC}/{target.pid}/map_files/{first.start:x}-{first.end:x}"
    try:
        known_status(exact)
        return exact
    except PermissionError:
        pass
    except (FileNotFoundError, ProcessLookupError) as error:
        if not alive(target):
            raise ended(target.pid, target.name) from error
    except OSError as error:
        raise TargetError(
            f"process {target.pid} ({target.name}): {file.path} cannot be looked at: {error.strerror}"
        ) from error
    if file.inode == target.inode:
        return target.executable_path
    if os.geteuid() != 0:
        raise _denied(target.pid)
    raise TargetError(
        f"process {target.pid} ({target.name}): {file.path} was replaced since it was loaded",
        "Restart the process so that it runs the current file.",
    )


def inside(path: str) -> str:
    """The path through a process's root, as that process sees it."""
    return roots.THROUGH_ROOT.sub("", path)


def _inode(path: str, file: MappedFile) -> int:
    """The inode to which a name leads now. Raises OSError, TargetError (the file system does not answer)."""
    if not file.device.startswith("00:"):  # on a disk of this machine
        return roots.status(path, follow=False).st_ino
    return patiently(lambda: roots.status(path, follow=False).st_ino, file.path, file.device)


def open_file(target: Process, file: MappedFile) -> int:
    """A read-only descriptor of a mapped file, whose name is resolved once. Raises TargetError, PermissionDeniedError; no FIFO blocks it."""
    try:
        looked = _look(target, file)
        try:
            # If a FIFO took the file's place, opening it would block; opening a device might trigger an action.
            if not stat.S_ISREG(os.fstat(looked).st_mode):
                raise TargetError(f"process {target.pid} ({target.name}): {file.path} is not a regular file")
            return roots.read_again(looked)
        finally:
            os.close(looked)
    except PermissionError as error:
        raise _denied(target.pid) from error
    except OSError as error:
        if not alive(target):
            raise ended(target.pid, target.name) from error
        raise TargetError(
            f"process {target.pid} ({target.name}): {file.path} cannot be opened: {error.strerror}"
        ) from error


def _look(target: Process, file: MappedFile) -> int:
    """What the name of a mapped file leads to, if that is the mapped file, else that file itself, as an O_PATH descriptor."""
    if not file.deleted:
        try:
            looked = roots.look(target.root + file.path, follow=False)
        except OSError:
            pass
        else:
            if os.fstat(looked).st_ino == file.inode:
                return looked
            os.close(looked)
    return roots.look(_exact_path(target, file))


def _denied(pid: int) -> PermissionDeniedError:
    return PermissionDeniedError(
        f"process {pid} cannot be looked at: permission denied",
        "Even root may not: a security module or another user namespace protects it."
        if os.geteuid() == 0
        else "It belongs to another user, or is protected. Run as root (sudo), or with CAP_SYS_PTRACE.",
    )


def _thread_group(pid: int) -> int | None:
    try:
        with open(f"{PROC}/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"Tgid:"):
                    return int(line[5:])
    except (FileNotFoundError, ProcessLookupError, ValueError):
        pass
    return None


def _task_link(pid: int) -> str | None:
    try:
        for task in os.listdir(f"{PROC}/{pid}/task"):
            link = f"{PROC}/{pid}/task/{task}/exe"
            try:
                os.readlink(link)
                return link
            except OSError:
                continue
    except OSError:
        pass
    return None


@lru_cache(maxsize=1)
def _boot_time_unix_nano() -> int:
    """Read once, because the kernel derives it from the wall clock: a step of the clock would change a process's start time."""
    with open(f"{PROC}/stat", "rb") as file:
        for line in file:
            if line.startswith(b"btime "):
                return int(line[6:]) * 1_000_000_000
    return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
