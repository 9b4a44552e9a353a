# SPDX-License-Identifier: Apache-2.0
"""Has the sandbox search the files of a process that is named by its PID before what plans it is imported.

The search takes a third of the time to the first probe where the program is large, and needs nothing but names. So it runs beside the
imports, on another processor. It changes nothing but when it is done: the planner asks the same later and finds it answered.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from otel_jb.catalog.names import sought
from otel_jb.host import procfs
from otel_jb.model.errors import AgentError
from otel_jb.planner.mapped import asked, open_foreign, paths, worth_reading
from otel_jb.sandbox.client import was_asked
from otel_jb.sandbox.limits import MAX_FILES
from otel_jb.sandbox.report import ask_early

if TYPE_CHECKING:
    from otel_jb.config.model import Config


def begin(config: Config) -> None:
    """Ask, if it is known what will be asked first. Whatever is wrong with the process or its files is for the planner to say."""
    pids = {selector.pid for selector in config.targets}
    pid = pids.pop() if len(pids) == 1 else None
    if pid is not None and not config.profiles:
        begin_with(pid, asked(config), everything=bool(config.usdt))


def begin_with(pid: int, functions: Sequence[str] = (), *, everything: bool = False) -> None:
    """Ask for the files of one process, by shipped profiles and names of functions; nothing where that was done. `everything`: also of
    libraries that have no jitter buffer.
    """
    if was_asked():
        return
    with suppress(AgentError), ExitStack() as stack:
        process = procfs.process(pid)
        names = sought()
        files: dict[tuple[int, int], tuple[int, str]] = {}
        wanted = worth_reading(process, paths(process), everything=bool(functions or everything or names.has_marks))
        for path, file in wanted:
            with suppress(AgentError):
                opened = open_foreign(path)
                stack.callback(os.close, opened)
                status = os.fstat(opened)
                files.setdefault((status.st_dev, status.st_ino), (opened, file.path))
            if len(files) == MAX_FILES:
                break
        ask_early(list(files.values()), (*names.patterns, *functions), names.telltales)
