# SPDX-License-Identifier: Apache-2.0
"""What the real backend measured is recorded, and replays without root to the same exposition."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scale import patience

pytestmark = pytest.mark.bpf
ROOT = Path(__file__).parents[2]
OTEL_JB = [sys.executable, "-m", "otel_jb"]


def of_targets(exposition: str) -> list[str]:
    """The lines about targets, without the agent's own metrics, which no recording holds."""
    return [line for line in exposition.splitlines() if re.match(r"(# \w+ )?(jitterbuffer|rtp)_", line)]


def scrape(url: str) -> str:
    with urllib.request.urlopen(url, timeout=patience(10)) as answer:
        text = answer.read().decode()
    assert isinstance(text, str)
    return text


def complete_lines(file: Path) -> list[str]:
    """The lines of a recording without the last one where that is cut off; a compressed one may lack its end too."""
    content = file.read_bytes()
    if file.suffix == ".gz":
        content = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(content)
    return content.decode().split("\n")[:-1]


def when(condition: Callable[[str], bool], url: str) -> str:
    """The first exposition of which this is true."""
    deadline = time.monotonic() + patience(30)
    while time.monotonic() < deadline:
        text = scrape(url)
        if condition(text):
            return text
        time.sleep(0.02)
    raise AssertionError(f"the condition never held; last:\n{text}")


@pytest.mark.parametrize(
    ("name", "ending"), [("run.jsonl", signal.SIGINT), ("run.jsonl.gz", signal.SIGKILL)], ids=["stopped", "killed"]
)
def test_a_recording_replays_to_the_same_exposition(
    tmp_path: Path,
    compile_program: Callable[..., Path],
    start: Callable[..., object],
    name: str,
    ending: signal.Signals,
) -> None:
    """/metrics of the live agent and of the replay are equal, line by line, min, max and avg included; also after SIGKILL."""
    child = start(compile_program("guide_names.c", "-O1"))
    file = tmp_path / name
    agent = subprocess.Popen(
        [
            *(*OTEL_JB, "record", str(file), "--pid", str(child.pid)),  # type: ignore[attr-defined]
            *("--function", "jitterbuffer_*", "--listen", "127.0.0.1:0", "--interval", "3s"),
        ],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert agent.stderr is not None
        url = next(found[0] for line in agent.stderr if (found := re.search(r"http://\S+/metrics", line)))
        when(lambda text: "jitterbuffer_calls_total{" in text, url)
        assert child.ask("1000") == "done"  # type: ignore[attr-defined]
        # An interval has just ended, so the agent is not about to end the next one.
        live = when(lambda text: "jitterbuffer_delay_min_seconds{" in text, url)
        agent.send_signal(ending)
        status = agent.wait(patience(30))
        assert status == (-ending if ending is signal.SIGKILL else 0)
    finally:
        agent.kill()
        agent.wait()
        agent.stderr.close()  # type: ignore[union-attr]
    replayed = subprocess.run(
        [*OTEL_JB, "replay", str(file), "--print"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert of_targets(replayed.stdout) == of_targets(live)
    returned = re.findall(r'jitterbuffer_calls_total{.*function="(\w+)".*outcome="returned".*} (\S+)', replayed.stdout)
    assert dict(returned) == {"jitterbuffer_put": "1000.0", "jitterbuffer_get": "500.0"}
    kinds = [json.loads(line).get("kind") for line in complete_lines(file)]
    assert {"Target", "Series", "Snapshot"} <= set(kinds)
    # Each hundredth of the 1000 puts takes 20 ms, and from 10 ms on a call is slow. A busy machine may make others slow too.
    assert kinds.count("SlowCall") >= 10


def test_a_run_that_fails_leaves_no_recording(tmp_path: Path) -> None:
    """A PID that does not exist is exit code 3, and no file is left behind."""
    file = tmp_path / "r.jsonl"
    done = subprocess.run(
        [*OTEL_JB, "record", str(file), "--pid", "4194000", "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(60),
        cwd=ROOT,
    )
    assert done.returncode == 3
    assert "4194000" in done.stderr
    assert not file.exists()
