# SPDX-License-Identifier: Apache-2.0
"""What known functions mean: YAML profiles, their grammar and their model (docs/profiles.md)."""

from otel_jb.catalog.matching import Catalog, Match, check, load
from otel_jb.catalog.model import FunctionProfile, Vouch
from otel_jb.catalog.spec import Role

__all__ = ["Catalog", "FunctionProfile", "Match", "Role", "Vouch", "check", "load"]
