# SPDX-License-Identifier: Apache-2.0
"""Attaching by hand: BPF_LINK_CREATE for uprobe-multi links (Linux 6.6) and for perf events with cookies (5.15).

BCC attaches a probe as a perf event without a cookie and needs a BPF object in the process; with links of its own the agent
needs neither, one program serves every probe, and closing a descriptor detaches.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import threading
from collections.abc import Sequence

from otel_jb.arch.machine import here
from otel_jb.model.dataclass import dataclass
from otel_jb.probes.attach import tracefs
from otel_jb.probes.bpf import (
    ATTACH_PERF_EVENT,
    ATTACH_UPROBE_MULTI,
    ATTACH_UPROBE_SESSION,
    LINK_CREATE,
    BpfError,
    bpf,
    perf_event_open,
)

_BPF_F_UPROBE_MULTI_RETURN = 1
_CLOEXEC = 8  #: PERF_FLAG_FD_CLOEXEC
REMEDY = "Run `otel-jb doctor`; it checks every requirement and names the remedy."
_REFUSED = (errno.EPERM, errno.EACCES)
_SEMAPHORE_SHIFT = 32  #: format/ref_ctr_offset of the uprobe PMU is config:32-63
_PMU = "/sys/bus/event_source/devices/uprobe"
#: The frame is the place of the return address on x86-64, the CFA itself on AArch64, which keeps it in a register.
FRAME_BELOW_CFA = -here().pushed


@dataclass(frozen=True, slots=True)
class Point:
    """One place to attach to: a file offset, its cookie, and whether it is a return probe there."""

    offset: int
    cookie: int
    is_return: bool = False
    semaphore: int = 0  #: file offset of a counter to raise meanwhile; 0: none


def link_multi(program: int, path: str, points: Sequence[Point], pid: int = 0, *, session: bool = False) -> int:
    """One link for all points (all entry-like or all return probes); pid 0 means every process. Returns its descriptor.

    `session` (Linux 6.13): the program runs at entry and return, and says at the entry whether the return is to be seen.
    """
    count = len(points)
    name = ctypes.create_string_buffer(os.fsencode(path))
    offsets = (ctypes.c_uint64 * count)(*(point.offset for point in points))
    cookies = (ctypes.c_uint64 * count)(*(point.cookie for point in points))
    counters = (ctypes.c_uint64 * count)(*(point.semaphore for point in points))
    raised = ctypes.addressof(counters) if any(counters) else 0
    flags = _BPF_F_UPROBE_MULTI_RETURN if points[0].is_return and not session else 0
    kind = ATTACH_UPROBE_SESSION if session else ATTACH_UPROBE_MULTI
    attributes = struct.pack("=IIII", program, 0, kind, 0) + struct.pack(
        "=QQQQIII",
        ctypes.addressof(name),
        ctypes.addressof(offsets),
        raised,
        ctypes.addressof(cookies),
        count,
        flags,
        pid,
    )
    return bpf(LINK_CREATE, attributes)


def link_perf(program: int, path: str, point: Point, pid: int = -1) -> tuple[int, int]:
    """A perf uprobe event with the program and its cookie; returns the descriptors (link, event). pid -1: every process.

    Without CAP_SYS_ADMIN the event is one that tracefs defines, where this process may write there.
    """
    cpu = -1 if pid > 0 else 0
    name = ctypes.create_string_buffer(
        os.fsencode(path)
    )  # the event has its address, so it lives until the call is over
    try:
        event = perf_event_open(_of_pmu(name, point), pid, cpu, _CLOEXEC)
    except BpfError as error:
        if error.errno not in _REFUSED or tracefs.events_file() is None:
            raise
        event = _by_tracefs(path, point, pid, cpu)
    try:
        attributes_link = struct.pack("=IIII", program, event, ATTACH_PERF_EVENT, 0) + struct.pack("=Q", point.cookie)
        return bpf(LINK_CREATE, attributes_link), event
    except BpfError:
        close([event])
        raise


def _of_pmu(path: ctypes.Array[ctypes.c_char], point: Point) -> bytes:
    """A perf_event_attr: type, size, config, sample_period; uprobe_path and probe_offset are config1 and config2."""
    pmu = int(_of_kernel(f"{_PMU}/type"))
    config = (1 << _return_bit() if point.is_return else 0) | point.semaphore << _SEMAPHORE_SHIFT
    attributes = bytearray(128)
    struct.pack_into("=IIQQQQ", attributes, 0, pmu, 128, config, 1, 0, 0)
    struct.pack_into("=QQ", attributes, 56, ctypes.addressof(path), point.offset)
    return bytes(attributes)


def _by_tracefs(path: str, point: Point, pid: int, cpu: int) -> int:
    try:
        name, number = tracefs.define(path, point.offset, is_return=point.is_return, semaphore=point.semaphore)
    except (OSError, ValueError) as error:
        code = error.errno if isinstance(error, OSError) and error.errno else errno.EINVAL
        raise BpfError(code, os.strerror(code)) from error
    attributes = struct.pack("=IIQQQQ", tracefs.PERF_TYPE_TRACEPOINT, 128, number, 1, 0, 0).ljust(128, b"\0")
    try:
        event = perf_event_open(attributes, pid, cpu, _CLOEXEC)
    except BpfError:
        tracefs.remove(name)
        raise
    tracefs.keep(event, name)
    return event


def _return_bit() -> int:
    """The config bit that makes a uprobe event a return probe (format/retprobe says `config:0`)."""
    return int(_of_kernel(f"{_PMU}/format/retprobe").removeprefix("config:"))


def _of_kernel(path: str) -> str:
    """What the kernel says in a file of its own. Raises BpfError: to read it takes a descriptor, as an event and a link do."""
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError as error:
        code = error.errno or errno.EIO
        raise BpfError(code, os.strerror(code)) from error


def attach(kind: str, program: int, path: str, points: Sequence[Point], pid: int) -> list[int]:
    """Attach the points to one process (pid 0: all); returns the descriptors that keep them attached.

    Raises BpfError with nothing left attached.
    """
    groups = ([p for p in points if not p.is_return], [p for p in points if p.is_return])
    opened: list[int] = []
    try:
        for group in groups:
            if not group:
                continue
            if kind == "multi":
                opened.append(link_multi(program, path, group, pid))
            else:
                for point in group:
                    opened.extend(link_perf(program, path, point, pid or -1))
    except BpfError:
        close(opened)
        raise
    return opened


def close(descriptors: Sequence[int]) -> None:
    """Detach. Each close waits for a grace period (about 24 ms), so links are closed in parallel."""
    defined = tracefs.taken(descriptors)
    if len(descriptors) < 3:
        _close_in_turn(descriptors)
    else:
        step = -(-len(descriptors) // 32)
        parts = [descriptors[at : at + step] for at in range(0, len(descriptors), step)]
        threads = [threading.Thread(target=_close_in_turn, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name in defined:
        tracefs.remove(name)


def _close_in_turn(descriptors: Sequence[int]) -> None:
    for fd in descriptors:
        os.close(fd)


def explain(error: BpfError) -> str:
    """Why the kernel refused a probe, in words."""
    return {
        errno.EPERM: "not permitted (it takes CAP_BPF and CAP_PERFMON; perf events, where there are no multi links, CAP_SYS_ADMIN or tracefs)",
        errno.EACCES: "not permitted (it takes CAP_BPF and CAP_PERFMON; perf events, where there are no multi links, CAP_SYS_ADMIN or tracefs)",
        errno.ENOENT: "the file is gone",
        errno.ESRCH: "the process ended",
        errno.EINVAL: "the kernel refuses this instruction or offset",
        errno.EOPNOTSUPP: "the kernel cannot probe this instruction",
        errno.ENOMEM: "out of memory",
    }.get(error.errno or 0, os.strerror(error.errno or 0))
