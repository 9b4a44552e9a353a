# SPDX-License-Identifier: Apache-2.0
"""The verdict as a metric, and the rules and alerts that share its limits."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_jb.diagnosis import limits
from otel_jb.diagnosis.limits import MEASURES, Culprit, Measure
from otel_jb.model.stream import Snapshot, TargetEnded
from otel_jb.telemetry.instruments import VERDICT
from otel_jb.telemetry.metrics import Attributes, target_metrics
from otel_jb.telemetry.state import StreamState
from tests.telemetry_samples import SRS
from tests.unit.test_diagnosis import HURT, PUT, SECOND, TROUBLES, fall_silent, lose, records, starve

pytestmark = pytest.mark.unit

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules"


def rules(file: str, kind: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((RULES / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


#: Who is silent or stalled is looked at in steps of five seconds, which no scrape sees. Silence accuses nobody outside of `otel-jb why`.
RULED = tuple(measure for measure in MEASURES if measure not in (limits.SILENCE, limits.STALLED))
EVIDENCE = {
    rule["labels"]["measure"]: rule
    for rule in rules("recording.yml", "record")
    if rule["record"] == "measure:jitterbuffer_severity:ratio_1m"
}


def test_every_measure_has_its_rule() -> None:
    """There is one recording rule for each measure that a scrape can see, and no other."""
    assert list(EVIDENCE) == [measure.name for measure in RULED]


@pytest.mark.parametrize("measure", RULED, ids=lambda measure: measure.name)
def test_rules_divide_by_the_limit_of_the_table(measure: Measure) -> None:
    """Each rule bears the table's culprit, ends with a division by its limit, and selects by the table's roles, reasons and times."""
    rule = EVIDENCE[measure.name]
    assert rule["labels"]["culprit"] == measure.culprit.value
    assert re.search(r"/ ([0-9.]+)\s*\Z", rule["expr"])[1] == str(measure.limit)  # type: ignore[index]
    for roles in re.findall(r'jitterbuffer_role=~"([^"]+)"', rule["expr"]):
        assert set(roles.split("|")) == limits.PACKET_ROLES
    for reasons in re.findall(r'reason=~"([^"]+)"', rule["expr"]):
        assert set(reasons.split("|")) == limits.FULL_REASONS
    for bound in re.findall(r'le="([^"]+)"', rule["expr"]) + re.findall(
        r"histogram_fraction\(0, ([0-9.]+)", rule["expr"]
    ):
        assert float(bound) * SECOND == limits.SLOW_NS
    for datagram in re.findall(r"\)\) / ([0-9]+)\n", rule["expr"]):
        assert int(datagram) == limits.DATAGRAM_BYTES
    for least, counter in re.findall(r">= ([0-9.]+) \* rate\((\w+)", rule["expr"]):
        assert (
            float(least)
            == {
                "jitterbuffer_host_cpu_time_seconds_total": limits.BUSY_SHARE,
                "jitterbuffer_host_timeslices_total": limits.LONG_WAIT_S,
            }[counter]
        )
    for share in re.findall(r">= ([0-9.]+) \* sum by", rule["expr"]):
        assert float(share) == limits.MOST_OF_IT
    for share in re.findall(r">= ([0-9.]+)\)", rule["expr"]):
        assert float(share) == limits.MUCH_WAITING


def test_every_culprit_has_its_alert() -> None:
    """One alert selects each culprit's verdict."""
    found = [
        culprit
        for rule in rules("alerts.yml", "alert")
        for culprit in re.findall(r'jitterbuffer_verdict_ratio\{culprit="(\w+)"\}', rule["expr"])
    ]
    assert sorted(found) == sorted(each.value for each in Culprit)


def verdicts(state: StreamState) -> list[Attributes]:
    (target,) = target_metrics(state.view())
    points = dict(target.points).get(VERDICT, ())
    assert all(getattr(point, "value", None) == 1 for point in points)
    return [point.attributes for point in points]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_the_metric_says_what_the_command_says(trouble: Any) -> None:
    """Each trouble makes one point with its culprit, and with its stream where it is about one; silence makes none."""
    culprit, _, stream = TROUBLES[trouble]
    state = StreamState()
    for record in records(trouble):
        state.apply(record)
    named = () if stream is None else (("jitterbuffer.stream", stream),)
    expected = [] if trouble is fall_silent else [(("culprit", culprit.value), *named)]
    assert verdicts(state) == expected


def test_the_metric_is_absent_on_a_healthy_server_and_after_the_trouble() -> None:
    """A healthy minute has no point; a trouble has one until a minute without it has passed, and its target's end ends it."""
    state = StreamState()
    seen = []
    for record in records(lambda minute: lose(minute) if 30 <= minute.seconds < 50 else None, since=0, seconds=130):
        state.apply(record)
        if isinstance(record, Snapshot):
            seen.append(verdicts(state))
    accused = [second for second, found in enumerate(seen, 1) if found]
    assert all(found in ([], [(("culprit", "network"), ("jitterbuffer.stream", HURT))]) for found in seen)
    assert accused == list(range(accused[0], accused[-1] + 1))
    assert 30 <= accused[0] <= 50
    assert 50 < accused[-1] < 50 + 60
    state = StreamState()
    for record in records(starve):
        state.apply(record)
    assert verdicts(state) == [(("culprit", "host"),)]
    state.apply(TargetEnded(SRS.id, 0))
    assert verdicts(state) == []


def test_a_target_that_is_not_read_any_more_has_no_verdict() -> None:
    """If all probes of a target are shed, its last verdict does not stand for ever."""
    state = StreamState()
    for record in records(lose):
        state.apply(record)
    assert verdicts(state)
    last = records(lose)[-1]
    assert isinstance(last, Snapshot)
    state.apply(replace(last, time_ns=last.time_ns + 120 * SECOND, series=(), rtp=()))
    assert verdicts(state) == []


def test_a_host_share_is_about_the_time_between_its_own_readings() -> None:
    """A share that is read every 10 s while the kernel is read every second is not credited to 5 s."""
    state = StreamState()
    state.apply(SRS)
    state.apply(PUT)
    for number, record in enumerate(
        records(lambda minute: minute.host(run_delay_ns=20_000_000), since=0, seconds=6)[2:]
    ):
        if number in (0, 10) or isinstance(record, Snapshot):  # the shares of the first and of the sixth second
            state.apply(record)
    assert verdicts(state) == []
