"""Starts the loader child and receives what it loaded."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from otel_jb import errors
from otel_jb.kernel import abi, cache

TIMEOUT_S = 60.0
RING_BYTES = 1 << 20
LinkKind = Literal["multi", "perf"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Descriptors of the loaded programs and maps; whoever holds it closes them."""

    programs: dict[str, int]
    maps: dict[str, int]
    links: LinkKind
    bcc_version: str

    def close(self) -> None:
        """Close every descriptor; the kernel frees what nothing else refers to."""
        for fd in (*self.programs.values(), *self.maps.values()):
            os.close(fd)


class _Child:
    """A loader child and this side's end of its socket."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Isolated (-I): neither the environment nor the current directory says what a privileged process imports.
        # Without site (-S): what is installed beside the agent is not needed there, and looking it up takes time.
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM, str(Path(__file__).parents[2]), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        theirs.close()

    def end(self) -> None:
        """End it, whatever it does, and reap it."""
        self.socket.close()
        self.process.kill()
        self.process.communicate()


#: Signals that end the agent (a terminal and a service manager send them to its children too) are not for the child: the agent
#: stops when it has started, and ends what it still has.
_PROGRAM = (
    "import signal, sys; [signal.signal(number, signal.SIG_IGN) for number in (1, 2, 15)]; sys.path.insert(0, sys.argv[1]);"
    "from otel_jb.kernel.loader import main; main(int(sys.argv[2]))"
)
_early: list[_Child] = []


def start_early() -> None:
    """Start a child before it is known what to compile: BCC is mapped by the time that the first `Loading` asks for it.

    Where something compiled is kept, chances are that no child is needed.
    """
    if not _early and not cache.holds_some():
        _early.append(_Child())


def end_early() -> None:
    """End the child that nobody asked for anything."""
    while _early:
        _early.pop().end()


class Loading:
    """A loader child at work: started early, so that it compiles while the agent looks for targets.

    With `cached`, what an earlier start compiled is loaded instead, and what is compiled is kept.
    """

    def __init__(
        self, buckets: int, cell_bits: int, max_series: int, links: str = "auto", *, cached: bool = False
    ) -> None:
        request: dict[str, Any] = {
            "cached": cached,
            "links": links,
            "defines": {
                "BUCKETS": buckets,
                "CELL_BITS": cell_bits,
                "SERIES": max_series,
                "RING_PAGES": RING_BYTES // resource.getpagesize(),
            },
        }
        self._request = request
        self._loaded: Loaded | None = None
        self._thread: threading.Thread | None = None
        entry = cache.read(request) if cached else None
        if entry is None:
            self._compile()
        else:
            # The verifier takes 0.07 s, in which the agent can do something else.
            self._thread = threading.Thread(target=self._take, args=(entry,), name="load")
            self._thread.start()

    def _take(self, entry: dict[str, Any]) -> None:
        found = cache.load(entry)
        if found is not None:
            answer, programs, maps = found
            self._loaded = Loaded(programs, maps, answer["links"], answer["bcc"])

    def _compile(self) -> None:
        child = _early.pop() if _early else _Child()
        self._socket, self._process = child.socket, child.process
        self._cancel = child.end
        self._socket.settimeout(TIMEOUT_S)
        with contextlib.suppress(BrokenPipeError):  # it ended: `result` says why
            self._socket.send(json.dumps(self._request).encode())

    def result(self) -> Loaded:
        """Wait for the child; raises what it reported: PermissionDeniedError, UnsupportedError."""
        if self._thread is not None:
            self._thread.join()
            if self._loaded is not None:
                return self._loaded
            self._compile()
        expected = len(abi.PROGRAM_NAMES) + len(abi.MAPS)
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, 65536, expected)
        except ConnectionResetError:  # it ended before it had read the request
            data, fds = b"", []
        except TimeoutError:
            self._process.kill()
            raise errors.UnsupportedError(f"compiling the BPF program took more than {TIMEOUT_S:.0f} s") from None
        finally:
            self._socket.close()
        _, stderr = self._process.communicate()
        if not data:
            last = stderr.decode(errors="replace").strip().splitlines()[-1:] or [_end(self._process.returncode)]
            raise errors.UnsupportedError(
                f"the process that loads the BPF program ended: {last[0]}", "Run `otel-jb doctor` for what is missing."
            )
        answer = json.loads(data)
        if "error" in answer:
            for fd in fds:
                os.close(fd)
            raise _error(answer, stderr)
        programs = dict(zip(abi.PROGRAM_NAMES, fds, strict=False))
        maps = dict(zip(abi.MAPS, fds[len(abi.PROGRAM_NAMES) :], strict=True))
        return Loaded(programs, maps, answer["links"], answer["bcc"])

    def cancel(self) -> None:
        """End what is at work without using what it loads."""
        if self._thread is None:
            self._cancel()
            return
        self._thread.join()
        if self._loaded is not None:
            self._loaded.close()


def _error(answer: dict[str, str], stderr: bytes) -> errors.AgentError:
    kind = {
        "PermissionDeniedError": errors.PermissionDeniedError,
        "UnsupportedError": errors.UnsupportedError,
    }.get(answer["error"], errors.UnsupportedError)
    help_text = answer["help"]
    if kind is errors.PermissionDeniedError:
        message = "the kernel does not let this process load BPF programs"
        help_text = "Run as root, or with CAP_BPF, CAP_PERFMON and (since Linux 6.15 and its backports) CAP_SYS_ADMIN."
        return kind(message, help_text)
    detail = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()][-3:]
    return kind(answer["message"], "\n".join([help_text, *detail]).strip())


def _end(status: int) -> str:
    """How a process without a message ended."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"no message, exit status {status}"
