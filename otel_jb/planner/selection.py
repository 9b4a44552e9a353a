# SPDX-License-Identifier: Apache-2.0
"""Selects processes. Cheap conditions are checked first; a condition that cannot be checked counts as false."""

from __future__ import annotations

import pwd
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from otel_jb.host import container, procfs
from otel_jb.host.container_names import container_of
from otel_jb.host.procfs import Process
from otel_jb.host.sockets import bound_ports

if TYPE_CHECKING:
    from otel_jb.config.model import Config, TargetSelector


def means(selector: TargetSelector, process: Process, runs: Callable[[Process, str], bool]) -> bool:
    """Whether the process meets all of the selector's conditions. `runs`: whether it runs or maps the file of a path."""
    return all(_answers(selector, process, runs))


def selector_of(config: Config, process: Process, runs: Callable[[Process, str], bool]) -> TargetSelector | None:
    """The first selector that means this process."""
    return next((selector for selector in config.targets if means(selector, process, runs)), None)


def changes(selector: TargetSelector) -> bool:
    """Whether a process may start to match without executing another program: by opening a port, or by moving to a cgroup."""
    return selector.port is not None or selector.cgroup is not None


def pids_alone(targets: Sequence[TargetSelector]) -> frozenset[int] | None:
    """The PIDs that are named, where nothing but PIDs is: then no other process need be looked at. None otherwise."""
    pids = [selector.pid for selector in targets]
    return frozenset(pid for pid in pids if pid is not None) if pids and None not in pids else None


def of_running_only(selector: TargetSelector) -> bool:
    """Whether it has a condition that can be checked only while the process runs."""
    return bool(selector.conditions().keys() - {"pid", "binary", "name"})


def what_selects(config: Config) -> tuple[object, ...]:
    """What decides which functions of which processes are measured."""
    return (
        config.targets,
        config.functions,
        config.profiles,
        config.detail,
        config.max_probes,
        config.pairs,
        config.usdt,
    )


def said_of(selector: TargetSelector | None) -> tuple[object, ...]:
    """What a selector says of the processes that it means."""
    return (
        (selector.service_name, selector.attributes, selector.pid is None) if selector is not None else (None, {}, True)
    )


def _answers(selector: TargetSelector, process: Process, runs: Callable[[Process, str], bool]) -> Iterator[bool]:
    pid = process.pid
    if selector.pid is not None:
        yield selector.pid == pid
    if selector.name is not None:
        yield fnmatchcase(process.name, selector.name)
    if selector.command is not None:
        yield fnmatchcase(procfs.command_line(pid), selector.command)
    if selector.user is not None:
        yield _user_id(selector.user) == procfs.user_id(pid)
    if selector.cgroup is not None:
        yield any(fnmatchcase(path, selector.cgroup) for path in container.cgroups(pid))
    if selector.binary is not None:
        yield runs(process, selector.binary)
    if selector.container or selector.namespace or selector.pod or selector.labels:
        yield _is_in(selector, pid)
    if selector.port is not None:
        yield selector.port in bound_ports(pid)


def _user_id(user: str) -> int:
    """The number of a user; -1, which no process has, if there is no such user (yet)."""
    if user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return -1


def _is_in(selector: TargetSelector, pid: int) -> bool:
    found = container_of(pid)
    if found is None:
        return False
    wanted = selector.container
    return (
        (wanted is None or fnmatchcase(found.name, wanted) or (len(wanted) >= 4 and found.id.startswith(wanted)))
        and (selector.namespace is None or fnmatchcase(found.namespace, selector.namespace))
        and (selector.pod is None or fnmatchcase(found.pod, selector.pod))
        and all(found.labels.get(key) == value for key, value in selector.labels.items())
    )
