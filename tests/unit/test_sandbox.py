# SPDX-License-Identifier: Apache-2.0
"""The sandbox: what it may not do, and what happens to a request that misbehaves."""

from __future__ import annotations

import ctypes
import lzma
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from otel_jb.elf import debugfile
from otel_jb.elf.image import Image
from otel_jb.model import codec
from otel_jb.model.errors import ElfError
from otel_jb.model.plan import SymbolSource
from otel_jb.sandbox import client as sandbox
from otel_jb.sandbox import report
from otel_jb.sandbox.client import Inspector
from otel_jb.sandbox.report import FileReport, inspect_file, inspect_files

LIBRARY = "/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1"


# Misbehaving requests. They are put into a module of `otel_jb.elf` before the sandbox is forked, which has no other.


def spin(_: Sequence[int]) -> None:
    while True:
        pass


def crash(_: Sequence[int]) -> None:
    ctypes.string_at(1)


def devour(_: Sequence[int]) -> int:
    kept = []
    while True:
        kept.append(bytes(64 << 20))  # untouched, so that a busy machine too is at the limit at once


def recurse(files: Sequence[int]) -> None:
    recurse(files)


def leave_something(_: Sequence[int], value: str = "") -> str:
    before = os.environ.get("SANDBOX_STATE", "")
    os.environ["SANDBOX_STATE"] = value
    return before


def nonsense(_: Sequence[int]) -> list[Any]:
    return [1, "x", {"a": None}]


def compute(_: Sequence[int], seconds: float) -> float:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pass
    return seconds


REQUESTS = [spin, crash, devour, recurse, leave_something, nonsense, compute]


@pytest.fixture
def inspector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inspector]:
    for request in REQUESTS:
        monkeypatch.setattr(report, request.__name__, request, raising=False)
    with Inspector(cpu_seconds=2) as running:
        yield running


def ask(inspector: Inspector, request: str, **arguments: Any) -> Any:
    return inspector.call(f"otel_jb.sandbox.report:{request}", [], name="some file", **arguments)


@pytest.fixture
def library() -> Iterator[int]:
    file = os.open(LIBRARY, os.O_RDONLY)
    yield file
    os.close(file)


def test_a_file_is_read_in_the_sandbox_as_outside(inspector: Inspector, library: int) -> None:
    """The report from the sandbox holds what the image says outside."""
    report = inspect_file(inspector, library, LIBRARY, ["jitter_buffer_*"])
    image = Image.from_file(LIBRARY)
    assert (report.build_id, report.soname, report.needed, report.arch) == (
        image.build_id,
        image.soname,
        image.needed,
        image.arch,
    )
    assert len(report.symbols) == 11
    assert not report.has_symtab
    assert report.debug_link is not None


def test_many_files_are_read_by_one_request(inspector: Inspector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty files give what each gives alone, errors in their places; where one spoils the batch, each is read alone."""
    paths = [LIBRARY, "/etc/passwd", "/bin/true", "/lib/x86_64-linux-gnu/libc.so.6"] * 10
    opened = [(os.open(path, os.O_RDONLY), path) for path in paths]
    patterns = ["jitter_buffer_*", "qsort"]
    try:
        together = inspect_files(inspector, opened, patterns)
        assert together[0] == inspect_file(inspector, *opened[0], patterns)
        assert [type(each).__name__ for each in together] == ["FileReport", "ElfError", "FileReport", "FileReport"] * 10
        assert str(together[1]) == "/etc/passwd: not an ELF file"
        call = inspector.call

        def spoilt(function: str, *arguments: Any, **named: Any) -> Any:
            if function.endswith(":read_each"):
                raise ElfError("one of them is too much")
            return call(function, *arguments, **named)

        monkeypatch.setattr(inspector, "call", spoilt)
        alone = inspect_files(inspector, opened[:4], patterns)
        assert [str(each) for each in alone] == [str(each) for each in together[:4]]
    finally:
        for file, _ in opened:
            os.close(file)


@pytest.mark.parametrize(
    ("request_name", "message"),
    [
        ("spin", "limits on memory or time"),
        ("crash", "crashed"),
        ("devour", "crashed, or exceeded the limits"),
        ("recurse", "RecursionError"),
    ],
)
def test_a_request_that_misbehaves_is_an_elf_error(inspector: Inspector, request_name: str, message: str) -> None:
    """Endless, crashing, devouring and bottomless requests end as ElfError, and the next one is served."""
    with pytest.raises(ElfError, match=message) as caught:
        ask(inspector, request_name)
    assert "\n" not in caught.value.message
    assert ask(inspector, "leave_something", value="") == ""


def test_a_busy_machine_delays_an_answer_up_to_a_bound(inspector: Inspector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that gets no processor time is given up at last, by the clock, and the next one is served."""
    monkeypatch.setattr("otel_jb.sandbox.client.BUSY", 0.5)
    with pytest.raises(ElfError, match="took longer than 1 s"):
        ask(inspector, "spin")
    monkeypatch.undo()
    assert ask(inspector, "nonsense") == [1, "x", {"a": None}]


def test_nothing_of_a_request_stays_for_the_next(inspector: Inspector) -> None:
    """State that one request leaves behind is not seen by the next."""
    assert ask(inspector, "leave_something", value="poison") == ""
    assert ask(inspector, "leave_something", value="poison") == ""


def test_only_functions_of_the_package_can_be_called(inspector: Inspector) -> None:
    """A request for anything outside `otel_jb.elf`, or for something private, is refused."""
    for name in (
        "os:getcwd",
        "otel_jb.model.errors:ExitCode",
        "otel_jb.elf.image:open_regular",
        "otel_jb.sandbox.report:_report",
    ):
        with pytest.raises(ElfError, match="not a function of the sandbox"):
            inspector.call(name, [])


def test_a_sandbox_that_died_is_replaced(inspector: Inspector, library: int) -> None:
    """A killed sandbox is started anew at the next request, which is answered."""
    killed = inspector._pid
    os.kill(killed, signal.SIGKILL)
    report = inspect_file(inspector, library, LIBRARY, ["jitter_buffer_put"])
    assert [symbol.name for symbol in report.symbols] == ["jitter_buffer_put"]
    assert inspector._pid != killed
    assert not Path(f"/proc/{killed}").exists()


def ended(pid: int, seconds: float = 10.0) -> bool:
    """Whether the process ends in time; one whose parent was killed may wait for whoever is its parent now."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False


def test_a_sandbox_that_nobody_asks_ends_and_the_next_gives_everything_up_too(
    monkeypatch: pytest.MonkeyPatch, library: int
) -> None:
    """It ends by itself, but not while a request runs. The one that is started for the next request is confined like the first."""
    monkeypatch.setattr("otel_jb.sandbox.server.IDLE_S", 1)
    for request in REQUESTS:
        monkeypatch.setattr(report, request.__name__, request, raising=False)
    with Inspector(cpu_seconds=5) as running:
        first = running._pid
        assert ask(running, "compute", seconds=2.5) == 2.5
        before = confined(first)
        assert ended(first)
        assert inspect_file(running, library, LIBRARY, ["jitter_buffer_put"]).symbols
        second = running._pid
        assert second != first
        assert confined(second) == before
        assert before["CapEff"] == before["CapPrm"] == before["CapBnd"] == "0" * 16 or os.geteuid()
        assert before["Seccomp"] == "2"
        assert before["own user"] or os.geteuid()
    assert ended(second)


def confined(pid: int) -> dict[str, object]:
    """What the kernel says of a server once it has given everything up."""
    deadline = time.monotonic() + 10
    while True:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        filters = int(status["Seccomp_filters"])
        if status["CapEff"].strip("0") == "" and filters >= 2:
            break
        assert time.monotonic() < deadline, status
        time.sleep(0.01)
    keys = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Groups")
    users = set(status["Uid"].split())
    return {**{key: status[key].strip() for key in keys}, "own user": users == {str(0x70000000 + pid)}}


def test_after_an_upgrade_no_server_of_another_version_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: int
) -> None:
    """What is installed now may not fit what runs, so no file is read until the restart, and the error says so."""
    installed = tmp_path / "version"
    installed.write_text("1")
    monkeypatch.setattr("otel_jb.sandbox.starter._installed", installed.read_text)
    with Inspector() as running:
        installed.write_text("2")
        assert inspect_file(running, library, LIBRARY, ["jitter_buffer_put"]).symbols  # it was started before
        os.kill(running._pid, signal.SIGKILL)
        with pytest.raises(ElfError, match="was replaced on disk") as caught:
            inspect_file(running, library, LIBRARY, ["jitter_buffer_put"])
        assert caught.value.help.startswith("Restart it")
        installed.write_text("1")
        assert inspect_file(running, library, LIBRARY, ["jitter_buffer_put"]).symbols


def test_without_what_starts_sandboxes_a_file_is_an_error(inspector: Inspector, library: int) -> None:
    """Killed from outside, it leaves a server that answers as long as it is there; then an error with a remedy."""
    os.kill(inspector._starter._pid, signal.SIGKILL)
    os.waitpid(inspector._starter._pid, 0)
    assert inspect_file(inspector, library, LIBRARY, ["jitter_buffer_put"]).symbols
    os.kill(inspector._pid, signal.SIGKILL)
    assert ended(inspector._pid)
    with pytest.raises(ElfError, match="cannot be started") as caught:
        inspect_file(inspector, library, LIBRARY, ["jitter_buffer_put"])
    assert caught.value.help == "Restart the agent."


def test_the_sandbox_ends_with_its_owner() -> None:
    """When the owner is killed, its sandbox ends by itself."""
    program = "from otel_jb.sandbox.client import Inspector; i = Inspector(); print(i._pid, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        descriptor = os.pidfd_open(int(owner.stdout.readline()))
        owner.kill()
        import select

        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(5000)
        os.close(descriptor)


def test_an_answer_is_never_believed(inspector: Inspector, library: int) -> None:
    """Answers of wrong shape, wrong types and impossible numbers are refused."""
    report = codec.encode(inspect_file(inspector, library, LIBRARY, ["jitter_buffer_put"]))
    good = report["symbols"][0]
    assert codec.decode(report, FileReport).symbols
    for plain in (
        [],
        ["f", 1, 0, ".symtab", "f", []],
        {**good, "address": -1},
        {**good, "address": 1 << 64},
        {**good, "name": 1},
        {**good, "source": "elsewhere"},
    ):
        with pytest.raises(ValueError, match=r"expected|negative|lacks|valid"):
            codec.decode({**report, "symbols": [plain]}, FileReport)
    with pytest.raises(ValueError, match="hexadecimal"):
        codec.decode({**report, "build_id": "../../x"}, FileReport)
    with pytest.raises(ElfError):
        sandbox._result(b"[" * 100_000, "file")
    with pytest.raises(ElfError):
        sandbox._result(b"null", "file")
    with pytest.raises(ElfError, match="own words"):
        sandbox._result(b'{"error": ["own words", ""]}', "file")


# -- separate symbols -------------------------------------------------------------------------------------------


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def stripped(tmp_path: Path) -> tuple[Path, Path]:
    """A stripped program with a debug link, and its debug file beside it."""
    source = tmp_path / "program.c"
    source.write_text(
        "__attribute__((noinline)) static int hidden_put(int x) { return x * 3; } int main(int c, char** v) { return hidden_put(c); }"
    )
    program, debug = tmp_path / "program", tmp_path / "program.debug"
    run("gcc", "-g", "-O1", "-Wl,--build-id", "-o", str(program), str(source))
    run("objcopy", "--only-keep-debug", str(program), str(debug))
    run("strip", "--strip-all", str(program))
    run("objcopy", f"--add-gnu-debuglink={debug}", str(program))
    return program, debug


def found_with(program: Path, debug: Path | None) -> list[tuple[str, SymbolSource]]:
    with Inspector() as inspector:
        files = [os.open(path, os.O_RDONLY) for path in (program, debug) if path]
        try:
            report = inspect_file(inspector, files[0], str(program), ["hidden_put"], files[1:])
        finally:
            for file in files:
                os.close(file)
    return [(symbol.name, symbol.source) for symbol in report.symbols]


def test_a_separate_debug_file_gives_the_names(stripped: tuple[Path, Path]) -> None:
    """What was stripped from a program is found in its debug file, and only in its own."""
    program, debug = stripped
    assert found_with(program, None) == []
    assert found_with(program, debug) == [("hidden_put", SymbolSource.DEBUG_FILE)]
    assert found_with(program, Path("/bin/true")) == []
    assert found_with(Path("/bin/true"), debug) == []


def test_the_debug_link_is_held_against_the_content(stripped: tuple[Path, Path]) -> None:
    """Name and CRC of the link are the debug file's; without build-ids another CRC is refused."""
    program, debug = stripped
    link = debugfile.debug_link(Image.from_file(program))
    assert link == ("program.debug", zlib.crc32(debug.read_bytes()))
    for path in (program, debug):
        run("objcopy", "--remove-section=.note.gnu.build-id", str(path))
    run("objcopy", "--remove-section=.gnu_debuglink", str(program))
    run("objcopy", f"--add-gnu-debuglink={debug}", str(program))
    assert found_with(program, debug) == [("hidden_put", SymbolSource.DEBUG_FILE)]
    with debug.open("ab") as file:
        file.write(b"changed")
    assert found_with(program, debug) == []


def test_debug_files_are_looked_for_where_debuggers_look() -> None:
    """The paths are those of the build-id and of the link, under the process' root first and then under the agent's."""
    paths = debugfile.candidate_paths("/usr/bin/srs", "abcdef", ("srs.debug", 1), "/proc/7/root")
    assert paths[0] == "/proc/7/root/usr/lib/debug/.build-id/ab/cdef.debug"
    assert "/proc/7/root/usr/bin/.debug/srs.debug" in paths
    assert "/usr/lib/debug/usr/bin/srs.debug" in paths
    assert debugfile.candidate_paths("/usr/bin/srs", None, None) == []
    assert "/usr/bin/srs" not in debugfile.candidate_paths("/usr/bin/srs", None, ("srs", 1))


def with_mini_debug(program: Path, content: bytes) -> Path:
    packed = program.with_suffix(".xz")
    packed.write_bytes(content)
    result = program.with_suffix(".mini")
    run("objcopy", f"--add-section=.gnu_debugdata={packed}", str(program), str(result))
    return result


def test_compressed_symbols_inside_the_file_are_found(stripped: tuple[Path, Path]) -> None:
    """The symbols of `.gnu_debugdata`, as Fedora leaves them, are found and said to be from there."""
    program, debug = stripped
    mini = with_mini_debug(program, lzma.compress(debug.read_bytes()))
    assert found_with(mini, None) == [("hidden_put", SymbolSource.MINI_DEBUG)]


def test_a_bomb_of_compressed_symbols_is_refused(stripped: tuple[Path, Path]) -> None:
    """Symbols that unpack to gigabytes, want a giant dictionary, or are damaged end as ElfError within the limits."""
    program, _ = stripped
    compressor = lzma.LZMACompressor(preset=0)
    bomb = b"".join([*(compressor.compress(bytes(16 << 20)) for _ in range(17)), compressor.flush()])
    assert len(bomb) < 1 << 20
    with pytest.raises(ElfError, match="unpacks to more than 256 MiB"):
        found_with(with_mini_debug(program, bomb), None)
    small = lzma.LZMACompressor(filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}])
    good = small.compress(b"x" * 1000) + small.flush()
    greedy = bytearray(good)
    greedy[16] = 40  # the block header's dictionary size: 4 GiB - 1
    end = 12 + greedy[12] * 4
    greedy[end : end + 4] = zlib.crc32(greedy[12:end]).to_bytes(4, "little")
    for damaged in (good[: len(good) // 2], b"not xz at all", bytes(greedy)):
        with pytest.raises(ElfError, match="gnu_debugdata"):
            found_with(with_mini_debug(program, damaged), None)
