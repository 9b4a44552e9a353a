# SPDX-License-Identifier: Apache-2.0
"""Where fields are, read from DWARF as compilers write it; the program's own addresses are the oracle."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from otel_jb.elf.dwarf import Dwarf, DwarfError
from otel_jb.elf.image import Image
from otel_jb.elf.types import Field, fields

PROGRAM = Path(__file__).parent / "programs" / "types.cc"
REFUSED = {
    ("media::Packet", "bits"): "bits is a bit field",
    ("media::Packet", "real"): "real is neither an integer nor a pointer",
    ("media::Packet", "header"): "header is neither an integer nor a pointer",
    ("media::Packet", "nothing"): "it has no field nothing",
    ("Virtual", "of_base"): "it is in a virtual base class, whose place is known only at run time",
}


def built(directory: Path, *flags: str) -> Path:
    compiler, *options = flags
    path = directory / "types"
    subprocess.run(
        [compiler, "-std=c++17", *options, "-c", "-o", directory / "types.o", PROGRAM], check=True, cwd=directory
    )
    subprocess.run(["g++", "-o", path, directory / "types.o"], check=True)
    return path


def truth(path: Path) -> dict[str, dict[str, Field]]:
    found: dict[str, dict[str, Field]] = defaultdict(dict)
    for line in subprocess.run([path], capture_output=True, text=True, check=True).stdout.splitlines():
        name, field, offset, size, signed = line.split()
        found[name][field] = Field(int(offset), int(size), signed == "1")
    return found


@pytest.mark.parametrize(
    "flags",
    [
        ("g++", "-gdwarf-4"),
        ("g++", "-gdwarf-5"),
        ("g++", "-gdwarf-5", "-O2", "-gz"),
        ("g++", "-gdwarf-4", "-gz=zlib-gnu"),
        ("g++", "-gdwarf-4", "-fdebug-types-section"),
        ("g++", "-gdwarf-5", "-fdebug-types-section", "-O2"),
        ("g++", "-gdwarf-3", "-gstrict-dwarf"),
        ("g++", "-gdwarf-5", "-gdwarf64"),
        ("clang++", "-gdwarf-4"),
        ("clang++", "-gdwarf-5", "-O1"),
        ("clang++", "-gdwarf-5", "-fdebug-types-section"),
    ],
    ids=" ".join,
)
def test_fields_are_where_the_program_has_them(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Offset, size and sign equal the program's, through base classes, unnamed members, typedefs and templates; the rest is refused."""
    path = built(tmp_path, *flags)
    expected = truth(path)
    wanted = {name: [*paths, *(p for n, p in REFUSED if n == name)] for name, paths in expected.items()}
    found = fields(Dwarf(Image.from_file(path)), wanted, 60)
    for name, paths in wanted.items():
        for field in paths:
            assert found.types[name][field] == (REFUSED.get((name, field)) or expected[name][field]), (name, field)


@pytest.mark.parametrize(
    "flags",
    [
        ("g++", "-gdwarf-4", "-gsplit-dwarf"),
        ("g++", "-gdwarf-5", "-gsplit-dwarf"),
        ("clang++", "-gdwarf-4", "-gsplit-dwarf"),
        ("clang++", "-gdwarf-5", "-gsplit-dwarf"),
    ],
    ids=" ".join,
)
def test_split_debug_information_is_read_from_the_file_that_belongs(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """The program names its `.dwo` file and a number; a file with another number says nothing."""
    path = built(tmp_path, *flags)
    expected = truth(path)
    wanted = {name: list(paths) for name, paths in expected.items()}
    program = fields(Dwarf(Image.from_file(path)), wanted, 60)
    assert not program.types
    ((directory, name, number),) = program.split
    split = Dwarf(Image.from_file(Path(directory) / name, debug=True))
    assert fields(split, wanted, 60, frozenset({number})).types == expected
    assert not fields(split, wanted, 60, frozenset({number ^ 1})).types


def test_two_types_of_one_name_are_none(tmp_path: Path) -> None:
    """Where two source files define a struct differently, nobody can say which one a pointer leads to."""
    for number, body in enumerate(("int a; int size;", "long a; int size;")):
        source = tmp_path / f"{number}.c"
        source.write_text(f"struct packet {{ {body} }}; int f{number}(struct packet *p) {{ return p->size; }}\n")
    library = tmp_path / "two.so"
    subprocess.run(["gcc", "-g", "-shared", "-fPIC", "-o", library, tmp_path / "0.c", tmp_path / "1.c"], check=True)
    found = fields(Dwarf(Image.from_file(library)), {"packet": ["size"]}, 60)
    assert found.types["packet"]["size"] == "there are different types packet"


def test_damaged_debug_information_is_one_error(tmp_path: Path) -> None:
    """Whatever is cut off or overwritten, the answer is right, absent, or a `DwarfError`; never anything else."""
    path = built(tmp_path, "g++", "-gdwarf-5")
    expected = truth(path)
    data = bytearray(path.read_bytes())
    image = Image.from_bytes(bytes(data), "types")
    wrong = 0
    for name in (".debug_info", ".debug_abbrev", ".debug_str"):
        section = image.section(name)
        assert section is not None
        for step in range(40):
            at = section.offset + section.size * step // 40
            broken = bytes(data[:at]) + bytes([data[at] ^ 0xFF, 0xFF]) + bytes(data[at + 2 :])
            try:
                found = fields(Dwarf(Image.from_bytes(broken, "types")), {"Packed": ["value"]}, 5)
            except DwarfError:
                continue
            value = found.types.get("Packed", {}).get("value")
            wrong += isinstance(value, Field) and value != expected["Packed"]["value"]
    assert wrong == 0
