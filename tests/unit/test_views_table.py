# SPDX-License-Identifier: Apache-2.0
"""The live table: what each cell says, and how the whole looks."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from otel_jb.model.stream import DepthSnapshot, Series, SeriesSnapshot, Snapshot, StreamRecord, Target
from otel_jb.telemetry.state import StreamState
from otel_jb.views.numbers import at_most, at_most_text
from otel_jb.views.rows import LiveTable, Row, rows_between
from otel_jb.views.table import FUNCTIONS, Item, Line, arrange, cells, styled

pytestmark = pytest.mark.unit

GOLDEN = Path(__file__).parent / "golden" / "live"
BOUNDS_NS = (1_000, 50_000, 1_000_000)
SECOND = 1_000_000_000
TARGET = Target(1, 4711, 1, "ffmpeg", "/usr/bin/ffmpeg", None, "ffmpeg", "id", 5)
PUT = Series(
    id=1,
    target=1,
    function="ff_rtp_parse_packet",
    role="put",
    primary=True,
    profile="ffmpeg",
    strategy="edge-sites",
    reason="",
    file="/usr/bin/ffmpeg",
    has_timing=True,
    has_packets=True,
    has_bytes=True,
    has_depth=True,
    has_duplicates=False,
    drop_reasons=("late", "error"),
)
RESET = replace(PUT, id=2, function="ff_rtp_reset_packet_queue", role="reset", has_packets=False, has_bytes=False,
                has_depth=False, drop_reasons=())  # fmt: skip


def values(series: Series, buckets: tuple[int, ...], **more: object) -> SeriesSnapshot:
    made = SeriesSnapshot(
        series=series.id,
        returned=sum(buckets),
        abandoned=0,
        missed=0,
        untimed=0,
        in_flight=0,
        orphan_ends=0,
        sum_ns=0,
        buckets=buckets,
        no_packet=0,
        unknown=0,
        bytes=0,
        drops=(0,) * len(series.drop_reasons),
        duplicates=0,
        faults=(),
        slow=0,
        events_emitted=0,
        events_suppressed=0,
        events_lost=0,
        attached_ns=0,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def state_after(*snapshots: Snapshot) -> StreamState:
    state = StreamState()
    records: tuple[StreamRecord, ...] = (TARGET, PUT, RESET, *snapshots)
    for record in records:
        state.apply(record)
    return state


def snapshot(seconds: int, put: SeriesSnapshot, *depths: DepthSnapshot) -> Snapshot:
    return Snapshot(seconds * SECOND, seconds * SECOND, BOUNDS_NS, (put, values(RESET, (0, 0, 0, 0))), depths)


BEFORE = snapshot(10, values(PUT, (100, 0, 0, 0), bytes=17_200))
AFTER = snapshot(
    14,
    values(PUT, (200, 297, 2, 1), bytes=17_200 + 68_800, drops=(3, 1), no_packet=50),
    DepthSnapshot(1, 1, 7, 1, 9),
)


def _idle(function: str) -> Row:
    return Row(
        process="",
        pid=1,
        function=function,
        role="put",
        calls=0,
        calls_per_second=None,
        p50_at_most_ns=None,
        p99_at_most_ns=None,
        bytes_per_second=None,
        packets=None,
        drops=None,
        depth=None,
        ended=False,
    )


def rows() -> list[Row]:
    state = state_after(BEFORE)
    before = state.view()
    state.apply(AFTER)
    return rows_between(before, state.view())


def test_rates_and_percentiles_are_of_the_time_between_two_readings() -> None:
    """Calls, bytes and percentiles are of the difference, packets and drops of all time, depth of now."""
    put, reset = rows()
    assert put.calls_per_second == 400 / 4
    assert put.bytes_per_second == 68_800 / 4
    # 400 calls: 100 up to 1 µs, 297 up to 50 µs, 2 up to 1 ms, 1 over it.
    assert put.p50_at_most_ns == 50_000
    assert put.p99_at_most_ns == 50_000
    assert (put.packets, put.drops, put.depth) == (450, 4, 7)
    assert (reset.packets, reset.drops, reset.depth, reset.bytes_per_second) == (None, None, None, None)
    assert reset.p50_at_most_ns is None


@given(
    st.lists(st.integers(0, 2_000_000), min_size=1, max_size=200),
    st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]),
)
def test_a_shown_percentile_is_never_below_the_true_one(calls_ns: list[int], share: float) -> None:
    """At least the share of the calls took at most what is shown, and the bucket below holds fewer."""
    buckets = [0] * (len(BOUNDS_NS) + 1)
    for each in calls_ns:
        buckets[sum(each > bound for bound in BOUNDS_NS)] += 1
    shown = at_most(buckets, BOUNDS_NS, share)
    assert shown is not None
    assert sum(each <= shown for each in calls_ns) >= share * len(calls_ns)
    smaller = [bound for bound in BOUNDS_NS if bound < shown]
    assert not smaller or sum(each <= smaller[-1] for each in calls_ns) < share * len(calls_ns)


@given(st.integers(1, 10**11))
def test_a_shown_bound_is_rounded_upwards(nanoseconds: int) -> None:
    """What the cell says is at least the bound, and less than one percent more."""
    text = at_most_text(float(nanoseconds))
    number = text.lstrip("≤").rstrip("nµms")
    unit = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[text.lstrip("≤")[len(number) :]]
    assert text.startswith("≤")
    assert nanoseconds * 0.999999 <= float(number) * unit < nanoseconds * 1.0101


def test_a_percentile_beyond_the_last_bound_is_called_so() -> None:
    """A call over the highest bound has no upper bound to show."""
    assert cells(replace(rows()[0], p99_at_most_ns=float("inf")))["p99"] == "over"


def test_readings_older_than_the_window_are_forgotten() -> None:
    """However often the table asks, rates are of the window and only that many readings are kept."""
    clock = [0.0]
    state = state_after(BEFORE)
    table = LiveTable(state, window_seconds=5.0, now=lambda: clock[0])
    for tick in range(1, 400):
        clock[0] = tick / 10
        state.apply(snapshot(10 + tick, values(PUT, (100 + 7 * tick, 0, 0, 0))))
        shown = table.rows()
    assert shown[0].calls_per_second == pytest.approx(7)
    assert len(table._views) <= 12


def test_a_name_cannot_move_the_cursor() -> None:
    """A function's name comes from a file that may be hostile: escape sequences and markup are shown, not obeyed."""
    from rich.console import Console

    out = io.StringIO()
    hostile = replace(rows()[0], function="\x1b[2J[bold]x[/bold]", process="\x07p")
    Console(file=out, width=150, force_terminal=False).print(*styled(lines([hostile], 150)))
    assert "\x1b" not in out.getvalue()
    assert "[bold]x[/bold]" in out.getvalue()
    assert "\x1b" not in "".join(text_lines([hostile]))


def lines(some: Sequence[Row], width: int = 200, height: int | None = None) -> list[Line]:
    """These functions as the screen arranges them."""
    items = [Item(cells(row), idle=not row.calls, weak=row.ended, alarm=bool(row.drops)) for row in some]
    return arrange(items, FUNCTIONS, width, height)


def text_lines(some: Sequence[Row], width: int = 200, height: int | None = None) -> list[str]:
    return [line.text for line in lines(some, width, height)]


#: A host as a user has it: long names, large numbers, idle functions, one process that ended.
SERVER = [
    Row("srs", 28_987, "SrsRtcRecvTrack::on_nack", "put", 12_345_678, 620.4, 10_000.0, 43_200.0, 742_113.0, 12_345_678, 1_204, None),
    Row("srs", 28_987, "SrsRtcFrameBuilderVideoPacketCache::check_frame_complete", "query", 98_765_432_101, 61_803.4, 1_000.0, 2_500.0, None, None, None, None),
    Row("srs", 28_987, "SrsRtcConsumer::dump_packet", "get", 4_321, 310.0, 25_000.0, float("inf"), 371_000.0, 4_310, 0, 37),
    Row("ffmpeg-linux-x86_64-v7.1", 4_220, "ff_rtp_parse_packet", "put", 977, None, 9_900.0, 19_800.0, None, 903, 4, None, ended=True),
    *(Row("srs", 28_987, f"SrsRtpRingBuffer::{name}", "query", 0, 0.0, None, None, None, None, None, None) for name in ("set", "at", "reset", "clear_histroy", "notify_drop_seq")),
]  # fmt: skip
SIZES = ((40, 12), (80, 24), (120, 40), (200, 50))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_no_width_costs_a_digit_or_the_function(width: int, height: int) -> None:
    """The table fits, names the functions and what they count, and every number in it is a whole cell's."""
    shown = text_lines(SERVER, width, height)
    assert max(map(len, shown)) <= width
    assert len(shown) <= height
    headings = shown[0].split()
    assert {"function", "calls/s"} <= set(headings)
    known = {text for row in SERVER for text in cells(row).values()}
    for line in shown[1 : 1 + sum(row.calls > 0 for row in SERVER)]:
        numbers = line.split()[
            -len([each for each in headings if each not in ("pid", "process", "function", "role")]) :
        ]
        assert set(numbers) <= known, line
    if width >= 80:
        assert {"packets", "drops", "p99"} <= set(headings)
        assert any("12345678" in line.split() for line in shown)


@given(
    st.integers(20, 220),
    st.integers(5, 60),
    st.lists(
        st.builds(
            Row,
            process=st.text(max_size=40),
            pid=st.integers(1, 4_194_304),
            function=st.text(max_size=90),
            role=st.sampled_from(["put", "decode"]),
            calls=st.integers(0, 2**63),
            calls_per_second=st.none() | st.floats(0, 1e12),
            p50_at_most_ns=st.none() | st.integers(1, 10**12).map(float),
            p99_at_most_ns=st.none() | st.integers(1, 10**12).map(float),
            bytes_per_second=st.none() | st.floats(0, 1e12),
            packets=st.none() | st.integers(0, 2**63),
            drops=st.none() | st.integers(0, 2**63),
            depth=st.none() | st.integers(0, 2**63),
            ended=st.booleans(),
        ),
        max_size=30,
    ),
)
def test_whatever_the_rows_the_table_fits(width: int, height: int, some: list[Row]) -> None:
    """No names and numbers make the table wider or longer than the terminal, and none of its lines moves the cursor."""
    shown = lines(some, width, height)
    assert len(shown) <= max(height, 5)
    for line in shown:
        assert all(each.isprintable() for each in line.text)
        assert cell_len(line.text) <= width
        if line.alarm is not None:
            assert line.text[slice(*line.alarm)].strip().isdigit()


@pytest.mark.parametrize("name", ["\u093a", "\U0001d300", "put"])
def test_an_alarm_is_where_its_number_is(name: str) -> None:
    """Whether a name's characters take no column, two, or one."""
    (line,) = (line for line in lines([replace(_idle(name), calls=1, drops=7)], 60, 5) if line.alarm is not None)
    assert line.alarm is not None
    assert line.text[slice(*line.alarm)].strip() == "7"


def test_a_character_that_is_newer_than_pythons_tables_takes_two_columns() -> None:
    """A name whose character became wide with Unicode 16 is cut where the terminal's own table says."""
    idle = [_idle(""), _idle("\U0001d300"), _idle("0")]
    assert all(cell_len(line.text) <= 20 for line in lines(idle, 20, 5))


def test_functions_that_were_never_called_share_a_line() -> None:
    """Five idle functions are one line that names them, not five rows of dashes."""
    shown = text_lines(SERVER, 120)
    assert len(shown) == 1 + 4 + 1
    assert shown[-1].startswith("not called yet: SrsRtpRingBuffer::set, SrsRtpRingBuffer::at, ")


def test_what_does_not_fit_the_height_is_counted() -> None:
    """With room for four rows of twenty, three are shown and the others are a number."""
    many = [replace(SERVER[0], function=f"f{number}") for number in range(20)]
    shown = text_lines(many, 80, 5)
    assert len(shown) == 5
    assert shown[-1] == "and 17 more"


def test_the_views_look_as_they_did() -> None:
    """The table at each size is that of the golden file (RENEW_GOLDEN=1 renews it)."""
    pictures = [
        f"--- {width}x{height}\n" + "\n".join(text_lines(SERVER, width, height)) + "\n" for width, height in SIZES
    ]
    text = "".join(pictures)
    path = GOLDEN / "table.txt"
    if os.environ.get("RENEW_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
