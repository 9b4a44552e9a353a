# SPDX-License-Identifier: Apache-2.0
"""The checks of `doctor` on the machine that runs the tests, which can measure."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from otel_jb.config.model import Config
from otel_jb.doctor import preflight
from otel_jb.doctor.system import System
from otel_jb.model.errors import UnsupportedError
from otel_jb.probes.attach import links
from otel_jb.probes.bpf import BpfError
from otel_jb.probes.programs.instances import UPROBE_MULTI, load_program
from tests.scale import patience

pytestmark = pytest.mark.bpf
ROOT = Path(__file__).parents[2]


def test_this_machine_is_ready() -> None:
    """doctor finds no ✗ here, compiles the program for real, and ends with 0."""
    done = subprocess.run(
        [sys.executable, "-m", "otel_jb", "doctor", "--json", "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(120),
        cwd=ROOT,
    )
    answer = json.loads(done.stdout)
    assert [check for check in answer["checks"] if check["status"] == "failed"] == []
    assert done.returncode == 0
    assert "compiled and loaded" in next(check["detail"] for check in answer["checks"] if check["name"] == "compiler")
    preflight.preflight(Config(listen=None))


def test_multi_links_are_there_exactly_if_they_can_be_used() -> None:
    """The question that needs no target gives the answer that a real link gives."""
    code = struct.pack("=QQ", 0xB7, 0x95)  # r0 = 0; exit
    try:
        program = load_program("nothing", code, UPROBE_MULTI)
    except UnsupportedError:  # a kernel that does not load programs for multi links has none
        usable = False
    else:
        try:
            links.close([links.link_multi(program, sys.executable, [_nowhere()], os.getpid())])
            usable = True
        except BpfError:
            usable = False
        os.close(program)
    assert (System().multi_link_error() == 0) == usable


def _nowhere() -> links.Point:
    """An instruction of the Python executable that is not run while the test looks: its entry point."""
    with open(sys.executable, "rb") as file:
        header = file.read(64)
    assert header[:4] == b"\x7fELF"
    from otel_jb.elf.image import Image

    image = Image.from_file(os.path.realpath(sys.executable))
    return links.Point(image.offset(int.from_bytes(header[24:32], "little")), 0)


def test_capabilities_of_a_file_are_really_read(tmp_path: Path) -> None:
    """A file that is marked as setcap marks it is seen as such."""
    program = tmp_path / "python3"
    program.write_bytes(b"")
    assert not System().file_capabilities(str(program))
    # struct vfs_cap_data, revision 2, effective: what `setcap cap_sys_admin+ep` writes
    os.setxattr(program, "security.capability", bytes.fromhex("0100000200002000000000000000000000000000"))
    assert System().file_capabilities(str(program))


def test_without_privileges_run_says_what_to_do() -> None:
    """Without capabilities `run` ends with 6 before anything is attached, naming sudo and what a service needs."""
    done = subprocess.run(
        ["setpriv", "--bounding-set", "-all", sys.executable, "-m", "otel_jb", "run", "--pid", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(60),
        cwd=ROOT,
    )
    assert done.returncode == 6, done.stderr
    assert "otel-jb: error: user 0 lacks CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE" in done.stderr
    assert "sudo " in done.stderr
    assert "AmbientCapabilities=CAP_BPF CAP_PERFMON" in done.stderr
