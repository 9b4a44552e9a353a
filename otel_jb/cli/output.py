# SPDX-License-Identifier: Apache-2.0
"""Standard output and error: handles characters missing in the terminal's encoding, and failing writes."""

from __future__ import annotations

import codecs
import contextlib
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
