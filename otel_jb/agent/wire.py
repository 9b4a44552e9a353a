# SPDX-License-Identifier: Apache-2.0
"""What reader and exporter say to each other: messages over a stream socket, each after its length.

The reader's messages are pickled: the exporter trusts it, as it trusts the file that it was started from. The exporter's are JSON and
short: an attacker who takes the exporter over speaks with its voice, so the reader decodes nothing else of it.
"""

from __future__ import annotations

import contextlib
import copyreg
import io
import json
import pickle
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from operator import attrgetter
from typing import Any

from otel_jb.model import stream

MAX_UP_BYTES = 1 << 16  #: a question of the exporter
SEND_TIMEOUT_S = 10  #: an exporter that takes nothing for this long hangs
_LENGTH = struct.Struct("<I")


class Wire:
    """One end. `up`: the exporter's end, which sends JSON and takes pickles; the reader's end does the opposite."""

    def __init__(self, connection: socket.socket, *, up: bool) -> None:
        self._socket = connection
        self._up = up
        self._sending = threading.Lock()
        self._stream = connection.makefile("rb")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@qq", SEND_TIMEOUT_S, 0))

    def send(self, message: Any) -> None:
        """Send from any thread. Raises OSError where the other end is gone or takes nothing."""
        data = json.dumps(message).encode() if self._up else _pickled(message)
        with self._sending:
            self._socket.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self) -> Any:
        """The next message; None at the end. Raises ValueError where the exporter's is none."""
        try:
            return self._receive()
        except ConnectionResetError:  # the other end has died, and left something unread
            return None

    def _receive(self) -> Any:
        head = self._stream.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return None
        (size,) = _LENGTH.unpack(head)
        if not self._up and size > MAX_UP_BYTES:
            raise ValueError(f"a message of {size} bytes")
        data = self._stream.read(size)
        if len(data) < size:
            return None
        return pickle.loads(data) if self._up else json.loads(data)  # noqa: S301 - from the process that started this one

    def fileno(self) -> int:
        """Of the socket."""
        return self._socket.fileno()

    def close(self) -> None:
        """End the conversation; the other end reads its end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _reducer(kind: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """How to pickle a record: as a call with its fields. What dataclasses bring along takes five times as long."""
    of = attrgetter(*(each.name for each in fields(kind)))
    if len(fields(kind)) == 1:
        return lambda record: (kind, (of(record),))
    return lambda record: (kind, of(record))


_RECORDS = [kind for kind in vars(stream).values() if isinstance(kind, type) and is_dataclass(kind)]
_DISPATCH = copyreg.dispatch_table.copy()
_DISPATCH.update({kind: _reducer(kind) for kind in _RECORDS})


def _pickled(message: Any) -> bytes:
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _DISPATCH
    pickler.dump(message)
    return buffer.getvalue()
