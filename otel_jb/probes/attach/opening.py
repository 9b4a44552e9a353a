# SPDX-License-Identifier: Apache-2.0
"""Opens the file that was analysed, whatever has its name by now. Probes go in by this descriptor, never by a name."""

from __future__ import annotations

import os

from otel_jb.host import procfs
from otel_jb.model.errors import AgentError
from otel_jb.model.plan import Probe
from otel_jb.planner.findings import open_mapped
from otel_jb.planner.mapped import open_foreign
from otel_jb.probes.attach.verify import UnverifiedError


def open_analysed(probe: Probe, pid: int) -> int:
    """The file that was analysed: what its name leads to, or what the process has mapped if the name leads elsewhere by now.

    Raises UnverifiedError, and what opening a file raises.
    """
    try:
        file = open_foreign(probe.file)
    except AgentError:
        mapped = _mapped(probe, pid)
        if mapped is None:
            raise
        return mapped
    if probe.identity is None or _identity(file) == probe.identity:
        return file
    os.close(file)
    mapped = _mapped(probe, pid)
    if mapped is None:
        raise UnverifiedError(f"the file of {probe.function} was replaced since it was analysed")
    return mapped


def _mapped(probe: Probe, pid: int) -> int | None:
    """The file that was analysed, if the process has it mapped and it can be opened as such."""
    process = procfs.look(pid) if probe.identity is not None else None
    if process is None:
        return None
    try:
        for each in procfs.mapped_files(pid):
            if probe.identity is not None and each.inode == probe.identity[1]:
                file = open_mapped(process, each)
                if _identity(file) == probe.identity:
                    return file
                os.close(file)
    except AgentError:
        pass
    return None


def _identity(file: int) -> tuple[int, int]:
    status = os.fstat(file)
    return status.st_dev, status.st_ino
