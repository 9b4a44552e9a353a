# SPDX-License-Identifier: Apache-2.0
"""A process that has just begun, before and after the dynamic loader has mapped its libraries."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from otel_jb.config.model import Config
from otel_jb.host import procfs
from otel_jb.planner import loading
from otel_jb.planner.loading import Loading
from otel_jb.planner.targets import Discovery
from otel_jb.sandbox.client import Inspector

TRACEME, DETACH = 0, 17  # ptrace(2)


def test_a_process_is_waited_for_until_its_libraries_are_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at its first instruction it has mapped none; it counts as ready once it has, or after a while."""
    program = tmp_path / "server"
    source = tmp_path / "server.c"
    source.write_text("#include <unistd.h>\n#include <math.h>\nint main(int c, char **v) { return pause() + cos(c); }")
    subprocess.run(["gcc", "-o", program, source, "-lm"], check=True)
    libc = ctypes.CDLL(None)
    started = subprocess.Popen([program], preexec_fn=lambda: libc.ptrace(TRACEME, 0, 0, 0))  # noqa: PLW1509
    try:
        _, status = os.waitpid(started.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process = procfs.process(started.pid)
        with Inspector() as inspector:
            files = Discovery(Config(), inspector).planner.files
            assert not Loading().still(process, files)  # nothing is known of its file
            files.examine(str(program), "server")
        monkeypatch.setattr(loading, "LOADS_S", 1e9)
        waited = Loading()
        assert waited.still(process, files)
        assert waited.still(process, files)
        libc.ptrace(DETACH, started.pid, 0, 0)
        deadline = time.monotonic() + 30
        while waited.still(process, files):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        monkeypatch.setattr(loading, "LOADS_S", 0.0)
        os.kill(started.pid, signal.SIGKILL)
        assert not waited.still(process, files)
    finally:
        started.kill()
        started.wait()


@pytest.mark.parametrize("name", ["libz.so.1", "libz.so.1.2.13", "libz-1.2.so"])
def test_a_library_is_known_by_what_its_name_links_to(name: str) -> None:
    """A soname is often a link to a file with more of a version."""
    assert loading._is_mapped("libz.so.1", ["libc.so.6", name])
    assert not loading._is_mapped("libz.so.1", ["libc.so.6", "libzip.so.1"])
