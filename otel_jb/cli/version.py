# SPDX-License-Identifier: Apache-2.0
"""`otel-jb version`: the same as `--version`."""

from __future__ import annotations

import argparse

from otel_jb import __version__
from otel_jb.model.errors import ExitCode


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `version` to the main parser."""
    subparsers.add_parser(
        "version",
        help="print the version",
        description="Print the version.",
        epilog="example:\n  otel-jb version",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def run(args: argparse.Namespace) -> int:
    """Print name and version."""
    del args
    print(f"otel-jb {__version__}")
    return int(ExitCode.OK)
