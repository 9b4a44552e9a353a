# SPDX-License-Identifier: Apache-2.0
"""Seccomp filters as allow-lists: every system call that no rule names is refused.

A deny-list becomes outdated with each kernel that adds a call; an allow-list does not.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
from collections.abc import Sequence

from otel_jb.arch import system_calls
from otel_jb.arch.machine import named
from otel_jb.host.privileges import PR_SET_SECCOMP, prctl
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import UnsupportedError

_MODE_FILTER = 2
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000  #: SECCOMP_RET_* of linux/seccomp.h
#: Classic BPF (linux/bpf_common.h): load a word, jump if equal, at least, or any bit; and with a constant; return.
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  #: offsets in struct seccomp_data

REMEDY = (
    "Files that targets control are read only behind a seccomp filter. Use a kernel with CONFIG_SECCOMP_FILTER=y (every distribution's "
    "has it), and a container profile that allows prctl(PR_SET_SECCOMP)."
)


@dataclass(frozen=True, slots=True)
class Allow:
    """Allows one system call, by name; with an argument (0 to 5), only if that argument, masked, has the value.

    Of the argument its low 32 bits are compared: only arguments of which the kernel reads no more may be named.
    """

    name: str
    argument: int | None = None
    mask: int = 0xFFFFFFFF
    value: int = 0


def allowing(*names: str) -> tuple[Allow, ...]:
    """Rules that allow these calls with any arguments."""
    return tuple(Allow(name) for name in names)


def program(rules: Sequence[Allow], machine: str) -> bytes:
    """The filter as classic BPF. Several rules of one name allow what any of them allows. Raises KeyError for an unknown name."""
    numbers, absent = system_calls.NUMBERS[machine], system_calls.ABSENT[machine]
    steps = _preamble(machine)
    for rule in rules:
        if rule.name in absent:
            continue
        number = numbers[rule.name]
        if rule.argument is None:
            steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
        else:
            steps += [
                (_EQUAL, 0, 5, number),
                (_LOAD, 0, 0, _ARGUMENTS + 8 * rule.argument),
                (_AND, 0, 0, rule.mask),
                (_EQUAL, 0, 1, rule.value),
                (_RETURN, 0, 0, _ALLOW),
                (_LOAD, 0, 0, _NUMBER),
            ]
    # A libc that tries clone3 falls back to clone, whose flags a filter can see, only where the kernel seems not to know it.
    steps += [(_EQUAL, 0, 1, numbers["clone3"]), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    steps.append((_RETURN, 0, 0, _ERRNO | errno.EPERM))
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


def _preamble(machine: str) -> list[tuple[int, int, int, int]]:
    return [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 1, 0, named(machine).audit),
        (_RETURN, 0, 0, _KILL_PROCESS),  # 32-bit calls have other numbers
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, system_calls.X32),
        (_RETURN, 0, 0, _KILL_PROCESS),
    ]


def install(rules: Sequence[Allow]) -> None:
    """Refuse everything but this, in this thread and what it starts, for good; needs no_new_privs or CAP_SYS_ADMIN.

    Raises UnsupportedError if the kernel rejects the filter; nothing that needs one may continue then.
    """
    _install(program(rules, _machine()))


def install_without_network() -> None:
    """Refuse sockets of any family but AF_UNIX, and the I/O rings that could make them, in this thread and what it starts, for good.

    Raises UnsupportedError.
    """
    machine = _machine()
    numbers = system_calls.NUMBERS[machine]
    refused = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    steps = [
        *_preamble(machine),
        (_EQUAL, 0, 1, numbers["io_uring_setup"]),
        refused,
        (_EQUAL, 0, 3, numbers["socket"]),
        (_LOAD, 0, 0, _ARGUMENTS),
        (_EQUAL, 1, 0, socket.AF_UNIX),
        refused,
        (_RETURN, 0, 0, _ALLOW),
    ]
    _install(b"".join(struct.pack("<HBBI", *step) for step in steps))


def _machine() -> str:
    machine = platform.machine()
    if machine not in system_calls.NUMBERS:
        raise UnsupportedError(f"no seccomp filter is known for {machine}", REMEDY)
    return machine


def _install(program: bytes) -> None:
    code = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("@HxxxxxxQ", (len(code) - 1) // 8, ctypes.addressof(code)))
    try:
        prctl(PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(header))
    except OSError as error:
        raise UnsupportedError(
            f"the kernel refuses a seccomp filter: {os.strerror(error.errno or 0)}", REMEDY
        ) from error


def refusal() -> str:
    """Why the kernel would reject a filter; empty if it would accept one. Installs nothing."""
    if platform.machine() not in system_calls.NUMBERS:
        return f"no seccomp filter is known for {platform.machine()}"
    try:
        prctl(PR_SET_SECCOMP, _MODE_FILTER, 0)  # without a program: EFAULT where filters are known (seccomp(2))
    except OSError as error:
        return "" if error.errno == errno.EFAULT else os.strerror(error.errno or 0)
    return ""
