# SPDX-License-Identifier: Apache-2.0
"""Finds functions that measure nothing beyond a profile's primary functions, so that attaching them only adds cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from otel_jb.model.reads import Op, emits_rtp
from otel_jb.planner.inputs import FunctionMeaning, MatchedFunction

REASON = "its profile's primary functions measure as much; --detail all attaches it"
UNTIMED = "its entry shows all that it is attached for; --detail all times it"
TIMED_BY_NAME = "its entry shows all that it is attached for; its profile has it timed by name only"
_OF_BUFFERS = frozenset({Op.DEPTH, Op.OPEN, Op.CLOSE, Op.ENTERS, Op.LEAVES, Op.EMPTIES})

_Group = tuple[str, str]  #: profile and role


class Told:
    """What the primary functions of one file tell, by profile and role."""

    def __init__(self, matches: Iterable[MatchedFunction]) -> None:
        """Primary functions that are attached only on demand count as absent."""
        self._told: dict[_Group, set[str]] = defaultdict(set)
        self._primary: set[_Group] = set()
        for match in matches:
            meaning = match.function
            if meaning.primary and meaning.attach_by_default and not meaning.detail:
                self._primary.add((meaning.profile, meaning.role))
                self._told[meaning.profile, meaning.role].update(_metrics(meaning))

    def needs(self, meaning: FunctionMeaning) -> bool:
        """Whether some metric is missing or staler without this function. How full a buffer is, and whether it is, every function adds to."""
        if meaning.detail:
            return False
        group = (meaning.profile, meaning.role)
        # What several functions add to one counter, only all of them tell.
        alone = group not in self._primary or _sees_buffers(meaning) or meaning.adds
        if meaning.primary or meaning.generic or alone:
            return True
        return not self._told[group].issuperset(_metrics(meaning))

    def why_untimed(self, meaning: FunctionMeaning, *, detail: bool) -> str | None:
        """Why the entry shows all that this function is attached for, where it does: its end tells nothing, and its times are a detail, or its
        role's are those of the primary. With `detail` it is timed nevertheless, unless its profile says: by name only.
        """
        if meaning.generic or meaning.asked or not meaning.program.entry or meaning.program.end:
            return None
        if meaning.untimed_in_detail:
            return TIMED_BY_NAME
        others = not meaning.primary and (meaning.profile, meaning.role) in self._primary
        return UNTIMED if (others or meaning.untimed) and not detail else None


def _metrics(meaning: FunctionMeaning) -> Sequence[str]:
    counted = {"packets": meaning.has_packets, "bytes": meaning.has_bytes, "duplicates": meaning.has_duplicates}
    counted["underruns"] = meaning.has_underruns
    counted["rtp"] = emits_rtp(meaning.program)
    return [*(name for name, has in counted.items() if has), *(f"drops: {reason}" for reason in meaning.drop_reasons)]


def _sees_buffers(meaning: FunctionMeaning) -> bool:
    return any(operation.op in _OF_BUFFERS for operation in (*meaning.program.entry, *meaning.program.end))
