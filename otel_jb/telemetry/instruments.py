# SPDX-License-Identifier: Apache-2.0
"""The names, units and meanings of all metrics. `INSTRUMENTS` and `SELF_INSTRUMENTS` are the only places that name them."""

from __future__ import annotations

from otel_jb.model.added import ADDED
from otel_jb.model.counters import TABLE, instrument_of
from otel_jb.model.instruments import Instrument, Kind

SCOPE = "otel_jb"
SELF_SCOPE = "otel_jb.self"

CALLS = Instrument(
    "jitterbuffer.calls",
    Kind.COUNTER,
    "{call}",
    "jitterbuffer_calls_total",
    "Calls of the probed function by outcome.",
)
DELAY = Instrument(
    "jitterbuffer.delay",
    Kind.HISTOGRAM,
    "s",
    "jitterbuffer_delay_seconds",
    "Time from a probed function's entry to its return.",
)
DELAY_MIN = Instrument(
    "jitterbuffer.delay.min",
    Kind.GAUGE,
    "s",
    "jitterbuffer_delay_min_seconds",
    "Shortest call that returned in the last complete interval.",
)
DELAY_MAX = Instrument(
    "jitterbuffer.delay.max",
    Kind.GAUGE,
    "s",
    "jitterbuffer_delay_max_seconds",
    "Longest call that returned in the last complete interval.",
)
DELAY_AVG = Instrument(
    "jitterbuffer.delay.avg",
    Kind.GAUGE,
    "s",
    "jitterbuffer_delay_avg_seconds",
    "Mean time of the calls that returned in the last complete interval.",
)
PACKET_COUNT = instrument_of("packets")
BYTES = instrument_of("bytes")
DROPPED_PACKETS = instrument_of("drops")
DUPLICATED_PACKETS = instrument_of("duplicates")
BUFFER_SIZE = Instrument(
    "jitterbuffer.buffer_size",
    Kind.GAUGE,
    "packets",
    "jitterbuffer_buffer_size_packets",
    "Packets held now, summed over the live buffers of the process.",
)
BUFFER_SIZE_MAX = Instrument(
    "jitterbuffer.buffer_size.max",
    Kind.GAUGE,
    "packets",
    "jitterbuffer_buffer_size_max_packets",
    "Packets held by the fullest buffer in the last complete interval.",
)

RESIDENCE = Instrument(
    "jitterbuffer.residence",
    Kind.HISTOGRAM,
    "s",
    "jitterbuffer_residence_seconds",
    "Time that a packet stayed in the buffer, from its put to its get; 0 for one that passed straight through.",
)
RESIDENCE_UNMATCHED = Instrument(
    "jitterbuffer.residence.unmatched",
    Kind.COUNTER,
    "{packet}",
    "jitterbuffer_residence_unmatched_total",
    "Packets that came out of the buffer and whose put is not known for sure, by reason.",
)

RTP_RECEIVED = Instrument(
    "rtp.packets_received",
    Kind.COUNTER,
    "{packet}",
    "rtp_packets_received_total",
    "RTP packets of the stream, duplicates among them, RTCP not.",
)
RTP_BYTES = Instrument(
    "rtp.received_bytes",
    Kind.COUNTER,
    "By",
    "rtp_received_bytes_total",
    "Bytes of those packets, with their headers.",
)
RTP_LOST = Instrument(
    "rtp.packets_lost",
    Kind.UP_DOWN_COUNTER,
    "{packet}",
    "rtp_packets_lost",
    "Packets that never arrived, by sequence numbers (RFC 3550, A.3); falls when one arrives late.",
)
RTP_REORDERED = Instrument(
    "rtp.packets_reordered",
    Kind.COUNTER,
    "{packet}",
    "rtp_packets_reordered_total",
    "Packets that arrived behind a later one.",
)
RTP_DUPLICATED = Instrument(
    "rtp.packets_duplicated",
    Kind.COUNTER,
    "{packet}",
    "rtp_packets_duplicated_total",
    "Packets that had arrived before.",
)
RTP_JITTER = Instrument(
    "rtp.jitter",
    Kind.GAUGE,
    "s",
    "rtp_jitter_seconds",
    "Interarrival jitter (RFC 3550, A.8); absent where the clock rate is not known.",
)

RTP_BURSTS = Instrument(
    "rtp.loss_bursts",
    Kind.COUNTER,
    "{burst}",
    "rtp_loss_bursts_total",
    "Bursts of lost packets: two losses or more, with fewer than 16 packets between any two (RFC 3611, 4.7.2).",
)
RTP_BURST_EXPECTED = Instrument(
    "rtp.burst.packets_expected",
    Kind.COUNTER,
    "{packet}",
    "rtp_burst_packets_expected_total",
    "Packets expected within bursts, from the first loss of each to its last.",
)
RTP_BURST_LOST = Instrument(
    "rtp.burst.packets_lost",
    Kind.COUNTER,
    "{packet}",
    "rtp_burst_packets_lost_total",
    "Packets lost within bursts.",
)
RTP_GAP_EXPECTED = Instrument(
    "rtp.gap.packets_expected",
    Kind.COUNTER,
    "{packet}",
    "rtp_gap_packets_expected_total",
    "Packets expected outside of bursts.",
)
RTP_GAP_LOST = Instrument(
    "rtp.gap.packets_lost",
    Kind.COUNTER,
    "{packet}",
    "rtp_gap_packets_lost_total",
    "Packets lost outside of bursts, each of them alone.",
)
RTP_UNJUDGED = Instrument(
    "rtp.packets_unjudged",
    Kind.COUNTER,
    "{packet}",
    "rtp_packets_unjudged_total",
    "Packets expected that are counted neither in a burst nor outside of one, because several threads put them too far apart.",
)
#: Those of bursts and gaps, with the field of a snapshot that each shows.
RTP_LOSS_PATTERN: tuple[tuple[Instrument, str], ...] = (
    (RTP_BURSTS, "bursts"),
    (RTP_BURST_EXPECTED, "burst_expected"),
    (RTP_BURST_LOST, "burst_lost"),
    (RTP_GAP_EXPECTED, "gap_expected"),
    (RTP_GAP_LOST, "gap_lost"),
    (RTP_UNJUDGED, "unjudged"),
)

INTERARRIVAL = Instrument(
    "jitterbuffer.interarrival",
    Kind.HISTOGRAM,
    "s",
    "jitterbuffer_interarrival_seconds",
    "Time between successive packets of one stream.",
)

HOST_RUN_DELAY = Instrument(
    "jitterbuffer.host.run_delay",
    Kind.COUNTER,
    "s",
    "jitterbuffer_host_run_delay_seconds_total",
    "Time for which the target's threads were ready and waited for a CPU.",
)
HOST_CPU_TIME = Instrument(
    "jitterbuffer.host.cpu_time",
    Kind.COUNTER,
    "s",
    "jitterbuffer_host_cpu_time_seconds_total",
    "Time for which the target's threads ran.",
)
HOST_TIMESLICES = Instrument(
    "jitterbuffer.host.timeslices",
    Kind.COUNTER,
    "{timeslice}",
    "jitterbuffer_host_timeslices_total",
    "Times that one of the target's threads got a CPU.",
)
HOST_THROTTLED_TIME = Instrument(
    "jitterbuffer.host.throttled_time",
    Kind.COUNTER,
    "s",
    "jitterbuffer_host_throttled_time_seconds_total",
    "Time for which the target's cgroup was kept from the CPU because its quota was used up.",
)
HOST_UDP_DROPS = Instrument(
    "jitterbuffer.host.udp_drops",
    Kind.COUNTER,
    "{packet}",
    "jitterbuffer_host_udp_drops_total",
    "Datagrams that the kernel dropped at the target's sockets.",
)
HOST_UDP_QUEUE = Instrument(
    "jitterbuffer.host.udp_queue",
    Kind.GAUGE,
    "By",
    "jitterbuffer_host_udp_queue_bytes",
    "Bytes that wait unread in the target's sockets, with the kernel's overhead.",
)
HOST_UDP_WAITED = Instrument(
    "jitterbuffer.host.udp_queue.byte_seconds",
    Kind.COUNTER,
    "{byte.second}",
    "jitterbuffer_host_udp_queue_byte_seconds_total",
    "Bytes that waited unread in the target's sockets, times how long, by glances at random times; its rate is how many wait on average.",
)

VERDICT = Instrument(
    "jitterbuffer.verdict",
    Kind.GAUGE,
    "1",
    "jitterbuffer_verdict_ratio",
    "1 while the last minute's evidence accuses the culprit; absent otherwise.",
)

#: Metrics of a target, in the order in which they are exposed.
INSTRUMENTS: tuple[Instrument, ...] = (
    CALLS,
    DELAY,
    DELAY_MIN,
    DELAY_MAX,
    DELAY_AVG,
    *(row.instrument for row in TABLE if row.instrument is not None),
    BUFFER_SIZE,
    BUFFER_SIZE_MAX,
    RESIDENCE,
    RESIDENCE_UNMATCHED,
    *(row.instrument for row in ADDED.values()),
    RTP_RECEIVED,
    RTP_BYTES,
    RTP_LOST,
    RTP_REORDERED,
    RTP_DUPLICATED,
    RTP_JITTER,
    *(instrument for instrument, _ in RTP_LOSS_PATTERN),
    INTERARRIVAL,
    HOST_RUN_DELAY,
    HOST_CPU_TIME,
    HOST_TIMESLICES,
    HOST_THROTTLED_TIME,
    HOST_UDP_DROPS,
    HOST_UDP_QUEUE,
    HOST_UDP_WAITED,
    VERDICT,
)

PROBES = Instrument(
    "otel_jb.probes",
    Kind.UP_DOWN_COUNTER,
    "{probe}",
    "otel_jb_probes",
    "Probes by state, with the reason and the way their ends are seen.",
)
FIELDS_BROKEN = Instrument(
    "otel_jb.fields.broken",
    Kind.COUNTER,
    "{read}",
    "otel_jb_fields_broken_total",
    "Values that cannot be; the value is not reported any more.",
)
READS_FAULTED = Instrument(
    "otel_jb.reads.faulted",
    Kind.COUNTER,
    "{read}",
    "otel_jb_reads_faulted_total",
    "Reads of the target's memory that faulted.",
)
EVENTS_EMITTED = Instrument(
    "otel_jb.events.emitted",
    Kind.COUNTER,
    "{event}",
    "otel_jb_events_emitted_total",
    "Slow-call events that the kernel handed over.",
)
EVENTS_LOST = Instrument(
    "otel_jb.events.lost",
    Kind.COUNTER,
    "{event}",
    "otel_jb_events_lost_total",
    "Slow-call events lost because the ring buffer was full.",
)
EVENTS_SUPPRESSED = Instrument(
    "otel_jb.events.suppressed",
    Kind.COUNTER,
    "{event}",
    "otel_jb_events_suppressed_total",
    "Slow-call events held back by the rate limit.",
)
SPANS_DROPPED = Instrument(
    "otel_jb.spans.dropped",
    Kind.COUNTER,
    "{span}",
    "otel_jb_spans_dropped_total",
    "Spans that were sampled and never delivered.",
)
EXPORT_FAILURES = Instrument(
    "otel_jb.export.failures",
    Kind.COUNTER,
    "{export}",
    "otel_jb_export_failures_total",
    "Exports that failed for good.",
)
CONFIG_RELOADS = Instrument(
    "otel_jb.config.reloads",
    Kind.COUNTER,
    "{reload}",
    "otel_jb_config_reloads_total",
    "Times that the configuration was read again (SIGHUP), by result.",
)
TARGETS = Instrument(
    "otel_jb.targets",
    Kind.UP_DOWN_COUNTER,
    "{process}",
    "otel_jb_targets",
    "Processes by state (measured, unmeasurable, ignored) and reason.",
)
BUILD_INFO = Instrument(
    "otel_jb.build_info",
    Kind.GAUGE,
    "",
    "otel_jb_build_info",
    "What runs: version of the agent, of Python and of the kernel; always 1.",
)
EXPORT_REJECTED = Instrument(
    "otel_jb.export.rejected",
    Kind.COUNTER,
    "{item}",
    "otel_jb_export_rejected_total",
    "Data points and spans that a receiver refused of requests that it accepted.",
)
CALLS_UNCOUNTED = Instrument(
    "otel_jb.calls.uncounted",
    Kind.COUNTER,
    "{call}",
    "otel_jb_calls_uncounted_total",
    "Calls that were not counted because their process found no room among the series.",
)
RECORDER_MEMORY = Instrument(
    "otel_jb.flight_recorder.memory",
    Kind.GAUGE,
    "By",
    "otel_jb_flight_recorder_memory_bytes",
    "Kernel memory that holds the last packets of each RTP stream.",
)
POINTS_LEFT_OUT = Instrument(
    "otel_jb.points.left_out",
    Kind.COUNTER,
    "{point}",
    "otel_jb_points_left_out_total",
    "Data points that a scrape or an export went without, because they cannot be encoded.",
)
NESTING_DOUBTFUL = Instrument(
    "otel_jb.nesting.doubtful",
    Kind.COUNTER,
    "{call}",
    "otel_jb_nesting_doubtful_total",
    "Calls left out of a trace because it is not certain that they ran inside the slow call.",
)
PROBE_COST = Instrument(
    "otel_jb.probe.cost",
    Kind.GAUGE,
    "s",
    "otel_jb_probe_cost_seconds",
    "Time that one probe hit takes, measured on this machine at start.",
)
PROBE_ATTACHED_TIME = Instrument(
    "otel_jb.probe.attached_time",
    Kind.COUNTER,
    "s",
    "otel_jb_probe_attached_time_seconds_total",
    "Time for which the probe was attached.",
)
OVERHEAD = Instrument(
    "otel_jb.overhead",
    Kind.GAUGE,
    "1",
    "otel_jb_overhead_ratio",
    "Estimated CPU time spent in the target's probes, as a fraction of one CPU.",
)
CPU_TIME = Instrument(
    "process.cpu.time",
    Kind.COUNTER,
    "s",
    "process_cpu_time_seconds_total",
    "CPU time of the agent.",
)
MEMORY_USAGE = Instrument(
    "process.memory.usage",
    Kind.UP_DOWN_COUNTER,
    "By",
    "process_memory_usage_bytes",
    "Resident memory of the agent.",
)

#: Metrics of the agent itself.
SELF_INSTRUMENTS: tuple[Instrument, ...] = (
    PROBES,
    READS_FAULTED,
    FIELDS_BROKEN,
    EVENTS_EMITTED,
    EVENTS_LOST,
    EVENTS_SUPPRESSED,
    SPANS_DROPPED,
    TARGETS,
    BUILD_INFO,
    CONFIG_RELOADS,
    EXPORT_FAILURES,
    EXPORT_REJECTED,
    CALLS_UNCOUNTED,
    RECORDER_MEMORY,
    POINTS_LEFT_OUT,
    NESTING_DOUBTFUL,
    PROBE_COST,
    PROBE_ATTACHED_TIME,
    OVERHEAD,
    CPU_TIME,
    MEMORY_USAGE,
)
