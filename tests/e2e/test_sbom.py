# SPDX-License-Identifier: Apache-2.0
"""The bill of materials of a release."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_bill_of_materials_names_every_package(tmp_path: Path) -> None:
    """It is of this project, valid CycloneDX (the tool checks that), and has each installed package with its version, licence and URL."""
    file = tmp_path / "sbom.json"
    done = subprocess.run(
        [ROOT / "scripts/sbom", "--python", sys.executable, file],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    bill = json.loads(file.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "otel-jb"
    named = {_canonical(each["name"]): each for each in bill["components"]}
    installed = {_canonical(each.metadata["Name"]): each.version for each in distributions()}
    for name in ("opentelemetry-sdk", "grpcio", "pyelftools", "capstone"):
        assert named[name]["version"] == installed[name]
        assert named[name]["purl"].startswith("pkg:pypi/")
        assert named[name]["licenses"]
    assert set(installed) - {"otel-jb"} <= set(named)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
