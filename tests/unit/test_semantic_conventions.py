# SPDX-License-Identifier: Apache-2.0
"""docs/semantic-conventions.md and its model, compared with what is exported."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_jb.model.added import ADDED
from otel_jb.model.stream import PassedPacket, ResidenceSnapshot, SlowCall
from otel_jb.probes import abi
from otel_jb.telemetry.call_span import identity, own_attributes, packet_attributes
from otel_jb.telemetry.instruments import INSTRUMENTS
from otel_jb.telemetry.metrics import target_metrics
from otel_jb.telemetry.span_names import PACKET_EVENT
from otel_jb.telemetry.state import StreamState
from tests import telemetry_samples as samples
from tests.unit.test_diagnosis import lose, records

pytestmark = pytest.mark.unit

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "semantic-conventions.md").read_text()
GROUPS: list[dict[str, Any]] = yaml.safe_load((DOCS / "semantic-conventions.yaml").read_text())["groups"]
METRICS = {group["metric_name"]: group for group in GROUPS if group["type"] == "metric"}
ATTRIBUTES = {
    each["id"]: each for group in GROUPS if group["type"] == "attribute_group" for each in group["attributes"]
}
#: OpenTelemetry's own, that the model refers to.
STANDARD = {"code.function.name", "server.port", "thread.id", "thread.name"}


def referred(group: dict[str, Any]) -> dict[str, bool]:
    """Attributes of a group, and whether they are required."""
    return {
        each["ref"]: each["requirement_level"] == "required" for each in group.get("attributes", ()) if "ref" in each
    }


def exported() -> dict[str, list[dict[str, Any]]]:
    """Attributes of every point that three worlds export, by metric: a healthy one, one that loses packets of a stream, and one that keeps packets and adds up."""
    losing = StreamState()
    for record in records(lose):
        losing.apply(record)
    buffering = samples.state()
    buffering.apply(replace(samples.GET, has_residence=True, has_underruns=True, adds=tuple(ADDED)))
    got = replace(samples.snapshot_of(samples.GET, [20_000_000]), counts=(("underruns", 2),))
    got = replace(got, added=tuple(range(len(ADDED))), means=(("target_delay", 60.0),))
    stayed = ResidenceSnapshot(samples.SRS.id, samples.GET.id, 5, got.buckets, (("unseen", 1),))
    buffering.apply(replace(samples.snapshot(got), residences=(stayed,)))
    found: dict[str, list[dict[str, Any]]] = {}
    for state in (samples.state(), losing, buffering):
        for target in target_metrics(state.view()):
            for instrument, points in target.points:
                found.setdefault(instrument.name, []).extend(dict(point.attributes) for point in points)
    return found


def test_the_model_has_every_metric_as_it_is_exported() -> None:
    """Names, instruments, units and descriptions are those of the code, in its order."""
    assert [(name, each["instrument"], each["unit"], each["brief"], each["id"]) for name, each in METRICS.items()] == [
        (one.name, one.kind.value, one.unit, one.description, f"metric.{one.name}") for one in INSTRUMENTS
    ]


def test_points_carry_the_attributes_of_the_model() -> None:
    """Every point has each required attribute of its metric and no attribute that the model lacks; enumerated values are members."""
    points = exported()
    assert set(points) == set(METRICS)
    for name, of_metric in points.items():
        allowed = referred(METRICS[name])
        for attributes in of_metric:
            assert {key for key, required in allowed.items() if required} <= set(attributes) <= set(allowed), name
            for key, value in attributes.items():
                kind = ATTRIBUTES.get(key, {}).get("type")
                if isinstance(kind, dict):
                    assert value in {member["value"] for member in kind["members"]}, (name, key)


def test_spans_carry_the_attributes_of_the_model() -> None:
    """The span of a call of which all is known has the model's attributes, and otherwise only the thread's."""
    (group,) = [group for group in GROUPS if group["type"] == "span"]
    call = SlowCall(samples.PUT.id, 7, "worker", 1, 0, 1, bytes=172, stream=4096, return_value=0, outcome=None)
    call = replace(
        call, stream_name="live/cam0", ssrc=1, late=True, cpu_ns=1, run_delay_ns=0, blocked_ns=0, may_yield=True
    )
    attributes = {**identity(samples.PUT, call.thread_id, call.thread_name), **own_attributes(samples.PUT, call)}
    assert "4096" not in str(attributes)
    assert set(attributes) - {"thread.id", "thread.name"} == set(referred(group))


def test_events_carry_the_attributes_of_the_model() -> None:
    """The event of a packet has the model's name and attributes, whatever its order, and each order is a member."""
    (group,) = [group for group in GROUPS if group["type"] == "event"]
    attributes = [packet_attributes(PassedPacket(1, 2, 3, 4, state, 8000, "late", 5)) for state in abi.FLIGHT_STATES]
    assert group["name"] == PACKET_EVENT
    assert [set(each) for each in attributes] == [set(referred(group))] * len(abi.FLIGHT_STATES)
    members = [member["value"] for member in ATTRIBUTES["rtp.packet.order"]["type"]["members"]]
    assert [each["rtp.packet.order"] for each in attributes] == members
    waits = packet_attributes(PassedPacket(1, 2, 3, 4, "in_order"))
    assert set(waits) == {name for name, required in referred(group).items() if required}


def test_the_model_is_closed() -> None:
    """Every reference leads to an attribute of the model or of OpenTelemetry, and every attribute is used."""
    used = {name for group in GROUPS for name in referred(group)}
    assert used - STANDARD == set(ATTRIBUTES)
    assert {each["stability"] for each in (*ATTRIBUTES.values(), *METRICS.values())} == {"development"}


def test_the_text_says_what_the_model_says() -> None:
    """The tables of the page have the model's metrics and attributes, and its last table names only metrics of the model."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| (\w+) \| `([^`]+)` \| (.+?) \| (.*) \|$", TEXT, re.MULTILINE)
    found = [(name, kind, unit, brief, re.findall(r"`([^`]+)`", names)) for name, kind, unit, brief, names in rows]
    assert found == [
        (name, each["instrument"], each["unit"], each["brief"], list(referred(each))) for name, each in METRICS.items()
    ]
    attributes = dict(
        re.findall(r"^\| `([a-z_.]+)` \| (?:enum|string|int|double|boolean) \| (.+) \|$", TEXT, re.MULTILINE)
    )
    assert set(attributes) == set(ATTRIBUTES)
    for name, each in ATTRIBUTES.items():
        if isinstance(each["type"], dict):
            members = [member["value"] for member in each["type"]["members"]]
            assert re.findall(r"`([a-z_]+)`", attributes[name]) == members
    elsewhere = TEXT.split("## The same quantities elsewhere")[1]
    here = set(re.findall(r"`((?:rtp|jitterbuffer)\.[a-z_.]+)`", elsewhere))
    assert len(here) >= 8
    assert here <= set(METRICS)
