"""What a process gives up before it reads a hostile file: its user, new privileges, resources, and dangerous system calls."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct

NOBODY = 65534
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 38, 22
_SECCOMP_MODE_FILTER = 2
_RET_ALLOW, _RET_ERRNO, _RET_KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM = 1
_SIGKILL = 9
#: audit architecture, and the numbers of what reading a file never needs: sockets, other processes, new programs, changing
#: the file system, kernel interfaces (from asm/unistd_64.h and asm-generic/unistd.h)
_REFUSED = {
    "x86_64": (
        0xC000003E,
        (
            *(
                41,
                42,
                43,
                44,
                46,
                49,
                50,
                53,
                288,
            ),  # socket, connect, accept, sendto, sendmsg, bind, listen, socketpair, accept4
            *(
                56,
                57,
                58,
                59,
                62,
                200,
                234,
                322,
                424,
                434,
                435,
                438,
            ),  # clone, fork, vfork, execve, kill, tkill, tgkill, execveat,
            # pidfd_send_signal, pidfd_open, clone3, openat2, pidfd_getfd
            *(
                101,
                310,
                311,
                298,
                321,
                323,
                425,
                426,
                427,
            ),  # ptrace, process_vm_*, perf_event_open, bpf, userfaultfd, io_uring_*
            *(76, 77, 82, 83, 84, 85, 86, 87, 88, 90, 91, 92, 93, 94, 133, 132, 235, 280),  # truncate .. utimensat
            *(257 + 1, 259, 260, 261, 263, 264, 265, 266, 268, 316, 452),  # mkdirat .. fchmodat, renameat2, fchmodat2
            *(155, 161, 165, 166, 272, 308, 428, 429, 430, 442, 250, 248, 249),  # roots, mounts, namespaces, keys
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (
            *(
                198,
                199,
                200,
                201,
                202,
                203,
                206,
                211,
                242,
            ),  # socket, socketpair, bind, listen, accept, connect, sendto, sendmsg, accept4
            *(
                220,
                221,
                129,
                130,
                131,
                281,
                424,
                434,
                435,
                438,
            ),  # clone, execve, kill, tkill, tgkill, execveat, pidfd_*, clone3
            *(117, 270, 271, 241, 280, 282, 425, 426, 427),
            *(33, 34, 35, 36, 37, 38, 45, 46, 52, 53, 54, 55, 88, 276, 452),
            *(39, 40, 41, 51, 97, 268, 428, 429, 430, 442, 217, 218, 219),
        ),
    ),
}


#: `open` and `openat`, with the argument that holds the flags: allowed for reading only
_OPENING = {"x86_64": ((2, 1), (257, 2)), "aarch64": ((56, 2),)}


def give_up_privileges() -> None:
    """Become nobody where this process is root, and never gain a privilege again. Raises OSError if that fails."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0)


def limit(cpu_seconds: int, address_space_bytes: int, parent: int) -> None:
    """Bound what this process can use, refuse what it never needs, and let it die with its parent."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0)
    if os.getppid() != parent:
        os._exit(1)
    for name, value in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, address_space_bytes),
        (resource.RLIMIT_NOFILE, 128),  # a request holds 32 files, and mmap keeps a second descriptor of each
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        _, hard = resource.getrlimit(name)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (bound, bound))
    _refuse_system_calls()


def _refuse_system_calls() -> None:
    """A seccomp filter that answers EPERM; a kernel without seccomp leaves the other limits."""
    machine = platform.machine()
    if machine not in _REFUSED:
        return
    audit, numbers = _REFUSED[machine]
    load, equal, at_least, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    program = [
        (load, 0, 0, 4),
        (equal, 1, 0, audit),
        (give, 0, 0, _RET_KILL),
        (load, 0, 0, 0),
        (at_least, 0, 1, 0x40000000),  # the x32 numbers would be a way around the list
        (give, 0, 0, _RET_KILL),
    ]
    for number in numbers:
        program += [(equal, 0, 1, number), (give, 0, 0, _RET_ERRNO | _EPERM)]
    for number, argument in _OPENING[machine]:
        program += [
            (load, 0, 0, 0),
            (equal, 0, 4, number),
            (load, 0, 0, 16 + 8 * argument),
            (any_bit, 0, 1, os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC),
            (give, 0, 0, _RET_ERRNO | _EPERM),
            (give, 0, 0, _RET_ALLOW),
        ]
    program.append((give, 0, 0, _RET_ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in program))
    filter_program = ctypes.create_string_buffer(struct.pack("@HxxxxxxQ", len(program), ctypes.addressof(code)))
    try:
        _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(filter_program))
    except OSError:
        return


def _prctl(option: int, value: int, pointer: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_ulong(number) for number in (value, pointer, 0, 0)]
    if libc.prctl(option, *arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
