# SPDX-License-Identifier: Apache-2.0
"""`otel-jb why` on a server that is slow through its own fault: it says what the slow calls spent their time on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.diagnosis.programs import PROFILE, media_server
from tests.diagnosis.test_host import ATTEMPTS, fed, why

pytestmark = pytest.mark.e2e


def test_a_server_whose_thread_waits_for_a_lock_is_said_to_be_blocked(tmp_path: Path) -> None:
    """Another thread holds the buffer's lock for 30 ms of every 100: puts are slow, and of that time they were blocked."""
    profile = tmp_path / "media_server.yaml"
    profile.write_text(PROFILE)
    with media_server(tmp_path, "lock") as program, fed(program):
        for _ in range(ATTEMPTS):
            found = why("--pid", str(program.pid), "--profile", str(profile))
            said = [each["sentence"] for each in found["findings"] if each["measure"] == "slow_calls"]
            if said and "that time" in said[0]:
                break
    assert len(said) == 1, found
    before, _, after = said[0].partition("; ")
    assert before.startswith("the server took over 10 ms for ")
    share, _, what = after.partition(" % of that time ")
    assert what == "it was blocked"
    assert int(share) >= 90
