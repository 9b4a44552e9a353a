# SPDX-License-Identifier: Apache-2.0
"""Files are searched before what plans them is imported, and the planner's question finds its answer."""

from __future__ import annotations

import argparse
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from otel_jb.catalog import load
from otel_jb.catalog.names import sought
from otel_jb.cli import main, run, words
from otel_jb.config.model import Config, TargetSelector
from otel_jb.host import procfs
from otel_jb.planner import first_look
from otel_jb.planner.planner import Planner
from otel_jb.sandbox import client, report
from otel_jb.sandbox.client import Inspector

pytestmark = pytest.mark.unit


def now(_files: Sequence[int], **_arguments: Any) -> int:
    """Runs in the sandbox: when it was asked."""
    return time.monotonic_ns()


NOW = "otel_jb.sandbox.report:now"


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_text("as it was")
    opened = os.open(tmp_path / "file", os.O_RDWR)
    yield opened
    os.close(opened)


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch, file: int) -> Iterator[int]:
    """When an early question had been answered."""
    monkeypatch.setattr(report, "now", now, raising=False)
    client.start_early()
    client.ask_early(NOW, [file], word="one")
    question = client._early[0].question
    assert question is not None
    assert select.select([question.reading], [], [], 30)[0]
    yield time.monotonic_ns()
    client.end_early()


def test_the_first_question_finds_the_answer_to_the_same_early_one(answered: int, file: int) -> None:
    """It was answered before it was asked; the next one is asked anew."""
    with Inspector() as inspector:
        assert inspector.call(NOW, [file], word="one") < answered
        assert inspector.call(NOW, [file], word="one") > answered


def test_another_question_is_asked_anew(answered: int, file: int) -> None:
    """An early answer is nobody's who did not ask that."""
    with Inspector() as inspector:
        assert inspector.call(NOW, [file], word="two") > answered


def test_a_file_that_was_changed_is_read_anew(answered: int, file: int) -> None:
    """What was read of it before is no answer any more."""
    os.write(file, b"other")
    os.utime(file, ns=(1, 1))
    with Inspector() as inspector:
        assert inspector.call(NOW, [file], word="one") > answered


def test_an_early_question_that_nobody_asks_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch, file: int) -> None:
    """Neither where the sandbox was not used, nor where it was not asked."""
    monkeypatch.setattr(report, "now", now, raising=False)
    before = len(list(Path("/proc/self/fd").iterdir()))
    client.start_early()
    client.ask_early(NOW, [file])
    client.end_early()
    client.start_early()
    client.ask_early(NOW, [file])
    Inspector().close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_is_sought_is_what_the_catalogue_says() -> None:
    """The names in the text of the profiles are those of the profiles that are read from it, in their order."""
    catalog = load()
    names = sought()
    assert (names.patterns, names.telltales, names.has_marks) == (
        catalog.patterns(),
        catalog.telltales(),
        catalog.has_marks,
    )


@pytest.mark.parametrize("include", [(), ("jitter*",)])
def test_the_planner_asks_what_was_asked_first(monkeypatch: pytest.MonkeyPatch, include: tuple[str, ...]) -> None:
    """Of a process that is named by its PID, the first request of the planner is one that is answered already."""
    program = [sys.executable, "-c", "print('ready', flush=True); input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"  # it has mapped its libraries
        config = Config(targets=(TargetSelector(pid=process.pid),))
        config = replace(config, functions=replace(config.functions, include=include))
        client.start_early()
        first_look.begin(config)
        assert client._early[0].question is not None
        sent = []
        real = client._sent

        def counted(send: Any, request: bytes, files: Sequence[int]) -> int:
            sent.append(request)
            return real(send, request, files)

        monkeypatch.setattr(client, "_sent", counted)
        with Inspector() as inspector:
            Planner(config, inspector).examine_process(procfs.process(process.pid))
        assert not any(b"read_each" in request for request in sent)
        process.communicate("\n")


@pytest.mark.parametrize(
    ("typed", "pid"),
    [
        ("run 12", 12),
        ("run --pid 12", 12),
        ("run --pid=12 --wait --port 0 --interval 1s", 12),
        ("run --port 7 12", 12),
        ("run --pid 12 --otlp-header a=b --slow-threshold=1ms", 12),
        ("run", None),
        ("run srs", None),
        ("run 12 13", None),
        ("run 12 --pid 13", None),
        ("run --pid 12 --function put", None),
        ("run --pid 12 --profile mine.yaml", None),
        ("run --pid 12 --config a.yaml", None),
        ("run --pid 12 --usdt a:b", None),
        ("run --pid 12 --command x", None),
        ("run --pid", None),
        ("run --port 12", None),
        ("run 99999999999999999999", None),
    ],
)
def test_words_that_name_one_process_and_nothing_else(typed: str, pid: int | None) -> None:
    """Only where the words themselves tell what will be asked first is it asked before they are parsed."""
    assert words.only_pid(typed.split()) == pid


def test_options_that_are_passed_over_take_one_value() -> None:
    """Each option that changes nothing about what is looked for is one of `run`, with one value."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    run.add_parser(parser.add_subparsers())
    actions = main._command(cast("main.Parser", parser), "run")._actions
    known = {option: action for action in actions for option in action.option_strings}
    for option in words._WITH_VALUE:
        assert known[option].nargs is None, option
        assert not isinstance(known[option], argparse._StoreTrueAction), option


def escape(_files: Sequence[int], **_arguments: Any) -> list[list[str]]:
    """Runs in the sandbox: what can be done there."""
    said = []
    for attempt in (lambda: open("/etc/passwd"), socket.socket, os.fork, lambda: os.kill(1, 0)):  # noqa: SIM115
        try:
            attempt()
            said.append("done")
        except OSError as error:
            said.append(type(error).__name__)
    return [said]


def test_what_is_begun_while_the_server_imports_is_confined(monkeypatch: pytest.MonkeyPatch, file: int) -> None:
    """A search that comes before the server has imported everything runs with as few rights as one that comes later."""
    monkeypatch.setattr(report, "read_each", escape)
    client.start_early()
    client.ask_early(report._READ_EACH, [file], word="early")
    with Inspector() as inspector:
        early = inspector.call(report._READ_EACH, [file], word="early")
        late = inspector.call(report._READ_EACH, [file], word="late")
    assert early == late
    assert "done" not in early[0]


def test_the_servers_first_requests_are_all_answered(monkeypatch: pytest.MonkeyPatch, file: int) -> None:
    """Requests that come while it imports are begun with or wait; none is lost, whatever comes first."""
    monkeypatch.setattr(report, "now", now, raising=False)
    for first in (NOW, report._READ_EACH):
        monkeypatch.setattr(report, "read_each", now)
        client.start_early()
        client.ask_early(first, [file], word="one")
        with Inspector() as inspector:
            assert inspector.call(report._READ_EACH, [file], word="two") > 0
            assert inspector.call(NOW, [file], word="three") > 0
            assert inspector.call(first, [file], word="one") > 0
