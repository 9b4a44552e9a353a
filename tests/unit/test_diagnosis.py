# SPDX-License-Identifier: Apache-2.0
"""Who is accused, of what, and since when: scripted minutes of a server, one trouble at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otel_jb.agent.recording import Writer
from otel_jb.cli.main import main
from otel_jb.diagnosis import limits
from otel_jb.diagnosis.history import History
from otel_jb.diagnosis.limits import MEASURES, Culprit
from otel_jb.diagnosis.verdict import Verdict, accused, judge
from otel_jb.model.stream import HostShare, RtpSnapshot, SlowCall, Snapshot, StreamRecord, TargetEnded
from otel_jb.telemetry.histogram import DEFAULT_BOUNDS_NS
from tests.telemetry_samples import SRS, START, series, snapshot_of

SECOND = 1_000_000_000
PUT = series(2, SRS, "SrsRtcPublishStream::on_rtp_plaintext", "parse", has_rtp=True, drop_reasons=("late", "full"))
NACK = series(
    3,
    SRS,
    "SrsRtpNackForReceiver::get_nack_seqs",
    "nack",
    has_packets=False,
    adds=("unrecovered_packets", "requested_packets"),
)
STREAMS = tuple(f"live/cam{number}" for number in range(4))
HURT = "live/cam2"
NO_GAPS = (0,) * (len(DEFAULT_BOUNDS_NS) + 1)


class Minute:
    """A server with four streams of 50 packets a second, all well unless a test says otherwise."""

    def __init__(self) -> None:
        self.streams = {
            name: RtpSnapshot(PUT.id, name, None, START, 0, 0, 0, 0, 0, 0, 2_000_000, None, 0, NO_GAPS, *(0,) * 6)
            for name in STREAMS
        }
        self.share = HostShare(SRS.id, START, 0, 0, 0, ((8000, 0),), ((8000, 0),), ((8000, 0),))
        self.durations: list[int] = []
        self.full = 0
        self.requested = 0
        self.attached_ns = 0
        self.seconds = 0

    def second(self, trouble: Callable[[Minute], None] | None = None) -> list[StreamRecord]:
        """What the agent reports for the next second."""
        self.seconds += 1
        for name in STREAMS:
            self.add(name, received=50, bytes=5000)
        self.host(cpu_ns=80_000_000, run_delay_ns=1_000_000)
        self.durations += [20_000] * 200
        self.attached_ns += SECOND
        if trouble is not None:
            trouble(self)
        now = START + self.seconds * SECOND
        values = snapshot_of(PUT, self.durations, attached_ns=self.attached_ns)
        values = replace(values, packets=len(self.durations), drops=(0, self.full))
        asked = snapshot_of(NACK, [], attached_ns=self.attached_ns, added=(0, self.requested))
        rtp = tuple(self.streams.values())
        return [
            replace(self.share, time_unix_nano=now),
            Snapshot(
                now, self.seconds * SECOND, DEFAULT_BOUNDS_NS, (values, asked), (), SECOND, rtp, DEFAULT_BOUNDS_NS
            ),
        ]

    def add(self, name: str, **more: int) -> None:
        old = self.streams[name]
        self.streams[name] = replace(old, **{key: getattr(old, key) + value for key, value in more.items()})

    def host(self, **more: int) -> None:
        self.share = replace(self.share, **{key: getattr(self.share, key) + value for key, value in more.items()})

    def dropped(self, packets: int) -> None:
        ((port, drops),) = self.share.udp_drops
        self.share = replace(self.share, udp_drops=((port, drops + packets),))


def records(trouble: Callable[[Minute], None] | None, since: int = 30, seconds: int = 60) -> list[StreamRecord]:
    minute = Minute()
    found: list[StreamRecord] = [SRS, PUT, NACK]
    for second in range(seconds):
        found += minute.second(trouble if second >= since else None)
    return found


def verdict(trouble: Callable[[Minute], None] | None, stream: str | None = None, since: int = 30) -> Verdict:
    history = History(60)
    for record in records(trouble, since):
        history.apply(record)
    return judge(history, SRS.id, stream)


def lose(minute: Minute) -> None:
    minute.add(HURT, received=-3, lost=3)


def reorder(minute: Minute) -> None:
    minute.add(HURT, reordered=5)


def repair(minute: Minute) -> None:
    """So many are lost that it is 2 % of the minute, below the limit of reordering, and come when the server asks for them."""
    minute.add(HURT, reordered=2)
    minute.requested += 2


def duplicate(minute: Minute) -> None:
    minute.add(HURT, received=4, duplicated=4)


def jitter(minute: Minute) -> None:
    minute.streams[HURT] = replace(minute.streams[HURT], jitter_ns=55_000_000)


def fall_silent(minute: Minute) -> None:
    minute.add(HURT, received=-50)


def starve(minute: Minute) -> None:
    minute.host(run_delay_ns=400_000_000)
    jitter(minute)  # seen late, so it looks like jitter
    minute.durations += [15_000_000] * 10


def throttle(minute: Minute) -> None:
    minute.host(throttled_ns=200_000_000)
    minute.dropped(5)
    minute.add(HURT, received=-5, lost=5)


def lock(minute: Minute) -> None:
    minute.durations += [25_000_000] * 10


def overflow(minute: Minute) -> None:
    minute.dropped(6)
    minute.add(HURT, received=-6, lost=6)


def overflow_sent_again(minute: Minute) -> None:
    """The server asks for what its socket dropped (NACK), and gets it."""
    minute.dropped(6)
    minute.add(HURT, reordered=6)
    minute.requested += 6


def stall(minute: Minute) -> None:
    for name in STREAMS:
        minute.add(name, received=-50)
    del minute.durations[-200:]
    ((port, unread),) = minute.share.udp_queue
    minute.share = replace(minute.share, udp_queue=((port, unread + 40_000),))


def pause(minute: Minute) -> None:
    """Twelve packets wait at any time, which is what comes in 60 ms."""
    ((port, waited),) = minute.share.udp_waited
    minute.share = replace(minute.share, udp_waited=((port, waited + 12 * limits.DATAGRAM_BYTES * SECOND),))
    jitter(minute)  # what is read late looks late


def refuse(minute: Minute) -> None:
    minute.full += 10


TROUBLES: dict[Callable[[Minute], None], tuple[Culprit, str, str | None]] = {
    lose: (Culprit.NETWORK, "loss", HURT),
    reorder: (Culprit.NETWORK, "reordering", HURT),
    repair: (Culprit.NETWORK, "loss", HURT),
    duplicate: (Culprit.NETWORK, "duplication", HURT),
    jitter: (Culprit.NETWORK, "jitter", HURT),
    fall_silent: (Culprit.NETWORK, "silence", HURT),
    starve: (Culprit.HOST, "run_delay", None),
    throttle: (Culprit.HOST, "throttled", None),
    lock: (Culprit.APPLICATION, "slow_calls", None),
    overflow: (Culprit.APPLICATION, "socket_drops", None),
    stall: (Culprit.APPLICATION, "stalled", None),
    pause: (Culprit.APPLICATION, "unread", None),
    refuse: (Culprit.APPLICATION, "refused", None),
}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_one_trouble_has_one_culprit(trouble: Callable[[Minute], None]) -> None:
    """Each trouble accuses whose it is, names the stream and no other, and leaves out what follows from it."""
    culprit, measure, stream = TROUBLES[trouble]
    found = verdict(trouble)
    assert [(each.reading.measure.name, each.reading.stream) for each in found.findings] == [(measure, stream)]
    assert found.culprit is culprit
    since = found.findings[0].since_unix_nano
    if trouble is not jitter:  # a gauge: only its last value is compared
        assert abs(since - (START + 30 * SECOND)) <= 6 * SECOND
    assert found.missing == ()


@pytest.mark.parametrize("overflow", [overflow, overflow_sent_again])
def test_what_was_lost_since_drops_were_last_read_accuses_nobody_yet(overflow: Callable[[Minute], None]) -> None:
    """A socket that overflows is never taken for a network that loses or reorders, however late its drops are told."""
    minute, history = Minute(), History(60)
    history.apply(SRS)
    history.apply(PUT)
    accusing: list[set[Culprit]] = []
    for second in range(60):
        share, snapshot = minute.second(overflow if second >= 20 else None)
        if second % 10 == 0:
            history.apply(share)
        history.apply(snapshot)
        accusing.append({each.reading.measure.culprit for each in judge(history, SRS.id).findings})
    assert set().union(*accusing) == {Culprit.APPLICATION}
    assert accusing[-1] == {Culprit.APPLICATION}


def test_jitter_since_the_sockets_were_last_looked_at_accuses_nobody_yet() -> None:
    """A server that reads late is never taken for a network that delays, however late it is seen that packets wait; a jitter without such is the network's."""
    for trouble, culprit in ((pause, Culprit.APPLICATION), (jitter, Culprit.NETWORK)):
        minute, history = Minute(), History(60)
        history.apply(SRS)
        history.apply(PUT)
        accusing: list[set[Culprit]] = []
        for second in range(90):
            share, snapshot = minute.second(trouble if second >= 20 else None)
            if second % 15 == 0:
                history.apply(share)
            history.apply(snapshot)
            accusing.append({each.reading.measure.culprit for each in judge(history, SRS.id).findings})
        assert set().union(*accusing) == {culprit}
        assert accusing[-1] == {culprit}


def test_jitter_that_grows_is_the_networks_although_the_sockets_are_seldom_looked_at() -> None:
    """Half of the limit was there when nothing waited in the sockets; what came since is more of the same."""
    minute, history = Minute(), History(60)
    history.apply(SRS)
    history.apply(PUT)
    accusing: list[set[Culprit]] = []
    for second in range(60):
        jitter_ns = 20_000_000 if second <= 45 else 40_000_000
        minute.streams[HURT] = replace(minute.streams[HURT], jitter_ns=jitter_ns)
        share, snapshot = minute.second()
        if second % 45 == 0:
            history.apply(share)
        history.apply(snapshot)
        accusing.append({each.reading.measure.culprit for each in judge(history, SRS.id).findings})
    assert accusing[45] == set()
    assert accusing[-1] == {Culprit.NETWORK}


def test_a_clock_that_stands_still_is_no_defect() -> None:
    """A recording whose moments all bear one wall time, as a clock that is set back makes them, has no verdict and no error."""
    for since in (0, 30):
        minute, history = Minute(), History(60)
        history.apply(SRS)
        history.apply(PUT)
        for second in range(60):
            for record in minute.second(pause):
                if second >= since and isinstance(record, (HostShare, Snapshot)):
                    history.apply(replace(record, time_unix_nano=START + since * SECOND))
                else:
                    history.apply(record)
        judge(history, SRS.id)
        accused(history, SRS.id)


def test_drops_at_the_socket_excuse_no_network_that_reorders_more() -> None:
    """A socket that drops a few packets explains as many that come out of order, and not the others."""

    def both(minute: Minute) -> None:
        minute.dropped(3)
        minute.add(HURT, reordered=10)

    assert {each.reading.measure.name for each in verdict(both).findings} == {"socket_drops", "reordering"}


def test_every_measure_is_tried() -> None:
    """A measure without a test of its own would be a limit that nobody has checked."""
    assert {measure for _, measure, _ in TROUBLES.values()} == {each.name for each in MEASURES}


def test_a_healthy_server_is_accused_of_nothing() -> None:
    """Nothing over a limit is no fault, and nothing is missing."""
    found = verdict(None)
    assert (found.findings, found.missing, found.culprit) == ((), (), None)
    assert len(found.readings) > len(STREAMS) * 4


def test_a_stream_is_judged_alone() -> None:
    """The trouble of one stream is no other's."""
    assert verdict(lose, HURT).culprit is Culprit.NETWORK
    assert verdict(lose, "live/cam0").culprit is None
    assert "no stream live/cam9 was seen" in verdict(lose, "live/cam9").missing[0]


def test_what_always_waits_in_a_socket_excuses_no_network() -> None:
    """Silence stays the network's where something lies unread in a socket from before, and where another stream's packets are taken."""

    def silent(minute: Minute) -> None:
        stall(minute)
        minute.share = replace(minute.share, udp_queue=((8000, 40_000),))

    def noisy(minute: Minute) -> None:
        """Something else fills a socket that was never read, before the trouble and after it."""
        minute.share = replace(minute.share, udp_queue=((5353, 1000 * minute.seconds), (8000, 0)))
        if minute.seconds > 30:
            for name in STREAMS:
                minute.add(name, received=-50)
            del minute.durations[-200:]

    assert {each.reading.measure.name for each in verdict(silent).findings} == {"silence"}
    assert {each.reading.measure.name for each in verdict(noisy, since=0).findings} == {"silence"}

    def one_is_silent(minute: Minute) -> None:
        ((port, unread),) = minute.share.udp_queue
        minute.share = replace(minute.share, udp_queue=((port, unread + 40_000),))
        fall_silent(minute)

    assert [(each.reading.measure.name, each.reading.stream) for each in verdict(one_is_silent).findings] == [
        ("silence", HURT)
    ]


@pytest.mark.parametrize("trouble", [fall_silent, stall])
def test_nobody_is_accused_of_what_no_probe_saw(trouble: Callable[[Minute], None]) -> None:
    """While a function's probe is off, its count stands still: that is neither silence nor a stall."""

    def shed(minute: Minute) -> None:
        trouble(minute)
        minute.attached_ns -= SECOND

    assert verdict(shed).findings == ()


def test_both_are_accused_where_both_are_at_fault() -> None:
    """Loss that no drop at the socket explains stays the network's though the host is busy; the stronger evidence comes first."""

    def both(minute: Minute) -> None:
        minute.host(run_delay_ns=300_000_000)
        minute.add(HURT, received=-3, lost=3)

    found = verdict(both)
    assert [each.reading.measure.name for each in found.findings] == ["run_delay", "loss"]


@pytest.mark.parametrize(
    ("waited_ms", "timeslices", "accused"),
    [(100, 1000, False), (100, 50, True), (240, 1000, False), (300, 3000, True), (100, None, True)],
    ids=["short waits", "long waits", "many short waits", "a quarter of the time", "not counted"],
)
def test_the_host_is_accused_of_waits_that_hurt(waited_ms: int, timeslices: int | None, accused: bool) -> None:
    """A server that is woken often waits often, but shortly; a tenth of the time is evidence where each wait takes 1 ms, and a quarter always."""

    def wait(minute: Minute) -> None:
        minute.host(run_delay_ns=waited_ms * 1_000_000)
        now = None if timeslices is None else (minute.share.timeslices or 0) + timeslices
        minute.share = replace(minute.share, timeslices=now)

    found = verdict(wait, since=0)
    assert [each.reading.measure.name for each in found.findings] == (["run_delay"] if accused else [])


@pytest.mark.parametrize("requested", [0, 1])
def test_what_overtakes_without_being_asked_for_is_reordering(requested: int) -> None:
    """Two of a hundred out of order accuse nobody where the server asked for fewer than half of them."""

    def overtake(minute: Minute) -> None:
        if minute.seconds % 4 < 2:
            minute.add(HURT, reordered=2)
        minute.requested += requested if minute.seconds % 4 == 0 else 0

    assert verdict(overtake, since=0).findings == ()


def test_the_evidence_says_how_much_came_after_all() -> None:
    """What was lost for good and what was sent again are one share, and it is said how much of it came."""

    def both(minute: Minute) -> None:
        repair(minute)
        minute.add(HURT, received=-1, lost=1)

    (finding,) = verdict(both, since=0).findings
    assert finding.reading.value == pytest.approx(3 / 50, rel=0.05)
    assert re.fullmatch(
        r"live/cam2 lost [0-9.]+ % of its packets; 67 % of them came after all, late or sent again", finding.sentence
    )


def test_a_few_packets_prove_nothing() -> None:
    """Four packets lost of twenty are a fifth, and no evidence."""

    def short(minute: Minute) -> None:
        minute.add(HURT, received=-50)
        if minute.seconds == 59:
            minute.add(HURT, received=16, lost=4)

    found = verdict(short, since=1)
    assert all(each.reading.measure.name != "loss" for each in found.findings)


def test_what_is_not_known_is_said() -> None:
    """Without RTP, host and times no verdict is made up: what is missing is named."""
    history = History(60)
    history.apply(SRS)
    history.apply(replace(PUT, has_rtp=False, has_timing=False))
    for record in records(None)[2:]:
        if isinstance(record, Snapshot):
            history.apply(replace(record, rtp=()))
    found = judge(history, SRS.id)
    assert found.findings == ()
    assert len(found.missing) == 3
    history.apply(TargetEnded(SRS.id, 0))
    assert list(history.targets) == []


def slow_calls(parts: tuple[int, int, int], count: int = 10, **changes: Any) -> list[SlowCall]:
    """Calls of 25 ms in the last second of a minute, with the milliseconds that they ran, waited for a CPU and were blocked."""
    end = 60 * SECOND
    call = SlowCall(PUT.id, 7, "rx", 64, end - 25_000_000, end, None, None, None, None)
    cpu, run_delay, blocked = (part * 1_000_000 for part in parts)
    return [replace(call, cpu_ns=cpu, run_delay_ns=run_delay, blocked_ns=blocked, **changes)] * count


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        (slow_calls((1, 2, 22)), "; 88 % of that time it was blocked"),
        (slow_calls((20, 4, 1)), "; 80 % of that time it ran"),
        (slow_calls((5, 15, 5)), "; 60 % of that time it waited for a CPU"),
        (slow_calls((1, 2, 22), 4), ""),
        (slow_calls((1, 2, 22), end_ns=60 * SECOND - 20_000_000), ""),
        (slow_calls((1, 2, 22), start_ns=-90 * SECOND, end_ns=-60 * SECOND), ""),
        ([replace(call, cpu_ns=None, may_yield=True) for call in slow_calls((1, 2, 22))], ""),
    ],
    ids=["blocked", "ran", "waited", "too few", "not slow", "long ago", "not known"],
)
def test_slow_calls_say_what_they_spent_most_of_their_time_on(calls: list[SlowCall], said: str) -> None:
    """The same evidence against the server, with where to look; nothing where too little is known of the calls in the window."""
    history = History(60)
    for record in [*records(lock), *calls]:
        history.apply(record)
    (finding,) = judge(history, SRS.id).findings
    assert finding.reading.measure is limits.SLOW_CALLS
    assert finding.sentence.partition(" of its packets")[2] == said


def test_why_reads_a_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same minute from a file: the culprit, the stream and the limit for people, and all of it for programs."""
    path = tmp_path / "incident.jsonl.gz"
    writer = Writer(str(path))
    for record in records(lose):
        writer.write(record)
    writer.close()
    assert main(["why", "--recording", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "it is the network" in shown
    assert re.search(rf"{HURT} lost 2\.[89] % of its packets \(limit 1\.0 %\), since", shown), shown
    assert main(["why", "--recording", str(path), "--json", "--stream", HURT]) == 0
    (told,) = json.loads(capsys.readouterr().out)["targets"]
    assert (told["culprit"], told["findings"][0]["stream"]) == ("network", HURT)
    assert told["findings"][0]["value"] == pytest.approx(0.03, abs=0.003)


def test_a_history_stays_small() -> None:
    """However often the kernel is read, a dozen moments are kept."""
    history = History(10)
    minute = Minute()
    history.apply(SRS)
    history.apply(PUT)
    for _ in range(100):
        for record in minute.second():
            history.apply(record)
    assert len(history.steps(SRS.id)) <= 12
    whole = history.whole(SRS.id)
    assert whole is not None
    assert 10 <= whole.seconds <= 12
