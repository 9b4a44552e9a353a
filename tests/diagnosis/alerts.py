# SPDX-License-Identifier: Apache-2.0
"""The shipped alerts in a real Prometheus that scrapes the agent, without their patience."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
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
    for job_of_agent in configuration["scrape_configs"]:
        job_of_agent["scrape_interval"] = job_of_agent["scrape_timeout"] = "3s"
    configuration["rule_files"] = [str(SHIPPED / "rules" / "recording.yml"), str(file)]
    with prometheus(directory, configuration) as server:
        yield server


def firing(server: Prometheus) -> dict[int, set[tuple[str, str]]]:
    """The culprits' alerts that fire, by process: the alert and its stream, empty where it is about the whole process."""
    found: dict[int, set[tuple[str, str]]] = {}
    for each in get_json(f"{server.url}/api/v1/alerts")["data"]["alerts"]:
        labels = each["labels"]
        if each["state"] == "firing" and labels["alertname"] in OF_CULPRIT.values():
            found.setdefault(int(labels["pid"]), set()).add((labels["alertname"], labels.get("stream", "")))
    return found


def fired(server: Prometheus, expected: Mapping[int, AbstractSet[tuple[str, str]]]) -> dict[int, set[tuple[str, str]]]:
    """What has fired at any time, by process: once all that is expected has, or has not for half a minute. On a busy machine a scrape
    may fail, which ends every alert for a while."""
    found: dict[int, set[tuple[str, str]]] = {}

    def all_did() -> bool:
        found.clear()
        for labels, _ in server.query('max_over_time(ALERTS{alertstate="firing"}[10m])'):
            if labels["alertname"] in OF_CULPRIT.values():
                found.setdefault(int(labels["pid"]), set()).add((labels["alertname"], labels.get("stream", "")))
        return all(found.get(pid, set()) >= alerts for pid, alerts in expected.items())

    with contextlib.suppress(AssertionError):
        until(all_did, "the alerts fire", every=0.3)
    return found
