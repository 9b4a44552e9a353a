# SPDX-License-Identifier: Apache-2.0
"""YAML text to frozen dataclasses, with every error as `FILE:LINE: what is wrong`.

The dataclass is the schema. Its type hints decide how a scalar is read, so `version: 1.10` is the text "1.10" where the
hint is `str`. Supported hints are dataclasses, `str`, `int`, `float`, `bool`, `Enum` and `Literal` (by value), `tuple[T, ...]`,
`dict[str, T]`, unions, `None`, and every class with a class method `from_yaml(text) -> value` that raises ValueError
(`Duration`, `ByteSize`), or `from_yaml_at(text, "FILE:LINE")` if the value needs its location (the expressions of the
catalog).

A field may carry metadata: `{"key": "when"}` for a key that is not a Python name, `{"line": True}` for a `str` field that
receives the `FILE:LINE` of its mapping. `__post_init__` may raise ValueError, or `KeyValueError` to blame one key.

Files may be hostile. Anchors, aliases, tags, several documents, duplicate keys, more than 1 MiB, nesting deeper than 20 and
anything but UTF-8 are refused.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, Union, cast

import yaml

from otel_jb.model.closest import closest
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ConfigError

MAX_BYTES = 1 << 20
MAX_DEPTH = 20

T = TypeVar("T")


class KeyValueError(ValueError):
    """Raised by a dataclass's `__post_init__` to report an error at the line of one of its keys."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Duration(int):
    """Nanoseconds, written with a unit: `10ms`, `1.5s`, `250us`, `5m`, `1h`, `0`. Never negative."""

    _UNITS: ClassVar = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}

    @classmethod
    def from_yaml(cls, text: str) -> Duration:
        return cls(_quantity(text, cls._UNITS, "a duration such as 10ms, 1.5s or 5m"))

    @property
    def seconds(self) -> float:
        """The same duration in seconds."""
        return self / 1e9

    def __str__(self) -> str:
        for unit in ("h", "m", "s", "ms", "us"):
            if self and self % self._UNITS[unit] == 0:
                return f"{self // self._UNITS[unit]}{unit}"
        return f"{int(self)}ns" if self else "0"


class ByteSize(int):
    """Bytes, written with or without a unit: `4096`, `64KiB`, `1.5MiB`, `2MB`. Never negative."""

    _UNITS: ClassVar = {
        "": 1,
        "B": 1,
        "kB": 10**3,
        "KB": 10**3,
        "MB": 10**6,
        "GB": 10**9,
        "KiB": 1 << 10,
        "MiB": 1 << 20,
        "GiB": 1 << 30,
    }

    @classmethod
    def from_yaml(cls, text: str) -> ByteSize:
        return cls(_quantity(text, cls._UNITS, "a size such as 4096, 64KiB or 2MB"))

    def __str__(self) -> str:
        for unit in ("GiB", "MiB", "KiB"):
            if self and self % self._UNITS[unit] == 0:
                return f"{self // self._UNITS[unit]}{unit}"
        return str(int(self))


def _quantity(text: str, units: dict[str, int], expected: str) -> int:
    """Convert a number with a unit to the smallest unit, exactly."""
    match = re.fullmatch(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?\s*([A-Za-zµ]*)", text)
    if match is None:
        raise ValueError(f"expected {expected}, got {text!r}")
    whole, fraction, unit = match.group(1), match.group(2) or "", match.group(3)
    if unit not in units and not (unit == "" and int(whole + fraction) == 0):
        raise ValueError(f"expected {expected}, got {text!r}" + ("" if unit else ": the unit is missing"))
    value, rest = divmod(int(whole + fraction) * units.get(unit, 1), int(10 ** len(fraction)))
    if rest:
        raise ValueError(f"{text!r} is not a whole number of the smallest unit")
    return value


@dataclass(frozen=True, slots=True)
class ScalarNode:
    line: int
    text: str
    plain: bool

    @property
    def is_null(self) -> bool:
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class SequenceNode:
    line: int
    items: list[Node]


@dataclass(frozen=True, slots=True)
class MappingNode:
    line: int
    items: dict[str, tuple[int, Node]]  #: key -> its line, its value


Node = ScalarNode | SequenceNode | MappingNode


def load(path: Path, into: type[T]) -> T:
    """Read the file and `parse` it. Raises ConfigError, including for a file that cannot be read or is not UTF-8."""
    return parse(_text_of(path), str(path), into)


def nodes(path: Path) -> Node:
    """The file's nodes, with their lines, for a format that no dataclass describes. Raises ConfigError as `load`."""
    text = _text_of(path)
    _check_size(text, str(path))
    return _compose(text, str(path))


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    return decode(data, str(path))


def _check_size(text: str, source: str) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ConfigError(f"{source}:1: larger than {ByteSize(MAX_BYTES)}")


def decode(data: bytes, source: str) -> str:
    """Decode a file. The ConfigError names the line with the first byte that is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{source}:{line}: not UTF-8 (byte 0x{data[error.start]:02x})") from None


def parse(text: str, source: str, into: type[T]) -> T:
    """Read the document as an `into`; an empty one is an empty mapping. Errors call it `source`. Raises ConfigError."""
    _check_size(text, source)
    return read(_compose(text, source), source, into)


def read(node: Node, source: str, into: type[T]) -> T:
    """The same of a document's nodes."""
    return cast("T", _Reader(source).read(node, into))


# --------------------------------------------------------------------------------------------------------------
# Text to nodes


def _compose(text: str, source: str) -> Node:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        events = yaml.parse(text, Loader=loader)
        next(events)  # the stream's start
        if isinstance(next(events), yaml.StreamEndEvent):
            return MappingNode(1, {})
        node = _node(next(events), events, source, 1)
        next(events)  # the document's end
        after = next(events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise ConfigError(f"{source}:{_line(after)}: only one document per file is allowed; a second begins here")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(str(part) for part in (error.context, error.problem) if part)
        raise ConfigError(f"{source}:{mark.line + 1 if mark else 1}: not YAML: {what}") from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise ConfigError(f"{source}:{_bad_line(text)}: not YAML: {_first_line(error)}") from None
    if isinstance(node, ScalarNode) and node.is_null:
        return MappingNode(1, {})
    return node


def _bad_line(text: str) -> int:
    """The line of the first character that YAML does not allow, for errors without a mark."""
    found = re.search("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _node(event: yaml.Event, events: Iterator[yaml.Event], source: str, depth: int) -> Node:
    line = _line(event)
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
        raise ConfigError(f"{source}:{line}: anchors and aliases (&, *) are not allowed")
    if depth > MAX_DEPTH:
        raise ConfigError(f"{source}:{line}: nested deeper than {MAX_DEPTH}")
    if getattr(event, "tag", None) not in (None, "!"):
        raise ConfigError(f"{source}:{line}: tags (!) are not allowed")
    if isinstance(event, yaml.ScalarEvent):
        return ScalarNode(line, event.value, event.style is None or (event.style == "" and event.implicit[0]))
    if isinstance(event, yaml.SequenceStartEvent):
        sequence = SequenceNode(line, [])
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            sequence.items.append(_node(event, events, source, depth + 1))
        return sequence
    mapping = MappingNode(line, {})
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _node(event, events, source, depth + 1)
        if not isinstance(key, ScalarNode):
            raise ConfigError(f"{source}:{key.line}: a key must be a word")
        if key.text in mapping.items:
            raise ConfigError(
                f"{source}:{key.line}: duplicate key {key.text!r}, first at line {mapping.items[key.text][0]}"
            )
        mapping.items[key.text] = (key.line, _node(next(events), events, source, depth + 1))
    return mapping


# --------------------------------------------------------------------------------------------------------------
# Nodes to values


@functools.cache
def _schema(cls: type) -> tuple[dict[str, tuple[str, Any, bool]], str | None]:
    """Key -> (field name, type, required), and the field that receives the line, if any."""
    hints = typing.get_type_hints(cls)
    keys: dict[str, tuple[str, Any, bool]] = {}
    line_field = None
    for item in dataclasses.fields(cls):
        if item.metadata.get("line"):
            line_field = item.name
        elif item.init and not item.metadata.get("hidden"):
            required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
            keys[item.metadata.get("key", item.name)] = (item.name, hints[item.name], required)
    return keys, line_field


# What types say of themselves takes longer to find out than to read most values.
@functools.cache
def _origin(hint: Any) -> Any:
    return typing.get_origin(hint)


@functools.cache
def _arguments(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint)


@functools.cache
def _is_mapping(hint: Any) -> bool:
    """Whether a type is written as keys and values of its own."""
    return dataclasses.is_dataclass(hint) and not _is_own_scalar(hint)


@functools.cache
def _choices(hint: Any) -> dict[str, Any] | None:
    """The values of a type with few, by their text; None for other types."""
    if _origin(hint) is Literal:
        return {str(value): value for value in _arguments(hint)}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {str(value.value): value for value in hint}
    return None


class _Reader:
    """Reads nodes by type; its only state is the source's name, for errors."""

    def __init__(self, source: str) -> None:
        self.source = source

    def fail(self, line: int, message: str) -> ConfigError:
        return ConfigError(f"{self.source}:{line}: {message}")

    def read(self, node: Node, hint: Any) -> Any:
        origin = _origin(hint)
        if origin in (Union, types.UnionType):
            return self.union(node, _arguments(hint))
        if origin is tuple:
            if not isinstance(node, SequenceNode):
                raise self.fail(node.line, f"expected a list, got {_kind(node)}")
            of_each = _arguments(hint)[0]
            return tuple(self.read(item, of_each) for item in node.items)
        if origin is dict:
            if not isinstance(node, MappingNode):
                raise self.fail(node.line, f"expected keys and values, got {_kind(node)}")
            of_each = _arguments(hint)[1]
            return {key: self.read(value, of_each) for key, (_, value) in node.items.items()}
        if _is_mapping(hint):
            return self.dataclass(node, cast("type", hint))
        return self.scalar(node, hint)

    def union(self, node: Node, members: tuple[Any, ...]) -> Any:
        if type(None) in members and isinstance(node, ScalarNode) and node.is_null:
            return None
        fitting = [member for member in members if member is not type(None) and _fits(node, member)]
        if not fitting:
            wanted = " or ".join(dict.fromkeys(_wanted(member) for member in members if member is not type(None)))
            raise self.fail(node.line, f"expected {wanted}, got {_kind(node)}")
        for member in fitting[:-1]:
            try:
                return self.read(node, member)
            except ConfigError:
                continue
        return self.read(node, fitting[-1])

    def dataclass(self, node: Node, cls: type) -> Any:
        if not isinstance(node, MappingNode):
            raise self.fail(node.line, f"expected keys and values, got {_kind(node)}")
        keys, line_field = _schema(cls)
        values: dict[str, Any] = {}
        for key, (line, value) in node.items.items():
            if key not in keys:
                raise self.fail(line, f"unknown key {key!r}{_did_you_mean(key, keys)}")
            name, hint, _ = keys[key]
            values[name] = self.read(value, hint)
        for key, (_, _, required) in keys.items():
            if required and key not in node.items:
                raise self.fail(node.line, f"the key {key!r} is missing")
        if line_field:
            values[line_field] = f"{self.source}:{node.line}"
        try:
            return cls(**values)
        except KeyValueError as error:
            line = node.items[error.key][1].line if error.key in node.items else node.line
            raise self.fail(line, str(error)) from None
        except ValueError as error:
            raise self.fail(node.line, str(error)) from None

    def scalar(self, node: Node, hint: Any) -> Any:
        if not isinstance(node, ScalarNode):
            raise self.fail(node.line, f"expected {_wanted(hint)}, got {_kind(node)}")
        try:
            if hasattr(hint, "from_yaml_at") and not node.is_null:
                return hint.from_yaml_at(node.text, f"{self.source}:{node.line}")
            return _scalar(node, hint)
        except ValueError as error:
            raise self.fail(node.line, str(error)) from None


def _fits(node: Node, hint: Any) -> bool:
    """Whether the node's kind can be this type at all."""
    origin = _origin(hint)
    if isinstance(node, SequenceNode):
        return origin is tuple
    is_mapping = origin is dict or _is_mapping(hint)
    return is_mapping if isinstance(node, MappingNode) else origin is not tuple and not is_mapping


def _is_own_scalar(hint: Any) -> bool:
    return hasattr(hint, "from_yaml") or hasattr(hint, "from_yaml_at")


def _kind(node: Node) -> str:
    if isinstance(node, ScalarNode):
        return "nothing" if node.is_null else repr(node.text if len(node.text) <= 60 else node.text[:57] + "...")
    return "a list" if isinstance(node, SequenceNode) else "keys and values"


def _wanted(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin is tuple:
        return "a list"
    if origin is Literal:
        return "one of " + ", ".join(str(value) for value in typing.get_args(hint))
    if origin is dict or (dataclasses.is_dataclass(hint) and not _is_own_scalar(hint)):
        return "keys and values"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(str(member.value) for member in hint)
    if isinstance(hint, type) and hint in (str, int, float, bool):
        return {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[hint]
    return "a value"


def _did_you_mean(word: str, known: Any) -> str:
    names = [str(name) for name in known]
    close = closest(word, names)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known here: {', '.join(sorted(names))}" if names else ""


def _scalar(node: ScalarNode, hint: Any) -> Any:
    text = node.text
    if hint is str or hint is Any:
        if node.is_null:
            raise ValueError("expected text, got nothing")
        return text
    known = _choices(hint)
    if known is not None:
        if text not in known:
            raise ValueError(f"unknown value {text!r}{_did_you_mean(text, known)}")
        return known[text]
    if hasattr(hint, "from_yaml"):
        if node.is_null:
            raise ValueError("expected a value, got nothing")
        return hint.from_yaml(text)
    if node.plain and hint is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if node.plain and hint is int and re.fullmatch(r"[-+]?[0-9]{1,20}|[-+]?0x[0-9a-fA-F]{1,16}", text):
        return int(text, 16 if "x" in text else 10)
    if (
        node.plain
        and hint is float
        and re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", text)
        and math.isfinite(float(text))
    ):
        return float(text)
    if hint not in (bool, int, float):
        raise TypeError(f"no YAML form is known for {hint!r}")
    raise ValueError(f"expected {_wanted(hint)}, got {_kind(node)}")
