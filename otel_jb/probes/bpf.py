# SPDX-License-Identifier: Apache-2.0
"""The system calls bpf(2) and perf_event_open(2). Nothing else in the agent makes them."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Sequence

from otel_jb.arch.machine import here

MAP_CREATE = 0
MAP_LOOKUP_ELEM, MAP_UPDATE_ELEM, MAP_DELETE_ELEM, MAP_GET_NEXT_KEY = 1, 2, 3, 4
PROG_LOAD = 5
PROG_TEST_RUN = 10
OBJ_GET_INFO_BY_FD = 15
RAW_TRACEPOINT_OPEN = 17
LINK_CREATE = 28
PROG_TYPE_KPROBE, PROG_TYPE_RAW_TRACEPOINT = 2, 17
#: enum bpf_attach_type
ATTACH_PERF_EVENT = 41
ATTACH_UPROBE_MULTI = 48
ATTACH_UPROBE_SESSION = 57

_ATTEMPTS = 20  #: to load a program

_libc = ctypes.CDLL(None, use_errno=True)


class BpfError(OSError):
    """The kernel refused; `errno` says why."""


def bpf(command: int, attributes: bytes) -> int:
    """Make the system call with a `union bpf_attr`; returns its descriptor, or 0. Raises BpfError."""
    buffer = ctypes.create_string_buffer(attributes, max(len(attributes), 128))
    return _call("bpf", command, buffer, len(buffer))


def load(attributes: bytes) -> int:
    """Load a program (BPF_PROG_LOAD); returns its descriptor. Raises BpfError.

    The kernel gives up verifying with EAGAIN when a signal is pending (kernel/bpf/verifier.c). So signals wait until the program is loaded, and those
    that cannot wait, as a debugger's or profiler's, cost another attempt.
    """
    held = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        for _ in range(_ATTEMPTS - 1):
            try:
                return bpf(PROG_LOAD, attributes)
            except BpfError as error:
                if error.errno != errno.EAGAIN:
                    raise
        return bpf(PROG_LOAD, attributes)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def put_program(array: int, place: int, program: int) -> None:
    """Make a program the one that tail calls of this place of a program array lead to. Raises BpfError."""
    key, value = ctypes.c_uint32(place), ctypes.c_uint32(program)
    bpf(MAP_UPDATE_ELEM, struct.pack("=I4xQQQ", array, ctypes.addressof(key), ctypes.addressof(value), 0))


def run_program(program: int, arguments: Sequence[int]) -> int:
    """Run a raw tracepoint program once with these arguments (64 bits each) and return its result. Raises BpfError."""
    context = struct.pack(f"={len(arguments)}Q", *arguments)
    held = ctypes.create_string_buffer(context, len(context))
    attributes = ctypes.create_string_buffer(
        struct.pack("=IIIIQQIIIIQQ", program, 0, 0, 0, 0, 0, 0, 0, len(context), 0, ctypes.addressof(held), 0), 128
    )
    _call("bpf", PROG_TEST_RUN, attributes, len(attributes))
    (returned,) = struct.unpack_from("=I", attributes, 4)
    return int(returned)


def open_raw_tracepoint(program: int, name: str) -> int:
    """Attach a raw tracepoint program; the descriptor keeps it attached. Raises BpfError."""
    text = ctypes.create_string_buffer(name.encode())
    return bpf(RAW_TRACEPOINT_OPEN, struct.pack("=QII", ctypes.addressof(text), program, 0))


def perf_event_open(attributes: bytes, pid: int, cpu: int, flags: int) -> int:
    """The descriptor of a perf event. Raises BpfError."""
    return _call("perf_event_open", ctypes.create_string_buffer(attributes, len(attributes)), pid, cpu, -1, flags)


def membarrier(command: int) -> bool:
    """Request a memory barrier; False if the kernel refuses."""
    try:
        return _call("membarrier", command, 0, 0) == 0
    except BpfError:
        return False


def _call(name: str, *arguments: object) -> int:
    result: int = _libc.syscall(here().system_calls[name], *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise BpfError(code, os.strerror(code))
    return result
