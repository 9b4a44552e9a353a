# SPDX-License-Identifier: Apache-2.0
"""Where the programs keep their variables while they run."""

from __future__ import annotations

import ctypes
import platform
import struct

import pytest

from otel_jb.probes import features
from otel_jb.probes.bpf import OBJ_GET_INFO_BY_FD, bpf
from otel_jb.probes.programs import compiled
from otel_jb.probes.programs.instances import Instances
from otel_jb.probes.programs.template import shape_of
from otel_jb.probes.read.boundaries import build
from tests.bpf.plans import PUT

pytestmark = pytest.mark.bpf

#: `add r9, gs:[…]`, and on AArch64 `mrs x27, tpidr_el1`: the address of this CPU's stack, in every program that has one.
PER_CPU = {"x86_64": bytes.fromhex("654c030c25"), "aarch64": bytes.fromhex("9bd038d5")}[platform.machine()]


def machine_code(program: int) -> bytes:
    """What the kernel's JIT made of a program (struct bpf_prog_info)."""
    info = ctypes.create_string_buffer(64)
    bpf(OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", program, len(info), ctypes.addressof(info)))
    (length,) = struct.unpack_from("=I", info, 16)
    code = ctypes.create_string_buffer(length)
    info = ctypes.create_string_buffer(struct.pack("=16xI4xQ", length, ctypes.addressof(code)), 64)
    bpf(OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", program, len(info), ctypes.addressof(info)))
    return code.raw


@pytest.mark.parametrize("late", [[], [0]], ids=["plain", "rare"])
@pytest.mark.parametrize("cookie", [5, None], ids=["own", "shared"])
def test_programs_run_on_the_stack_of_the_thread_that_they_interrupt(cookie: int | None, late: list[int]) -> None:
    """A stack per CPU would be shared by all that are preempted there inside the program: oops (Linux 6.13 and later)."""
    buckets = build([1_000_000])
    loaded = compiled.Loading(len(buckets.bounds_ns) + 1, buckets.cell_bits, 16).result()
    instances = Instances(loaded.templates, loaded.maps, multi=False)
    try:
        for name in ("on_entry", "on_end", *(["on_session"] if features.has_sessions() else [])):
            code = machine_code(instances.take(name, shape_of(PUT, events=True, nests=True, cookie=cookie, late=late)))
            assert len(code) > 500
            assert PER_CPU not in code
    finally:
        instances.close()
        loaded.close()
