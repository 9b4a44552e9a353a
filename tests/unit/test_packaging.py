# SPDX-License-Identifier: Apache-2.0
"""What the project asks for, ships, and lets whom import."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
from pathlib import Path

import pytest

from otel_jb.probes.programs.source import PROGRAM, bpf_directory

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "otel_jb").rglob("*.py"))


def _imported(path: Path) -> set[str]:
    """Top-level names of all imports of a module, those inside functions too; not what only the type checker sees."""
    names = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_only_the_probes_room_loads_bcc() -> None:
    """No module outside otel_jb/probes imports bcc, by name or by path."""
    loads_by_path = re.compile(r"spec_from_file_location\(\s*[\"']bcc")
    offenders = [
        path
        for path in MODULES
        if not path.is_relative_to(ROOT / "otel_jb/probes")
        and ("bcc" in _imported(path) or loads_by_path.search(path.read_text()))
    ]
    assert not offenders
    assert any(loads_by_path.search(path.read_text()) for path in MODULES), (
        "the real loading is not recognised any more"
    )


def test_pyproject_never_depends_on_the_impostor() -> None:
    """The package index's `bcc` is in no list of requirements."""
    text = (ROOT / "pyproject.toml").read_text()
    requirements = re.findall(r"[\"']([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?\s*(?:[<>=~!][^\"']*)[\"']", text)
    assert {"opentelemetry-sdk", "imageio-ffmpeg", "pytest"} <= set(requirements)
    assert "bcc" not in {name.lower() for name in requirements}


def test_what_only_the_demo_needs_depends_on_nothing() -> None:
    """The first start installs the extra `demo` beside all other packages, without dependencies."""
    text = (ROOT / "pyproject.toml").read_text()
    (extra,) = re.findall(r"^demo = \[(.*)\]$", text, re.MULTILINE)
    names = re.findall(r'"([A-Za-z0-9-]+)', extra)
    assert names
    assert not any(importlib.metadata.requires(name) for name in names)


# Distribution that provides each third-party module that the package imports.
PROVIDED_BY = {
    "capstone": "capstone",
    "elftools": "pyelftools",
    "google": "protobuf",
    "grpc": "grpcio",
    "imageio_ffmpeg": "imageio-ffmpeg",
    "opentelemetry": "opentelemetry-sdk",
    "prometheus_client": "prometheus-client",
    "requests": "requests",
    "rich": "rich",
    "yaml": "PyYAML",
}


def test_every_third_party_import_is_declared() -> None:
    """A module that is neither ours nor the standard library's comes from a declared requirement."""
    import sys

    declared = (ROOT / "pyproject.toml").read_text()
    foreign = set().union(*map(_imported, MODULES)) - set(sys.stdlib_module_names) - {"otel_jb", "bcc"}
    unknown = sorted(name for name in foreign if f'"{PROVIDED_BY.get(name, name)}' not in declared)
    assert not unknown


def test_bpf_sources_are_found_in_a_checkout() -> None:
    """In a checkout the program at the top of the tree is used."""
    assert bpf_directory() == ROOT / "bpf"
    assert (bpf_directory() / PROGRAM).is_file()


def test_the_supported_pythons_are_the_same_everywhere() -> None:
    """What pip accepts, the type checker and ruff hold the code to the oldest Python that the list of the package names."""
    text = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)
    oldest = named[0]
    assert [f"3.{minor}" for minor in range(int(oldest[2:]), int(oldest[2:]) + len(named))] == named
    assert re.findall(r'^requires-python = "(.*)"', text, re.MULTILINE) == [f">={oldest}"]
    assert re.findall(r'^python_version = "(.*)"', text, re.MULTILINE) == [oldest]  # mypy's
    assert re.findall(r'^target-version = "(.*)"', text, re.MULTILINE) == [f"py{oldest.replace('.', '')}"]  # ruff's
    bootstrap = (ROOT / "scripts/bootstrap.sh").read_text()
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in bootstrap
    assert all(f"python{version} " in bootstrap for version in named)


@pytest.mark.parametrize("name", ["scripts/otel-jb", "scripts/bootstrap.sh"])
def test_bootstrap_is_posix_shell(name: str) -> None:
    """The scripts that run before anything is installed parse as POSIX sh."""
    checked = subprocess.run(["dash", "-n", ROOT / name], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_no_registry_is_named() -> None:
    """Scripts leave the choice of package mirrors to the machine's configuration: they hold no address but loopback."""
    files = [ROOT / ".ci/run", *(path for path in (ROOT / "scripts").iterdir() if path.is_file())]
    address = re.compile(r"(?:https?|ftp)://(?!127\.0\.0\.1)\S*|--(?:extra-)?index-url")
    found = {str(path): address.findall(path.read_text()) for path in files}
    assert not {path: hits for path, hits in found.items() if hits}
