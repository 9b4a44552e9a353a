# SPDX-License-Identifier: Apache-2.0
"""The demo's FFmpeg processes: how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_jb.demo.ffmpeg import Receiver

if TYPE_CHECKING:
    from pathlib import Path


def test_a_receiver_that_waits_for_packets_ends_when_it_is_asked(tmp_path: Path) -> None:
    """FFmpeg, blocked in a read, ends by its own exit and is not killed."""
    receiver = Receiver(tmp_path)
    try:
        receiver.wait_until_listening()
    finally:
        receiver.stop()
    assert receiver.process.returncode == 255  # what FFmpeg returns after a signal; -9 if it had been killed
