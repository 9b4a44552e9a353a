# SPDX-License-Identifier: Apache-2.0
"""Compiles what is read of the scheduler's account of the running thread into BPF instructions (`HOLE_SHARE`, `HOLE_UPDATED` of bpf/otel_jb.bpf.c).

The kernel keeps, for the thread that runs, how long it has run as of `exec_start`, the last time that anybody looked. Both are written
together, so that `exec_start - sum_exec_runtime`, the time in which the thread did not run, stands still while it runs (kernel/sched/fair.c,
update_curr), whatever its scheduling class. `exec_start` is by the clock of one processor, which stands still in interrupts and while a
hypervisor runs something else; `rq.clock - rq.clock_task` puts it right (kernel/sched/core.c, update_rq_clock_task). `run_delay` and `nvcsw`
change only when the thread is put on a processor or taken off it (kernel/sched/stats.h, sched_info_arrive).
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct

from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import UnsupportedError
from otel_jb.probes import abi, kernel_types
from otel_jb.probes.bpf import PROG_TYPE_KPROBE, BpfError, load
from otel_jb.probes.programs import instructions as bpf
from otel_jb.probes.programs.instructions import Instruction
from otel_jb.probes.programs.reading import LOWEST

_GET_CURRENT_TASK_BTF = 158  #: Linux 5.11; its result can be loaded from without a call of a helper
_WORDS, _TASK = 1, 0
_UPDATED, _KEPT = 2, 3  #: words behind the `struct share`: when the account was last written, and the task
_WANTED = {
    "task_struct": ("se", "sched_info", "nvcsw"),
    "sched_entity": ("exec_start", "sum_exec_runtime", "cfs_rq"),
    "sched_info": ("run_delay",),
    "cfs_rq": ("rq",),
    "rq": ("clock", "clock_task"),
}


@dataclass(frozen=True, slots=True)
class ShareCode:
    """Byte offsets in the running kernel's structures; those without a name of another one are in `task_struct`."""

    exec_start: int
    sum_exec_runtime: int
    cfs_rq: int
    run_delay: int
    nvcsw: int
    rq: int  #: in cfs_rq
    clock: int  #: in rq
    clock_task: int  #: in rq

    def account(self) -> list[Instruction]:
        """Writes a `struct share` of this moment into the words that r1 points to, and what `updated` needs behind it."""
        return [
            Instruction(bpf.STORE, 10, _WORDS, LOWEST),
            Instruction(bpf.CALL, immediate=_GET_CURRENT_TASK_BTF),
            Instruction(bpf.LOAD, _WORDS, 10, LOWEST),
            Instruction(bpf.LOAD, 2, _TASK, self.exec_start),
            Instruction(bpf.LOAD, 3, _TASK, self.sum_exec_runtime),
            Instruction(bpf.STORE, _WORDS, 2, 8 * _UPDATED),
            Instruction(bpf.SUB, 2, 3),
            Instruction(bpf.LOAD, 3, _TASK, self.cfs_rq),
            Instruction(bpf.LOAD, 3, 3, self.rq),
            Instruction(bpf.LOAD, 4, 3, self.clock),
            Instruction(bpf.LOAD, 5, 3, self.clock_task),
            Instruction(bpf.ADD, 2, 4),
            Instruction(bpf.SUB, 2, 5),
            Instruction(bpf.STORE, _WORDS, 2, 8 * abi.SHARE_AWAY),
            Instruction(bpf.LOAD, 2, _TASK, self.run_delay),
            Instruction(bpf.LOAD, 3, _TASK, self.nvcsw),
            Instruction(bpf.by_value(bpf.LEFT), 2, immediate=abi.SHARE_SLEPT_BITS),
            Instruction(bpf.by_value(bpf.AND), 3, immediate=(1 << abi.SHARE_SLEPT_BITS) - 1),
            Instruction(bpf.ADD, 2, 3),
            Instruction(bpf.STORE, _WORDS, 2, 8 * abi.SHARE_WAITED),
            Instruction(bpf.STORE, _WORDS, _TASK, 8 * _KEPT),
        ]

    def updated(self) -> list[Instruction]:
        """r0 = when the account was last written; r1 points to the words again."""
        return [Instruction(bpf.LOAD, 1, 1, 8 * _KEPT), Instruction(bpf.LOAD, 0, 1, self.exec_start)]


NOTHING = (Instruction(bpf.by_value(bpf.MOVE), 0),)  #: in the place of either where the kernel does not tell


@functools.cache
def here() -> ShareCode | None:
    """Of the running kernel; None where its types are not known, or it does not let a program load from them."""
    found = kernel_types.offsets(_WANTED)
    if len(found) != sum(map(len, _WANTED.values())):
        return None
    entity, info = found["task_struct", "se"], found["task_struct", "sched_info"]
    code = ShareCode(
        exec_start=entity + found["sched_entity", "exec_start"],
        sum_exec_runtime=entity + found["sched_entity", "sum_exec_runtime"],
        cfs_rq=entity + found["sched_entity", "cfs_rq"],
        run_delay=info + found["sched_info", "run_delay"],
        nvcsw=found["task_struct", "nvcsw"],
        rq=found["cfs_rq", "rq"],
        clock=found["rq", "clock"],
        clock_task=found["rq", "clock_task"],
    )
    return code if _loads(code) else None


def _loads(code: ShareCode) -> bool:
    """Whether the kernel takes a program that does nothing else."""
    program = [
        Instruction(bpf.MOVE, 1, 10),
        Instruction(bpf.by_value(bpf.ADD), 1, immediate=-8 * (_KEPT + 1)),
        *code.account(),
        *code.updated(),
        Instruction(bpf.by_value(bpf.MOVE), 0),
        Instruction(bpf.EXIT),
    ]
    text = bpf.encode(program)
    held = ctypes.create_string_buffer(text, len(text))
    license_text = ctypes.create_string_buffer(b"GPL")
    pointers = (ctypes.addressof(held), ctypes.addressof(license_text))
    try:
        os.close(load(struct.pack("=IIQQ", PROG_TYPE_KPROBE, len(program), *pointers).ljust(72, b"\0")))
    except (BpfError, UnsupportedError):
        return False
    return True
