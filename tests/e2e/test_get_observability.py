# SPDX-License-Identifier: Apache-2.0
"""scripts/get-observability: what the tests and newcomers get their programs by."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tests.e2e.collector import GET, program


def get(*names: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GET, *names], capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **variables}
    )


def test_what_is_there_is_found_at_once() -> None:
    """A second start builds nothing, says nothing and takes less than five seconds; without names it gives four programs."""
    built = program("collector")
    program("jaeger")
    started = time.monotonic()
    done = get()
    assert time.monotonic() - started < 5
    assert (done.returncode, done.stderr) == (0, "")
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert list(found) == ["collector", "jaeger", "prometheus", "promtool"]
    assert found["collector"] == built
    for path in found.values():
        assert os.access(path, os.X_OK), path


def test_the_collector_says_its_version() -> None:
    """What is built is the version that its name and the Compose file's image bear."""
    path = Path(program("collector"))
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.split()[-1] == "0.155.0"
    assert path.name.startswith("collector-0.155.0-")
    compose = (GET.parents[1] / "docker-compose.yml").read_text()
    assert "opentelemetry-collector-contrib:0.155.0" in compose


def test_an_unknown_program_is_refused(tmp_path: Path) -> None:
    """A name that is not known gives one line with those that are, status 2, and nothing on the standard output."""
    done = get("grafana", XDG_CACHE_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "'grafana'" in done.stderr
    assert "collector jaeger prometheus" in done.stderr


def test_a_failed_build_leaves_nothing_that_looks_built(tmp_path: Path) -> None:
    """Without a way to the modules the build fails with its reason and the place of the log, and the next start tries again."""
    variables = {
        "XDG_CACHE_HOME": str(tmp_path),
        "GOMODCACHE": str(tmp_path / "modules"),
        "GOPROXY": "off",
        "GOFLAGS": "",
    }
    for _ in range(2):
        done = get("jaeger", **variables)
        assert done.returncode == 7
        assert "building failed" in done.stderr
        assert "jaeger.log" in done.stderr
        assert not list((tmp_path / "otel_jb" / "bin").iterdir())
