# SPDX-License-Identifier: Apache-2.0
"""What a file says of itself in `.note.gnu.property` (System V ABI, Linux extensions; AArch64's ELF supplement)."""

from __future__ import annotations

import struct

from otel_jb.elf.image import Image, notes

_PROPERTIES = 5  #: NT_GNU_PROPERTY_TYPE_0
#: By machine: the property of features that all of the file's objects have, and the bit of the shadow stack (SHSTK, GCS) in it.
_SHADOW_STACK = {"x86_64": (0xC0000002, 1 << 1), "aarch64": (0xC0000000, 1 << 2)}


def allows_shadow_stack(image: Image) -> bool:
    """Whether a process of this file may have a user shadow stack: all of its code was made for one. True if it cannot be told."""
    if not image.sections:
        return True
    section = image.section(".note.gnu.property")
    if section is None:
        return False
    wanted, bit = _SHADOW_STACK[image.arch]
    for kind, owner, content in notes(section.data, 0, section.size):
        at = 0
        while kind == _PROPERTIES and owner == b"GNU\0" and at + 8 <= len(content):
            name, size = struct.unpack_from("<II", content, at)
            if name == wanted:
                return size < 4 or at + 12 > len(content) or bool(struct.unpack_from("<I", content, at + 8)[0] & bit)
            at += 8 + (size + 7) // 8 * 8
    return False
