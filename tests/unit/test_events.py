# SPDX-License-Identifier: Apache-2.0
"""Decoding of what the kernel sends of a slow call."""

from __future__ import annotations

import struct
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.probes import abi
from otel_jb.probes.programs.source import bpf_directory
from otel_jb.probes.read.events import _copy, _share, decode
from otel_jb.probes.series import Attached
from tests import telemetry_samples as samples

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("below_page_end", [0, 8, 1000])
def test_a_page_that_could_not_be_read_holds_no_address(below_page_end: int) -> None:
    """What the kernel left there, zeros or an older event's bytes, is no return address, and no end of the stack either."""
    sp = 0x7FFC_0000_2000 - below_page_end
    record = bytes(abi.EVENT_COPY) + b"\x11" * abi.STACK_COPY
    copied = below_page_end + 3 * abi.STACK_PAGE
    copy = _copy(record, copied, 1 << 2, sp)
    hole = slice(below_page_end + abi.STACK_PAGE, below_page_end + 2 * abi.STACK_PAGE)
    assert len(copy) == copied
    assert copy[hole] == b"\xff" * abi.STACK_PAGE
    assert set(copy[: hole.start] + copy[hole.stop :]) == {0x11}
    assert _copy(record, copied, 0, sp) == record[abi.EVENT_COPY : abi.EVENT_COPY + copied]


def words(away: int, waited: int, slept: int) -> tuple[int, int]:
    """A `struct share` of bpf/abi.h."""
    return away & (1 << 64) - 1, (waited << 16 | slept & 0xFFFF) & (1 << 64) - 1


@given(
    before=st.tuples(st.integers(0, 1 << 64), st.integers(0, 1 << 48), st.integers(0, 1 << 16)),
    spent=st.tuples(*[st.integers(0, 1 << 40)] * 3),
    naps=st.integers(1, 1000),
)
def test_the_three_parts_of_a_call_come_out_as_they_were(
    before: tuple[int, int, int], spent: tuple[int, int, int], naps: int
) -> None:
    """Whatever the counters stood at when it began, also where they overflow meanwhile."""
    _, waited, asleep = spent
    (away, since), (queued, queued_since) = zip(
        words(*before), words(before[0] + waited + asleep, before[1] + waited, before[2] + naps), strict=True
    )
    assert _share(sum(spent), (away, since), (queued, queued_since)) == spent


def test_what_a_thread_that_never_slept_did_not_run_it_waited_for() -> None:
    """Interrupts and other guests of the host kept it from running, though it had a processor."""
    before, preempted, slept = words(5000, 700, 3), words(9000, 1700, 3), words(9000, 1700, 4)
    assert _share(10_000, *zip(before, preempted, strict=True)) == (6000, 4000, 0)
    assert _share(10_000, *zip(before, slept, strict=True)) == (6000, 1000, 3000)


@pytest.mark.parametrize(
    ("took", "after", "known"),
    [(50_000, 4_000, True), (50_000, 6_000, False), (6_400_000, 90_000, True), (6_400_000, 110_000, False)],
)
def test_an_account_that_was_read_too_late_tells_nothing_of_the_call(took: int, after: int, known: bool) -> None:
    """Within a few microseconds no other thread can have had its turn; of a long call a 64th does not matter."""
    fields: list[Any] = [0] * 25 + [b""]
    fields[:2] = 1000, 1000 + took
    fields[10:15] = *words(7, 0, 0), *words(7, 0, 0), 1000 + took + after
    record = struct.pack(abi.EVENT_HEADER, *fields).ljust(abi.EVENT_SIZE, b"\0")
    attached = {0: SimpleNamespace(series=samples.PUT, probe=SimpleNamespace(return_width=0, may_yield=False))}
    call = decode(record, cast("dict[int, Attached]", attached))
    assert call is not None
    assert (call.cpu_ns is not None) == known


@pytest.mark.parametrize(
    ("away", "waited"),
    [(-20_000, 0), (9_000_000, 0), (10_000, 2_000_000)],
    ids=["ran longer than it took", "was away longer than it took", "waited while it ran"],
)
def test_an_account_that_contradicts_itself_tells_nothing(away: int, waited: int) -> None:
    """Unless it is by so little that two clocks may differ."""
    took, before = 8_000_000, words(1 << 50, 1 << 40, 3)
    after = words((1 << 50) + away, (1 << 40) + waited, 4)
    assert _share(took, *zip(before, after, strict=True)) is None
    nearly = words((1 << 50) + took + 5000, (1 << 40) + took + 6000, 4)
    assert _share(took, *zip(before, nearly, strict=True)) == (0, took, 0)


#: Each member of `struct event`, by its name, with a value that no other has. What `away` and `waited` stand for: see `words`.
EVENT = """
#include <stdint.h>
#include <stdio.h>
#include <string.h>
typedef uint64_t u64; typedef uint32_t u32; typedef uint16_t u16; typedef uint8_t u8; typedef int32_t s32;
%s
#include "abi.h"
int main(void) {
  static struct event event = {
    .start = 1000000, .end = 9000000, .frame = 0x7000, .bytes = 160, .stream = 0x5550, .return_value = 0xfffffff9,
    .sp = 0x6f00, .ip = 0x401000, .fp = 0x6ff0, .lr = 0x402000,
    .began = {.away = 100, .waited = 40ull << SHARE_SLEPT_BITS | 7},
    .ended = {.away = 5000100, .waited = 1000040ull << SHARE_SLEPT_BITS | 9},
    .accounted = 9000001, .series = 3, .tid = 77, .tgid = 70, .outcome = 6, .flags = EVENT_RETURN | EVENT_NEST_KNOWN | EVENT_LATE,
    .nested_inside = NESTED + 5, .nested_next = 1, .stack_bytes = 16, .copy_bytes = 8, .comm = "worker", .stack = {0x403000, 0x404000},
    .nested = {{.frame = 0x6800, .start = 2000000, .end = 3000000, .series = 3, .tid = 77},
               {.frame = 0x6810, .start = 2000001, .end = 3000001, .series = 3, .tid = 78},
               {.frame = 0x6820, .start = 2000002, .end = 3000002, .series = 4, .tid = 77},
               {.frame = 0x7001, .start = 2000003, .end = 3000003, .series = 3, .tid = 77},
               {.frame = 0x6840, .start = 999999, .end = 3000004, .series = 3, .tid = 77},
               {.frame = 0x6850, .start = 2000005, .end = 9000001, .series = 3, .tid = 77}},
  };
  memcpy(event.copy, "a stack!", 8);
  return fwrite(&event, sizeof event, 1, stdout) != 1;
}
"""


def test_every_field_of_a_slow_call_is_the_member_of_its_name(tmp_path: Path) -> None:
    """A record that the C compiler made of `struct event`: no two members, and no two fields of a call, may be mistaken for each other."""
    defines = {"BUCKETS": 5, **abi.COUNTER_DEFINES}
    source, program = tmp_path / "event.c", tmp_path / "event"
    source.write_text(EVENT % "\n".join(f"#define {name} {text}" for name, text in defines.items()))
    subprocess.run(["gcc", f"-I{bpf_directory()}", "-o", program, source], check=True, capture_output=True)
    record = subprocess.run([program], check=True, capture_output=True).stdout
    series = replace(samples.PUT, id=31, has_bytes=True)
    probe = SimpleNamespace(return_width=4, return_signed=True, may_yield=False)
    attached = cast("dict[int, Attached]", {3: SimpleNamespace(series=series, probe=probe)})
    call = decode(record, attached)
    assert call is not None
    inner = {"series": 31, "frame": 0x6800, "start_ns": 2_000_000, "end_ns": 3_000_000}
    assert asdict(call) == {
        "series": 31,
        "thread_id": 77,
        "thread_name": "worker",
        "frame": 0x7000,
        "start_ns": 1_000_000,
        "end_ns": 9_000_000,
        "bytes": 160,
        "stream": 0x5550,
        "return_value": -7,
        "outcome": 6,
        "stack": (0x403000, 0x404000),
        "stack_pointer": 0x6F00,
        "instruction_pointer": 0x401000,
        "frame_pointer": 0x6FF0,
        "link_register": 0x402000,
        "stack_copy": b"a stack!",
        "nested": (inner,),
        "nested_doubtful": 0,
        "nested_omitted": 5,
        "stream_name": "",
        "ssrc": None,
        "packets": (),
        "late": True,
        "cpu_ns": 3_000_000,
        "run_delay_ns": 1_000_000,
        "blocked_ns": 4_000_000,
        "may_yield": False,
    }
    probe.may_yield = True
    yields = decode(record, attached)
    assert yields == replace(call, cpu_ns=None, run_delay_ns=None, blocked_ns=None, may_yield=True)
