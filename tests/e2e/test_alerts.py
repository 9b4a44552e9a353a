# SPDX-License-Identifier: Apache-2.0
"""Every shipped alert fires in a real Prometheus that scrapes the agent's metrics, and the runbooks' queries find what is wrong.

`promtool test rules` shows when each alert fires and stays silent (tests/e2e/test_deploy_files.py); here the labels are the agent's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_jb.model.stream import ProbeState, ProbeStatus
from otel_jb.telemetry.instruments import EXPORT_FAILURES, SPANS_DROPPED
from tests.blocks import blocks
from tests.diagnosis.alerts import OF_CULPRIT
from tests.e2e.agent_process import ROOT, free_tcp_port, until
from tests.e2e.collector import Prometheus, get_json, prometheus, scrape_configuration
from tests.e2e.synthetic import MILLISECOND, World, world

pytestmark = pytest.mark.e2e

SHIPPED = ROOT / "deploy" / "prometheus"
PUT, GET, DECODE, PARSE = (
    "SrsRtpJitterBuffer::put",
    "SrsRtpJitterBuffer::get",
    "SrsRtpPacket::decode",
    "ff_rtp_parse_packet",
)
#: What each alert must accuse, by the labels that say so. The culprits' alerts have programs of their own in tests/diagnosis.
ACCUSED = {
    "JitterBufferSlow": {"function": PUT},
    "JitterBufferDropsPackets": {"function": PUT},
    "JitterBufferSilent": {"function": DECODE},
    "JitterBufferGrows": {"job": "ffmpeg"},
    "JitterBufferCallsAbandoned": {"function": PUT},
    "JitterBufferAgentDown": {"job": "ffmpeg-jitterbuffer"},
    "JitterBufferCallsMissed": {"function": GET},
    "JitterBufferProbesFailed": {"reason": "EPERM"},
    "JitterBufferProbesShed": {},
    "JitterBufferOverheadHigh": {"target": "live"},
    "JitterBufferSlowCallsLost": {"function": PUT},
    "JitterBufferSpansDropped": {},
    "JitterBufferExportFails": {"signal": "traces", "error_type": "unavailable"},
}
QUERIES = [block for block in blocks() if block.page == "docs/runbooks.md" and block.language == "promql"]


def hurried(rules: Path) -> dict[str, Any]:
    """The rules with windows of seconds instead of minutes, so that they fire as soon; a window of one minute is kept."""
    found: dict[str, Any] = yaml.safe_load(rules.read_text())
    for group in found["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            rule["expr"] = re.sub(r"\[(5|10)m\]", "[3s]", rule["expr"]).replace("[1h]", "[5m]")
            if "for" in rule:
                rule["for"] = "1s"
    return found


@dataclass(slots=True)
class Trouble:
    """A world in which everything goes wrong, and the Prometheus that watches it."""

    world: World
    server: Prometheus
    annotations: dict[str, list[dict[str, str]]]  #: by alert: what it said each time that it was seen firing
    accused: dict[str, list[dict[str, str]]]  #: by alert: its labels then

    def go_on(self) -> None:
        """Another moment of it, and what fires by now."""
        made = self.world
        made.call(PUT, *[3_000] * 40, *[20 * MILLISECOND] * 2)
        made.call(GET, *[3_000] * 40)
        made.call(PARSE, *[3_000] * 40)
        made.packets_held += 20
        for function, name, count in ((PUT, "abandoned", 5), (GET, "missed", 5), (PUT, "events_lost", 2)):
            counts = made.counted.setdefault(function, {})
            counts[name] = counts.get(name, 0) + count
        made.counted[GET]["attached_ns"] = 10**9  # it has been shed since
        made.telemetry.tally.add(SPANS_DROPPED, error__type="queue_full")
        made.telemetry.tally.add(EXPORT_FAILURES, signal="traces", error__type="unavailable")
        made.step()
        for alert in get_json(f"{self.server.url}/api/v1/alerts")["data"]["alerts"]:
            if alert["state"] == "firing":
                self.annotations.setdefault(alert["labels"]["alertname"], []).append(alert["annotations"])
                self.accused.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])

    def has_fired(self, name: str) -> bool:
        """Whether the alert has accused those that it must."""
        wanted = ACCUSED[name].items()
        return any(wanted <= labels.items() for labels in self.accused.get(name, ()))


@pytest.fixture(scope="module")
def trouble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trouble]:
    """A running world, a Prometheus with the shipped rules in a hurry, and beside the agent's port one that nobody answers on."""
    directory = tmp_path_factory.mktemp("alerts")
    with world(streams=True) as made:
        configuration = scrape_configuration({"ffmpeg-jitterbuffer": made.metrics_address}, SHIPPED / "prometheus.yml")
        configuration["scrape_configs"][0]["static_configs"][0]["targets"].append(f"127.0.0.1:{free_tcp_port()}")
        configuration["global"]["evaluation_interval"] = configuration["scrape_configs"][0]["scrape_interval"] = "500ms"
        configuration["scrape_configs"][0]["scrape_timeout"] = "500ms"
        configuration["rule_files"] = []
        for shipped in sorted((SHIPPED / "rules").glob("*.yml")):
            (directory / shipped.name).write_text(yaml.safe_dump(hurried(shipped)))
            configuration["rule_files"].append(str(directory / shipped.name))
        made.overhead[made.srs.id] = 0.31
        for state, reason in ((ProbeState.SHED, "budget"), (ProbeState.FAILED, "EPERM")):
            made.state.apply(ProbeStatus(made.srs.id, f"Srs{reason}::put", "srs", "srs", state, reason, "ret-sites"))
        with prometheus(directory, configuration) as server:
            found = Trouble(made, server, {}, {})

            def called() -> bool:
                made.call(DECODE, 3_000)
                made.step()
                return bool(server.query(f'increase(jitterbuffer_calls_total{{function="{DECODE}"}}[5m]) > 0'))

            until(called, "calls of what falls silent", every=0.2)
            yield found


def test_every_alert_fires_and_says_whom_it_accuses(trouble: Trouble) -> None:
    """Each alert fires for the function, target or reason that is in trouble, and its text has a value for every label that it names."""
    shipped = yaml.safe_load((SHIPPED / "rules" / "alerts.yml").read_text())["groups"]
    assert {rule["alert"] for group in shipped for rule in group["rules"]} == {*ACCUSED, *OF_CULPRIT.values()}

    def have_fired() -> bool:
        trouble.go_on()
        return all(map(trouble.has_fired, ACCUSED))

    try:
        until(have_fired, "every alert fires", timeout=60, every=0.2)
    except AssertionError as error:
        raise AssertionError([name for name in ACCUSED if not trouble.has_fired(name)], trouble.accused) from error
    for name, said in trouble.annotations.items():
        for text in (text for one in said for text in one.values()):
            assert not re.search(r"<no value>|\(\)|  |pid  on|pid on|\bon \)|^ | $", text), (name, text)
    for name, labels in trouble.accused.items():
        if name in (
            "JitterBufferSlow",
            "JitterBufferCallsMissed",
            "JitterBufferSlowCallsLost",
            "JitterBufferProbesFailed",
        ):
            assert all(ACCUSED[name].items() <= each.items() for each in labels), name


@pytest.mark.parametrize("block", QUERIES, ids=str)
def test_a_runbooks_query_finds_the_trouble(trouble: Trouble, block: Any) -> None:
    """Each query of docs/runbooks.md returns something where its alert fires."""

    def found() -> bool:
        trouble.go_on()
        return bool(trouble.server.query(block.text))

    until(found, block.text, every=0.2)
