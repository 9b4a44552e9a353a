# SPDX-License-Identifier: Apache-2.0
"""scripts/test: what its stages report, and that none of them fails in silence; the line that moves during the set-up."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A tree with the real scripts, but with an environment whose Python always succeeds."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho pytest ran\n")
    python.chmod(0o755)
    return tmp_path


def run(checkout: Path, bare_machine: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`scripts/test` with the bare machine replaced by a few lines of shell."""
    (checkout / "scripts/try-bare").write_text(f"#!/bin/sh\n{bare_machine}\n")
    environment = {key: value for key, value in os.environ.items() if key != "OTEL_JB_VENV"}
    command = [str(checkout / "scripts/test"), "--no-setup", "--unit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


PASSED = 'echo "executed: 7 unit, 0 bpf, 0 e2e"; echo "== passed: commit abc" >&2; echo noise; echo "$@" >../arguments'


@pytest.mark.parametrize(("option", "asked"), [("--bare", "--test --unit"), ("--bare-whole", "--test")])
def test_a_bare_machine_that_passes_is_one_line_with_its_evidence(checkout: Path, option: str, asked: str) -> None:
    """The stage asks for the kinds that its option names, prints how many tests ran of which commit, and the tests follow."""
    done = run(checkout, PASSED.replace("..", str(checkout)), option)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[:2] == ["executed: 7 unit, 0 bpf, 0 e2e", "== passed: commit abc"]
    assert re.fullmatch(r"bare Debian +ok \(\d+ s\)", lines[2])
    assert lines[3:] == ["pytest ran"]
    assert (checkout / "arguments").read_text().strip() == asked


@pytest.mark.parametrize(
    "bare_machine",
    ["echo it broke; exit 1", "exit 6", "kill -9 $$", "echo 'executed: 0 unit, 0 bpf, 0 e2e'"],
    ids=["failing", "without root", "killed", "without a test"],
)
def test_a_bare_machine_that_fails_fails_the_run(checkout: Path, bare_machine: str) -> None:
    """Whatever goes wrong there, the run fails though the tests here pass, and what the machine printed is shown."""
    done = run(checkout, bare_machine, "--bare")
    assert done.returncode == 1
    assert re.search(r"^bare Debian +FAILED$", done.stdout, re.MULTILINE)
    assert ("it broke" in done.stdout) == ("it broke" in bare_machine)
    assert "pytest ran" in done.stdout


def test_without_the_option_there_is_no_bare_machine(checkout: Path) -> None:
    """The stage is asked for, and nothing of it is done otherwise."""
    done = run(checkout, "exit 1")
    assert (done.returncode, done.stdout) == (0, "pytest ran\n")


FAILS = """#!/bin/sh
[ "$1" = -c ] && exec python3 "$@"
shift 2
echo "$*" >>calls
if [ $(wc -l <calls) -gt FIRST ]; then exit 0; fi
mkdir -p .pytest_cache/v/cache
echo '{"tests/bpf/test_a.py::test_a[x y]": true, "tests/e2e/test_b.py::test_b": true}' >.pytest_cache/v/cache/lastfailed
exit STATUS
"""


@pytest.mark.parametrize(
    ("options", "runs_that_fail", "exit_code", "status", "runs"),
    [
        (["--again", "2"], 1, 1, 0, 2),
        (["--again", "2"], 2, 1, 1, 2),
        (["--again", "1"], 1, 1, 1, 1),
        ([], 1, 1, 1, 1),
        (["--again", "2"], 1, 2, 2, 1),
    ],
    ids=["pass then", "fail again", "too many", "not asked for", "something else is wrong"],
)
def test_few_failed_tests_run_once_more(
    checkout: Path, options: list[str], runs_that_fail: int, exit_code: int, status: int, runs: int
) -> None:
    """They alone, once, and only where they are few and nothing else is wrong; who passes then is named."""
    python = checkout / ".venv/bin/python"
    python.write_text(FAILS.replace("FIRST", str(runs_that_fail)).replace("STATUS", str(exit_code)))
    done = run(checkout, "exit 1", *options)
    calls = (checkout / "calls").read_text().splitlines()
    assert done.returncode == status, done.stderr
    assert len(calls) == runs
    assert calls[1:] == ["tests/bpf/test_a.py::test_a[x y] tests/e2e/test_b.py::test_b"] * (runs - 1)
    named = [line for line in done.stdout.splitlines() if line.startswith("unsteady")]
    assert len(named) == (2 if status == 0 else 0)


def test_what_the_set_up_does_moves_on_a_terminal() -> None:
    """A line is redrawn several times a second while a command runs, whose exit status is passed on; afterwards it says what was done."""
    master, slave = pty.openpty()
    script = f'. "{ROOT}/scripts/bootstrap.sh"; meanwhile "doing it" sh -c "sleep 1.6; exit 3"'
    child = subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.DEVNULL, stderr=slave, env={**os.environ, "TERM": "xterm"}
    )
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the other side any more
        while data := os.read(master, 4096):
            shown += data
    os.close(master)
    assert child.wait() == 3
    *moving, _, last = shown.decode().replace("\x1b[K", "").split("\r")
    drawn = [text for text in moving if text]
    assert len(drawn) >= 4
    assert len(set(drawn)) >= 4
    assert all(re.fullmatch(r"otel-jb: doing it [|/\\-] \d s ", text) for text in drawn)
    assert last == "\n"
