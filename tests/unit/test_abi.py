# SPDX-License-Identifier: Apache-2.0
"""The Python twin of bpf/abi.h, compared with the C compiler's layout."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from otel_jb.model.counters import TABLE
from otel_jb.probes import abi
from otel_jb.probes.programs import reading
from otel_jb.probes.programs.source import bpf_directory, program_text

_STRUCTS = {
    "call": ("key", "start", "tid"),
    "thread": ("recent",),
    "series": (
        "slow_ns",
        "octave",
        "event_gap_ns",
        "event_burst_ns",
        "group",
        "event_tat",
        "late_ns",
        "owner",
        "started_ns",
        "cgroup",
        "comm",
        "whose",
        "state",
        "sum_ns",
        *abi.PLACES,
        "buckets",
        "entered",
    ),
    "set": ("given", "taken", "no_room", "functions", "grants"),
    "user": ("id", "taken", "freed", "refused"),
    "control": (
        "epoch",
        "spilled",
        "zero",
        "far_ns",
        "ended",
        "user_quota",
        "group_leader",
        "start_boottime",
        "signal",
        "live",
        "late_ns",
        "begun",
        "clocks",
    ),
    "buffer": ("key", "depth", "seen_ns"),
    "rtp_stream": (
        "key",
        "owner",
        "max",
        "base",
        "received",
        "bytes",
        "lost",
        "reordered",
        "duplicated",
        "strays",
        "bad",
        "last",
        "tick",
        "jitter",
        "moved",
        "passed_ns",
        "window",
        "gaps_ns",
        "gaps",
        "clock",
        "settled",
        "bursts",
        "burst_expected",
        "burst_lost",
        "gap_expected",
        "gap_lost",
        "unjudged",
        "ring",
        "flown",
    ),
    "flight": ("put", "head", "fate"),
    "flow": ("key", "born", "seen_ns"),
    "place": ("buffer", "flow"),
    "waiting": ("tag", "lost_ns", "put"),
    "residence": ("sum_ns", "unmatched", "buckets"),
}
_WORDS = {
    **{("series", name): place for name, place in abi.PLACES.items()},
    ("call", "key"): abi.CALL_KEY,
    ("thread", "recent"): abi.NESTED_WORDS,
    ("call", "start"): abi.CALL_START,
    ("call", "tid"): abi.CALL_TID_FLAGS,
    ("series", "buckets"): abi.SERIES_BUCKETS,
    ("series", "group"): abi.SERIES_GROUP_FLAGS,
    ("set", "functions"): abi.SET_FUNCTIONS,
    ("buffer", "key"): abi.BUFFER_KEY,
    ("place", "buffer"): 0,
    ("place", "flow"): abi.FLOW_AT,
    ("buffer", "depth"): abi.BUFFER_DEPTH,
    ("buffer", "seen_ns"): abi.BUFFER_SEEN_NS,
    **{
        ("set", f): getattr(abi, f"SET_{f.upper()}")
        for f in ("given", "taken", "no_room", "functions", "grants")
        if f != "functions"
    },
    **{("user", f): getattr(abi, f"USER_{f.upper()}") for f in _STRUCTS["user"]},
    **{("control", f): getattr(abi, f"CONTROL_{f.upper()}") for f in _STRUCTS["control"]},
}
_SIZES = {
    "call": abi.CALL_WORDS * 8,
    "cell": abi.CELL_WORDS * 8,
    "control": abi.CONTROL_WORDS * 8,
    "set": abi.SET_WORDS * 8,
    "user": abi.USER_WORDS * 8,
    "buffer": abi.BUFFER_WORDS * 8,
    "nested": abi.NESTED_WORDS * 8,
    "rtp_stream": abi.RTP_STREAM_WORDS * 8,
    "flight": abi.FLIGHT_WORDS * 8,
    "flow": abi.FLOW_WORDS * 8,
    "place": abi.PLACE_WORDS * 8,
    "waiting": abi.WAITING_WORDS * 8,
    "residence": abi.residence_words(5) * 8,
    "event": abi.EVENT_SIZE,
    "wake": abi.WAKE_SIZE,
}
_BUCKETS = 5


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What the C compiler says of every offset, size and number."""
    header = (bpf_directory() / "abi.h").read_text()
    names = [n for n in re.findall(r"^#define (\w+) .*\d", header, re.MULTILINE) if not n.startswith("OTEL")]
    names.append("FEATURES_RARE")  # of other numbers
    lines = [
        f'printf("{name} %lld\\n", (long long)({name}));' for name in names if name not in {"BUCKETS", "CELL_BITS"}
    ]
    for struct, fields in _STRUCTS.items():
        lines += [f'printf("{struct}.{f} %zu\\n", offsetof(struct {struct}, {f}));' for f in fields]
    for struct in (*_SIZES, "series"):
        lines.append(f'printf("sizeof.{struct} %zu\\n", sizeof(struct {struct}));')
    for field in ("stack", "nested", "copy"):
        lines.append(f'printf("event.{field} %zu\\n", offsetof(struct event, {field}));')
    source = (
        "#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n"
        "typedef uint64_t u64; typedef uint32_t u32; typedef uint16_t u16; typedef uint8_t u8; typedef int32_t s32;\n"
        + "".join(f"#define {name} {text}\n" for name, text in {"BUCKETS": _BUCKETS, **abi.COUNTER_DEFINES}.items())
        + f'#include "abi.h"\nint main(void) {{ {" ".join(lines)} return 0; }}\n'
    )
    directory: Path = tmp_path_factory.mktemp("abi")
    (directory / "abi.c").write_text(source)
    subprocess.run(
        ["gcc", f"-I{bpf_directory()}", "-o", directory / "abi", directory / "abi.c"], check=True, capture_output=True
    )
    output = subprocess.run([directory / "abi"], check=True, capture_output=True, text=True).stdout
    return {name: int(value) for name, value in (line.split() for line in output.splitlines())}


def test_every_number_of_the_header_is_the_same_in_python(compiled: dict[str, int]) -> None:
    """A constant that both sides have has the same value."""
    shared = [name for name in compiled if hasattr(abi, name)]
    assert len(shared) > 32
    assert {name: getattr(abi, name) for name in shared} == {name: compiled[name] for name in shared}


def test_every_word_is_where_the_compiler_puts_it(compiled: dict[str, int]) -> None:
    """The word offsets that the reader uses are the compiler's."""
    for struct, fields in _STRUCTS.items():
        for field in fields:
            name = (struct, field)
            expected = _WORDS[name] if name in _WORDS else getattr(abi, f"{struct.upper()}_{field.upper()}")
            assert compiled[f"{struct}.{field}"] == expected * 8, name


def test_every_structure_is_as_large_as_the_compiler_makes_it(compiled: dict[str, int]) -> None:
    """Strides of the mapped arrays, and the layout of an event, are the compiler's."""
    assert {s: compiled[f"sizeof.{s}"] for s in _SIZES} == _SIZES
    assert compiled["sizeof.series"] == abi.series_words(_BUCKETS) * 8
    assert compiled["event.stack"] == abi.EVENT_STACK
    assert compiled["event.nested"] == abi.EVENT_NESTED
    assert compiled["event.copy"] == abi.EVENT_COPY


def test_what_most_calls_touch_is_in_few_cache_lines(compiled: dict[str, int]) -> None:
    """Two of a series, beside its histogram, and two of a stream, beside its window and its gaps; no record of a finished call is in two lines."""
    line = abi.CACHE_LINE
    hot = ("slow_ns", "group", "entered", "sum_ns", "duration_max", "duration_min", "packets", "bytes")
    assert max(compiled[f"series.{field}"] for field in hot) < 2 * line
    assert max(compiled[f"series.{field}"] for field in ("group", "entered")) < line
    assert compiled["sizeof.series"] % line == compiled["sizeof.rtp_stream"] % line == 0
    assert compiled["rtp_stream.window"] == 2 * line
    assert line % compiled["sizeof.nested"] == compiled["thread.recent"] % compiled["sizeof.nested"] == 0


def test_every_counter_of_the_table_is_counted_by_the_program() -> None:
    """Each row of the table of counters is a member that the kernel program writes, and user space writes no other."""
    source = program_text(bpf_directory())
    written = re.findall(r"(?:ADD|note_highest|note_lowest|__sync_val_compare_and_swap)\((?:s, )?&?s->(\w+)", source)
    put_in = {"added"}  # by the instructions of a probe's reads
    assert {row.name for row in TABLE} - put_in <= set(written)
    assert put_in == set(
        re.findall(r'ATOMIC_ADD, 2, 1, 8 \* \(abi.PLACES\["(\w+)"\] \+ op.dst', Path(reading.__file__).read_text())
    )


def test_the_program_is_one_text_whose_lines_are_known() -> None:
    """Every part is in it once, and the compiler's messages name the file and the line that somebody can look at."""
    directory = bpf_directory()
    name, number, found = "otel_jb.bpf.c", 0, set()
    for line in program_text(directory).splitlines():
        if marked := re.fullmatch(r'#line (\d+) "(.+)"', line):
            number, name = int(marked[1]) - 1, marked[2]
            continue
        number += 1
        found.add((name, number))
        assert (directory / name).read_text().splitlines()[number - 1] == line
    parts = {path.name: len(path.read_text().splitlines()) for path in directory.glob("*.c")}
    includes = len(parts) - 1  # each takes a line of the program
    assert len(found) == sum(parts.values()) - includes
