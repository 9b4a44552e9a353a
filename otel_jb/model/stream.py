# SPDX-License-Identifier: Apache-2.0
"""Stream records: everything that passes from the probes to telemetry: targets, series, snapshots, slow calls, probe states.

The stream is serialisable: a recording (`otel_jb.agent.recording`) is this stream in a file. Times are nanoseconds of
CLOCK_MONOTONIC (`_ns`) unless the name says `_unix_nano`. Text that a target controls is made printable when a record is created,
so no reader of the stream or of a recording can forget to do it.
"""

from __future__ import annotations

from dataclasses import field, fields, replace
from enum import Enum

from otel_jb.model.dataclass import dataclass
from otel_jb.model.text import LIMIT, make_printable, printable


@dataclass(frozen=True, slots=True)
class Target:
    """A measured process."""

    id: int  #: dense number, never reused while the agent runs
    pid: int  #: as the host counts
    start_time_unix_nano: int
    name: str  #: executable's base name
    executable: str  #: path as the process sees it
    build_id: str | None
    service_name: str
    service_instance_id: str
    attached_unix_nano: int  #: start time of every cumulative point of this target
    attributes: tuple[
        tuple[str, str], ...
    ] = ()  #: additional resource attributes (container.id, k8s.*, configured ones)

    def __post_init__(self) -> None:
        make_printable(self, "name", "executable", "service_name", "service_instance_id", "attributes")


@dataclass(frozen=True, slots=True)
class Series:
    """One probed function of one target: the identity behind a `SeriesSnapshot`."""

    id: int  #: dense number, never reused while the agent runs
    target: int  #: Target.id
    function: str  #: code.function.name; with arguments if two of one target would collide
    role: str
    primary: bool
    profile: str
    strategy: str
    reason: str
    file: str
    has_timing: bool
    has_packets: bool
    has_bytes: bool
    has_depth: bool
    has_duplicates: bool
    drop_reasons: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    sources: tuple[
        tuple[str, tuple[str, ...]], ...
    ] = ()  #: structs that `bytes`, `depth`, `outcome`, `packet` are read from
    error_return: tuple[tuple[int, int], ...] = ()
    has_rtp: bool = False  #: the RTP headers of its packets are read
    has_underruns: bool = False  #: its end tells when the buffer had nothing to give
    has_residence: bool = False  #: it is known which packets go into the buffer, or come out of it
    adds: tuple[str, ...] = ()  #: names of `model.added` that its calls add to; "": not known here

    def __post_init__(self) -> None:
        make_printable(
            self, "function", "role", "profile", "strategy", "reason", "file", "drop_reasons", "fields", "adds"
        )


class ProbeState(Enum):
    """The state of a probe."""

    ATTACHED = "attached"
    SHED = "shed"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNVERIFIED = "unverified"  #: the running code differs from the analysed code


@dataclass(frozen=True, slots=True)
class ProbeStatus:
    """The state of one probe. A new record replaces the previous one of the same (target, function, file)."""

    target: int
    function: str
    file: str
    profile: str
    state: ProbeState
    reason: str
    strategy: str = ""
    series: int | None = None

    def __post_init__(self) -> None:
        make_printable(self, "function", "file", "profile", "reason", "strategy")


@dataclass(frozen=True, slots=True)
class Interval:
    """A series over the agent's last complete interval; only calls that returned in it."""

    count: int
    sum_ns: int
    min_ns: int
    max_ns: int


@dataclass(frozen=True, slots=True)
class SeriesSnapshot:
    """Cumulative values of one series since it was attached. Entries = returned + abandoned + missed + untimed + in_flight.

    `buckets` has one count per bucket of `Snapshot.bounds_ns` plus the last (+Inf). `untimed` counts entries of a function
    whose ends are not observed (strategy entry-only). `orphan_ends` are ends of calls that were already running when the
    probe was attached, or whose entry was missed; no other number includes them.
    """

    series: int
    returned: int
    abandoned: int
    missed: int
    untimed: int
    in_flight: int
    orphan_ends: int
    sum_ns: int
    buckets: tuple[int, ...]
    no_packet: int
    unknown: int  #: returned calls whose outcome could not be read
    bytes: int
    drops: tuple[int, ...]  #: by `Series.drop_reasons`
    duplicates: int
    faults: tuple[int, ...]  #: by `Series.fields`
    slow: int  #: calls over the threshold
    events_emitted: int
    events_suppressed: int  #: held back by the token bucket
    events_lost: int  #: the ring buffer was full
    attached_ns: int  #: how long the probe was attached, in all
    interval: Interval | None = None  #: None: no call returned in the last complete interval
    minmax_lost: int = 0
    packets: int | None = (
        None  #: calls known to have carried a packet, including untimed ones; None: not counted separately
    )
    counts: tuple[tuple[str, int], ...] = ()  #: rows of `model.counters` without a field here, by name
    extremes: tuple[tuple[str, int], ...] = ()  #: the same for rows that belong to the last complete interval
    added: tuple[int, ...] = ()  #: by `Series.adds`; of a mean, what the kernel holds
    #: Of `Series.adds`: the means of the last complete interval, where there are any.
    means: tuple[tuple[str, float], ...] = ()

    def value(self, name: str) -> int | tuple[int, ...] | None:
        """The value of a row of `model.counters`; None if it was not counted, or had no value in the last interval."""
        if name in OWN_FIELDS:
            value: int | tuple[int, ...] | None = getattr(self, name)
            return value
        return dict((*self.counts, *self.extremes)).get(name)

    def without_interval(self) -> SeriesSnapshot:
        """This snapshot without values of the last interval, for when that interval is not this series' own."""
        told = self.interval or self.extremes or self.means
        return replace(self, interval=None, extremes=(), means=()) if told else self


#: rows of `model.counters` with these names are fields of a snapshot
OWN_FIELDS = frozenset(each.name for each in fields(SeriesSnapshot)) - {"counts", "extremes"}


@dataclass(frozen=True, slots=True)
class DepthSnapshot:
    """Packets held by the live buffers of one target, as its functions of one role group last read them."""

    target: int
    series: int  #: the series that reads the depth
    packets: int  #: sum over live buffers
    buffers: int
    max_packets: int | None  #: fullest buffer in the last complete interval; None: no reading in it


@dataclass(frozen=True, slots=True)
class ResidenceSnapshot:
    """How long packets stayed in the buffers of one target, of the functions of one profile. Cumulative.

    The packets that came out are those in `buckets` and those in `unmatched`, each of them in one.
    """

    target: int
    series: int  #: the series whose packets come out; of several one
    sum_ns: int
    buckets: tuple[int, ...]  #: as `SeriesSnapshot.buckets`
    unmatched: tuple[tuple[str, int], ...]  #: packets whose put is not known for sure, by reason


@dataclass(frozen=True, slots=True)
class RtpSnapshot:
    """What the RTP packets of the streams under one label showed since `since_unix_nano`. All but the jitter is cumulative."""

    series: int  #: the series whose packets they are
    stream: str  #: the label: a name, `ssrc:1a2b3c4d`, or `_other` for all that have none of their own
    ssrc: int | None  #: None: several streams, or `_other`
    since_unix_nano: int
    received: int  #: RTP packets, duplicates among them
    bytes: int  #: of those, with their headers
    lost: int  #: never arrived; signed, since it falls when a packet arrives late
    reordered: int
    duplicated: int
    strays: int  #: received, of sequence numbers so far away that nothing follows from them
    jitter_ns: int | None  #: RFC 3550, A.8; of several streams the highest; None: no clock rate is known
    moved_ns: int | None = None  #: the sum of the differences in spacing that jitter averages; None: an older recording
    gaps_ns: int = 0  #: the sum of the times between packets of one stream
    gaps: tuple[
        int, ...
    ] = ()  #: how many of these times fell into each bucket of `Snapshot.gap_bounds_ns`; empty: not known
    bursts: int | None = None  #: of losses (RFC 3611, 4.7.2, Gmin 16); None: an older recording, as for those below
    burst_expected: int | None = None  #: sequence numbers in bursts
    burst_lost: int | None = None  #: those of them that never arrived
    gap_expected: int | None = None  #: sequence numbers outside of bursts
    gap_lost: int | None = None  #: those of them that never arrived
    unjudged: int | None = None  #: sequence numbers that could not be judged: threads overtook each other by far

    def __post_init__(self) -> None:
        make_printable(self, "stream")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the kernel counted, read at one point in time."""

    time_unix_nano: int
    time_ns: int
    bounds_ns: tuple[int, ...]  #: inclusive upper bounds of the buckets; there is one more bucket than bounds
    series: tuple[SeriesSnapshot, ...]
    depths: tuple[DepthSnapshot, ...] = ()
    interval_ns: int = 0  #: length of the last complete interval
    rtp: tuple[RtpSnapshot, ...] = ()
    gap_bounds_ns: tuple[
        int, ...
    ] = ()  #: inclusive upper bounds of `RtpSnapshot.gaps`; there is one more bucket than bounds
    residences: tuple[ResidenceSnapshot, ...] = ()
    recorder_bytes: int = 0  #: kernel memory of the flight recorder, by the kernel's own account


@dataclass(
    slots=True, unsafe_hash=True
)  # not frozen: a slow call has up to 16 of these, and freezing makes creation five times as expensive
class NestedCall:
    """A probed call that ran inside a slow one. Never changed."""

    series: int
    frame: int
    start_ns: int
    end_ns: int


@dataclass(slots=True, unsafe_hash=True)  # not frozen, as above
class PassedPacket:
    """An RTP packet as the flight recorder has it. Never changed."""

    ssrc: int
    sequence_number: int
    rtp_time: int
    put_ns: int  #: when the function that reads RTP headers was called with it
    state: str  #: of its sequence number: in_order, reordered, duplicated, stray
    clock_rate: int | None = None  #: steps of `rtp_time` in a second; None: not known
    outcome: str = ""  #: played, duplicate, dropped, or the reason of the drop; empty: it is in the buffer, or its end cannot be seen
    end_ns: int | None = None  #: when it left the buffer, or was refused; None: no outcome is known

    def __post_init__(self) -> None:
        state, outcome = self.state, self.outcome
        # Nearly all of them are. A call of `printable` for each takes twice as long.
        if not (state.isprintable() and outcome.isprintable() and len(state) <= LIMIT and len(outcome) <= LIMIT):
            self.state, self.outcome = printable(state), printable(outcome)


Memory = bytes  #: inside SlowCall the name `bytes` is the field, for type checkers and get_type_hints alike


@dataclass(slots=True, unsafe_hash=True)  # not frozen, as above
class SlowCall:
    """A call over its function's threshold, or one of those whose packet was too late. Never changed."""

    series: int
    thread_id: int
    thread_name: str
    frame: int
    start_ns: int
    end_ns: int
    bytes: int | None
    stream: int | None
    return_value: int | None
    outcome: int | None
    stack: tuple[
        int, ...
    ] = ()  #: return addresses by frame pointers, innermost first, absolute addresses of the process
    stack_pointer: int = 0
    instruction_pointer: int = 0
    frame_pointer: int = 0
    link_register: int = 0  #: AArch64: the register in which a call leaves the return address
    stack_copy: Memory = b""  #: memory from `stack_pointer` upwards
    nested: tuple[NestedCall, ...] = ()
    nested_doubtful: int = (
        0  #: left out of `nested`, since it cannot be told where they ran; only once the stack was walked
    )
    nested_omitted: int = 0  #: more calls ran inside than the event has room for
    stream_name: str = ""  #: the label of the RTP stream whose buffer `stream` is; empty: not known
    ssrc: int | None = None  #: of that stream; None: not known, or several go through the buffer
    packets: tuple[
        PassedPacket, ...
    ] = ()  #: that went into this buffer around the beginning of the call, in order; empty: not recorded
    late: bool = False  #: it was not slow: it is here because its packet was thrown away for being too late
    #: What it spent running, waiting for a processor, and asleep; together its duration. None: not known, as in older recordings.
    cpu_ns: int | None = None
    run_delay_ns: int | None = None
    blocked_ns: int | None = None
    #: Its thread may have run something else meanwhile (coroutines): what it did is not known of the call.
    may_yield: bool = False

    def __post_init__(self) -> None:
        self.thread_name = printable(self.thread_name)
        if self.stream_name:
            self.stream_name = printable(self.stream_name)


@dataclass(frozen=True, slots=True)
class HostShare:
    """What the host gave to a target and withheld from it since its first measurement. None: unknown."""

    target: int
    time_unix_nano: int
    cpu_ns: int | None  #: time its threads ran
    run_delay_ns: int | None  #: time its threads were ready and waited for a CPU
    throttled_ns: int | None  #: time its cgroup had exhausted its CPU quota
    udp_drops: tuple[tuple[int, int], ...] = ()  #: (local port, datagrams dropped at its sockets), by port
    udp_queue: tuple[tuple[int, int], ...] = ()  #: (local port, bytes unread now), by port
    #: (local port, bytes unread times nanoseconds), by port: for how long how much waited before it was read
    udp_waited: tuple[tuple[int, int], ...] = ()
    timeslices: int | None = None  #: how often its threads got a CPU


@dataclass(frozen=True, slots=True)
class TargetEnded:
    """The process has ended; its last snapshot precedes this record."""

    target: int
    time_unix_nano: int


@dataclass(frozen=True, slots=True)
class AgentCost:
    """The cost in seconds of one probe hit of each kind, measured on this machine at start."""

    seconds_by_kind: tuple[tuple[str, float], ...] = field(default=())


StreamRecord = Target | Series | ProbeStatus | Snapshot | SlowCall | HostShare | TargetEnded | AgentCost
