# SPDX-License-Identifier: Apache-2.0
"""How the C library keeps memory that was freed."""

from __future__ import annotations

import ctypes

# glibc, malloc.h
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_LARGE = (
    128 << 10
)  #: bytes; glibc's own at the start, which it raises to the largest block that was ever freed, up to 32 MiB
_HEAPS = 2  #: instead of eight per processor


def return_large_blocks() -> None:
    """From now on, return large blocks to the kernel when they are freed, and let threads share heaps. Does nothing without glibc.

    Pages of text are made on one thread and sent by another: each would keep what the largest of them took.
    """
    function = getattr(ctypes.CDLL(None), "mallopt", None)
    if function is not None:
        function(_M_MMAP_THRESHOLD, _LARGE)
        function(_M_ARENA_MAX, _HEAPS)
