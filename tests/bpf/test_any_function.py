# SPDX-License-Identifier: Apache-2.0
"""Functions that no profile knows, measured because the user named them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_jb.config.model import Config, Functions, TargetSelector
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import find
from otel_jb.model.stream import Series, Target
from tests.bpf.conftest import Child, Compile
from tests.bpf.test_agent import Running
from tests.bpf.test_counting import entries

pytestmark = pytest.mark.bpf


def test_a_function_is_counted_by_name_and_without_one_by_its_address(
    compile_program: Compile, start: Callable[..., Child], tmp_path: Path
) -> None:
    """Exactly, from four threads: in a program with names, in the same stripped, and in a system library."""
    named = compile_program("calls.c", "-O1")
    stripped = tmp_path / "stripped"
    shutil.copy(named, stripped)
    subprocess.run(["strip", stripped], check=True)
    (put,) = find(Image.from_file(named), ["put"])
    place = f"stripped+{put.address:#x}"
    children = [start(path) for path in (named, stripped)]
    config = Config(
        targets=tuple(TargetSelector(pid=child.pid) for child in children),
        functions=Functions(include=("put", place, "pthread_create")),
        listen=None,
    )
    agent = Running(config)
    try:
        agent.wait(lambda: len(agent.of(Target)) == 2, "both are attached")
        for number, child in enumerate(children, 1):
            assert child.ask(f"{number * 1000} 4") == "done"
        assert agent.returned("put", children[0].pid) == 4000
        assert agent.returned(place, children[1].pid) == 8000
        assert [agent.returned("pthread_create", child.pid) for child in children] == [4, 4]
        assert {record.role for record in agent.records if isinstance(record, Series)} == {"other"}
    finally:
        agent.close()


def test_functions_that_keep_their_return_address_do_their_target_no_harm(
    compile_program: Compile, start: Callable[..., Child]
) -> None:
    """setjmp and swapcontext come back twice by the address that they found; it is left as it is, and the calls are counted."""
    child = start(compile_program("saved_return.c", "-O1"))
    names = ("_setjmp", "__sigsetjmp", "getcontext", "swapcontext")
    agent = Running(Config(targets=(TargetSelector(pid=child.pid),), functions=Functions(include=names), listen=None))
    try:
        agent.wait(lambda: len(agent.of(Target)) == 1, "it is attached")
        assert child.ask("500") == "done"
        assert child.ask("500") == "done"
        agent.agent.read()
        (seen,) = agent.agent.state.view().targets
        entered = {each.series.function: entries(each.values) for each in seen.series}
        assert entered["_setjmp"] == 1000
        assert entered["swapcontext"] == 2000
        strategies = {record.strategy for record in agent.records if isinstance(record, Series)}
        assert "uretprobe" not in strategies
    finally:
        agent.close()
    assert child.close() == 0
