# SPDX-License-Identifier: Apache-2.0
"""What holds of a whole process, whatever file a function is in."""

from __future__ import annotations

from collections.abc import Sequence

from otel_jb.code.vouched import SIGNAL_STACKS
from otel_jb.model.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What forbids return probes in a process, and whether a thread of it may have several stacks."""

    shadow_stack: bool = False
    system_call_filter: bool = False  #: by seccomp
    signal_stacks: str = ""  #: why signal handlers may run on stacks of their own
    stack_switches: str = ""  #: by what its threads may switch stacks


#: Of files alone, or of a process that was not looked at as a whole.
UNKNOWN = ProcessFacts()


def signal_stacks(files: Sequence[tuple[str, str]]) -> str:
    """Why signal handlers of a process may run on stacks of their own, from (file's name, by what it may) of its files."""
    for name, by_what in files:
        if by_what and not any(vouch.name.fullmatch(name) for vouch in SIGNAL_STACKS):
            return f"{name} uses {by_what}"
    return ""
