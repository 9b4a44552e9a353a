# SPDX-License-Identifier: Apache-2.0
"""OTEL_CONFIG_FILE: what is read of OpenTelemetry's declarative configuration, and what is named as not read."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

import pytest

from otel_jb.cli.main import _parser
from otel_jb.cli.run import configuration
from otel_jb.config.environment import OtelSettings, read
from otel_jb.config.model import Config, OtlpProtocol, TargetSelector
from otel_jb.host import procfs
from otel_jb.model.errors import ConfigError
from otel_jb.planner.targets import Discovery
from otel_jb.sandbox.client import Inspector

pytestmark = pytest.mark.unit

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"


def settings(directory: Path, text: str, **environ: str) -> OtelSettings:
    """What the agent makes of this file."""
    file = directory / "otel.yaml"
    file.write_text(text)
    return read({"OTEL_CONFIG_FILE": str(file), **environ})


def test_the_documented_file_is_read_whole(tmp_path: Path) -> None:
    """Of the example in docs/configuration.md every line has its effect, and none is warned about."""
    example = re.search(r"```yaml\n(file_format.*?)```", DOCS.read_text(), re.DOTALL)
    assert example is not None
    found = settings(tmp_path, example[1], TOKEN="a b,c%", OTEL_JB_LOG_LEVEL="error")
    assert found.warnings == ()
    assert found.log_level == "info"
    assert found.agent_resource() == {"service.name": "jb-agent", "deployment.environment.name": "lab"}
    assert (found.traces.endpoint, found.traces.protocol) == ("http://collector:4318/v1/traces", OtlpProtocol.HTTP)
    assert dict(found.traces.headers) == {"authorization": "Bearer a b,c%"}
    assert (found.sampler, found.sampler_ratio) == ("parentbased_traceidratio", 0.25)
    assert found.span_delay_seconds == 1
    assert (found.metrics.endpoint, found.metrics.protocol) == ("http://collector:4317", OtlpProtocol.GRPC)
    assert found.metrics.compression == "gzip"
    assert found.metric_interval_seconds == 10
    assert (found.prometheus_host, found.prometheus_port) == ("127.0.0.1", 9310)
    assert (found.serves_prometheus, found.sends_metrics, found.sends_traces) == (True, True, True)


@pytest.mark.parametrize(
    "exporter",
    [
        "otlp_grpc: {endpoint: 'https://c:1', tls: {ca_file: ca, key_file: k, cert_file: c}, headers_list: 'a=b%20c'}",
        (
            "otlp_grpc: {endpoint: 'https://c:1', certificate_file: ca, client_key_file: k, client_certificate_file: c, "
            "headers: [{name: a, value: b c}]}"
        ),
        (
            "otlp: {protocol: grpc, endpoint: 'https://c:1', certificate: ca, client_key: k, client_certificate: c, "
            "headers: {a: b c}}"
        ),
    ],
    ids=["1.0", "1.0-rc.1", "0.3"],
)
def test_every_version_of_an_exporter_means_the_same(tmp_path: Path, exporter: str) -> None:
    """Certificates and headers are found under the names that each version of the schema gave them."""
    text = f"file_format: '0.3'\ntracer_provider:\n  processors:\n  - simple:\n      exporter:\n        {exporter}\n"
    found = settings(tmp_path, text)
    assert found.warnings == ()
    traces = found.traces
    assert (traces.certificate, traces.client_key, traces.client_certificate) == ("ca", "k", "c")
    assert (traces.endpoint, traces.protocol, traces.headers) == ("https://c:1", OtlpProtocol.GRPC, (("a", "b c"),))


def test_what_is_not_used_is_named_with_its_line(tmp_path: Path) -> None:
    """Each part that has no effect is one warning with file and line; variables that the file replaces are named too."""
    text = """\
file_format: "1.0"
propagator: {composite: [b3]}
resource: {detectors: {}, attributes: [{name: a, value: ["${A}"]}]}
tracer_provider:
  limits: {}
  sampler: {jaeger_remote: {}}
  processors:
  - batch: {export_timeout: 1, exporter: {zipkin: {}}}
meter_provider:
  views: []
  readers:
  - periodic: {exporter: {otlp_http: {encoding: json}}}
  - periodic: {exporter: {otlp_http: }}
logger_provider: {}
"""
    found = settings(tmp_path, text, OTEL_SERVICE_NAME="x", OTEL_LOG_LEVEL="")
    named = [
        warning.partition("otel.yaml:")[2].removesuffix(" is not used by this agent") for warning in found.warnings[:-1]
    ]
    assert named == [
        "2: propagator",
        "3: resource.detectors",
        "3: a: anything but one value",
        "5: tracer_provider.limits",
        "6: sampler jaeger_remote",
        "8: batch.export_timeout",
        "8: exporter zipkin",
        "10: meter_provider.views",
        "12: exporter's encoding",
        "13: exporter otlp_http (another one is used)",
        "14: logger_provider",
    ]
    assert "these variables are ignored: OTEL_LOG_LEVEL, OTEL_SERVICE_NAME" in found.warnings[-1]
    assert (found.serves_prometheus, found.sends_metrics, found.sends_traces) == (False, True, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file_format: '2.0'", "otel.yaml:1: file_format '2.0' is not known"),
        ("a: [}", "otel.yaml:1: not YAML"),
        ("resource: 5", "otel.yaml:1: expected keys and values"),
        ("log_level: [1]", "otel.yaml:1: expected one value"),
        ("log_level: ${A-B}", "otel.yaml:1: ${A-B} is no reference to a variable"),
        ("meter_provider: {readers: {}}", "otel.yaml:1: expected a list"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    """A broken or newer file stops the agent, which never runs by half a configuration."""
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, text)
    assert message in caught.value.message


def test_a_file_that_is_not_there_is_an_error() -> None:
    """The variable of the specification's first drafts counts too."""
    with pytest.raises(ConfigError, match="/nonexistent: cannot be read"):
        read({"OTEL_EXPERIMENTAL_CONFIG_FILE": "/nonexistent"})


def test_targets_inherit_the_agents_attributes_by_choice(tmp_path: Path) -> None:
    """With `--inherit-attributes on` targets get what does not identify the agent; a target's own attributes win."""

    def config(*options: str, file: str = "targets: []") -> Config:
        (tmp_path / "c.yaml").write_text(file)
        words = ["run", "--config", str(tmp_path / "c.yaml"), *options]
        args: argparse.Namespace = _parser(words).parse_args(words)
        given = "service.name=agent,service.namespace=live,host.name=h,process.pid=1,tier=gold"
        return configuration(args, {"OTEL_RESOURCE_ATTRIBUTES": given})

    assert config().attributes == {}
    on = "--inherit-attributes", "on"
    assert config(*on).attributes == {"service.namespace": "live", "tier": "gold"}
    own = config(*on, file="attributes: {tier: silver, rack: '7'}")
    assert own.attributes == {"service.namespace": "live", "tier": "silver", "rack": "7"}
    with Inspector() as inspector:
        selector = TargetSelector(pid=os.getpid(), attributes={"rack": "8"})
        found = Discovery(own, inspector)._target(procfs.process(os.getpid()), None, selector)
    assert dict(found.attributes).items() >= {"host.name": "h", "tier": "silver", "rack": "8"}.items()
    assert found.service_name != "agent"
