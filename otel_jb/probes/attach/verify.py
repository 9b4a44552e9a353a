# SPDX-License-Identifier: Apache-2.0
"""Checks before a probe goes in that the code equals what was analysed, in the file and in the process's memory.

A probe on other code than that may lie inside an instruction, and the target then computes wrong results. A file may be written over in place
with its old size and times; a process may write its own text.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from otel_jb.arch.machine import here
from otel_jb.host import procfs
from otel_jb.model.errors import AgentError, AttachError
from otel_jb.model.plan import Probe

_REMEDY = "Restart the process, if its file was replaced; code that a program changes itself cannot be probed."


class UnverifiedError(AttachError):
    """The code differs from what was analysed."""


def in_file(descriptor: int, probes: Iterable[Probe]) -> None:
    """Compare the file with what was analysed. Raises UnverifiedError."""
    for probe in probes:
        for offset, expected in probe.code:
            if os.pread(descriptor, len(expected), offset) != expected:
                raise UnverifiedError(f"the file of {probe.function} was changed since it was analysed", _REMEDY)


def in_memory(
    pid: int, descriptor: int, probes: Iterable[Probe], linked: Collection[int], present: Collection[int]
) -> None:
    """Compare the process's memory with what was analysed. At the file offsets `linked` there may be probes already; at those of `present`
    there must be, because the kernel puts them in when the file is mapped, so only the process itself can have written over them.

    A process that has ended has nothing to compare. Raises UnverifiedError.
    """
    status = os.fstat(descriptor)
    try:
        mapped = mappings(pid, status)
        memory = os.open(f"{procfs.PROC}/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except (AgentError, FileNotFoundError, ProcessLookupError):
        return
    except OSError as error:
        raise UnverifiedError(f"the memory of process {pid} cannot be read: {error.strerror}") from error
    try:
        for probe in probes:
            for offset, expected in probe.code:
                holding = [each for each in mapped if each.offset <= offset < each.offset + each.end - each.start]
                if (
                    mapped and not holding and offset < status.st_size
                ):  # beyond it, the kernel refuses the probe and says why
                    raise UnverifiedError(
                        f"process {pid} has put other memory in the place of {probe.function}", _REMEDY
                    )
                # The kernel puts no probe into writable text, and does not say so.
                if any("w" in each.permissions for each in holding):
                    raise UnverifiedError(f"process {pid} may write the code of {probe.function}", _REMEDY)
                for mapping in holding:
                    found = _read(memory, mapping.start + offset - mapping.offset, len(expected))
                    if found is not None and _is_foreign(found, expected, offset, linked, present):
                        raise UnverifiedError(f"process {pid} has changed the code of {probe.function}", _REMEDY)
    finally:
        os.close(memory)


def mappings(pid: int, status: os.stat_result) -> list[procfs.Mapping]:
    """Where the process has code of the file. On some file systems /proc calls the device otherwise than stat() does."""
    found = procfs.maps(pid, code=True, inode=status.st_ino)
    return [each for each in found if each.device_number == status.st_dev] or found


def _read(memory: int, address: int, size: int) -> bytes | None:
    try:
        return os.pread(memory, size, address)
    except OSError:  # it ended, or has unmapped the file
        return None


def _is_foreign(found: bytes, expected: bytes, offset: int, linked: Collection[int], present: Collection[int]) -> bool:
    """Whether something other than a probe changed the code, or took a probe out that must be there."""
    machine = here()
    trap, nop = machine.breakpoint, machine.replaced_nop
    size = len(trap)
    without = bytearray(found)
    for site in linked:
        at = site - offset
        if not 0 <= at <= len(found) - size:
            continue
        # While the kernel puts a call in the place of a nop, its first byte is a breakpoint.
        is_nop = nop != b"" and expected[at : at + len(nop)] == nop
        if found[at : at + size] == trap or (is_nop and found[at : at + 1] == machine.call):
            end = at + (len(nop) if is_nop else size)
            without[at:end] = expected[at:end]
        elif site in present:
            return True
    if without == expected[: len(found)]:
        return False
    for at, byte in enumerate(without):
        start = at - at % size
        # A breakpoint is another tool's probe, or a debugger's.
        if byte != expected[at] and found[start : start + size] != trap:
            return True
    return False
