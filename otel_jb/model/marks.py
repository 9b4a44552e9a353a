# SPDX-License-Identifier: Apache-2.0
"""Marks: what a function without a name is recognised by in a stripped file, and where they lead."""

from __future__ import annotations

from enum import Enum

from otel_jb.model.dataclass import dataclass

MAX_SLOT = 512  #: virtual functions of a class
MAX_TEXT = 400  #: characters of a mark's text


class MarkKind(Enum):
    """What a mark looks for."""

    STRING = "string"  #: the function's code refers to this text, from its first character to its end
    STARTS = "starts"  #: the same for a text that begins so
    CALLED_BY = "called_by"  #: a function whose code refers to this text calls the function
    CALLS = "calls"  #: the function calls one whose code refers to this text
    SLOT = "slot"  #: the function is in a slot of the virtual table of the class with this mangled name


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark. `slot` numbers the virtual functions of a class from 0; a class with a virtual destructor has two slots for it. None: any."""

    kind: MarkKind
    text: str
    slot: int | None = None

    def __str__(self) -> str:
        """What a function found by it does, for people: `refers to "..."`."""
        if self.kind is MarkKind.SLOT:
            slot = "" if self.slot is None else f"slot {self.slot} of "
            return f"is in {slot}the virtual table of {self.text}"
        shown = self.text.strip()
        shown = f'"{shown[:48]}..."' if len(shown) > 50 or self.kind is MarkKind.STARTS else f'"{shown}"'
        if self.kind is MarkKind.CALLS:
            return f"calls the function that refers to {shown}"
        return (
            f"is called by the function that refers to {shown}"
            if self.kind is MarkKind.CALLED_BY
            else f"refers to {shown}"
        )


@dataclass(frozen=True, slots=True)
class Reached:
    """A function that a mark leads to, with how often its code refers to the mark."""

    address: int
    size: int
    times: int = 1


@dataclass(frozen=True, slots=True)
class Trail:
    """Where one mark leads in one file. `present`: the file contains what the mark looks for."""

    mark: Mark
    present: bool
    functions: tuple[Reached, ...] = ()
    problem: str = ""  #: why nothing can be concluded, although the mark is there
