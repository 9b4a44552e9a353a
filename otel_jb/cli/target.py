# SPDX-License-Identifier: Apache-2.0
"""The meaning of TARGET: one rule for every command that takes one.

- digits alone are a PID (`./1234` is a file of that name);
- what has a slash in it, or names a file in this directory, is a file;
- everything else is the name of an executable, of as many processes as run one of that name; `*` and `?` work.

`--pid`, `--binary` and `--name` are the explicit forms.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import shlex
import shutil
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_jb.cli.words import meant
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import PermissionDeniedError, TargetError, UsageError

if TYPE_CHECKING:
    from otel_jb.config.model import TargetSelector
    from otel_jb.host.procfs import Process

HELP = "a PID, a file, or the name of an executable (globs work)"


@dataclass(frozen=True, slots=True)
class Target:
    """What the user named; exactly one of the three is set."""

    pid: int | None = None
    file: str | None = None
    name: str | None = None  #: of an executable, or a glob

    def __str__(self) -> str:
        return str(self.pid) if self.pid is not None else (self.file or self.name or "")


def parse(text: str) -> Target:
    """Interpret a word. Raises TargetError for a number that is not a PID, PermissionDeniedError, UsageError."""
    from otel_jb.host import procfs

    if not text or "\0" in text:
        raise UsageError("the target is empty", f"TARGET is {HELP}.")
    if text.isdecimal():
        return Target(pid=procfs.parse_pid(text))
    if "/" in text or _is_here(text):
        return Target(file=text)
    return Target(name=text)


def _is_here(text: str) -> bool:
    """Whether the current directory has a file of that name."""
    try:
        os.lstat(text)
    except PermissionError as error:
        raise _denied(text) from error
    except (OSError, ValueError):
        return False
    return True


def add_arguments(parser: argparse.ArgumentParser, *, many: bool, purpose: str = "") -> None:
    """Add TARGET to a command: at most one, or several."""
    parser.add_argument(
        "targets" if many else "target",
        metavar="TARGET",
        nargs="*" if many else "?",
        help=f"{HELP}{purpose}",
    )


def add_options(group: argparse._ActionsContainer) -> None:
    """Add `--pid`, `--binary` and `--name`."""
    group.add_argument("--pid", metavar="PID", type=_pid, action="append", help="this process; repeatable")
    group.add_argument(
        "--binary",
        metavar="PATH",
        action="append",
        help="processes that run this file or map it as a library; repeatable",
    )
    group.add_argument(
        "--name", metavar="GLOB", action="append", help="processes whose executable has this name; repeatable"
    )


def add_conditions(group: argparse._ActionsContainer) -> None:
    """Add the options that narrow the selection of processes; all conditions must hold."""
    for option, metavar, help_text in _CONDITIONS:
        kind = _port if option == "--uses-port" else str
        group.add_argument(option, dest=_dest(option), metavar=metavar, help=help_text, type=kind)
    group.add_argument(
        "--label",
        metavar="KEY=VALUE",
        action="append",
        type=_label,
        help="only if their container or pod has this label; repeatable",
    )


#: option, metavar, help
_CONDITIONS = (
    ("--command", "GLOB", "only if their command line matches: '*rtsp://cam7/*'"),
    ("--user", "NAME", "only if they run as this user (name or number)"),
    ("--uses-port", "PORT", "only if they listen on this TCP port or are bound to this UDP port"),
    ("--cgroup", "GLOB", "only if their cgroup matches: '*/srs.service'"),
    ("--container", "GLOB|ID", "only if their container has this name, or an id that starts with this"),
    ("--namespace", "GLOB", "only if their pod is in this Kubernetes namespace"),
    ("--pod", "GLOB", "only if their Kubernetes pod has this name"),
)


def _dest(option: str) -> str:
    return f"only_{option[2:].replace('-', '_')}"  # `command` and `port` already have another meaning


def conditions(args: argparse.Namespace) -> dict[str, Any]:
    """These options as keys of a target in the configuration."""
    found = {option[2:]: getattr(args, _dest(option), None) for option, _, _ in _CONDITIONS}
    found["port"] = found.pop("uses-port")
    found = {key: value for key, value in found.items() if value is not None}
    if getattr(args, "label", None):
        found["labels"] = dict(args.label)
    return found


def given(args: argparse.Namespace) -> list[Target]:
    """Everything that the command line names, by TARGET and by options. Raises what `parse` raises."""
    words = getattr(args, "targets", None) or []
    single = getattr(args, "target", None)
    return [
        *(parse(word) for word in ([single] if single is not None else words)),
        *(Target(pid=pid) for pid in getattr(args, "pid", None) or ()),
        *(Target(file=path) for path in getattr(args, "binary", None) or ()),
        *(Target(name=name) for name in getattr(args, "name", None) or ()),
    ]


def only(args: argparse.Namespace) -> Target | None:
    """The only target that the command line names, or None. Raises UsageError for several."""
    targets = given(args)
    if len(targets) > 1:
        raise UsageError(f"only one target at a time: {', '.join(map(str, targets))}", f"TARGET is {HELP}.")
    return targets[0] if targets else None


def real_path(file: str) -> str:
    """The path with its links resolved. Raises PermissionDeniedError if they may not be followed (/proc/PID/root)."""
    try:
        return os.path.realpath(file)
    except PermissionError as error:
        raise _denied(str(error.filename or file)) from error
    except OSError:
        return file  # opening the file will report the error


def _denied(path: str) -> PermissionDeniedError:
    return PermissionDeniedError(f"{path}: permission denied", "Run as root, or as a user who may read the file.")


def selectors(targets: list[Target], service_name: str | None, also: dict[str, Any]) -> tuple[TargetSelector, ...]:
    """The same for the configuration; `also`: further conditions for each, which can stand alone. Raises UsageError."""
    from otel_jb.config.model import TargetSelector

    if also and not targets:
        targets = [Target()]
    try:
        return tuple(
            TargetSelector(pid=each.pid, binary=each.file, name=each.name, service_name=service_name, **also)
            for each in targets
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def processes(target: Target) -> list[Process]:
    """The processes with a PID or a name, sorted by PID. Raises TargetError if there is none."""
    from otel_jb.host import procfs

    if target.pid is not None:
        return [procfs.process(target.pid)]
    assert target.name is not None
    every = sorted((each for each in procfs.processes() if each.pid != os.getpid()), key=lambda each: each.pid)
    found = [each for each in every if fnmatch.fnmatchcase(each.name, target.name)]
    if not found:
        raise _nobody(target.name, sorted({each.name for each in every}))
    return found


def process(target: Target) -> Process:
    """The only process with a PID or a name. Raises TargetError if there is none, UsageError if there are several."""
    found = processes(target)
    if len(found) > 1:
        some = ", ".join(str(each.pid) for each in found[:8]) + (" …" if len(found) > 8 else "")
        raise UsageError(f"{len(found)} processes are called {target.name}", f"Name one by its PID: {some}")
    return found[0]


def _nobody(name: str, running: list[str]) -> TargetError:
    file, close = shutil.which(name), meant(name, running)
    advice = []
    if file:
        advice.append(f"Did you mean the file {file}?")
    if close:
        advice.append(f"Did you mean {close}, which is running?")
    return TargetError(
        f"no process called {name} is running, and no file here has that name",
        "\n".join(advice) or "`otel-jb discover` lists the processes that can be measured.",
    )


def where_it_may_be(missing: str) -> str:
    """Commands for the files that were probably meant by a path that does not exist; "" if there are none."""
    path = Path(missing)
    try:
        beside = [each.name for each in islice(path.parent.iterdir(), 10_000)]
    except OSError:
        beside = []
    close = meant(path.name, beside)
    found = [str(path.parent / close)] if close else []
    on_path = shutil.which(path.name) if path.name else None
    found += [on_path] if on_path and on_path not in found else []
    return "\n".join(f"otel-jb discover {shlex.quote(each)}    if that is the file" for each in found)


def _port(text: str) -> int:
    if text.isdecimal() and 0 < int(text[:6]) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text[:60]!r}")


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if key and equals:
        return key, value
    raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text[:60]!r}")


def _pid(text: str) -> int:
    if text.isdecimal() and len(text) <= 9 and int(text) > 0:
        return int(text)
    if len(text.split()) > 1 and all(word.isdecimal() for word in text.split()):
        raise argparse.ArgumentTypeError(f"expected one process id, got {text[:60]!r}; --pid can be repeated")
    named = "; a name goes with --name" if text[:1].isalpha() else ""
    raise argparse.ArgumentTypeError(f"expected a process id, got {text[:60]!r}{named}")
