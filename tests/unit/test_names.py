# SPDX-License-Identifier: Apache-2.0
"""The comparison of `discover` with readelf and c++filt, itself shown files in which something differs."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import names
from benchmarks.names import Tally, compare, discovered, lines, with_symbols
from otel_jb.cli.main import main
from otel_jb.model.plan import Symbol
from otel_jb.sandbox.client import Inspector

pytestmark = pytest.mark.unit

SOURCE = """
namespace media { struct Ring { int n; __attribute__((noinline)) int take(long k) const { return n + k; } }; }
template <typename T> __attribute__((noinline)) T larger(T a, T b) { return a < b ? b : a; }
extern "C" long smallest() { return -9223372036854775807 - 1; }
int main(int argc, char **) { media::Ring ring{argc}; return ring.take(3) + larger<int>(argc, 2); }
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A C++ program with its symbols, whose functions no profile knows."""
    path = tmp_path / "names"
    subprocess.run(["g++", "-O1", "-x", "c++", "-", "-o", path], input=SOURCE, text=True, check=True)
    return path


def tallied(path: Path) -> dict[tuple[str, str], Tally]:
    found: dict[tuple[str, str], Tally] = defaultdict(Tally)
    with Inspector() as inspector:
        compare(path, inspector, found)
    return found


def test_a_program_is_equal_in_everything(program: Path) -> None:
    """Every function that readelf lists is found, with its size and the name that c++filt gives it."""
    found = tallied(program)
    assert not [text for each in found.values() for text in each.differ]
    assert found["readelf", "addresses"].functions > 5
    assert found["c++filt", "demangled names"].functions == 2
    assert "| `c++filt` | demangled names | 1 | 2 | 0 |" in lines(found)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"address": 0x77}, ("readelf", "addresses")),
        ({"size": 3}, ("readelf", "sizes")),
        ({"name": "_ZN5media4Ring3putEl"}, ("readelf", "names")),
        ({"demangled": "media::Ring::take(int) const"}, ("c++filt", "demangled names")),
    ],
)
def test_what_differs_is_told(
    change: dict[str, Any], what: tuple[str, str], program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address, a size or a name that is wrong by a little is counted as different."""

    def changed(path: Path, inspector: Inspector) -> list[Symbol]:
        found = discovered(path, inspector)
        return [replace(symbol, **change) if "take" in symbol.name else symbol for symbol in found]

    monkeypatch.setattr(names, "discovered", changed)
    assert tallied(program)[what].differ


def test_files_are_chosen_by_their_symbols(program: Path, tmp_path: Path) -> None:
    """Texts, links, and copies of a build that is known are left out."""
    (tmp_path / "text").write_text("no program")
    (tmp_path / "link").symlink_to(program)
    (tmp_path / "stripped").write_bytes(program.read_bytes())
    subprocess.run(["strip", tmp_path / "stripped"], check=True)
    assert len(with_symbols([tmp_path], 500)) == 1
    subprocess.run(["g++", "-O2", "-x", "c++", "-", "-o", tmp_path / "other"], input=SOURCE, text=True, check=True)
    assert len(with_symbols([tmp_path], 500)) == 2
    assert len(with_symbols([tmp_path], 1)) == 1


def test_what_is_compared_is_what_discover_prints(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Address, size, symbol and demangled name of each function are those in the command's output."""
    assert main(["discover", str(program), "--function", "*", "--all", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["targets"][0]["functions"]
    printed = {(row["address"], row["size"] or 0, row["symbol"], row["demangled"]) for row in rows}
    with Inspector() as inspector:
        read = {(each.address, each.size, each.name, each.demangled) for each in discovered(program, inspector)}
    assert len(read) > 5
    assert read == printed
