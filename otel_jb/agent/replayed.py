# SPDX-License-Identifier: Apache-2.0
"""The slow calls of a recording, kept for the page as the agent keeps those that it measures."""

from __future__ import annotations

from dataclasses import replace

from otel_jb.model.stream import SlowCall, Snapshot, StreamRecord
from otel_jb.telemetry.kept_calls import KeptCalls
from otel_jb.telemetry.spans import SpanMaker
from otel_jb.telemetry.state import StreamState
from otel_jb.telemetry.tally import Tally

_MOST = 64  #: packets, and nested calls, of one call; more than any agent records


class ReplayedCalls:
    """Makes recorded slow calls into what the page shows. They have no stack: what its addresses meant was known to the process alone.

    Args:
        state: knows the series and targets of the recording so far.
    """

    def __init__(self, state: StreamState) -> None:
        self.kept = KeptCalls()
        # Of the recording's wall clock to its monotonic one. None: no snapshot came yet.
        self._offset_ns: int | None = None
        self._maker = SpanMaker(
            state,
            clock=self,
            offer=lambda _: True,
            tally=Tally(),
            keep=lambda calls: self.kept.add(calls, traced=False),
        )

    def unix_nano(self, monotonic_ns: int) -> int:
        """Wall time by the last snapshot that came before."""
        return monotonic_ns + (self._offset_ns or 0)

    def take(self, record: StreamRecord) -> None:
        """Take a record, in the recording's order; the state has it already."""
        if isinstance(record, Snapshot):
            self._offset_ns = record.time_unix_nano - record.time_ns
        elif isinstance(record, SlowCall) and self._offset_ns is not None:
            # What a file says is bounded by a line's length alone.
            packets, nested = record.packets[:_MOST], record.nested[:_MOST]
            self._maker.make(replace(record, packets=packets, nested=nested, stack=(), stack_copy=b""))

    def close(self) -> None:
        """End its thread."""
        self._maker.shutdown()
