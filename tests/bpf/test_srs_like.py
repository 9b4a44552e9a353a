# SPDX-License-Identifier: Apache-2.0
"""A State Threads server with SRS's functions and their ends in an unoptimised build: cheap sites, and the server's own counts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_jb.config.model import Config, Detail, Functions, TargetSelector
from otel_jb.host import procfs
from otel_jb.model.plan import EndStrategy, Probe, SiteKind
from otel_jb.model.stream import Series, SeriesSnapshot
from otel_jb.planner.changes import Found
from otel_jb.planner.targets import Discovery
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.live import BpfBackend
from otel_jb.sandbox.client import Inspector
from tests.bpf.conftest import Child
from tests.scale import patience

pytestmark = pytest.mark.bpf

SOURCE = Path(__file__).parents[1] / "targets" / "srs_coroutines.cc"
PUBLISHERS, PACKETS = 20, 300
#: Probed calls a packet. SRS 7.0.128 with RTC to RTMP made 25.6 with all functions, 8.5 with `--detail all`, and 3.5 by default (by a count of every site).
CALLS_OF_ALL, CALLS_IN_DETAIL, CALLS_BY_DEFAULT = 24, 11, 5
#: Functions that yield inside: there a return probe would kill the server.
YIELDS = {
    "SrsRtcConsumer::wait",
    "SrsRtmpFromRtcBridger::on_rtp",
    "SrsRtmpFromRtcBridger::transcode_audio",
    "SrsRtmpFromRtcBridger::packet_video",
    "SrsRtmpFromRtcBridger::packet_video_key_frame",
    "SrsRtmpFromRtcBridger::packet_video_rtmp",
    "SrsRtcSendTrack::on_recv_nack",
    "SrsRtcAudioSendTrack::on_rtp",
    "SrsRtcVideoSendTrack::on_rtp",
    "SrsRtcPlayStream::send_packet",
    "SrsRtcConnection::do_send_packet",
    "SrsRtcConnection::check_send_nacks",
    "SrsRtcConnection::on_rtp_plaintext",
    "SrsRtcSource::on_rtp",
    "SrsRtcAudioRecvTrack::on_rtp",
    "SrsRtcVideoRecvTrack::on_rtp",
    "SrsRtcPublishStream::do_on_rtp_plaintext",
    "SrsRtcPublishStream::on_rtp_plaintext",
}
#: Probed with `--detail all` at the entry: a probe takes longer than these do, or another has their time.
STEPS = {
    "SrsRtcConsumer::enqueue",
    "SrsRtmpFromRtcBridger::packet_video",
}
TAKES = "SrsRtcConsumer::dump_packet [calling front]"
ASKS, GIVES_UP = (
    f"SrsRtpNackForReceiver::get_nack_seqs [calling {name}]" for name in ("add_lost_sn", "notify_drop_seq")
)
#: Attached by name only: what they call, or what calls them, tells as much.
NAMED = {
    "SrsRtcConsumer::dump_packet",
    "SrsRtcConsumer::wait",
    "SrsRtpNackForReceiver::get_nack_seqs",
    "SrsRtcConnection::check_send_nacks",
    "SrsRtpRingBuffer::set",
    "SrsRtpRingBuffer::update",
    "SrsRtpNackForReceiver::find",
    "SrsRtcFrameBuilderVideoPacketCache::store_packet",
    "SrsRtcPlayStream::send_packet",
    "SrsRtcConnection::on_rtp_plaintext",
    "SrsRtcPublishStream::do_on_rtp_plaintext",
    "SrsRtcAudioRecvTrack::on_rtp",
    "SrsRtcVideoRecvTrack::on_rtp",
    "SrsRtcAudioSendTrack::on_rtp",
    "SrsRtcVideoSendTrack::on_rtp",
    "SrsRtmpFromRtcBridger::on_rtp",
    "SrsRtcPublishStream::on_rtp_cipher",
    "SrsRtpPacket::decode",
    "SrsRtcSendTrack::on_nack",
    "SrsRtmpFromRtcBridger::packet_video_key_frame",
    "SrsRtmpFromRtcBridger::find_next_lost_sn",
    "SrsRtcFrameBuilderVideoPacketCache::take_packet",
}


@pytest.fixture
def inspector() -> Iterator[Inspector]:
    """The sandbox."""
    with Inspector() as made:
        yield made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Child]:
    """The server, built as SRS is by default."""
    path = tmp_path / "srs_coroutines"
    subprocess.run(["g++", "-O0", "-g", "-Wall", "-Werror", "-o", path, SOURCE, "-lst"], check=True)
    child = Child(path)
    yield child
    child.process.kill()
    child.process.wait(patience(10))


def found(child: Child, inspector: Inspector, detail: Detail, functions: tuple[str, ...] = ()) -> Found:
    """The server with its plan."""
    selector = TargetSelector(pid=child.pid)
    config = Config(targets=(selector,), detail=detail, functions=Functions(include=functions))
    return Discovery(config, inspector).find(procfs.process(child.pid), selector)


def shapes(probe: Probe) -> set[str]:
    """The kinds of ends that a function has, as its reason says."""
    words = ("emulated branch", "the function that it calls last", "inside a loop")
    return {word for word in words if word in probe.reason}


def measured(server: Child, found: Found) -> tuple[dict[str, Series], dict[str, SeriesSnapshot], dict[str, list[int]]]:
    """By function, while the server works: the series, its values, and the server's own calls, errors and bytes."""
    backend = BpfBackend(KernelOptions([1_000_000]))
    try:
        records = backend.attach(found.target, found.plan)
        own = json.loads(server.ask(f"run {PUBLISHERS} {PACKETS}"))
        snapshot = backend.detach(found.target.id)
    finally:
        backend.close()
    assert server.close() == 0
    series = {record.id: record for record in records if isinstance(record, Series)}
    seen = {series[values.series].function: values for values in snapshot.series}
    return {each.function: each for each in series.values()}, seen, own


@pytest.mark.timeout(patience(120))
def test_by_default_a_packet_of_srs_is_timed_once_and_counted_where_it_goes(
    server: Child, inspector: Inspector
) -> None:
    """Its history, fan-out and frames are not probed, two more steps at one place, a take from an empty queue not at all; every number is the server's."""
    target = found(server, inspector, Detail.DEFAULT)
    probes = {probe.function: probe for probe in target.plan.probes}
    put, take = "SrsRtcConsumer::enqueue", TAKES
    steps = {put, take}
    untimed = steps | {"SrsRtpNackForReceiver::remove", ASKS, GIVES_UP}
    assert {name for name, probe in probes.items() if probe.strategy is EndStrategy.ENTRY_ONLY} == untimed
    assert {len(probes[name].sites) for name in untimed} == {1}
    same = {"SrsRtcRecvTrack::on_nack", "SrsRtcSendTrack::on_nack", "SrsRtpRingBuffer::set", "SrsRtcSource::on_rtp"}
    same |= {"SrsRtmpFromRtcBridger::packet_video", "SrsRtmpFromRtcBridger::packet_video_key_frame"}
    assert probes.keys().isdisjoint(same | {"SrsRtpNackForReceiver::get_nack_seqs", "SrsRtcConsumer::dump_packet"})
    assert probes["SrsRtcPublishStream::on_rtp_plaintext"].strategy is EndStrategy.EDGE_SITES

    series, seen, own = measured(server, target)
    taken, _, size = own[put]
    assert {name: (seen[name].untimed, seen[name].packets, seen[name].bytes) for name in steps} == {
        put: (taken, taken, size),
        take: (taken, taken, size),
    }
    asked = own["SrsRtcConsumer::dump_packet"]
    assert (asked[0] > taken, asked[2]) == (True, size)
    assert sum(sum(seen[name].faults) for name in steps) == 0
    assert {name for name in steps if series[name].has_depth} == steps
    # A timer asks the list of missing packets all the time: what it tells is counted where it gives it away, and nothing else there.
    assert [(seen[name].untimed, series[name].adds, seen[name].added) for name in (ASKS, GIVES_UP)] == [
        (own["asked for again"][0], ("requested_packets",), (own["asked for again"][0],)),
        (own["given up"][0], ("unrecovered_packets",), (own["given up"][0],)),
    ]
    assert min(own["asked for again"][0], own["given up"][0]) > 0
    assert seen["SrsRtpRingBuffer::notify_drop_seq"].returned == own["given up"][0]
    whole = seen["SrsRtcPublishStream::on_rtp_plaintext"]
    # What packet_video returns for an error is a drop of its caller's caller.
    assert own["SrsRtcSource::on_rtp"][1] > 0
    assert (whole.returned, sum(whole.drops)) == tuple(own["SrsRtcPublishStream::on_rtp_plaintext"][:2])
    assert sum(each.returned + each.untimed for each in seen.values()) < CALLS_BY_DEFAULT * PUBLISHERS * PACKETS


@pytest.mark.timeout(patience(120))
@pytest.mark.parametrize(
    ("detail", "links"), [(Detail.DEFAULT, "auto"), (Detail.DEFAULT, "perf"), (Detail.ALL, "auto")]
)
def test_what_a_player_s_queue_holds_is_its_length(
    server: Child, inspector: Inspector, detail: Detail, links: str
) -> None:
    """After each step as the server has it, the last packet's going and a take from an empty queue among them; every packet has a residence.

    Where return probes are for one process only, as perf events are, the profile's functions are of two sets.
    """
    target = found(server, inspector, detail)
    backend = BpfBackend(KernelOptions([1_000_000], links=links))
    try:
        backend.attach(target.target, target.plan)
        for put, take in ((5, 0), (0, 3), (0, 2), (0, 4), (3, 1), (0, 2), (4, 0)):
            held = int(server.ask(f"hold {put} {take}"))
            (depth,) = backend.snapshot().depths
            assert (depth.packets, depth.buffers) == (held, 1)
        (residence,) = backend.snapshot().residences
        assert (sum(residence.buckets), sum(count for _, count in residence.unmatched)) == (8, 0)
    finally:
        backend.close()
    assert held == 4


@pytest.mark.timeout(patience(120))
def test_in_detail_a_packet_of_srs_is_counted_by_each_part_of_its_way_once(server: Child, inspector: Inspector) -> None:
    """Every call and byte is one that the server counted; steps and wrappers, whose numbers others have, are not probed."""
    target = found(server, inspector, Detail.ALL)
    probes = {probe.function: probe for probe in target.plan.probes}
    assert probes.keys().isdisjoint(NAMED)
    assert {name for name, probe in probes.items() if not probe.strategy.timed} == STEPS | {TAKES, ASKS, GIVES_UP}
    series, seen, own = measured(server, target)
    assert own.keys() >= NAMED | STEPS
    assert {name: (values.returned, values.untimed) for name, values in seen.items() if name in own} == {
        name: (0, calls) if name in STEPS else (calls, 0) for name, (calls, _, _) in own.items() if name in seen
    }
    with_bytes = {each.function for each in series.values() if each.has_bytes} & own.keys()
    assert len(with_bytes) >= 7
    assert {name: seen[name].bytes for name in with_bytes} == {name: own[name][2] for name in with_bytes}
    # What is not attached is told: a packet stored is one received or sent, a packet sent is one that was taken.
    taken = seen[TAKES]
    assert (own["SrsRtcSendTrack::on_nack"][0], taken.packets) == (own["SrsRtcPlayStream::send_packet"][0],) * 2
    assert taken.untimed + own["SrsRtcConsumer::wait"][0] == own["SrsRtcConsumer::dump_packet"][0]
    whole, frames = seen["SrsRtcPublishStream::on_rtp_plaintext"], seen["SrsRtmpFromRtcBridger::packet_video"]
    assert (whole.returned, whole.bytes) == (
        own["SrsRtcPublishStream::on_rtp_cipher"][0],
        own["SrsRtcPublishStream::on_rtp_cipher"][2],
    )
    assert whole.returned == own["SrsRtpPacket::decode"][0]
    assert frames.untimed >= own["SrsRtmpFromRtcBridger::find_next_lost_sn"][0] > 0
    assert (taken.packets, taken.bytes) == (own["SrsRtcConsumer::enqueue"][0], own["SrsRtcConsumer::dump_packet"][2])
    assert (seen[ASKS].added, seen[GIVES_UP].added) == ((own["asked for again"][0],), (own["given up"][0],))
    assert sum(each.returned + each.untimed for each in seen.values()) < CALLS_IN_DETAIL * PUBLISHERS * PACKETS


@pytest.mark.timeout(patience(120))
def test_an_srs_on_coroutines_is_counted_exactly_without_a_probe_on_any_ret(
    server: Child, inspector: Inspector
) -> None:
    """Every function ends at emulated branches or in a proven leaf, and its calls, bytes and errors are those that the server counted."""
    target = found(server, inspector, Detail.ALL, ("Srs*",))
    probes = {probe.function: probe for probe in target.plan.probes}
    assert probes.keys() >= YIELDS
    assert {name for name, probe in probes.items() if probe.strategy is EndStrategy.RET_SITES} == set()
    assert {site.kind for probe in probes.values() for site in probe.sites}.isdisjoint({SiteKind.RET})
    assert {probes[name].strategy for name in YIELDS} == {EndStrategy.EDGE_SITES}
    assert set().union(*map(shapes, probes.values())) == {
        "emulated branch",
        "the function that it calls last",
        "inside a loop",
    }
    default, detail = (
        {probe.symbol.function for probe in found(server, inspector, detail).plan.probes} for detail in Detail
    )
    assert default < detail < probes.keys()
    assert "SrsRtcRecvTrack::on_nack" in detail - default
    assert NAMED - probes.keys() == set()
    assert NAMED & detail == {"SrsRtcConsumer::dump_packet", "SrsRtpNackForReceiver::get_nack_seqs"}

    series, seen, own = measured(server, target)
    asked, given_up = own.pop("asked for again")[0], own.pop("given up")[0]
    lists = "SrsRtpNackForReceiver::get_nack_seqs"
    assert dict(zip(series[lists].adds, seen[lists].added, strict=True)) == {
        "unrecovered_packets": given_up,
        "requested_packets": asked,
    }
    assert sum(each.returned + each.untimed for each in seen.values()) >= CALLS_OF_ALL * PUBLISHERS * PACKETS
    # A function that is called last has its caller's errors.
    own["SrsRtmpFromRtcBridger::packet_video"][1] = own["SrsRtmpFromRtcBridger::on_rtp"][1]
    assert {name: values.returned for name, values in seen.items() if name in own} == {
        name: calls for name, (calls, _, _) in own.items()
    }
    assert {v.abandoned + v.missed + v.untimed + v.in_flight + v.orphan_ends for v in seen.values()} == {0}
    with_bytes = {each.function for each in series.values() if each.has_bytes} & own.keys()
    assert len(with_bytes) >= 7
    assert {name: seen[name].bytes for name in with_bytes} == {name: own[name][2] for name in with_bytes}
    with_errors = {each.function for each in series.values() if each.drop_reasons} & own.keys()
    assert {name: sum(seen[name].drops) for name in with_errors} == {name: own[name][1] for name in with_errors}
    assert sum(sum(seen[name].drops) for name in with_errors) > 0
