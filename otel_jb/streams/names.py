# SPDX-License-Identifier: Apache-2.0
"""What people call a stream, read once from the target's memory by the profile's path to it.

The memory may have been freed, or belong to somebody who wants to be seen as another: whatever is not a short printable text is no name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from otel_jb.model.plan import NamePart
from otel_jb.model.reads import BIG_ENDIAN, SIGNED, Op, ReadOp

LONGEST = 128  #: bytes of one part; more is no name
_BUFFER = 5  #: register that holds the buffer's address
_U64 = (1 << 64) - 1
#: A URL, apart from who logs in there with what password, and from what is asked of it, where tokens are.
_URL = re.compile(r"(\w[\w+.-]*://)(?:[^/?#]*@)?([^?#]*)")
_SSRC = re.compile(r"ssrc:|_other\Z")  #: what the agent says itself

#: So many bytes at an address of the process; fewer or None where there is nothing to read.
Memory = Callable[[int, int], bytes | None]


def read_name(parts: Sequence[NamePart], buffer: int, memory: Memory) -> str | None:
    """The parts, joined by slashes; None where one of them is no text."""
    found = [_part(part, buffer, memory) for part in parts]
    if not found or not all(found):
        return None
    name = "/".join(each for each in found if each)
    url = _URL.match(name)
    name = url[1] + url[2] if url else name
    return None if _SSRC.match(name) else name


def _part(part: NamePart, buffer: int, memory: Memory) -> str | None:
    address = evaluated(part.address, buffer, memory)
    length: int | None = LONGEST
    if part.length:
        length = evaluated(part.length, buffer, memory)
    if not address or not length or length > LONGEST:
        return None
    data = memory(address, length) or b""
    if part.length and len(data) < length:
        return None
    if not part.length:
        data, end, _ = data.partition(b"\0")
        if not end:
            return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def evaluated(program: Sequence[ReadOp], buffer: int, memory: Memory) -> int | None:
    """What a straight program emits; None where a read faults. ValueError for operations that belong to a call."""
    r = [0] * 16
    r[_BUFFER] = buffer
    for op in program:
        if op.op is Op.END:
            return None
        if op.op is Op.STREAM:
            return r[op.src]
        if op.op is Op.READ:
            size = op.width & 15
            data = memory((r[op.src] + op.imm) & _U64, size) or b""
            if len(data) < size:
                return None
            data = data[::-1] if op.width & BIG_ENDIAN else data
            value = int.from_bytes(data, "little", signed=bool(op.width & SIGNED))
        elif op.op in _ARITHMETIC:
            value = _ARITHMETIC[op.op](r[op.dst], r[op.src], op.imm)
        elif op.op is Op.EXT:
            value = int.from_bytes(
                r[op.dst].to_bytes(8, "little")[: op.width & 15], "little", signed=bool(op.width & SIGNED)
            )
        else:
            raise ValueError(f"{op.op.name} in a stream's name")
        r[op.dst] = value & _U64
    return None


_ARITHMETIC: dict[Op, Callable[[int, int, int], int]] = {
    Op.MOVI: lambda _dst, _src, imm: imm,
    Op.MOV: lambda _dst, src, _imm: src,
    Op.ADD: lambda dst, src, _imm: dst + src,
    Op.SUB: lambda dst, src, _imm: dst - src,
    Op.ADDI: lambda dst, _src, imm: dst + imm,
    Op.ANDI: lambda dst, _src, imm: dst & imm,
    Op.SHRI: lambda dst, _src, imm: dst >> imm,
    Op.SHLI: lambda dst, _src, imm: dst << imm,
}
