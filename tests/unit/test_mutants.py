# SPDX-License-Identifier: Apache-2.0
"""Real files with random damage: each is read or refused, within bounds on time and memory, and never breaks its reader.

Every mutant is drawn from a number of its own, which a failure names. OTEL_JB_TEST_MUTANTS=20000 is the whole of it.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import struct
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_jb.agent.recording import Reader, Writer
from otel_jb.catalog import load as load_catalog
from otel_jb.config.layers import load as load_configuration
from otel_jb.model.errors import AgentError, ElfError
from otel_jb.sandbox import functions, layout, prototypes, report, unwind
from tests import telemetry_samples as samples

#: Of all ELF files together. Continuous integration takes its time, a change does not wait so long.
MUTANTS = int(os.environ.get("OTEL_JB_TEST_MUTANTS") or (2_000 if os.environ.get("CI") else 40))
TEXT_MUTANTS = max(30, MUTANTS // 12)  #: of each kind: of 2 000, 500 in all
CPU_S, MEMORY_BYTES = 5, 300 << 20
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
FILES = [
    *(Path("/usr/bin") / name for name in ("baresip", "ffmpeg")),
    *(LIBRARIES / name for name in ("libspeexdsp.so.1", "libre.so.0", "libsrt-gnutls.so.1.5")),
    *(LIBRARIES / name for name in ("libc.so.6", "libstdc++.so.6", "libgcc_s.so.1")),
]
READ, REFUSED = 0, 3
VALUES = (0, 1, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


def damaged(original: bytes, tables: list[tuple[int, int]], number: int) -> bytes:
    """The file with damage of one kind, in its headers or tables more often than elsewhere."""
    draw = random.Random(number)
    data = bytearray(original)

    def place() -> int:
        start, size = draw.choice([(0, 64), (0, 1024), (0, len(data)), *tables])
        return min(len(data) - 8, start + draw.randrange(max(1, size)))

    kind = draw.randrange(5)
    for _ in range(draw.choice((1, 4, 32))):
        at = place()
        if kind == 0:
            data[at] = draw.randrange(256)
        elif kind == 1:
            struct.pack_into("<Q", data, at & ~7, draw.choice(VALUES))
        elif kind == 2:
            struct.pack_into("<I", data, at & ~3, draw.choice(VALUES) & 0xFFFFFFFF)
        elif kind == 3:
            other = place()
            data[at : at + 8], data[other : other + 8] = data[other : other + 8], data[at : at + 8]
        else:
            data[at : at + 64] = bytes([draw.choice((0, 0xFF, 0x80))]) * min(64, len(data) - at)
    return bytes(data[: draw.randrange(len(data))] if draw.randrange(8) == 0 else data)


def read_all(data: bytes) -> None:
    """What the agent reads of a file: names, functions, the code of some, and how to unwind from them."""
    file = os.memfd_create("mutant")
    assert os.write(file, data) == len(data)
    found = report.read([file], "mutant", ["*jitter*", "*packet*", "*alloc*", "*::put"])
    some = [(symbol["address"], symbol["size"]) for symbol in found["symbols"][:12]]
    functions.read([file], "mutant", some)
    layout.read([file], "mutant", {"packet": ["size", "next.size"]}, ["put"], ["SRS"], ["SRS/"])
    prototypes.read([file], "mutant", [address for address, _ in some])
    unwind.read([file], ["mutant"], [[address + 4 for address, _ in some]])
    os.close(file)


def outcome(data: bytes) -> tuple[int, str]:
    """How a process of its own ended that read a file, and what it wrote."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(0)
            mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY_BYTES,) * 2)
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            try:
                read_all(data)
                status = READ
            except ElfError:
                status = REFUSED
        except BaseException:  # noqa: BLE001 - whatever it is, the test says it
            os.write(writing, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(status)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as said:
        return os.waitstatus_to_exitcode(status), said.read().decode(errors="replace")


def tables_of(path: Path) -> list[tuple[int, int]]:
    """Where the file's sections lie that are read, (offset, size), and its section headers."""
    data = path.read_bytes()
    headers, (size, count) = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<HH", data, 58)
    found = [(headers, size * count)]
    for number in range(count):
        kind, _, _, offset, length = struct.unpack_from("<IQQQQ", data, headers + number * size + 4)
        if kind not in (0, 8) and length:  # SHT_NULL, SHT_NOBITS
            found.append((offset, length))
    return found


@pytest.mark.timeout(max(450, MUTANTS))
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_damaged_file_is_read_or_refused(path: Path) -> None:
    """Whatever is wrong with a real file, reading it takes at most 5 s of CPU and 300 MB, and ends with an answer or an ElfError."""
    original, tables = path.read_bytes(), tables_of(path)
    read_all(original)  # what that takes is imported, once for all
    assert outcome(original)[0] == READ
    assert outcome(original[:100])[0] == REFUSED
    for number in range(MUTANTS // len(FILES)):
        status, said = outcome(damaged(original, tables, number))
        assert status in (READ, REFUSED), f"mutant {number} of {path.name}: {said or f'ended with {status}'}"


def changed(original: bytes, number: int) -> bytes:
    """Text with bytes changed, lines removed, repeated or exchanged, or its end cut off."""
    draw = random.Random(number)
    lines = original.splitlines(keepends=True)
    for _ in range(draw.choice((1, 2, 8))):
        at, other = draw.randrange(len(lines)), draw.randrange(len(lines))
        kind = draw.randrange(5)
        if kind == 0 and lines[at]:
            line = bytearray(lines[at])
            line[draw.randrange(len(line))] = draw.choice(
                (0, 9, 32, 45, 58, 91, 123, 34, 38, 42, 0xC3, 0xFF, draw.randrange(256))
            )
            lines[at] = bytes(line)
        elif kind == 1:
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 2:
            lines.insert(at, lines[other])
        elif kind == 3:
            lines[at] = lines[at].replace(b"0", b"-1").replace(b"1", b"99999999999999999999")
        else:
            lines[at] = lines[at][: len(lines[at]) // 2]
    return b"".join(lines)


def read_recording(path: Path) -> None:
    with Reader(str(path)) as reader:
        for _ in reader:
            pass


def a_recording(path: Path) -> None:
    writer = Writer(str(path), (1_000_000, 5_000_000), 60_000_000_000)
    values = samples.snapshot(samples.snapshot_of(samples.PUT, [20_000_000] * 5))
    for record in (samples.SRS, samples.PUT, values, samples.FFMPEG, samples.PARSE, values):
        writer.write(record)
    writer.close()


def a_configuration(path: Path) -> None:
    path.write_text(
        "targets: [{name: srs, service_name: live}, {pid: 12}]\nlisten: 127.0.0.1:9310\ninterval: 10s\n"
        "functions:\n  include: ['*jitter*']\n  exclude: [x]\nhistogram: {kind: explicit, boundaries: [1ms, 5ms]}\n"
        "slow:\n  threshold: 10ms\n  rate: 100\noverhead: {budget: 1%}\nretain: 60s\notlp:\n  endpoint: http://127.0.0.1:4317\n"
    )


def a_profile(path: Path) -> None:
    from otel_jb import catalog

    shipped = next(Path(catalog.__file__).parent.rglob("srs-rtc.yaml"))
    path.write_bytes(shipped.read_bytes())


KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], object]]] = {
    "recording.jsonl": (a_recording, read_recording),
    "otel-jb.yaml": (a_configuration, load_configuration),
    "srs.yaml": (a_profile, lambda path: load_catalog([path])),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_text_is_read_or_refused(name: str, tmp_path: Path) -> None:
    """Whatever is wrong with a recording, a configuration or a profile, it is used or refused with the agent's own error."""
    make, read = KINDS[name]
    whole, mutant = tmp_path / f"whole-{name}", tmp_path / name
    make(whole)
    read(whole)
    original, refused = whole.read_bytes(), 0
    for number in range(TEXT_MUTANTS):
        mutant.write_bytes(changed(original, number))
        try:
            read(mutant)
        except AgentError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"mutant {number} of {name}") from error
    assert refused > 0
