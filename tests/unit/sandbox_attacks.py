# SPDX-License-Identifier: Apache-2.0
"""What attacker's code tries inside the sandbox: raw system calls, so that nothing depends on what Python or libc would check first.

Run as a program in a directory of its own, it starts a sandbox, lets a worker try everything, and prints what came of it and what the
server still holds; with the argument `outside` it tries the same without a sandbox, each attempt in a process of its own, which
shows that they are real.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HEADERS = {
    "x86_64": "#include <asm/unistd_64.h>",
    "aarch64": "#define __BITS_PER_LONG 64\n#define __ARCH_WANT_NEW_STAT\n#define __ARCH_WANT_SYS_CLONE3\n"
    "#define __ARCH_WANT_RENAMEAT\n#define __ARCH_WANT_SET_GET_RLIMIT\n#include <asm-generic/unistd.h>",
}
AT_FDCWD = -100
VICTIM = b"victim"
_CLONE_NEWUSER, _CLONE_NEWNS, _CLONE_NEWUTS = 0x10000000, 0x00020000, 0x04000000


def header_numbers(machine: str, names: Sequence[str]) -> dict[str, int]:
    """Numbers of these calls by the kernel's headers; those that an architecture does not have are left out."""
    source = HEADERS[machine] + "\n" + "\n".join(f"number {name} __NR_{name}" for name in names)
    printed = subprocess.run(["gcc", "-E", "-P", "-"], input=source, capture_output=True, text=True, check=True).stdout
    found = [line.split() for line in printed.splitlines() if line.startswith("number ")]
    return {name: int(number) for _, name, number in found if number.isdecimal()}


def _bytes(data: bytes) -> Any:
    return ctypes.create_string_buffer(data)


def _zeros(size: int) -> Any:
    return ctypes.create_string_buffer(size)


#: What is tried: its name, the system call, its arguments.
Arguments = Callable[[], Sequence[Any]]
ATTEMPTS: tuple[tuple[str, str, Arguments], ...] = (
    ("open a file", "openat", lambda: (AT_FDCWD, b"/etc/passwd", os.O_RDONLY)),
    ("open itself by /proc", "openat", lambda: (AT_FDCWD, b"/proc/self/environ", os.O_RDONLY)),
    ("open a file by openat2", "openat2", lambda: (AT_FDCWD, b"/etc/passwd", _zeros(24), 24)),
    ("create a file", "openat", lambda: (AT_FDCWD, b"made-was-here", os.O_CREAT | os.O_WRONLY, 0o600)),
    ("see that a file exists", "faccessat", lambda: (AT_FDCWD, b"/etc/passwd", 0)),
    ("see a file's size", "statx", lambda: (AT_FDCWD, b"/etc/passwd", 0, 0x7FF, _zeros(256))),
    ("read a link", "readlinkat", lambda: (AT_FDCWD, b"/proc/self/exe", _zeros(256), 256)),
    ("change a mode", "fchmodat", lambda: (AT_FDCWD, VICTIM, 0o600)),
    ("change an attribute", "setxattr", lambda: (VICTIM, b"user.x", b"1", 1, 0)),
    ("cut a file off", "truncate", lambda: (VICTIM, 1)),
    ("link a file", "linkat", lambda: (AT_FDCWD, VICTIM, AT_FDCWD, b"made-link", 0)),
    ("make a link", "symlinkat", lambda: (b"/etc/passwd", AT_FDCWD, b"made-symlink")),
    ("make a directory", "mkdirat", lambda: (AT_FDCWD, b"made-directory", 0o700)),
    ("make a FIFO", "mknodat", lambda: (AT_FDCWD, b"made-fifo", 0o010600, 0)),
    ("move to a directory", "chdir", lambda: (b"/tmp",)),
    ("watch files", "inotify_init1", lambda: (0,)),
    ("make a file in memory", "memfd_create", lambda: (b"x", 0)),
    ("make an internet socket", "socket", lambda: (2, 1, 0)),
    ("make a netlink socket", "socket", lambda: (16, 3, 0)),
    ("make a pair of sockets", "socketpair", lambda: (1, 1, 0, _zeros(8))),
    ("type into the terminal", "ioctl", lambda: (0, termios.TIOCSTI, _bytes(b"x"))),
    ("make shared memory", "shmget", lambda: (0, 4096, 0o1600)),
    ("make a message queue", "msgget", lambda: (0, 0o1600)),
    ("make a semaphore", "semget", lambda: (0, 1, 0o1600)),
    ("make a POSIX queue", "mq_open", lambda: (b"sandbox", os.O_CREAT | os.O_RDWR, 0o600, None)),
    ("look for its parent by a signal", "kill", lambda: (os.getppid(), 0)),
    ("signal a thread", "tgkill", lambda: (os.getpid(), os.getpid(), 0)),
    ("queue a signal", "rt_sigqueueinfo", lambda: (os.getpid(), 0, _bytes(struct.pack("<iii", 0, 0, -1).ljust(128)))),
    ("hold a process", "pidfd_open", lambda: (os.getpid(), 0)),
    ("be traced", "ptrace", lambda: (0, 0, 0, 0)),
    ("read a process's memory", "process_vm_readv", lambda: (os.getpid(), None, 0, None, 0, 0)),
    ("compare processes", "kcmp", lambda: (os.getpid(), os.getpid(), 3, 0, 0)),
    ("keep a key", "add_key", lambda: (b"user", b"sandbox", b"x", 1, -1)),
    ("look at a keyring", "keyctl", lambda: (0, -1, 1)),
    ("make a BPF map", "bpf", lambda: (0, _bytes(struct.pack("<5I", 2, 4, 4, 1, 0).ljust(128, b"\0")), 128)),
    (
        "count events",
        "perf_event_open",
        lambda: (_bytes(struct.pack("<IIQ", 1, 128, 0).ljust(128, b"\0")), 0, -1, -1, 0),
    ),
    ("handle page faults", "userfaultfd", lambda: (1,)),
    ("make an I/O ring", "io_uring_setup", lambda: (1, _zeros(120))),
    ("make a user namespace", "unshare", lambda: (_CLONE_NEWUSER,)),
    ("make a mount namespace", "unshare", lambda: (_CLONE_NEWNS,)),
    ("fork into a namespace", "clone", lambda: (_CLONE_NEWUTS | signal.SIGCHLD, None, None, None, None)),
    ("fork", "clone", lambda: (signal.SIGCHLD, None, None, None, None)),
    ("mount", "mount", lambda: (b"none", b"/tmp", b"tmpfs", 0, None)),
    ("change its root", "chroot", lambda: (b"/tmp",)),
    ("move to a CPU", "sched_setaffinity", lambda: (0, 8, _bytes(struct.pack("<Q", 1)))),
    ("change its priority", "setpriority", lambda: (0, 0, 5)),
    ("change its scheduler", "sched_setscheduler", lambda: (0, 3, _zeros(4))),
    ("become root", "setresuid", lambda: (0, 0, 0)),
    ("change its groups", "setgroups", lambda: (0, None)),
    ("set capabilities", "capset", lambda: (_bytes(struct.pack("<Ii", 0x20080522, 0)), _zeros(24))),
    ("raise an ambient capability", "prctl", lambda: (47, 4, 0, 0, 0)),
    ("change its personality", "personality", lambda: (0x0040000,)),
    ("change a limit", "prlimit64", lambda: (0, 7, _bytes(struct.pack("<QQ", 64, 64)), None)),
    (
        "ignore its alarm",
        "rt_sigaction",
        lambda: (signal.SIGALRM, _bytes(struct.pack("<Q", 1).ljust(32, b"\0")), None, 8),
    ),
    ("put off its alarm", "setitimer", lambda: (0, _zeros(32), None)),
    ("map memory that can run", "mmap", lambda: (0, 4096, 7, 0x22, -1, 0)),
    ("leave its session", "setsid", lambda: ()),
    ("start a program", "execve", lambda: (b"/bin/true", None, None)),
)


def attempt(call: int, arguments: Sequence[Any]) -> str:
    """`done`, or the error that it ended with."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    passed = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    answer = libc.syscall(ctypes.c_long(call), *passed)
    if answer == 0 and call == _numbers.get("clone"):
        os._exit(0)
    return "done" if answer >= 0 else errno.errorcode.get(ctypes.get_errno(), "?")


_numbers: dict[str, int] = {}


def attack(_: Sequence[int]) -> dict[str, str]:
    """Try everything; how each attempt ended."""
    return {name: attempt(_numbers[call], arguments()) for name, call, arguments in ATTEMPTS if call in _numbers}


def _outside(call: str, arguments: Arguments) -> str:
    """The same in a process of its own, which nothing confines."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        if call == "setsid":
            os.setpgid(0, os.getppid())  # a group's leader cannot
        os.set_inheritable(writing, False)
        ended = attempt(_numbers[call], arguments())
        os.write(writing, ended.encode())
        os._exit(0)
    os.close(writing)
    ended = os.read(reading, 100).decode()
    _, status = os.waitpid(pid, 0)
    os.close(reading)
    # It was replaced by another program: the pipe closed without a word.
    return ended or ("done" if call == "execve" and status == 0 else f"status {status}")


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def main() -> None:
    """Print the results as JSON."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    _numbers.update(header_numbers(platform.machine(), sorted({call for _, call, _ in ATTEMPTS})))
    victim = Path(VICTIM.decode())
    victim.write_text("kept")
    victim.chmod(0o666)
    if sys.argv[1:] == ["outside"]:
        print(json.dumps({name: _outside(call, arguments) for name, call, arguments in ATTEMPTS if call in _numbers}))
        return
    from otel_jb.sandbox import report
    from otel_jb.sandbox.client import Inspector

    report.attack = attack  # type: ignore[attr-defined]
    with open("/etc/passwd"), Inspector() as inspector:
        ended = inspector.call("otel_jb.sandbox.report:attack", [])
        seen = {
            "attempts": ended,
            "status": _status(inspector._pid),
            "files": sorted(
                str(entry.readlink()).split(":")[0] for entry in Path(f"/proc/{inspector._pid}/fd").iterdir()
            ),
            "session": os.getsid(inspector._pid) == inspector._pid,
            "left": sorted(path.name for path in Path().iterdir()),
            "victim": victim.read_text(),
        }
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
