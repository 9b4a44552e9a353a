# SPDX-License-Identifier: Apache-2.0
"""The words that the user typed: their command, how to repeat it, and suggestions for mistyped ones."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from otel_jb.model.closest import closest

#: Each is a module of this package with `add_parser(subparsers)` and `run(args) -> int`, in the order of `--help`.
COMMANDS = (
    "demo",
    "top",
    "discover",
    "doctor",
    "plan",
    "run",
    "record",
    "replay",
    "why",
    "layout",
    "profile",
    "help",
    "version",
)

#: Commands of other tools that people may try.
_SYNONYMS = {
    "attach": "run",
    "check": "doctor",
    "config": "run --print-config",
    "exporter": "run",
    "find": "discover",
    "info": "discover",
    "list": "discover",
    "ls": "discover",
    "measure": "run",
    "monitor": "top",
    "serve": "run",
    "show": "discover",
    "start": "run",
    "status": "doctor",
    "test": "doctor",
    "trace": "run",
    "watch": "top",
}
#: Options of `run` with a value that change nothing about what is looked for in a process's files.
_WITH_VALUE = frozenset(
    (
        *(
            "--pid",
            "--detail",
            "--inferred",
            "--max-probes",
            "--end-strategy",
            "--link",
            "--overhead-budget",
            "--interval",
        ),
        *("--histogram", "--slow-threshold", "--traces", "--streams", "--flight-recorder", "--retain", "--max-series"),
        *(
            "--inherit-attributes",
            "--listen",
            "--port",
            "--web-config",
            "--otlp-endpoint",
            "--otlp-protocol",
            "--otlp-header",
        ),
        *("--log-level", "--log-format", "--service-name", "--clock-rate", "--sdp", "--exclude"),
    )
)
_OF_THE_PROGRAM = ("-h", "--help", "--version")  #: options of the program rather than of a command
_SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")  #: where sudo looks
_OURS = re.compile(rf"(?<![\w/.-])otel-jb(?= (?:{'|'.join(COMMANDS)}|--help)\b)")


def with_command(words: Sequence[str]) -> list[str]:
    """The words, with `run` inserted if an option takes the command's place: `otel-jb --pid 1234`."""
    place = next((number for number, word in enumerate(words) if word != "--debug"), None)
    if place is None or not words[place].startswith("-") or words[place] in _OF_THE_PROGRAM:
        return list(words)
    return [*words[:place], "run", *words[place:]]


def command_of(words: Sequence[str]) -> str | None:
    """The command, known or not; None if there is none."""
    return next((word for word in words if not word.startswith("-")), None)


def only_pid(words: Sequence[str]) -> int | None:
    """The PID by which the words of a command name one process, and nothing else that is to be looked for; None if they may do otherwise."""
    found = []
    left = iter(words)
    next(left, None)  # the command
    for word in left:
        option, equals, value = word.partition("=")
        if option in _WITH_VALUE:
            value = value if equals else next(left, "")
            if option == "--pid":
                found.append(value)
        elif word not in ("--wait", "--debug"):
            found.append(word)
    return int(found[0]) if len(found) == 1 and found[0].isdecimal() and len(found[0]) < 10 else None


def program() -> str:
    """How to start this program again, including after `sudo`: its name, its script in the checkout, or its path."""
    started = Path(sys.argv[0]).absolute()
    if started.name != "otel-jb":  # python -m otel_jb, or a test
        return "otel-jb"
    found = shutil.which("otel-jb", path=os.pathsep.join(_SYSTEM_PATH))
    if found is not None and Path(found).resolve() == started.resolve():
        return "otel-jb"
    script = started.parent.parent.parent / "scripts" / "otel-jb"
    shown = script if started.parent.parent.name == ".venv" and script.exists() else started
    try:
        return shlex.quote(str(shown.relative_to(Path.cwd())))
    except (ValueError, OSError):
        return shlex.quote(str(shown))


def named_as_typed(text: str) -> str:
    """A remedy in which every `otel-jb COMMAND` is replaced by what works from here."""
    name = program()
    return _OURS.sub(lambda _: name, text)


def again(words: Sequence[str], *without: str) -> str:
    """The typed command line, without these options and their values."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in without:
            skip = True
        elif not word.startswith(tuple(f"{option}=" for option in without)):
            kept.append(word)
    return shlex.join(["otel-jb", *kept])


def meant(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most similar to this one, or None."""
    found = closest(word.lower(), known)
    return found[0] if found else None


def meant_command(word: str) -> str | None:
    """The command that the user probably wants."""
    return _SYNONYMS.get(word.lower()) or meant(word, COMMANDS)
