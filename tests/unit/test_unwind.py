# SPDX-License-Identifier: Apache-2.0
"""Rules of AArch64's frames, compared with readelf's on a program that gcc made (`golden/aarch64/frames.c`)."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from otel_jb.elf.image import Image
from otel_jb.elf.unwind_tables import Frames, Row
from otel_jb.model import codec
from otel_jb.sandbox.unwind import Rule, read

GOLDEN = Path(__file__).parent / "golden/aarch64"
FLAGS = (
    "-O1 -fno-optimize-sibling-calls -fno-stack-protector -mbranch-protection=pac-ret -nostdlib -static "
    "-Wl,-z,max-page-size=4096,--build-id=none,--eh-frame-hdr"
).split()
_NUMBERS = {"sp": 31, "x29": 29}


@pytest.fixture(scope="module")
def program() -> Path:
    """An AArch64 program; with RENEW_GOLDEN=1 it is built anew, which takes Debian's gcc-aarch64-linux-gnu."""
    path = GOLDEN / "frames"
    if os.environ.get("RENEW_GOLDEN"):
        subprocess.run(["aarch64-linux-gnu-gcc", *FLAGS, "-o", path, GOLDEN / "frames.c"], check=True)
    return path


def output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def rules(path: Path, *addresses: int) -> list[Rule]:
    """What the sandbox would answer about these addresses."""
    with path.open("rb") as file:
        (found,) = read([file.fileno()], [path.name], [addresses])
    return [codec.decode(each, Rule) for each in found]


def symbols(path: Path) -> dict[str, int]:
    return {name: int(at, 16) for at, _, name in (line.split() for line in output("nm", path).splitlines())}


def test_places_of_frame_pointer_and_return_address_are_those_of_readelf(program: Path) -> None:
    """In every row, the frame's base and where x29 and x30 are saved are what readelf prints."""
    frames = Frames(Image.from_file(str(program)))
    columns: list[str] = []
    compared = set()
    for line in output("readelf", "-wF", "-W", program).splitlines():
        if line.split()[:1] == ["LOC"]:
            columns = line.split()
        elif re.match(r"[0-9a-f]{16} +\w+\+\d+", line):
            row = dict(zip(columns, line.split(), strict=True))
            address = int(row["LOC"], 16)
            frame = frames.at(address)
            if frame is None:  # of a common entry
                continue
            found = frame.row(address)
            assert found is not None
            base, _, offset = row["CFA"].partition("+")
            assert (found.register, found.offset) == (_NUMBERS[base], int(offset)), line
            for column, place in (("x29", found.frame_pointer_at), ("ra", found.return_address_at)):
                assert row.get(column, "u") == ("u" if place is None else f"c{place:+d}"), line
            compared.add((base, found.return_address_at is None))
    assert compared == {("sp", True), ("sp", False), ("x29", False)}


def test_only_what_nothing_calls_is_outermost(program: Path) -> None:
    """An undefined return address ends the stack; one that is only not saved is in x30."""
    at = symbols(program)
    undefined = {
        line.split()[-2] for line in output("readelf", "-wf", program).splitlines() if "DW_CFA_undefined" in line
    }
    assert undefined == {"r30"}
    start, put, inside = rules(program, at["_start"] + 0xF, at["put"], at["outer"] + 0xC)
    assert (start.function, start.base, start.outermost) == ("_start", "sp", True)
    assert (put.function, put.return_address_at, put.outermost) == ("put", None, False)
    assert (inside.function, inside.return_address_at, inside.outermost) == ("outer", -8, False)


def test_the_way_out_of_a_signal_handler_is_known_by_its_instructions(program: Path) -> None:
    """The kernel describes no frame there; only a return address to the first of the two instructions counts."""
    at = symbols(program)["__kernel_rt_sigreturn"]
    lines = output("objdump", "-s", "-j", ".text", program)
    assert "681180d2 010000d4" in lines
    back, itself, second = rules(program, at - 1, at, at + 3)
    assert back == Rule("signal", function="__kernel_rt_sigreturn")
    assert itself.base is None
    assert second.base is None


def test_what_is_restored_is_not_undefined_any_more() -> None:
    """`restore` and `restore_state` bring back what was known of the return address, `same_value` leaves it in x30."""
    rows = described(
        b"\x07\x1e"  # undefined x30
        b"\x41\x0a\x9e\x02"  # a word on: remember; x30 at CFA - 16
        b"\x41\x0b"  # restore the state
        b"\x41\x08\x1e"  # same_value x30
        b"\x41\x07\x1e"
        b"\x41\xde"  # restore x30
    )
    assert [(row.return_address_at, row.outermost) for row in rows] == [
        (None, True),
        (-16, False),
        (None, True),
        (None, False),
        (None, True),
        (None, False),
    ]


def test_what_is_said_of_signing_is_passed_over() -> None:
    """`negate_ra_state` has no operand, nor has the one for a PC; `set_ra_state` has two (DWARF for the Arm 64-bit Architecture)."""
    rows = described(b"\x2d\x41\x0e\x20\x2b\x01\x7c\x41\x0e\x30\x2c\x41\x0e\x40")
    assert [row.offset for row in rows] == [0, 0x20, 0x30, 0x40]


def described(instructions: bytes) -> tuple[Row, ...]:
    """The rows of one function whose frame description has these instructions; those of the common entry say CFA = sp."""
    image = Image.from_file(str(GOLDEN / "frames"))
    section = image.section(".eh_frame")
    assert section is not None
    common = b"\0\0\0\0" + b"\x01\0" + b"\x04\x78\x1e" + b"\x0c\x1f\x00"
    entry = struct.pack("<IQQ", 4 + len(common) + 4, 0x400000, 0x100) + instructions
    view = struct.pack("<I", len(common)) + common + struct.pack("<I", len(entry)) + entry
    image._by_name = {".eh_frame": replace(section, _buffer=view, offset=0, size=len(view))}
    frame = Frames(image).at(0x400000)
    assert frame is not None
    return frame.rows
