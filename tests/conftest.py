# SPDX-License-Identifier: Apache-2.0
"""What holds for every test: its kind, its docstring, and that no kind passes by running nothing."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

KINDS = ("unit", "bpf", "e2e")
TESTS = Path(__file__).parent
#: How long .ci/run should take at most, all of it, with its cache filled.
CI_MINUTES = 35

# Agents that tests start find their modules compiled, as they are where the project is installed; else each start takes half a second of CPU
# more, and its three processes 7 MB.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

_executed = pytest.StashKey[Counter[str]]()
_skipped = pytest.StashKey[list[str]]()
_complaints = pytest.StashKey[list[str]]()


# How long one example takes says nothing here: the machine has more to do.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_executed] = Counter()
    config.stash[_skipped] = []
    config.stash[_complaints] = []


def _kind(item: pytest.Item) -> str:
    """A test is of the kind that its directory is named after, or of the one that it is marked with."""
    marked = [kind for kind in KINDS if item.get_closest_marker(kind)]
    if len(marked) == 1:
        return marked[0]
    directory = item.path.relative_to(TESTS).parts[0]
    if marked or directory not in KINDS:
        raise pytest.UsageError(f"{item.nodeid}: mark it with exactly one of {', '.join(KINDS)}, or move it")
    item.add_marker(directory)
    return directory


# Before pytest's own hook, which deselects by the markers that are added here.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        _kind(item)
        if isinstance(item, pytest.Function) and not (item.function.__doc__ or "").strip():
            raise pytest.UsageError(
                f"{item.nodeid}: a test's docstring is one sentence of behaviour; this one has none"
            )


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("bpf") and os.geteuid() != 0:
        pytest.fail("tests marked bpf need root; leave them out with -m unit", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and not report.skipped:
        item.config.stash[_executed][_kind(item)] += 1
    elif report.skipped and not hasattr(report, "wasxfail"):
        item.config.stash[_skipped].append(f"{item.nodeid} ({_kind(item)})")
    return report


def _required(config: pytest.Config) -> tuple[str, ...]:
    """The kinds that must have run something: in CI those asked for by `-m KIND`, all of them where nothing is selected."""
    if not os.environ.get("CI"):
        return ()
    expression = str(config.getoption("markexpr"))
    if expression:
        return tuple(
            kind for kind in KINDS if kind in expression.replace("(", " ").split(" ") and "not" not in expression
        )
    narrowed = config.getoption("keyword") or config.args_source is pytest.Config.ArgsSource.ARGS
    return () if narrowed or config.getoption("collectonly") else KINDS


# Sets the exit status before the terminal's hook prints the closing line.
@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    complaints = config.stash[_complaints]
    complaints += [
        f"no test of kind {kind} was executed" for kind in _required(config) if not config.stash[_executed][kind]
    ]
    if os.environ.get("CI"):
        complaints += [f"skipped, which CI does not accept: {name}" for name in config.stash[_skipped]]
    if complaints:
        # Not TESTS_FAILED: to run the failed tests again would not help.
        session.exitstatus = pytest.ExitCode.INTERRUPTED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    executed = config.stash[_executed]
    terminalreporter.write_line("executed: " + ", ".join(f"{executed[kind]} {kind}" for kind in KINDS))
    minutes = (time.time() - float(os.environ.get("OTEL_JB_CI_STARTED") or time.time())) / 60
    if minutes > CI_MINUTES:
        terminalreporter.write_line(f"warning: CI took {minutes:.0f} minutes, more than {CI_MINUTES}", yellow=True)
    for complaint in config.stash[_complaints]:
        terminalreporter.write_line(f"FAILED {complaint}", red=True)
