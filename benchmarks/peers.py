# SPDX-License-Identifier: Apache-2.0
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

from otel_jb.probes.programs.source import bpf_directory

START_S = 30.0


#: A shell's background job ignores SIGINT, and passes that on: funclatency would never end.
INTERRUPTIBLE = ("env", "--default-signal=INT")


def environment() -> dict[str, str]:
    """For BCC's tools where there are no kernel headers: with the project's own shim they start, and sooner."""
    return {**os.environ, "BCC_KERNEL_SOURCE": str(bpf_directory() / "shim"), "PYTHONUNBUFFERED": "1"}


def bpftrace_command(path: Path | str, functions: Sequence[str], pid: int | None = None) -> list[str]:
    """bpftrace: start time by thread, `hist()` of the difference at return."""
    script = " ".join(
        f"uprobe:{path}:{function} {{ @start[tid] = nsecs; }} "
        f"uretprobe:{path}:{function} /@start[tid]/ {{ @{function} = hist(nsecs - @start[tid]); delete(@start[tid]); }}"
        for function in functions
    )
    return ["bpftrace", *([] if pid is None else ["-p", str(pid)]), "-e", script]


def funclatency_command(path: Path | str, functions: Sequence[str], pid: int) -> list[str]:
    """BCC's funclatency for one process: without a PID it hashes more and is more expensive."""
    return ["funclatency-bpfcc", "-p", str(pid), "-r", f"{path}:^({'|'.join(functions)})$"]


@contextmanager
def bpftrace_histogram(path: Path, functions: Sequence[str]) -> Iterator[None]:
    """bpftrace at work."""
    with _started(bpftrace_command(path, functions), b"Attaching"):
        yield


@contextmanager
def funclatency(path: Path, functions: Sequence[str], pid: int) -> Iterator[None]:
    """funclatency at work."""
    with _started(funclatency_command(path, functions, pid), b"Tracing"):
        yield


@contextmanager
def _started(command: Sequence[str], says: bytes) -> Iterator[None]:
    process = subprocess.Popen(
        [*INTERRUPTIBLE, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment()
    )
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
