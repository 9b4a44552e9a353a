# SPDX-License-Identifier: Apache-2.0
"""FFmpeg, speexdsp and oRTP in one run, three processes as they are installed: each count is its program's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.agent_process import TARGETS, Conversation, Exposition, agent, until
from tests.e2e.streams import LossyStream, MediaStream, SessionStatistics, make_sound

pytestmark = pytest.mark.e2e

ROUNDS = 3000


def test_three_programs_in_one_run_each_have_their_own_exact_counts(tmp_path: Path) -> None:
    """Counts, bytes, drops and return codes equal what the relay, the driver and mediastream say, under three pids."""
    make_sound(tmp_path / "sound.wav", 4)
    make_sound(tmp_path / "silence.wav", 0.1)
    listener = MediaStream(tmp_path, "listener", tmp_path / "silence.wav", loss_percent=5)
    talker = MediaStream(tmp_path, "talker", tmp_path / "sound.wav")
    try:
        with (
            LossyStream(tmp_path) as ffmpeg,
            Conversation("/usr/bin/python3", TARGETS / "speex_driver.py") as speex,
        ):
            # It hears nobody yet: the agent is attached before the first packet comes.
            listener.start(remote_port=talker.port)
            pids = (ffmpeg.pid, speex.pid, listener.pid)
            with agent(tmp_path, *(word for pid in pids for word in ("--pid", str(pid)))) as measuring:
                talker.start(remote_port=listener.port)
                played = speex.ask(f"run {ROUNDS}")
                relayed = ffmpeg.play(seconds=6)
                talker.end()
                listener.wait_until_read()
                # It polls its session for ever, but no packet comes any more.
                measuring.settled(listener.pid, "jitterbuffer_packet_count_total")
                session = listener.end()

                def retained() -> Exposition:
                    """What an ended process counted last is still served."""
                    scraped = measuring.scrape()
                    assert scraped.find("jitterbuffer_packet_count_total", pid=listener.pid), "forgotten"
                    return scraped

                scraped = until(retained, "the ended listener's counts")
    finally:
        listener.kill()
        talker.kill()

    assert {labels["pid"] for labels, _ in scraped.find("jitterbuffer_calls_total")} == {str(pid) for pid in pids}
    where = {"pid": ffmpeg.pid, "function": "ff_rtp_parse_packet"}
    assert scraped.value("jitterbuffer_packet_count_total", **where) == relayed.forwarded_packets
    assert scraped.value("jitterbuffer_bytes_total", **where) == relayed.forwarded_bytes
    # In this build no function shows which packets leave the queue, and those that pass at once are not the whole.
    assert not scraped.find("jitterbuffer_residence_seconds_count", pid=ffmpeg.pid)
    check_speexdsp(scraped, speex.pid, played)
    check_ortp(scraped, listener.pid, session)


def came_out(scraped: Exposition, **labels: object) -> float:
    """Packets that left buffers, matched with their put or not."""
    matched = scraped.total("jitterbuffer_residence_seconds_count", **labels)
    return matched + scraped.total("jitterbuffer_residence_unmatched_total", **labels)


def check_speexdsp(scraped: Exposition, pid: int, played: dict[str, Any]) -> None:
    """The driver knows what it put, what became of it, and what each get returned."""
    put = {"pid": pid, "function": "jitter_buffer_put"}
    assert played["put"]["late"] > 0
    assert scraped.value("jitterbuffer_packet_count_total", **put) == played["put"]["calls"]
    assert scraped.value("jitterbuffer_bytes_total", **put) == played["put"]["bytes"]
    assert scraped.value("jitterbuffer_dropped_packets_total", reason="late", **put) == played["put"]["late"]
    get = {"pid": pid, "function": "jitter_buffer_get"}
    returns = played["get"]["returns"]
    assert returns["1"] > 0  # nothing to play: a call, but no packet
    assert scraped.value("jitterbuffer_calls_total", outcome="returned", **get) == ROUNDS == sum(returns.values())
    assert scraped.value("jitterbuffer_packet_count_total", **get) == returns["0"]
    assert scraped.value("jitterbuffer_bytes_total", **get) == played["get"]["bytes"]
    residence = played["residence"]
    assert (
        scraped.value("jitterbuffer_residence_seconds_count", **get) == residence["packets"] == came_out(scraped, **get)
    )
    total_ns = scraped.total("jitterbuffer_residence_seconds_sum", **get) * 1e9
    assert residence["shortest_ns"] <= total_ns <= residence["longest_ns"]
    tick = {"pid": pid, "function": "jitter_buffer_tick"}
    assert scraped.value("jitterbuffer_calls_total", outcome="returned", **tick) == played["tick"]["calls"]
    assert not scraped.find("jitterbuffer_packet_count_total", **tick)


def check_ortp(scraped: Exposition, pid: int, session: SessionStatistics) -> None:
    """mediastream prints its session's own statistics when it ends."""
    assert session.packets > 100
    assert session.lost > 0  # the simulator is at work
    parse = {"pid": pid, "function": "rtp_session_rtp_parse"}
    put = {"pid": pid, "function": "rtp_putq"}
    assert scraped.value("jitterbuffer_packet_count_total", **parse) == session.packets
    assert scraped.value("jitterbuffer_bytes_total", **parse) == session.bytes
    assert scraped.value("jitterbuffer_dropped_packets_total", reason="late", **parse) == session.late
    assert scraped.value("jitterbuffer_packet_count_total", **put) == session.packets - session.late
    assert scraped.value("jitterbuffer_duplicated_packets_total", **put) == session.duplicated
