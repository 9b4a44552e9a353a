# SPDX-License-Identifier: Apache-2.0
"""What this kernel's BPF can do, found out by asking it."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from otel_jb.host.privileges import holds
from otel_jb.model.errors import UnsupportedError
from otel_jb.probes.bpf import (
    ATTACH_UPROBE_MULTI,
    ATTACH_UPROBE_SESSION,
    LINK_CREATE,
    MAP_CREATE,
    PROG_TYPE_KPROBE,
    BpfError,
    bpf,
    load,
)

_ARRAY_MAP = 2

#: What attaching (BPF, PERFMON) and reading other users' processes and files (SYS_PTRACE, DAC_READ_SEARCH) need where the kernel has
#: multi links, as from Linux 6.6.
CAPABILITIES = ("CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH")
#: Without multi links a probe is a perf event, for which the kernel asks this one too (since the fix of CVE-2025-38466).
OLD_KERNELS = "CAP_SYS_ADMIN"
#: Lets the agent define probes in tracefs instead; a user who may write there needs neither (docs/adr/0107).
TRACEFS = "CAP_DAC_OVERRIDE"
#: Like CAP_SYS_ADMIN, opens the deleted or replaced files of a process; kept if it was granted (proc_pid(5), map_files).
DELETED_FILES = "CAP_CHECKPOINT_RESTORE"
MULTI_LINKS_SINCE = (6, 6)


def kept_capabilities(links: str) -> tuple[str, ...]:
    """Those that the agent keeps of what it was started with; `links` is how probes are to be attached (`auto`, `multi`, `perf`)."""
    if links != "perf" and multi_link_error() == 0:
        return (*CAPABILITIES, DELETED_FILES)
    return (*CAPABILITIES, DELETED_FILES, OLD_KERNELS if holds(OLD_KERNELS) else TRACEFS)


def bpf_error() -> int:
    """Error number of making a BPF map; 0: it works."""
    return _error(MAP_CREATE, struct.pack("=IIII", _ARRAY_MAP, 4, 8, 1))


def multi_link_error() -> int:
    """0 where the kernel has uprobe multi links that can be used (6.6 and later), else the error number that tells why not.

    Loading a program for them proves nothing: kernels before 6.6 load it and refuse the link. So a link to a directory is
    asked for: a kernel that knows the kind says EBADF, an older one EINVAL. The first ones compared the pid with the thread's
    instead of the process's, so that calls on other threads were lost; since that was mended (6.10 and stable kernels,
    46ba0e49b642) a pid of -1 is EINVAL. libbpf asks the same two questions. EOPNOTSUPP here means: too early a kind.
    """
    program = _empty_program(ATTACH_UPROBE_MULTI)
    if program < 0:
        return -program
    try:
        known = _link_to_directory(program, 0)
        if known != errno.EBADF:
            return known or errno.EINVAL
        return 0 if _link_to_directory(program, -1) == errno.EINVAL else errno.EOPNOTSUPP
    finally:
        os.close(program)


def has_sessions() -> bool:
    """Whether the kernel has session links (6.13), which let a probe leave its return half out."""
    program = _empty_program(ATTACH_UPROBE_SESSION)
    if program < 0:
        return False
    try:
        return _link_to_directory(program, 0, ATTACH_UPROBE_SESSION) == errno.EBADF
    finally:
        os.close(program)


def _empty_program(attach_type: int) -> int:
    """A program that does nothing, or the negative error number."""
    code = ctypes.create_string_buffer(struct.pack("=QQ", 0xB7, 0x95))  # r0 = 0; exit
    license_text = ctypes.create_string_buffer(b"GPL")
    head = struct.pack(
        "=IIQQIIQII", PROG_TYPE_KPROBE, 2, ctypes.addressof(code), ctypes.addressof(license_text), *[0] * 5
    )
    try:
        return load(head.ljust(68, b"\0") + struct.pack("=I", attach_type))
    except BpfError as error:
        return -(error.errno or errno.EINVAL)


def _link_to_directory(program: int, pid: int, kind: int = ATTACH_UPROBE_MULTI) -> int:
    """Error number of a failed uprobe multi link."""
    path = ctypes.create_string_buffer(b"/")
    offset = ctypes.c_uint64(0)
    attributes = struct.pack("=IIII", program, 0, kind, 0) + struct.pack(
        "=QQQQIIi", ctypes.addressof(path), ctypes.addressof(offset), 0, 0, 1, 0, pid
    )
    return _error(LINK_CREATE, attributes)


def _error(command: int, attributes: bytes) -> int:
    try:
        os.close(bpf(command, attributes))
    except BpfError as error:
        return error.errno or errno.EINVAL
    except UnsupportedError:
        return errno.ENOSYS
    return 0
