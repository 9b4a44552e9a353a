# SPDX-License-Identifier: Apache-2.0
"""Standard output and error: handles characters missing in the terminal's encoding, and failing writes."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys

from otel_jb.model.errors import ResourceError

_HANDLER = "otel_jb.ascii"
#: Replacements for the non-ASCII characters that this program prints, for encodings without them.
_PLAIN = {
    "✓": "ok",
    "✗": "X",
    "–": "-",
    "—": "-",
    "≤": "<=",
    "≠": "!=",
    "×": "x",
    "µ": "u",
    "…": "...",
    "→": "->",
    "·": ".",
    "�": "?",
}
#: Resources that a machine may run out of, with remedies.
_SHORTAGES = {
    errno.EMFILE: ("too many open files", "Allow more descriptors, then start again:\n  ulimit -n 1024"),
    errno.ENFILE: ("too many open files on this machine", "Raise the limit:\n  sudo sysctl fs.file-max=1000000"),
    errno.ENOMEM: ("out of memory", "Raise the limit on memory (ulimit -v, the container's, the service's)."),
    errno.ENOSPC: ("no space left on the device", "Free some space:\n  df -h"),
    errno.EDQUOT: ("disk quota exceeded", "Free some space:\n  quota"),
}


def prepare() -> None:
    """Make both streams replace characters that their encoding lacks, instead of failing."""
    codecs.register_error(_HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(each, "?") for each in error.object[error.start : error.end]), error.end


def finish() -> None:
    """Flush the output. Raises ResourceError if it cannot be written, BrokenPipeError."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        give_up(1)
        raise ResourceError(f"standard output cannot be written: {(error.strerror or str(error)).lower()}") from None


def give_up(descriptor: int) -> None:
    """Discard buffered output of this descriptor, so that it does not fail again when Python exits."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


def shortage(error: BaseException) -> ResourceError | None:
    """The error for a machine that ran out of a resource; None for any other exception."""
    # If Python cannot start a thread, it raises RuntimeError; the cause is memory for the stack or the limit on tasks.
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "start new thread" in str(error)):
        error = OSError(errno.ENOMEM, "")
    if not isinstance(error, OSError) or error.errno not in _SHORTAGES:
        return None
    what, remedy = _SHORTAGES[error.errno]
    written = error.errno in (errno.ENOSPC, errno.EDQUOT)
    where = (
        f"{error.filename}: "
        if isinstance(error.filename, str)
        else "the output cannot be written: "
        if written
        else ""
    )
    return ResourceError(f"{where}{what}", remedy)
