# SPDX-License-Identifier: Apache-2.0
"""Converts records to plain data (for JSON) and back, by their type hints. For recordings and the sandbox's answers.

Integers are exact, enums are written by value, bytes as base64, tuples as lists. A decoder ignores fields that it does not
know and fills in defaults for missing ones. The data may come from a process that reads hostile files, so a
decoder accepts exactly what the hints say: no text in place of a number, no integer beyond 64 bits.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar, Union, cast

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Plain data (dict, list, str, int, float, bool, None) of a record."""
    if dataclasses.is_dataclass(value):
        return {item.name: encode(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


@typing.overload
def decode(data: Any, hint: type[T]) -> T: ...
@typing.overload
def decode(data: Any, hint: Any) -> Any: ...
def decode(data: Any, hint: Any) -> Any:
    """The inverse of `encode`. Raises ValueError if the data does not match the type."""
    return _decoder(hint)(data)


@functools.cache
def _decoder(hint: Any) -> Callable[[Any], Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        members = [member for member in arguments if member is not type(None)]
        if len(members) != 1 or len(members) == len(arguments):
            raise TypeError(f"no form is known for {hint!r}")
        inner = _decoder(members[0])
        return lambda data: None if data is None else inner(data)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            item = _decoder(arguments[0])
            return lambda data: tuple([item(part) for part in _expect(data, list)])
        parts = [_decoder(argument) for argument in arguments]
        return lambda data: _fixed(_expect(data, list), parts)
    if dataclasses.is_dataclass(hint):
        return _dataclass_decoder(cast(type, hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if hint is bytes:
        return _bytes
    if hint is float:
        return _float
    if hint is int:
        return _integer
    if hint in (str, bool):
        return lambda data: _expect(data, hint)
    raise TypeError(f"no form is known for {hint!r}")


def _dataclass_decoder(cls: type) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(cls)
    decoders = {item.name: _decoder(hints[item.name]) for item in dataclasses.fields(cls)}
    required = {
        item.name
        for item in dataclasses.fields(cls)
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    }

    def build(data: Any) -> Any:
        given = _expect(data, dict)
        missing = required - given.keys()
        if missing:
            raise ValueError(f"{cls.__name__} lacks {', '.join(sorted(missing))}")
        try:
            return cls(**{name: decoders[name](value) for name, value in given.items() if name in decoders})
        except ValueError as error:
            raise ValueError(f"{cls.__name__}: {error}") from None

    return build


def _expect(data: Any, kind: type) -> Any:
    if type(data) is not kind:
        raise ValueError(f"expected {kind.__name__}, got {str(data)[:60]!r}")
    return data


def _integer(data: Any) -> int:
    number: int = _expect(data, int)
    if not -(1 << 63) <= number < 1 << 64:
        raise ValueError("expected an integer of 64 bits")
    return number


def _fixed(data: list[Any], parts: list[Callable[[Any], Any]]) -> tuple[Any, ...]:
    if len(data) != len(parts):
        raise ValueError(f"expected {len(parts)} items, got {len(data)}")
    return tuple(part(item) for part, item in zip(parts, data, strict=True))


def _bytes(data: Any) -> bytes:
    try:
        return base64.b64decode(_expect(data, str), validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from None


def _float(data: Any) -> float:
    if type(data) not in (int, float) or not math.isfinite(data):
        raise ValueError(f"expected a number, got {str(data)[:60]!r}")
    return float(data)
