# SPDX-License-Identifier: Apache-2.0
"""What the BPF tests share: programs compiled once, driven over their standard input and output."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_jb.doctor.system import System
from tests.scale import patience

PROGRAMS = Path(__file__).parent / "programs"
Compile = Callable[..., Path]
#: both ways of attaching, where the kernel has both
LINKS = ["perf"] if System().multi_link_error() else ["multi", "perf"]


class Child:
    """A test program that answers lines with lines; it says `ready` first."""

    def __init__(self, path: Path, *arguments: str) -> None:
        self.path = path
        self.process = subprocess.Popen(
            [str(path), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.pid = self.process.pid
        assert self.stdout.readline().strip() == "ready"

    def say(self, line: str) -> None:
        """Send one line."""
        self.stdin.write(line + "\n")

    def hear(self) -> str:
        """Wait for one line."""
        return self.stdout.readline().strip()

    def ask(self, line: str) -> str:
        """Send one line and wait for the answer."""
        self.say(line)
        return self.hear()

    def close(self) -> int:
        """End of input ends the program; returns its exit status."""
        self.stdin.close()
        status = self.process.wait(patience(30))
        self.stdout.close()
        return status


@pytest.fixture(scope="session")
def compile_program(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compiles a program of `tests/bpf/programs` with flags, once per set of flags."""
    directory = tmp_path_factory.mktemp("programs")
    built: dict[tuple[str, tuple[str, ...]], Path] = {}

    def build(source: str, *flags: str) -> Path:
        key = (source, flags)
        if key not in built:
            path = directory / f"{Path(source).stem}-{len(built)}"
            compiler = "g++" if source.endswith((".cc", ".cpp")) else "gcc"
            subprocess.run(
                [compiler, "-o", path, PROGRAMS / source, *flags, "-lpthread"], check=True, capture_output=True
            )
            built[key] = path
        return built[key]

    return build


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    """Starts children and ends them with the test."""
    children: list[Child] = []

    def begin(path: Path, *arguments: str) -> Child:
        child = Child(path, *arguments)
        children.append(child)
        return child

    yield begin
    for child in children:
        if child.process.poll() is None:
            child.process.kill()
        child.process.wait(10)
        child.stdin.close()
        child.stdout.close()
