# SPDX-License-Identifier: Apache-2.0
"""What an opened row shows that no table has: the verdict, and the last slow calls. Read from the tables of the agent's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from otel_jb.model.dataclass import dataclass
from otel_jb.model.text import printable

_Tables = Mapping[str, Mapping[str, Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who is at fault in a process's last `seconds`; no culprit: nothing is over a limit."""

    culprits: tuple[str, ...]  #: network, host, server
    findings: tuple[str, ...]  #: sentences, the strongest first
    missing: tuple[str, ...]  #: what is not known
    seconds: int


@dataclass(frozen=True, slots=True)
class SlowCall:
    """One call over the threshold."""

    function: str
    end_unix_ms: int
    took_ns: int
    thread: str
    stack: tuple[str, ...]  #: innermost first; empty: none could be read
    inside: tuple[tuple[str, int], ...]  #: probed calls, and what each took in ns
    share_ns: tuple[int, int, int] | None  #: ran, waited for a CPU, was blocked; None: not known
    may_yield: bool  #: that is not known because other coroutines may have run meanwhile


@dataclass(frozen=True, slots=True)
class Opened:
    """What belongs to one row.

    Attributes:
        verdict: None: there is none yet.
        slow_calls: the latest first.
        keeps_slow_calls: whether the agent keeps them one by one.
    """

    verdict: Verdict | None = None
    slow_calls: tuple[SlowCall, ...] = ()
    keeps_slow_calls: bool = True


def opened(head: Mapping[str, Any], tables: _Tables, key: tuple[int, str]) -> Opened:
    """What belongs to the row with this key, see `otel_jb.views.rows`.

    Raises KeyError, IndexError, TypeError or ValueError for tables that are not those of `otel_jb.views.page.tables`.
    """
    pid, name = key
    function, _, stream = name.partition("\0")
    of_pid = [number for number, row in tables["processes"].items() if row[1] == pid]
    if not of_pid:
        return Opened()
    target = of_pid[-1]  # the PID may be that of an ended process too, which was attached before
    series = {
        number: printable(str(row[1]))
        for number, row in tables["known"].items()
        if str(row[0]) == target and function in ("", row[1])
    }
    stacks = tables["stacks"]
    slow = [_slow_call(series[str(row[0])], row, stacks) for row in tables["slow"].values() if str(row[0]) in series]
    judged = tables["verdicts"].get(target)
    verdict = None if judged is None else _verdict(judged, stream)
    return Opened(verdict, tuple(reversed(slow)), bool(head.get("keeps_slow_calls")))


def _verdict(row: Sequence[Any], stream: str) -> Verdict:
    """Of a stream: what concerns it, or the whole process."""
    findings = [each for each in row[1] if not stream or each[4] in (None, stream)]
    return Verdict(
        culprits=tuple(dict.fromkeys(printable(str(each[1])) for each in findings)),
        findings=tuple(f"{printable(str(each[0]))} (limit {printable(str(each[2]))})" for each in findings),
        missing=tuple(printable(str(each)) for each in row[2]),
        seconds=int(row[3]),
    )


def _slow_call(function: str, row: Sequence[Any], stacks: Mapping[str, Sequence[Any]]) -> SlowCall:
    share = row[11]
    return SlowCall(
        function=function,
        end_unix_ms=int(row[1]),
        took_ns=int(row[2]),
        thread=printable(str(row[3])),
        stack=tuple(printable(line) for line in str(stacks[str(row[4])][0]).splitlines()),
        inside=tuple((printable(str(each[0])), int(each[1])) for each in row[6]),
        share_ns=None if share is None else (int(share[0]), int(share[1]), int(share[2])),
        may_yield=bool(row[12]),
    )
