# SPDX-License-Identifier: Apache-2.0
"""Symbols against nm and readelf, names against c++filt, stubs against objdump."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import time
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otel_jb.elf import demangle, symbols
from otel_jb.elf.image import Image
from otel_jb.elf.imports import _stubs_aarch64, read_imports
from otel_jb.model.names import base_name, without_arguments
from otel_jb.model.plan import SymbolSource

LIBSTDCXX = "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"
LIBRARIES = ["/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1", "/lib/x86_64-linux-gnu/libc.so.6", LIBSTDCXX, "/bin/bash"]

SOURCE = """
#include <functional>
#include <string>
#define KEEP __attribute__((noinline, used))
struct SrsBuffer { int size; };
struct SrsRtpPacket { int n; KEEP int decode(SrsBuffer* b) { n += b->size; return n; } };
struct SrsRtpJitterBuffer {
  long total = 0;
  KEEP SrsRtpJitterBuffer() {}
  KEEP int put(SrsRtpPacket* p) { total += p->n; return 0; }
  KEEP SrsRtpPacket* get(int ms) const { return total > ms ? nullptr : (SrsRtpPacket*)1; }
  KEEP bool operator<(const SrsRtpJitterBuffer& o) const { return total < o.total; }
  KEEP int operator()(int x) { return x + total; }
};
namespace media { namespace { KEEP int JitterBufferPut(int x) { return x * 3; } }
  template <typename T> KEEP T clamp(T x, T y) { return x < y ? y : x; } }
extern "C" KEEP int jitterbuffer_put(int x) { return x + 1; }
extern "C" int jitterbuffer_alias(int) __attribute__((alias("jitterbuffer_put")));
KEEP int jitterbuffer_get(int x) { return x + 2; }
extern "C" __attribute__((noinline, used, cold)) void jb_cold(int x) { if (x > 7) __builtin_trap(); }
int main(int argc, char** argv) {
  SrsRtpJitterBuffer b; SrsRtpPacket p{argc}; SrsBuffer s{argc};
  b.put(&p); p.decode(&s); jb_cold(argc);
  return media::JitterBufferPut(argc) + media::clamp<int>(argc, 3) + (b < b) + b(3) + jitterbuffer_put(1)
       + jitterbuffer_get(1) + (b.get(argc) != nullptr);
}
"""


def output(*command: str, text: str | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment, input=text).stdout


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("symbols")
    (directory / "program.cpp").write_text(SOURCE)
    path = directory / "program"
    output("g++", "-O1", "-g0", "-o", str(path), str(directory / "program.cpp"))
    return path


def readelf_functions(path: str, table: str) -> set[tuple[str, int, int]]:
    """(name without version, address, size) of the defined functions of a table."""
    found = set()
    option = "--dyn-syms" if table == ".dynsym" else "-s"
    current = ""
    for line in output("readelf", "-W", option, path).splitlines():
        if line.startswith("Symbol table"):
            current = line.split("'")[1]
        fields = line.split()
        if current == table and len(fields) >= 8 and fields[3] in ("FUNC", "IFUNC") and fields[6] not in ("UND", "ABS"):
            found.add((fields[7].partition("@")[0], int(fields[1], 16), int(fields[2], 0)))
    return found


@pytest.mark.parametrize("path", LIBRARIES)
def test_all_functions_are_those_that_readelf_lists(path: str) -> None:
    """Names, addresses and sizes of all dynamic functions are readelf's, without exception."""
    found = {(f.name.partition("@")[0], f.address, f.size) for f in symbols.all_functions(Image.from_file(path))}
    assert found == readelf_functions(path, ".dynsym")
    assert len(found) > 10


def test_the_full_table_is_preferred_and_complete(program: Path) -> None:
    """`.symtab` is read completely, and a function in both tables is reported from it."""
    image = Image.from_file(program)
    own = {(f.name, f.address, f.size) for f in symbols.all_functions(image) if f.source is SymbolSource.SYMTAB}
    assert own == readelf_functions(str(program), ".symtab")
    assert {s.source for s in symbols.find(image, ["jitterbuffer_put"])} == {SymbolSource.SYMTAB}


@pytest.mark.parametrize(
    ("pattern", "functions"),
    [
        ("SrsRtpJitterBuffer::put", ["SrsRtpJitterBuffer::put"]),
        ("SrsRtpPacket::decode(SrsBuffer*)", ["SrsRtpPacket::decode"]),
        ("SrsRtpPacket::decode(int)", []),
        ("*JitterBuffer*::[pg]*", ["SrsRtpJitterBuffer::get", "SrsRtpJitterBuffer::put"]),
        ("*::put", ["SrsRtpJitterBuffer::put"]),
        ("SrsRtpJitterBuffer::operator<", ["SrsRtpJitterBuffer::operator<"]),
        ("SrsRtpJitterBuffer::operator()", ["SrsRtpJitterBuffer::operator()"]),
        ("SrsRtpJitterBuffer::SrsRtpJitterBuffer", ["SrsRtpJitterBuffer::SrsRtpJitterBuffer"]),
        ("media::(anonymous namespace)::JitterBufferPut", ["media::(anonymous namespace)::JitterBufferPut"]),
        ("media::clamp<int>", ["media::clamp<int>"]),
        ("_ZN18SrsRtpJitterBuffer3putE*", ["SrsRtpJitterBuffer::put"]),
        ("_ZN18SrsRtpJitterBuffer3putEP12SrsRtpPacket", ["SrsRtpJitterBuffer::put"]),
        ("jitterbuffer_put", ["jitterbuffer_put"]),
        ("jitterbuffer_get", ["jitterbuffer_get"]),
        ("jitterbuffer_g?t", ["jitterbuffer_get"]),
        ("*[jJ]itter[bB]uffer*::[pq]ut", ["SrsRtpJitterBuffer::put"]),
        ("[Jj]itter[bB]uffer_[]xg]et", ["jitterbuffer_get"]),
        ("jitterbuffer_alias", ["jitterbuffer_alias"]),
        ("JITTERBUFFER_PUT", []),
        ("put", []),
        ("printf", []),
    ],
)
def test_a_pattern_finds_exactly_what_it_names(program: Path, pattern: str, functions: list[str]) -> None:
    """Exact, mangled and demangled names and globs find their functions and no other."""
    found = symbols.find(Image.from_file(program), [pattern])
    assert [symbol.function for symbol in sorted(found, key=lambda s: s.function)] == functions


@given(st.text(alphabet="ab_[]!*?", min_size=1, max_size=12), st.text(alphabet="ab_]", min_size=1, max_size=8))
@example("[]b]a", "ba")
@example("[a]b]_", "a")
@example("[ab][ab][ab][ab]a", "baba_")
def test_a_glob_finds_the_names_that_fnmatch_says(pattern: str, name: str) -> None:
    """The search by literal parts of a glob misses no name that it matches, however its brackets are written."""
    entry = struct.pack("<IBBHQQ", 1, 2, 0, 1, 0x1000, 16)
    table = symbols.SymbolTable(SymbolSource.SYMTAB, memoryview(entry), b"\0" + name.encode() + b"\0")
    found = [raw.name for raw in symbols.Matcher([pattern]).search(table)]
    assert found == ([name] if fnmatchcase(name, pattern) else [])


def test_names_of_one_address_are_one_function(program: Path) -> None:
    """Aliases and the two constructors of a class are folded, with the other names kept."""
    image = Image.from_file(program)
    (put,) = symbols.find(image, ["jitterbuffer_put", "jitterbuffer_alias"])
    assert {put.name, *put.aliases} == {"jitterbuffer_put", "jitterbuffer_alias"}
    (constructor,) = symbols.find(image, ["SrsRtpJitterBuffer::SrsRtpJitterBuffer"])
    assert {name[-4:] for name in (constructor.name, *constructor.aliases)} == {"C1Ev", "C2Ev"}


def test_a_pattern_without_a_literal_part_searches_everything(program: Path) -> None:
    """`*` finds every function that nm calls text and that is no cold part."""
    found = {name for s in symbols.find(Image.from_file(program), ["*"]) for name in (s.name, *s.aliases)}
    listed = {
        line.split()[2]
        for line in output("nm", "--defined-only", str(program)).splitlines()
        if line.split()[1] in "TtWi" and line.split()[2] in {f[0] for f in readelf_functions(str(program), ".symtab")}
    }
    assert {name for name in listed if not symbols.is_cold(name)} == found


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("put.isra.0", "put"),
        ("put.part.1", "put"),
        ("put.constprop.0.isra.0", "put"),
        ("put.cold", "put"),
        ("put.part.0.cold", "put"),
        ("put.llvm.1234567.warm", "put"),
        ("put.specialized.1", "put"),
        ("put.lto_priv.0", "put"),
        ("put.llvm.1234567", "put"),
        ("memcpy@@GLIBC_2.14", "memcpy"),
        ("put.12", "put"),
        ("main.put", "main.put"),
        ("net/http.(*conn).serve", "net/http.(*conn).serve"),
    ],
)
def test_a_variant_is_known_by_its_function(name: str, base: str) -> None:
    """Clone suffixes and versions are taken off, the dots of other languages are not."""
    assert base_name(name) == base


def test_clones_are_found_and_cold_parts_are_not(tmp_path: Path) -> None:
    """A function that the compiler cloned is found by its own name; the parts that BOLT and compilers split off are no functions to probe."""
    source = tmp_path / "clones.s"
    names = [
        "queue_put.isra.0",
        "queue_put.cold",
        "queue_put.cold.0",
        "queue_put.llvm.12.warm",
        "queue_get.constprop.0",
        "queue_put.part.3",
    ]
    body = "".join(f'.type "{n}", @function\n"{n}":\n ret\n.size "{n}", 1\n' for n in names)
    source.write_text(".text\n.globl main\n.type main, @function\nmain: ret\n.size main, 1\n" + body)
    output("gcc", "-shared", "-nostdlib", "-o", str(tmp_path / "clones.so"), str(source))
    found = symbols.find(Image.from_file(tmp_path / "clones.so"), ["queue_put", "queue_get"])
    assert sorted(symbol.name for symbol in found) == ["queue_get.constprop.0", "queue_put.isra.0", "queue_put.part.3"]


def test_a_library_without_section_headers_is_searched_all_the_same(tmp_path: Path) -> None:
    """With the section headers cut off, the dynamic symbols are found through the dynamic segment."""
    original = Path(LIBRARIES[0]).read_bytes()
    data = bytearray(original)
    data[40:48] = bytes(8)  # e_shoff
    data[60:64] = bytes(4)  # e_shnum, e_shstrndx
    stripped = Image.from_bytes(bytes(data), "sstripped")
    assert not stripped.sections
    pattern = ["jitter_buffer_*"]
    assert symbols.find(stripped, pattern) == symbols.find(Image.from_file(LIBRARIES[0]), pattern) != []


def test_a_quarter_of_a_million_symbols_take_less_than_a_second() -> None:
    """258 000 symbols are searched for 350 patterns in well under a second of processor time."""
    count = 258_000
    names = b"\0" + b"".join(b"_ZN20some_namespace%06d8functionEv\0" % n for n in range(count))
    size = len(b"_ZN20some_namespace0000008functionEv\0")
    entries = b"".join(struct.pack("<IBBHQQ", 1 + n * size, 2, 0, 1, 0x1000 + n, 1) for n in range(count))
    table = symbols.SymbolTable(SymbolSource.SYMTAB, memoryview(entries), names)
    patterns = [f"c_function_{n}" for n in range(300)] + [f"SrsClass{n % 10}::method{n}" for n in range(40)]
    patterns += ["*[jJ]itter[bB]uf*", "*JitterBuffer*::*", "ff_rtp_*", "*some_namespace000777::*"]
    started = time.process_time()
    found = list(symbols.Matcher(patterns).search(table))
    taken = time.process_time() - started
    assert [raw.address for raw in found] == [0x1000 + 777]
    assert taken < 1.0


# -- demangling -------------------------------------------------------------------------------------------------


def mangled_names() -> list[str]:
    names = set()
    for line in output("nm", "-D", "--defined-only", LIBSTDCXX).splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in "TtWi" and fields[2].startswith("_Z"):
            names.add(fields[2].partition("@")[0])
    return sorted(names)


def test_names_demangle_as_cxxfilt_does() -> None:
    """Every function of libstdc++ demangles to what c++filt prints."""
    names = mangled_names()
    # -i: without the long form of std::string in the names of constructors, which is a choice of c++filt's alone
    expected = output("c++filt", "-i", text="\n".join(names)).splitlines()
    assert len(names) > 3000
    assert [demangle.demangle(name) for name in names] == expected


def test_names_without_arguments_are_what_cxxfilt_prints_without_parameters() -> None:
    """For every function of libstdc++, the name without arguments equals the output of `c++filt -p`."""
    names = mangled_names()
    expected = output("c++filt", "-p", "-i", text="\n".join(names)).splitlines()
    # Without parameters c++filt spells std::string and its kin out, and leaves the arguments of thunks alone.
    spelt = re.compile(r"S[siod]")
    compared = [
        (without_arguments(demangle.demangle(name)), other)
        for name, other in zip(names, expected, strict=True)
        if not spelt.search(name) and not name.startswith(("_ZT", "_ZGTt"))
    ]
    assert len(compared) > 2500
    assert [ours for ours, _ in compared] == [theirs for _, theirs in compared]


@pytest.mark.parametrize(
    ("full", "name"),
    [
        ("SrsRtpJitterBuffer::put(SrsRtpPacket*)", "SrsRtpJitterBuffer::put"),
        ("A::get(int) const [clone .cold]", "A::get"),
        ("A::get(int) const & [clone .part.0] [clone .cold]", "A::get"),
        ("void foo<int>(int)", "foo<int>"),
        ("std::vector<int, std::allocator<int> > A::list<int>(int) const", "A::list<int>"),
        ("A::operator()(int)", "A::operator()"),
        ("void A::operator()<int>(int)", "A::operator()<int>"),
        ("operator<(A, B)", "operator<"),
        ("bool operator< <int>(A<int>, B)", "operator< <int>"),
        ("std::ostream& operator<< <char>(std::ostream&, char)", "operator<< <char>"),
        ("A::operator->() const", "A::operator->"),
        ("A::operator std::vector<int>() const", "A::operator std::vector<int>"),
        ("A::operator bool() const", "A::operator bool"),
        ("operator new[](unsigned long)", "operator new[]"),
        ('operator"" _ms(unsigned long long)', 'operator"" _ms'),
        ("(anonymous namespace)::put(int)", "(anonymous namespace)::put"),
        ("A (anonymous namespace)::put<int>(int)", "(anonymous namespace)::put<int>"),
        ("void (*foo<int>(int))(char)", "foo<int>"),
        ("int (A::*foo<int>(A*))(int) const", "foo<int>"),
        ("int (&foo<int>(int))[3]", "foo<int>"),
        ("decltype (f(1)) foo<int>(int)", "foo<int>"),
        ("foo(int) const::{lambda(int)#1}::operator()(int) const", "foo(int) const::{lambda(int)#1}::operator()"),
        ("std::function<void (int)>::operator()(int) const", "std::function<void (int)>::operator()"),
        ("non-virtual thunk to A::put(int)", "non-virtual thunk to A::put"),
        ("foo[abi:cxx11](int)", "foo[abi:cxx11]"),
        ("B::~B()", "B::~B"),
        ("run(void (*)(int, char), int)", "run"),
        ("ff_rtp_parse_packet", "ff_rtp_parse_packet"),
        ("enqueue_packet.cold", "enqueue_packet.cold"),
        ("operator_count", "operator_count"),
        ("", ""),
    ],
)
def test_a_name_loses_arguments_return_type_and_qualifiers(full: str, name: str) -> None:
    """The function's own name is left: template arguments, operators and enclosing functions stay."""
    assert without_arguments(full) == name


@settings(max_examples=300)
@given(st.text(alphabet="()<>[]{}:*&, operator~constABC_1", max_size=60))
def test_any_text_keeps_a_name(text: str) -> None:
    """Nonsense neither raises nor loses everything, and what is left is part of it."""
    name = without_arguments(text)
    assert (name != "") == (text != "")
    assert name in text


@settings(max_examples=300)
@given(st.text(alphabet="_ZNSKIELTijPRv0123456789abcXst", max_size=80).map(lambda text: "_Z" + text))
def test_any_mangled_text_demangles_or_stays(name: str) -> None:
    """Nonsense that looks mangled becomes what c++filt's own library makes of it, or stays unchanged; its length is bounded."""
    assert 0 < len(demangle.demangle(name)) <= demangle.MAX_DEMANGLED


def test_a_name_that_grows_without_bound_stays_mangled() -> None:
    """A short name whose substitutions double its length at each step is left as it is where that becomes too long."""

    def doubled(steps: int) -> str:
        digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        return "_Z1f1pIiiE" + "".join(f"S_IS{digits[n]}_S{digits[n]}_E" for n in range(steps))

    assert (
        demangle.demangle(doubled(2))
        == "f(p<int, int>, p<p<int, int>, p<int, int> >, p<p<p<int, int>, p<int, int> >, p<p<int, int>, p<int, int> > >)"
    )
    assert demangle.demangle(doubled(16)) == doubled(16)


# -- imports ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LIBRARIES)
def test_stubs_are_those_that_objdump_names(path: str) -> None:
    """Address and name of every PLT stub are those that objdump prints."""
    expected = {}
    for section in (".plt", ".plt.sec", ".plt.got"):
        if section in output("readelf", "-WS", path):
            listing = output("objdump", "-d", "-j", section, path)
            for address, name in re.findall(r"^([0-9a-f]+) <([^>]+)@plt>:", listing, re.MULTILINE):
                if not name.startswith("*"):  # an indirect function of the library's own, which has no name
                    expected[int(address, 16)] = name.partition("@")[0]
    assert read_imports(Image.from_file(path)).stubs == expected
    assert expected


@pytest.mark.parametrize("options", [["-Wl,-z,lazy"], ["-Wl,-z,now"], ["-fcf-protection"], ["-fno-plt"]])
def test_imports_are_found_however_they_are_bound(options: list[str], tmp_path: Path) -> None:
    """Lazy, immediate, protected and PLT-less calls all lead to the imported name."""
    source = tmp_path / "caller.c"
    source.write_text("int strcmp(const char*, const char*); int call(char* a) { return strcmp(a, a + 1) + 1; }")
    library = tmp_path / "caller.so"
    output("gcc", "-O1", "-fno-builtin", "-shared", "-fPIC", *options, "-o", str(library), str(source))
    imports = read_imports(Image.from_file(library))
    relocations = output("readelf", "-Wr", str(library))
    slot = next(int(line.split()[0], 16) for line in relocations.splitlines() if " strcmp@" in line)
    assert imports.slots[slot] == "strcmp"
    assert ("strcmp" in imports.stubs.values()) == ("-fno-plt" not in options)


def test_stubs_of_aarch64_are_decoded(tmp_path: Path) -> None:
    """The stub that an AArch64 linker writes, with and without `bti c`, leads to its slot."""
    source = tmp_path / "stub.s"
    source.write_text(
        ".text\n adrp x16, #0x20000\n ldr x17, [x16, #0x18]\n add x16, x16, #0x18\n br x17\n"
        " hint #34\n adrp x16, #-0x10000\n ldr x17, [x16, #0xff8]\n add x16, x16, #0xff8\n br x17\n"
    )
    output("clang", "--target=aarch64-linux-gnu", "-c", "-o", str(tmp_path / "stub.o"), str(source))
    output("llvm-objcopy", "-O", "binary", "-j", ".text", str(tmp_path / "stub.o"), str(tmp_path / "stub.bin"))
    code = (tmp_path / "stub.bin").read_bytes()
    assert list(_stubs_aarch64(0x40000, code, 0)) == [(0x40000, 0x60018), (0x40010, 0x30FF8)]
