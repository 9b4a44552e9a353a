# SPDX-License-Identifier: Apache-2.0
"""Replaying a recording: the same records, at their pace, to the same metrics, without root."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from otel_jb.agent import recording
from otel_jb.agent.recording import Recorded
from otel_jb.agent.replay import play
from otel_jb.agent.replayed import ReplayedCalls
from otel_jb.cli import main
from otel_jb.model.errors import ExitCode
from otel_jb.model.stream import (
    Interval,
    PassedPacket,
    ProbeState,
    ProbeStatus,
    Series,
    SeriesSnapshot,
    SlowCall,
    Snapshot,
    StreamRecord,
    Target,
    TargetEnded,
)
from otel_jb.telemetry.histogram import HistogramShape
from otel_jb.telemetry.prometheus import MetricsPage, TargetCollector
from otel_jb.telemetry.state import StreamState

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
BOUNDS = (1_000_000, 10_000_000)
SECOND = 1_000_000_000


def target(number: int) -> Target:
    return Target(
        number, 100 + number, 1, f"server{number}", "/bin/server", None, f"server{number}", f"uuid{number}", 2
    )


def series(number: int, of: int) -> Series:
    return Series(
        number,
        of,
        f"f{number}",
        "put",
        True,
        "p",
        "ret-sites",
        "",
        "/bin/server",
        True,
        True,
        True,
        False,
        False,
        ("late",),
    )


def values(number: int, calls: int) -> SeriesSnapshot:
    return SeriesSnapshot(
        *(
            number,
            calls,
            0,
            0,
            0,
            0,
            0,
            calls * 2_000_000,
            (0, calls, 0),
            0,
            0,
            calls * 100,
            (calls // 2,),
            0,
            (),
            0,
            0,
            0,
        ),
        *(0, SECOND, Interval(calls, calls * 2_000_000, 1_500_000, 2_500_000)),
    )


def snapshot(at_s: int, *each: SeriesSnapshot) -> Snapshot:
    return Snapshot(1_700_000_000 * SECOND + at_s * SECOND, at_s * SECOND, BOUNDS, each, (), SECOND)


def slow(number: int) -> SlowCall:
    return SlowCall(number, 7, "main", 1, 2, 20_000_002, 100, None, 0, 0)


STREAM: list[tuple[int, StreamRecord]] = [
    (0, target(1)),
    (0, series(1, 1)),
    (0, ProbeStatus(1, "f1", "/bin/server", "p", ProbeState.ATTACHED, "", "ret-sites", 1)),
    (1, snapshot(1, values(1, 10))),
    (1, target(2)),
    (1, series(2, 2)),
    (2, slow(1)),
    (2, snapshot(2, values(1, 20), values(2, 3))),
    (3, TargetEnded(2, 1_700_000_003 * SECOND)),
    (9, snapshot(9, values(1, 30))),
]


def record(path: Path, retain_s: int = 60) -> None:
    at = 0
    writer = recording.Writer(str(path), BOUNDS, retain_s * SECOND, clock_ns=lambda: at)
    for second, item in STREAM:
        at = second * SECOND
        writer.write(item)
    writer.close()


def live(retain_s: int = 60) -> str:
    """What an agent that saw the stream serves at its end."""
    now = 0
    state = StreamState(retain_s, now=lambda: now)
    for second, item in STREAM:
        now = second
        state.apply(item)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(TargetCollector(state.view, HistogramShape(BOUNDS)))
    return MetricsPage(registry).render("", "")[0].decode()


@pytest.mark.parametrize("retain_s", [60, 2], ids=["kept", "forgotten"])
@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_the_last_exposition_is_the_live_agents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, retain_s: int
) -> None:
    """replay --print gives, byte for byte, what the agent served at the end of the recording, ended targets included."""
    record(tmp_path / name, retain_s)
    assert main.main(["replay", str(tmp_path / name), "--print"]) == 0
    text = capsys.readouterr().out
    assert text == live(retain_s)
    assert ('pid="102"' in text) == (retain_s == 60)
    assert "jitterbuffer_packet_count_total{" in text


def functions_of(text: str) -> set[str]:
    return set(re.findall(r'jitterbuffer_calls_total\{.*?[{,]function="([^"]*)"', text))


def test_replay_serves_and_stops(tmp_path: Path) -> None:
    """replay serves /metrics and the page like the agent, is ready, and a SIGTERM ends it with 0."""
    record(tmp_path / "r.jsonl")
    process = subprocess.Popen(
        [sys.executable, "-m", "otel_jb", "replay", str(tmp_path / "r.jsonl"), "--no-wait", "--listen", "127.0.0.1:0"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert process.stderr.readline().startswith(f"end of the recording after {len(STREAM)} records")
        url = re.search(r"http://[0-9.]+:\d+/", first)
        assert url is not None
        with urllib.request.urlopen(url[0] + "metrics", timeout=10) as answer:
            assert answer.read().decode() == live()
        with urllib.request.urlopen(url[0] + "ready", timeout=10) as answer:
            assert json.load(answer)["ready"] is True
        with urllib.request.urlopen(url[0] + "events", timeout=10) as answer:
            assert answer.readline() == b"event: whole\n"
            shown = json.loads(answer.readline().removeprefix(b"data: "))
            assert {row[1] for row in shown["tables"]["known"].values()} == functions_of(live())
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_a_replay_shows_the_slow_calls_that_were_recorded() -> None:
    """Each is kept with its wall time by the recording's own clocks and the packets around it; a late packet's quick call is no slow call."""
    state = StreamState()
    calls = ReplayedCalls(state)
    first = snapshot(1, values(1, 10))
    at = first.time_ns + SECOND
    packet = PassedPacket(0xAB, 7, 160, at - 5, "in_order", 8000, "played", at + 5)
    call = SlowCall(1, 7, "worker", 64, at, at + 20_000_000, None, 4096, None, None, packets=(packet,))
    call = replace(call, cpu_ns=2_000_000, run_delay_ns=17_000_000, blocked_ns=1_000_000)
    told = [replace(call, packets=(packet,) * 100_000), replace(call, late=True)]
    try:
        # The first comes before anything is known.
        records: list[StreamRecord] = [told[0], target(1), series(1, 1), first, *told]
        for each in records:
            state.apply(each)
            calls.take(each)
    finally:
        calls.close()
    (kept,) = calls.kept.latest()
    assert (kept.took_ns, kept.series) == (20_000_000, 1)
    assert kept.share_ns == (2_000_000, 17_000_000, 1_000_000)
    assert kept.end_unix_nano == first.time_unix_nano + SECOND + 20_000_000
    assert {(each.after_ns, each.sequence_number) for each in kept.packets} == {(-5, 7)}
    assert len(kept.packets) < 100


def test_a_recording_made_before_outcomes_were_known_is_read(tmp_path: Path) -> None:
    """Slow calls and packets without the newer fields have their defaults, and text in them is made printable."""
    path = tmp_path / "r.jsonl"
    record(path)
    header = path.read_text().splitlines()[0]
    packet = {"ssrc": 1, "sequence_number": 2, "rtp_time": 3, "put_ns": 4, "state": "in\x1border"}
    old: dict[str, object] = dict.fromkeys(("series", "thread_id", "frame", "start_ns", "end_ns"), 1)
    old |= {"thread_name": "t", "bytes": None, "stream": 5, "return_value": None, "outcome": None, "packets": [packet]}
    line = {"at_ns": 1, "kind": "SlowCall", "record": old}
    path.write_text(f"{header}\n{json.dumps(line)}\n")
    with recording.Reader(str(path)) as reader:
        ((_, call),) = [(item.at_ns, item.record) for item in reader]
    assert isinstance(call, SlowCall)
    assert not call.late
    assert (call.cpu_ns, call.run_delay_ns, call.blocked_ns, call.may_yield) == (None, None, None, False)
    assert call.packets == (PassedPacket(1, 2, 3, 4, "in\\x1border"),)


def test_a_replay_needs_no_privileges(tmp_path: Path) -> None:
    """As a user without any rights replay gives the same."""
    path = tmp_path / "r.jsonl"
    record(path)
    # The recording comes by descriptor, since it is readable by its owner only.
    script = (
        "import os, sys; from otel_jb.cli import main, replay; import otel_jb.agent.recording, otel_jb.agent.replay;"
        "import otel_jb.telemetry.prometheus, otel_jb.telemetry.state;"
        "os.getuid() or (os.setgroups([]), os.setgid(65534), os.setuid(65534));"
        "assert os.getuid(); sys.exit(main.main(['replay', '-', '--print']))"
    )
    with path.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-c", script], stdin=file, capture_output=True, text=True, check=False, cwd=ROOT
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == live()


def test_a_damaged_recording_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no recording, or none any more, is exit code 2 and one message."""
    path = tmp_path / "r.jsonl"
    path.write_text("no recording\n")
    assert main.main(["replay", str(path), "--print"]) == ExitCode.USAGE
    assert "not a recording of otel-jb" in capsys.readouterr().err
    assert main.main(["replay", str(tmp_path / "missing"), "--print"]) == ExitCode.USAGE


@pytest.mark.parametrize(("speed", "waits"), [(1.0, [1.0, 1.0, 7.0]), (2.0, [0.5, 0.5, 3.5]), (None, [])])
def test_records_come_at_their_pace(speed: float | None, waits: list[float]) -> None:
    """Each record comes at its time, divided by the speed; without a speed there is no waiting."""
    clock = 0.0
    waited: list[float] = []

    def wait(seconds: float) -> None:
        nonlocal clock
        waited.append(seconds)
        clock += seconds

    records = [Recorded(second * SECOND, TargetEnded(0, 0)) for second in (0, 1, 1, 2, 9)]
    assert list(play(records, speed, wait=wait, now=lambda: clock)) == records
    assert waited == pytest.approx(waits)


def test_slow_handling_is_made_up_for() -> None:
    """What a record takes to handle is taken from the wait for the next."""
    times = iter([0.0, 0.0, 5.5, 11.0])
    waited: list[float] = []
    records = [Recorded(second * SECOND, TargetEnded(0, 0)) for second in (0, 5, 6)]
    assert list(play(records, wait=waited.append, now=lambda: next(times))) == records
    assert waited == []


def test_an_address_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong --listen is exit code 2, and --listen off points at --print."""
    record(tmp_path / "r.jsonl")
    assert main.main(["replay", str(tmp_path / "r.jsonl"), "--listen", "nonsense"]) == ExitCode.USAGE
    assert "expected HOST:PORT" in capsys.readouterr().err
    assert main.main(["replay", str(tmp_path / "r.jsonl"), "--listen", "off"]) == ExitCode.USAGE
    assert "--print" in capsys.readouterr().err
