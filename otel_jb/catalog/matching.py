# SPDX-License-Identifier: Apache-2.0
"""The catalog: all profiles, and the matching of their functions with a file's symbols."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from otel_jb.catalog.expression import Scope
from otel_jb.catalog.generic import asked_profile, generic_profile
from otel_jb.catalog.layouts import Findings, Questions, Structs, assumed, placed, questions, unchecked
from otel_jb.catalog.marks import telltales
from otel_jb.catalog.model import FunctionProfile
from otel_jb.catalog.names import PATTERNS, node_of, shipped
from otel_jb.catalog.spec import FunctionSpec, LayoutFile, ProfileSpec
from otel_jb.config import yamlfile
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ConfigError
from otel_jb.model.names import literal_receiver
from otel_jb.model.plan import Symbol

_CLONE = re.compile(r"\.(part|isra|constprop|lto_priv|cold)\b")


@dataclass(frozen=True, slots=True)
class Match:
    """A symbol and what the catalog knows about it."""

    symbol: Symbol
    function: FunctionProfile


@dataclass(frozen=True, slots=True)
class _Entry:
    """One name of one function of one profile."""

    profile: ProfileSpec
    spec: FunctionSpec
    name: str
    primary: bool
    adders: Mapping[str, frozenset[str]]


class Catalog:
    """Profiles, indexed by the names of their functions. If two profiles know a name, the earlier one wins."""

    def __init__(self, profiles: Iterable[ProfileSpec]) -> None:
        self.profiles = tuple(profiles)
        self._entries: dict[str, list[_Entry]] = {}
        self._globs: list[_Entry] = []
        self._marks: list[_Entry] = []  # USDT probes: no function's name means one
        self._ignored: dict[str, str] = {}
        for profile in self.profiles:
            for entry in _entries(profile):
                if entry.spec.is_mark:
                    self._marks.append(entry)
                    continue
                self._entries.setdefault(entry.name, []).append(entry)
                if "*" in literal_receiver(entry.name).replace("[*]", ""):
                    self._globs.append(entry)
            for ignored in profile.ignored:
                self._ignored.update(dict.fromkeys(ignored.names, f"{profile.profile}: {ignored.reason}"))

    @property
    def has_marks(self) -> bool:
        """Whether a profile knows USDT probes, which may be in any library."""
        return bool(self._marks)

    def functions(self) -> list[FunctionProfile]:
        """Every function of every profile, with a dummy place for every field."""
        return [
            _profile(entry, assumed(entry.profile.structs))
            for entry in (*(entry for entries in self._entries.values() for entry in entries), *self._marks)
        ]

    def patterns(self, *, generic: bool = True) -> tuple[str, ...]:
        """Globs for `elf.symbols.find`: names of functions, of the marks that make a name credible, and of what functions call."""
        marks = (mark for profile in self.profiles for mark in _marks(profile))
        return tuple(dict.fromkeys([*self._entries, *marks, *(PATTERNS if generic else ())]))

    def libraries(self) -> tuple[str, ...]:
        """Globs of the libraries that profiles know, by soname or path."""
        every = (p.libraries or (p.only.soname if p.only is not None else ()) for p in self.profiles)
        return tuple(dict.fromkeys(glob for globs in every for glob in globs))

    def expects(self, soname: str | None, executable_name: str) -> bool:
        """Whether a profile is about files of this name."""
        marks = (mark for profile in self.profiles for mark in (profile.only,) if mark is not None)
        in_name = soname is not None and any(fnmatchcase(soname, glob.rpartition("/")[2]) for glob in self.libraries())
        return in_name or any(mark.holds(soname, executable_name, frozenset()) for mark in marks)

    def telltales(self) -> tuple[str, ...]:
        """The texts of which each says that functions of some profile may be found in a file by their marks."""
        return telltales(self.profiles)

    def nameless(self, found: Collection[str], symbols: Sequence[Symbol]) -> list[ProfileSpec]:
        """The profiles of which a file with these telltales may have functions, but no names of them."""
        names = frozenset(name for symbol in symbols for name in (*_names(symbol), symbol.function))
        return [
            profile
            for profile in self.profiles
            if profile.telltale in found
            and not any(function.marks and function.name in names for function in profile.functions)
        ]

    def ignored(self, name: str) -> str | None:
        """Why a function with this name (without arguments) is not probed although it looks like a jitter-buffer function."""
        return self._ignored.get(name)

    def match(
        self, soname: str | None, executable_name: str, symbols: Sequence[Symbol], asked: Sequence[str] = ()
    ) -> list[Match]:
        """The known functions among the symbols of one file, and those whose names suggest a jitter buffer (`generic`).

        `asked`: globs of functions that the user wants measured although nothing is known about them.
        `executable_name`: base name of the process's executable, or of the file itself if there is no process.
        """
        names = frozenset(name for symbol in symbols for name in (*_names(symbol), symbol.function))
        found: list[Match] = []
        for symbol in symbols:
            function = self._known(symbol, soname, executable_name, names)
            if function is None and not any(name in self._ignored for name in (*_names(symbol), symbol.function)):
                function = generic_profile(symbol)
            if function is None and symbol.is_meant(asked):
                function = asked_profile(symbol)
            if function is not None:
                found.append(Match(symbol, function))
        return found

    def match_marks(
        self, soname: str | None, executable_name: str, marks: Sequence[Symbol], symbols: Sequence[Symbol]
    ) -> list[Match]:
        """The USDT probes of one file, as symbols, that a profile knows."""
        names = frozenset(name for symbol in symbols for name in (*_names(symbol), symbol.function))
        found = []
        for mark in marks if self._marks else ():
            for entry in self._marks:
                only = (entry.profile.only, entry.spec.only)
                if fnmatchcase(mark.name, entry.name) and all(
                    each is None or each.holds(soname, executable_name, names) for each in only
                ):
                    function = replace(_profile(entry), name=mark.name)
                    layouts = (entry.profile.layout, entry.spec.layout)
                    if not all(each is None or each.holds(soname, executable_name, names) for each in layouts):
                        note = "The layout of this version is unknown: hits are counted, nothing is read."
                        function = function.untrusted(note, return_trusted=False)
                    found.append(Match(mark, function))
                    break
        return found

    def questions(self, matches: Sequence[Match]) -> Questions | None:
        """The questions to ask about the file with these functions, so that `place` can place their fields."""
        return questions(self._profiles_of(matches))

    def place(self, matches: Sequence[Match], found: Findings) -> list[Match]:
        """The same functions, with their profiles' fields placed as in this file."""
        profiles = self._profiles_of(matches)
        structs = {profile.profile: placed(profile, found) for profile in profiles}
        notes = {profile.profile: unchecked(profile, found) for profile in profiles}
        return [
            _placed_in(match, structs.get(match.function.profile), notes.get(match.function.profile, ""))
            for match in matches
        ]

    def _profiles_of(self, matches: Sequence[Match]) -> list[ProfileSpec]:
        names = {match.function.profile for match in matches if not match.function.generic}
        return [profile for profile in self.profiles if profile.profile in names]

    def _known(
        self, symbol: Symbol, soname: str | None, executable: str, names: frozenset[str]
    ) -> FunctionProfile | None:
        for name in (*_names(symbol), symbol.function):
            globs = [entry for entry in self._globs if fnmatchcase(name, entry.name)]
            for entry in (*self._entries.get(name, ()), *globs):
                marks = (entry.profile.only, entry.spec.only)
                if not all(mark is None or mark.holds(soname, executable, names) for mark in marks):
                    continue
                function = replace(_profile(entry), name=name)
                layouts = (entry.profile.layout, entry.spec.layout)
                if not all(mark is None or mark.holds(soname, executable, names) for mark in layouts):
                    function = function.untrusted(
                        "The layout of this version is unknown: only the return value is used.",
                        return_trusted=True,
                    )
                if symbol.doubt:
                    note = "It may be another function, so it is only counted and timed."
                    return replace(function.untrusted(note, return_trusted=False), inferred=True, doubtful=True)
                if symbol.evidence:
                    function = replace(function, inferred=True)
                    if entry.spec.static:
                        note = (
                            "A compiler may have given it other arguments, and no name says so: only counted and timed."
                        )
                        return function.untrusted(note, return_trusted=False)
                return _variant(function, symbol.name)
        return None


def load(extra: Sequence[Path] = ()) -> Catalog:
    """The user's own profiles, then the shipped ones. Raises ConfigError with file and line for a wrong one."""
    own: list[ProfileSpec] = []
    layouts: list[tuple[Path, LayoutFile]] = []
    for path in _files(extra):
        if _holds_layouts(path):
            layouts.append((path, yamlfile.load(path, LayoutFile)))
        else:
            own.append(check(yamlfile.load(path, ProfileSpec)))
    profiles = [*own, *_shipped()]
    for path, file in layouts:
        for name, more in file.layouts_of.items():
            if name not in {profile.profile for profile in profiles}:
                raise ConfigError(f"{path}: there is no profile {name}")
            try:
                profiles = [
                    replace(profile, layouts=(*more, *profile.layouts)) if profile.profile == name else profile
                    for profile in profiles
                ]
            except ValueError as error:
                raise ConfigError(f"{path}: {name}: {error}") from None
    return Catalog(profiles)


def check(profile: ProfileSpec) -> ProfileSpec:
    """The profile, every function of it compiled once. Raises ConfigError with file and line."""
    for entry in _entries(profile):
        function = _profile(entry, assumed(profile.structs))
        for each in (function, *(call.function for call in function.at_calls)):
            _ = each.program
    return profile


def _holds_layouts(path: Path) -> bool:
    try:
        with path.open("rb") as file:  # no more of it than is read as YAML: it may be a device, which has no end
            return re.search(rb"(?m)^layouts_of:", file.read(yamlfile.MAX_BYTES)) is not None
    except OSError:
        return False  # the caller reports it


def _shipped() -> Iterator[ProfileSpec]:
    for file in shipped():
        yield yamlfile.read(node_of(file), file.name, ProfileSpec)


def _files(given: Sequence[Path]) -> Iterator[Path]:
    for path in given:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(item for item in path.iterdir() if item.suffix in (".yaml", ".yml"))
        if not inside:
            raise ConfigError(f"{path}: no profile (*.yaml) in this directory")
        yield from inside


def _entries(profile: ProfileSpec) -> Iterator[_Entry]:
    """The names of a profile. If it marks no primary function of a role, the role's first function is primary."""
    marked = {spec.role for spec in profile.functions if spec.primary}
    adders = _adders(profile)
    for spec in profile.functions:
        primary = spec.primary or spec.role not in marked
        marked.add(spec.role)
        for name in (spec.name, *spec.also):
            yield _Entry(profile, spec, name, primary, adders)


def _adders(profile: ProfileSpec) -> dict[str, frozenset[str]]:
    """Which functions add to each counter of `model.added`, without those that only some versions have."""
    found: dict[str, set[str]] = {}
    for spec in profile.functions:
        for add in spec.adds if spec.only is None else ():
            found.setdefault(add.to, set()).add(spec.name)
    return {counter: frozenset(names) for counter, names in found.items()}


def _marks(profile: ProfileSpec) -> Iterator[str]:
    markers = [profile.only, profile.layout]
    for function in profile.functions:
        markers += [function.only, function.layout]
    for marker in markers:
        if marker is not None:
            yield from marker.symbols
    for function in profile.functions:
        for call in function.at_calls:
            yield from call.of


def _profile(entry: _Entry, structs: Structs | None = None) -> FunctionProfile:
    return FunctionProfile(
        profile=entry.profile.profile,
        name=entry.name,
        role=entry.spec.role.value,
        primary=entry.primary,
        spec=entry.spec,
        scope=Scope(entry.profile.values, structs or entry.profile.structs),
        adders=entry.adders,
        notes=entry.spec.notes,
    )


def _placed_in(match: Match, structs: Structs | None, note: str) -> Match:
    function = match.function
    if structs is None:
        return match
    scope = Scope(function.scope.values, structs)
    notes = f"{note} {function.notes}".strip()
    return replace(match, function=replace(function, scope=scope, notes=notes, unchecked=note))


def _names(symbol: Symbol) -> tuple[str, ...]:
    """The function's names in the file, without clone suffix and version, the matched one first."""
    return tuple(dict.fromkeys(_CLONE.split(name.partition("@")[0])[0] for name in (symbol.name, *symbol.aliases)))


def _variant(function: FunctionProfile, symbol: str) -> FunctionProfile:
    """The profile for a compiler's clone, whose arguments and memory accesses cannot be trusted."""
    kinds = {match.group(1) for match in _CLONE.finditer(symbol)}
    if not kinds or kinds == {"lto_priv"}:
        return replace(function)
    if "part" in kinds or "cold" in kinds:
        return function.untrusted(
            "Only a part of the function: calling it is not a call of the function.",
            return_trusted=False,
            whole=False,
        )
    return function.untrusted(
        "A clone made by the compiler, whose arguments may differ: only counted and timed.", return_trusted=False
    )
