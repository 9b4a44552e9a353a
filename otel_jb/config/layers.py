# SPDX-License-Identifier: Apache-2.0
"""The layers of the configuration: file < environment < command line.

`otel_jb.config.yamlfile` reads the file, so errors there name file and line. `override` applies the environment and the
command line on top, key by key (`slow.threshold`). A list in a later layer replaces the whole earlier one. The output of
`to_yaml` reads back as an equal configuration.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from otel_jb.config import yamlfile
from otel_jb.config.model import OFF, Config, OtlpTls
from otel_jb.model.closest import closest
from otel_jb.model.errors import ConfigError

T = TypeVar("T")

#: The agent's own environment variables and the keys that they set.
ENVIRONMENT = {
    "OTEL_JB_LISTEN": "listen",
    "OTEL_JB_INTERVAL": "interval",
    "OTEL_JB_DETAIL": "detail",
    "OTEL_JB_INFERRED": "inferred",
    "OTEL_JB_MAX_PROBES": "max_probes",
    "OTEL_JB_SLOW_THRESHOLD": "slow.threshold",
    "OTEL_JB_OVERHEAD_BUDGET": "overhead.budget",
    "OTEL_JB_INHERIT_ATTRIBUTES": "inherit_attributes",
    "OTEL_JB_LOG_LEVEL": "log.level",
    "OTEL_JB_LOG_FORMAT": "log.format",
}
CONFIG_FILE_VARIABLE = "OTEL_JB_CONFIG"


def load(path: Path) -> Config:
    """The configuration in a file. Raises ConfigError with file and line."""
    return yamlfile.load(path, Config)


def override(config: Config, values: Mapping[str, object]) -> Config:
    """The configuration with the values of these dotted keys replaced. Raises ValueError if a value is invalid."""
    for key, value in values.items():
        config = _replace(config, key.split("."), value)
    return config


def from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """Values by key of the variables in `ENVIRONMENT`; an empty variable counts as unset. Raises ConfigError."""
    values: dict[str, object] = {}
    for variable, key in ENVIRONMENT.items():
        text = environ.get(variable, "").strip()
        if text:
            try:
                values[key] = read(key, text)
            except ValueError as error:
                raise ConfigError(f"{variable}: {error}") from None
    return values


def read(key: str, text: str) -> object:
    """Parse the value of a key that takes one word. Raises ValueError."""
    hint: Any = Config
    for part in key.split("."):
        hint = typing.get_type_hints(hint)[part]
    members = [member for member in typing.get_args(hint) if member is not type(None)] or [hint]
    kind = members[0]
    if hasattr(kind, "from_yaml"):
        return typing.cast(object, kind.from_yaml(text))
    if kind is bool:
        if text.lower() not in {"on", "yes", "true"} | OFF:
            raise ValueError(f"expected on or off, got {text[:60]!r}")
        return text.lower() not in OFF
    if kind is int:
        if not re.fullmatch(r"[0-9]{1,12}", text):
            raise ValueError(f"expected a whole number, got {text[:60]!r}")
        return int(text)
    if isinstance(kind, type) and issubclass(kind, Enum):
        known = {str(member.value): member for member in kind}
        if text not in known:
            close = closest(text, known)
            hint_text = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"expected one of {', '.join(known)}, got {text[:60]!r}{hint_text}")
        return known[text]
    return text


def to_yaml(config: Config) -> str:
    """The whole configuration as YAML, including defaults; `yamlfile.parse` returns an equal one.

    The command line's OTLP settings are merged into `otlp`.
    """
    import yaml

    given = config.otlp_command_line
    otlp = dataclasses.replace(
        config.otlp,
        endpoint=given.endpoint or config.otlp.endpoint,
        protocol=given.protocol or config.otlp.protocol,
        headers={**config.otlp.headers, **given.headers},
        tls=OtlpTls() if (given.endpoint or "").startswith("http://") else config.otlp.tls,
    )
    plain = _plain_value(dataclasses.replace(config, otlp=otlp))
    del plain["otlp_command_line"]
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)


def _plain_value(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not hasattr(value, "from_yaml"):
        hints = typing.get_type_hints(type(value))
        return {
            item.name: "off"
            if getattr(value, item.name) is None and _can_be_off(hints[item.name])
            else _plain_value(getattr(value, item.name))
            for item in dataclasses.fields(value)
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_without_unset(_plain_value(item)) for item in value]
    if isinstance(value, dict):
        return {key: "off" if item is None else _plain_value(item) for key, item in value.items()}
    if hasattr(value, "from_yaml"):
        return str(value)
    return value


def _without_unset(value: Any) -> Any:
    return {key: item for key, item in value.items() if item not in (None, {})} if isinstance(value, dict) else value


def _can_be_off(hint: Any) -> bool:
    return any(hasattr(member, "from_yaml") for member in typing.get_args(hint))


def _replace(node: T, path: list[str], value: object) -> T:
    name, rest = path[0], path[1:]
    new = _replace(getattr(node, name), rest, value) if rest else value
    return typing.cast(T, dataclasses.replace(typing.cast(Any, node), **{name: new}))
