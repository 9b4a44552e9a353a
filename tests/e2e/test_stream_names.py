# SPDX-License-Identifier: Apache-2.0
"""Streams of a running program whose names are swapped, freed, used again, or chosen to do harm: no label is wrong, and every packet counts once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.agent_process import TARGETS, AgentProcess, Conversation, agent, until

pytestmark = pytest.mark.e2e

PROFILE = """\
profile: named-streams
title: Streams with names
functions:
  - name: put
    role: put
    primary: true
    returns: i32
    stream: arg1
    bytes: i32 arg3
    rtp: arg2
    stream_name:
      - {text: ptr @ stream, length: u64 @ stream + 8}
"""
#: In labels, where no name is known.
SSRC = ("ssrc:00000001", "ssrc:00000002")


class Scene:
    """The program, which is told what happens, and what the agent says of it."""

    def __init__(self, program: Conversation, measuring: AgentProcess) -> None:
        self._program, self._measuring = program, measuring
        self._next = [1, 1]

    def tell(self, *lines: str) -> None:
        for line in lines:
            self._program.ask(line)

    def name(self, stream: int, name: bytes) -> None:
        self.tell(f"name {stream} {name.hex()}")

    def put(self, stream: int, count: int) -> None:
        self.tell(f"put {stream} {self._next[stream]} {count}")
        self._next[stream] += count

    def counted(self) -> dict[str, int]:
        """Packets by label, of those that have any."""
        found = self._measuring.scrape().find("rtp_packets_received_total", pid=self._program.pid)
        return {labels["stream"]: int(value) for labels, value in found if value}

    def expect(self, wanted: dict[str, int]) -> None:
        """Wait until the labels have these counts, and no other label has any."""
        until(lambda: self.counted() == wanted, f"{wanted}; before: {self.counted()}")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    """Make a scene whose two streams have these names."""
    built, profile = tmp_path / "named_streams", tmp_path / "profile.yaml"
    subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", built, TARGETS / "named_streams.c"], check=True)
    profile.write_text(PROFILE)
    with Conversation(built) as program:
        options = ("--pid", str(program.pid), "--profile", str(profile), "--interval", "500ms")
        with agent(tmp_path, *options) as measuring:

            def make(first: bytes, second: bytes) -> Scene:
                made = Scene(program, measuring)
                made.name(0, first)
                made.name(1, second)
                return made

            yield make


def test_streams_that_swap_names_count_under_what_they_are_called(scene: Callable[..., Scene]) -> None:
    """What came before stays under the old name, what comes then is under the new one, and the sum is that of all packets."""
    play = scene(b"live/a", b"live/b")
    play.put(0, 10)
    play.put(1, 20)
    play.expect({"live/a": 10, "live/b": 20})
    play.tell("swap")
    play.put(0, 3)
    play.put(1, 4)
    play.expect({"live/a": 14, "live/b": 23})


def test_a_name_ends_with_its_memory_and_nothing_else_takes_its_place(scene: Callable[..., Scene]) -> None:
    """Where a name's memory is gone its stream counts under the SSRC; where other memory bears another name then, under that."""
    play = scene(b"live/a", b"live/b")
    play.put(0, 10)
    play.expect({"live/a": 10})
    play.tell("free 0")
    play.put(0, 5)
    play.expect({"live/a": 10, SSRC[0]: 5})
    play.name(0, b"live/c")
    play.put(0, 7)
    play.expect({"live/a": 10, "live/c": 7, SSRC[0]: 5})


@pytest.mark.parametrize(
    "name",
    ["pad 0 1b5b324a 2560", "pad 0 616161 2000", "name 0 6c6976650a66616b65", "name 0 fffefd", "name 0 5f6f74686572"],
    ids=["10 KB of escapes", "6 KB of letters", "a line end", "no UTF-8", "the agent's own word"],
)
def test_a_name_that_is_none_leaves_the_ssrc(scene: Callable[..., Scene], name: str) -> None:
    """Neither a part of it nor its escapes are ever a label, beside a stream whose name is one."""
    play = scene(b"live/a", b"live/b")
    play.tell(name)
    play.put(0, 5)
    play.put(1, 6)
    play.expect({"live/b": 6, SSRC[0]: 5})
