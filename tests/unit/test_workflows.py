# SPDX-License-Identifier: Apache-2.0
"""CI runs what was looked at."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_actions_are_pinned() -> None:
    """CI runs each action by the commit of a release, which a moved tag cannot change."""
    used = re.findall(r"uses: (\S+)(.*)", "".join(p.read_text() for p in (ROOT / ".github/workflows").glob("*.yml")))
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
