# SPDX-License-Identifier: Apache-2.0
"""Where the BPF sources are: beside the package in the wheel, at the top of the tree in a checkout."""

from __future__ import annotations

import re
from pathlib import Path

from otel_jb.model.errors import UnsupportedError

PROGRAM = "otel_jb.bpf.c"


def bpf_directory() -> Path:
    """The directory that holds the BPF program, its headers and the header shim.

    A checkout's own `bpf/` comes first: an editable installation may leave an older copy among the installed packages.
    Raises UnsupportedError where the installation is incomplete.
    """
    package = Path(__file__).resolve().parents[2]
    for directory in (package.parent / "bpf", package / "bpf"):
        if (directory / PROGRAM).is_file():
            return directory
    raise UnsupportedError(
        f"the BPF program {PROGRAM} is not part of this installation",
        "Install the project again: pip install --force-reinstall otel-jb, or from a complete checkout.",
    )


def program_text(directory: Path) -> str:
    """The program as one text, with its parts (`#include "ends.c"`) in their places; headers stay includes. Raises OSError.

    BCC turns look-ups in maps into calls only in the text that it is given, not in what that includes.
    """
    made = []
    for number, line in enumerate((directory / PROGRAM).read_text(encoding="utf-8").splitlines(), 1):
        part = re.fullmatch(r'#include "(\w+\.c)"', line)
        if part is None:
            made.append(line)
        else:  # what the compiler says then names the file and the line in it
            inside = (directory / part[1]).read_text(encoding="utf-8").removesuffix("\n")
            made += [f'#line 1 "{part[1]}"', inside, f'#line {number + 1} "{PROGRAM}"']
    return "\n".join(made) + "\n"
