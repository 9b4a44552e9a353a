# SPDX-License-Identifier: Apache-2.0
"""What the kernel counts for each series, and the metrics made from it.

A row is a member of `struct series` (bpf/abi.h). The BPF program is compiled with these members, the reader reads them, recordings
store them, and every exporter sends those that have an instrument. To add a metric of a function, add a row here, the line in
bpf/ that counts it, a test, and a row in docs/metrics.md.

- A SUM only grows: `ADD(s->NAME, n)`.
- A BALANCE grows and shrinks, and may be negative.
- A HIGHEST or a LOWEST refers to the agent's last complete interval: `note_highest(s, s->NAME, this_half(), value, 16)`;
`note_lowest` likewise.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Literal

from otel_jb.model.added import MAX_ADDED
from otel_jb.model.dataclass import dataclass
from otel_jb.model.instruments import Instrument, Kind
from otel_jb.model.reads import MAX_DROP_REASONS, MAX_FIELDS


class Fold(Enum):
    """How a word's values combine: in the kernel from call to call, and in user space if several probes share a function's name."""

    SUM = "sum"
    BALANCE = "balance"
    HIGHEST = "highest"
    LOWEST = "lowest"

    @property
    def of_interval(self) -> bool:
        """Whether the word starts afresh with each interval. The kernel then has two of them, selected by the parity of the epoch."""
        return self in (Fold.HIGHEST, Fold.LOWEST)


@dataclass(frozen=True, slots=True)
class Split:
    """Several words of one name, distinguished by an attribute whose values are listed in a field of `Series`."""

    words: int
    attribute: str
    values: Literal["drop_reasons", "fields", "adds"]


@dataclass(frozen=True, slots=True)
class Counter:
    """One row. Without an instrument, a counter is not itself a metric.

    Values of unit `s` are counted in nanoseconds. `told_by` names the field of `Series` that says whether the value is known for a
    function. If it is not, there is no data point, rather than one of 0. For entry-only functions, no value is known.
    """

    name: str
    fold: Fold = Fold.SUM
    instrument: Instrument | None = None
    told_by: Literal[
        "has_timing", "has_packets", "has_bytes", "has_depth", "has_duplicates", "has_underruns", "drop_reasons"
    ] = "has_timing"
    split: Split | None = None


TABLE: tuple[Counter, ...] = (
    # What calls did with their packets. The first two are what most calls count, and are beside each other in memory.
    Counter(
        "packets",  # including untimed ones, which are all that is counted on x86-64: the rest is what returned less `no_packet` and `unknown`
        instrument=Instrument(
            "jitterbuffer.packet_count",
            Kind.COUNTER,
            "{packet}",
            "jitterbuffer_packet_count_total",
            "Returned calls that handled a packet.",
        ),
        told_by="has_packets",
    ),
    Counter(
        "bytes",
        instrument=Instrument(
            "jitterbuffer.bytes",
            Kind.COUNTER,
            "By",
            "jitterbuffer_bytes_total",
            "Bytes of the handled packets.",
        ),
        told_by="has_bytes",
    ),
    # How calls ended; those that returned are in the histogram. A call that is not timed counts the first, in the cache line of its packet.
    Counter("untimed"),
    Counter("abandoned"),
    Counter("missed"),
    Counter("orphan_ends"),
    Counter("missed_ends"),  # ends that may belong to missed calls
    # Packets that took another way.
    Counter(
        "drops",
        instrument=Instrument(
            "jitterbuffer.dropped_packets",
            Kind.COUNTER,
            "{packet}",
            "jitterbuffer_dropped_packets_total",
            "Packets that the function discarded, by reason.",
        ),
        told_by="drop_reasons",
        split=Split(MAX_DROP_REASONS, "reason", "drop_reasons"),
    ),
    Counter(
        "duplicates",
        instrument=Instrument(
            "jitterbuffer.duplicated_packets",
            Kind.COUNTER,
            "{packet}",
            "jitterbuffer_duplicated_packets_total",
            "Packets that the buffer held already.",
        ),
        told_by="has_duplicates",
    ),
    Counter(
        "underruns",
        instrument=Instrument(
            "jitterbuffer.underruns",
            Kind.COUNTER,
            "{event}",
            "jitterbuffer_underruns_total",
            "Calls that asked for a packet while the buffer had none.",
        ),
        told_by="has_underruns",
    ),
    Counter("no_packet"),  # underruns among them
    Counter("unknown"),
    Counter("added", split=Split(MAX_ADDED, "counter", "adds")),  # what profiles add up: the metrics of `model.added`
    # What was lost while counting; metrics of the agent.
    Counter("faults", split=Split(MAX_FIELDS, "field", "fields")),
    Counter("minmax_lost"),
    Counter("depth_lost"),
    # Slow calls.
    Counter("slow"),
    Counter("events_emitted"),
    Counter("events_suppressed"),
    Counter("events_lost"),
    # Of the last complete interval.
    Counter("duration_max", Fold.HIGHEST),
    Counter("duration_min", Fold.LOWEST),
    Counter("depth_max", Fold.HIGHEST),
)


def instrument_of(name: str) -> Instrument:
    """The instrument of a row. Raises KeyError if there is none."""
    return {row.name: row.instrument for row in TABLE if row.instrument is not None}[name]


def declared(rows: Iterable[Counter], *, of_interval: bool) -> tuple[tuple[str, int], ...]:
    """(name, words) of the kernel's members, in order: single ones first, then split ones."""
    chosen = [row for row in rows if row.fold.of_interval is of_interval]
    sizes = [(row.name, (2 if of_interval else 1) * (row.split.words if row.split else 1)) for row in chosen]
    return tuple(sorted(sizes, key=lambda each: each[1]))


def declarators(rows: Iterable[Counter], *, of_interval: bool) -> str:
    """The same as a list of C declarators, to follow `u64` in the structure."""
    members = declared(rows, of_interval=of_interval)
    return ",".join(name if words == 1 else f"{name}[{words}]" for name, words in members)
