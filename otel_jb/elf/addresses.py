# SPDX-License-Identifier: Apache-2.0
"""Address → name, for the few addresses that the analysis needs: targets of calls and jumps, stubs of imported functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from otel_jb.elf import symbols
from otel_jb.elf.image import Image
from otel_jb.elf.imports import Imports, read_imports
from otel_jb.model.plan import SymbolSource


class Names(Mapping[int, str]):
    """The names of an image's functions, read from its symbol tables on demand, and of its PLT stubs.

    Building the index costs about 0.1 µs per symbol, once.
    """

    def __init__(self, image: Image, debug: Sequence[tuple[Image, SymbolSource]] = ()) -> None:
        self._image = image
        self._debug = debug

    @cached_property
    def _imports(self) -> Imports:
        return read_imports(self._image)

    @property
    def imports(self) -> dict[int, str]:
        """Names by the address of their PLT stub."""
        return self._imports.stubs

    @property
    def cells(self) -> dict[int, str]:
        """Names by the address of the slot that the loader fills with the function's address."""
        return self._imports.slots

    @cached_property
    def _index(self) -> list[tuple[dict[int, int], bytes]]:
        found = []
        for table in symbols.all_tables(self._image, self._debug):
            positions, addresses = table.places(indirect=True)
            # The first at an address wins.
            found.append((dict(zip(reversed(addresses), reversed(positions), strict=True)), table.strings))
        return found

    def __getitem__(self, address: int) -> str:
        name = self.imports.get(address)
        if name is not None:
            return name
        for index, strings in self._index:
            position = index.get(address)
            if position is not None:
                end = strings.find(b"\0", position, position + symbols.MAX_NAME)
                return strings[position:end].decode("utf-8", "backslashreplace") if end > position else ""
        raise KeyError(address)

    def __iter__(self) -> Iterator[int]:
        return iter({*self.imports, *(address for index, _ in self._index for address in index)})

    def __len__(self) -> int:
        return sum(1 for _ in self)
