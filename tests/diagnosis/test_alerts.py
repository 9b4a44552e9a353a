# SPDX-License-Identifier: Apache-2.0
"""The shipped alerts in a real Prometheus that scrapes the agent: the right one fires, and no other culprit's."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_jb.demo.ffmpeg import Receiver
from tests.e2e.agent_process import ROOT, agent, until
from tests.e2e.collector import get_json, prometheus, scrape_configuration
from tests.e2e.injector import Plan, play

pytestmark = pytest.mark.e2e

SHIPPED = ROOT / "deploy" / "prometheus"


def impatient(directory: Path) -> str:
    """The shipped alerts with `for: 1s`."""
    rules: dict[str, Any] = yaml.safe_load((SHIPPED / "rules" / "alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["for"] = "1s"
    file = directory / "alerts.yml"
    file.write_text(yaml.safe_dump(rules))
    return str(file)


def test_loss_on_the_way_fires_the_networks_alert(tmp_path: Path) -> None:
    """FFmpeg loses 5 % of its packets on the way: the network's alert fires with the stream and the runbook, the server's does not."""
    receiver = Receiver(tmp_path)
    done = threading.Event()

    def send() -> None:
        first = 0
        while not done.is_set():
            first += play(receiver.rtp_port, [Plan(loss=0.05, spacing_s=0.005)], packets=200, first=first)[0].sent[-1][
                0
            ]
            first += 1

    sender = threading.Thread(target=send, daemon=True)
    try:
        receiver.wait_until_listening()
        with agent(tmp_path, "--pid", str(receiver.pid)) as measuring:
            job = {"ffmpeg-jitterbuffer": f"127.0.0.1:{measuring.port}"}
            configuration = scrape_configuration(job, SHIPPED / "prometheus.yml")
            configuration["rule_files"] = [str(SHIPPED / "rules" / "recording.yml"), impatient(tmp_path)]
            sender.start()
            with prometheus(tmp_path, configuration) as server:

                def firing() -> dict[str, dict[str, Any]]:
                    alerts = get_json(f"{server.url}/api/v1/alerts")["data"]["alerts"]
                    return {each["labels"]["alertname"]: each for each in alerts if each["state"] == "firing"}

                until(lambda: "JitterBufferNetworkAtFault" in firing(), "the alert fires", timeout=60)
                found = firing()
                alert = found["JitterBufferNetworkAtFault"]
                assert alert["labels"]["stream"] == str(tmp_path / "receiver.sdp")
                assert alert["labels"]["pid"] == str(receiver.pid)
                assert alert["annotations"]["runbook_url"].endswith("#jitterbuffernetworkatfault")
                # This machine may be busy, which is the host's fault; the server does nothing wrong.
                assert "JitterBufferServerAtFault" not in found
    finally:
        done.set()
        if sender.ident is not None:
            sender.join()
        receiver.stop()
