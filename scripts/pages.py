#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the man pages and the shell completions, both generated from the argument parser, into a directory as packages have them.

pages.py DIRECTORY: usr/share/man/man1/otel-jb*.1.gz, and usr/share/{bash-completion,zsh,fish}/... below it.
Needs argparse-manpage and shtab, which scripts/package installs.
"""

from __future__ import annotations

import argparse
import gzip
import re
import sys
from pathlib import Path

import shtab
from argparse_manpage.manpage import Manpage

from otel_jb import __version__
from otel_jb.cli.main import _parser

COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/otel-jb",
    "zsh": "usr/share/zsh/vendor-completions/_otel-jb",
    "fish": "usr/share/fish/vendor_completions.d/otel-jb.fish",
}
SHORT = "measure the jitter buffers of running media servers"
_FILES = {"FILE", "PATH"}  #: metavars of arguments that are files


def main() -> None:
    """Write everything."""
    directory = Path(sys.argv[1])
    parser = _parser([])
    see_also = "\n.SH SEE ALSO\n" + ", ".join(f"{name.replace(' ', '-')}(1)" for name in commands(parser)) + "\n"
    for name, each in {**commands(parser), "otel-jb": _parser(["--version"])}.items():
        target = directory / "usr/share/man/man1" / f"{name.replace(' ', '-')}.1.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress((page(name, each).rstrip() + see_also).encode(), 9, mtime=0))
    parser = _parser([])  # writing pages has changed the other one
    for each in commands(parser).values():
        for action in each._actions:  # noqa: SLF001 - argparse offers no other way
            if action.metavar in _FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    for shell, place in COMPLETIONS.items():
        target = directory / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(shtab.complete(parser, shell=shell))


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The program and each of its commands, by name."""
    found = {"otel-jb": parser}
    for action in parser._actions:  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            found |= {f"otel-jb {name}": each for name, each in action.choices.items()}
    return found


def page(name: str, parser: argparse.ArgumentParser) -> str:
    """One man page, in groff. The examples of the help, which are laid out with spaces, are a section of their own."""
    epilog, parser.epilog = parser.epilog or "", None
    described = Manpage(parser, format="single-commands-section")
    described.prog = name.replace(" ", "-")
    described.source = f"otel-jb {__version__}"
    described.manual = "otel-jb"
    described.description = SHORT if name == "otel-jb" else (parser.description or "").split(". ")[0].rstrip(".")
    text = str(described)
    parser.epilog = epilog
    examples = "\n".join(_escaped(line) for line in epilog.rstrip().splitlines())
    return f"{text.rstrip()}\n.SH NOTES\n.nf\n{examples}\n.fi\n" if examples else text


def _escaped(line: str) -> str:
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", line)


if __name__ == "__main__":
    main()
