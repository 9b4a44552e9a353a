"""Gates: whether return probes may be put into a process now, decided in the kernel, call by call.

A gate closes by itself, synchronously, when the process's dynamic loader has mapped a library and before that runs; user space opens it
again once it has looked at what was loaded. See docs/adr/0019.
"""

from __future__ import annotations

from otel_jb.probes import abi
from otel_jb.probes.attach.places import Indices
from otel_jb.probes.read.maps import WordArray


class Gates:
    """The gates in the kernel's array, given out and taken back."""

    def __init__(self, descriptor: int) -> None:
        self._array = WordArray(descriptor, abi.GATES * abi.GATE_WORDS)
        self._indices = Indices(0, abi.GATES - 1, "processes whose return probes depend on what they load")

    def take(self) -> int:
        """A closed gate. Raises AttachError when there is none."""
        gate = self._indices.take()
        self._array.words[gate * abi.GATE_WORDS + abi.GATE_LOADS] = 0
        self.close_gate(gate)
        return gate

    def give_back(self, gate: int) -> None:
        """Close it and free it."""
        self.close_gate(gate)
        self._indices.give_back(gate)

    def loads(self, gate: int) -> int:
        """How often the process has told that it loaded or unloaded something."""
        return self._array.words[gate * abi.GATE_WORDS + abi.GATE_LOADS]

    def is_open(self, gate: int) -> bool:
        """Whether return probes are put now."""
        return self._array.words[gate * abi.GATE_WORDS + abi.GATE_CLEARED] == self.loads(gate)

    def open_gate(self, gate: int, loads: int) -> None:
        """Open it, if the process has told nothing since `loads` was read."""
        self._array.words[gate * abi.GATE_WORDS + abi.GATE_CLEARED] = loads

    def close_gate(self, gate: int) -> None:
        """Close it until it is opened."""
        self._array.words[gate * abi.GATE_WORDS + abi.GATE_CLEARED] = abi.NEVER

    def close(self) -> None:
        """Unmap."""
        self._array.close()
