# SPDX-License-Identifier: Apache-2.0
"""Keeps counters to which several functions add absent where one of those is missing: the rest of a sum is no sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from otel_jb.model.plan import Probe
from otel_jb.planner.inputs import FunctionMeaning

Place = tuple[str, int, str]  #: file, and what tells its probes apart


def place(probe: Probe) -> Place:
    """Where its function is."""
    return probe.file, *probe.place


def only_whole(probes: Sequence[Probe], meanings: Mapping[Place, FunctionMeaning]) -> list[Probe]:
    """The probes, without the counters to which another function adds that is not probed: a compiler may have dissolved it, or the user
    left it out.
    """
    known = [(probe, meanings[place(probe)]) for probe in probes if probe.adds and place(probe) in meanings]
    there: dict[tuple[str, str], set[str]] = {}
    for probe, meaning in known:
        for counter in probe.adds:
            there.setdefault((probe.profile, counter), set()).add(meaning.named)
    partial = {
        (probe.profile, counter)
        for probe, meaning in known
        for counter in probe.adds
        if meaning.adders.get(counter, frozenset()) - there[probe.profile, counter]
    }
    return [
        replace(probe, adds=tuple("" if (probe.profile, each) in partial else each for each in probe.adds))
        if any((probe.profile, each) in partial for each in probe.adds)
        else probe
        for probe in probes
    ]


def partial_note(probe: Probe, meaning: FunctionMeaning) -> tuple[str, ...]:
    """Says which counters are absent because of `only_whole`; empty where none is."""
    names = [counter for counter, kept in zip(meaning.adds, probe.adds, strict=True) if not kept]
    if not names:
        return ()
    what = ", ".join(name.replace("_", " ") for name in names)
    return (f"Absent: {what}, to which a function adds that is not probed here.",)
