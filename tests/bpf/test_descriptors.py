# SPDX-License-Identifier: Apache-2.0
"""What becomes of probes when the process may open no more descriptors."""

from __future__ import annotations

import errno
import gc
import os
import resource
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from otel_jb.elf.image import Image
from otel_jb.probes.attach import links
from otel_jb.probes.bpf import BpfError
from otel_jb.probes.programs.instances import load_program

pytestmark = pytest.mark.bpf
SITES = 3


def descriptors() -> set[int]:
    """Those that are open; the one that looks is not among them."""
    return {int(path.name) for path in Path("/proc/self/fd").iterdir() if path.exists()}


@contextmanager
def only_room_for(number: int) -> Iterator[None]:
    """This process can open so many descriptors, and no more."""
    before, taken = resource.getrlimit(resource.RLIMIT_NOFILE), descriptors()
    free = [fd for fd in range(max(taken) + number + 2) if fd not in taken]
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[number], before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("room", range(2 * SITES))
def test_nothing_stays_attached_where_descriptors_end(room: int) -> None:
    """With perf events a site takes two, and one for a moment before: whichever of them is refused, the kernel's answer says so."""
    program = load_program("nothing", struct.pack("=QQ", 0xB7, 0x95), 0)  # r0 = 0; exit
    image = Image.from_file(os.path.realpath(sys.executable))
    with open(sys.executable, "rb") as file:
        start = int.from_bytes(file.read(32)[24:], "little")
    points = [links.Point(image.offset(start), cookie) for cookie in range(SITES)]
    gc.collect()  # what earlier tests left open is closed now, and not meanwhile
    before = descriptors()
    try:
        with only_room_for(room), pytest.raises(BpfError) as caught:
            links.attach("perf", program, sys.executable, points, os.getpid())
        assert caught.value.errno == errno.EMFILE
        assert descriptors() <= before
    finally:
        os.close(program)
