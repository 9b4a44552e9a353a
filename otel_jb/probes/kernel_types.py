# SPDX-License-Identifier: Apache-2.0
"""Where members of the kernel's own structures lie, from its type information (/sys/kernel/btf/vmlinux; the format: Documentation/bpf/btf.rst)."""

from __future__ import annotations

import struct
from pathlib import Path

_BTF = "/sys/kernel/btf/vmlinux"
_MAGIC = 0xEB9F
_STRUCT = 4
#: bytes behind the common three words, by kind; those in `_EACH` are for each of the members, parameters, ...
_FIXED = {1: 4, 3: 12, 14: 4, 17: 4}
_EACH = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
_LAST_KIND = 19


def offsets(wanted: dict[str, tuple[str, ...]], path: str = _BTF) -> dict[tuple[str, str], int]:
    """Byte offsets of the members that are found, by (structure, member); empty if the kernel has no type information."""
    try:
        data = Path(path).read_bytes()
        return _offsets(data, wanted)
    except (OSError, struct.error, ValueError, IndexError):
        return {}


def _offsets(data: bytes, wanted: dict[str, tuple[str, ...]]) -> dict[tuple[str, str], int]:
    magic, _, _, header, types, types_length, strings, _ = struct.unpack_from("<HBBIIIII", data)
    if magic != _MAGIC:
        raise ValueError("no type information")
    names = header + strings
    at, end = header + types, header + types + types_length
    found: dict[tuple[str, str], int] = {}
    by_position = {data.index(b"\0" + name.encode() + b"\0", names) + 1 - names: name for name in wanted}
    common = struct.Struct("<III")
    missing = sum(len(members) for members in wanted.values())
    while at < end and len(found) < missing:
        name, info, _ = common.unpack_from(data, at)
        kind, count = info >> 24 & 0x1F, info & 0xFFFF
        if not 0 < kind <= _LAST_KIND:
            raise ValueError(f"type information of kind {kind}")
        at += 12
        if kind == _STRUCT and count and (structure := _name(data, names, name, by_position, wanted)):
            for member in range(count):
                text, _, offset = common.unpack_from(data, at + member * 12)
                label = data[names + text : data.index(b"\0", names + text)].decode()
                if label in wanted[structure]:
                    found.setdefault((structure, label), (offset & 0xFFFFFF if info >> 31 else offset) // 8)
        at += _FIXED.get(kind, 0) + count * _EACH.get(kind, 0)
    return found


def _name(data: bytes, names: int, position: int, known: dict[int, str], wanted: dict[str, tuple[str, ...]]) -> str:
    """The structure's name if it is wanted; strings may be there twice."""
    if position in known:
        return known[position]
    text = data[names + position : names + position + 32].split(b"\0", 1)[0].decode("ascii", "replace")
    if text in wanted:
        known[position] = text
        return text
    return ""
