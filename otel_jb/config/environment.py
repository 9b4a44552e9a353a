# SPDX-License-Identifier: Apache-2.0
"""The `OTEL_*` environment variables, read by the agent itself.

The SDK's classes read only some of them, and not always as specified: they take OTEL_EXPORTER_OTLP_TIMEOUT for seconds and refuse
OTEL_EXPORTER_OTLP_COMPRESSION=none. `read` is pure: it reads all of them once, and the exporters get explicit values.

As the specification requires, an unusable value is ignored with a warning, and an empty one counts as unset.
OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES describe the agent; targets are named after their own processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from otel_jb.config import declarative
from otel_jb.config.model import Compression, Otlp, OtlpProtocol
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ConfigError

T = TypeVar("T")

METRICS_EXPORTERS = ("otlp", "prometheus", "console", "none")
TRACES_EXPORTERS = ("otlp", "console", "none")
SAMPLERS = (
    *("always_on", "always_off", "traceidratio"),
    *("parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"),
)
TEMPORALITIES = ("cumulative", "delta", "lowmemory")
COMPRESSIONS = tuple(each.value for each in Compression)
HISTOGRAMS = ("explicit_bucket_histogram", "base2_exponential_bucket_histogram")
_OF_A_SERVICE = frozenset({"service.name", "service.instance.id", "service.version", "host.name"})
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class SignalSettings:
    """Where and how to send one signal by OTLP. For HTTP, `endpoint` includes the signal's path."""

    endpoint: str
    protocol: OtlpProtocol
    headers: tuple[tuple[str, str], ...] = ()
    timeout_seconds: float = 10.0
    compression: str = "none"
    certificate: str | None = None
    client_key: str | None = None
    client_certificate: str | None = None


@dataclass(frozen=True, slots=True)
class OtelSettings:
    """What the environment, the file and the command line together say about OpenTelemetry."""

    metrics: SignalSettings
    traces: SignalSettings
    disabled: bool = False  #: OTEL_SDK_DISABLED: no metrics, no spans, neither by OTLP nor on /metrics
    metrics_exporters: tuple[str, ...] = ("prometheus",)
    traces_exporters: tuple[str, ...] = ()
    metric_interval_seconds: float | None = None  #: None: the configuration's `interval`
    metric_timeout_seconds: float = 30.0
    temporality: str = "cumulative"
    exponential_histogram: bool | None = None  #: None: as configured
    prometheus_host: str | None = None  #: None: as configured (`listen`)
    prometheus_port: int | None = None
    log_level: str | None = None
    service_name: str | None = None
    resource_attributes: tuple[tuple[str, str], ...] = ()
    sampler: str = "parentbased_always_on"
    sampler_ratio: float = 1.0
    span_queue: int = 2048
    span_batch: int = 1024
    span_delay_seconds: float = 5.0
    warnings: tuple[str, ...] = ()  #: warnings about ignored values

    @property
    def serves_prometheus(self) -> bool:
        """Whether /metrics is served."""
        return not self.disabled and "prometheus" in self.metrics_exporters

    @property
    def sends_metrics(self) -> bool:
        """Whether metrics are sent by OTLP."""
        return not self.disabled and "otlp" in self.metrics_exporters

    @property
    def sends_traces(self) -> bool:
        """Whether spans are exported at all; if not, slow calls need no events."""
        return not self.disabled and bool(self.traces_exporters)

    def target_attributes(self) -> dict[str, str]:
        """The resource attributes that can describe the targets too: those that do not say which process is meant."""
        return {
            key: value
            for key, value in self.resource_attributes
            if key not in _OF_A_SERVICE and not key.startswith(("process.", "telemetry."))
        }

    def agent_resource(self) -> dict[str, str]:
        """Resource attributes of the agent, except those that only the running process knows."""
        attributes = {"service.name": "otel_jb", **dict(self.resource_attributes)}
        if self.service_name:
            attributes["service.name"] = self.service_name
        return attributes


class _Reader:
    """The environment, and the warnings about values that were ignored."""

    def __init__(self, environ: Mapping[str, str], warnings: Iterable[str] = ()) -> None:
        self._environ = environ
        self.warnings = list(warnings)

    def text(self, *names: str) -> tuple[str, str] | None:
        """Name and value of the first variable that is set."""
        for name in names:
            value = self._environ.get(name, "").strip()
            if value:
                return name, value
        return None

    def plain(self, *names: str) -> str | None:
        found = self.text(*names)
        return None if found is None else found[1]

    def ignore(self, name: str, value: str, wanted: str) -> None:
        self.warnings.append(f"{name}={value[:60]} is ignored: expected {wanted}")

    def number(self, default: float, low: float, *names: str) -> float:
        found = self.text(*names)
        if found is None:
            return default
        try:
            number = float(found[1])
        except ValueError:
            number = float("nan")
        if not low <= number < 1e9:
            self.ignore(*found, f"a number of at least {low:g}")
            return default
        return number

    def choice(self, default: T, choices: Mapping[str, T], *names: str) -> T:
        found = self.text(*names)
        if found is None:
            return default
        chosen = choices.get(found[1].lower())
        if chosen is None:
            self.ignore(*found, f"one of {', '.join(choices)}")
            return default
        return chosen

    def pairs(self, *names: str) -> tuple[tuple[str, str], ...]:
        """`key=value,...` with percent-encoding, as in W3C Baggage."""
        found = self.text(*names)
        if found is None:
            return ()
        pairs = []
        for item in found[1].split(","):
            key, separator, value = item.partition("=")
            key = unquote(key.strip())
            if separator and key:
                pairs.append((key, unquote(value.strip())))
            elif item.strip():
                self.ignore(found[0], item.strip(), "key=value")
        return tuple(pairs)

    def exporters(self, name: str, known: tuple[str, ...]) -> tuple[str, ...] | None:
        found = self.text(name)
        if found is None:
            return None
        chosen = []
        for item in found[1].split(","):
            word = item.strip().lower()
            if word in known:
                chosen.append(word)
            else:
                self.ignore(name, item.strip(), f"a list of {', '.join(known)}")
        if not chosen:  # an unusable value counts as unset
            return None
        return tuple(word for word in dict.fromkeys(chosen) if word != "none")


def read(environ: Mapping[str, str], file: Otlp | None = None, command_line: Otlp | None = None) -> OtelSettings:
    """All settings: `file` < `environ` < `command_line`, key by key.

    /metrics is always served. OTLP is added if an endpoint is set anywhere, unless OTEL_METRICS_EXPORTER or
    OTEL_TRACES_EXPORTER say otherwise.

    With OTEL_CONFIG_FILE, that file takes the place of all the other standard variables.

    Raises:
        ConfigError: the file that OTEL_CONFIG_FILE names cannot be used, or an endpoint is not a URL.
    """
    environ, warnings = declarative.replaced(environ)
    reader = _Reader(environ, warnings)
    command_line = command_line or Otlp()
    file = file or Otlp()
    named = command_line.endpoint or file.endpoint
    general = named is not None or reader.text("OTEL_EXPORTER_OTLP_ENDPOINT") is not None
    sends = {
        name: general or reader.text(f"OTEL_EXPORTER_OTLP_{name}_ENDPOINT") is not None
        for name in ("METRICS", "TRACES")
    }
    metrics_exporters = reader.exporters("OTEL_METRICS_EXPORTER", METRICS_EXPORTERS)
    if metrics_exporters is None:
        metrics_exporters = ("prometheus", "otlp") if sends["METRICS"] else ("prometheus",)
    traces_exporters = reader.exporters("OTEL_TRACES_EXPORTER", TRACES_EXPORTERS)
    if traces_exporters is None:
        traces_exporters = ("otlp",) if sends["TRACES"] else ()
    interval = reader.number(0.0, 1, "OTEL_METRIC_EXPORT_INTERVAL")
    port = reader.number(-1, 0, "OTEL_EXPORTER_PROMETHEUS_PORT")
    sampler = reader.choice("parentbased_always_on", {name: name for name in SAMPLERS}, "OTEL_TRACES_SAMPLER")
    ratio = reader.number(1.0, 0.0, "OTEL_TRACES_SAMPLER_ARG") if "ratio" in sampler else 1.0
    queue = int(reader.number(2048, 1, "OTEL_BSP_MAX_QUEUE_SIZE"))
    return OtelSettings(
        metrics=_signal(reader, "METRICS", file, command_line),
        traces=_signal(reader, "TRACES", file, command_line),
        disabled=_boolean(reader, "OTEL_SDK_DISABLED"),
        metrics_exporters=metrics_exporters,
        traces_exporters=traces_exporters,
        metric_interval_seconds=interval / 1000 or None,
        metric_timeout_seconds=reader.number(30_000, 1, "OTEL_METRIC_EXPORT_TIMEOUT") / 1000,
        temporality=reader.choice(
            "cumulative", {name: name for name in TEMPORALITIES}, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
        ),
        exponential_histogram=reader.choice(
            None,
            {name: name == HISTOGRAMS[1] for name in HISTOGRAMS},
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        ),
        prometheus_host=reader.plain("OTEL_EXPORTER_PROMETHEUS_HOST"),
        prometheus_port=int(port) if 0 <= port <= 65535 else None,
        log_level=reader.choice(None, {**{name: name for name in LOG_LEVELS}, "warn": "warning"}, "OTEL_LOG_LEVEL"),
        service_name=reader.plain("OTEL_SERVICE_NAME"),
        resource_attributes=reader.pairs("OTEL_RESOURCE_ATTRIBUTES"),
        sampler=sampler,
        sampler_ratio=min(ratio, 1.0),
        span_queue=queue,
        span_batch=min(queue, int(reader.number(1024, 1, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"))),
        span_delay_seconds=reader.number(5000, 0, "OTEL_BSP_SCHEDULE_DELAY") / 1000,
        warnings=tuple(dict.fromkeys(reader.warnings)),  # both signals may read the same variable
    )


def _boolean(reader: _Reader, name: str) -> bool:
    # By the specification, only "true", in any case, is true.
    return reader.choice(False, {"true": True, "false": False}, name)


def _signal(reader: _Reader, signal: str, file: Otlp, command_line: Otlp) -> SignalSettings:
    def names(key: str) -> tuple[str, str]:
        return f"OTEL_EXPORTER_OTLP_{signal}_{key}", f"OTEL_EXPORTER_OTLP_{key}"

    # Only the signal's own variable holds a complete URL; all the others are bases.
    own = None if command_line.endpoint else reader.text(names("ENDPOINT")[0])
    base = reader.text(names("ENDPOINT")[1])
    text = command_line.endpoint or (own and own[1]) or (base and base[1]) or file.endpoint
    source = (own or base or ("the endpoint", ""))[0]
    protocols = {protocol.value: protocol for protocol in OtlpProtocol}
    protocol = command_line.protocol or reader.choice(None, protocols, *names("PROTOCOL")) or file.protocol
    try:
        otlp = Otlp(text, protocol)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None
    protocol = otlp.effective_protocol
    if text is None:
        text = "http://localhost:4318" if protocol is OtlpProtocol.HTTP else "http://localhost:4317"
    if "://" not in text:
        insecure = reader.choice(not file.tls, {"true": True, "false": False}, *names("INSECURE"))
        text = f"{'http' if insecure else 'https'}://{text}"
    if protocol is OtlpProtocol.GRPC and text.startswith("http://") and urlsplit(text).port is None:
        reader.warnings.append(f"{text[:60]} has no port, and gRPC takes 443 then; the Collector's is {text[:60]}:4317")
    if protocol is OtlpProtocol.HTTP and not own:
        text = f"{text.rstrip('/').removesuffix(f'/v1/{signal.lower()}')}/v1/{signal.lower()}"
    headers = {**file.headers, **dict(reader.pairs(*names("HEADERS"))), **command_line.headers}
    timeout = reader.number(10_000, 1, *names("TIMEOUT"))
    found = reader.text(*names("TIMEOUT"))
    if found is not None and timeout < 100:
        reader.warnings.append(f"{found[0]}={found[1]} means {timeout:g} milliseconds, as OpenTelemetry specifies it")
    compression = reader.choice(
        (file.compression or Compression.NONE).value, {name: name for name in COMPRESSIONS}, *names("COMPRESSION")
    )
    if compression == "deflate" and protocol is OtlpProtocol.GRPC:
        reader.warnings.append("compression by deflate is ignored: gRPC has gzip only")
        compression = "none"
    # A certificate and its key come from one place.
    client = (reader.plain(*names("CLIENT_CERTIFICATE")), reader.plain(*names("CLIENT_KEY")))
    certificate, key = client if any(client) else (file.tls.cert_file, file.tls.key_file)
    return SignalSettings(
        endpoint=text,
        protocol=protocol,
        headers=tuple((key.lower(), value) for key, value in headers.items()),
        timeout_seconds=timeout / 1000,
        compression=compression,
        certificate=reader.plain(*names("CERTIFICATE")) or file.tls.ca_file,
        client_key=key,
        client_certificate=certificate,
    )
