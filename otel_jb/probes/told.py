# SPDX-License-Identifier: Apache-2.0
"""What the stream of records tells of a probe: its series, and what became of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from otel_jb.model.errors import AttachError
from otel_jb.model.plan import Probe
from otel_jb.model.reads import Op, adds, emits_rtp, moves_packets
from otel_jb.model.stream import ProbeState, ProbeStatus, Series, Target
from otel_jb.probes.attach.verify import UnverifiedError
from otel_jb.probes.programs.reading import emits, told_at_entry
from otel_jb.probes.series import Attached


def new_series(number: int, target: Target, probe: Probe) -> Series:
    """The series of a function in a process, by its number, as its probe is measured now."""
    return Series(
        id=number,
        target=target.id,
        function=probe.function,
        role=probe.role,
        primary=probe.primary,
        profile=probe.profile,
        file=probe.file,
        fields=probe.read.fields,
        sources=probe.sources,
        error_return=probe.error_return,
        **_measured(probe, timed=probe.strategy.timed),
    )


def described(series: Series, probe: Probe) -> Series:
    """The series with what follows from how the probe is measured by now. What was ever timed keeps what was counted then."""
    return replace(series, **_measured(probe, timed=probe.strategy.timed or series.has_timing))


def _measured(probe: Probe, *, timed: bool) -> dict[str, Any]:
    """The fields of a series that follow from how its probe is measured; `timed`: its calls are, or were."""
    told = timed or told_at_entry(probe.read)
    return {
        "strategy": probe.strategy.value,
        "reason": probe.reason,
        "has_timing": timed,
        "has_packets": probe.has_packets and told,
        "has_bytes": probe.has_bytes and told,
        "has_depth": probe.has_depth and told,
        "has_duplicates": probe.has_duplicates and told,
        "has_underruns": probe.has_underruns and told,
        "drop_reasons": probe.drop_reasons if told else (),
        "adds": tuple(
            name if timed or number not in adds(probe.read.end) else "" for number, name in enumerate(probe.adds)
        ),
        "has_rtp": emits_rtp(probe.read),
        # Without the end nobody knows which packets came out, or passed.
        "has_residence": moves_packets(probe.read)
        and (timed or not any(emits(probe.read.end, op) for op in (Op.LEAVES, Op.PASSES))),
    }


def status(item: Attached, state: ProbeState, reason: str) -> ProbeStatus:
    """What became of a probe that has a series."""
    probe = item.probe
    return ProbeStatus(
        item.series.target,
        probe.function,
        probe.file,
        probe.profile,
        state,
        reason,
        probe.strategy.value,
        item.series.id,
    )


def failed(target: int, probe: Probe, why: AttachError) -> ProbeStatus:
    """Of a probe that could not be attached, and so has no series."""
    state = ProbeState.UNVERIFIED if isinstance(why, UnverifiedError) else ProbeState.FAILED
    return ProbeStatus(
        target, probe.function, probe.file, probe.profile, state, why.message, probe.strategy.value, None
    )
