# SPDX-License-Identifier: Apache-2.0
"""Functions of a stripped file that are found by their profile's marks instead of by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from otel_jb.catalog.marks import infer, marks_of

if TYPE_CHECKING:
    from otel_jb.catalog import Catalog
    from otel_jb.sandbox.client import Inspector
    from otel_jb.sandbox.report import FileReport


def with_inferred(inspector: Inspector, catalog: Catalog, file: int, shown: str, report: FileReport) -> FileReport:
    """The report on an open file, with the functions that it has no names for among its symbols. Raises ElfError."""
    profiles = catalog.nameless(report.telltales, report.symbols)
    if not profiles:
        return report
    from otel_jb.sandbox.marks import follow

    trails = {trail.mark: trail for trail in follow(inspector, file, shown, marks_of(profiles))}
    found = [symbol for profile in profiles for symbol in infer(profile, trails)]
    return replace(report, symbols=(*report.symbols, *found))
