# SPDX-License-Identifier: Apache-2.0
"""Memory that was freed goes back to the kernel."""

from __future__ import annotations

import subprocess
import sys

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
