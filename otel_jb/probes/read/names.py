# SPDX-License-Identifier: Apache-2.0
"""Reads what the memory of a process says of its streams: their names and clock rates."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from otel_jb.host import procfs
from otel_jb.model.errors import AgentError
from otel_jb.model.plan import NamePart, TrackClock
from otel_jb.model.stream import Target
from otel_jb.streams.clocks import negotiated
from otel_jb.streams.names import Memory, read_name

T = TypeVar("T")

_SAME_START_NS = 1_000_000_000  #: a process that began at another time has taken over the PID


def of_process(parts: Sequence[NamePart], buffer: int, target: Target) -> str | None:
    """The name of the stream whose buffer is at this address; None: there is none, or the process is gone."""
    return _in_memory(target, lambda memory: read_name(parts, buffer, memory))


def clock_of(place: TrackClock, buffer: int, ssrc: int, target: Target) -> tuple[int, int] | None:
    """Payload type and clock rate in Hz of what comes into the buffer under this SSRC; None: not known, or the process is gone."""
    return _in_memory(target, lambda memory: negotiated(place, buffer, ssrc, memory))


def _in_memory(target: Target, look: Callable[[Memory], T | None]) -> T | None:
    """What is found in a process's memory; None if it is gone."""
    try:
        memory = os.open(f"{procfs.PROC}/{target.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Asked after the memory was opened: it stays that of the process which had the PID then.
        now = procfs.process(target.pid)
        if abs(now.start_time_unix_nano - target.start_time_unix_nano) > _SAME_START_NS:
            return None
        return look(lambda address, size: _read(memory, address, size))
    except AgentError:
        return None
    finally:
        os.close(memory)


def _read(memory: int, address: int, size: int) -> bytes | None:
    try:
        return os.pread(memory, size, address)
    except (OSError, OverflowError):
        return None
