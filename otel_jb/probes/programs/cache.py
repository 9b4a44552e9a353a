# SPDX-License-Identifier: Apache-2.0
"""What BCC compiled, kept for the next start: instructions and map specifications in a directory that only root can write.

Compiling takes half a second of CPU, and on a busy machine several by the clock. An entry is found by a hash of all that went
into it: sources, options, BCC, kernel, agent. It is used only if it and every directory above it belong to root and nobody else
may write them, so nothing that a user made is ever loaded; the verifier checks it as it checks what BCC made. Whatever
is wrong with an entry, the caller compiles instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from otel_jb import __version__
from otel_jb.probes.programs import bcc_module
from otel_jb.probes.programs.source import bpf_directory

PLACE = ("var", "cache", "otel-jb")
KEEP = 8  #: entries: one for each set of options that is in use
_MAX_BYTES = 1 << 20


def origin() -> str:
    """A hash of all inputs of the program, except the request. Raises OSError, UnsupportedError."""
    made = hashlib.sha256(f"{__version__} {platform.machine()} {' '.join(os.uname())}".encode())
    bcc = bcc_module.find()
    own = Path(__file__)
    files = [own, own.with_name("compiler.py"), own.with_name("template.py"), *sorted(bpf_directory().rglob("*.[ch]"))]
    for path in [*files, Path(bcc) / "version.py"] if bcc else files:
        made.update(hashlib.sha256(path.read_bytes()).digest())
    return made.hexdigest()[:32]


def name_of(request: Mapping[str, Any]) -> str:
    """The entry's file name. Raises OSError, UnsupportedError."""
    asked = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]
    return f"{origin()}-{asked}"


def keeps_anything() -> bool:
    """Whether anything is kept, compiled from these sources or from others. Costs next to nothing."""
    try:
        return any(Path("/").joinpath(*PLACE).iterdir())
    except OSError:
        return False


def has_some() -> bool:
    """Whether anything is kept that was compiled from these sources, for whatever request."""
    try:
        made = origin()
        with _directory() as place:
            return any(name.startswith(made) for name in os.listdir(place))  # noqa: PTH208 - of a descriptor
    except Exception:  # noqa: BLE001 - as in `read`
        return False


def read(request: Mapping[str, Any]) -> dict[str, Any] | None:
    """The compiled program for a request; None if there is no trustworthy one."""
    try:
        with _directory() as place:
            digest, _, text = _read(place, name_of(request)).partition(b"\n")
        if digest.decode() != hashlib.sha256(text).hexdigest():  # half written, or the disk's fault
            return None
        compiled: dict[str, Any] = json.loads(text)
        return compiled
    except Exception:  # noqa: BLE001 - whatever it is, compiling will tell
        return None


def store(name: str, compiled: Mapping[str, Any]) -> None:
    """Keep what was compiled under this name (`name_of`, asked before it was compiled). Failing to is no error."""
    with contextlib.suppress(OSError), _directory(make=True) as place:
        text = json.dumps(compiled).encode()
        _write(place, name, hashlib.sha256(text).hexdigest().encode() + b"\n" + text)


@contextlib.contextmanager
def _directory(make: bool = False) -> Iterator[int]:
    """The cache's directory, opened from the root downwards. Raises OSError if anybody but root could have written to it."""
    if os.geteuid() != 0:
        raise PermissionError("only root's own is used")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    place = os.open("/", flags)
    try:
        for part in PLACE:
            if make and part == PLACE[-1]:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=place)
            inner = os.open(part, flags, dir_fd=place)
            os.close(place)
            place = inner
            _check(place, 0o022)
        yield place
    finally:
        os.close(place)


def _check(descriptor: int, forbidden: int) -> os.stat_result:
    status = os.fstat(descriptor)
    if status.st_uid != 0 or stat.S_IMODE(status.st_mode) & forbidden:
        raise PermissionError("it is not root's alone")
    return status


def _read(place: int, name: str) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    with open(descriptor, "rb") as file:
        status = _check(descriptor, 0o077)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            raise OSError("it is no entry")
        return file.read()


def _write(place: int, name: str, data: bytes) -> None:
    temporary = f".{name}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=place)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, name, src_dir_fd=place, dst_dir_fd=place)
    except BaseException:
        os.unlink(temporary, dir_fd=place)
        raise
    entries = sorted(os.listdir(place), key=lambda each: os.stat(each, dir_fd=place, follow_symlinks=False).st_mtime)
    for old in entries[:-KEEP]:
        os.unlink(old, dir_fd=place)
