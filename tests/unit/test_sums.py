# SPDX-License-Identifier: Apache-2.0
"""Counters to which several functions add are whole, or absent."""

from __future__ import annotations

from dataclasses import replace

from otel_jb.catalog import load
from otel_jb.model.plan import EndStrategy, Probe, Symbol, SymbolSource
from otel_jb.model.reads import ReadProgram
from otel_jb.planner.inputs import FunctionMeaning
from otel_jb.planner.sums import Place, only_whole, partial_note, place
from tests.meanings import Meaning

VOICE, NOISE, CORRECTED = (
    f"webrtc::StatisticsCalculator::Expanded{name}"
    for name in ("VoiceSamples", "NoiseSamples", "VoiceSamplesCorrection")
)
ADDERS = {
    "concealed_samples": frozenset({VOICE, NOISE, CORRECTED}),
    "silent_concealed_samples": frozenset({NOISE}),
    "concealment_events": frozenset({VOICE, NOISE}),
}
ADDS = {
    VOICE: ("concealed_samples", "concealment_events"),
    NOISE: ("concealed_samples", "silent_concealed_samples", "concealment_events"),
    CORRECTED: ("concealed_samples",),
}


def planned(*names: str, file: str = "server") -> tuple[list[Probe], dict[Place, FunctionMeaning]]:
    """Probes of these functions, and what they mean."""
    probes: list[Probe] = []
    meanings: dict[Place, FunctionMeaning] = {}
    for address, name in enumerate(names, 0x1000):
        symbol = Symbol(name, address, 0, SymbolSource.SYMTAB, name)
        probe = Probe(name, symbol, file, None, "decode", False, "neteq", EndStrategy.ENTRY_ONLY, "", (), ReadProgram())
        probe = replace(probe, adds=ADDS.get(name, ()))
        probes.append(probe)
        meanings[place(probe)] = Meaning(profile="neteq", named=name, adds=probe.adds, adders=ADDERS)
    return probes, meanings


def test_with_all_that_add_nothing_changes() -> None:
    """Each function adds what its profile says."""
    probes, meanings = planned(VOICE, NOISE, CORRECTED, "another")
    assert only_whole(probes, meanings) == probes
    assert [partial_note(probe, meanings[place(probe)]) for probe in probes] == [()] * 4


def test_without_one_of_them_the_others_do_not_pass_for_the_sum() -> None:
    """What only those that are there add to stays; the place of what is absent in the kernel's words stays too."""
    probes, meanings = planned(VOICE, NOISE)
    voice, noise = only_whole(probes, meanings)
    assert voice.adds == ("", "concealment_events")
    assert noise.adds == ("", "silent_concealed_samples", "concealment_events")
    (note,) = partial_note(voice, meanings[place(voice)])
    assert note == "Absent: concealed samples, to which a function adds that is not probed here."
    (alone,) = only_whole(*planned(CORRECTED))
    assert alone.adds == ("",)


def test_a_profile_knows_who_adds() -> None:
    """Of NetEq's concealed samples all four functions that libwebrtc tells of them."""
    known = {function.name: function for function in load().functions()}
    assert known[VOICE].adders["concealed_samples"] == {VOICE, NOISE, CORRECTED, f"{NOISE}Correction"}
    assert known[VOICE].named == VOICE
