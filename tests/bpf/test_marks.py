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
        (mark.provider, mark.name, f"{place.address:x}", bool(place.semaphore), mark.arguments)
        for mark in usdt.read(image)
        for place in mark.places
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
    data[lost.places[0].offset] = 0x55
    assert [mark.name for mark in usdt.read(Image.from_bytes(bytes(data), "changed"))] == ["packet"]


PROFILE = """
profile: marked
title: A server whose marks have arguments
functions:
  - name: usdt:server:packet
    role: put
    stream: arg1
    bytes: arg2
    depth: i32 arg4
    outcomes:
      - {is: duplicate, when: arg3 == -2}
      - {is: drop, reason: late, when: arg3 == -1}
  - {name: "usdt:server:leaf", role: get, stream: arg1, bytes: arg2, packet_when: arg3 == -3 and arg4 - arg1 == 3}
"""


@pytest.mark.parametrize(("link", "optimised"), [(link, "-O0") for link in LINKS] + [(LINKS[0], "-O2")])
def test_the_arguments_of_marks_are_values(
    link: str, optimised: str, compile_program: Compile, start: Callable[..., Child], tmp_path: Path
) -> None:
    """Bytes, drops and duplicates equal the program's own account, wherever each place has its arguments; a leaf's values stay as they are."""
    profile = tmp_path / "marked.yaml"
    profile.write_text(PROFILE)
    child = start(compile_program("marked.c", optimised))
    config = Config(
        targets=(TargetSelector(pid=child.pid),), profiles=(str(profile),), link=LinkKind(link), listen=None
    )
    agent = Running(config)
    try:
        agent.wait(lambda: len(agent.of(Target)) == 1, "it is attached")
        packets, size, late, duplicates, leaf = map(int, child.ask("3000").split())
        agent.agent.read()
        (seen,) = agent.agent.state.view().targets
        values = {each.series.function: each.values for each in seen.series}
        packet = values["usdt:server:packet"]
        assert (packet.packets, packet.bytes, packet.drops, packet.duplicates) == (packets, size, (late,), duplicates)
        assert leaf == 3000 * 28
        assert (values["usdt:server:leaf"].packets, values["usdt:server:leaf"].bytes) == (3000, 7 * 3000)
    finally:
        agent.close()
    assert child.close() == 0


GARBAGE = """
import gc, sys
gc.disable()
gc.collect()
print("ready", flush=True)
for line in sys.stdin:
    found = []
    for number in range(int(line)):
        for _ in range(number):
            cycle = []
            cycle.append(cycle)
        cycle = None
        found.append(gc.collect())
    print(len(found), sum(found), flush=True)
"""


def test_the_marks_of_a_program_as_it_is_installed(start: Callable[..., Child], tmp_path: Path) -> None:
    """The distribution's Python tells what each garbage collection found; it passes its marks only while their semaphores are raised."""
    profile = tmp_path / "python.yaml"
    profile.write_text(
        "profile: collections\ntitle: Garbage collections\nfunctions:\n"
        "  - {name: 'usdt:python:gc__done', role: get, bytes: arg1}\n"
    )
    child = start(Path("/usr/bin/python3"), "-c", GARBAGE)
    assert child.ask("10").split()[0] == "10"
    config = Config(targets=(TargetSelector(pid=child.pid),), profiles=(str(profile),), listen=None)
    agent = Running(config)
    try:
        agent.wait(lambda: len(agent.of(Target)) == 1, "it is attached")
        collections, objects = map(int, child.ask("50").split())
        assert (collections, objects) == (50, sum(range(50)))
        agent.agent.read()
        (seen,) = agent.agent.state.view().targets
        (done,) = [each.values for each in seen.series]
        assert (done.packets, done.bytes) == (collections, objects)
    finally:
        agent.close()
    child.ask("1")
    assert child.close() == 0


def test_a_mark_of_five_bytes_is_none(compile_program: Compile) -> None:
    """The kernel would make a call of it, which writes where a leaf keeps its values."""
    program = compile_program("marked.c", "-O2", '-DNOP=".byte 0x0f, 0x1f, 0x44, 0, 0"')
    assert usdt.read(Image.from_file(program)) == ()
