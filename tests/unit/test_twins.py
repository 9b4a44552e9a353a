# SPDX-License-Identifier: Apache-2.0
"""The comparison of what is inferred with true names, itself compared with a program whose names are moved."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.twins import compare, row
from otel_jb.catalog.matching import Catalog
from tests.unit.test_marks import PROFILE, SOURCE, profile

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("change", "right", "doubt", "wrong"),
    [
        (("", ""), 3, 0, 0),
        (('"waited too long, fetching"\n', '"a text of another version"\n'), 1, 2, 0),
        (("  - name: put\n", "  - name: main\n"), 2, 0, 1),
    ],
)
def test_a_find_counts_as_the_files_own_names_say(
    change: tuple[str, str], right: int, doubt: int, wrong: int, tmp_path: Path
) -> None:
    """True names are right, marks of another version in doubt, and a profile that calls a function by another one's name is wrong."""
    program = tmp_path / "whole"
    subprocess.run(["gcc", "-O2", SOURCE, "-o", program], check=True)
    twin = compare(program, tmp_path, Catalog([profile(PROFILE.replace(*change))]))
    assert (twin.right, twin.doubt, len(twin.wrong), twin.unknown) == (right, doubt, wrong, 0)
    assert ("main at 0x" in row(twin)) == bool(wrong)
