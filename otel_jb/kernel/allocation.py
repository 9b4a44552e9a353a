"""Places in the kernel's arrays: series indices, buffer groups and read programs, given out and taken back."""

from __future__ import annotations

from otel_jb.errors import AttachError
from otel_jb.kernel import abi
from otel_jb.kernel.maps import WordArray
from otel_jb.kernel.programs import encode
from otel_jb.records import ReadOp


class Indices:
    """Numbers from `first` to `last`; the longest unused one is given out first, so that a stale number is not met soon."""

    def __init__(self, first: int, last: int, what: str) -> None:
        self._free = list(range(first, last + 1))
        self._what = what

    def take(self) -> int:
        """A free number; raises AttachError when there is none."""
        if not self._free:
            raise AttachError(
                f"there is no room for more {self._what}", "Raise `max_series`, or select fewer targets or functions."
            )
        return self._free.pop(0)

    def give_back(self, number: int) -> None:
        """Free it."""
        self._free.append(number)


class Programs:
    """Read programs in the kernel; equal ones share a place, place 0 means none."""

    def __init__(self, words: WordArray) -> None:
        self._words = words
        self._places: dict[tuple[ReadOp, ...], int] = {(): 0}

    def place(self, operations: tuple[ReadOp, ...]) -> int:
        """Where the program is, loading it first if it is new."""
        known = self._places.get(operations)
        if known is not None:
            return known
        at = len(self._places)
        if at >= abi.PROGRAMS:
            raise AttachError("there is no room for more read programs", "Use fewer profiles at once.")
        self._words.write(at * abi.PROGRAM_WORDS, encode(operations))
        self._places[operations] = at
        return at
