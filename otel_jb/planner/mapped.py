# SPDX-License-Identifier: Apache-2.0
"""The files that a process has mapped: which of them are worth reading, and how they are opened. Imported before the catalogue is."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from otel_jb.host import procfs
from otel_jb.host.patience import patiently
from otel_jb.host.procfs import MappedFile, Process
from otel_jb.host.roots import look

if TYPE_CHECKING:
    from otel_jb.config.model import Config

#: Libraries of every process that hold no jitter buffer: reading them at each start would cost more than all others.
_PLAIN = re.compile("|".join(map(fnmatch.translate, (
    "ld-linux*", "libc.so*", "libc-*", "libm.so*", "libm-*", "libmvec.so*", "libmvec-*", "libpthread*", "libdl.so*", "libdl-*", "librt.so*", "librt-*",
    "libresolv*", "libnss_*", "libgcc_s*", "libstdc++*", "libz.so*", "libcrypto*", "libssl*", "libsystemd*", "libselinux*",
    "libpcre*", "liblzma*", "libzstd*", "libcap.so*", "libgcrypt*", "libgpg-error*", "libLLVM*", "libX*", "libGL*", "libicu*",
))))  # fmt: skip


def asked(config: Config) -> tuple[str, ...]:
    """The functions that the user named, whether a profile knows them or not."""
    return (*config.functions.include, *(name for pair in config.pairs for name in (pair.start, pair.stop)))


def paths(process: Process, mapped: Sequence[MappedFile] | None = None) -> list[tuple[str, MappedFile]]:
    """The files that a process has code of, each with where the agent opens it; its program first."""
    files = [(procfs.file_path(process, file), file) for file in mapped or procfs.mapped_files(process.pid)]
    return sorted(files, key=lambda item: not is_program(process, item[1]))


def worth_reading(
    process: Process, files: Sequence[tuple[str, MappedFile]], *, everything: bool = False
) -> list[tuple[str, MappedFile]]:
    """Those that may hold a jitter buffer; `everything`: any that has a name."""
    return [(path, file) for path, file in files if everything or is_program(process, file) or not _is_plain(file)]


def _is_plain(file: MappedFile) -> bool:
    return _PLAIN.match(file.path.rpartition("/")[2]) is not None


def only_plain(names: Sequence[str]) -> bool:
    """Whether all of these libraries are ones that hold no jitter buffer."""
    return all(_PLAIN.match(name) for name in names)


def is_program(process: Process, file: MappedFile) -> bool:
    if file.inode != process.inode:
        return False
    # It may have another name since the process was looked at; and not on every file system do both know its device by the same number.
    return file.path == process.executable or file.mappings[0].device_number == process.device


def open_foreign(path: str, system: str = "") -> int:
    """A read-only descriptor of another program's regular file. Raises AgentError, also where its file system does not answer.

    A path through a process's root does not lead out of it. `system`: identifies its file system where that is known, see `patiently`.
    """
    from otel_jb.elf.image import open_regular

    return patiently(lambda: open_regular(path, look), path, system, discard=os.close)
