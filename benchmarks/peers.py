"""The tools that people use today, started on one function as their manuals say."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from otel_jb.kernel.source import bpf_directory

START_S = 30.0


@contextmanager
def bpftrace_histogram(path: Path, function: str) -> Iterator[None]:
    """bpftrace: start time by thread, `hist()` of the difference at return."""
    script = (
        f"uprobe:{path}:{function} {{ @start[tid] = nsecs; }} "
        f"uretprobe:{path}:{function} /@start[tid]/ {{ @ns = hist(nsecs - @start[tid]); delete(@start[tid]); }}"
    )
    with _started(["bpftrace", "-e", script], b"Attaching"):
        yield


@contextmanager
def funclatency(path: Path, function: str) -> Iterator[None]:
    """BCC's funclatency with its defaults."""
    with _started(["funclatency-bpfcc", f"{path}:{function}"], b"Tracing"):
        yield


@contextmanager
def _started(command: Sequence[str], says: bytes) -> Iterator[None]:
    environment = {**os.environ, "BCC_KERNEL_SOURCE": str(bpf_directory() / "shim"), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    assert process.stdout
    try:
        seen, deadline = b"", time.monotonic() + START_S
        while says not in seen:
            if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise RuntimeError(f"{command[0]} did not start: {seen[-300:].decode(errors='replace')}")
            chunk = os.read(process.stdout.fileno(), 4096)
            if not chunk:
                raise RuntimeError(f"{command[0]} ended: {seen[-300:].decode(errors='replace')}")
            seen += chunk
        time.sleep(0.7)  # both announce themselves before the last probe is attached, and say no more
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
