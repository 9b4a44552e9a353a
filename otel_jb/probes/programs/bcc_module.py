# SPDX-License-Identifier: Apache-2.0
"""Finds the distribution's `bcc` and distinguishes it from PyPI's package of the same name.

The real one is pure Python over libbcc.so.0 and is seen only by the system's own Python, so it is loaded by its path into
whatever Python runs the agent. PyPI's `bcc` is an unrelated crystal-lattice package; nothing here ever imports by name.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

from otel_jb.model.errors import UnsupportedError

CANDIDATES = (
    "/usr/lib/python3/dist-packages/bcc",  # Debian, Ubuntu
    "/usr/lib/python3*/site-packages/bcc",  # Fedora, RHEL, Arch
    "/usr/lib64/python3*/site-packages/bcc",
    "/usr/local/lib/python3*/dist-packages/bcc",
)

REMEDY = (
    "Install the distribution's package:\n"
    "  Debian, Ubuntu:  apt-get install python3-bpfcc\n"
    "  Fedora, RHEL:    dnf install python3-bcc\n"
    "The package called `bcc` on PyPI is something else and does not help."
)


def _glob(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern))  # noqa: PTH207 - Path.glob takes no absolute pattern


def find(globbed: Callable[[str], list[str]] = _glob, exists: Callable[[str], bool] = os.path.exists) -> str | None:
    """The directory of the distribution's `bcc`, or None: the package that has a `libbcc.py` in it.

    `doctor` passes its own view of the file system, so that it looks where the loading looks.
    """
    for pattern in CANDIDATES:
        for place in reversed(globbed(pattern)):
            if exists(f"{place}/libbcc.py"):
                return place
    return None


def impostors(module_path: Sequence[str] | None = None, exists: Callable[[str], bool] = os.path.exists) -> list[str]:
    """What this Python would import as `bcc` although it is not the BPF Compiler Collection."""
    entries = sys.path if module_path is None else module_path
    places = [f"{entry}/{name}" for entry in entries if entry for name in ("bcc", "bcc.py")]
    return [place for place in places if exists(place) and not exists(f"{place}/libbcc.py")]


def load() -> ModuleType:
    """Import the distribution's `bcc` by its path.

    Raises UnsupportedError where it is missing, names the impostor if there is one, or where its library cannot be loaded.
    """
    path = find()
    if path is None:
        others = impostors()
        found = f"; {others[0]} is PyPI's `bcc`, an unrelated package" if others else ""
        raise UnsupportedError(f"the BPF Compiler Collection's Python package is not installed{found}", REMEDY)
    spec = importlib.util.spec_from_file_location("bcc", f"{path}/__init__.py", submodule_search_locations=[path])
    if spec is None or spec.loader is None:
        raise UnsupportedError(f"{path} cannot be imported", REMEDY)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bcc"] = module
    try:
        spec.loader.exec_module(module)
    except (OSError, ImportError) as error:
        raise UnsupportedError(f"{path} cannot be used: {error}", REMEDY) from error
    return module
