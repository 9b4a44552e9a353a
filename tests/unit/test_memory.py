# SPDX-License-Identifier: Apache-2.0
"""Memory that was freed, or will not be used again, goes back to the kernel; what is in use is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
from otel_jb.host.memory import return_large_blocks

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

return_large_blocks()
del [bytearray(30 << 20)][0]  # by this glibc learns to keep smaller ones
before = resident()
block = bytearray(20 << 20)
block[::4096] = b"x" * len(block[::4096])
small = [bytes(100_000) for _ in range(3)]  # behind it
del block
print(resident() - before)
"""


def test_large_blocks_are_returned_when_they_are_freed() -> None:
    """Twenty megabytes are gone as soon as they are freed; glibc by itself would keep them, since it has seen a larger block."""
    words = [sys.executable, "-c", PROGRAM]
    assert int(subprocess.run(words, capture_output=True, text=True, check=True).stdout) < 5 << 20


CODE = """
import ctypes, mmap, re, sys
from otel_jb.host.memory import let_go_of_code

def resident(mapping):
    address = f"{ctypes.addressof(ctypes.c_char.from_buffer(mapping)):x}-"
    _, _, text = open("/proc/self/smaps").read().partition("\\n" + address)
    return int(re.search(r"^Rss: +(\\d+) kB", text, re.MULTILINE)[1])

def mapped(file):
    mapping = mmap.mmap(file.fileno(), 1 << 18, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    assert sum(mapping[::4096]) == 64 * ord("x")
    return mapping

def protect(mapping):
    at = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(at), 1 << 18, mmap.PROT_READ | mmap.PROT_EXEC) == 0

with open(sys.argv[1], "rb") as file:
    as_in_file, changed, writable = mapped(file), mapped(file), mapped(file)
changed[4096:4100] = b"\\xcc" * 4  # a breakpoint
protect(as_in_file)
protect(changed)
let_go_of_code()
print(resident(as_in_file), resident(changed), resident(writable))
print(as_in_file[:2], changed[4095:4101])
"""


def test_only_what_is_as_in_its_file_is_let_go_of(tmp_path: Path) -> None:
    """Pages that cannot be written are gone, and come back with the same content; where one of them was changed, and where one may be, nothing happens."""
    file = tmp_path / "library"
    file.write_bytes(b"x" * (1 << 18))
    words = [sys.executable, "-c", CODE, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["0 256 256", r"b'xx' b'x\xcc\xcc\xcc\xccx'"]


SPARED = """
import gc
from otel_jb.host.memory import spare_the_collector

class Linked:
    def __init__(self):
        self.itself = self

def collections():
    return sum(each["collections"] for each in gc.get_stats())

def alive():
    return sum(type(each) is Linked for each in gc.get_objects())

spare_the_collector()
before = collections()
kept = [[number] for number in range(12_000)]
print(collections() - before)
for _ in range(25_000):
    Linked()
print(alive())
"""


def test_the_collector_looks_seldom_but_still_frees_cycles() -> None:
    """While twelve thousand objects are made and kept it does not look once; of 25 000 that hold only themselves most are freed."""
    words = [sys.executable, "-c", SPARED]
    looked, left = map(int, subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
    assert looked == 0
    assert left < 25_000


LARGE = """
import re
from otel_jb.host.memory import use_large_pages

def now():
    text = open("/proc/self/smaps_rollup").read()
    return [int(re.search(rf"^{name}: +(\\d+) kB", text, re.MULTILINE)[1]) >> 10 for name in ("AnonHugePages", "Rss")]

dense, sparse = bytearray(b"x" * (16 << 20)), bytearray(16 << 20)
sparse[:: 1 << 21] = b"y" * len(sparse[:: 1 << 21])
before = now()
use_large_pages()
print(*before, *now(), dense == b"x" * (16 << 20), sum(sparse) == 8 * ord("y"))
"""
LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")


def _collapses() -> bool:
    """Whether this kernel makes large pages of small ones when it is asked to."""
    release = tuple(int(part) for part in os.uname().release.replace("-", ".").split(".")[:2])
    if release < (6, 1) or not LARGE_PAGES.exists() or "[never]" in (LARGE_PAGES / "enabled").read_text():
        return False
    return int((LARGE_PAGES / "hpage_pmd_size").read_text()) <= 4 << 20


def test_memory_in_use_lies_in_large_pages() -> None:
    """Of 16 MiB all but the ends; memory that is used here and there stays as it is, and so does what both hold."""
    words = [sys.executable, "-c", LARGE]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    large_before, before, large, after, *same = done.stdout.split()
    assert same == ["True", "True"]
    assert int(after) - int(before) <= 4
    if _collapses() and int(large_before) < 8:
        assert int(large) >= 8
    else:
        assert int(large) >= int(large_before)
