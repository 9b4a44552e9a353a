# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from otel_jb.config.environment import read
from otel_jb.model.stream import ProbeState, ProbeStatus, Target, TargetEnded
from otel_jb.probes.read.boundaries import build
from otel_jb.telemetry import instruments, otlp
from otel_jb.telemetry.histogram import HistogramShape
from otel_jb.telemetry.metrics import Exemplar
from otel_jb.telemetry.pipeline import Telemetry
from otel_jb.telemetry.state import StreamState
from tests import telemetry_samples as samples
from tests.otlp_receiver import Receiver, attributes, grpc_receiver, http_receiver

pytestmark = pytest.mark.unit

RECEIVERS = {"grpc": grpc_receiver, "http/protobuf": http_receiver}
both = pytest.mark.parametrize("protocol", list(RECEIVERS))


def environ(receiver_endpoint: str, protocol: str, **more: Any) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver_endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "3000",
        **more,
    }


@contextmanager
def exporting(
    endpoint: str, protocol: str, state: StreamState, arguments: dict[str, Any] | None = None, **more: Any
) -> Iterator[Telemetry]:
    telemetry = Telemetry(state, read(environ(endpoint, protocol, **more)), **(arguments or {}))
    telemetry.start()
    try:
        yield telemetry
    finally:
        telemetry.shutdown(2.0)


def of_targets(receiver: Receiver) -> dict[tuple[str, str, tuple[tuple[str, Any], ...]], Any]:
    """(pid, metric, attributes) -> last point, of the targets' metrics."""
    return {
        (str(dict(resource)["process.pid"]), name, tuple((key, str(value)) for key, value in labels)): point
        for (resource, scope, name, labels), point in receiver.points().items()
        if scope == instruments.SCOPE
    }


def points_of(request: Any) -> Iterator[Any]:
    for resource_metrics in request.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                yield from getattr(metric, metric.WhichOneof("data")).data_points


def number(point: Any) -> float:
    return float(getattr(point, point.WhichOneof("value")))


@both
def test_otlp_and_the_exposition_say_the_same(protocol: str) -> None:
    """Every sample of /metrics has its OTLP point with the same value, and every OTLP point its samples."""
    with RECEIVERS[protocol]() as receiver, exporting(receiver.endpoint, protocol, samples.state()) as telemetry:
        telemetry.flush()
        assert telemetry.page is not None
        text = telemetry.page.render("", "")[0].decode()
        points = of_targets(receiver)
    by_name = {one.prometheus: one for one in instruments.INSTRUMENTS}
    labels_of = {
        "code_function_name": "code.function.name",
        "jitterbuffer_role": "jitterbuffer.role",
        "server_port": "server.port",
    }
    seen = set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            suffix = next((end for end in ("_bucket", "_count", "_sum") if sample.name == family.name + end), "")
            instrument = by_name.get(sample.name.removesuffix(suffix))
            if instrument is None:
                continue
            labels = tuple(
                sorted(
                    (labels_of.get(key, key), value)
                    for key, value in sample.labels.items()
                    if key in ("code_function_name", "jitterbuffer_role", "outcome", "reason", "server_port")
                )
            )
            key = (sample.labels["pid"], instrument.name, labels)
            point = points[key]
            seen.add(key)
            if suffix == "_bucket":
                bounds = [*point.explicit_bounds, float("inf")]
                upto = [count for bound, count in zip(bounds, point.bucket_counts, strict=True)]
                assert sum(upto[: bounds.index(float(sample.labels["le"])) + 1]) == sample.value
            elif suffix == "_count":
                assert point.count == sample.value
            elif suffix == "_sum":
                assert point.sum == sample.value
            else:
                assert number(point) == sample.value
    assert seen == set(points)
    assert len(seen) > 20


@both
def test_a_number_that_otlp_has_no_room_for_costs_no_other_target_its_points(protocol: str) -> None:
    """A target whose memory says 2^63 bytes loses that point alone; the other target's points arrive, and it is counted."""
    state = samples.state()
    state.apply(samples.snapshot(replace(samples.snapshot_of(samples.PUT, [1] * 50), bytes=1 << 63)))
    with RECEIVERS[protocol]() as receiver, exporting(receiver.endpoint, protocol, state) as telemetry:
        telemetry.flush()
        points = of_targets(receiver)
        left_out = telemetry.tally.read(instruments.POINTS_LEFT_OUT)
    sized = {(pid, dict(names)["code.function.name"]) for pid, name, names in points if name == "jitterbuffer.bytes"}
    assert ("4712", samples.PUT.function) not in sized
    assert ("4711", samples.PARSE.function) in sized
    assert {pid for pid, _, _ in points} == {"4711", "4712"}
    assert left_out == (((("pid", "4712"), ("surface", "otlp"), ("target", "live")), 1),)


@both
def test_points_carry_resource_start_and_time(protocol: str) -> None:
    """A target's points stand under its own resource, start at its attachment, and have no minimum or maximum."""
    with RECEIVERS[protocol]() as receiver, exporting(receiver.endpoint, protocol, samples.state()) as telemetry:
        telemetry.flush()
        found = list(receiver.all_points())
    resources = {dict(resource).get("service.name"): dict(resource) for (resource, _, _, _), _, _ in found}
    assert resources["ffmpeg"]["process.executable.build_id.gnu"] == "0123456789abcdef"
    assert resources["ffmpeg"]["container.id"] == "c0ffee"
    assert resources["ffmpeg"]["process.pid"] == 4711
    assert "otel_jb" in resources
    for (resource, scope, name, _), metric, point in found:
        if scope == instruments.SCOPE and dict(resource)["service.name"] == "ffmpeg":
            assert point.time_unix_nano == samples.READ
            if not name.endswith((".min", ".max", ".avg", "buffer_size", "udp_queue")):
                assert point.start_time_unix_nano == samples.ATTACHED
        if name == "jitterbuffer.delay":
            assert not point.HasField("min")
            assert not point.HasField("max")
            assert metric.histogram.aggregation_temporality == 2
    units = {metric.name: metric.unit for _, metric, _ in found}
    for instrument in set(instruments.INSTRUMENTS) - samples.WITHOUT_VALUE:
        assert units[instrument.name] == instrument.unit


@both
def test_deltas_add_up_over_failed_exports(protocol: str) -> None:
    """With delta temporality the points of successful exports sum to the cumulative values; a refused export loses nothing."""
    state = StreamState()
    for record in (samples.SRS, samples.PUT):
        state.apply(record)
    refusal = grpc.StatusCode.INVALID_ARGUMENT if protocol == "grpc" else 400
    delta: dict[str, Any] = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}
    with (
        RECEIVERS[protocol]() as receiver,
        exporting(receiver.endpoint, protocol, state, **delta) as telemetry,
    ):
        for round_number, refused in enumerate((False, True, True, False, False), start=1):
            receiver.status = refusal if refused else None
            values = samples.snapshot_of(samples.PUT, [3_000] * round_number + [7_000_000] * (2 * round_number))
            state.apply(samples.snapshot(values, at=samples.READ + round_number * 10**9))
            telemetry.flush()
        found = [
            (metric, point) for (_, _, name, _), metric, point in receiver.all_points() if name == "jitterbuffer.delay"
        ]
        packets = [
            number(point) for (_, _, name, _), _, point in receiver.all_points() if name == "jitterbuffer.packet_count"
        ]
    assert [point.count for _, point in found] == [3, 9, 3]
    assert sum(packets) == 15
    assert {metric.histogram.aggregation_temporality for metric, _ in found} == {1}
    assert found[0][1].start_time_unix_nano == samples.SRS.attached_unix_nano
    for (_, before), (_, after) in pairwise(found):
        assert after.start_time_unix_nano == before.time_unix_nano
    total = [sum(column) for column in zip(*(point.bucket_counts for _, point in found), strict=True)]
    assert sorted(count for count in total if count) == [5, 10]
    assert sum(point.sum for _, point in found) == pytest.approx((5 * 3_000 + 10 * 7_000_000) / 1e9)


@both
def test_an_ended_target_is_sent_once_more_and_then_its_series_end(protocol: str) -> None:
    """The last values arrive after the end; when they are forgotten, each series gets the no-recorded-value mark, once."""
    now = [0.0]
    state = StreamState(60.0, lambda: now[0])
    for record in samples.records():
        state.apply(record)
    with RECEIVERS[protocol]() as receiver, exporting(receiver.endpoint, protocol, state) as telemetry:
        telemetry.flush()
        state.apply(samples.snapshot(samples.snapshot_of(samples.PARSE, [5] * 9), at=samples.READ + 1))
        state.apply(TargetEnded(1, samples.READ + 2))
        telemetry.flush()
        last = {key: point for key, point in of_targets(receiver).items() if key[0] == "4711"}
        # The buffer size was not read any more, so its two series have ended already.
        assert {key[1].partition(".")[2] for key, point in last.items() if point.flags} == {
            "buffer_size",
            "buffer_size.max",
        }
        put = (("code.function.name", "ff_rtp_parse_packet"), ("jitterbuffer.role", "parse"))
        assert number(last["4711", "jitterbuffer.packet_count", put]) == 9
        now[0] = 1e9
        before = len(receiver.metric_requests)
        telemetry.flush()
        ended = {key: point for key, point in of_targets(receiver).items() if key[0] == "4711"}
        assert ended.keys() == last.keys()
        assert all(point.flags == 1 for point in ended.values())
        others = {key[1] for key, point in of_targets(receiver).items() if key[0] == "4712" and point.flags}
        assert others == {
            "jitterbuffer.delay.min",
            "jitterbuffer.delay.max",
            "jitterbuffer.delay.avg",
        }  # no calls any more
        about: dict[Any, list[int]] = {
            dict(labels).get("pid"): []
            for (_, scope, _, labels) in receiver.points()
            if scope == instruments.SELF_SCOPE
        }
        for (_, scope, _, labels), point in receiver.points().items():
            if scope == instruments.SELF_SCOPE:
                about[dict(labels).get("pid")].append(point.flags)
        assert set(about["4711"]) == {1}
        assert set(about["4712"]) == {0}
        assert len(receiver.metric_requests) == before + 2
        telemetry.flush()
        assert len(receiver.metric_requests) == before + 3


@both
def test_last_values_wait_for_a_receiver_that_is_down(protocol: str) -> None:
    """A target that ended and was forgotten while nothing could be sent is sent when the receiver is back."""
    now = [0.0]
    state = StreamState(60.0, lambda: now[0])
    for record in samples.records():
        state.apply(record)
    with RECEIVERS[protocol]() as receiver, exporting(receiver.endpoint, protocol, state) as telemetry:
        receiver.status = grpc.StatusCode.INVALID_ARGUMENT if protocol == "grpc" else 400
        state.apply(TargetEnded(1, samples.READ))
        telemetry.flush()
        now[0] = 1e9
        telemetry.flush()
        assert not receiver.metric_requests
        assert not [target for target in state.view().targets if target.target.id == 1]
        receiver.status = None
        telemetry.flush()
        assert {key[0] for key in of_targets(receiver)} == {"4711", "4712"}
        telemetry.flush()
        telemetry.flush()
        assert {point.flags for key, point in of_targets(receiver).items() if key[0] == "4711"} == {1}


def test_many_points_are_split_below_grpcs_limit() -> None:
    """24 000 points with long names arrive complete over gRPC, in requests below 4 MiB, no resource twice in one."""
    state = StreamState()
    for number_of_target in range(1, 7):
        target = Target(
            number_of_target,
            100 + number_of_target,
            1,
            "x",
            "/x",
            None,
            "x",
            f"instance-{number_of_target}",
            samples.ATTACHED,
        )
        state.apply(target)
        for index in range(400):
            state.apply(
                samples.series(number_of_target * 1000 + index, target, f"ns::{'Template<int>::' * 20}f{index}()")
            )
    values = [
        samples.snapshot_of(samples.series(t * 1000 + i, samples.SRS, ""), [10_000 * (i + 1)])
        for t in range(1, 7)
        for i in range(400)
    ]
    state.apply(samples.snapshot(*values))
    with grpc_receiver() as receiver, exporting(receiver.endpoint, "grpc", state) as telemetry:
        telemetry.flush(30)
        assert max(request.ByteSize() for request in receiver.metric_requests) < 4 * 2**20
        assert max(sum(1 for _ in points_of(request)) for request in receiver.metric_requests) <= otlp.MAX_POINTS
        assert len(of_targets(receiver)) == 2400 * 9
        assert len(list(receiver.all_points())) == len(receiver.points())


@both
def test_exponential_histograms_are_sent_as_configured(protocol: str) -> None:
    """With `exponential` the delay is an exponential histogram with the calls in their buckets, by OTLP only."""
    shape = HistogramShape(exponential_scale=3)
    bounds = build(shape.bounds_ns, 3).bounds_ns
    state = StreamState()
    for record in (samples.SRS, samples.PUT):
        state.apply(record)
    durations = [1_000_000_000, 1_000_000_001, 20_000_000]
    made = samples.snapshot(samples.snapshot_of(samples.PUT, durations, bounds))
    state.apply(type(made)(made.time_unix_nano, made.time_ns, bounds, made.series))
    with (
        RECEIVERS[protocol]() as receiver,
        exporting(receiver.endpoint, protocol, state, {"shape": shape}) as telemetry,
    ):
        telemetry.flush()
        point = next(point for (_, _, name, _), _, point in receiver.all_points() if name == "jitterbuffer.delay")
        assert telemetry.page is not None
        assert b'le="0.025"' in telemetry.page.render("", "")[0]
    assert (point.scale, point.count, point.zero_count) == (3, 3, 0)
    filled = {point.positive.offset + place: count for place, count in enumerate(point.positive.bucket_counts) if count}
    # 1 s is the upper bound of bucket -1, one nanosecond more lies in bucket 0; 20 ms: 8 * log2(0.02) = -45.15.
    assert filled == {-1: 1, 0: 1, -46: 1}
    assert not point.HasField("min")


@both
@pytest.mark.parametrize("temporality", ["delta", "cumulative"])
def test_an_exemplar_is_sent_until_everybody_saw_it(protocol: str, temporality: str) -> None:
    """The latest exemplar of a bucket goes out once with deltas; with cumulative points again for a minute, then no more."""
    minute = 60_000_000_000
    found = [
        Exemplar(24_000_000, samples.READ - 9, 1, 11, 7),
        Exemplar(24_000_001, samples.READ - 5, 2, 22, 7),
        Exemplar(900_000_000, samples.READ - 5, 3, 33, 7),  # its call is in no snapshot yet
    ]
    arguments: dict[str, Any] = {"exemplars": lambda key: found if key == 1 else ()}
    preference: dict[str, Any] = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality}
    state = samples.state()
    with (
        RECEIVERS[protocol]() as receiver,
        exporting(receiver.endpoint, protocol, state, arguments, **preference) as telemetry,
    ):
        telemetry.flush()
        found = found[1:]
        for later in (minute // 2, minute, minute + 1):
            values = samples.snapshot_of(samples.PARSE, [900, 1_000, 1_001, 24_000_000])
            state.apply(samples.snapshot(values, at=samples.READ + later))
            telemetry.flush()
        found.append(Exemplar(24_000_002, samples.READ + later, 4, 44, 8))
        state.apply(samples.snapshot(values, at=samples.READ + 2 * minute))
        telemetry.flush()
        sent = [
            [(int.from_bytes(one.span_id, "big"), dict(attributes(one.filtered_attributes))) for one in point.exemplars]
            for (_, _, name, labels), _, point in receiver.all_points()
            if name == "jitterbuffer.delay" and ("code.function.name", "ff_rtp_parse_packet") in labels
        ]
    old, new = [(22, {"thread.id": 7})], [(44, {"thread.id": 8})]
    assert sent == ([old, [], [], [], new] if temporality == "delta" else [old, old, old, [], new])


@both
@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_headers_and_compression_are_honoured(protocol: str, compression: str) -> None:
    """OTEL_EXPORTER_OTLP_HEADERS and _COMPRESSION reach the receiver; gRPC ignores deflate with a warning."""
    more: dict[str, Any] = {
        "OTEL_EXPORTER_OTLP_HEADERS": "X-Token=a%20b,tenant=t",
        "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
    }
    with (
        RECEIVERS[protocol]() as receiver,
        exporting(receiver.endpoint, protocol, samples.state(), **more) as telemetry,
    ):
        telemetry.flush()
        headers = receiver.headers[0]
        assert (headers["x-token"], headers["tenant"]) == ("a b", "t")
        if protocol == "http/protobuf":
            assert headers.get("content-encoding", "none") == compression
        else:
            assert bool(telemetry.settings.warnings) == (compression == "deflate")
        assert receiver.metric_requests


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the agent logged. (caplog also listens to loggers that do not propagate, which the user's handlers do not.)"""
    return [record.getMessage() for record in caplog.records if record.name.startswith("otel_jb")]


class Heard(logging.Handler):
    """Names of the loggers whose records reach the root logger."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.names.add(record.name.partition(".")[0])


@pytest.fixture
def heard() -> Iterator[set[str]]:
    handler = Heard()
    logging.getLogger().addHandler(handler)
    yield handler.names
    logging.getLogger().removeHandler(handler)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@both
@pytest.mark.parametrize("trouble", ["refused", "unavailable", "rejected"])
def test_failing_is_said_once_and_so_is_recovery(
    protocol: str, trouble: str, caplog: pytest.LogCaptureFixture, heard: set[str]
) -> None:
    """Three failed exports give one warning with endpoint and reason and a count of three; recovery gives one more."""
    caplog.set_level(logging.WARNING)
    port = free_port()
    kinds = {
        ("refused", "grpc"): "UNAVAILABLE",
        ("refused", "http/protobuf"): "connection",
        ("unavailable", "grpc"): "UNAVAILABLE",
        ("unavailable", "http/protobuf"): "503",
        ("rejected", "grpc"): "INVALID_ARGUMENT",
        ("rejected", "http/protobuf"): "400",
    }
    endpoint = f"http://127.0.0.1:{port}"
    quick: dict[str, Any] = {"OTEL_EXPORTER_OTLP_TIMEOUT": "400"}
    state = samples.state()
    with exporting(endpoint, protocol, state, **quick) as telemetry:
        if trouble == "refused":
            for _ in range(3):
                telemetry.flush()
        with RECEIVERS[protocol](port) as receiver:
            if trouble != "refused":
                grpc_status = (
                    grpc.StatusCode.UNAVAILABLE if trouble == "unavailable" else grpc.StatusCode.INVALID_ARGUMENT
                )
                http_status = 503 if trouble == "unavailable" else 400
                receiver.status = grpc_status if protocol == "grpc" else http_status
                for _ in range(3):
                    telemetry.flush()
            warnings = messages(caplog)
            assert len(warnings) == 1, warnings
            assert f"127.0.0.1:{port}" in warnings[0]
            expected = (("error.type", kinds[trouble, protocol]), ("signal", "metrics"))
            assert telemetry.tally.read(instruments.EXPORT_FAILURES) == ((expected, 3),)
            receiver.status = None
            deadline = time.monotonic() + 10
            while not receiver.metric_requests and time.monotonic() < deadline:
                telemetry.flush()
            assert receiver.metric_requests
        assert len(messages(caplog)) == 2, messages(caplog)
        assert "again" in messages(caplog)[1]
    assert "opentelemetry" not in heard


@both
def test_stopping_keeps_to_its_budget_with_a_receiver_that_never_answers(protocol: str) -> None:
    """Against a receiver that accepts and never answers, shutdown returns within its budget."""
    with RECEIVERS[protocol]() as receiver:
        receiver.hang.set()
        settings = read(
            environ(receiver.endpoint, protocol, OTEL_EXPORTER_OTLP_TIMEOUT="60000", OTEL_METRIC_EXPORT_INTERVAL="50")
        )
        telemetry = Telemetry(samples.state(), settings)
        telemetry.start()
        time.sleep(0.2)  # so that an export is under way
        begin = time.monotonic()
        telemetry.shutdown(1.5)
        assert time.monotonic() - begin < 5


@both
def test_stopping_sends_the_last_values(protocol: str) -> None:
    """What the state holds at shutdown has arrived when shutdown returns."""
    state = samples.state()
    with RECEIVERS[protocol]() as receiver:
        with exporting(receiver.endpoint, protocol, state):
            state.apply(samples.snapshot(samples.snapshot_of(samples.PUT, [1] * 77)))
        counts = [number(p) for key, p in of_targets(receiver).items() if key[1] == "jitterbuffer.packet_count"]
        assert 77 in counts


def test_what_the_agent_says_of_probes_has_few_label_values() -> None:
    """A reason bears no numbers, and a counter about a process ends with it: label values do not grow as probes come and go."""
    state = samples.state()
    for share in ("12.5%", "13.1%"):
        reason = f"overhead budget: the target's probes would exceed {share} of a CPU"
        state.apply(ProbeStatus(1, "ff_rtp_parse_packet", "/f", "ffmpeg", ProbeState.SHED, reason, "edge-sites", 1))
    telemetry = Telemetry(state, read({}), host="h")
    telemetry.tally.add(instruments.NESTING_DOUBTFUL, 3, target="ffmpeg", pid="4711", function="put")
    telemetry.tally.add(instruments.NESTING_DOUBTFUL, 5, target="ffmpeg", pid="999", function="put")
    telemetry.start()
    assert telemetry.page is not None
    text = telemetry.page.render("", "")[0].decode()
    telemetry.shutdown(2.0)
    assert 'otel_jb_probes{host_name="h",reason="overhead budget",state="shed",strategy="edge-sites"} 1.0' in text
    assert 'otel_jb_nesting_doubtful_total{function="put",host_name="h",pid="4711",target="ffmpeg"} 3.0' in text
    assert 'pid="999"' not in text


def test_self_metrics_are_on_both_routes_with_the_contracts_names() -> None:
    """Each of the agent's own metrics that has a value appears once on /metrics and in OTLP, under its documented names."""
    state = samples.state()
    impossible = replace(samples.GET, fields=("bytes out of range",))
    state.apply(impossible)
    state.apply(samples.snapshot(samples.snapshot_of(impossible, [1000], faults=(1,))))
    with grpc_receiver() as receiver:
        telemetry = Telemetry(state, read(environ(receiver.endpoint, "grpc")), overhead=lambda: {1: 0.25}, host="h")
        for instrument in (
            instruments.SPANS_DROPPED,
            instruments.EXPORT_FAILURES,
            instruments.CONFIG_RELOADS,
            instruments.EXPORT_REJECTED,
            instruments.POINTS_LEFT_OUT,
            instruments.NESTING_DOUBTFUL,
        ):
            telemetry.tally.add(instrument, 3, signal="traces")
        telemetry.start()
        telemetry.flush()
        assert telemetry.page is not None
        text = telemetry.page.render("", "")[0].decode()
        telemetry.shutdown(2.0)
        sent = {name for (_, scope, name, _) in receiver.points() if scope == instruments.SELF_SCOPE}
    families = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    for instrument in instruments.SELF_INSTRUMENTS:
        assert instrument.name in sent
        assert instrument.prometheus in families, instrument.prometheus
    assert 'otel_jb_overhead_ratio{host_name="h",pid="4711",target="ffmpeg"} 0.25' in text
    assert 'otel_jb_probes{host_name="h",reason="inlined everywhere",state="skipped",strategy=""} 1.0' in text
    assert (
        'otel_jb_reads_faulted_total{field="queue_len",function="ff_rtp_parse_packet",host_name="h",pid="4711",target="ffmpeg"} 2.0'
        in text
    )
    assert text.count("# TYPE target_info") == 1
    done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_a_disabled_sdk_exports_nothing() -> None:
    """OTEL_SDK_DISABLED leaves neither page nor export."""
    with (
        grpc_receiver() as receiver,
        exporting(receiver.endpoint, "grpc", samples.state(), OTEL_SDK_DISABLED="true") as telemetry,
    ):
        telemetry.flush()
        assert telemetry.page is None
    assert not receiver.metric_requests


def test_every_sample_on_the_page_bears_the_hosts_name() -> None:
    """Series of targets and of the agent itself carry `host_name`, which the configuration may give."""
    telemetry = Telemetry(samples.state(), read({}), overhead=lambda: {1: 0.25}, host="node-7")
    telemetry.start()
    assert telemetry.page is not None
    text = telemetry.page.render("", "")[0].decode()
    telemetry.shutdown(2.0)
    hosts: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name != "target_info":
                hosts.setdefault(sample.name.partition("_")[0], set()).add(sample.labels["host_name"])
    assert hosts == {"jitterbuffer": {"media-1"}, "otel": {"node-7"}, "process": {"node-7"}}
