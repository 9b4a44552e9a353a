# SPDX-License-Identifier: Apache-2.0
"""Every source file says under which licence it is, and the texts of the licences are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_source_says_its_licence() -> None:
    """No source lacks its SPDX line; `scripts/spdx` adds what is missing."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/spdx", "--check"], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [], "run scripts/spdx"
    assert done.returncode == 0


def test_each_licence_is_there_in_full() -> None:
    """Every licence that a source names has its text in the repository."""
    named: set[str] = set()
    for place in ("otel_jb", "bpf"):
        for path in (ROOT / place).rglob("*.[chp]*"):
            if path.is_file() and path.suffix in (".py", ".c", ".h"):
                found = re.search(r"SPDX-License-Identifier: (.*)", path.read_text())
                assert found is not None, path
                named |= set(found[1].split(" OR "))
    assert named == {"Apache-2.0", "GPL-2.0-only"}
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert "Version 2, June 1991" in (ROOT / "bpf/LICENSE.GPL-2.0").read_text()
