# SPDX-License-Identifier: Apache-2.0
"""The stream of records in a file: JSON lines, gzip if the name ends in `.gz`.

The first line is the header: format, version, agent, host and when the recording began. Each further line is one record:
`{"at_ns": nanoseconds since the beginning, "kind": "Snapshot", "record": {...}}`. Integers are exact, enums are written by
value, bytes as base64. A reader skips and counts kinds that it does not know, ignores fields that it does not know, and
fills in fields that have a default, so that recordings outlive the release that made them.

A recording contains parts of the target's stack from slow calls, so only its owner may read it (mode 0600).
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import stat
import threading
import time
import typing
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from otel_jb import __version__
from otel_jb.model.codec import decode, encode
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import UsageError
from otel_jb.model.stream import Snapshot, StreamRecord

FORMAT = "otel-jb recording"
VERSION = 1
MAX_LINE_BYTES = 64 << 20  #: enough for a snapshot of 65 536 series; a file with a longer line is not a recording

KINDS: dict[str, type] = {kind.__name__: kind for kind in typing.get_args(StreamRecord)}

_MAKE_ONE = "make one with: otel-jb record FILE TARGET"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a recording."""

    agent: str  #: version of the agent that wrote it
    host: str
    created_unix_nano: int
    boundaries_ns: tuple[int, ...] = ()  #: of the explicit histogram that the agent served
    retain_ns: int = 60_000_000_000  #: how long it kept the values of an ended target
    format: str = FORMAT
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Recorded:
    """One record and when it came."""

    at_ns: int  #: since the recording began
    record: StreamRecord


class Writer:
    """Writes records as they come, from any thread. A full disk ends the recording, but not the measurement.

    `boundaries_ns` and `retain_ns` are the configuration's, so that a replay serves what the agent served.
    Raises UsageError where the file exists already (an incident is not overwritten) or cannot be made.
    """

    def __init__(
        self,
        path: str,
        boundaries_ns: Sequence[int] = (),
        retain_ns: int = 60_000_000_000,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.path = path
        self.written = 0
        self.complete = True  #: False once something could not be written
        self._clock_ns = clock_ns
        self._began_ns = clock_ns()
        self._lock = threading.Lock()
        raw, self._made = _create(path)
        self._file: BinaryIO | None = raw
        if path.endswith(".gz"):
            self._file = cast(BinaryIO, _Gzip(filename="", mode="wb", compresslevel=3, fileobj=raw))
            self._file.raw_file = raw  # type: ignore[attr-defined]
        boundaries = tuple(int(bound) for bound in boundaries_ns)
        header = Header(__version__, os.uname().nodename, time.time_ns(), boundaries, int(retain_ns))
        self._line(json.dumps(encode(header), separators=(",", ":")), flush=True)
        self.written = 0  # the header is not a record

    def write(self, record: StreamRecord) -> None:
        """Append a record. After a snapshot the file is complete up to it, whatever happens to the agent."""
        kind = type(record).__name__
        line = {"at_ns": self._clock_ns() - self._began_ns, "kind": kind, "record": encode(record)}
        with self._lock:
            self._line(json.dumps(line, separators=(",", ":"), allow_nan=False), flush=isinstance(record, Snapshot))

    def close(self) -> None:
        """Complete the file; one without a single record, of a run that never measured, is removed."""
        with self._lock:
            if self._file is not None:
                self._guard(self._file.close)
                self._file = None
            if self.written == 0 and self._made:
                self._made = False
                Path(self.path).unlink(missing_ok=True)

    def _line(self, text: str, *, flush: bool) -> None:
        file = self._file
        if file is None:
            return
        data = text.encode()
        if len(data) >= MAX_LINE_BYTES:
            _logger.error("%s: a record of %d bytes is too long and left out", self.path, len(data))
            return
        if self._guard(lambda: file.write(data + b"\n")) and (not flush or self._guard(file.flush)):
            self.written += 1

    def _guard(self, action: Callable[[], object]) -> bool:
        try:
            action()
        except OSError as error:
            _logger.error("%s: the recording ends here: %s", self.path, error.strerror or error)  # noqa: TRY400 - no defect
            self._file = None
            self.complete = False
            return False
        return True


class _Gzip(gzip.GzipFile):
    """Closes the file below too; GzipFile leaves one that it was given open."""

    raw_file: BinaryIO | None = None

    def flush(self, zlib_mode: int = zlib.Z_SYNC_FLUSH) -> None:
        super().flush(zlib_mode)
        if self.raw_file is not None and not self.raw_file.closed:
            self.raw_file.flush()

    def close(self) -> None:
        super().close()
        if self.raw_file is not None:
            self.raw_file.close()


class Reader:
    """Reads a recording once, record by record; the path `-` is the standard input.

    Raises UsageError (with file and line) for what is no recording, a newer format, or a damaged line before the last. The
    last line may be cut off, as an agent that was killed leaves it: then `truncated` is set and the rest is used.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.truncated = False
        self.skipped: Counter[str] = Counter()  #: unknown kinds of records, by name
        self._number = 0
        try:
            # Descriptor 0 by number, as the file of /dev/stdin may be one that this user could not open.
            self._raw = open(0 if path == "-" else path, "rb", closefd=path != "-")  # noqa: SIM115 - close() does
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}", _MAKE_ONE) from None
        try:
            compressed = self._raw.peek(2)[:2] == b"\x1f\x8b"
            self._file: BinaryIO = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw)) if compressed else self._raw
            self.header = self._header()
        except OSError as error:
            self.close()
            raise UsageError(f"{path}: cannot be read: {error.strerror}", _MAKE_ONE) from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Reader:  # noqa: PYI034 - Self is of Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    def __iter__(self) -> Iterator[Recorded]:
        while (line := self._next_line()) is not None:
            try:
                item = self._record(line)
            except ValueError as error:
                if not line.endswith(b"\n"):
                    self.truncated = True
                    break
                raise self._error(str(error)) from None
            if item is not None:
                yield item
        if self.truncated:
            _logger.warning(
                "%s:%d: the recording is truncated here; everything before is used", self.path, self._number
            )
        for kind, count in self.skipped.items():
            _logger.warning("%s: %d records of the unknown kind %r were skipped", self.path, count, kind)

    def _header(self) -> Header:
        line = self._next_line()
        try:
            data = _json(line or b"null")
        except ValueError:
            data = None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise UsageError(f"{self.path}: not a recording of otel-jb", _MAKE_ONE)
        version = data.get("version")
        if version != VERSION:
            raise UsageError(
                f"{self.path}: format version {str(version)[:20]} is not known to otel-jb {__version__}",
                f"use the otel-jb that made it: {str(data.get('agent'))[:40]}",
            )
        try:
            return decode(data, Header)
        except ValueError as error:
            raise self._error(str(error)) from None

    def _record(self, line: bytes) -> Recorded | None:
        data = _json(line)
        if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
            raise ValueError("expected an object with at_ns, kind and record")  # noqa: TRY004 - data, not code
        at_ns = decode(data.get("at_ns"), int)
        kind = KINDS.get(data["kind"])
        if kind is None:
            self.skipped[data["kind"][:60]] += 1
            return None
        return Recorded(at_ns, decode(data.get("record"), kind))

    def _next_line(self) -> bytes | None:
        try:
            line = self._file.readline(MAX_LINE_BYTES + 1)
        except EOFError:  # a gzip file without its end
            self.truncated = True
            return None
        except (OSError, zlib.error) as error:
            raise UsageError(f"{self.path}: damaged after line {self._number}: {error}") from None
        self._number += 1
        if len(line) > MAX_LINE_BYTES:
            raise self._error(f"a line is longer than {MAX_LINE_BYTES >> 20} MiB")
        return line or None

    def _error(self, message: str) -> UsageError:
        return UsageError(f"{self.path}:{self._number}: damaged recording: {message[:200]}")


def _json(line: bytes) -> object:
    """What a line says. Raises ValueError for what is no JSON, or is nested deeper than any record."""
    try:
        return json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _create(path: str) -> tuple[BinaryIO, bool]:
    """A new file for its owner alone (True), or a pipe or device that is there (False)."""
    flags = os.O_WRONLY | os.O_CLOEXEC
    made = True
    try:
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if stat.S_ISREG(Path(path).stat().st_mode):
                raise UsageError(f"{path} exists already", "choose another name, or remove it first") from None
            descriptor, made = os.open(path, flags), False
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
    return cast(BinaryIO, os.fdopen(descriptor, "wb")), made
