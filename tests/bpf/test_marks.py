# SPDX-License-Identifier: Apache-2.0
"""USDT probes: marks that a program's authors left, counted by name."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_jb.config.model import Config, LinkKind, TargetSelector
from otel_jb.elf import usdt
from otel_jb.elf.image import Image
from otel_jb.model.stream import Target
from tests.bpf.conftest import LINKS, Child, Compile
from tests.bpf.test_agent import Running
from tests.bpf.test_counting import entries

pytestmark = pytest.mark.bpf


def test_marks_are_those_that_readelf_shows(compile_program: Compile) -> None:
    """Provider, name, places, semaphore and arguments of each mark."""
    program = compile_program("marks.c", "-O1", "-no-pie")
    shown = subprocess.run(["readelf", "-n", program], check=True, capture_output=True, text=True).stdout
    by_readelf = re.findall(
        r"Provider: (\S+)\n\s+Name: (\S+)\n\s+Location: 0x0*([0-9a-f]+), Base: \S+ Semaphore: 0x([0-9a-f]+)\n\s+Arguments: (\S+)",
        shown,
    )
    image = Image.from_file(program)
    ours = [
        (mark.provider, mark.name, f"{address:x}", bool(semaphore), mark.arguments)
        for mark in usdt.read(image)
        for address, _, semaphore in mark.places
    ]
    assert sorted(ours) == sorted((*each[:3], int(each[3], 16) != 0, each[4]) for each in by_readelf)
    assert len(ours) == 3


@pytest.mark.parametrize("link", LINKS)
def test_hits_of_marks_are_counted_while_their_semaphore_is_raised(
    link: str, compile_program: Compile, start: Callable[..., Child]
) -> None:
    """At all places of a mark; the program sees that somebody listens, and no longer once nobody does."""
    child = start(compile_program("marks.c", "-O1"))
    assert child.ask("10") == "done 0"
    config = Config(targets=(TargetSelector(pid=child.pid),), usdt=("server:*",), link=LinkKind(link), listen=None)
    agent = Running(config)
    try:
        agent.wait(lambda: len(agent.of(Target)) == 1, "it is attached")
        assert child.ask("1000") == "done 2"  # raised once for each place
        agent.agent.read()
        (seen,) = agent.agent.state.view().targets
        assert {each.series.function: entries(each.values) for each in seen.series} == {
            "usdt:server:packet": 1500,
            "usdt:server:lost": 750,
        }
    finally:
        agent.close()
    assert child.ask("1") == "done 0"
    assert child.close() == 0


def test_a_mark_that_is_no_nop_is_none(compile_program: Compile, tmp_path: Path) -> None:
    """A place whose instruction was changed is never probed: it may be inside another one."""
    program = compile_program("marks.c", "-O1", "-no-pie")
    image = Image.from_file(program)
    data = bytearray(program.read_bytes())
    (lost,) = [mark for mark in usdt.read(image) if mark.name == "lost"]
    data[lost.places[0][1]] = 0x55
    assert [mark.name for mark in usdt.read(Image.from_bytes(bytes(data), "changed"))] == ["packet"]
