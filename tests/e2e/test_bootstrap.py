# SPDX-License-Identifier: Apache-2.0
"""scripts/otel-jb: started twice at once, cut short, without root, from a tree that cannot be written."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = re.compile(r"otel-jb \d+\.\d+\.\d+\S*\n")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the bootstrap needs of the tree, without any environment, that everybody may read."""
    copy = tmp_path / "a checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, copy / name)
    for name in ("otel_jb", "bpf", "scripts"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for directory in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        directory.chmod(0o755)
    return copy


def _start(checkout: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [checkout / "scripts/otel-jb", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
        cwd="/",
        start_new_session=True,
    )


def test_two_starts_at_once_share_one_set_up(checkout: Path) -> None:
    """Of two starts at once one sets up, the other waits, both work; a third looks that all is there and does no more."""
    began = time.monotonic()
    both = [_start(checkout, "--version"), _start(checkout, "--version")]
    results = [process.communicate(timeout=400) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert all(VERSION.fullmatch(out) for out, _ in results), results
    assert sum("making the Python environment" in err for _, err in results) == 1
    assert sum("waiting for it" in err for _, err in results) == 1
    first = time.monotonic() - began

    # The shell prints each command before it runs it, until `exec` makes it the agent.
    began = time.monotonic()
    third = subprocess.run(
        ["sh", "-x", checkout / "scripts/otel-jb", "--version"], capture_output=True, text=True, check=True
    )
    assert time.monotonic() - began < first / 2
    assert VERSION.fullmatch(third.stdout)
    lines = [line.lstrip("+ ") for line in third.stderr.splitlines()]
    assert re.fullmatch(r"exec .*/\.venv/bin/otel-jb'? --version", lines[-1])
    commands = [line.split() for line in lines]
    ran = {words[0] for words in commands if words}
    assert {"readlink", "cksum"} <= ran
    assert not ran & {
        "flock",
        "mkdir",
        "rm",
        "dpkg-query",
        "apt_install",
        "apt-get",
        "system_packages",
        "sudo",
        "find_python",
    }
    assert not any("pip" in words for words in commands)


def test_set_up_that_was_cut_short_is_made_anew(checkout: Path) -> None:
    """After a kill in the middle the environment does not pass for complete, and the next start completes it."""
    first = _start(checkout, "--version")
    deadline = time.monotonic() + 400
    # pip has begun to unpack: the worst moment
    while not list(checkout.glob(".venv/lib/python3*/site-packages/opentelemetry")):
        assert time.monotonic() < deadline
        assert first.poll() is None, first.communicate()
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert not list(checkout.glob(".venv/.ready-*"))
    second = _start(checkout, "--version")
    out, err = second.communicate(timeout=400)
    assert VERSION.fullmatch(out), err
    assert "making the Python environment" in err


def test_unwritable_tree_is_installed_from_by_an_ordinary_user(checkout: Path, tmp_path: Path) -> None:
    """From a tree that is not theirs a user without root gets an environment of their own, with the BPF sources inside."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.chown(home, "nobody")
    inside = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", str(checkout / "scripts/otel-jb")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")} | {"HOME": str(home)}
    result = subprocess.run(
        [*inside, "--version"], capture_output=True, text=True, env=environment, check=False, cwd="/"
    )
    assert VERSION.fullmatch(result.stdout), result.stderr
    assert not (checkout / ".venv").exists()
    assert len(list(home.glob(".cache/otel_jb/venv-*/lib/python3*/site-packages/otel_jb/bpf/otel_jb.bpf.c"))) == 1


def test_missing_python_without_root_is_one_message(checkout: Path, tmp_path: Path) -> None:
    """Without root, and where packages are missing, one message names them and the command; the exit code is PERMISSION."""
    tools = tmp_path / "bin"  # a PATH with no Python and no sudo
    tools.mkdir()
    for name in (
        "sh",
        "dirname",
        "readlink",
        "cat",
        "cksum",
        "cut",
        "id",
        "mkdir",
        "flock",
        "rm",
        "dpkg-query",
        "umask",
    ):
        found = shutil.which(name)
        if found:
            (tools / name).symlink_to(found)
    script = (checkout / "scripts/bootstrap.sh").read_text()
    # The system's own Python is found by its path: look for one that is not there.
    (checkout / "scripts/bootstrap.sh").write_text(
        script.replace("/usr/bin/python3 ", f"{tools}/python3 ").replace(
            "apt_install python3 ", "apt_install no-such-python "
        )
    )
    checkout.chmod(0o777)
    command = [
        "setpriv",
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        str(checkout / "scripts/otel-jb"),
        "--version",
    ]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={"PATH": str(tools)},
        check=False,
        cwd="/",
        executable="/usr/bin/setpriv",
    )
    assert result.returncode == 6, result.stderr
    assert result.stderr.count("otel-jb:") == 1
    assert "no-such-python" in result.stderr
    assert "As root: apt-get update && apt-get install no-such-python" in result.stderr


def test_environment_of_another_user_is_one_message(checkout: Path) -> None:
    """Where the environment is incomplete and belongs to somebody else, one message says so; the exit code is PERMISSION."""
    checkout.chmod(0o777)
    (checkout / ".venv").mkdir(mode=0o755)
    command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", str(checkout / "scripts/otel-jb")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert result.returncode == 6, result.stderr
    assert "you cannot write to it" in result.stderr
    assert result.stderr.count("otel-jb:") == 1
