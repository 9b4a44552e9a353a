# SPDX-License-Identifier: Apache-2.0
"""Functions named by where they begin, against nm."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from otel_jb.elf import places
from otel_jb.elf.image import Image
from otel_jb.model.plan import SymbolSource

SOURCE = """
#include <stdlib.h>
static __attribute__((noinline)) int hidden(int n) {
  volatile int space[8];
  if (__builtin_expect(n < 0, 0)) { space[0] = 1; abort(); }  /* the compiler moves this to hidden.cold */
  space[n & 7] = n;
  return n * n;
}
__attribute__((noinline)) int shown(int n) { volatile int sum = hidden(n); return sum + 1; }
int table[4];
int main(int argc, char **argv) { return shown(argc); }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program with its symbols."""
    path = tmp_path_factory.mktemp("places") / "program"
    subprocess.run(["gcc", "-O2", "-rdynamic", "-xc", "-", "-o", path], input=SOURCE, text=True, check=True)
    return path


@pytest.fixture(scope="module")
def stripped(program: Path) -> Path:
    """The same with nothing but its exported names."""
    path = program.with_name("stripped")
    shutil.copy(program, path)
    subprocess.run(["strip", path], check=True)
    return path


def addresses(program: Path) -> dict[str, int]:
    """Where nm says that things are."""
    lines = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout.splitlines()
    return {parts[2]: int(parts[0], 16) for line in lines if len(parts := line.split()) == 3}


def found(path: Path, *patterns: str) -> places.Places:
    """What is at these places of a file."""
    return places.find(Image.from_file(path), [str(path), path.name], patterns)


def test_a_function_of_a_stripped_file_is_found_by_its_address(program: Path, stripped: Path) -> None:
    """Its unwind entry proves it and gives its size; by the file's name, its path, a glob, or an exported name before it."""
    at = addresses(program)
    patterns = (f"stripped+{at['hidden']:#x}", f"{stripped}+{at['hidden']:#x}", f"strip*+{at['hidden']:#x}")
    for pattern in (*patterns, f"main+{at['hidden'] - at['main']:#x}"):
        (symbol,) = found(stripped, pattern).symbols
        assert (symbol.name, symbol.address, symbol.source) == (pattern, at["hidden"], SymbolSource.PLACE)
        assert 0 < symbol.size <= at["shown"] - at["hidden"]


def test_what_has_a_name_keeps_it(program: Path) -> None:
    """A place with a symbol is that function; the place is one more name, and two places are two."""
    at = addresses(program)
    patterns = (f"program+{at['hidden']:#x}", "hidden+0x0")
    (symbol,) = found(program, *patterns).symbols
    assert (symbol.name, symbol.source, symbol.aliases) == ("hidden", SymbolSource.SYMTAB, patterns)
    assert all(symbol.is_meant([pattern]) for pattern in patterns)


@pytest.mark.parametrize(
    ("name", "offset", "problem"),
    [
        ("hidden", 1, "no function begins there; the one around it begins 0x1 bytes earlier"),
        ("table", 0, "no code is there"),
        ("hidden.cold", 0, "only the outlined part of a function begins there; it is jumped to, never called"),
    ],
)
def test_a_place_where_no_function_begins_is_refused(
    program: Path, stripped: Path, name: str, offset: int, problem: str
) -> None:
    """A probe there could split an instruction; the reason is told, and nothing is found."""
    place = f"stripped+{addresses(program)[name] + offset:#x}"
    assert found(stripped, place) == places.Places(problems=(f"{place}: {problem}",))


def test_places_of_other_files_are_nothing_here(stripped: Path) -> None:
    """They may be in another file of the process: neither found nor a problem."""
    assert found(stripped, "other.so+0x1000", "nowhere+0x10", "shown") == places.Places()
