# SPDX-License-Identifier: Apache-2.0
"""What the BPF program and user space agree on: the Python twin of `bpf/abi.h`.

A test compiles `bpf/abi.h` and compares every number, offset and size. All structures are arrays of 8-byte words as far as user
space is concerned: a word is read and written with one machine access through `memoryview.cast("Q")`, which `struct` with an
explicit byte order does not promise.
"""

from __future__ import annotations

from otel_jb.model.counters import TABLE, declarators, declared

CACHE_LINE = 64  #: bytes
CALL_BITS = 15
HALF_BITS = 32  #: of a bucket of a series, whose upper half counts calls of odd epochs
SERIES_BITS = 19
NUMBER_BITS = 10
SET_BITS = 9
CACHE_BITS = 13
GRANTS = 1024
PROCESS_SETS = 32
USERS = 1024
BUFFER_SLOTS = 4096
THREAD_SLOTS = 4096
NESTED = 16
STACK_DEPTH = 32
STACK_COPY = 16384
STACK_PAGE = 4096
DROP_REASONS = 8
FIELDS = 8
RTP_STREAM_BITS = 12
RTP_STREAMS = 1 << RTP_STREAM_BITS
RTP_WORDS = 32
RTP_CLOCKS = 128
RTP_GAPS = 32
RTP_SETTLE = 24
RTP_GMIN = 16
RTP_MISORDER = 992
RTP_DROPOUT = 3000
RTP_KEY_VALID = 1 << 62
RTP_CLOCK_SHIFT = 56
FLIGHT_BITS = 7
FLIGHT_BUSY_BITS = 10
FLIGHT_BUSY = 32
FLIGHTS = (RTP_STREAMS << FLIGHT_BITS) + (FLIGHT_BUSY << FLIGHT_BUSY_BITS)
FLIGHT_LAP_SHIFT = 48
FLIGHT_WRITTEN = 0x8000
FLIGHT_TIME = 0xFFFF_FFFF_FFFF
FLIGHT_STATE_SHIFT = 40
FLIGHT_FATE_SHIFT = 34
FLIGHT_PLAYED, FLIGHT_DOUBLE, FLIGHT_THROWN = 1, 2, 3
FLIGHT_STAYED = (1 << FLIGHT_FATE_SHIFT) - 1
FLIGHT_STATES = ("in_order", "reordered", "duplicated", "stray")  #: in the kernel's order
FLOW_ENDED = 1  #: a key that no buffer has
WAITING_BITS, NEAR_BITS = 13, 6
WAITING_ROWS = (1 << WAITING_BITS) + (1 << NEAR_BITS)
WAITING_PLACES = 7
RESIDENCES = 512
RESIDENCE_LONGEST = 10_000_000_000  #: ns
UNMATCHED = ("unseen", "twice", "old")  #: why the put of a packet that came out is not known, in the kernel's order

COOKIE_CC_SHIFT = 20
COOKIE_CONDITIONAL = 1 << 24
COOKIE_TAKEN = 1 << 25
COOKIE_FP = 1 << 26
COOKIE_OPTIONAL = 1 << 27
COOKIE_NO_RETURN = 1 << 28
COOKIE_ENTRY_ONLY = 1 << 29
COOKIE_SITE = 1 << 30
COOKIE_BOTH = 1 << 31
COOKIE_OFFSET_SHIFT = 32
COOKIE_SITE_BITS = 6

HOLE_COOKIE = 32513
HOLE_FEATURES = 32514
HOLE_ENTRY_READS = 32515
HOLE_END_READS = 32516
HOLE_CALLS = 32517
HOLE_CELLS = 32518
HOLE_CONTROL = 32519
HOLE_CACHE = 32520
HOLE_SETS = 32521
HOLE_USERS = 32522
HOLE_SITE = 32523
HOLE_WAITING = 32524
HOLE_ARGUMENTS = 32525
HOLE_SHARES = 32526
HOLE_SHARE = 32527
HOLE_UPDATED = 32528
HOLE_WORD = 32529
SITE_FRAME = 16
SITE_IP = 17
SITE_NUMBER = 18
SITE_VALUE = 19
SITE_WORDS = 20
SITE_KNOWN = 0
SITE_OTHER = 1
SITE_UNKNOWN = 2
FEATURE_NEST = 1
FEATURE_EVENTS = 2
FEATURE_RETURN = 4
FEATURE_ENTRY_READS = 8
FEATURE_END_READS = 16
FEATURE_DEPTH = 32
FEATURE_OPEN = 64
FEATURE_CLOSE = 128
FEATURE_TOLD = 256
FEATURE_FORM = 512
FEATURE_RTP = 1024
FEATURE_GO = 2048
FEATURE_KEY_SHIFT = 12
KEY_THREAD = 7
FEATURE_ENTERS = 1 << 15
FEATURE_LEAVES = 1 << 16
FEATURE_LEFT = 1 << 17
FEATURE_EMPTIES = 1 << 18
FEATURE_NUMBERED = 1 << 19
FEATURE_SITE = 1 << 20
FEATURE_SITE_SHIFT = 21
FEATURE_ARGUMENTS = 1 << 33
FEATURE_SHARE = 1 << 42
FEATURE_SHARE_NEAR = 1 << 43
FEATURE_BYTES = 1 << 44
FEATURE_STREAM = 1 << 45
FEATURE_SAVES_SHIFT = 46
FEATURE_LATE_SHIFT = 34
#: what few probes have; those without get the programs in which nothing asks for it
FEATURES_RARE = (
    FEATURE_DEPTH
    | FEATURE_OPEN
    | FEATURE_CLOSE
    | FEATURE_RTP
    | FEATURE_GO
    | 7 << FEATURE_KEY_SHIFT
    | FEATURE_ENTERS
    | FEATURE_LEAVES
    | FEATURE_LEFT
    | FEATURE_EMPTIES
    | FEATURE_NUMBERED
    | FEATURE_ARGUMENTS
    | (1 << DROP_REASONS) - 1 << FEATURE_LATE_SHIFT
)
PLAIN = {"on_entry": "on_plain_entry", "on_end": "on_plain_end", "on_session": "on_plain_session"}

REG_BYTES = 16
REG_STREAM = 17
REG_SAVE = 18
REG_DEPTH = 21
REG_OUTCOME = 22
REG_CLOSE = 23
REG_OPEN = 24
REG_BROKEN = 25
REG_RTP = 27
REG_PACKET = 24
PACKET_PASSED = 1
OUTCOME_UNKNOWN = 255

EVENT_RETURN = 1
EVENT_NEST_KNOWN = 2
EVENT_FAULTED = 4
EVENT_LATE = 8
LATE_GAP_NS = 1_000_000_000  #: between two events of late packets of one series
LATE_GAP_ALL_NS = 100_000_000  #: of all series

NEVER = (1 << 64) - 1  #: a threshold or boundary that no duration reaches

# struct call, in words
CALL_WORDS = 8
CALL_KEY, CALL_START, CALL_TID_FLAGS = 0, 1, 2
CALL_MARK = 1 << 30
SAVES = 3  #: values that one call keeps for its end

# struct share, in words, and the bits of the second that count how often a thread slept
SHARE_WORDS = 2
SHARE_AWAY, SHARE_WAITED = 0, 1
SHARE_SLEPT_BITS = 16

# struct series, in words
SERIES_SLOW_NS = 0
SERIES_GROUP_FLAGS = 1  #: two halves: the group below, FLAG_* above
SERIES_ENTERED = 2  #: read after all others
SERIES_OCTAVE = 3
SERIES_SUM_NS = 4
SERIES_EXTREMES = 6


def _places(at: int, members: tuple[tuple[str, int], ...]) -> tuple[dict[str, int], int]:
    """Where the words of each member begin if the first begins at `at`, and the word behind them all."""
    places = {}
    for name, words in members:
        places[name] = at
        at += words
    return places, at


_extremes, SERIES_COUNTERS = _places(SERIES_EXTREMES, declared(TABLE, of_interval=True))
_counters, SERIES_EVENT_GAP_NS = _places(SERIES_COUNTERS, declared(TABLE, of_interval=False))
SERIES_EVENT_BURST_NS = SERIES_EVENT_GAP_NS + 1
SERIES_EVENT_TAT = SERIES_EVENT_GAP_NS + 2
SERIES_LATE_NS = SERIES_EVENT_GAP_NS + 3
SERIES_OWNER = SERIES_EVENT_GAP_NS + 4
SERIES_STARTED_NS = SERIES_EVENT_GAP_NS + 5
SERIES_CGROUP = SERIES_EVENT_GAP_NS + 6
SERIES_COMM = SERIES_EVENT_GAP_NS + 7
SERIES_WHOSE = SERIES_EVENT_GAP_NS + 9
SERIES_STATE = SERIES_EVENT_GAP_NS + 10
SERIES_BUCKETS = SERIES_EVENT_GAP_NS + 11
#: where the words of each row of the table of counters begin
PLACES = {**_counters, **_extremes}
SERIES_ABANDONED, SERIES_MISSED, SERIES_UNTIMED = PLACES["abandoned"], PLACES["missed"], PLACES["untimed"]
SERIES_DEPTH_LOST = PLACES["depth_lost"]
#: their definitions for the compiler
COUNTER_DEFINES = {
    "COUNTERS": declarators(TABLE, of_interval=False),
    "EXTREMES": declarators(TABLE, of_interval=True),
}

FLAG_SHUT, FLAG_CLEARED, FLAG_EXCHANGE, FLAG_NEW = 1, 2, 4, 8
BLOCK_FREE, BLOCK_TAKEN, BLOCK_VOID, BLOCK_ENDED, BLOCK_EXECUTED = 0, 1, 2, 3, 4


def cache_word(pid: int, of_set: int, base: int) -> int:
    """How the kernel notes that the first series of a process, in a set, is `base`."""
    return pid | of_set << CACHE_TGID_BITS | CACHE_VALID | base << CACHE_BASE_SHIFT


def series_words(buckets: int) -> int:
    """Words of one `struct series` with that many buckets: whole cache lines."""
    line = CACHE_LINE // 8
    return (SERIES_BUCKETS + buckets + line - 1) // line * line


# struct set, in words
SET_WORDS = 4 + GRANTS // 2
SET_GIVEN, SET_TAKEN, SET_NO_ROOM, SET_FUNCTIONS, SET_GRANTS = 0, 1, 2, 3, 4
BASE_IGNORED = 0x7FFFF
CACHE_TGID_BITS = 22
CACHE_VALID = 1 << 31
CACHE_BASE_SHIFT = 32

# struct user, in words
USER_WORDS = 4
USER_ID, USER_TAKEN, USER_FREED, USER_REFUSED = 0, 1, 2, 3

COMMAND_CLAIM, COMMAND_IGNORE, COMMAND_END, COMMAND_SETTLE, COMMAND_FORGET, COMMAND_UNSEEN = 1, 2, 3, 4, 5, 6
COMMAND_SUBTRACT = 7
CELL_WORDS = 3
CELL_GAPS_SHIFT, CELL_GAP_BITS = 32, 8
CONTROL_WORDS = 12 + RTP_CLOCKS
CONTROL_EPOCH, CONTROL_SPILLED, CONTROL_ZERO, CONTROL_FAR_NS, CONTROL_ENDED, CONTROL_USER_QUOTA = 0, 1, 2, 3, 4, 5
CONTROL_GROUP_LEADER, CONTROL_START_BOOTTIME, CONTROL_SIGNAL, CONTROL_LIVE = 6, 7, 8, 9
CONTROL_LATE_NS, CONTROL_BEGUN, CONTROL_CLOCKS = 10, 11, 12
BUFFER_WORDS = 4
DEPTH_MARK_SHIFT = 48
BUFFER_KEY, BUFFER_DEPTH, BUFFER_SEEN_NS = 0, 1, 2
PLACE_WORDS = 8  #: of the slot of a buffer, and, behind it, of one whose packets are followed
NESTED_WORDS = 4

# struct rtp_stream, in words
RTP_STREAM_WORDS = 104
RTP_STREAM_KEY = 0
#: of the flight recorder; these two stay when a slot is freed
RTP_STREAM_RING, RTP_STREAM_FLOWN = 1, 2
RTP_STREAM_OWNER = 3  #: with all that follows, of the stream that has the slot
RTP_STREAM_MAX = 4
RTP_STREAM_RECEIVED = 5
RTP_STREAM_BYTES = 6
RTP_STREAM_PASSED_NS = 7
RTP_STREAM_GAPS_NS = 8
RTP_STREAM_LAST = 9
RTP_STREAM_TICK = 10
RTP_STREAM_JITTER = 11  #: 16 times, in ns
RTP_STREAM_MOVED = 12  #: ns
RTP_STREAM_CLOCK = 13  #: payload type << RTP_CLOCK_SHIFT | tick
RTP_STREAM_BASE = 14
RTP_STREAM_LOST = 15  #: signed
RTP_STREAM_WINDOW = 16
RTP_STREAM_GAPS = RTP_STREAM_WINDOW + RTP_WORDS
RTP_STREAM_REORDERED = RTP_STREAM_GAPS + RTP_GAPS
RTP_STREAM_DUPLICATED = RTP_STREAM_REORDERED + 1
RTP_STREAM_STRAYS = RTP_STREAM_REORDERED + 2
RTP_STREAM_BAD = RTP_STREAM_REORDERED + 3
RTP_STREAM_SETTLED = RTP_STREAM_REORDERED + 4
RTP_STREAM_BURSTS = RTP_STREAM_SETTLED + 6
RTP_STREAM_BURST_EXPECTED = RTP_STREAM_BURSTS + 1
RTP_STREAM_BURST_LOST = RTP_STREAM_BURSTS + 2
RTP_STREAM_GAP_EXPECTED = RTP_STREAM_BURSTS + 3
RTP_STREAM_GAP_LOST = RTP_STREAM_BURSTS + 4
RTP_STREAM_UNJUDGED = RTP_STREAM_BURSTS + 5
RTP_UNPLACED_WORDS = 2

# struct flight, in words
FLIGHT_WORDS = 3
FLIGHT_PUT, FLIGHT_HEAD, FLIGHT_FATE = 0, 1, 2

# struct flow, in words, and where it is in a struct place
FLOW_WORDS = 4
FLOW_AT = BUFFER_WORDS
FLOW_KEY, FLOW_BORN, FLOW_SEEN_NS = 0, 1, 2

# struct waiting, in words
WAITING_WORDS = 24
WAITING_TAG, WAITING_LOST_NS, WAITING_PUT, WAITING_FLIGHT = 0, 7, 8, 16

# struct residence, in words
RESIDENCE_SUM_NS, RESIDENCE_UNMATCHED, RESIDENCE_BUCKETS = 0, 1, 1 + len(UNMATCHED)


def residence_words(buckets: int) -> int:
    """Words of one `struct residence` with that many buckets."""
    return RESIDENCE_BUCKETS + buckets


# struct event: (name, struct format) in order; all little-endian on both architectures
EVENT_HEADER = "<15Q 6I I i I I 16s"
EVENT_STACK = 15 * 8 + 10 * 4 + 16
EVENT_NESTED = EVENT_STACK + STACK_DEPTH * 8
EVENT_COPY = EVENT_NESTED + NESTED * NESTED_WORDS * 8
EVENT_SIZE = EVENT_COPY + STACK_COPY
WAKE_SIZE = 8

#: the maps that the loader hands over, in this order
MAPS = (
    "calls",
    "shares",
    "overflow",
    "all_series",
    "cells",
    "control",
    "cache",
    "sets",
    "users",
    "owners",
    "processes",
    "buffers",
    "threads",
    "rtp_streams",
    "rtp_unplaced",
    "flights",
    "waiting",
    "residences",
    "events",
    "settling",
    "onward",
    "onward_in_session",
)
#: what tail calls lead to: for each program array, its places
ONWARD = {"onward": {1: "on_settle"}, "onward_in_session": {1: "on_settle", 2: "on_settle_unseen"}}
PROGRAM_NAMES = (
    "on_entry",
    "on_end",
    "on_session",
    "on_plain_entry",
    "on_plain_end",
    "on_plain_session",
    "on_settle",
    "on_settle_unseen",
    "on_exec",
    "on_exit",
    "on_command",
)
