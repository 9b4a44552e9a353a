# SPDX-License-Identifier: Apache-2.0
"""Attacker's code inside the sandbox achieves nothing, however the agent was started."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otel_jb.arch import system_calls
from otel_jb.sandbox import limits
from tests.unit import sandbox_attacks

ATTACKS = Path(sandbox_attacks.__file__)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it starts the sandbox as several users")

_SERVICE = "+sys_admin,+bpf,+perfmon,+sys_ptrace,+dac_read_search,+dac_override,+setuid,+setgid,+kill,+net_raw"

#: What a container engine leaves of a container's bounding set, and what docs/install.md adds to it.
_CONTAINER = "+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap"
_ADDED = "+sys_admin,+bpf,+perfmon,+sys_ptrace,+dac_read_search"
_SPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--mount-proc")

#: How the agent is started: as root; as a service user to whom systemd or a container engine gave capabilities that children inherit; as a container's
#: root, whose capabilities are bounded, with the host's user namespace or one of its own.
STARTS = {
    "as root": (),
    "as a service user with ambient capabilities": (
        *("setpriv", "--reuid=4321", "--regid=4321", "--clear-groups"),
        *(f"--inh-caps={_SERVICE}", f"--ambient-caps={_SERVICE}", "--"),
    ),
    "in a container": (
        *("unshare", *_SPACES),
        *("setpriv", f"--bounding-set=-all,{_CONTAINER},{_ADDED}", f"--inh-caps=-all,{_CONTAINER},{_ADDED}", "--"),
    ),
    "in a container with users of its own": ("unshare", "--user", "--map-root-user", *_SPACES),
}


def attack(tmp_path: Path, *how: str, argument: str = "inside") -> Any:
    """What the attacks came to, with a terminal to attack."""
    ours, terminal = pty.openpty()
    tmp_path.chmod(0o777)
    take_terminal = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", take_terminal, *how, sys.executable, str(ATTACKS), argument],
            cwd=tmp_path,
            stdin=terminal,
            stdout=subprocess.PIPE,
            start_new_session=True,
            check=True,
        )
    finally:
        os.close(ours)
        os.close(terminal)
    return json.loads(done.stdout)


@needs_root
@pytest.mark.parametrize("start", STARTS)
def test_code_inside_the_sandbox_achieves_nothing(start: str, tmp_path: Path) -> None:
    """Every attempt is refused, nothing is left behind, and the server holds no capability."""
    seen = attack(tmp_path, *STARTS[start])
    assert len(seen["attempts"]) >= 40
    assert {name: ended for name, ended in seen["attempts"].items() if ended != "EPERM"} == {}
    assert seen["left"] == ["victim"]
    assert seen["victim"] == "kept"
    status = seen["status"]
    sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"]
    if "ambient" not in start:  # it was not given CAP_SETPCAP, and no_new_privs makes the bounding set idle
        sets.append("CapBnd")
    held = {name: status[name] for name in sets}
    assert set(held.values()) == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert seen["files"] == ["/dev/null", "/dev/null", "/dev/null", "socket"]
    assert seen["session"]  # the terminal is no longer its own
    if "users of its own" not in start:  # where one user exists
        assert set(status["Uid"].split()) == {str(0x70000000 + int(status["Pid"]))}
        assert status["Groups"] == ""


@needs_root
def test_the_attempts_are_real(tmp_path: Path) -> None:
    """Outside the sandbox each attempt succeeds, so that a refusal inside says something."""
    alone = ("unshare", "--mount", "--uts", "--ipc", "--net")
    seen = attack(tmp_path, *alone, argument="outside")
    unknown = [name for name, ended in seen.items() if ended == "ENOSYS"]  # to this kernel
    assert len(seen) - len(unknown) >= 40
    assert {name: ended for name, ended in seen.items() if ended not in ("done", "ENOSYS")} == {}


@pytest.mark.parametrize("machine", system_calls.NUMBERS)
def test_system_calls_have_the_kernel_s_numbers(machine: str) -> None:
    """The tables of system calls are those of the kernel's headers, and hold every call that a list names."""
    table = system_calls.NUMBERS[machine]
    assert table == sandbox_attacks.header_numbers(machine, sorted(table))
    named = {rule.name for rules in (limits.SERVER, limits.WORKER) for rule in rules}
    assert named - system_calls.ABSENT[machine] <= set(table)
    assert not sandbox_attacks.header_numbers(machine, sorted(system_calls.ABSENT[machine]))


_WITHOUT_FILTERS = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
load, equal, give = 0x20, 0x15, 0x06
steps = [(load, 0, 0, 0), (equal, 0, 3, {prctl}), (load, 0, 0, 16), (equal, 0, 1, 22), (give, 0, 0, 0x50016), (give, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("@HxxxxxxQ", len(steps), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.c_ulong(ctypes.addressof(program)), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_without_a_filter_no_file_is_read() -> None:
    """Where the kernel takes no seccomp filter, a file is refused with exit code 7 and the reason."""
    numbers = system_calls.numbers()
    assert numbers is not None
    done = subprocess.run(
        [
            *(sys.executable, "-c", _WITHOUT_FILTERS.format(prctl=numbers["prctl"])),
            *(sys.executable, "-m", "otel_jb", "discover", "/bin/true"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert "no file can be read safely here: the kernel refuses a seccomp filter: Invalid argument" in done.stderr
    assert "CONFIG_SECCOMP_FILTER" in done.stderr
