# SPDX-License-Identifier: Apache-2.0
"""What known functions mean: YAML profiles, their grammar and their model (docs/profiles.md).

What this package exports is imported when it is first used: `names` is needed before all the rest is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_jb.catalog.matching import Catalog, Match, check, load
    from otel_jb.catalog.model import FunctionProfile, Vouch
    from otel_jb.catalog.spec import Role

__all__ = ["Catalog", "FunctionProfile", "Match", "Role", "Vouch", "check", "load"]

_HOMES = {"FunctionProfile": "model", "Vouch": "model", "Role": "spec"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'matching')}"), name)
