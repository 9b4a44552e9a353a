# SPDX-License-Identifier: Apache-2.0
"""Has the sandbox search the files of a process that is named by its PID before what plans it is imported.

The search takes a third of the time to the first probe where the program is large, and needs nothing but names. So it runs beside the
imports, on another processor. It changes nothing but when it is done: the planner asks the same later and finds it answered.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from otel_jb.catalog.names import sought
from otel_jb.host import procfs
from otel_jb.model.errors import AgentError
from otel_jb.planner.mapped import asked, open_foreign, paths, worth_reading
from otel_jb.sandbox.limits import MAX_FILES
from otel_jb.sandbox.report import ask_early

if TYPE_CHECKING:
    from otel_jb.config.model import Config


def begin(config: Config) -> None:
    """Ask, if it is known what will be asked first. Whatever is wrong with the process or its files is for the planner to say."""
    pids = {selector.pid for selector in config.targets}
    if len(pids) != 1 or None in pids or config.profiles:
        return
    with suppress(AgentError), ExitStack() as stack:
        process = procfs.process(*(pid for pid in pids if pid is not None))
        names, own = sought(), asked(config)
        everything = bool(own or config.usdt or names.has_marks)
        files: dict[tuple[int, int], tuple[int, str]] = {}
        for path, file in worth_reading(process, paths(process), everything=everything):
            with suppress(AgentError):
                opened = open_foreign(path)
                stack.callback(os.close, opened)
                status = os.fstat(opened)
                files.setdefault((status.st_dev, status.st_ino), (opened, file.path))
            if len(files) == MAX_FILES:
                break
        ask_early(list(files.values()), (*names.patterns, *own), names.telltales)
