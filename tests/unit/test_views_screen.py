# SPDX-License-Identifier: Apache-2.0
"""`top`: what each key does, how each table looks, and that a page over HTTP shows what the agent itself would."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from rich.console import Console

from otel_jb.model.errors import TargetError
from otel_jb.model.stream import HostShare, RtpSnapshot, SeriesSnapshot
from otel_jb.telemetry.histogram import HistogramShape
from otel_jb.telemetry.prometheus import MetricsPage, TargetCollector
from otel_jb.telemetry.state import StreamState
from otel_jb.views.heat import Heat
from otel_jb.views.keyboard import _parse
from otel_jb.views.opened import Opened, SlowCall, Verdict, opened
from otel_jb.views.rows import LiveTable, Picture, ProcessRow, StreamRow
from otel_jb.views.scraped import picture_between, read_page
from otel_jb.views.screen import Screen
from otel_jb.views.table import styled
from otel_jb.views.trends import Trends, bars, histogram
from tests.unit.test_views_table import BEFORE, BOUNDS_NS, PUT, SECOND, SERVER, snapshot, state_after, values

pytestmark = pytest.mark.unit

GOLDEN = Path(__file__).parent / "golden" / "live"
SIZES = ((80, 24), (120, 40), (200, 50))
BOUNDS = (1_000, 5_000, 25_000, 100_000, 1_000_000)
BUCKETS = {"buckets": (0, 310, 95, 4, 0, 1), "bounds_ns": BOUNDS}
PICTURE = Picture(
    functions=(replace(SERVER[0], drops_by_reason=(("late", 1200), ("error", 4)), added=(("jitterbuffer.resets", "{event}", 3),), **BUCKETS), *SERVER[1:]),  # type: ignore[arg-type]
    streams=(
        StreamRow("srs", 28_987, "SrsRtcRecvTrack::on_nack", "live/cam0", 186_120, 310.2, 371_056.5, 0, 0, 0, 412_000),
        StreamRow("srs", 28_987, "SrsRtcRecvTrack::on_nack", "live/cam1", 185_003, 300.9, 360_110.0, 5_584, 17, 2, 31_280_000),
        StreamRow("srs", 28_987, "SrsRtcRecvTrack::on_nack", "_other", 12_345_678, None, None, -3, 0, 0, None),
    ),
    processes=(
        ProcessRow("srs", 28_987, 8, 98_765_432_101, 62_733.8, 0.741, 0.128, 0.0, 0),
        ProcessRow("ffmpeg-linux-x86_64-v7.1", 4_220, 1, 977, None, udp_drops=12, ended=True),
    ),
)  # fmt: skip


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Slow calls are shown in local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


#: Calls of each of five seconds by duration.
SECONDS = ((40, 20, 1, 0, 0, 0), (300, 80, 2, 0, 0, 0), (0, 0, 0, 0, 0, 0), (310, 95, 4, 0, 1, 0), (10, 1, 0, 0, 0, 2))
OPENED = Opened(
    Verdict(("network", "host"), ("live/cam1 lost 3.0 % of its packets (limit 1.0 %)", "the server waited 8 % (limit 5 %)"), ("why it was blocked",), 60),
    (
        SlowCall("SrsRtcRecvTrack::on_nack", 1_700_000_003_123, 12_300_000, "hybrid (28990)", ("SrsRtcRecvTrack::on_nack", "SrsRtcPublishStream::on_rtp+0x31", "_st_thread_main"), (("decode", 11_900_000),), (100_000, 12_100_000, 100_000), False),
        SlowCall("SrsRtcRecvTrack::on_nack", 1_700_000_002_004, 1_000_000_000, "hybrid (28990)", (), (), None, True),
    ),
)  # fmt: skip


def screen(*keys: str, picture: Picture = PICTURE, bars: bool = True) -> Screen:
    """A screen that took the picture once a second, with the calls of SECONDS, after these keys."""
    clock = [100.0]
    made = Screen(bars, _heat=Heat(lambda: clock[0]))
    totals: tuple[int, ...] = (0,) * 6
    for calls in (totals, *SECONDS):
        totals = tuple(map(int.__add__, totals, calls))
        made.take(replace(picture, functions=(replace(picture.functions[0], totals=totals), *picture.functions[1:])))
        clock[0] += 1
    for key in keys:
        assert made.press(key)
    if made.wanted is not None:
        made.look(made.wanted, OPENED)
    return made


def body(*keys: str, width: int = 120) -> list[str]:
    """The lines after the heading, without the empty ones and the last."""
    return [line.text for line in screen(*keys).frame(width, 40)[1:-1] if line.text]


def test_the_screen_looks_as_it_did(utc: None) -> None:
    """Every table at three sizes, a row that is open and the help are those of the golden file (RENEW_GOLDEN=1 renews it)."""
    pictures = []
    for width, height in SIZES:
        for keys in ((), ("\t",), ("\t", "\t"), ("\r",), ("\r", *["down"] * 99), ("\t", "down", "\r"), ("?",)):
            frame = screen(*keys).frame(width, height)
            assert len(frame) == height
            assert max(len(line.text) for line in frame) <= width
            pressed = [*dict.fromkeys(keys)]
            pictures.append(f"--- {width}x{height} {pressed!r}\n" + "".join(f"{line.text}\n" for line in frame))
    plain = screen("\r", bars=False).frame(80, 50)
    pictures.append("--- 80x50, only ASCII\n" + "".join(f"{line.text}\n" for line in plain))
    text, path = "".join(pictures), GOLDEN / "screen.txt"
    if os.environ.get("RENEW_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("keys", [(), ("\r",)])
def test_without_colours_the_screen_says_the_same(keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR (no-color.org) not one colour is set, and every line is there; without it, drops are red."""
    frame = screen(*keys).frame(120, 40)

    def drawn() -> str:
        console = Console(file=io.StringIO(), width=120, force_terminal=True)
        for text in styled(frame):
            console.print(text)
        file = console.file
        assert isinstance(file, io.StringIO)
        return file.getvalue()

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert bool(re.search(r"[;[]31m", drawn())) == (keys == ())
    monkeypatch.setenv("NO_COLOR", "1")
    codes = {code for codes in re.findall(r"\x1b\[([\d;]*)m", drawn()) for code in codes.split(";")}
    assert codes <= {"", "0", "1", "2", "7"}  # ends, bold, dim, reverse
    assert [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", drawn()).splitlines()] == [
        line.text for line in frame
    ]


def test_rows_are_ordered_by_the_column_that_was_asked_for() -> None:
    """`s` goes through the orders, the largest value first; `r` turns them round; rows without a value come last, then first."""
    assert [line.split()[1].split("::")[-1] for line in body()[1:3]] == ["on_nack", "check_frame_complete"]
    assert "check_frame_complete" in body("s")[1]
    assert "on_nack" in body("s", "s", "s")[1]  # drops
    assert "ff_rtp_parse_packet" in body("s", "r")[1]
    assert [line.split()[1] for line in body("\t", "s")[1:]] == ["live/cam1", "live/cam0", "_other"]
    assert [line.split()[1] for line in body("\t", "s", "r")[1:]] == ["_other", "live/cam0", "live/cam1"]


def test_a_filter_leaves_the_rows_that_have_its_text() -> None:
    """Typed letter by letter; Enter keeps it, Esc drops it, and keys have no other meaning meanwhile."""
    assert [line.split()[1] for line in body("\t", "/", "C", "a", "x", "\x7f", "m", "0", "\r")[1:]] == ["live/cam0"]
    assert body("\t", "/", "q", "z") == ["no row has 'qz' in it"]
    assert len(body("\t", "/", "z", "esc")) == 4


def test_a_frozen_screen_shows_what_it_showed() -> None:
    """Until it is let go; then it shows what is."""
    held = screen(" ")
    held.take(Picture())
    assert any("on_nack" in line.text for line in held.frame(120, 40))
    assert "FROZEN" in held.frame(120, 40)[0].text
    held.press(" ")
    held.take(Picture())
    assert not any("on_nack" in line.text for line in held.frame(120, 40))


def test_an_open_row_tells_all_of_it() -> None:
    """Drops by reason, the verdict, calls over time, slow calls with stacks; Esc goes back; the row stays the same when the order changes."""
    opened = body("\r")
    assert any("drops 1204 (late 1200, error 4)" in line for line in opened)
    assert any(line.endswith("depth 37 ██████") for line in body("down", "down", "\r"))
    assert "jitterbuffer.resets 3 event" in opened
    assert "verdict: the network and the host" in opened
    assert any(line.split()[0] == "≤5µs" and line.split()[-1] == "196" for line in opened)
    assert not any("≤1µs" in line.split()[:1] for line in opened if "#" in line)
    assert "  ran 100 µs, waited for a CPU 12.1 ms, blocked 100 µs" in opened
    assert "  what its thread did is not known: other coroutines may have run meanwhile" in opened
    assert "    SrsRtcPublishStream::on_rtp+0x31" in opened
    assert body("\r", "esc") == body()
    assert body("\r", "s") == opened


def test_an_open_row_scrolls() -> None:
    """What does not fit is reached with the arrow keys, and no further than its last line."""
    lines = [line.text for line in screen("\r").frame(120, 60)[2:-1] if line.text]
    made = screen("\r")
    assert made.frame(120, 12)[2].text == lines[0]
    for _ in range(99):
        made.press("down")
    assert made.frame(120, 12)[-2].text == lines[-1]
    made.press("up")
    assert made.frame(120, 12)[-2].text == lines[-2]


def test_heat_counts_the_calls_between_readings() -> None:
    """A column for each reading; a function that was attached anew begins anew; a single call among thousands has a mark."""
    heat = Heat(lambda: 0.0)
    for totals in ((5, 5, 0), (5, 5, 0), (5, 4005, 1), (6, 4005, 1)):
        heat.feed([("a", totals)])
    assert heat.lines("a", (1000, 2000), 80, plain=True) == [
        "     over   .   1",
        "     ≤2µs   #   4000",
        "     ≤1µs    .  1",
    ]
    heat.feed([("many", (0,) * 41)])
    heat.feed([("many", (1,) * 41)])
    many = heat.lines("many", range(1000, 1040), 80, plain=True)
    assert (many[0], many[-1]) == ("     over  :  1", "  ≤1.01µs  #  5")
    assert sum(int(line.split()[-1]) for line in many) == 41
    heat.feed([("a", (1, 0, 0))])
    assert heat.lines("a", (1000, 2000), 80, plain=True) == []
    heat.feed([("b", (1, 0, 0))])
    heat.feed([("a", (3, 0, 0)), ("b", (1, 0, 0))])
    assert heat.lines("a", (1000, 2000), 80, plain=True) == []


def test_a_rows_histogram_is_drawn_to_the_scale_of_all_rows() -> None:
    """One bar a bucket; neighbours together where there is no room; blank where there was no call."""
    assert histogram((0, 100, 50, 0, 1), 1, 4, 12) == "█▄ ▁"
    assert histogram((0, 100, 50, 0, 1), 0, 4, 3) == "█▄▁"


def test_what_is_opened_is_what_the_agents_page_has() -> None:
    """Verdict and slow calls of a function, a stream and a process: the same over HTTP as from the tables themselves."""
    head, tables = {"keeps_slow_calls": True}, PAGE
    function = opened(head, tables, (12, "Buffer::put"))
    assert [call.took_ns for call in function.slow_calls] == [5_000_000, 9_000_000]
    assert function.slow_calls[1] == SlowCall(
        "Buffer::put", 1000, 9_000_000, "main (12)", ("Buffer::put", "main"), (("decode", 7),), (1, 2, 3), False
    )
    assert function.verdict == Verdict(
        ("network", "server"), ("cam0 lost 3 % (limit 1 %)", "the server stalls (limit 1 s)"), ("CPU",), 60
    )
    stream = opened(head, tables, (12, "Buffer::put\0cam1"))
    assert stream.verdict is not None
    assert stream.verdict.findings == ("the server stalls (limit 1 s)",)
    assert [call.function for call in opened(head, tables, (12, "")).slow_calls] == [
        "Buffer::get",
        "Buffer::put",
        "Buffer::put",
    ]
    assert opened(head, tables, (99, "Buffer::put")) == Opened()


def test_keys_end_it_and_never_leave_the_table() -> None:
    """`q` ends, however far down one went; a chosen row is one that there is."""
    made = screen(*["down"] * 50)
    assert [line.chosen for line in made.frame(120, 40)].count(True) == 1
    assert not made.press("q")


@given(st.lists(st.sampled_from(["\t", "s", "r", "/", "a", "\r", "esc", " ", "up", "down", "?", "\x7f"]), max_size=30), st.integers(10, 200), st.integers(4, 60))  # fmt: skip
def test_no_keys_break_the_screen(keys: list[str], width: int, height: int) -> None:
    """Whatever is pressed, a frame is as high as the terminal."""
    assert len(screen(*keys).frame(width, height)) == height


def test_bars_are_scaled_to_the_highest() -> None:
    """The highest is full, zero the lowest; a row that is gone is forgotten."""
    assert bars([0, 50, 100]) == "▁▅█"
    assert bars([0, 0]) == "▁▁"
    trends = Trends(length=3)
    for rate in (1.0, None, 2.0, 4.0, 8.0):
        trends.feed([("a", rate)])
    assert trends.line("a") == bars([2.0, 4.0, 8.0])
    trends.feed([])
    trends.feed([("a", 1.0)])
    assert trends.line("a") == ""


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"qs", ["q", "s"]),
        (b"\x1b[A\x1bOB", ["up", "down"]),
        (b"\x1b", ["esc"]),
        (b"\x1b[Cx", ["x"]),
        (b"\n", ["\r"]),
        ("é€".encode(), ["é", "€"]),
        (b"\xff\xffa", None),
    ],
)
def test_bytes_become_keys(data: bytes, expected: list[str] | None) -> None:
    """Letters, arrows in both forms, Esc, and characters of several bytes; what is none of them does no harm."""
    keys, left = _parse(data)
    if expected is not None:
        assert (keys, left) == (expected, b"")
    assert _parse("é".encode()[:1]) == ([], b"\xc3")


#: As `otel_jb.views.page.tables` makes them; of the first process with this PID nothing must be told.
PAGE: dict[str, dict[str, list[Any]]] = {
    "processes": {"1": ["old", 12], "2": ["server", 12]},
    "known": {"20": [2, "Buffer::put"], "21": [2, "Buffer::get"], "10": [1, "Buffer::put"]},
    "slow": {
        "1": [20, 1000, 9_000_000, "main (12)", "1", "", [["decode", 7, 1]], None, "", [], [], [1, 2, 3], 0],
        "2": [20, 1001, 5_000_000, "main (12)", "1", "", [], None, "", [], [], None, 1],
        "3": [21, 1002, 4_000_000, "main (12)", "1", "", [], None, "", [], [], None, 0],
        "4": [10, 1003, 4_000_000, "main (12)", "1", "", [], None, "", [], [], None, 0],
    },
    "stacks": {"1": ["Buffer::put\nmain"]},
    "verdicts": {"2": ["network", [["cam0 lost 3 %", "network", "1 %", 5, "cam0"], ["the server stalls", "server", "1 s", 5, None]], ["CPU"], 60, 0]},
}  # fmt: skip


def rtp(**more: int) -> RtpSnapshot:
    """A stream's counts."""
    made = RtpSnapshot(1, "live/cam0", 1, 5, received=1000, bytes=172_000, lost=3, reordered=2, duplicated=1, strays=0, jitter_ns=2_500_000)  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def test_a_scraped_page_shows_what_the_agent_shows() -> None:
    """Functions, streams and processes made of two scrapes equal those made of the state itself."""
    host = HostShare(1, 10 * SECOND, cpu_ns=SECOND, run_delay_ns=0, throttled_ns=None, udp_drops=((5004, 2),))
    first = replace(BEFORE, rtp=(rtp(),))
    state = state_after()
    state.apply(replace(PUT, has_rtp=True, adds=("resets", "jitter_buffer_delay")))
    state.apply(first)
    state.apply(host)
    clock = [10.0]
    table = LiveTable(state, now=lambda: clock[0])
    table.picture()
    pages = [read_page(text(state), clock[0])]
    later: SeriesSnapshot = values(PUT, (200, 297, 2, 1), bytes=86_000, drops=(3, 1), no_packet=50, added=(2, 1500))
    state.apply(replace(snapshot(14, later), rtp=(rtp(received=1400, bytes=240_800, lost=5),)))
    state.apply(replace(host, time_unix_nano=14 * SECOND, cpu_ns=3 * SECOND, udp_drops=((5004, 7),)))
    clock[0] = 14.0
    pages.append(read_page(text(state), clock[0]))
    expected, found = table.picture(), picture_between(*pages)
    by_name = {row.function: row for row in found.functions}
    for row in expected.functions:
        assert by_name[row.function] == row
    assert found.streams == expected.streams
    assert found.processes == expected.processes
    assert found.streams[0].packets_per_second == 100
    assert by_name[PUT.function].added == (
        ("jitterbuffer.resets", "{event}", 2),
        ("webrtc.jitter_buffer_delay", "s", 1.5),
    )


def text(state: StreamState) -> str:
    """The metrics page."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(TargetCollector(state.view, HistogramShape(BOUNDS_NS)))
    body, _ = MetricsPage(registry).render("", "")
    return body.decode()


@pytest.mark.parametrize("page", ["<html>", "a{b=", 'jitterbuffer_calls_total{pid="x",function="f"} 1', "\0"])
def test_a_page_that_is_none_is_an_error_or_nothing(page: str) -> None:
    """Whatever answers at the address, there is no traceback."""
    try:
        found = picture_between(read_page(page, 0.0), read_page(page, 1.0))
    except TargetError:
        return
    assert found == Picture()
