"""What the BPF program and user space agree on: the Python twin of `bpf/abi.h`.

A test compiles `bpf/abi.h` and compares every number, offset and size. All structures are arrays of 8-byte words as far as user
space is concerned: a word is read and written with one machine access through `memoryview.cast("Q")`, which `struct` with an
explicit byte order does not promise.
"""

from __future__ import annotations

CALL_BITS = 14
SERIES_BITS = 19
BUFFER_SLOTS = 4096
THREAD_SLOTS = 4096
NESTED = 16
STACK_DEPTH = 32
STACK_COPY = 4096
DROP_REASONS = 8
FIELDS = 8
GATES = 4096

COOKIE_CC_SHIFT = 20
COOKIE_CONDITIONAL = 1 << 24
COOKIE_TAKEN = 1 << 25
COOKIE_FP = 1 << 26
COOKIE_OPTIONAL = 1 << 27
COOKIE_NO_RETURN = 1 << 28
COOKIE_ENTRY_ONLY = 1 << 29
COOKIE_SITE = 1 << 30
COOKIE_OFFSET_SHIFT = 32
COOKIE_SITE_BITS = 6

HOLE_COOKIE = 32513
HOLE_FEATURES = 32514
HOLE_ENTRY_READS = 32515
HOLE_END_READS = 32516
HOLE_CALLS = 32517
HOLE_CELLS = 32518
HOLE_CONTROL = 32519
HOLE_GATES = 32520
HOLE_SITE = 32521
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
FEATURE_GATE_SHIFT = 8
FEATURE_SITE = 1 << 20
FEATURE_SITE_SHIFT = 21

REG_BYTES = 16
REG_STREAM = 17
REG_SAVE = 18
REG_DEPTH = 21
REG_OUTCOME = 22
REG_CLOSE = 23
REG_OPEN = 24
REG_BROKEN = 25
OUTCOME_UNKNOWN = 255

EVENT_RETURN = 1
EVENT_NEST_KNOWN = 2
EVENT_FAULTED = 4

NEVER = (1 << 64) - 1  #: a threshold or boundary that no duration reaches

# struct call, in words
CALL_WORDS = 8
CALL_KEY, CALL_START, CALL_TID_FLAGS = 0, 1, 2

# struct series, in words
SERIES_SLOW_NS = 0
SERIES_EVENT_GAP_NS = 1
SERIES_EVENT_BURST_NS = 2
SERIES_GROUP = 3
SERIES_EVENT_TAT = 4
SERIES_SUM_NS = 5
SERIES_BYTES = 6
SERIES_ABANDONED = 7
SERIES_MISSED = 8
SERIES_UNTIMED = 9
SERIES_ORPHAN_ENDS = 10
SERIES_NO_PACKET = 11
SERIES_UNKNOWN = 12
SERIES_DUPLICATES = 13
SERIES_SLOW = 14
SERIES_EMITTED = 15
SERIES_SUPPRESSED = 16
SERIES_LOST = 17
SERIES_MINMAX_LOST = 18
SERIES_DEPTH_LOST = 19
SERIES_DROPS = 20
SERIES_FAULTS = SERIES_DROPS + DROP_REASONS
SERIES_MAX = SERIES_FAULTS + FIELDS
SERIES_INV_MIN = SERIES_MAX + 2
SERIES_DEPTH_MAX = SERIES_INV_MIN + 2
SERIES_BUCKETS = SERIES_DEPTH_MAX + 2


def series_words(buckets: int) -> int:
    """Words of one `struct series` with that many buckets."""
    return SERIES_BUCKETS + buckets


CELL_WORDS = 3
GATE_WORDS = 2
GATE_LOADS, GATE_CLEARED = 0, 1
CONTROL_WORDS = 2
CONTROL_EPOCH, CONTROL_COLLIDED = 0, 1
BUFFER_WORDS = 4
BUFFER_KEY, BUFFER_DEPTH, BUFFER_SEEN_NS = 0, 1, 2
NESTED_WORDS = 4

# struct event: (name, struct format) in order; all little-endian on both architectures
EVENT_HEADER = "<10Q 6I I i I I 16s"
EVENT_STACK = 10 * 8 + 10 * 4 + 16
EVENT_NESTED = EVENT_STACK + STACK_DEPTH * 8
EVENT_COPY = EVENT_NESTED + NESTED * NESTED_WORDS * 8
EVENT_SIZE = EVENT_COPY + STACK_COPY

#: the maps that the loader hands over, in this order
MAPS = (
    "calls",
    "overflow",
    "all_series",
    "cells",
    "control",
    "gates",
    "buffers",
    "threads",
    "events",
    "nowhere",
    "nowhere_in_session",
)
PROGRAM_NAMES = ("on_entry", "on_end", "on_session", "on_load")
