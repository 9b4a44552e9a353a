# SPDX-License-Identifier: Apache-2.0
"""What the real backend recorded replays, without privileges, to the same exposition."""

from __future__ import annotations

import gzip
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from otel_jb.model.errors import ExitCode
from tests.e2e.agent_process import (
    COMMAND,
    TARGETS,
    AgentProcess,
    Conversation,
    Exposition,
    fetch,
    free_tcp_port,
    run_command,
    until,
)
from tests.e2e.streams import LossyStream

pytestmark = pytest.mark.e2e

SETPRIV = shutil.which("setpriv") or "setpriv"
WITHOUT_PRIVILEGES = (SETPRIV, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--")


def of_targets(exposition: Exposition) -> dict[str, float]:
    """The samples that the kernel's records make, by name and labels.

    Not the verdict and the host's share: they go on between the last scrape and the end of the recording.
    """
    return {
        f"{name}{sorted(labels.items())}": value
        for name, labels, value in exposition.samples
        if name.startswith("jitterbuffer_") and not name.startswith(("jitterbuffer_verdict_", "jitterbuffer_host_"))
    }


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, dict[str, float], int]:
    """A recording of FFmpeg under loss, what the agent exposed at its end, and how many packets the relay forwarded."""
    file = tmp_path / "incident.jsonl.gz"
    with LossyStream(tmp_path) as stream:
        recording = AgentProcess(tmp_path, "--pid", str(stream.pid), "--interval", "1s", command=("record", str(file)))
        try:
            recording.wait_until_ready()
            relayed = stream.play(seconds=4, speed=2)
            # Until the last complete interval is one without calls, so that nothing changes any more.
            recording.settled(stream.pid, seconds=2.5)
            live = of_targets(recording.scrape())
            assert recording.stop() == 0, recording.log()
        finally:
            recording.kill()
    return file, live, relayed.forwarded_packets


def test_a_recording_replays_to_the_same_exposition(recorded: tuple[Path, dict[str, float], int]) -> None:
    """`replay --print` without any capability says what the agent said: every sample, every value."""
    file, live, forwarded = recorded
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    replayed = subprocess.run(
        [*WITHOUT_PRIVILEGES, str(COMMAND), "replay", str(file), "--print"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert replayed.returncode == 0, replayed.stderr
    exposition = Exposition(replayed.stdout)
    assert of_targets(exposition) == live
    assert exposition.total("jitterbuffer_packet_count_total", function="ff_rtp_parse_packet") == forwarded


def test_a_replay_serves_what_was_recorded(recorded: tuple[Path, dict[str, float], int]) -> None:
    """`replay` serves the recording on /metrics until it is stopped, and then ends with 0."""
    file, live, _ = recorded
    port = free_tcp_port()
    process = subprocess.Popen(
        [*WITHOUT_PRIVILEGES, str(COMMAND), "replay", str(file), "--no-wait", "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:

        def served() -> bool:
            status, body = fetch(f"http://127.0.0.1:{port}/metrics")
            return status == 200 and of_targets(Exposition(body)) == live

        until(served, "it serves the end")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_a_damaged_recording_is_refused_in_one_sentence(
    recorded: tuple[Path, dict[str, float], int], tmp_path: Path
) -> None:
    """Cut off, of another kind, or missing: one message and the exit code for unusable input."""
    file, _, _ = recorded
    other = tmp_path / "other.jsonl"
    other.write_text('{"hello": 1}\n')
    garbage = tmp_path / "garbage.jsonl.gz"
    garbage.write_bytes(file.read_bytes()[:50])
    bad_line = tmp_path / "bad.jsonl"
    bad_line.write_bytes(gzip.decompress(file.read_bytes()) + b'{"broken": \n')
    for victim in (other, garbage, bad_line, tmp_path / "missing.jsonl"):
        ended = run_command("replay", str(victim), "--print")
        assert ended.returncode in {ExitCode.USAGE, ExitCode.NO_TARGET}, (victim, ended)
        assert ended.stderr.count("error: ") == 1
        assert victim.name in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_recording_is_never_overwritten(recorded: tuple[Path, dict[str, float], int]) -> None:
    """A file that exists is left as it is."""
    file, _, _ = recorded
    before = file.read_bytes()
    ended = run_command("record", str(file), "--name", "nothing-has-this-name", "--port", str(free_tcp_port()))
    assert ended.returncode == ExitCode.USAGE, ended
    assert "exists" in ended.stderr
    assert file.read_bytes() == before


def test_a_recording_that_cannot_be_completed_is_an_exit_code(tmp_path: Path) -> None:
    """On a full device the agent goes on measuring, says that the recording ended, and its exit code says so at last."""
    with Conversation("/usr/bin/python3", TARGETS / "speex_driver.py") as driver:
        running = AgentProcess(tmp_path, "--pid", str(driver.pid), command=("record", "/dev/full"))
        try:
            running.wait_until_ready()
            puts = driver.ask("run 10")["put"]["calls"]
            scraped = running.settled(driver.pid)
            assert scraped.total("jitterbuffer_calls_total", function="jitter_buffer_put", outcome="returned") == puts
            assert running.stop() == ExitCode.RESOURCES
        finally:
            running.kill()
        assert running.log().count("the recording ends here: No space left on device") == 1
