# SPDX-License-Identifier: Apache-2.0
"""The shipped alerts in a real Prometheus that scrapes the agent, without their patience."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.agent_process import ROOT, until
from tests.e2e.collector import Prometheus, get_json, prometheus, scrape_configuration

SHIPPED = ROOT / "deploy" / "prometheus"
OF_CULPRIT = {
    "network": "JitterBufferNetworkAtFault",
    "host": "JitterBufferHostAtFault",
    "application": "JitterBufferServerAtFault",
}


@contextlib.contextmanager
def alerting(directory: Path, agent_port: int) -> Iterator[Prometheus]:
    """Prometheus with the shipped rules and alerts, which fire after a second instead of minutes."""
    rules: dict[str, Any] = yaml.safe_load((SHIPPED / "rules" / "alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["for"] = "1s"
    file = directory / "alerts.yml"
    file.write_text(yaml.safe_dump(rules))
    job = {"ffmpeg-jitterbuffer": f"127.0.0.1:{agent_port}"}
    configuration = scrape_configuration(job, SHIPPED / "prometheus.yml")
    configuration["rule_files"] = [str(SHIPPED / "rules" / "recording.yml"), str(file)]
    with prometheus(directory, configuration) as server:
        yield server


def firing(server: Prometheus) -> dict[int, dict[str, dict[str, str]]]:
    """The culprits' alerts that fire: labels by process and alert."""
    found: dict[int, dict[str, dict[str, str]]] = {}
    for each in get_json(f"{server.url}/api/v1/alerts")["data"]["alerts"]:
        labels = each["labels"]
        if each["state"] == "firing" and labels["alertname"] in OF_CULPRIT.values():
            found.setdefault(int(labels["pid"]), {})[labels["alertname"]] = labels
    return found


def fired(server: Prometheus, expected: Mapping[int, Collection[str]]) -> dict[int, dict[str, dict[str, str]]]:
    """What fires once all that is expected (alerts by process) does, or does not for half a minute."""
    with contextlib.suppress(AssertionError):
        until(
            lambda: all(set(firing(server).get(pid, ())) >= set(alerts) for pid, alerts in expected.items()),
            "the alerts fire",
            every=0.3,
        )
    return firing(server)
