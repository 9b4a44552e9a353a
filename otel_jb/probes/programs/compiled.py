# SPDX-License-Identifier: Apache-2.0
"""Gets the compiled BPF programs, from the cache or a loader child, and makes the maps that they use."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

from otel_jb.host.privileges import holds, pass_on
from otel_jb.model import errors
from otel_jb.model.dataclass import dataclass
from otel_jb.probes import abi, features
from otel_jb.probes.bpf import MAP_CREATE, BpfError, bpf
from otel_jb.probes.programs import cache
from otel_jb.probes.programs.instances import PRIVILEGES, refusal
from otel_jb.probes.programs.template import Template

TIMEOUT_S = 180.0  #: 2 s on a quick machine, more than a minute on an emulated one that shares its processor
RING_BYTES = 1 << 22
LinkKind = Literal["multi", "perf"]


_MAX_ANSWER = 1 << 18


@dataclass(frozen=True, slots=True)
class Loaded:
    """Templates of the programs, and the descriptors of the maps; the owner closes them."""

    templates: dict[str, Template]
    maps: dict[str, int]
    links: LinkKind
    bcc_version: str

    def close(self) -> None:
        """Close every descriptor; the kernel frees what nothing else refers to."""
        for fd in self.maps.values():
            os.close(fd)


class _Forked:
    """A fork that becomes the loader when there is a request for one, and ends when the other end of its socket is closed: as `Popen`, as far
    as that is used. An interpreter that starts beside the agent would take processor time from it, mostly for nothing.
    """

    def __init__(self, theirs: socket.socket) -> None:
        self.returncode: int | None = None
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _wait_and_become(theirs.fileno(), writing)
            finally:
                os._exit(1)  # never the caller's exit handlers, never its copy of anything buffered
        os.close(writing)
        self._errors = open(reading, "rb")  # noqa: SIM115 - `communicate` closes it

    def kill(self) -> None:
        """End it."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def communicate(self) -> tuple[None, bytes]:
        """Wait for its end; nothing, and what it wrote to stderr."""
        with self._errors:
            said = b"" if self._errors.closed else self._errors.read()
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return None, said


def _wait_and_become(requests: int, errors_to: int) -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard, descriptor in enumerate((nothing, nothing, errors_to)):
        os.dup2(descriptor, standard)
    os.closerange(3, requests)
    os.closerange(requests + 1, 1 << 16)
    select.select([requests], [], [])
    with socket.socket(fileno=os.dup(requests)) as asked:
        wanted = bool(asked.recv(1, socket.MSG_PEEK))
    if wanted:
        os.set_inheritable(requests, True)
        _pass_on()
        os.execv(sys.executable, _command(requests))


def _command(requests: int) -> list[str]:
    # Isolated (-I): neither the environment nor the current directory says what a privileged process imports.
    # Without site (-S): what is installed beside the agent is not needed there, and looking it up takes time.
    return [sys.executable, "-I", "-S", "-c", _PROGRAM, str(Path(__file__).parents[3]), str(requests)]


class _Child:
    """A loader child and this side's end of its socket. `forked`: one that begins when it is asked; only where there are no threads."""

    def __init__(self, *, forked: bool = False) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process: subprocess.Popen[bytes] | _Forked
        if forked:
            self.process = _Forked(theirs)
        else:
            self.process = subprocess.Popen(
                _command(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                preexec_fn=_pass_on,  # noqa: PLW1509 - system calls alone
            )
        theirs.close()

    def end(self) -> None:
        """End it, whatever it does, and reap it."""
        self.socket.close()
        self.process.kill()
        self.process.communicate()


def _pass_on() -> None:
    """The agent drops its privileges and passes none on, but the compiler needs one capability to create maps."""
    for name in ("CAP_BPF", "CAP_SYS_ADMIN"):
        if holds(name):
            pass_on(name)
            return


#: Signals that end the agent (a terminal and a service manager send them to its children too) are not for the child: the agent
#: stops when it has started, and ends what it still has.
_PROGRAM = (
    "import signal, sys; [signal.signal(number, signal.SIG_IGN) for number in (1, 2, 15)]; sys.path.insert(0, sys.argv[1]);"
    "from otel_jb.probes.programs.compiler import main; main(int(sys.argv[2]))"
)
_early: list[_Child] = []


def start_early() -> None:
    """Start a child before the request is known, so that BCC is mapped when the first `Loading` needs it.

    There is one although what was compiled earlier is kept: whether that serves this request shows only after the agent has given up the
    capabilities that a child needs, and a child that starts then could make no map. But where anything is kept it is only forked, and begins
    when it is asked.
    """
    if not _early:
        _early.append(_Child(forked=cache.keeps_anything()))


def end_early() -> None:
    """End the early child if nothing used it."""
    while _early:
        _early.pop().end()


class Loading:
    """The programs on their way: started early, so that they are compiled while the agent looks for targets.

    With `cached`, what an earlier start compiled is taken instead, and what is compiled is kept.
    """

    def __init__(
        self,
        buckets: int,
        cell_bits: int,
        max_series: int,
        links: str = "auto",
        *,
        cached: bool = False,
        flights: int = 1,
    ) -> None:
        self._links = links
        self._flights = flights  # packets that the flight recorder has room for
        self._request: dict[str, Any] = {
            "cached": cached,
            "defines": {
                "BUCKETS": buckets,
                "CELL_BITS": cell_bits,
                "SERIES": max_series,
                "RING_PAGES": RING_BYTES // resource.getpagesize(),
                **abi.COUNTER_DEFINES,
            },
        }
        self._child: _Child | None = None
        self._awaited = False  # another thread may wait for the child
        self._kept = cache.read(self._request) if cached else None
        if self._kept is None:
            self._compile()

    def _compile(self) -> None:
        self._child = _early.pop() if _early else _Child()
        self._child.socket.settimeout(TIMEOUT_S)
        with contextlib.suppress(BrokenPipeError):  # it ended: `result` says why
            self._child.socket.send(json.dumps(self._request).encode())

    def result(self) -> Loaded:
        """Wait for the compiled program and create the maps. Raises PermissionDeniedError, UnsupportedError."""
        links = _link_kind(self._links)
        if self._kept is not None:
            with contextlib.suppress(
                KeyError, TypeError, ValueError, AttributeError, BpfError
            ):  # not as it was written
                made = _made(self._kept, links, self._flights)
                end_early()
                return made
            self._compile()
        try:
            return _made(self._answer(), links, self._flights)
        except BpfError as error:
            raise refusal(error) from error

    def _answer(self) -> dict[str, Any]:
        """The child's result; raises the error that it reported."""
        assert self._child is not None
        self._awaited = True
        process = self._child.process
        try:
            data = self._child.socket.recv(_MAX_ANSWER)
        except ConnectionResetError:  # it ended before it had read the request
            data = b""
        except TimeoutError:
            process.kill()
            raise errors.UnsupportedError(f"compiling the BPF program took more than {TIMEOUT_S:.0f} s") from None
        finally:
            self._child.socket.close()
        _, stderr = process.communicate()
        if not data:
            last = stderr.decode(errors="replace").strip().splitlines()[-1:] or [_end(process.returncode or 0)]
            raise errors.UnsupportedError(
                f"the process that compiles the BPF program ended: {last[0]}",
                "Run `otel-jb doctor` for what is missing.",
            )
        answer: dict[str, Any] = json.loads(data)
        if "error" in answer:
            raise _error(answer, stderr)
        return answer

    def cancel(self) -> None:
        """End the running child and discard its result; `result`, if another thread waits for it, raises UnsupportedError."""
        if self._child is None:
            return
        if self._awaited:
            self._child.process.kill()
        else:
            self._child.end()


def _link_kind(wish: str) -> LinkKind:
    """How probes are attached on this kernel. Raises UnsupportedError if multi links are requested but unavailable."""
    # That a program loads for multi links proves nothing: kernels before 6.6 load it, and refuse only the link.
    multi = wish != "perf" and features.multi_link_error() == 0
    if wish == "multi" and not multi:
        raise errors.UnsupportedError(
            "this kernel has no uprobe multi links (Linux 6.6 brought them)", "Use --link auto."
        )
    return "multi" if multi else "perf"


def _made(compiled: dict[str, Any], links: LinkKind, flights: int) -> Loaded:
    """Templates and maps of what was compiled. KeyError, TypeError, ValueError for what was not, BpfError where the kernel refuses."""
    templates = {name: Template.from_plain(compiled["programs"][name]) for name in abi.PROGRAM_NAMES}
    maps: dict[str, int] = {}
    try:
        for name in abi.MAPS:
            kind, key, value, entries, flags = compiled["maps"][name]
            if name == "flights":
                entries = flights
            attributes = struct.pack("=5I8x16s", kind, key, value, entries, flags, name.encode()[:15])
            maps[name] = bpf(MAP_CREATE, attributes)
        return Loaded(templates, maps, links, str(compiled["bcc"]))
    except BaseException:
        for descriptor in maps.values():
            os.close(descriptor)
        raise


def _error(answer: dict[str, str], stderr: bytes) -> errors.AgentError:
    kind = {
        "PermissionDeniedError": errors.PermissionDeniedError,
        "UnsupportedError": errors.UnsupportedError,
    }.get(answer["error"], errors.UnsupportedError)
    help_text = answer["help"]
    if kind is errors.PermissionDeniedError:
        message = "the kernel does not let this process load BPF programs"
        return kind(message, PRIVILEGES)
    detail = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()][-3:]
    return kind(answer["message"], "\n".join([help_text, *detail]).strip())


def _end(status: int) -> str:
    """How a process without a message ended."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"no message, exit status {status}"
