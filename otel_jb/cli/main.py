# SPDX-License-Identifier: Apache-2.0
"""`otel-jb`: parses the arguments, runs the command, and turns errors into a message and an exit code."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import importlib
import os
import shlex
import signal
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import NoReturn

from otel_jb import __version__
from otel_jb.cli import corrections, descriptors, exitcodes, output, words
from otel_jb.cli.words import COMMANDS
from otel_jb.model.errors import AgentError, ConfigError, ExitCode, TargetError, UsageError
from otel_jb.model.shortage import shortage_of
from otel_jb.model.text import printable, printable_lines

DESCRIPTION = """\
Measure the jitter buffers of media servers that are already running (FFmpeg, SRS, speexdsp, oRTP, PJSIP, Asterisk,
rtpengine, Janus and others) with eBPF uprobes, and serve the result to Prometheus and OpenTelemetry.
"""
EXAMPLES = """\
examples:
  otel-jb doctor                        check this machine, and show what is missing
  otel-jb discover /usr/bin/ffmpeg      list the functions that can be measured
  sudo otel-jb run                      measure every process that a profile recognises
  sudo otel-jb --pid 1234               measure this one (without a command, options mean `run`)
  curl http://127.0.0.1:9310/metrics    see the result

otel-jb COMMAND --help explains each command.
"""
_MEASURE = ("run", "record")  #: commands that read files of processes at once
_WITHOUT = frozenset({"-h", "--help", "--version", "--print-config"})  #: options with which they do not


class Parser(argparse.ArgumentParser):
    """Raises UsageError instead of exiting, so that only one place prints and exits."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"{self.prog} --help explains the options")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, of the program's own arguments where none are given; returns its exit code and never raises."""
    output.prepare()
    typed = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in typed
    try:
        arguments = words.with_command(typed)
        with _sandbox_for(arguments) if argv is None else contextlib.nullcontext():
            code = _run(arguments, typed)
        output.finish()
        return code
    except AgentError as error:
        return _fail(error, debug=debug)
    except KeyboardInterrupt:
        return exitcodes.INTERRUPTED
    except BrokenPipeError:
        output.give_up(1)  # the reader (`| head`) has seen enough
        return int(ExitCode.OK)
    except Exception as error:  # noqa: BLE001 - the last resort: a defect is one line, not a traceback
        shortage = shortage_of(error)
        if shortage is not None:
            with contextlib.suppress(AgentError, BrokenPipeError):
                output.finish()
            return _fail(shortage, debug=debug)
        if debug:
            _traceback()
        text = " ".join(str(error).split())
        _complain(
            f"internal error: {type(error).__name__}{': ' if text else ''}{textwrap.shorten(text, 500)}",
            "" if debug else "This is a bug in otel-jb; --debug shows where. Please report it.",
        )
        return int(ExitCode.INTERNAL)


def entry() -> NoReturn:
    """The installed program."""
    descriptors.reopen()
    code = main()
    # Python gives signals their default effect while it ends, which takes up to a second: a SIGTERM then would hide the exit code. It
    # runs these after it has waited for threads, so nothing is left that could last.
    atexit.register(lambda: [signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)])
    sys.exit(code)


@contextlib.contextmanager
def _sandbox_for(arguments: list[str]) -> Iterator[None]:
    """A sandbox for a command that will need one, started first of all: what this process imports before that, all of its processes hold."""
    if words.command_of(arguments) not in _MEASURE or not _WITHOUT.isdisjoint(arguments):
        yield
        return
    from otel_jb.host.memory import collect_seldom
    from otel_jb.sandbox import client

    collect_seldom()
    with contextlib.suppress(AgentError, OSError):  # the command itself tries again, and says why not
        client.start_early()
        _look_early(arguments)
    try:
        yield
    finally:
        client.end_early()


def _look_early(arguments: list[str]) -> None:
    """Have the sandbox search a process's files while this one imports what reads its configuration, if they are all that is to be searched."""
    pid = words.only_pid(arguments) if words.command_of(arguments) == "run" else None
    if pid is not None and not any(name.startswith("OTEL_JB_") for name in os.environ):
        from otel_jb.planner import first_look

        first_look.begin_with(pid)


def _run(arguments: list[str], typed: list[str]) -> int:
    command = words.command_of(arguments)
    if command is not None and command not in COMMANDS:
        raise _unknown_command(command)
    parser = _parser(arguments)
    try:
        args, others = parser.parse_known_args(arguments)
    except SystemExit as stop:  # --help and --version; errors are UsageError
        return int(stop.code or 0)
    except UsageError as error:
        raise _corrected(error, parser, command, arguments) from None
    if args.subcommand is None:
        parser.print_help()
        return int(ExitCode.OK)
    _take_the_rest(parser, args, others, arguments)
    if arguments != typed:
        _refuse_late_command(args, typed)
    args.typed = arguments
    module = importlib.import_module(f"otel_jb.cli.{args.subcommand}")
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
    commands = parser.add_subparsers(dest="subcommand", metavar="COMMAND", title="commands")
    # Import only the named command, for a faster start and first probe.
    named = words.command_of(arguments)
    wanted = (named,) if named in COMMANDS else () if "--version" in arguments else COMMANDS
    for name in wanted:
        importlib.import_module(f"otel_jb.cli.{name}").add_parser(commands)
    for command in set(commands.choices.values()):
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def _corrected(error: UsageError, parser: Parser, command: str | None, arguments: list[str]) -> UsageError:
    """The error with the right command in its help: the typed one corrected, or what the command's own help begins with."""
    message, right = error.message, None
    if command is not None:
        right = _accepted(parser, arguments, message)
    if command is not None and message.startswith("the following arguments are required"):
        named = [each for each in _command(parser, command)._actions if not each.option_strings and each.nargs is None]  # noqa: SLF001
        message = f"{command} needs a {' and a '.join(str(each.metavar) for each in named)}"
        right = _first_example(parser, command)
    return UsageError(message, f"{right}\n{error.help}" if right else error.help)


def _accepted(parser: Parser, arguments: list[str], message: str) -> str | None:
    """The corrected command line that the parser accepts; if another option is wrong too, the first one that was thought of."""
    guesses = [corrections.with_value(arguments, message, repair=repair) for repair in (True, False)]
    for guess in guesses:
        with contextlib.suppress(UsageError, SystemExit):
            if guess is not None:
                parser.parse_known_args(shlex.split(guess)[1:])
                return guess
    return guesses[0]


def _take_the_rest(parser: Parser, args: argparse.Namespace, others: list[str], arguments: list[str]) -> None:
    """Handle words that argparse left over: targets after an option, or a mistake. Raises UsageError."""
    command: str = args.subcommand
    explained = f"otel-jb {command} --help explains the options"
    for word in others:
        if word.startswith("-"):
            option = word.partition("=")[0]
            if option in {"-V", "--version"}:
                raise UsageError(f"{command} has no option {option}", "otel-jb version")
            known = [
                name
                for each in _command(parser, command)._actions  # noqa: SLF001
                for name in each.option_strings
                if each.help != argparse.SUPPRESS
            ]
            close = corrections.option_named(option, known)
            raise UsageError(
                f"{command} has no option {option[:60]}" + (f"; did you mean {close}?" if close else ""),
                f"{corrections.with_option(arguments, option, close)}\n{explained}" if close else explained,
            )
    if hasattr(args, "targets"):
        args.targets = [*args.targets, *others]
    elif others:
        kept = list(arguments)
        for word in others:
            kept.reverse()
            kept.remove(word)
            kept.reverse()
        raise UsageError(f"{command} does not take {others[0][:60]!r}", f"{words.again(kept)}\n{explained}")


def _command(parser: Parser, command: str) -> argparse.ArgumentParser:
    """The parser of one command; argparse offers no public way to it."""
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            found: argparse.ArgumentParser = action.choices[command]
            return found
    raise LookupError(command)


def _first_example(parser: Parser, command: str) -> str:
    """The first example of the command's help."""
    lines = (_command(parser, command).epilog or "").splitlines()
    return next((line.strip() for line in lines if line.startswith("  otel-jb ")), "")


def _unknown_command(word: str) -> UsageError:
    if word.isdecimal() or "/" in word:
        return UsageError(
            f"{word[:60]!r} is no command",
            f"otel-jb run {word[:200]}         measures it\notel-jb discover {word[:200]}    shows what can be measured",
        )
    close = words.meant_command(word)
    return UsageError(
        f"no command is called {word[:60]!r}" + (f"; did you mean {close!r}?" if close else ""),
        "otel-jb --help lists the commands",
    )


def _refuse_late_command(args: argparse.Namespace, typed: list[str]) -> None:
    """`otel-jb --port 1 doctor` means the command doctor, not a program of that name."""
    late = next((word for word in args.targets if word in COMMANDS), None)
    if late is not None:
        others = [word for word in typed if word != late]
        raise UsageError("the command comes before its options", words.again([late, *others]))


def _fail(error: AgentError, *, debug: bool) -> int:
    if debug:
        _traceback()
    help_text = error.help
    if isinstance(error, TargetError) and error.message.endswith(": no such file"):
        from otel_jb.cli import target

        help_text = target.where_it_may_be(error.message.removesuffix(": no such file")) or help_text
    elif isinstance(error, ConfigError) and not help_text:
        help_text = "otel-jb run --print-config    prints every key, as a file to start from (docs/configuration.md)"
    _complain(f"error: {error.message}", words.named_as_typed(help_text))
    return int(error.exit_code)


def _complain(message: str, help_text: str) -> None:
    try:
        print(f"otel-jb: {printable(message, 4096)}", file=sys.stderr)
        if help_text:
            print(textwrap.indent(printable_lines(help_text.rstrip()), "    "), file=sys.stderr)
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        output.give_up(2)  # there is nowhere left to print


def _traceback() -> None:
    import traceback

    traceback.print_exc()
