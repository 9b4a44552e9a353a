# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import pytest

from otel_jb.config.environment import read
from otel_jb.config.model import Compression, Config, Otlp, OtlpProtocol, OtlpTls
from otel_jb.config.yamlfile import parse
from otel_jb.model.errors import ConfigError

pytestmark = pytest.mark.unit
BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"


def test_without_variables_only_the_endpoint_is_on() -> None:
    """Nothing set: /metrics is served, nothing is sent, the defaults are OpenTelemetry's."""
    settings = read({})
    assert (settings.serves_prometheus, settings.sends_metrics, settings.sends_traces) == (True, False, False)
    assert (settings.metrics.timeout_seconds, settings.span_queue, settings.temporality) == (10.0, 2048, "cumulative")
    assert settings.warnings == ()


@pytest.mark.parametrize(
    ("environ", "protocol", "metrics", "traces"),
    [
        ({BASE: "http://c:4317"}, OtlpProtocol.GRPC, "http://c:4317", "http://c:4317"),
        ({BASE: "http://c:4318"}, OtlpProtocol.HTTP, "http://c:4318/v1/metrics", "http://c:4318/v1/traces"),
        ({BASE: "https://c/otlp/"}, OtlpProtocol.HTTP, "https://c/otlp/v1/metrics", "https://c/otlp/v1/traces"),
        ({BASE: "c:4317"}, OtlpProtocol.GRPC, "http://c:4317", "http://c:4317"),
        (
            {BASE: "c:4317", "OTEL_EXPORTER_OTLP_INSECURE": "false"},
            OtlpProtocol.GRPC,
            "https://c:4317",
            "https://c:4317",
        ),
        (
            {BASE: "http://c:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            OtlpProtocol.HTTP,
            "http://c:1/v1/metrics",
            "http://c:1/v1/traces",
        ),
        (
            {BASE: "http://c:4318", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://d:4318/own/path"},
            OtlpProtocol.HTTP,
            "http://d:4318/own/path",
            "http://c:4318/v1/traces",
        ),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, OtlpProtocol.GRPC, "http://localhost:4317", "http://localhost:4317"),
    ],
)
def test_endpoints(environ: dict[str, str], protocol: OtlpProtocol, metrics: str, traces: str) -> None:
    """Base URLs get the signal's path over HTTP, a signal's own URL is taken as it is, port and path imply the protocol."""
    settings = read(environ)
    assert settings.sends_metrics
    assert settings.metrics.protocol is protocol
    assert (settings.metrics.endpoint, settings.traces.endpoint) == (metrics, traces)


def test_file_then_environment_then_command_line() -> None:
    """Each layer replaces what the one below it says, key by key."""
    file = Otlp("http://file:4317", headers={"a": "file", "b": "file"})
    assert read({}, file).metrics.endpoint == "http://file:4317"
    environ = {BASE: "http://env:4318", "OTEL_EXPORTER_OTLP_HEADERS": "b=env,c=%20env"}
    settings = read(environ, file)
    assert settings.metrics.endpoint == "http://env:4318/v1/metrics"
    assert dict(settings.metrics.headers) == {"a": "file", "b": "env", "c": " env"}
    own = {**environ, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://own:4318/x"}
    assert read(own, file, Otlp("http://cli:4317")).metrics.endpoint == "http://cli:4317"


def test_the_files_tls_and_compression_hold_until_the_environment_says_otherwise() -> None:
    """`otlp.tls` and `otlp.compression` reach both signals; a variable wins, and a certificate never gets the other place's key."""
    tls = OtlpTls("/ca", "/cert", "/key")
    file = Otlp("https://file:4317", compression=Compression.GZIP, tls=tls)
    for signal in (read({}, file).metrics, read({}, file).traces):
        assert (signal.compression, signal.certificate) == ("gzip", "/ca")
        assert (signal.client_certificate, signal.client_key) == ("/cert", "/key")
    environ = {"OTEL_EXPORTER_OTLP_COMPRESSION": "none", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/both.pem"}
    metrics = read(environ, file).metrics
    assert (metrics.compression, metrics.certificate) == ("none", "/ca")
    assert (metrics.client_certificate, metrics.client_key) == ("/both.pem", None)
    assert read({}, Otlp("file:4317", tls=tls)).metrics.endpoint == "https://file:4317"
    assert read({}, Otlp("file:4317")).metrics.endpoint == "http://file:4317"


def test_tls_that_would_not_be_used_is_refused() -> None:
    """Files for TLS beside an http:// address, and a certificate without its key, are errors that name the key."""
    for wrong, said in (
        ("{endpoint: 'http://c:4317', tls: {ca_file: /ca}}", "http://c:4317 does not use TLS; write https://"),
        ("{endpoint: 'https://c:4317', tls: {cert_file: /c}}", "cert_file and key_file go together"),
    ):
        with pytest.raises(ConfigError, match=re.escape(said)):
            parse(f"otlp: {wrong}", "c.yaml", Config)


@pytest.mark.parametrize(
    ("value", "prometheus", "otlp"),
    [("none", False, False), ("otlp", False, True), ("otlp,prometheus", True, True), ("prometheus", True, False)],
)
def test_metrics_exporters(value: str, prometheus: bool, otlp: bool) -> None:
    """OTEL_METRICS_EXPORTER chooses, over what an endpoint implies."""
    settings = read({BASE: "http://c:4317", "OTEL_METRICS_EXPORTER": value})
    assert (settings.serves_prometheus, settings.sends_metrics) == (prometheus, otlp)


def test_disabled_overrules_everything() -> None:
    """OTEL_SDK_DISABLED=true turns off all exporters."""
    settings = read({BASE: "http://c:4317", "OTEL_SDK_DISABLED": "TRUE", "OTEL_METRICS_EXPORTER": "otlp,prometheus"})
    assert (settings.serves_prometheus, settings.sends_metrics, settings.sends_traces) == (False, False, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_METRICS_EXPORTER", "zipkin"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "soon"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "-5"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "nan"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon"),
        ("OTEL_SDK_DISABLED", "maybe"),
        ("OTEL_LOG_LEVEL", "loud"),
        ("OTEL_RESOURCE_ATTRIBUTES", "no-equals-sign"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sideways"),
    ],
)
def test_unusable_values_are_ignored_with_a_warning(name: str, value: str) -> None:
    """A value that cannot be used leaves the default, and a warning names the variable and the value."""
    settings = read({name: value})
    assert len(settings.warnings) == 1  # also of a variable that both signals read
    assert name in settings.warnings[0]
    assert value in settings.warnings[0]
    fields = ("sampler", "temporality", "disabled", "metrics", "metrics_exporters")
    assert [getattr(settings, field) for field in fields] == [getattr(read({}), field) for field in fields]


def test_empty_values_count_as_unset() -> None:
    """An empty variable changes nothing and is not worth a warning."""
    names = ("OTEL_METRICS_EXPORTER", "OTEL_TRACES_SAMPLER", BASE, "OTEL_SDK_DISABLED", "OTEL_METRIC_EXPORT_INTERVAL")
    assert read(dict.fromkeys(names, " ")) == read({})


def test_times_are_milliseconds() -> None:
    """Time-outs and intervals are milliseconds as specified; a tiny time-out is pointed out."""
    settings = read({"OTEL_EXPORTER_OTLP_TIMEOUT": "10", "OTEL_METRIC_EXPORT_INTERVAL": "15000"})
    assert settings.metrics.timeout_seconds == 0.01
    assert settings.metric_interval_seconds == 15
    assert "milliseconds" in settings.warnings[0]
    assert read({"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2500"}).traces.timeout_seconds == 2.5


def test_the_agent_is_named_by_the_environment() -> None:
    """OTEL_SERVICE_NAME wins over OTEL_RESOURCE_ATTRIBUTES, whose values are percent-decoded."""
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=x,deployment.environment.name=a%2Cb"}
    assert read(environ).agent_resource() == {"service.name": "x", "deployment.environment.name": "a,b"}
    assert read({**environ, "OTEL_SERVICE_NAME": "y"}).agent_resource()["service.name"] == "y"
    assert read({}).agent_resource() == {"service.name": "otel_jb"}


def test_an_endpoint_without_a_port_is_pointed_out() -> None:
    """gRPC would take port 443 for http://collector, where no Collector listens."""
    assert "http://collector:4317" in " ".join(read({BASE: "http://collector"}).warnings)
    for fine in ("http://collector:4317", "https://collector", "http://collector/v1/metrics"):
        assert read({BASE: fine}).warnings == ()


@pytest.mark.parametrize("value", ["ftp://c:1", "http://", "http://c:99999", "not a url"])
def test_an_endpoint_that_is_no_url_is_an_error(value: str) -> None:
    """A malformed endpoint is ConfigError naming its variable."""
    with pytest.raises(ConfigError, match=BASE):
        read({BASE: value})


def test_sampler_and_span_queue() -> None:
    """Sampler, its ratio and the queue's sizes are read; a batch is no larger than the queue."""
    settings = read(
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25", "OTEL_BSP_MAX_QUEUE_SIZE": "100"}
    )
    assert (settings.sampler, settings.sampler_ratio) == ("traceidratio", 0.25)
    assert (settings.span_queue, settings.span_batch) == (100, 100)
