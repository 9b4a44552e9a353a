# SPDX-License-Identifier: Apache-2.0
"""Bad input: one clear message, its exit code, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from otel_jb.model.errors import ExitCode
from tests.e2e.agent_process import COMMAND, TARGETS, AgentProcess, Conversation, free_tcp_port, until
from tests.scale import patience

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


def members(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                after_name = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(after_name[3]) == session and after_name[0] != "Z":
                    found.append(int(entry.name))
    return found


def run_to_its_end(directory: Path, *arguments: str, before: Sequence[str] = (), timeout: float = 30) -> Ended:
    """Run the command in a session of its own; nothing of it may live on, and no temporary file stay."""
    temporary = directory / "temporary"
    temporary.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [*before, str(COMMAND), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
    until(lambda: not members(process.pid), f"all of the session ends: {members(process.pid)}", timeout=5)
    assert list(temporary.iterdir()) == []
    return Ended(process.returncode, out, err)


def assert_one_message(ended: Ended, code: ExitCode, *fragments: str) -> None:
    """Exactly one error, with its exit code and these words, and no traceback."""
    assert "Traceback" not in ended.err
    assert ended.status == code, ended
    assert ended.err.count("error: ") == 1, ended.err
    assert ended.err.startswith("otel-jb: error: "), ended.err
    for fragment in fragments:
        assert fragment.lower() in ended.err.lower(), ended.err
    assert len(ended.err) < 1500


@pytest.fixture
def port() -> str:
    return str(free_tcp_port())


def kernel_thread() -> str:
    """The process id of kthreadd or, where it is not seen, of another kernel thread."""
    for entry in sorted(Path("/proc").iterdir(), key=lambda each: (len(each.name), each.name)):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                flags = int((entry / "stat").read_text().rpartition(")")[2].split()[6])
                if flags & 0x00200000:  # PF_KTHREAD, include/linux/sched.h
                    return entry.name
    raise AssertionError("no kernel thread in this PID namespace")


def unused_pid() -> str:
    for pid in range(4_000_000, 1_000, -1):
        if not Path(f"/proc/{pid}").exists():
            return str(pid)
    raise AssertionError("every PID is taken")


def test_no_such_process(tmp_path: Path, port: str) -> None:
    """A PID that nobody has is named, and the exit code says so."""
    pid = unused_pid()
    ended = run_to_its_end(tmp_path, "run", "--pid", pid, "--port", port)
    assert_one_message(ended, ExitCode.NO_TARGET, pid)


def test_kernel_thread(tmp_path: Path, port: str) -> None:
    """A kernel thread has no program to probe."""
    ended = run_to_its_end(tmp_path, "run", "--pid", kernel_thread(), "--port", port)
    assert_one_message(ended, ExitCode.NO_TARGET, "kernel thread")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The C++ server of the tests, with symbols."""
    built = tmp_path / "srs_like"
    subprocess.run(["g++", "-O1", "-pthread", "-o", built, TARGETS / "srs_like.cc"], check=True)
    return built


@pytest.mark.parametrize("after_seconds", [0.05, 0.15, 0.25, 0.35, 0.5, 0.8])
def test_a_process_that_ends_while_it_is_attached_to(
    tmp_path: Path, program: Path, port: str, after_seconds: float
) -> None:
    """Whenever the process ends: either it is reported as gone, or the agent notices, sums up, and ends too."""
    server = Conversation(program)
    process = subprocess.Popen(
        [str(COMMAND), "run", "--pid", str(server.pid), "--port", port],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        time.sleep(after_seconds)  # the moment is the input here
        server.end()
        assert process.stderr is not None
        err = process.communicate(timeout=patience(20))[1]
        assert "Traceback" not in err
        assert "internal error" not in err
        if process.returncode:
            assert_one_message(Ended(process.returncode, "", _last_error(err)), ExitCode.NO_TARGET, str(server.pid))
        else:
            assert f"process {server.pid}) ended" in err
            assert "Measured for " in err
        assert not members(process.pid)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _last_error(err: str) -> str:
    """What was logged before the error is no error."""
    return err[err.index("otel-jb: error:") :] if "otel-jb: error:" in err else err


def _text(path: Path, _: Path) -> None:
    path.write_text("#!/bin/sh\necho no program\n")
    path.chmod(0o755)


def _truncated(path: Path, program: Path) -> None:
    path.write_bytes(program.read_bytes()[:900])


def _half_header(path: Path, program: Path) -> None:
    path.write_bytes(program.read_bytes()[:20])


def _empty(path: Path, _: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path, program: Path) -> None:
    image = bytearray(program.read_bytes())
    struct.pack_into("<H", image, 18, 8)  # e_machine: EM_MIPS
    path.write_bytes(image)


def _other_machine(path: Path, program: Path) -> None:
    image = bytearray(program.read_bytes())
    struct.pack_into("<H", image, 18, 183 if os.uname().machine == "x86_64" else 62)
    path.write_bytes(image)


def _thirty_two_bits(path: Path, program: Path) -> None:
    identity = b"\x7fELF\x01\x01\x01" + bytes(9)
    path.write_bytes(identity + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0, 52, 0, 0, 52, 32, 0, 40, 0, 0) + bytes(200))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_text, ("elf",)),
        (_empty, ("elf",)),
        (_half_header, ("elf",)),
        (_truncated, ()),
        (_foreign, ()),
        (_thirty_two_bits, ("32",)),
    ],
)
@pytest.mark.parametrize("command", [("discover",), ("run", "--binary")])
def test_files_that_are_no_program_for_this_machine(
    tmp_path: Path,
    program: Path,
    port: str,
    make: Callable[[Path, Path], None],
    words: tuple[str, ...],
    command: tuple[str, ...],
) -> None:
    """Text, empty, truncated, foreign and 32-bit files are refused by name."""
    file = tmp_path / "victim"
    make(file, program)
    options = ["--port", port] if command[0] == "run" else []
    ended = run_to_its_end(tmp_path, *command, str(file), *options)
    assert_one_message(ended, ExitCode.NOT_ELF, "victim", *words)


def test_a_program_of_another_architecture_cannot_be_measured(tmp_path: Path, program: Path, port: str) -> None:
    """AArch64 code on x86-64 (or the other way round) is named as what it is."""
    file = tmp_path / "victim"
    _other_machine(file, program)
    ended = run_to_its_end(tmp_path, "run", "--binary", str(file), "--port", port)
    assert_one_message(ended, ExitCode.NOT_ELF, "aarch64", "x86_64")


@pytest.mark.parametrize("command", [("discover",), ("run", "--binary")])
@pytest.mark.parametrize("kind", ["directory", "fifo", "device", "missing"])
def test_paths_that_are_no_files(tmp_path: Path, port: str, kind: str, command: tuple[str, ...]) -> None:
    """A directory, a FIFO without a writer, a device and a missing file end at once, and none is read."""
    path = {"device": Path("/dev/zero")}.get(kind, tmp_path / "victim")
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    options = ["--port", port] if command[0] == "run" else []
    ended = run_to_its_end(tmp_path, *command, str(path), *options, timeout=15)
    if kind == "missing":
        assert_one_message(ended, ExitCode.NO_TARGET, str(path))
    else:
        assert_one_message(ended, ExitCode.NOT_ELF, str(path), kind)


def test_mutated_files_never_crash_the_agent(tmp_path: Path, program: Path) -> None:
    """Bytes of the headers and tables changed at random: functions are found or refused, never an internal error."""
    image = program.read_bytes()
    draw = random.Random(20)
    for number in range(16):
        mutated = bytearray(image)
        for _ in range(draw.choice([1, 4, 32])):
            place = draw.choice([draw.randrange(64), draw.randrange(64, 1024), draw.randrange(len(image))])
            mutated[place] = draw.randrange(256)
        # The section headers lie at the end of the file.
        mutated[len(image) - draw.randrange(1, 2000)] = draw.randrange(256)
        victim = tmp_path / f"victim{number}"
        victim.write_bytes(mutated)
        ended = run_to_its_end(tmp_path, "discover", str(victim))
        assert "Traceback" not in ended.err, (number, ended)
        assert ended.status in {ExitCode.OK, ExitCode.NOT_ELF, ExitCode.NO_FUNCTION}, (number, ended)


@contextlib.contextmanager
def running(*command: str | Path) -> Iterator[int]:
    process = subprocess.Popen([str(each) for each in command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        until(lambda: os.path.realpath(f"/proc/{process.pid}/exe") == str(Path(command[0]).resolve()), "it runs")
        yield process.pid
    finally:
        process.kill()
        process.wait()


def test_a_stripped_program(tmp_path: Path, program: Path, port: str) -> None:
    """Where the names are gone, the message says that the file is stripped and what to do."""
    stripped = tmp_path / "stripped"
    subprocess.run(["strip", "-o", stripped, program], check=True)
    with running(stripped) as pid:
        ended = run_to_its_end(tmp_path, "run", "--pid", str(pid), "--port", port)
    assert_one_message(ended, ExitCode.NO_FUNCTION, "stripped", "debug symbols")


def test_a_program_without_any_such_function(tmp_path: Path, port: str) -> None:
    """A program with symbols, none of which has to do with jitter buffers, is told apart from a stripped one."""
    source = tmp_path / "plain.c"
    source.write_text("#include <unistd.h>\nint main(void) { return (int)pause(); }\n")
    subprocess.run(["gcc", "-o", tmp_path / "plain", source], check=True)
    with running(tmp_path / "plain") as pid:
        ended = run_to_its_end(tmp_path, "run", "--pid", str(pid), "--port", port)
    assert_one_message(ended, ExitCode.NO_FUNCTION, "no jitter-buffer function")
    assert "stripped" not in ended.err


def test_a_function_pattern_that_matches_nothing(tmp_path: Path, program: Path, port: str) -> None:
    """--function with a name that the program does not have ends with the code for that."""
    with Conversation(program) as server:
        ended = run_to_its_end(
            tmp_path, "run", "--pid", str(server.pid), "--function", "Nobody::nothing", "--port", port
        )
    assert_one_message(ended, ExitCode.NO_FUNCTION)


def test_a_port_that_is_taken(tmp_path: Path, program: Path) -> None:
    """The address is named, and nothing was attached."""
    with socket.socket() as listener, Conversation(program) as server:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = str(listener.getsockname()[1])
        ended = run_to_its_end(tmp_path, "run", "--pid", str(server.pid), "--port", taken)
        assert_one_message(Ended(ended.status, "", _last_error(ended.err)), ExitCode.ADDRESS_IN_USE, taken)
        # The server goes on, unprobed.
        assert server.ask("run 1 40 0")["functions"]["SrsRtpPacket::decode"]["calls"] == 10


def test_no_privileges(tmp_path: Path, program: Path, port: str) -> None:
    """Without capabilities the message says which privilege is missing and how to get it."""
    setpriv = shutil.which("setpriv")
    assert setpriv is not None
    with Conversation(program) as server:
        ended = run_to_its_end(
            tmp_path,
            "run",
            "--pid",
            str(server.pid),
            "--port",
            port,
            before=[setpriv, "--bounding-set=-all", "--inh-caps=-all", "--"],
        )
    assert_one_message(ended, ExitCode.PERMISSION, "sudo")


def test_an_unknown_key_in_the_configuration(tmp_path: Path) -> None:
    """The message names file, line and key, and the key that was probably meant."""
    file = tmp_path / "agent.yaml"
    file.write_text("listen: 127.0.0.1:0\ntraces: false\nintervall: 5s\n")
    ended = run_to_its_end(tmp_path, "run", "--config", str(file))
    assert_one_message(ended, ExitCode.USAGE, f"{file}:3", "intervall", "'interval'")


def test_a_yaml_bomb(tmp_path: Path) -> None:
    """Aliases that would grow without bound are refused before they do."""
    file = tmp_path / "agent.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    file.write_text("\n".join(lines) + "\n")
    started = time.monotonic()
    ended = run_to_its_end(tmp_path, "run", "--config", str(file))
    assert_one_message(ended, ExitCode.USAGE, f"{file}:1", "anchor")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_an_otlp_endpoint_that_refuses(tmp_path: Path, program: Path, protocol: str) -> None:
    """The agent says so and goes on measuring; stopping takes at most 5 s and is clean."""
    refused = free_tcp_port()
    options = ["--otlp-endpoint", f"http://127.0.0.1:{refused}", "--otlp-protocol", protocol, "--interval", "1s"]
    with Conversation(program) as server:
        measuring = AgentProcess(tmp_path, "--pid", str(server.pid), *options)
        try:
            measuring.wait_until_ready()
            server.ask("run 1 400 0")
            until(lambda: str(refused) in measuring.log() and "WARN" in measuring.log(), "it is said", timeout=30)
            assert measuring.settled(server.pid).total("jitterbuffer_delay_seconds_count", pid=server.pid) == 400
            started = time.monotonic()
            assert measuring.stop() == 0
            assert time.monotonic() - started < 8
        finally:
            measuring.kill()
    assert "Traceback" not in measuring.log()
