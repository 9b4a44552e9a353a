# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry, Metric, exposition
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as parse_text

from otel_jb.model.stream import StreamRecord, TargetEnded
from otel_jb.telemetry import selfmetrics
from otel_jb.telemetry.exposition import write
from otel_jb.telemetry.instruments import CPU_TIME, INSTRUMENTS, MEMORY_USAGE, SELF_INSTRUMENTS, SPANS_DROPPED
from otel_jb.telemetry.metrics import Exemplar
from otel_jb.telemetry.prometheus import MetricsPage, SelfCollector, TargetCollector
from otel_jb.telemetry.state import StreamState
from otel_jb.telemetry.tally import Tally
from tests import telemetry_samples as samples

pytestmark = pytest.mark.unit
GOLDEN = Path(__file__).parent / "golden" / "exposition"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
EXEMPLARS = {
    1: (
        Exemplar(24_000_000, samples.READ - 5, 0xABC, 0xDEF, 7),
        Exemplar(23_000_000, samples.READ - 9, 0x1, 0x2, 7),
        Exemplar(999_000_000, samples.READ - 1, 0x3, 0x4, 7),
    )
}


def parse_openmetrics(text: str) -> Iterator[Metric]:
    yield from openmetrics_parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]


def page(state: StreamState, created: bool = False) -> MetricsPage:
    registry = CollectorRegistry()
    agent = {"service.name": "otel_jb", "host.name": "media-1"}
    registry.register(
        TargetCollector(state.view, exemplars=lambda key: EXEMPLARS.get(key, ()), agent=agent, created=created)
    )
    return MetricsPage(registry)


def compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("RENEW_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize(("accept", "name"), [("", "sample.prom"), (OPENMETRICS, "sample.openmetrics")])
def test_the_exposition_is_the_golden_one(accept: str, name: str) -> None:
    """The sample state is exposed in both formats exactly as the golden files have it (RENEW_GOLDEN=1 renews them)."""
    body, _ = page(samples.state()).render(accept, "")
    compare(name, body.decode())


@pytest.mark.parametrize("created", [False, True])
@pytest.mark.parametrize("openmetrics", [False, True])
def test_the_text_is_byte_for_byte_what_the_library_writes(created: bool, openmetrics: bool) -> None:
    """prometheus-client makes the same text of the same families, whatever letters a target puts into its names, and large numbers."""
    state = samples.state()
    state.apply(replace(samples.SRS, service_name='a"b\\c\nd ü', executable="\\"))
    state.apply(samples.snapshot(samples.snapshot_of(samples.PUT, [1] * 50, bytes=12_345_678_901, sum_ns=5 * 10**18)))
    agent = {"service.name": "otel_jb", "host.name": 'media "1"'}
    exemplars: Callable[[int], tuple[Exemplar, ...]] = lambda key: EXEMPLARS.get(key, ())  # noqa: E731
    registry = CollectorRegistry()
    registry.register(TargetCollector(state.view, exemplars=exemplars, agent=agent, created=created))
    library = openmetrics_exposition.generate_latest if openmetrics else exposition.generate_latest
    written = b"".join(write(registry.collect(), openmetrics=openmetrics))
    assert written.decode() == library(registry).decode()
    assert "ü" in written.decode()


def test_promtool_finds_nothing_to_blame() -> None:
    """`promtool check metrics` accepts the text without a remark."""
    body, _ = page(samples.state()).render("", "")
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False)
    # target_info is the standard's name; promtool would like a HELP for info metrics only.
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_openmetrics_reads_back_with_units_and_exemplars() -> None:
    """The OpenMetrics text parses, has its units, and the latest exemplar of a bucket that has calls."""
    body, headers = page(samples.state()).render(OPENMETRICS, "")
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = {family.name: family for family in parse_openmetrics(body.decode())}
    delay = families["jitterbuffer_delay_seconds"]
    assert delay.unit == "seconds"
    assert families["jitterbuffer_bytes"].unit == "bytes"
    found = [(sample.labels["le"], sample.exemplar) for sample in delay.samples if sample.exemplar]
    assert len(found) == 1
    le, exemplar = found[0]
    assert (le, exemplar.value) == ("0.025", 0.024)
    assert exemplar.labels == {"trace_id": f"{0xABC:032x}", "span_id": f"{0xDEF:016x}"}


def test_created_samples_are_a_choice() -> None:
    """`_created` is exposed only where it is asked for, and is the time of attachment."""
    assert b"_created" not in page(samples.state()).render(OPENMETRICS, "")[0]
    body, _ = page(samples.state(), created=True).render(OPENMETRICS, "")
    calls = next(one for one in parse_openmetrics(body.decode()) if one.name == "jitterbuffer_calls")
    created = [sample for sample in calls.samples if sample.name.endswith("_created")]
    assert created
    assert created[0].value == pytest.approx(samples.ATTACHED / 1e9)


def test_gzip_is_used_where_it_is_accepted() -> None:
    """A client that accepts gzip gets it, with the same text inside."""
    plain, headers = page(samples.state()).render("", "")
    assert "Content-Encoding" not in headers
    packed, headers = page(samples.state()).render("", "deflate, gzip;q=0.9")
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed) == plain


def test_every_sample_bears_pid_and_function() -> None:
    """Each sample of a target carries `host_name`, `pid` and, unless it is of the process as a whole, `function`, as the guide's queries want them."""
    body, _ = page(samples.state()).render("", "")
    names = {instrument.prometheus.removesuffix("_total") for instrument in INSTRUMENTS}
    for family in parse_text(body.decode()):
        for sample in family.samples:
            if family.name in names:
                assert sample.labels["pid"] in ("4711", "4712")
                assert sample.labels["host_name"] == "media-1"
                if family.name.startswith("jitterbuffer_host_"):
                    assert "function" not in sample.labels
                else:
                    assert sample.labels["function"] == sample.labels["code_function_name"]


def test_a_text_is_made_once_a_version() -> None:
    """Scrapes of one refresh share the text; the next refresh makes a new one."""
    state = samples.state()
    shared = page(state)
    first, _ = shared.render("", "", 1)
    state.apply(TargetEnded(1, samples.READ))
    more: StreamRecord = samples.snapshot(samples.snapshot_of(samples.PUT, [1] * 50))
    state.apply(more)
    assert shared.render("", "", 1)[0] == first
    assert shared.render("", "", 2)[0] != first


def test_names_follow_the_standard_translation() -> None:
    """Every Prometheus name follows from instrument name, unit and kind by OpenTelemetry's rules."""
    from otel_jb.model.instruments import Kind

    units = {"s": "_seconds", "By": "_bytes", "packets": "_packets", "1": "_ratio"}
    for instrument in (*INSTRUMENTS, *SELF_INSTRUMENTS):
        base = instrument.name.replace(".", "_")
        unit = units.get(instrument.unit, "")
        expected = (base if base.endswith(unit) else base + unit) if unit else base
        if instrument.kind is Kind.COUNTER:  # whose name has the word `total` at its end and nowhere else
            expected = expected.replace("_total_", "_") + "_total"
        assert instrument.prometheus == expected


def test_a_number_that_no_format_has_room_for_costs_only_itself() -> None:
    """A sum of 2^63 bytes, which a target may have in its memory, is left out and told of; everything else is there."""
    from otel_jb.telemetry.instruments import BYTES, PACKET_COUNT
    from otel_jb.telemetry.metrics import target_metrics

    state = samples.state()
    whole = {instrument for one in target_metrics(state.view()) if one.target.id == 2 for instrument, _ in one.points}
    grown = replace(samples.snapshot_of(samples.PUT, [1] * 50), bytes=1 << 63)
    state.apply(samples.snapshot(grown))
    told: list[tuple[int, int]] = []
    left = target_metrics(state.view(), left_out=lambda target, count: told.append((target.id, count)))
    points = {one.target.id: dict(one.points) for one in left}
    assert told == [(2, 1)]
    assert BYTES in whole
    assert whole - set(points[2]) <= {BYTES}
    assert PACKET_COUNT in points[2]
    assert BYTES in points[1]


def test_the_agents_own_metrics_have_the_values_that_the_sdk_observes() -> None:
    """Each of the agent's own metrics has the same values, by the same attributes, on /metrics and as instruments of the SDK."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

    tally = Tally()
    tally.add(SPANS_DROPPED, 3, signal="traces", error__type="queue_full")
    observed = dict(selfmetrics.sources(samples.state().view, tally, lambda: {1: 0.25}))
    for moving in (CPU_TIME, MEMORY_USAGE):  # between the two
        once = tuple(observed[moving]())
        observed[moving] = lambda once=once: once  # type: ignore[misc]
    reader = InMemoryMetricReader()
    selfmetrics.register(MeterProvider([reader]).get_meter("test"), observed)
    data = reader.get_metrics_data()
    assert data is not None
    sdk = {
        (metric.name.replace(".", "_"), frozenset((point.attributes or {}).items())): cast(NumberDataPoint, point).value
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
    }
    names = {one.prometheus: one.name.replace(".", "_") for one in SELF_INSTRUMENTS}
    page = {}
    for family in SelfCollector(observed, "media-1").collect():
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("host_name") == "media-1"
            page[names[sample.name], frozenset(labels.items())] = sample.value
    plain = {
        (name, frozenset((key.replace(".", "_"), value) for key, value in at)): value
        for (name, at), value in sdk.items()
    }
    assert page == plain
    assert len({name for name, _ in page}) > len(SELF_INSTRUMENTS) / 2
