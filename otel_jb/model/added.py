# SPDX-License-Identifier: Apache-2.0
"""Counters that a profile adds to: what a program's own functions are told, or tell, about its buffer.

A profile names a row of this table (`adds` in docs/profiles.md), and each call of the function adds a value to it. The kernel keeps
MAX_ADDED words for each function and knows none of their names. To add a metric of this kind, add a row here, the entry of a profile,
a test, and a row in docs/metrics.md and in docs/semantic-conventions.*.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from otel_jb.model.dataclass import dataclass
from otel_jb.model.instruments import Instrument, Kind

MAX_ADDED = 6  #: counters of one function
#: Of a mean: a reading counts above this bit, its value below, so that one addition in the kernel moves both.
MEAN_SHIFT = 40
MAX_MEAN = (1 << 20) - 1  #: the largest value of one reading of a mean
MAX_VALUE = (1 << 31) - 1  #: the largest value that one call may add


@dataclass(frozen=True, slots=True)
class Added:
    """One row. `per`: how many of what profiles add make one of the instrument's unit, 1000 where they add milliseconds.

    A gauge is the mean of what was added in the last complete interval, absent where nothing was; a counter is the sum.
    """

    name: str
    instrument: Instrument
    per: int = 1

    @property
    def is_mean(self) -> bool:
        """Whether the metric is the mean of the last interval's readings."""
        return self.instrument.kind is Kind.GAUGE


def _counter(name: str, unit: str, description: str, *, per: int = 1) -> Added:
    """A counter whose last word is what profiles call it. In Prometheus, `total` stands at the end only, as the Collector has it."""
    suffix = "_seconds_total" if unit == "s" else "_total"
    prometheus = name.replace(".total_", ".").replace(".", "_") + suffix
    instrument = Instrument(name, Kind.COUNTER, unit, prometheus, description)
    return Added(name.rpartition(".")[2], instrument, per)


#: Those of `webrtc.*` are the W3C's (webrtc-stats), summed over the streams of the process.
ADDED: dict[str, Added] = {
    each.name: each
    for each in (
        Added(
            "target_delay",
            Instrument(
                "jitterbuffer.target_delay",
                Kind.GAUGE,
                "s",
                "jitterbuffer_target_delay_seconds",
                "Delay that the buffers aimed at in the last complete interval, the mean of its calls.",
            ),
            per=1000,
        ),
        _counter(
            "jitterbuffer.recovered_packets",
            "{packet}",
            "Missing packets that came after all: by retransmission, error correction or late.",
        ),
        _counter("jitterbuffer.unrecovered_packets", "{packet}", "Missing packets that the buffer gave up."),
        _counter(
            "jitterbuffer.requested_packets",
            "{packet}",
            "Missing packets that were asked for again (NACK), each as often as it was.",
        ),
        _counter("jitterbuffer.resets", "{event}", "Times that a buffer was emptied and began anew."),
        _counter(
            "webrtc.jitter_buffer_delay", "s", "Time that samples stayed in the buffer, summed over them.", per=1000
        ),
        _counter(
            "webrtc.jitter_buffer_target_delay",
            "s",
            "Delay that the buffer aimed at as samples came out, summed over them.",
            per=1000,
        ),
        _counter(
            "webrtc.jitter_buffer_minimum_delay",
            "s",
            "Delay that the network alone would have asked for as samples came out, summed over them.",
            per=1000,
        ),
        _counter("webrtc.jitter_buffer_emitted_count", "{sample}", "Samples that came out of the buffer."),
        _counter(
            "webrtc.total_samples_received",
            "{sample}",
            "Samples that were played, concealed ones among them, per channel.",
        ),
        _counter("webrtc.concealed_samples", "{sample}", "Samples that were made up because their packet was missing."),
        _counter("webrtc.silent_concealed_samples", "{sample}", "Those of them that were silence or comfort noise."),
        _counter("webrtc.concealment_events", "{event}", "Times that concealment began."),
        _counter(
            "webrtc.inserted_samples_for_deceleration", "{sample}", "Samples that were inserted to play more slowly."
        ),
        _counter("webrtc.removed_samples_for_acceleration", "{sample}", "Samples that were removed to play faster."),
        _counter("webrtc.packets_discarded", "{packet}", "Packets that the buffer threw away: too late, or too early."),
        _counter("webrtc.fec_packets_received", "{packet}", "Packets of error correction that came in."),
        _counter("webrtc.fec_packets_discarded", "{packet}", "Packets of error correction that were of no use."),
    )
}


def mean_of(before: int, after: int) -> float | None:
    """The mean of the readings between two values of a word; None: there were none."""
    readings, total = divmod((after - before) & ((1 << 64) - 1), 1 << MEAN_SHIFT)
    return total / readings if readings else None


def in_units(
    names: Iterable[str], words: Iterable[int], means: Iterable[tuple[str, float]]
) -> Iterator[tuple[Added, float]]:
    """The rows that a function adds to, with their values in the instruments' units: sums, and means where there are any."""
    known = [name for name in names if name in ADDED]
    sums = [(name, word) for name, word in zip(names, words, strict=False) if name in known and not ADDED[name].is_mean]
    for name, value in (*sums, *((name, mean) for name, mean in means if name in known)):
        row = ADDED[name]
        yield row, value if row.per == 1 else value / row.per
