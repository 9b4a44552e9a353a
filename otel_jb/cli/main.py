"""`otel-jb`: parses the arguments, runs the command, and turns what it raises into a message and an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import textwrap
from collections.abc import Sequence
from typing import NoReturn

from otel_jb import __version__
from otel_jb.cli import exitcodes
from otel_jb.model.errors import AgentError, ExitCode, UsageError
from otel_jb.model.text import printable, printable_lines

#: Each is a module of this package with `add_parser(subparsers)` and `run(args) -> int`, in the order of `--help`.
COMMANDS = ("demo", "discover", "doctor", "plan", "run", "record", "replay")

DESCRIPTION = """\
Measure the jitter buffers of media servers that are already compiled and running (FFmpeg, SRS, speexdsp,
oRTP, PJSIP, Asterisk, rtpengine, Janus, ...), by uprobes, and serve the result to Prometheus and OpenTelemetry.
"""
EXAMPLES = """\
examples:
  otel-jb doctor                        is this machine ready, and what is missing?
  otel-jb discover /usr/bin/ffmpeg      which functions can be measured?
  sudo otel-jb run                      measure every process that a profile recognises
  sudo otel-jb run --pid 1234           measure this one
  curl http://127.0.0.1:9310/metrics    see the result

otel-jb COMMAND --help explains each command.
"""


class Parser(argparse.ArgumentParser):
    """Raises UsageError instead of ending the process, so that one place prints and exits."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"{self.prog} --help explains the options")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and never raises."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except AgentError as error:
        if debug:
            _traceback()
        _complain(f"error: {error.message}", error.help)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return exitcodes.INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has seen enough. What is still buffered must not raise again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return int(ExitCode.OK)
    except Exception as error:  # noqa: BLE001 - the last resort: a defect is one line, not a traceback
        if debug:
            _traceback()
        text = " ".join(str(error).split())
        _complain(
            f"internal error: {type(error).__name__}{': ' if text else ''}{textwrap.shorten(text, 500)}",
            "" if debug else "this is a defect of otel-jb: --debug shows where; please report it",
        )
        return int(ExitCode.INTERNAL)


def entry() -> NoReturn:
    """The installed program."""
    sys.exit(main())


def _run(arguments: list[str]) -> int:
    parser = _parser(arguments)
    try:
        args = parser.parse_args(arguments)
    except SystemExit as stop:  # --help and --version; errors are UsageError
        return int(stop.code or 0)
    if args.command is None:
        parser.print_help()
        return int(ExitCode.OK)
    module = importlib.import_module(f"otel_jb.cli.{args.command}")
    return int(module.run(args))


def _parser(arguments: list[str]) -> Parser:
    parser = Parser(
        prog="otel-jb",
        description=DESCRIPTION,
        epilog=f"{EXAMPLES}\n{exitcodes.plain()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"otel-jb {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    # The command that is named is the only one that is imported: every start, and the first probe, is the faster for it.
    named = next((word for word in arguments if not word.startswith("-")), None)
    wanted = (named,) if named in COMMANDS else () if "--version" in arguments else COMMANDS
    for name in wanted:
        importlib.import_module(f"otel_jb.cli.{name}").add_parser(commands)
    for command in set(commands.choices.values()):
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _complain(message: str, help_text: str) -> None:
    try:
        print(f"otel-jb: {printable(message, 4096)}", file=sys.stderr)
        if help_text:
            print(textwrap.indent(printable_lines(help_text.rstrip()), "    "), file=sys.stderr)
        sys.stderr.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _traceback() -> None:
    import traceback

    traceback.print_exc()
