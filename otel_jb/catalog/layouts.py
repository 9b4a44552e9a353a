# SPDX-License-Identifier: Apache-2.0
"""Where the fields of a profile's structs are in one file, and what says so.

The target's debug information decides where it describes the type. Without it a layout of the profile holds if the file shows all of
its evidence; layouts that hold and differ cancel each other. Nothing is assumed: else the field has no place, and a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from otel_jb.catalog.expression import WIDTHS, FieldPlace
from otel_jb.catalog.model import EvidenceSpec, LayoutSpec, ProfileSpec
from otel_jb.elf.types import Field
from otel_jb.model.reads import SIGNED

Structs = Mapping[str, Mapping[str, FieldPlace]]

REMEDY = "install its debug symbols, build it with -g, or give a layout (a profile's `layouts`) that names this version by its build-id"


@dataclass(frozen=True, slots=True)
class Findings:
    """What one file says of types and versions."""

    types: Mapping[str, Mapping[str, Field | str]] = field(default_factory=dict)  #: by type and path; texts say why not
    problem: str = ""  #: why debug information gave nothing
    build_id: str | None = None
    symbols: frozenset[str] = frozenset()  #: of those that evidence asks for
    perhaps: frozenset[str] = frozenset()  #: of those, what may be there: the end of a longer name looks the same
    strings: frozenset[str] = frozenset()
    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  #: by prefix


@dataclass(frozen=True, slots=True)
class Questions:
    """What must be asked of a file to place the fields of some profiles."""

    types: Mapping[str, tuple[str, ...]]
    symbols: tuple[str, ...]
    strings: tuple[str, ...]
    prefixes: tuple[str, ...]


def questions(profiles: Iterable[ProfileSpec]) -> Questions | None:
    """What to ask for these profiles; None where all their fields have their places."""
    types: dict[str, dict[str, None]] = {}
    symbols: dict[str, None] = {}
    strings: dict[str, None] = {}
    prefixes: dict[str, None] = {}
    for profile in profiles:
        for struct, fields in profile.structs.items():
            for place in fields.values():
                if place.paths:
                    types.setdefault(struct, {}).update(dict.fromkeys(place.paths))
        for layout in profile.layouts:
            evidence = layout.evidence
            symbols.update(dict.fromkeys((*evidence.symbols, *evidence.without)))
            strings.update(dict.fromkeys(evidence.strings))
            if evidence.version is not None:
                prefixes[evidence.version.prefix] = None
        if profile.checked is not None:
            prefixes[profile.checked.prefix] = None
    if not types:
        return None
    return Questions(
        {name: tuple(paths) for name, paths in types.items()}, tuple(symbols), tuple(strings), tuple(prefixes)
    )


def placed(profile: ProfileSpec, found: Findings) -> Structs:
    """The profile's structs with the places that the file's own evidence gives."""
    held = [layout for layout in profile.layouts if _holds(layout.evidence, found)]
    return {
        struct: {name: _place(struct, name, place, held, found) for name, place in fields.items()}
        for struct, fields in profile.structs.items()
    }


def unchecked(profile: ProfileSpec, found: Findings) -> str:
    """A sentence on a file whose version the profile was not checked with; "" where it was, or where nobody can say."""
    checked = profile.checked
    versions = found.versions.get(checked.prefix, ()) if checked is not None else ()
    if checked is None or not versions or all(map(checked.holds, versions)):
        return ""
    return (
        f"This is {checked.prefix}{', '.join(versions)}; the profile was checked with {checked.from_} to {checked.to}."
    )


def assumed(structs: Structs) -> Structs:
    """Structs whose every field has some place, so that a profile can be checked before there is a file."""
    return {
        struct: {
            name: place if place.offset is not None else replace(place, offset=8 * number)
            for number, (name, place) in enumerate(fields.items())
        }
        for struct, fields in structs.items()
    }


def _holds(evidence: EvidenceSpec, found: Findings) -> bool:
    versions = found.versions.get(evidence.version.prefix, ()) if evidence.version is not None else ()
    return (
        (not evidence.build_ids or found.build_id in evidence.build_ids)
        and all(name in found.symbols for name in evidence.symbols)
        and not any(name in found.perhaps for name in evidence.without)
        and all(text in found.strings for text in evidence.strings)
        and (evidence.version is None or (bool(versions) and all(map(evidence.version.holds, versions))))
    )


def _place(struct: str, name: str, place: FieldPlace, held: Sequence[LayoutSpec], found: Findings) -> FieldPlace:
    if not place.paths:
        return place
    described = found.types.get(struct)
    if described is not None:
        fields = [described.get(path, "it was not looked for") for path in place.paths]
        for at in fields:
            if isinstance(at, Field):
                return replace(place, offset=at.offset, width=_width(at))
        return replace(place, offset=None, why=f"the debug information describes another {struct}: {fields[0]}")
    fit = [layout for layout in held if name in layout.fields.get(struct, {})]
    # A build-id is of one link; whatever else the file shows is of a version.
    fit = [layout for layout in fit if layout.evidence.build_ids] or fit
    offsets = {layout.fields[struct][name] for layout in fit}
    if len(offsets) == 1:
        return replace(place, offset=offsets.pop())
    if offsets:
        return replace(place, offset=None, why=f"the file fits layouts that differ; {REMEDY}")
    if place.offset is not None:
        return place
    problem = found.problem or f"its debug information does not describe {struct}"
    return replace(place, why=f"{problem}, and nothing in the file says which layout it has; {REMEDY}")


def _width(at: Field) -> int:
    return at.size | (SIGNED if at.signed and at.size in WIDTHS.values() else 0)
