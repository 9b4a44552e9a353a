# SPDX-License-Identifier: Apache-2.0
"""The README's first command on a machine that has nothing yet."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


# The first start, with nothing that says whom to trust: no package of certificates, no variable, no setting of pip's.
UNTRUSTING = (
    '! for file in /etc/pip.conf "$HOME"/.config/pip/pip.conf; do [ ! -e "$file" ] || sed -i "/^cert *=/d" "$file"; done; '
    "rm -f /etc/ssl/certs/ca-certificates.crt; "
    "env -u PIP_CERT -u REQUESTS_CA_BUNDLE -u CURL_CA_BUNDLE -u SSL_CERT_FILE -u SSL_CERT_DIR scripts/otel-jb --version && "
    'echo "certificates: $(grep -c BEGIN .venv/trusted.pem)"'
)


# Downloads (a minimal Debian, packages, wheels) are kept; the first time they take two minutes of it.
@pytest.mark.timeout(1200)
def test_bare_debian_needs_nothing_beforehand() -> None:
    """On a minimal Debian without Python and compiler the set-up works, is quick the second time, and the demo counts right."""
    command = [str(ROOT / "scripts/try-bare"), UNTRUSTING, "--version", "doctor --port 0", "demo --seconds 5 --port 0"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    report = result.stdout + result.stderr
    assert result.stdout.count("otel-jb 0.") == 2, report
    assert re.search(r"compiler: compiled and loaded with BCC 0\.\d+", result.stdout), report
    (certificates,) = re.findall(r"^certificates: (\d+)$", result.stdout, re.MULTILINE)
    assert int(certificates) > 100, report
    durations = [int(ms) for ms in re.findall(r"exit status 0 after (\d+) ms", result.stderr)]
    assert len(durations) == 4, report
    assert durations[1] < durations[0] / 5
    (relay, agent) = re.findall(r"(\d+ packets, \d+ bytes)", result.stdout.splitlines()[-1])
    assert relay == agent
    assert int(relay.split()[0]) > 100
