# SPDX-License-Identifier: Apache-2.0
"""The decoder of each machine."""

from __future__ import annotations

from types import ModuleType

from otel_jb.arch import aarch64, x86_64
from otel_jb.arch.machine import named

_DECODERS = {"x86_64": x86_64, "aarch64": aarch64}


def decoder(name: str) -> ModuleType:
    """The module that decodes a machine's instructions and knows what Linux does with a probe on each. Raises UnsupportedError."""
    return _DECODERS[named(name).name]
