# SPDX-License-Identifier: Apache-2.0
"""Debuggers that are attached to a process. A breakpoint that one sets on a probed instruction would never stop the process."""

from __future__ import annotations

from otel_jb.host import procfs
from otel_jb.model.dataclass import dataclass

#: The kernel's short names of programs that set breakpoints. Tracers that set none, such as strace, get on with probes.
NAMES = frozenset({"gdb", "gdbserver", "lldb", "lldb-server", "dlv", "rr", "ltrace", "debugserver"})


@dataclass(frozen=True, slots=True)
class Debugger:
    """A process that traces another one and sets breakpoints in it."""

    name: str  #: the kernel's short name
    pid: int

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def of(pid: int) -> Debugger | None:
    """The debugger of a process; None if there is none, or no such process."""
    tracer = int(procfs.status_field(pid, b"TracerPid") or 0)
    status = procfs.read_stat(tracer) if tracer else None
    # Versions in names, as lldb-14, and short names that end at 15 bytes, as lldb-server-14.
    if status is None or not any(status.comm == name or status.comm.startswith(f"{name}-") for name in NAMES):
        return None
    return Debugger(status.comm, tracer)
