# SPDX-License-Identifier: Apache-2.0
"""Key and certificate files that are none: they are refused, whatever reading them would do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from otel_jb.agent.carried import files_of
from otel_jb.config import environment, keyfile
from otel_jb.model.errors import ConfigError
from otel_jb.telemetry.exporters import metric_exporter


def no_key(kind: str, directory: Path) -> Path:
    """A file of a kind that cannot be read to its end."""
    path = directory / kind
    if kind == "large":
        with path.open("wb") as file:
            file.truncate(1 << 40)  # it takes no room on the disk
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path = Path("/dev/zero")
    return path


@pytest.mark.parametrize("kind", ["large", "fifo", "device"])
def test_a_certificate_that_has_no_end_is_refused(kind: str, tmp_path: Path) -> None:
    """A file of a terabyte, a FIFO without a writer and a device neither fill the memory nor stop the agent: an error names them."""
    path = str(no_key(kind, tmp_path))
    settings = environment.read(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "OTEL_EXPORTER_OTLP_CERTIFICATE": path}
    )
    with pytest.raises(ConfigError, match=f"certificate {path} cannot be read"):
        metric_exporter(settings.metrics)
    assert files_of(settings, None) == {}


def test_a_key_is_read_whole(tmp_path: Path) -> None:
    """A regular file of a usual size is what it was."""
    (tmp_path / "key").write_bytes(b"k" * 5000)
    assert keyfile.read(str(tmp_path / "key")) == b"k" * 5000
