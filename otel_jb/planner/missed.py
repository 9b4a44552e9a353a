# SPDX-License-Identifier: Apache-2.0
"""Processes that are wanted and are not measured: those that cannot be, and those that wait for a library. Each is said once."""

from __future__ import annotations

import logging

from otel_jb.host.procfs import Process
from otel_jb.model.errors import AgentError, NamesAskedForError, NoFunctionError, NothingYetError
from otel_jb.planner.servers import Unmeasured, unmeasured

_logger = logging.getLogger(__name__)


class Missed:
    """What is known of them."""

    def __init__(self) -> None:
        self.unmeasured: dict[Process, Unmeasured] = {}  #: they run, should be measured and cannot be
        #: Named by their PID, with nothing to measure until they load a library; what to say of each.
        self.waiting: dict[Process, str] = {}
        # Of these, those whose debug files were asked for; why that was in vain.
        self._nameless: dict[Process, AgentError | None] = {}

    def wait_for(self, process: Process, error: NothingYetError) -> bool:
        """A process that was named by its PID has nothing to measure yet; whether that is news."""
        news = process not in self.waiting
        if news:
            until = "until it loads a library that has one"
            if isinstance(error, NamesAskedForError):
                self._nameless[process] = None
                until = "for it"
            _logger.info("%s; waiting %s", error.message, until, extra={"pid": process.pid, "target": process.name})
        self.waiting[process] = error.message
        return news

    def note(self, process: Process, error: AgentError, *, named: bool) -> None:
        """A process cannot be measured. Logs it as a warning if users would expect it to be, once per program."""
        missed = unmeasured(process, error, named=named)
        level = logging.DEBUG
        if missed is not None:
            known = {(each.executable or each.name) for each in self.unmeasured.values()}
            level = logging.DEBUG if not named and (missed.executable or missed.name) in known else logging.WARNING
            level = logging.DEBUG if process in self.unmeasured else level  # it was said
            self.unmeasured[process] = missed
        _logger.log(
            level,
            "%s (process %d) is not measured: %s%s",
            process.name,
            process.pid,
            error.message,
            f"; for a remedy, run: otel-jb doctor {process.pid}" if missed is not None else "",
            extra={"pid": process.pid, "target": process.name},
        )
        if process in self._nameless and isinstance(error, NoFunctionError):
            self._nameless[process] = error

    def in_vain(self) -> AgentError | None:
        """Why a process whose debug file was asked for cannot be measured even so."""
        return next((error for error in self._nameless.values() if error is not None), None)

    def measured(self, process: Process) -> None:
        """It is measured now, or is to be looked at again."""
        self.unmeasured.pop(process, None)
        self.waiting.pop(process, None)

    def forget(self, process: Process) -> None:
        """It has ended."""
        self.measured(process)
        self._nameless.pop(process, None)

    def clear(self) -> None:
        """Everything is selected and planned anew."""
        self.unmeasured.clear()
        self.waiting.clear()
        self._nameless.clear()
