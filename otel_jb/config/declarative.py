# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's declarative configuration (`OTEL_CONFIG_FILE`): what the agent uses of it, as the `OTEL_*` variables that say the same.

Exporters, resource and sampler are read, by the names of the schema's versions 0.3 to 1.0. Everything else in the file is named in a warning.
By the specification, such a file replaces the other `OTEL_*` variables; `${NAME}` in it still refers to the environment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from otel_jb.config import yamlfile
from otel_jb.config.yamlfile import MappingNode, Node, ScalarNode, SequenceNode
from otel_jb.model.errors import ConfigError

VARIABLES = ("OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE")
_REFERENCE = re.compile(r"\$\$|\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}\n]*))?\}|\$\{[^}\n]*\}")

#: Keys of an OTLP exporter, in all versions of the schema, and the last word of the variable.
_EXPORTER = {
    "endpoint": "ENDPOINT",
    "protocol": "PROTOCOL",
    "timeout": "TIMEOUT",
    "compression": "COMPRESSION",
    "insecure": "INSECURE",
    "certificate": "CERTIFICATE",
    "certificate_file": "CERTIFICATE",
    "ca_file": "CERTIFICATE",
    "client_key": "CLIENT_KEY",
    "client_key_file": "CLIENT_KEY",
    "key_file": "CLIENT_KEY",
    "client_certificate": "CLIENT_CERTIFICATE",
    "client_certificate_file": "CLIENT_CERTIFICATE",
    "cert_file": "CLIENT_CERTIFICATE",
}
_OTLP = {"otlp_http": "http/protobuf", "otlp_grpc": "grpc", "otlp": None}
_BATCH = {
    "schedule_delay": "OTEL_BSP_SCHEDULE_DELAY",
    "max_queue_size": "OTEL_BSP_MAX_QUEUE_SIZE",
    "max_export_batch_size": "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
}
_TEMPORALITIES = {"low_memory": "lowmemory"}


def replaced(environ: Mapping[str, str]) -> tuple[Mapping[str, str], list[str]]:
    """The environment with the file's settings in place of its `OTEL_*` variables, and warnings; unchanged if no file is named.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or has a newer format; with file and line.
    """
    name = next((name for name in VARIABLES if environ.get(name, "").strip()), None)
    if name is None:
        return environ, []
    path = Path(environ[name].strip())
    reader = _Reader(str(path), environ)
    found = reader.read(yamlfile.nodes(path))
    ours = {key: value for key, value in environ.items() if not _is_standard(key)}
    ignored = [key for key in environ if _is_standard(key) and key not in VARIABLES and key not in reader.used]
    if ignored:
        reader.warnings.append(f"{name} is set, so these variables are ignored: {', '.join(sorted(ignored))}")
    return {**ours, **found}, reader.warnings


def _is_standard(variable: str) -> bool:
    return variable.startswith("OTEL_") and not variable.startswith("OTEL_JB_")


class _Reader:
    """Walks the file once, collecting variables and warnings."""

    def __init__(self, source: str, environ: Mapping[str, str]) -> None:
        self.source = source
        self.warnings: list[str] = []
        self.used: set[str] = set()  #: variables that the file refers to
        self._environ = environ
        self._found: dict[str, str] = {}

    def read(self, root: Node) -> dict[str, str]:
        """The variables that say the same as the file."""
        for key, line, node in self._items(root):
            match key:
                case "file_format":
                    self._check_format(node, line)
                case "disabled":
                    self._set("OTEL_SDK_DISABLED", node)
                case "log_level":
                    self._set("OTEL_LOG_LEVEL", node)
                case "resource":
                    self._resource(node)
                case "tracer_provider":
                    self._tracer_provider(node)
                case "meter_provider":
                    self._meter_provider(node)
                case _:
                    self._unused(key, line)
        return self._found

    # -- what is in the file ------------------------------------------------------------------------------------

    def _check_format(self, node: Node, line: int) -> None:
        version = self._text(node) or ""
        if not re.match(r"[01](\.|$)", version):
            raise ConfigError(
                f"{self.source}:{line}: file_format {version[:20]!r} is not known",
                "The formats 0.3 to 1.0 of OpenTelemetry's declarative configuration are.",
            )

    def _resource(self, node: Node) -> None:
        pairs: dict[str, str] = {}
        for key, line, value in self._items(node):
            if key == "attributes_list":
                listed = [pair.partition("=") for pair in (self._text(value) or "").split(",")]
                pairs = {**{name.strip(): text.strip() for name, equals, text in listed if equals}, **pairs}
            elif key == "attributes":
                pairs.update((name, quote(text)) for name, text in self._pairs(value))
            elif key != "schema_url":
                self._unused(f"resource.{key}", line)
        self._found["OTEL_RESOURCE_ATTRIBUTES"] = ",".join(f"{name}={text}" for name, text in pairs.items())

    def _tracer_provider(self, node: Node) -> None:
        exporters: list[str] = []
        for key, line, value in self._items(node):
            if key == "processors":
                for kind, at, processor in self._entries(value):
                    if kind not in {"batch", "simple"}:
                        self._unused(f"processors.{kind}", at)
                        continue
                    for name, where, item in self._items(processor):
                        if name == "exporter":
                            self._exporter(item, "TRACES", exporters)
                        elif name in _BATCH:
                            self._set(_BATCH[name], item)
                        else:
                            self._unused(f"{kind}.{name}", where)
            elif key == "sampler":
                self._sampler(value, line)
            else:
                self._unused(f"tracer_provider.{key}", line)
        self._found["OTEL_TRACES_EXPORTER"] = ",".join(exporters) or "none"

    def _sampler(self, node: Node, line: int, parent: str = "") -> None:
        for kind, at, value in self._items(node):
            if kind in {"always_on", "always_off"}:
                self._found["OTEL_TRACES_SAMPLER"] = parent + kind
            elif kind.startswith("trace_id_ratio_based"):
                self._found["OTEL_TRACES_SAMPLER"] = f"{parent}traceidratio"
                for name, where, ratio in self._items(value):
                    if name == "ratio":
                        self._set("OTEL_TRACES_SAMPLER_ARG", ratio)
                    else:
                        self._unused(f"{kind}.{name}", where)
            elif kind == "parent_based" and not parent:
                self._found["OTEL_TRACES_SAMPLER"] = "parentbased_always_on"
                for name, where, root in self._items(value):
                    if name == "root":
                        self._sampler(root, where, "parentbased_")
                    else:
                        self._unused(f"parent_based.{name}", where)  # a slow call's span has no parent
            else:
                self._unused(f"sampler {kind}", at or line)

    def _meter_provider(self, node: Node) -> None:
        exporters: list[str] = []
        for key, line, value in self._items(node):
            if key != "readers":
                self._unused(f"meter_provider.{key}", line)
                continue
            for kind, at, reader in self._entries(value):
                for name, where, item in self._items(reader):
                    if name == "exporter" and kind == "pull":
                        self._pull(item, exporters)
                    elif name == "exporter" and kind == "periodic":
                        self._exporter(item, "METRICS", exporters)
                    elif name in {"interval", "timeout"} and kind == "periodic":
                        self._set(f"OTEL_METRIC_EXPORT_{name.upper()}", item)
                    else:
                        self._unused(f"{kind}.{name}", where)
                if kind not in {"pull", "periodic"}:
                    self._unused(f"readers.{kind}", at)
        self._found["OTEL_METRICS_EXPORTER"] = ",".join(exporters) or "none"

    def _pull(self, node: Node, exporters: list[str]) -> None:
        for kind, line, value in self._items(node):
            if not kind.startswith("prometheus"):
                self._unused(f"pull.exporter.{kind}", line)
                continue
            exporters.append("prometheus")
            for name, where, item in self._items(value):
                if name in {"host", "port"}:
                    self._set(f"OTEL_EXPORTER_PROMETHEUS_{name.upper()}", item)
                else:
                    self._unused(f"{kind}.{name}", where)

    def _exporter(self, node: Node, signal: str, exporters: list[str]) -> None:
        for name, line, value in self._items(node):
            kind = name.partition("/")[0]
            if kind == "console":
                exporters.append("console")
            elif kind not in _OTLP or "otlp" in exporters:
                self._unused(f"exporter {name}{' (another one is used)' if kind in _OTLP else ''}", line)
            else:
                exporters.append("otlp")
                protocol = _OTLP[kind]
                if protocol is not None:
                    self._found[f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"] = protocol
                self._otlp(value, signal)

    def _otlp(self, node: Node, signal: str) -> None:
        prefix = f"OTEL_EXPORTER_OTLP_{signal}_"
        headers: dict[str, str] = {}
        for key, line, value in self._items(node):
            if key in {"tls", "headers_list", "headers"}:
                if key == "tls":
                    self._otlp_tls(value, prefix)
                elif key == "headers":
                    headers.update((name, quote(text)) for name, text in self._pairs(value))
                else:
                    listed = [pair.partition("=") for pair in (self._text(value) or "").split(",")]
                    headers = {**{name.strip(): text.strip() for name, equals, text in listed if equals}, **headers}
            elif key in _EXPORTER:
                self._set(prefix + _EXPORTER[key], value)
            elif key == "temporality_preference" and signal == "METRICS":
                text = self._text(value) or ""
                self._found[f"{prefix}TEMPORALITY_PREFERENCE"] = _TEMPORALITIES.get(text, text)
            elif key == "default_histogram_aggregation" and signal == "METRICS":
                self._set(f"{prefix}DEFAULT_HISTOGRAM_AGGREGATION", value)
            elif key != "encoding" or self._text(value) != "protobuf":
                self._unused(f"exporter's {key}", line)
        if headers:
            self._found[f"{prefix}HEADERS"] = ",".join(f"{name}={text}" for name, text in headers.items())

    def _otlp_tls(self, node: Node, prefix: str) -> None:
        for key, line, value in self._items(node):
            if key in _EXPORTER:
                self._set(prefix + _EXPORTER[key], value)
            else:
                self._unused(f"tls.{key}", line)

    # -- nodes ----------------------------------------------------------------------------------------------------

    def _unused(self, what: str, line: int) -> None:
        self.warnings.append(f"{self.source}:{line}: {what[:80]} is not used by this agent")

    def _set(self, variable: str, node: Node) -> None:
        text = self._text(node)
        if text is not None:
            self._found[variable] = text

    def _items(self, node: Node) -> Iterator[tuple[str, int, Node]]:
        """Key, line and value of a mapping; nothing of a null (`console:`). Raises ConfigError for anything else."""
        if isinstance(node, MappingNode):
            for key, (line, value) in node.items.items():
                yield key, line, value
        elif not (isinstance(node, ScalarNode) and node.is_null):
            raise ConfigError(f"{self.source}:{node.line}: expected keys and values")

    def _entries(self, node: Node) -> Iterator[tuple[str, int, Node]]:
        """The only key of each item of a list, as processors and readers are written."""
        if isinstance(node, SequenceNode):
            for item in node.items:
                yield from self._items(item)
        elif not (isinstance(node, ScalarNode) and node.is_null):
            raise ConfigError(f"{self.source}:{node.line}: expected a list")

    def _pairs(self, node: Node) -> Iterator[tuple[str, str]]:
        """Names and values: a list of `name`, `value`, or (version 0.1) keys and values."""
        if isinstance(node, SequenceNode):
            for item in node.items:
                values = {key: value for key, _, value in self._items(item)}
                name = self._text(values["name"]) if "name" in values else None
                if not name or not isinstance(values.get("value"), ScalarNode):
                    self._unused(f"{name or 'an entry without name'}: anything but one value", item.line)
                    continue
                yield name, self._text(values["value"]) or ""
        else:
            for key, line, value in self._items(node):
                if isinstance(value, ScalarNode):
                    yield key, self._text(value) or ""
                else:
                    self._unused(f"{key}: anything but one value", line)

    def _text(self, node: Node) -> str | None:
        """A value with its references to the environment replaced; None if it is empty."""
        if not isinstance(node, ScalarNode):
            raise ConfigError(f"{self.source}:{node.line}: expected one value")
        if node.is_null:
            return None
        return _REFERENCE.sub(lambda match: self._reference(match, node.line), node.text).strip() or None

    def _reference(self, match: re.Match[str], line: int) -> str:
        if match[0] == "$$":
            return "$"
        if match[1] is None:
            raise ConfigError(f"{self.source}:{line}: {match[0][:40]} is no reference to a variable")
        self.used.add(match[1])
        return self._environ.get(match[1]) or match[2] or ""
