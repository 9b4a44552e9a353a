# SPDX-License-Identifier: Apache-2.0
"""A file system with one program in it, of which a test decides whether it answers: FUSE, as far as running a program needs it."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_MNT_DETACH = 2
_DIRECTORY, _FILE = 0o040755, 0o100755
_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _INIT = 1, 2, 3, 14, 15, 26
_BATCH_FORGET, _INTERRUPT = 42, 36
_NAME = b"program"


class OneProgram:
    """Mounted at `where` while it is used as a context manager; the program is `where/program`."""

    def __init__(self, where: Path, content: bytes) -> None:
        self.path = where / _NAME.decode()
        self._where = where
        self._content = content
        self._device = -1
        self._server = 0

    def __enter__(self) -> OneProgram:  # noqa: PYI034
        self._where.mkdir(exist_ok=True)
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if _LIBC.mount(b"oneprogram", os.fsencode(self._where), b"fuse.oneprogram", 0, options) != 0:
            number = ctypes.get_errno()
            os.close(self._device)
            raise OSError(number, os.strerror(number))
        # A process and not a thread: `subprocess` keeps the interpreter while a program is being loaded, from here.
        self._server = os.fork()
        if self._server == 0:
            try:
                self._serve()
            finally:
                os._exit(0)
        os.close(self._device)
        return self

    def __exit__(self, *_: object) -> None:
        self.die()
        _LIBC.umount2(os.fsencode(self._where), _MNT_DETACH)

    def hang(self) -> None:
        """Answer nothing from now on."""
        os.kill(self._server, signal.SIGSTOP)

    def die(self) -> None:
        """Be gone from now on: every access is ENOTCONN."""
        server, self._server = self._server, 0
        if server:
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)

    def _serve(self) -> None:
        device = self._device
        while True:
            try:
                request = os.read(device, 1 << 20)
            except OSError as error:
                if error.errno == errno.EINTR:
                    continue
                return
            _, opcode, unique, node = struct.unpack_from("=IIQQ", request)
            body = request[40:]
            answer = self._answer(opcode, node, body)
            if answer is None:
                continue
            number, data = answer
            try:
                os.write(device, struct.pack("=IiQ", 16 + len(data), -number, unique) + data)
            except OSError:
                continue

    def _answer(self, opcode: int, node: int, body: bytes) -> tuple[int, bytes] | None:
        if opcode == _INIT:
            major, minor, ahead, _ = struct.unpack_from("=IIII", body)
            return 0, struct.pack("=IIIIHHIIHH8I", major, min(minor, 31), ahead, 0, 12, 10, 1 << 17, 1, 0, 0, *[0] * 8)
        if opcode in (_FORGET, _BATCH_FORGET, _INTERRUPT):
            return None
        if opcode == _LOOKUP:
            if node != 1 or body.rstrip(b"\0") != _NAME:
                return errno.ENOENT, b""
            return 0, struct.pack("=QQQQII", 2, 0, 0, 0, 0, 0) + self._attributes(2)
        if opcode == _GETATTR:
            return 0, struct.pack("=QII", 0, 0, 0) + self._attributes(node)
        if opcode == _OPEN:
            return 0, struct.pack("=QII", 1, 0, 0)
        if opcode == _READ:
            _, offset, size = struct.unpack_from("=QQI", body)
            return 0, self._content[offset : offset + size]
        if opcode in (18, 25):  # release, flush
            return 0, b""
        return errno.ENOSYS, b""

    def _attributes(self, node: int) -> bytes:
        mode, size = (_DIRECTORY, 0) if node == 1 else (_FILE, len(self._content))
        return struct.pack(
            "=QQQQQQIIIIIIIIII", node, size, size // 512 + 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0
        )
