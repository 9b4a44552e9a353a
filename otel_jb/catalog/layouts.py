# SPDX-License-Identifier: Apache-2.0
"""The offsets of a profile's fields in one file, and the evidence for them.

If the target's debug information describes the type, it decides. Otherwise a layout of the profile applies if the file has all of its
evidence; if several layouts apply and differ, none is used. Nothing is assumed: a field without evidence has no place, but a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace

from otel_jb.catalog.expression import WIDTHS, FieldPlace
from otel_jb.catalog.spec import EvidenceSpec, LayoutSpec, ProfileSpec
from otel_jb.elf.types import Field
from otel_jb.model.dataclass import dataclass
from otel_jb.model.reads import SIGNED

Structs = Mapping[str, Mapping[str, FieldPlace]]

REMEDY = "install its debug symbols, build it with -g, or give a layout (a profile's `layouts`) that names this version by its build-id"


@dataclass(frozen=True, slots=True)
class Findings:
    """What one file says about types and versions."""

    types: Mapping[str, Mapping[str, Field | str]] = field(
        default_factory=dict
    )  #: by type and path; texts give the reason why not
    problem: str = ""  #: why debug information yielded nothing
    build_id: str | None = None
    symbols: frozenset[str] = frozenset()  #: those required as evidence
    perhaps: frozenset[str] = frozenset()  #: those that may be present: the end of a longer name looks the same
    strings: frozenset[str] = frozenset()
    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  #: by prefix


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions to ask about a file to place the fields of some profiles."""

    types: Mapping[str, tuple[str, ...]]
    symbols: tuple[str, ...]
    strings: tuple[str, ...]
    prefixes: tuple[str, ...]


def questions(profiles: Iterable[ProfileSpec]) -> Questions | None:
    """The questions for these profiles; None if all their fields have places already."""
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
    """The profile's structs with the places that the file's evidence yields."""
    held = [layout for layout in profile.layouts if _holds(layout.evidence, found)]
    return {
        struct: {name: _place(struct, name, place, held, found) for name, place in fields.items()}
        for struct, fields in profile.structs.items()
    }


def unchecked(profile: ProfileSpec, found: Findings) -> str:
    """A sentence about a file version that the profile was not checked with; "" if it was, or if the version is unknown."""
    checked = profile.checked
    versions = found.versions.get(checked.prefix, ()) if checked is not None else ()
    if checked is None or not versions or all(map(checked.holds, versions)):
        return ""
    return (
        f"This is {checked.prefix}{', '.join(versions)}; the profile was checked with {checked.from_} to {checked.to}."
    )


def assumed(structs: Structs) -> Structs:
    """The structs with a dummy place for every field, to check a profile without a file."""
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
        fields = [described.get(path, "nobody looked for it") for path in place.paths]
        for at in fields:
            if isinstance(at, Field):
                return replace(place, offset=at.offset, width=_width(at))
        return replace(place, offset=None, why=f"the debug information describes another {struct}: {fields[0]}")
    fit = [layout for layout in held if name in layout.fields.get(struct, {})]
    # A build-id identifies one link; all other evidence identifies a version.
    fit = [layout for layout in fit if layout.evidence.build_ids] or fit
    offsets = {layout.fields[struct][name] for layout in fit}
    if len(offsets) == 1:
        return replace(place, offset=offsets.pop())
    if offsets:
        return replace(place, offset=None, why=f"several layouts fit the file, but differ; {REMEDY}")
    if place.offset is not None:
        return place
    problem = found.problem or f"its debug information does not describe {struct}"
    return replace(place, why=f"{problem}, and nothing in the file shows which layout it has; {REMEDY}")


def _width(at: Field) -> int:
    return at.size | (SIGNED if at.signed and at.size in WIDTHS.values() else 0)
