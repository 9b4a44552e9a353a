# SPDX-License-Identifier: Apache-2.0
"""What this process holds of memory that it does not use."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import re
from array import array
from collections.abc import Iterator
from pathlib import Path

_OF_FILE = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) \S+ [0-9a-f]+ \S+ [1-9][0-9]* +/")
_PRIVATE = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) rw-p [0-9a-f]+ 00:00 0 *(?:\[heap\]|\[anon:.*)?$")
_MADV_DONTNEED, _MADV_COLLAPSE = 4, 25  # mman-common.h
_LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")  # Documentation/admin-guide/mm/transhuge.rst
_PRESENT = 1 << 63  # Documentation/admin-guide/mm/pagemap.rst
_ENTRY_BYTES = 8
_USED = 0.9  #: of a large page; the rest of it counts as the process's memory from then on
# glibc, malloc.h
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_LARGE = (
    128 << 10
)  #: bytes; glibc's own at the start, which it raises to the largest block that was ever freed, up to 32 MiB
_HEAPS = 2  #: instead of eight per processor
#: Objects made and not freed until the collector looks at them: more than live at a time between a slow call and its span's way out.
_YOUNG = 20_000


def collect_seldom() -> None:
    """Have the garbage collector look seldom from now on. While modules are imported, it finds next to nothing in a tenth of the time that takes."""
    gc.set_threshold(_YOUNG)


def spare_the_collector() -> None:
    """Have the garbage collector leave alone what there is now, modules and classes, and look at what is made from now on seldom.

    What the agent makes is freed by its reference counts, in a second or two; with Python's 700 objects nearly every collection found all of them in use.
    """
    gc.collect()
    gc.freeze()
    collect_seldom()


def return_large_blocks() -> None:
    """From now on, return large blocks to the kernel when they are freed, and let threads share heaps. Does nothing without glibc.

    Pages of text are made on one thread and sent by another: each would keep what the largest of them took.
    """
    function = getattr(ctypes.CDLL(None), "mallopt", None)
    if function is not None:
        function(_M_MMAP_THRESHOLD, _LARGE)
        function(_M_ARENA_MAX, _HEAPS)


def let_go_of_code() -> None:
    """Unmap the code and the constants of the program and its libraries that were used so far; what is used again comes from the page cache.

    Most of a library is used once, while it is imported, and counts as the process's memory from then on.

    Only while the process has one thread: where another one loads a library, what that has just relocated would be lost.
    """
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    with contextlib.suppress(OSError):  # without /proc, it is kept
        for start, end in _unchanged():
            madvise(start, end - start, _MADV_DONTNEED)


def _unchanged() -> list[tuple[int, int]]:
    """The ranges of files that are mapped privately, cannot be written, and are as in the file: a relocated page would be lost, or a breakpoint."""
    found = []
    mapping = None
    with open("/proc/self/smaps", "rb") as lines:
        for line in lines:
            if b" r-xp " in line or b" r--p " in line:
                mapping = _OF_FILE.match(line)
            elif mapping is not None and line.startswith(b"Anonymous:"):
                if line.split()[1] == b"0":
                    found.append((int(mapping[1], 16), int(mapping[2], 16)))
                mapping = None
    return found


def use_large_pages() -> None:
    """Move what lies in memory now into large pages of the processor's (2 MiB on x86-64), where most of one is in use.

    A thread that wakes once a second finds neither its data nor the way to it in the processor's caches. In a virtual machine, the way to a small page is up to 24
    reads of memory. Does nothing on kernels before 6.1, and where the host's large pages are off.
    """
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    with contextlib.suppress(OSError):
        if "[never]" in (_LARGE_PAGES / "enabled").read_text():
            return
        size = int((_LARGE_PAGES / "hpage_pmd_size").read_text())
        for start in list(_well_used(size)):
            madvise(start, size, _MADV_COLLAPSE)  # refused where there is no such page free, or by an older kernel


def _well_used(size: int) -> Iterator[int]:
    """The addresses of private memory at which so many bytes are in use, or most of them."""
    with open("/proc/self/maps", "rb") as lines, open("/proc/self/pagemap", "rb", buffering=0) as pages:
        found = [(int(each[1], 16), int(each[2], 16)) for each in map(_PRIVATE.match, lines) if each is not None]
        for start, end in found:
            for at in range(-(-start // size) * size, end - size + 1, size):
                pages.seek(at // mmap.PAGESIZE * _ENTRY_BYTES)
                entries = array("Q", pages.read(size // mmap.PAGESIZE * _ENTRY_BYTES))
                if sum(entry >= _PRESENT for entry in entries) >= _USED * len(entries):
                    yield at
