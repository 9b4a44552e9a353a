# SPDX-License-Identifier: Apache-2.0
"""`otel-jb discover` without a target: the processes of this host that `run` would measure, and a summary of the others.

Processes that would be measured come first, one line per program. Everything else is folded into a line each.
"""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from otel_jb.catalog.spec import Role
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AgentError, ElfError, PermissionDeniedError, TargetError
from otel_jb.model.text import printable
from otel_jb.planner.servers import Unmeasured, is_server

if TYPE_CHECKING:
    from otel_jb.cli.progress import Progress
    from otel_jb.host.procfs import Process
    from otel_jb.model.plan import Probe
    from otel_jb.planner.planner import Planner

_HEADS = ("PROGRAM", "PROCESSES", "FUNCTIONS", "PRIMARY")
_PIDS = 4  #: maximum number of process ids listed per program
_PRIMARIES = 3
_NAMES = 6


@dataclass(frozen=True, slots=True)
class Measured:
    """A process that `run` would measure."""

    pid: int
    name: str
    functions: int
    primary: tuple[str, ...]  #: the functions that dashboards count


@dataclass(slots=True)
class Host:
    """The processes of this host, by what can be done with them."""

    looked_at: int = 0
    measured: list[Measured] = field(default_factory=list)
    by_name: list[tuple[int, str]] = field(default_factory=list)  #: would be measured if they were named: (pid, name)
    unmeasured: list[Unmeasured] = field(default_factory=list)  #: media servers that cannot be measured
    unreadable: list[tuple[int, str]] = field(default_factory=list)  #: damaged or hostile files: (pid, why)
    not_permitted: list[int] = field(default_factory=list)


def look(planner: Planner, progress: Progress) -> Host:
    """Examine every process; takes as long as reading their files."""
    from otel_jb.host import procfs

    host = Host()
    processes = sorted(
        (each for each in procfs.processes() if each.pid != os.getpid()),
        key=lambda each: (not is_server(each.name), each.pid),
    )
    for number, process in enumerate(processes):
        found = len(host.measured)
        progress(
            f"examined {number} of {len(processes)} processes, {found} can be measured; now {printable(process.name)}"
        )
        _look_at(planner, process, host)
    return host


def _look_at(planner: Planner, process: Process, host: Host) -> None:
    from otel_jb.planner.planner import no_function

    try:
        examined, plan = planner.examined_plan(process, named=False)
    except PermissionDeniedError:
        host.not_permitted.append(process.pid)
        return
    except ElfError as error:
        host.unreadable.append((process.pid, error.message))
        return
    except TargetError:
        return  # it ended
    host.looked_at += 1
    if plan.probes:
        host.measured.append(Measured(process.pid, process.name, len(plan.probes), _primary(plan.probes)))
    elif any(match.function.generic for each in examined for match in each.matches):
        host.by_name.append((process.pid, process.name))
    elif is_server(process.name):
        why: AgentError = no_function(process.name, f"process {process.pid}", examined, plan)
        host.unmeasured.append(Unmeasured(process.pid, process.name, process.executable, why.message))


def _primary(probes: Iterable[Probe]) -> tuple[str, ...]:
    """The functions that dashboards count, those that move packets first."""
    primary = [probe for probe in probes if probe.primary]
    order = [role.value for role in Role]
    return tuple(probe.function for probe in sorted(primary, key=lambda each: order.index(each.role)))


def lines(host: Host, width: int, *, root: bool) -> Iterator[str]:
    """The listing for people. `root`: this is root, so more privileges would not help."""
    if host.measured:
        yield f"`otel-jb run` measures {_count(len(host.measured), 'process', 'processes')} here:"
        yield ""
        yield from _table(host.measured, width)
        yield ""
        yield from _wrapped(
            f"`otel-jb discover {host.measured[0].pid}` lists the functions of a process, and how each is probed.",
            width,
        )
    else:
        yield f"None of the {host.looked_at} processes here has a jitter-buffer function that a profile knows."
    if host.unmeasured:
        some = _listed([str(each) for each in host.unmeasured])
        yield from _wrapped(
            f"Cannot be measured as {'it is' if len(host.unmeasured) == 1 else 'they are'}: {some}. "
            f"`otel-jb doctor {host.unmeasured[0].pid}` says what helps.",
            width,
        )
    if host.by_name:
        some = _listed([f"{printable(name)} ({pid})" for pid, name in host.by_name])
        yield from _wrapped(
            f"No profile, but names like a jitter buffer's: {some}. `otel-jb run {host.by_name[0][0]}` measures them.",
            width,
        )
    for pid, why in host.unreadable[:_NAMES]:
        yield from _wrapped(f"Cannot be read: process {pid}: {printable(why)}", width)
    if host.not_permitted:
        count = _count(len(host.not_permitted), "process", "processes")
        some = _listed([str(pid) for pid in host.not_permitted])
        yield from _wrapped(
            f"{count} cannot be read, even by root: {some}. A security module or another namespace protects them."
            if root
            else f"{count} of other users could not be read: run as root (sudo) to see them.",
            width,
        )
    others = host.looked_at - len(host.measured) - len(host.by_name) - len(host.unmeasured)
    if host.measured and others > 0:
        yield f"{_count(others, 'other process has', 'other processes have')} no jitter-buffer function (--all lists them)."


def _table(measured: Sequence[Measured], width: int) -> Iterator[str]:
    groups: dict[tuple[str, int, tuple[str, ...]], list[int]] = {}
    for each in measured:
        groups.setdefault((each.name, each.functions, each.primary), []).append(each.pid)
    rows = [
        (printable(name), _pids(pids), str(functions), _few(list(primary), _PRIMARIES))
        for (name, functions, primary), pids in groups.items()
    ]
    widths = [max(len(row[column]) for row in [_HEADS, *rows]) for column in range(3)]
    for row in [_HEADS, *rows]:
        text = f"  {row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}"
        yield text if len(text) <= width else text[: width - 1] + "…"


def _pids(pids: Sequence[int]) -> str:
    some = ", ".join(map(str, pids[:_PIDS]))
    return some if len(pids) <= _PIDS else f"{len(pids)}: {some}, …"


def _listed(texts: Sequence[str]) -> str:
    """The texts, with equal ones listed once with their count."""
    return _few(list(Counter(texts)), _NAMES)


def _few(texts: Sequence[str], most: int) -> str:
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
