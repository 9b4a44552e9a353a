# SPDX-License-Identifier: Apache-2.0
"""Functions of stripped files that are found by marks, against nm's names of the same file before it was stripped."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_jb.catalog.marks import infer, marks_of
from otel_jb.catalog.matching import Catalog, check
from otel_jb.catalog.spec import ProfileSpec
from otel_jb.code.marks import trails
from otel_jb.config import yamlfile
from otel_jb.config.model import Config, Inferred
from otel_jb.elf.image import Image
from otel_jb.elf.references import MAX_PLACES
from otel_jb.model.errors import AgentError, ConfigError
from otel_jb.model.marks import Mark, MarkKind
from otel_jb.model.plan import EndStrategy, Symbol, SymbolSource
from otel_jb.planner.planner import Planner, no_function
from otel_jb.sandbox.client import Inspector

pytestmark = pytest.mark.unit

SOURCE = Path(__file__).parent / "programs" / "marked.c"
PROFILE = """
profile: marked
title: a program whose functions log
telltale: "the queue is full, packet dropped"
functions:
  - name: put
    role: put
    primary: true
    returns: i32
    marks:
      - string: "the queue is full, packet dropped"
      - string: "a packet came too late"
      - called_by: "waited too long, fetching"
  - name: take
    role: get
    primary: true
    returns: i32
    marks:
      - starts: "the queue is empty"
      - {string: "a packet came too late", elsewhere: true}
  - name: fetch
    role: wait
    marks:
      - string: "waited too long, fetching"
      - calls: "the queue is full, packet dropped"
"""
BUILDS = {
    "gcc-O2": ["gcc", "-O2"],
    "gcc-Os": ["gcc", "-Os"],
    "gcc-O0-cf": ["gcc", "-O0", "-fcf-protection"],
    "gcc-O3-cold": ["gcc", "-O3", "-DCOLD"],
    "gcc-fixed": ["gcc", "-O2", "-no-pie", "-fno-pie"],
    "gcc-shared-text": ["gcc", "-O2", "-DMOVED"],
    "clang-O2": ["clang", "-O2"],
    "gcc-sections": ["gcc", "-O2", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"],
}


def profile(text: str = PROFILE) -> ProfileSpec:
    return check(yamlfile.parse(text, "marked.yaml", ProfileSpec))


def built(directory: Path, command: list[str], *options: str) -> tuple[Path, dict[str, tuple[int, int]]]:
    """The program, stripped, and what nm says of its functions: (address, size) by name."""
    whole, stripped = directory / "whole", directory / "server"
    subprocess.run([*command, *options, SOURCE, "-o", whole], check=True)
    lines = subprocess.run(["nm", "-S", whole], capture_output=True, text=True, check=True).stdout.splitlines()
    true = {p[3]: (int(p[0], 16), int(p[1], 16)) for line in lines if len(p := line.split()) == 4}
    strip = "aarch64-linux-gnu-strip" if "aarch64" in command[0] else "strip"
    subprocess.run([strip, "-o", stripped, whole], check=True)
    return stripped, true


def inferred(file: Path, spec: ProfileSpec | None = None) -> list[Symbol]:
    spec = spec or profile()
    image = Image.from_file(file)
    return infer(spec, {trail.mark: trail for trail in trails(image, marks_of([spec]))})


@pytest.mark.parametrize("build", BUILDS)
def test_each_function_is_found_where_nm_has_it(build: str, tmp_path: Path) -> None:
    """Whatever the compiler made of it, the address and size of each function are the true ones, without a doubt."""
    file, true = built(tmp_path, BUILDS[build])
    found = inferred(file)
    assert {symbol.name: (symbol.address, symbol.doubt) for symbol in found} == {
        name: (true[name][0], "") for name in ("put", "take", "fetch")
    }
    assert all(symbol.source is SymbolSource.INFERRED for symbol in found)
    (put,) = (symbol for symbol in found if symbol.name == "put")
    assert 'refers to "the queue is full, packet dropped"' in put.evidence
    assert 'is called by the function that refers to "waited too long, fetching"' in put.evidence


def test_a_caller_into_which_a_function_was_inlined_is_not_taken_for_it(tmp_path: Path) -> None:
    """The inlined function's text is in its caller: the caller is found, the inlined function is in doubt and says why."""
    file, true = built(tmp_path, BUILDS["gcc-O2"], "-DINLINED")
    assert "take" not in true
    found = {symbol.name: symbol for symbol in inferred(file)}
    assert (found["put"].address, found["put"].doubt) == (true["put"][0], "")
    assert "a packet came too late" in found["take"].doubt


def test_a_candidate_that_must_not_be_it_leaves_the_other(tmp_path: Path) -> None:
    """Two functions refer to a text; the one that a mark excludes is not the one that is sought, so the other is found without a doubt."""
    file, true = built(tmp_path, BUILDS["gcc-O2"], "-DMOVED")
    text = (
        PROFILE.partition("functions:")[0]
        + """functions:
  - name: other
    role: query
    marks:
      - string: "a packet came too late"
      - {string: "the queue is full, packet dropped", elsewhere: true}
"""
    )
    (found,) = inferred(file, profile(text))
    assert (found.name, found.address, found.doubt) == ("other", true["other"][0], "")


def test_two_functions_never_share_one(tmp_path: Path) -> None:
    """Without a mark that refuses it, an inlined function and its caller lead to one function, and both are in doubt."""
    file, _ = built(tmp_path, BUILDS["gcc-O2"], "-DINLINED")
    spec = profile(PROFILE.replace('      - {string: "a packet came too late", elsewhere: true}\n', ""))
    doubts = {symbol.name: symbol.doubt for symbol in inferred(file, spec)}
    assert doubts["put"] == doubts["take"] == "the marks of put and take lead to the same function"


@pytest.mark.parametrize(
    ("marks", "doubt"),
    [
        ('[{string: "the queue is empty, nothing to take"}, {string: "a packet came too late"}]', "fit 2 functions"),
        ('[{string: "waited too long, fetching"}, {string: "a text of another version"}]', "this build has no function"),
        ('[{string: "a packet came too late"}, {starts: "the queue"}, {string: "waited too long, fetching"}]', "disagree"),
        ('[{string: "a packet came too late"}, {called_by: "waited too long, fetching", elsewhere: true}]', "it also"),
    ],
)  # fmt: skip
def test_marks_that_do_not_agree_leave_a_doubt(marks: str, doubt: str, tmp_path: Path) -> None:
    """Marks that lead to different functions, that are missing, or that lead where they must not: the find is in doubt."""
    file, _ = built(tmp_path, BUILDS["gcc-O2"])
    text = f"{PROFILE.partition('functions:')[0]}functions:\n  - {{name: put, role: put, marks: {marks}}}\n"
    (found,) = inferred(file, profile(text))
    assert doubt in found.doubt


def test_a_doubtful_function_is_attached_only_on_request(tmp_path: Path) -> None:
    """Where one message moved, no probe is planned, and the error says that marks disagree, why, and what to do; --inferred all plans it."""
    file, _ = built(tmp_path, BUILDS["gcc-O2"])
    text = PROFILE.partition("  - name: take")[0]
    text = text.replace('called_by: "waited too long, fetching"', 'starts: "another text of a later version"')
    catalog = Catalog([profile(text)])
    with Inspector() as inspector:
        planner = Planner(Config(), inspector, catalog)
        examined = [planner.files.examine(str(file), "server")]
        plan = planner.plan(examined, named=True)
        assert [(probe.function, probe.role) for probe in plan.probes] == []
        assert [skipped.function for skipped in plan.skipped] == ["put"]
        error = no_function("server", "process 7", examined, plan)
        assert error.kind == "marks_disagree"
        assert "stripped" in error.message
        assert "another text of a later version" in (error.help or "")
        assert "--inferred all" in (error.help or "")
        assert str(file) in (error.help or "")

        everything = Planner(Config(inferred=Inferred.ALL), inspector, catalog)
        plan = everything.plan([everything.files.examine(str(file), "server")], named=True)
        (probe,) = plan.probes
        assert probe.function == "put"
        assert not probe.has_bytes
        assert probe.strategy is not EndStrategy.URETPROBE


def test_names_come_before_marks(tmp_path: Path) -> None:
    """Nothing is inferred in a file that keeps its names, and `--inferred none` plans nothing in one that does not."""
    file, true = built(tmp_path, BUILDS["gcc-O2"])
    catalog = Catalog([profile()])
    with Inspector() as inspector:
        planner = Planner(Config(), inspector, catalog)
        for path, source in ((file, SymbolSource.INFERRED), (file.with_name("whole"), SymbolSource.SYMTAB)):
            examined = planner.files.examine(str(path), "server")
            found = {each.symbol.function: (each.symbol.address, each.symbol.source) for each in examined.matches}
            assert found == {name: (true[name][0], source) for name in ("put", "take", "fetch")}
            probes = planner.plan([examined], named=True).probes
            assert {probe.function for probe in probes} == {"put", "take", "fetch"}
        nothing = Planner(Config(inferred=Inferred.NONE), inspector, catalog)
        assert nothing.plan([nothing.files.examine(str(file), "server")], named=True).probes == ()


def test_references_on_aarch64_are_found(tmp_path: Path) -> None:
    """`adrp` and `add` lead to the functions that nm named when the golden program was built."""
    golden = Path(__file__).parent / "golden" / "aarch64"
    if os.environ.get("RENEW_GOLDEN"):  # takes Debian's gcc-aarch64-linux-gnu
        command = ["aarch64-linux-gnu-gcc", "-O2", "-nostdlib", "-shared", "-fPIC", "-Wl,-z,max-page-size=4096"]
        file, true = built(tmp_path, command)
        shutil.copy(file, golden / "marked")
        names = {name: true[name][0] for name in ("put", "take", "fetch")}
        (golden / "marked.json").write_text(json.dumps(names) + "\n", encoding="utf-8")
    true_addresses = json.loads((golden / "marked.json").read_text(encoding="utf-8"))
    found = inferred(golden / "marked")
    assert {symbol.name: symbol.address for symbol in found} == true_addresses
    assert [symbol.doubt for symbol in found] == ["", "", ""]


VIRTUAL = """
#include <cstdio>
struct Base { virtual ~Base() {} virtual int first(int) = 0; virtual int second(int n) { return n; } };
struct Other { virtual int third(int) { return 3; } int x; };
struct Server : Base, Other {
  __attribute__((noinline)) int first(int n) override { puts("first"); return n + 1; }
  __attribute__((noinline)) int second(int n) override { return n * 7; }
  __attribute__((noinline)) int third(int n) override { return n * x; }
};
Base *make() { return new Server; }
int main(int argc, char **) { Base *b = make(); return b->first(argc) + b->second(argc); }
"""


@pytest.mark.parametrize("options", [[], ["-no-pie", "-fno-pie"], ["-Wl,-z,pack-relative-relocs"]])
def test_virtual_functions_are_found_by_the_name_of_their_class(options: list[str], tmp_path: Path) -> None:
    """The slots behind the type information of a class are the functions that nm names, whichever relocations the linker made."""
    whole, stripped = tmp_path / "whole", tmp_path / "stripped"
    subprocess.run(["g++", "-O2", *options, "-xc++", "-", "-o", whole], input=VIRTUAL, text=True, check=True)
    nm = subprocess.run(["nm", "-C", whole], capture_output=True, text=True, check=True).stdout.splitlines()
    true = {line.split(maxsplit=2)[2]: int(line.split()[0], 16) for line in nm if line[0] != " "}
    subprocess.run(["strip", "-o", stripped, whole], check=True)
    marks = [Mark(MarkKind.SLOT, "6Server", slot) for slot in (2, 3, 4, 400, None)]
    found = [[each.address for each in trail.functions] for trail in trails(Image.from_file(stripped), marks)]
    own = [true[f"Server::{name}(int)"] for name in ("first", "second", "third")]
    assert found[:4] == [[own[0]], [own[1]], [own[2]], []]
    destructors = {int(line.split()[0], 16) for line in nm if line.endswith("Server::~Server()")}
    assert len(destructors) == 2
    assert set(found[4]) == {*own, *destructors}


def test_a_text_that_is_everywhere_leads_nowhere(tmp_path: Path) -> None:
    """A file that repeats a mark's text thousands of times is not followed, and says so."""
    file = tmp_path / "server"
    words = "\n".join(
        f'const char t{n}[] __attribute__((section(".rodata.x"))) = "the queue is full";' for n in range(MAX_PLACES + 9)
    )
    subprocess.run(
        ["gcc", "-xc", "-", "-o", file], input=f"{words}\nint main() {{ return t3[1]; }}", text=True, check=True
    )
    (trail,) = trails(Image.from_file(file), [Mark(MarkKind.STRING, "the queue is full")])
    assert (trail.present, trail.functions) == (True, ())
    assert trail.problem == "the file has it too often"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return built(tmp_path_factory.mktemp("sample"), BUILDS["gcc-O3-cold"])[0].read_bytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_damaged_file_does_more_than_fail(sample: bytes, data: st.DataObject) -> None:
    """Whatever bytes are overwritten, the search ends with an answer or with an error that says that the file is damaged."""
    changed = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(64, len(changed) - 8))
        changed[at : at + 8] = struct.pack(
            "<Q", data.draw(st.sampled_from([0, 1, 0xFF, 1 << 31, (1 << 64) - 1, 0x9090909090]))
        )
    marks = [*marks_of([profile()]), Mark(MarkKind.SLOT, "the queue is full, packet dropped", 3)]
    try:
        found = trails(Image.from_bytes(bytes(changed), "damaged"), marks)
    except AgentError:
        return
    assert [trail.mark for trail in found] == marks


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('- string: "the queue is full, packet dropped"', "- slot: 3"), "either 'string'"),
        (('- string: "the queue is full, packet dropped"', '- {string: "a text", slot: 2}'), "only 'virtual_of'"),
        (('- starts: "the queue is empty"', '- {starts: "the queue is empty", optional: true}'), "at least one mark"),
        (('telltale: "the queue is full, packet dropped"\n', ""), "telltale"),
        (('- string: "waited too long, fetching"', '- string: "no"'), "3 to 400"),
    ],
)  # fmt: skip
def test_wrong_marks_are_refused(change: tuple[str, str], message: str) -> None:
    """A mark without a text, a class without a slot, marks that lead nowhere, marks without a telltale: file, line and what is wrong."""
    with pytest.raises(ConfigError) as raised:
        profile(PROFILE.replace(*change))
    assert message in raised.value.message
    assert "marked.yaml:" in raised.value.message


def test_a_profiles_word_holds_only_for_a_function_whose_name_is_known() -> None:
    """Found by marks, a function has no return probe because a profile vouches for it, and a static one is only counted and timed."""
    text = """
profile: server
title: a server
telltale: "the queue is full"
functions:
  - {name: put, role: put, primary: true, bytes: arg2, uretprobe: {vouch: "server.c"}, marks: [string: "the queue is full"]}
  - {name: step, role: decode, static: true, bytes: arg2, uretprobe: {vouch: "server.c"}, marks: [string: "a packet came late"]}
"""
    catalog = Catalog([profile(text)])
    for evidence, vouched, bytes_of in (
        ("", True, {"put": True, "step": True}),
        ("by", False, {"put": True, "step": False}),
    ):
        source = SymbolSource.INFERRED if evidence else SymbolSource.SYMTAB
        symbols = [Symbol(name, at, 16, source, name, evidence=evidence) for at, name in ((64, "put"), (128, "step"))]
        functions = {match.symbol.name: match.function for match in catalog.match(None, "server", symbols)}
        assert {name: function.has_bytes for name, function in functions.items()} == bytes_of
        assert all((function.uretprobe is not None) is vouched for function in functions.values())
