# SPDX-License-Identifier: Apache-2.0
"""The wheel, installed into fresh environments: of the Python that the set-up takes, always, and of every other that is supported and here.

What the others may use, tests/unit/test_packaging.py holds to the oldest.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUPPORTED = ("3.10", "3.11", "3.12", "3.13")

# Loads the program as `run` does, in the installed package, and tells where its sources came from.
LOAD = """
from otel_jb.probes.programs.instances import Instances
from otel_jb.probes.programs.compiled import Loading
from otel_jb.probes.programs.source import bpf_directory
loaded = Loading(buckets=8, cell_bits=5, max_series=16).result()
Instances(loaded.templates, loaded.maps, multi=loaded.links == "multi").check()
print(bpf_directory(), loaded.bcc_version, len(loaded.templates))
loaded.close()
"""


def _version(python: Path) -> str | None:
    """`3.12` where this interpreter runs and can make environments."""
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        result = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _interpreters() -> dict[str, Path]:
    """The supported Pythons of this machine: of the system, on the PATH, of pyenv, and the one that runs this."""
    candidates = [Path("/usr/bin/python3")]
    for version in SUPPORTED:
        on_path = shutil.which(f"python{version}")
        candidates += [Path(on_path)] if on_path else []
        candidates += sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python{version}"))
    candidates.append(Path(sys.executable).resolve())
    found: dict[str, Path] = {}
    for python in candidates:
        answer = _version(python)
        if answer in SUPPORTED:
            found.setdefault(answer, python)
    return found


INTERPRETERS = _interpreters()


def _environment() -> dict[str, str]:
    """This process's environment without what would let a child see the checkout or this test's own packages."""
    return {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"}}


def _run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=cwd, env=_environment()
    )


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What scripts/release makes of a copy of what would be committed: sdist, wheel and signed checksums, checked by twine."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, source / name)
    for name in ("otel_jb", "bpf", "scripts"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", source / "key"], check=True)
    done = subprocess.run(
        [source / "scripts/release", "--unreleased", "--only-python", "--key", source / "key"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**_environment(), "OTEL_JB_PYTHON": sys.executable},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2, done.stdout  # twine, of the wheel and of the sdist
    shutil.copy(source / "key.pub", source / "dist/unreleased")
    return source / "dist/unreleased"


@pytest.fixture(scope="module")
def wheel(release: Path) -> Path:
    """The project's wheel, built once, from its sdist."""
    (path,) = release.glob("*.whl")
    return path


def test_a_releases_checksums_are_signed(release: Path) -> None:
    """The signature verifies with the signer's public key, the checksums name sdist and wheel, and a changed file is noticed."""
    signers = release / "signers"
    signers.write_text(f"me {(release / 'key.pub').read_text()}")
    verify = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", "me", "-n", "otel-jb", "-s", "SHA256SUMS.sig"]
    sums = (release / "SHA256SUMS").read_bytes()
    subprocess.run(verify, input=sums, check=True, capture_output=True, cwd=release)
    assert subprocess.run(verify, input=sums + b" ", check=False, capture_output=True, cwd=release).returncode != 0
    assert sorted(line.split()[1].rpartition(".")[2] for line in sums.decode().splitlines()) == ["gz", "whl"]
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], check=True, capture_output=True, cwd=release)


@pytest.fixture(scope="module", params=sorted(INTERPRETERS))
def installed(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh environment of one Python with the wheel and its dependencies; its directory."""
    environment = tmp_path_factory.mktemp(f"python{request.param}") / "venv"
    made = _run(INTERPRETERS[request.param], "-m", "venv", environment, cwd=environment.parent)
    assert made.returncode == 0, made.stderr
    result = _run(
        environment / "bin/python", "-m", "pip", "install", "-q", "--no-compile", wheel, cwd=environment.parent
    )
    assert result.returncode == 0, result.stderr
    yield environment
    shutil.rmtree(environment)


def test_the_python_that_the_set_up_takes_is_tested() -> None:
    """The interpreter that scripts/otel-jb makes its environment with is among those below; absent ones are named in the summary."""
    script = 'set -eu; top=$1; . "$top/scripts/bootstrap.sh"; find_python; printf %s "$python"'
    chosen = subprocess.run(["sh", "-c", script, "sh", ROOT], capture_output=True, text=True, check=True).stdout
    assert chosen
    assert INTERPRETERS[_version(Path(chosen)) or "none"].samefile(chosen)
    absent = sorted(set(SUPPORTED) - set(INTERPRETERS))
    if absent:
        warnings.warn(f"not tested, because not on this machine: Python {', '.join(absent)}", stacklevel=1)


def test_wheel_holds_all_data(wheel: Path) -> None:
    """Every file of bpf/, every profile and the licence travel in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = {f"otel_jb/{path.relative_to(ROOT)}" for path in (ROOT / "bpf").rglob("*") if path.is_file()}
    profiles = {str(path.relative_to(ROOT)) for path in (ROOT / "otel_jb/catalog/profiles").glob("*.yaml")}
    assert "otel_jb/bpf/otel_jb.bpf.c" in sources
    assert profiles
    assert sources | profiles <= names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_wheel_does_not_ask_for_the_impostor(wheel: Path) -> None:
    """No requirement of the wheel, extras included, is the package index's `bcc`."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    requirements = re.findall(r"^Requires-Dist: ([A-Za-z0-9._-]+)", metadata, re.MULTILINE)
    assert "opentelemetry-sdk" in requirements
    assert "bcc" not in {requirement.lower() for requirement in requirements}


def test_installed_agent_works(installed: Path) -> None:
    """`otel-jb --version` and `doctor` run, and the BPF program of the wheel loads through the distribution's bcc."""
    program, away = installed / "bin/otel-jb", installed.parent
    version = _run(program, "--version", cwd=away)
    assert (version.returncode, version.stderr) == (0, "")
    assert re.fullmatch(r"otel-jb \d+\.\d+\.\d+\S*\n", version.stdout)
    doctor = _run(program, "doctor", "--port", "0", cwd=away)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    loaded = _run(installed / "bin/python", "-c", LOAD, cwd=away)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.startswith(f"{installed}/lib/"), loaded.stdout


def test_impostor_is_named_and_does_no_harm(installed: Path) -> None:
    """With the package index's `bcc` beside it, `doctor` names that package and the program loads all the same."""
    (packages,) = installed.glob("lib/python3.*/site-packages")
    impostor = packages / "bcc"
    impostor.mkdir()
    try:
        (impostor / "__init__.py").write_text('raise ImportError("a crystal lattice is no compiler")\n')
        doctor = _run(installed / "bin/otel-jb", "doctor", "--port", "0", cwd=installed.parent)
        assert str(impostor) in doctor.stdout
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr
        loaded = _run(installed / "bin/python", "-c", LOAD, cwd=installed.parent)
        assert loaded.returncode == 0, loaded.stderr
    finally:
        shutil.rmtree(impostor)
