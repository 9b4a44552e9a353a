# SPDX-License-Identifier: Apache-2.0
"""`otel-jb record FILE`: measure as `run` does, and keep everything that was measured in a file."""

from __future__ import annotations

import argparse
import dataclasses
import os

from otel_jb.cli import run as run_command
from otel_jb.cli import target

EXAMPLES = """\
examples:
  otel-jb record incident.jsonl.gz 1234                 takes the options of `otel-jb run`
  otel-jb replay incident.jsonl.gz                      works anywhere, without root

A file whose name ends in .gz is compressed. An existing file is never overwritten. Only its owner may read the file: slow
calls hold a piece of the target's stack (--slow-threshold off leaves them out).
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `record` to the main parser."""
    parser = subparsers.add_parser(
        "record",
        help="measure, and save everything to a file",
        description="Measure as `run` does, and write everything to FILE for `otel-jb replay`.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="new file to write (.gz: compressed)")
    target.add_arguments(parser, many=True)
    run_command.add_print_config(parser)
    run_command.add_wait(parser)
    run_command.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Measure until stopped. Raises AgentError."""
    with run_command.early_children(args):
        config = dataclasses.replace(run_command.configuration(args, os.environ), record_to=args.file)
        return run_command.run_with(config, args)
