# SPDX-License-Identifier: Apache-2.0
"""`discover`: what it prints, that its JSON conforms to the schema, and how it refuses what it cannot read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from otel_jb.cli.main import main
from otel_jb.host import procfs
from otel_jb.model.errors import ExitCode
from otel_jb.model.plan import EndStrategy
from otel_jb.planner import planner
from otel_jb.planner.inputs import KernelFacts

LIBRARY = "/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "discover.schema.json").read_text(encoding="utf-8"))

SOURCE = """
#define KEEP __attribute__((noinline, used))
struct Packet { int n; };
struct FancyJitterBuffer { long t; KEEP int Put(Packet* p) { t += p->n; return 0; } KEEP int size() { return t; } };
extern "C" KEEP int my_own_queue(int x) { return x * 3; }
#include <unistd.h>
int main(int argc, char**) {
  FancyJitterBuffer b{0}; Packet p{argc}; b.Put(&p);
  if (argc > 1) { write(1, "ready\\n", 6); pause(); }
  return my_own_queue(b.size());
}
"""


def problems(value: Any, schema: dict[str, Any], place: str = "$") -> list[str]:
    """Where a document is not what a JSON schema says; knows the words that discover.schema.json uses."""
    if "$ref" in schema:
        return problems(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], place)
    unknown = schema.keys() - {
        "type", "enum", "properties", "required", "additionalProperties", "items", "minimum", "description", "title",
        "$schema", "$defs",
    }  # fmt: skip
    assert not unknown, f"the check does not know {unknown}"
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    names = {dict: "object", list: "array", str: "string", int: "integer", bool: "boolean", type(None): "null"}
    if names[type(value)] not in kinds:
        return [f"{place}: {names[type(value)]} instead of {kinds}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{place}: {value!r} is not one of {schema['enum']}")
    if "minimum" in schema and value is not None and value < schema["minimum"]:
        found.append(f"{place}: {value} is too small")
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += problems(item, schema["items"], f"{place}[{number}]")
    if isinstance(value, dict):
        found += [f"{place}: {key} is missing" for key in schema["required"] if key not in value]
        for key, item in value.items():
            if key in schema["properties"]:
                found += problems(item, schema["properties"][key], f"{place}.{key}")
            elif not schema["additionalProperties"]:
                found.append(f"{place}: {key} is unknown")
    return found


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("discover")
    (directory / "program.cpp").write_text(SOURCE)
    path = directory / "fancyserver"
    subprocess.run(["g++", "-O1", "-o", path, directory / "program.cpp"], check=True)
    return path


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A child that has printed a line, so that it is fully loaded."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            yield child
        finally:
            child.kill()


def speex() -> tuple[str, ...]:
    """A process that has libspeexdsp mapped."""
    return (
        sys.executable,
        "-c",
        f"import ctypes, time; ctypes.CDLL('{LIBRARY}'); print('x', flush=True); time.sleep(99)",
    )


def document(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """What discover --json printed, checked against its schema."""
    assert main(["discover", "--json", *arguments]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert problems(found, SCHEMA) == []
    return found


def by_name(target: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {function["function"]: function for function in target["functions"]}


def test_the_check_against_the_schema_bites() -> None:
    """A document with a wrong type, a missing, an unknown or an impossible value is found out."""
    good = {"schema_version": 1, "targets": [], "not_permitted": 0, "demangled": True}
    assert problems(good, SCHEMA) == []
    changes: list[dict[str, object]] = [
        {"schema_version": 2},
        {"targets": {}},
        {"not_permitted": -1},
        {"more": 1},
        {"demangled": None},
    ]
    for change in changes:
        assert problems({**good, **change}, SCHEMA) != []
    assert problems({"schema_version": 1}, SCHEMA) != []
    assert problems({**good, "targets": [{"name": "x"}]}, SCHEMA) != []


def test_the_schema_knows_every_strategy() -> None:
    """The schema lists the end strategies that the program has, and null for a function that is not probed."""
    known = SCHEMA["$defs"]["function"]["properties"]["strategy"]["enum"]
    assert known == [*(each.value for each in EndStrategy), None]


def test_a_library_is_listed_with_everything_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """Every jitter-buffer function of libspeexdsp is there with the address and size that nm prints."""
    (target,) = document(capsys, LIBRARY)["targets"]
    listed = subprocess.run(["nm", "-DS", "--defined-only", LIBRARY], check=True, capture_output=True, text=True).stdout
    expected = {
        match[3]: (int(match[1], 16), int(match[2], 16))
        for match in re.finditer(r"^(\w+) (\w+) T (jitter_buffer_\w+)", listed, re.MULTILINE)
    }
    functions = by_name(target)
    found = {name: (row["address"], row["size"]) for name, row in functions.items() if row["address"] is not None}
    assert found.items() <= expected.items()
    assert {"jitter_buffer_put", "jitter_buffer_get"} <= found.keys()
    put = functions["jitter_buffer_put"]
    assert (put["state"], put["role"], put["profile"], put["source"]) == ("probe", "put", "speexdsp", ".dynsym")
    assert put["primary"]
    assert put["strategy"] in ("edge-sites", "uretprobe", "ret-sites")
    assert put["reason"]
    assert target["files"][0]["soname"] == "libspeexdsp.so.1"
    assert target["files"][0]["stripped"]


def test_the_table_fits_and_tells_the_same(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of everything has a row for each function, its reason below it, within 100 columns."""
    monkeypatch.setenv("COLUMNS", "100")
    (target,) = document(capsys, LIBRARY)["targets"]
    assert main(["discover", "--all", LIBRARY]) == 0
    text = capsys.readouterr().out
    for function in target["functions"]:
        row = next(line for line in text.splitlines() if line.startswith(f"  {function['function']} "))
        assert function["role"] in row
        if function["address"] is not None:
            assert f"{function['address']:#x}" in row
    assert max(len(line) for line in text.splitlines()) <= 100


def test_what_is_not_measured_is_folded_below_what_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Each measured function has a row; below the last, the others share a line for each reason."""
    (target,) = document(capsys, LIBRARY)["targets"]
    assert main(["discover", LIBRARY]) == 0
    measured, _, rest = capsys.readouterr().out.partition("  not measured (--all: a row each):\n")
    rows = {line.split()[0] for line in measured.splitlines() if re.search(r" 0x[0-9a-f]+ ", line)}
    assert rows == {row["function"] for row in target["functions"] if row["state"] == "probe"}
    for row in target["functions"]:
        if row["state"] != "probe":
            assert row["reason"] in " ".join(rest.split())
            assert re.search(rf"\b{row['function']}\b", rest)


def test_a_server_that_is_newer_than_its_profile_is_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the version in the file, once, and without --all."""
    source, path = tmp_path / "server.cpp", tmp_path / "server"
    source.write_text("""struct SrsRtpRingBuffer { void notify_drop_seq(unsigned short); };
    __attribute__((noinline)) void SrsRtpRingBuffer::notify_drop_seq(unsigned short n) { __asm__ volatile("" ::"r"(n) : "memory"); }
    const char *version = "SRS/99.0.1(Next)";
    int main() { SrsRtpRingBuffer().notify_drop_seq(version[4]); }""")
    subprocess.run(["g++", "-O1", "-o", path, source], check=True)
    assert main(["discover", str(path)]) == 0
    assert capsys.readouterr().out.count("This is SRS/99.0.1; the profile was checked with") == 1


def test_a_process_is_searched_with_its_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    """The functions of a library are found in the process that has it mapped, under the path that the process sees."""
    with running(*speex()) as child:
        (target,) = document(capsys, str(child.pid))["targets"]
        every = document(capsys)["targets"]
    assert target["pid"] == child.pid
    assert by_name(target)["jitter_buffer_put"]["file"] == str(Path(LIBRARY).resolve())
    (same,) = [each for each in every if each["pid"] == child.pid]
    assert by_name(same).keys() == by_name(target).keys()


def test_a_shadow_stack_on_an_old_kernel_forbids_return_probes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before 6.11 a return probe kills a process that has a shadow stack: none is planned, and other tools' are warned of."""
    monkeypatch.setattr(planner, "kernel_facts", lambda **_: KernelFacts.of_version(6, 8))
    with running(*speex()) as child:
        (before,) = document(capsys, str(child.pid))["targets"]
        monkeypatch.setattr(procfs, "has_shadow_stack_and_filter", lambda pid: (pid == child.pid, False))
        (after,) = document(capsys, str(child.pid))["targets"]
    assert "uretprobe" in {each["strategy"] for each in before["functions"]}
    assert "uretprobe" not in {each["strategy"] for each in after["functions"]}
    assert "shadow stack" in by_name(after)["jitter_buffer_put"]["other_tools"]


def test_a_name_alone_is_said_to_be_no_knowledge(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A function that only its name gives away is generic; in a list of all processes it is left out with that reason."""
    (target,) = document(capsys, str(program))["targets"]
    put = by_name(target)["FancyJitterBuffer::Put"]
    assert (put["profile"], put["state"], put["role"]) == ("generic", "probe", "put")
    assert put["demangled"] == "FancyJitterBuffer::Put(Packet*)"
    assert "FancyJitterBuffer::size" not in by_name(target)
    with running(str(program), "stay") as child:
        (listed,) = [each for each in document(capsys)["targets"] if each["pid"] == child.pid]
    put = by_name(listed)["FancyJitterBuffer::Put"]
    assert (put["profile"], put["state"]) == ("generic", "skipped")
    assert "name" in put["reason"]


def test_a_function_that_no_profile_knows_can_be_asked_for(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--function` narrows the list, and finds what no profile knows; it would be probed."""
    (target,) = document(capsys, str(program), "--function", "my_own_*")["targets"]
    assert {name: row["state"] for name, row in by_name(target).items()} == {"my_own_queue": "probe"}
    row = by_name(target)["my_own_queue"]
    assert (row["role"], row["profile"]) == ("other", "none")


def test_what_a_profile_names_and_the_file_has_not_is_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """In FFmpeg's own build the static functions were inlined: they are listed as missing, with the reason."""
    import imageio_ffmpeg

    (target,) = document(capsys, imageio_ffmpeg.get_ffmpeg_exe())["targets"]
    functions = by_name(target)
    assert functions["ff_rtp_parse_packet"]["state"] == "probe"
    missing = {name: row for name, row in functions.items() if row["state"] == "missing"}
    assert missing
    for row in missing.values():
        assert "inlined" in row["reason"]
        assert row["address"] is None


def test_a_programs_libraries_are_searched_as_its_linker_finds_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Debian's ffmpeg has its jitter buffer in libavformat: `discover` and `plan` find it there, and say that a process may map another."""
    assert main(["discover", "/usr/bin/ffmpeg"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"libavformat\.so\.[0-9]+: x86_64, library", printed)
    assert re.search(r"ff_rtp_parse_packet \* +put +ffmpeg +0x[0-9a-f]+ +inferred", printed)
    assert "name its PID" in printed
    (target,) = document(capsys, "/usr/bin/ffmpeg")["targets"]
    program, library = target["files"]
    assert (program["kind"], library["kind"], program["stripped"]) == ("executable", "library", True)
    assert library["path"] == by_name(target)["ff_rtp_parse_packet"]["file"]
    assert main(["plan", "/usr/bin/ffmpeg", "--json"]) == 0
    planned = {each["function"] for each in json.loads(capsys.readouterr().out)["functions"]}
    assert planned == {row["function"] for row in target["functions"] if row["state"] == "probe"}
    # A program with a function of its own beside those of its library.
    (target,) = document(capsys, "/usr/bin/baresip")["targets"]
    assert Path(by_name(target)["stream_jbuf_reset"]["file"]).name == "baresip"
    assert Path(by_name(target)["jbuf_put"]["file"]).name == "libre.so.0"


def test_a_stripped_ffmpeg_says_what_helps(program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A build without names and marks: exit code 5, and debug symbols or a build with them are advised."""
    stripped = tmp_path / "ffmpeg"
    subprocess.run(["strip", "--strip-all", "-o", stripped, program], check=True)
    assert main(["discover", str(stripped)]) == ExitCode.NO_FUNCTION
    printed = capsys.readouterr()
    assert f"no jitter-buffer function in {stripped}" in printed.err
    assert "-dbgsym" in printed.err
    assert "--disable-stripping" in printed.err
    (target,) = document(capsys, str(stripped), code=ExitCode.NO_FUNCTION)["targets"]
    assert target["files"][0]["stripped"]


def test_symbols_in_a_debug_file_are_found_by_build_id(
    program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stripped program with its debug file beside it is read as if it were whole, and the source is said."""
    stripped = tmp_path / "fancyserver"
    shutil.copy(program, stripped)
    subprocess.run(["objcopy", "--only-keep-debug", stripped, tmp_path / "fancyserver.debug"], check=True)
    subprocess.run(["strip", "--strip-all", stripped], check=True)
    subprocess.run(["objcopy", f"--add-gnu-debuglink={tmp_path / 'fancyserver.debug'}", stripped], check=True)
    (target,) = document(capsys, str(stripped))["targets"]
    assert by_name(target)["FancyJitterBuffer::Put"]["source"] == "debug file"
    assert not target["files"][0]["stripped"]
    (tmp_path / "fancyserver.debug").unlink()
    (target,) = document(capsys, str(stripped), code=ExitCode.NO_FUNCTION)["targets"]
    assert target["files"][0]["stripped"]
    assert target["functions"] == []


def test_bad_targets_give_one_message_and_their_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is named that is no target, one line says what it is, the exit code tells its kind, nothing is printed."""
    fifo, text, cut, script = (tmp_path / name for name in ("fifo", "text", "cut", "script"))
    os.mkfifo(fifo)
    text.write_text("hello\n")
    script.write_text("#!/bin/sh\n")
    cut.write_bytes(Path(LIBRARY).read_bytes()[:20_000])
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    cases = [
        (str(tmp_path), ExitCode.NOT_ELF, "a directory"),
        (str(fifo), ExitCode.NOT_ELF, "a FIFO"),
        ("/dev/null", ExitCode.NOT_ELF, "a device"),
        (str(text), ExitCode.NOT_ELF, "not an ELF file"),
        (str(script), ExitCode.NOT_ELF, "a script"),
        (str(cut), ExitCode.NOT_ELF, "truncated"),
        (str(tmp_path / "none"), ExitCode.NO_TARGET, "no such file"),
        ("4194303", ExitCode.NO_TARGET, "no process with PID"),
        ("99999999", ExitCode.NO_TARGET, "is not a PID"),
        (str(zombie.pid), ExitCode.NO_TARGET, "has ended"),
        ("/bin/true", ExitCode.NO_FUNCTION, "no jitter-buffer function"),
    ]
    try:
        for target, code, message in cases:
            assert main(["discover", target]) == code, target
            printed = capsys.readouterr()
            assert printed.out == ""
            assert message in printed.err.splitlines()[0]
            assert printed.err.startswith("otel-jb: error: ")
            assert "Traceback" not in printed.err
    finally:
        zombie.wait()


def test_a_user_without_privileges_can_look_at_readable_files(tmp_path: Path) -> None:
    """As nobody, a readable library is listed, and other users' processes are counted, not failed on."""
    program = (
        "import os, sys\n"
        "from otel_jb.cli import main as cli, discover, listing\n"
        "from otel_jb.config import layers\nfrom otel_jb.planner import planner\n"
        "import otel_jb.sandbox.functions, otel_jb.sandbox.report, capstone, elftools.elf.structs\n"
        "catalog = planner.load()\n"
        "planner.load = lambda extra: catalog\n"  # the checkout may be where nobody cannot read
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "os._exit(cli.main(['discover', *sys.argv[1:]]) or sys.stdout.flush() or 0)\n"
    )
    command = [sys.executable, "-c", program]
    listed = subprocess.run([*command, LIBRARY], check=False, capture_output=True, text=True)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "jitter_buffer_put" in listed.stdout
    with running("sh", "-c", "echo; sleep 99"):
        host = subprocess.run([*command, "--json"], check=False, capture_output=True, text=True)
    assert host.returncode == 0
    assert json.loads(host.stdout)["not_permitted"] > 0
