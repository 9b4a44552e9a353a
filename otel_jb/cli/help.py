# SPDX-License-Identifier: Apache-2.0
"""`otel-jb help [COMMAND]`: the same as `--help`."""

from __future__ import annotations

import argparse

from otel_jb.cli.words import COMMANDS, meant_command
from otel_jb.model.errors import UsageError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `help` to the main parser."""
    parser = subparsers.add_parser(
        "help",
        help="explain a command",
        description="Explain a command, or list all commands.",
        epilog="examples:\n  otel-jb help\n  otel-jb help run",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("topic", metavar="COMMAND", nargs="?", help="the command to explain (default: all)")


def run(args: argparse.Namespace) -> int:
    """Print the help. Raises UsageError for an unknown command."""
    from otel_jb.cli.main import main

    if args.topic is None:
        return main(["--help"])
    if args.topic not in COMMANDS:
        close = meant_command(args.topic)
        raise UsageError(
            f"no command is called {args.topic[:60]!r}" + (f"; did you mean {close!r}?" if close else ""),
            "otel-jb help lists the commands",
        )
    return main([args.topic, "--help"])
