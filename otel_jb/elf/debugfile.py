# SPDX-License-Identifier: Apache-2.0
"""Symbols stripped out of a file: separate debug files, and `.gnu_debugdata` inside the file.

A debug file is found by build-id (`/usr/lib/debug/.build-id/ab/cdef.debug`) or by the name and CRC in `.gnu_debuglink`.
Code outside the sandbox decides where to look (`candidate_paths`); the content decides whether a file fits.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import PurePosixPath

from otel_jb.elf.image import Image
from otel_jb.model.errors import ElfError
from otel_jb.model.plan import SymbolSource

MAX_UNPACKED = 256 << 20  #: maximum bytes of an unpacked `.gnu_debugdata`; real ones are a few per cent of the program
_MEMORY_LIMIT = 256 << 20  #: memory limit of the xz decoder, because the file chooses the dictionary size
_DEBUG_DIRECTORY = "/usr/lib/debug"
_CHUNK = 1 << 20


def debug_link(image: Image) -> tuple[str, int] | None:
    """Name and CRC-32 of the debug file in `.gnu_debuglink`; None if it is missing or malformed."""
    section = image.section(".gnu_debuglink")
    if section is None or not 8 <= section.size <= 4096:
        return None
    data = section.data
    end = data.find(b"\0")
    at = end + 4 & ~3
    if end <= 0 or at + 4 > len(data):
        return None
    name = data[:end].decode("utf-8", "backslashreplace")
    if "/" in name or name in (".", ".."):
        return None
    return name, int.from_bytes(data[at : at + 4], "little")


def candidate_paths(
    path: str, build_id: str | None, link: tuple[str, int] | None, root: str = "/", search: Sequence[str] = ()
) -> list[str]:
    """Possible paths of a file's separate debug file, best first. `path` is relative to `root` (`/proc/PID/root`, or `/`).

    Includes paths under the given root, under the agent's own root, and in the debug directories in `search`.
    """
    roots = [root] if root == "/" else [root, "/"]
    found: list[str] = []
    for base in roots:
        for directory in (_DEBUG_DIRECTORY, *search):
            debug = _join(base, directory)
            if build_id and len(build_id) > 2:
                found.append(f"{debug}/.build-id/{build_id[:2]}/{build_id[2:]}.debug")
            if link:
                found.append(f"{debug}{PurePosixPath(path).parent}/{link[0]}")
        if link:
            beside = _join(base, str(PurePosixPath(path).parent))
            found += [f"{beside}/{link[0]}", f"{beside}/.debug/{link[0]}"]
    own = _join(root, path)
    return [candidate for candidate in dict.fromkeys(found) if candidate != own]


def matching_images(image: Image, candidates: Sequence[int]) -> list[tuple[Image, SymbolSource]]:
    """The debug images that belong to `image`: the first of the open candidates that fits, and `.gnu_debugdata`.

    A candidate fits if its build-id is the same or, if the image has none, if its CRC is the one in the link.
    """
    found: list[tuple[Image, SymbolSource]] = []
    for candidate in candidates:
        try:
            other = Image.from_file(candidate, f"debug file of {image.name}", debug=True)
        except ElfError:
            continue
        if other.arch == image.arch and _belongs(image, other, candidate):
            found.append((other, SymbolSource.DEBUG_FILE))
            break
    mini = mini_debug(image)
    if mini is not None:
        found.append((mini, SymbolSource.MINI_DEBUG))
    return found


def _belongs(image: Image, other: Image, descriptor: int) -> bool:
    if image.build_id or other.build_id:
        return image.build_id == other.build_id
    link = debug_link(image)
    return link is not None and _crc(descriptor) == link[1]


def _crc(descriptor: int) -> int:
    crc = 0
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK, offset):
        crc = zlib.crc32(chunk, crc)
        offset += len(chunk)
    return crc


def mini_debug(image: Image) -> Image | None:
    """The image in `.gnu_debugdata` (function symbols that Fedora and RHEL keep); None if it is missing or unusable.

    Raises ElfError if it unpacks to more than `MAX_UNPACKED` bytes or is corrupt.
    """
    section = image.section(".gnu_debugdata")
    if section is None or section.type == "SHT_NOBITS" or section.size == 0:
        return None
    import lzma

    unpacked = bytearray()
    try:
        decoder = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MEMORY_LIMIT)
        data = section.data
        while not decoder.eof:
            before = len(unpacked)
            unpacked += decoder.decompress(data, max_length=_CHUNK)
            data = b""
            if len(unpacked) > MAX_UNPACKED:
                raise image.corrupt(f"its .gnu_debugdata unpacks to more than {MAX_UNPACKED >> 20} MiB")
            if len(unpacked) == before and decoder.needs_input:
                raise image.corrupt("its .gnu_debugdata is truncated")
    except lzma.LZMAError as error:
        raise image.corrupt("its .gnu_debugdata cannot be unpacked") from error
    return Image.from_bytes(bytes(unpacked), f".gnu_debugdata of {image.name}", debug=True)


def _join(root: str, path: str) -> str:
    return path if root == "/" else root.rstrip("/") + "/" + path.lstrip("/")
