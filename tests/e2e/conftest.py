# SPDX-License-Identifier: Apache-2.0
"""Gets what the chosen tests need before the first of them runs: building takes minutes the first time, a test has three."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build or install the programs that the modules of the chosen tests mention."""
    if session.config.option.collectonly:
        return
    here = Path(__file__).parent
    sources = {item.path for item in session.items if item.path.parent == here}
    text = "".join(path.read_text() for path in sources)
    if "tests.e2e.collector" not in text:
        return
    from tests.e2e.collector import program

    for name in ("collector", "jaeger", "prometheus", "helm", "docker-compose"):
        if f"{name}(" in text or f'program("{name}")' in text:
            program(name)
