"""Finds the distribution's `bcc` and tells it from PyPI's package of the same name.

The real one is pure Python over libbcc.so.0 and is seen only by the system's own Python, so it is loaded by its path into
whatever Python runs the agent. PyPI's `bcc` is an unrelated crystal-lattice package; nothing here ever imports by name.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
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


def find() -> Path | None:
    """The directory of the distribution's `bcc` package, or None."""
    for pattern in CANDIDATES:
        for path in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            if (path / "libbcc.py").is_file():
                return path
    return None


def impostor() -> Path | None:
    """Where this Python would import a `bcc` from that is not the BPF Compiler Collection, or None."""
    for entry in sys.path:
        path = Path(entry or ".") / "bcc"
        if (path / "__init__.py").is_file() and not (path / "libbcc.py").is_file():
            return path
    return None


def load() -> ModuleType:
    """Import the distribution's `bcc` by its path.

    Raises UnsupportedError where it is missing, names the impostor if there is one, or where its library cannot be loaded.
    """
    path = find()
    if path is None:
        fake = impostor()
        found = f"; {fake} is PyPI's `bcc`, an unrelated package" if fake else ""
        raise UnsupportedError(f"the BPF Compiler Collection's Python package is not installed{found}", REMEDY)
    spec = importlib.util.spec_from_file_location("bcc", path / "__init__.py", submodule_search_locations=[str(path)])
    if spec is None or spec.loader is None:
        raise UnsupportedError(f"{path} cannot be imported", REMEDY)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bcc"] = module
    try:
        spec.loader.exec_module(module)
    except (OSError, ImportError) as error:
        raise UnsupportedError(f"{path} cannot be used: {error}", REMEDY) from error
    return module
