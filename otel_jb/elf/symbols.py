# SPDX-License-Identifier: Apache-2.0
"""Finds function symbols fast: searches the bytes of the string table, and demangles only the hits.

A 200 MB library has 258 000 symbols; walking them as objects takes seconds, so the tables are read as bytes. Only functions
with code in the file count; undefined, data and absolute symbols do not. `find` also excludes indirect functions
(STT_GNU_IFUNC), because such a symbol is the resolver, which runs once, not the function.

**Patterns** are globs (`*`, `?`, `[...]`), case-sensitive. One matches a symbol if it matches

- the symbol's name as it is in the file, without clone suffix and version: `jb_put`, `_ZN7jb_base3putE*`, `ff_rtp_*`;
- the demangled name without arguments: `SrsRtpJitterBuffer::put`, `*JitterBuffer*::*`;
- the full demangled name, where the pattern has a parenthesis: `SrsRtpPacket::decode(SrsBuffer*)`.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import translate
from itertools import compress
from operator import and_
from typing import NamedTuple
from weakref import WeakKeyDictionary

from otel_jb.elf import gopclntab
from otel_jb.elf.demangle import demangle
from otel_jb.elf.image import Image
from otel_jb.elf.search import positions
from otel_jb.model.dataclass import dataclass
from otel_jb.model.names import base_name, literal_receiver, without_arguments
from otel_jb.model.plan import Symbol, SymbolSource

MAX_SYMBOLS = 1 << 24
MAX_STRINGS = 1 << 30  #: bytes of one string table
MAX_NAME = 16_384  #: maximum bytes of a name; longer ones are ignored

_ENTRY = struct.Struct("<IBBHQQ")
_STT_FUNC = 2
_STT_GNU_IFUNC = 10
_FUNCTIONS = (_STT_FUNC, _STT_GNU_IFUNC)
#: Of the byte that holds a symbol's type, whether it is a function.
_TYPES = bytes(info & 15 == _STT_FUNC for info in range(256))
_TYPES_WITH_INDIRECT = bytes(info & 15 in _FUNCTIONS for info in range(256))
_CHUNK = 4096  #: entries whose columns are taken together
_SHN_UNDEF = 0
_SHN_LORESERVE = 0xFF00
_SHN_XINDEX = 0xFFFF
_DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_GNU_HASH = 4, 5, 6, 10, 0x6FFFFEF5

_GLOBAL_CXX = re.compile(rb"_ZL?(\d+)")
_AFTER_Z = frozenset(b"%c" % letter for letter in b"L0123456789")
#: GCC and clang split `.cold` off, BOLT `.warm` too (https://github.com/llvm/llvm-project/blob/main/bolt/lib/Passes/SplitFunctions.cpp)
_COLD = re.compile(r"\.(?:cold|warm)(?:\.\d+)*$")
_GLOB = re.compile(r"\[!?\]?[^\]]*\]|[*?]")
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*|[\w$]+")
#: What a glob is made of: one of two letters, any other wildcard, the rest of an identifier.
_PART = re.compile(r"\[(\w\w)\]|(\[!?\]?[^\]]*\]|[*?])|([\w$]+)")
_MOST_SPELLINGS = 8
#: words of a demangled name that do not appear in the mangled one
_UNMANGLED_WORDS = frozenset(
    re.findall(
        r"\w+",
        """operator anonymous namespace lambda unnamed type std string wstring allocator basic_string basic_istream
        basic_ostream basic_iostream istream ostream iostream char_traits new delete co_await const volatile noexcept void
        bool char short int long float double unsigned signed auto decltype non virtual thunk to for clone transaction""",
    )
)


class RawSymbol(NamedTuple):
    """A function in a symbol table. `indirect` marks an STT_GNU_IFUNC, whose address is its resolver's."""

    name: str
    address: int
    size: int
    source: SymbolSource
    indirect: bool


@dataclass(frozen=True, slots=True)
class SymbolTable:
    """Bytes of a symbol table and of its string table."""

    source: SymbolSource
    entries: memoryview
    strings: bytes

    @property
    def count(self) -> int:
        """The number of entries, whether functions or not."""
        return len(self.entries) // _ENTRY.size

    def functions(self, only: Container[int] | None = None) -> Iterator[tuple[int, bytes, int, int, bool]]:
        """(position of the name, name, address, size, indirect) of every defined function; `only`: of those at these addresses."""
        strings, find = self.strings, self.strings.find
        for position, info, _, section, address, size in _ENTRY.iter_unpack(self.entries):
            kind = info & 15
            if kind not in _FUNCTIONS or section == _SHN_UNDEF or (only is not None and address not in only):
                continue
            if section >= _SHN_LORESERVE and section != _SHN_XINDEX:
                continue
            end = find(b"\0", position, position + MAX_NAME)
            if end > position:
                yield position, strings[position:end], address, size, kind == _STT_GNU_IFUNC

    def places(self, *, indirect: bool) -> tuple[list[int], list[int]]:
        """The positions of the names and the addresses of all defined functions; indirect ones among them or not."""
        positions_: list[int] = []
        addresses: list[int] = []
        types = _TYPES_WITH_INDIRECT if indirect else _TYPES
        step = _CHUNK * _ENTRY.size
        # A column takes a tenth of the time of its entries one by one.
        for start in range(0, len(self.entries), step):
            part = self.entries[start : start + step]
            sections = part.cast("H")[3::12].tolist()
            wanted = list(map(and_, bytes(part[4 :: _ENTRY.size]).translate(types), map(bool, sections)))
            positions_ += compress(part.cast("I")[::6].tolist(), wanted)
            addresses += compress(part.cast("Q")[1::3].tolist(), wanted)
        return positions_, addresses


_known: WeakKeyDictionary[Image, dict[SymbolSource | None, list[SymbolTable]]] = WeakKeyDictionary()


def tables(image: Image, source: SymbolSource | None = None) -> list[SymbolTable]:
    """The symbol tables of an image: `.symtab` first, then `.dynsym`, then a stripped Go program's own table of functions.

    `source` is the origin of a debug image.

    Without section headers, the dynamic table is found through its segment. Raises ElfError for an impossible table.
    """
    known = _known.setdefault(image, {})
    if source not in known:
        known[source] = _tables(image, source)
    return known[source]


def _tables(image: Image, source: SymbolSource | None) -> list[SymbolTable]:
    found = []
    for kind, default in (("SHT_SYMTAB", SymbolSource.SYMTAB), ("SHT_DYNSYM", SymbolSource.DYNSYM)):
        section = next((s for s in image.sections if s.type == kind), None)
        if section is None:
            continue
        if section.entry_size != _ENTRY.size or section.link >= len(image.sections):
            raise image.corrupt(f"the table {section.name} is malformed")
        strings = image.sections[section.link]
        if section.size // _ENTRY.size > MAX_SYMBOLS or strings.size > MAX_STRINGS:
            raise image.corrupt(f"the table {section.name} is too large")
        entries = section.view
        entries = entries[: len(entries) // _ENTRY.size * _ENTRY.size]
        if len(entries):
            found.append(SymbolTable(source or default, entries, strings.data))
    if not image.sections:
        found.extend(_table_by_segment(image))
    if all(table.source is not SymbolSource.SYMTAB for table in found) and (go := gopclntab.read(image)) is not None:
        found.append(SymbolTable(SymbolSource.GOPCLNTAB, memoryview(go.symbols()), go.strings))
    return found


def _table_by_segment(image: Image) -> Iterator[SymbolTable]:
    value = image.dynamic.value
    symbols, strings, size = value(_DT_SYMTAB), value(_DT_STRTAB), value(_DT_STRSZ)
    if symbols is None or strings is None or size is None or size > MAX_STRINGS:
        return
    count = _dynamic_count(image)
    if 0 < count <= MAX_SYMBOLS:
        entries = memoryview(image.read(symbols, count * _ENTRY.size))
        yield SymbolTable(SymbolSource.DYNSYM, entries, image.read(strings, size))


def _dynamic_count(image: Image) -> int:
    """The number of dynamic symbols, from the hash tables: without section headers, nothing else says it."""
    table = image.dynamic.value(_DT_HASH)
    if table is not None:
        return int(struct.unpack("<I", image.read(table + 4, 4))[0])
    table = image.dynamic.value(_DT_GNU_HASH)
    if table is None:
        return 0
    buckets, offset, bloom, _ = struct.unpack("<IIII", image.read(table, 16))
    if buckets > MAX_SYMBOLS:
        raise image.corrupt("its symbol hash table is too large")
    start = table + 16 + bloom * 8
    last = max(struct.unpack(f"<{buckets}I", image.read(start, buckets * 4)), default=0)
    if last < offset:
        return int(offset)
    chain = start + buckets * 4
    while last - offset < MAX_SYMBOLS:  # the chain of the last bucket ends at the last symbol, marked by its low bit
        (value,) = struct.unpack("<I", image.read(chain + (last - offset) * 4, 4))
        last += 1
        if value & 1:
            break
    return int(last)


def is_cold(name: str) -> bool:
    """Whether the symbol is an outlined part of a function that seldom runs, which is jumped to but never called."""
    return _COLD.search(name.partition("@")[0]) is not None


def all_functions(image: Image, debug: Sequence[tuple[Image, SymbolSource]] = ()) -> Iterator[RawSymbol]:
    """Every defined function symbol, lazily, table by table, without demangling or folding; includes cold parts."""
    for table in all_tables(image, debug):
        for _, name, address, size, indirect in table.functions():
            if image.is_executable(address):
                yield RawSymbol(_text(name), address, size, table.source, indirect)


def find(image: Image, patterns: Iterable[str], debug: Sequence[tuple[Image, SymbolSource]] = ()) -> list[Symbol]:
    """The functions that match any pattern, folded by address, in order of address.

    `debug` are additional images of the same program with their source (a separate debug file, `.gnu_debugdata`). A symbol's
    `name` is the one that matched, from the best table; other names of its address are its aliases. Cold parts are excluded.
    """
    matcher = Matcher(patterns)
    every_table = all_tables(image, debug)
    matched: dict[int, list[RawSymbol]] = {}
    for table in every_table:
        for raw in matcher.search(table):
            if not raw.indirect and not is_cold(raw.name) and image.is_executable(raw.address):
                matched.setdefault(raw.address, []).append(raw)
    if not matched:
        return []
    others: dict[int, list[RawSymbol]] = {address: [] for address in matched}
    for table in every_table:
        for _, name, address, size, indirect in table.functions(others):
            others[address].append(RawSymbol(_text(name), address, size, table.source, indirect))
    return [_fold(matched[address], others[address]) for address in sorted(matched)]


def joined(found: Sequence[Symbol], others: Sequence[Symbol]) -> tuple[Symbol, ...]:
    """Both lists, merged in order of address. A function in both lists appears once, with the aliases of both."""
    known = {symbol.address: symbol for symbol in found}
    for other in others:
        same = known.get(other.address)
        aliases = other.aliases if same is None else tuple(dict.fromkeys((*same.aliases, *other.aliases)))
        known[other.address] = replace(same or other, aliases=aliases)
    return tuple(known[address] for address in sorted(known))


def _fold(matched: list[RawSymbol], everything: list[RawSymbol]) -> Symbol:
    best = matched[0].source  # tables come in order of preference
    chosen = min((raw for raw in matched if raw.source is best), key=lambda raw: (len(raw.name), raw.name))
    names = {raw.name.partition("@")[0] for raw in everything} - {chosen.name.partition("@")[0]}
    return Symbol(
        name=chosen.name,
        address=chosen.address,
        size=chosen.size or max((raw.size for raw in everything), default=0),
        source=chosen.source,
        demangled=demangle(chosen.name.partition("@")[0]),  # `pthread_join@@GLIBC_2.34` is pthread_join
        aliases=tuple(sorted(names)),
    )


def all_tables(image: Image, debug: Sequence[tuple[Image, SymbolSource]]) -> list[SymbolTable]:
    """The tables of an image and of its debug images, best source first."""
    found = list(tables(image))
    for other, source in debug:
        found.extend(tables(other, source))
    order = [
        SymbolSource.SYMTAB,
        SymbolSource.DEBUG_FILE,
        SymbolSource.MINI_DEBUG,
        SymbolSource.DYNSYM,
        SymbolSource.GOPCLNTAB,
    ]
    return sorted(found, key=lambda table: order.index(table.source))


def _head(name: bytes) -> bytes:
    """The name up to its first dot or at sign, which a clone has in common with its function."""
    return name.partition(b".")[0].partition(b"@")[0]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


class Matcher:
    """A set of patterns, compiled for searches in string tables."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(dict.fromkeys(map(literal_receiver, patterns)))
        plain = {p for p in self.patterns if not _GLOB.search(p) and _is_plain(p)}
        self._exact = frozenset(p.encode() for p in plain)
        self._heads = frozenset(map(_head, self._exact))
        self._fragments = _fragments(p for p in self.patterns if p not in plain)
        self._names = _union(self.patterns)
        self._full = _union(p for p in self.patterns if "(" in p)

    def matches(self, name: str) -> bool:
        """Whether a pattern matches the symbol with this name."""
        base = base_name(name)
        if self._names(base) or self._names(name):
            return True
        demangled = demangle(base)
        if demangled == base:
            return False
        return self._names(without_arguments(demangled)) or self._full(demangled)

    def search(self, table: SymbolTable) -> Iterator[RawSymbol]:
        """The functions of a table that a pattern matches."""
        hits = self._positions(table.strings)
        last = len(hits)
        exact, heads = self._exact, self._heads
        for position, name, address, size, indirect in table.functions():
            # All names come through here: what is asked of each costs as much as the search of the strings.
            if (
                name in exact
                or ((b"." in name or b"@" in name) and _head(name) in heads and self._is_clone(name))
                or (name[:2] == b"_Z" and name[2:3] in _AFTER_Z and self._is_namesake(name))
                or (
                    last
                    and (at := bisect_left(hits, position)) < last
                    and hits[at] < position + len(name)
                    and self.matches(_text(name))
                )
                or (hits is _EVERYWHERE and self.matches(_text(name)))
            ):
                yield RawSymbol(_text(name), address, size, table.source, indirect)

    def _is_clone(self, name: bytes) -> bool:
        """Whether an exact pattern names the function of which this is a clone or a version."""
        return base_name(_text(name)).encode() in self._exact

    def _is_namesake(self, name: bytes) -> bool:
        """Whether an exact pattern names this global C++ function, `_Z3puti`; in a namespace a name is not plain."""
        found = _GLOBAL_CXX.match(name)
        if found is None or len(found[1]) > 5:
            return False
        return name[found.end() : found.end() + int(found[1])] in self._exact and self.matches(_text(name))

    def _positions(self, strings: bytes) -> list[int]:
        """Positions of the patterns' fragments in the string table, sorted; `_EVERYWHERE` if a pattern has no fragment."""
        if "" in self._fragments:
            return _EVERYWHERE
        return positions(strings, [fragment.encode() for fragment in self._fragments])


_EVERYWHERE: list[int] = []


def _is_plain(pattern: str) -> bool:
    return _IDENTIFIER.fullmatch(pattern.replace(".", "_")) is not None


def _union(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether any pattern matches. Most are plain names; compiling hundreds of them would take longer than the search."""
    given = list(patterns)
    exact = frozenset(pattern for pattern in given if not _GLOB.search(pattern))
    globs = [translate(pattern) for pattern in given if pattern not in exact]
    if not globs:
        return exact.__contains__
    expression = re.compile("|".join(f"(?:{glob})" for glob in globs))
    return lambda name: name in exact or expression.match(name) is not None


def _pieces(pattern: str) -> list[tuple[str, ...]]:
    """Literal parts that the mangled name must also contain if its demangled form matches, each with its spellings: one of them must be
    there. `*[jJ]buf[A-Z]*` has one part, jbuf or Jbuf. May be empty.
    """
    name = pattern.replace("(anonymous namespace)", "").partition("(")[0]
    name = re.sub(r"<.*", "", name)  # types of template arguments may be abbreviated when mangled
    pieces: list[tuple[str, ...]] = []
    ended = 0  # where the piece that may go on ends
    for part in _PART.finditer(name):
        letters, wildcard, word = part.groups()
        if wildcard:
            continue
        spellings = tuple(letters or (word,))
        if part.start() == ended and pieces and len(pieces[-1]) * len(spellings) <= _MOST_SPELLINGS:
            pieces[-1] = tuple(each + more for each in pieces[-1] for more in spellings)
        else:
            pieces.append(spellings)
        ended = part.end()
    return [piece for piece in pieces if not _UNMANGLED_WORDS.intersection(piece)]


def _fragments(patterns: Iterable[str]) -> set[str]:
    """A small set of literal fragments, one of them in whatever a pattern matches; each costs a pass over the string table."""
    needs = [pieces if (pieces := _pieces(pattern)) else [("",)] for pattern in patterns]
    uses = Counter(piece for pieces in needs for piece in set(pieces))
    chosen = {
        spelling
        for pieces in needs
        for spelling in max(pieces, key=lambda piece: (uses[piece] if len(piece[0]) > 7 else 0, len(piece[0])))
    }
    if "" in chosen:
        return {""}
    return {piece for piece in chosen if not any(other in piece for other in chosen if other != piece)}
