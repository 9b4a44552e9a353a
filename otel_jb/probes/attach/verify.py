# SPDX-License-Identifier: Apache-2.0
"""Checks before a probe goes in that the code is what was analysed, in the file and in the process's memory.

A probe on other code than that may lie inside an instruction, and the target then computes wrong results. A file may be written over in place
with its old size and times; a process may write its own text.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator

from otel_jb.arch.machine import here
from otel_jb.host import procfs
from otel_jb.model.errors import AgentError, AttachError
from otel_jb.model.plan import Probe

_REMEDY = "Restart the process, if its file was replaced; code that a program changes itself cannot be probed."
_LONGEST = 5  #: bytes that the kernel may change at a probe: a breakpoint, or a call in the place of a 5-byte nop


class UnverifiedError(AttachError):
    """The code differs from what was analysed."""


def in_file(descriptor: int, probes: Iterable[Probe]) -> None:
    """Compare the file with what was analysed. Raises UnverifiedError."""
    for probe in probes:
        for offset, expected in probe.code:
            if os.pread(descriptor, len(expected), offset) != expected:
                raise UnverifiedError(f"the file of {probe.function} was changed since it was analysed", _REMEDY)


def in_memory(pid: int, descriptor: int, probes: Iterable[Probe], linked: Collection[int]) -> None:
    """Compare the process's memory with what was analysed; at the file offsets `linked` there are probes already.

    A process that has ended has nothing to compare. Raises UnverifiedError.
    """
    status = os.fstat(descriptor)
    try:
        mappings = [each for each in procfs.maps(pid) if each.executable and each.inode == status.st_ino]
        memory = os.open(f"{procfs.PROC}/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except (AgentError, FileNotFoundError, ProcessLookupError):
        return
    except OSError as error:
        raise UnverifiedError(f"the memory of process {pid} cannot be read: {error.strerror}") from error
    try:
        for probe in probes:
            for offset, expected in probe.code:
                for mapping in mappings:
                    if not mapping.offset <= offset < mapping.offset + mapping.end - mapping.start:
                        continue
                    found = _read(memory, mapping.start + offset - mapping.offset, len(expected))
                    if found is not None and any(_foreign(found, expected, offset, linked)):
                        raise UnverifiedError(f"process {pid} has changed the code of {probe.function}", _REMEDY)
    finally:
        os.close(memory)


def _read(memory: int, address: int, size: int) -> bytes | None:
    try:
        return os.pread(memory, size, address)
    except OSError:  # it ended, or has unmapped the file
        return None


def _foreign(found: bytes, expected: bytes, offset: int, linked: Collection[int]) -> Iterator[int]:
    """Positions at which something other than a probe changed the code."""
    if found == expected[: len(found)]:
        return
    ours = {site + at for site in linked for at in range(_LONGEST)}
    trap = here().breakpoint
    for at, byte in enumerate(found):
        if byte == expected[at] or offset + at in ours:
            continue
        start = at - at % len(trap)
        if found[start : start + len(trap)] != trap:
            yield at
