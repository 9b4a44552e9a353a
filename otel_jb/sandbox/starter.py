# SPDX-License-Identifier: Apache-2.0
"""A small process that starts the sandbox's server whenever files are to be read.

A server holds twenty megabytes of libraries, and most agents read their last new file seconds after the start, so a server that is
not asked for a while ends. The next one cannot be a fork of the agent, which has threads by then and may not change its user any more.
So the agent forks this process first of all. It keeps what a server needs in order to give everything up, has no network, and is
told nothing but to fork.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

from otel_jb.host.privileges import keep_only
from otel_jb.model.errors import ElfError, UnsupportedError
from otel_jb.sandbox.seccomp import install_without_network
from otel_jb.sandbox.server import let_go_of_everything_but, serve_and_exit

#: To take a user of its own and to give up the right to regain anything; and to import what only its owner may read.
_KEPT = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_DAC_READ_SEARCH")
_ANSWER_S = 20.0
_ROOMS = ("arch", "code", "elf", "host", "model", "sandbox")  #: what a server imports
_REPLACED = (
    "otel-jb was replaced on disk while it runs",
    "Restart it: what is installed now may not fit what is running.",
)


class Starter:
    """The process, from the agent's side. Make it before there are threads; not safe to call from several."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(_ANSWER_S)
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # pages of what exists stay shared, which a collection would write to
        self._pid = os.fork()
        if self._pid == 0:
            _tend_and_exit(theirs)
        theirs.close()

    def start(self) -> tuple[int, socket.socket]:
        """A new server's PID, and the socket that it takes requests from. Raises ElfError where there is none."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                socket.send_fds(self._socket, [b"?"], [theirs.fileno()])
            answer = json.loads(self._socket.recv(1 << 12))
            if isinstance(answer, int):
                return answer, ours
            message, help_text = answer
        except (OSError, ValueError) as error:
            message, help_text = f"the sandbox for reading files cannot be started: {error}", "Restart the agent."
        ours.close()
        raise ElfError(message, help_text)

    def close(self) -> None:
        """End it, and wait until it and all servers, whose sockets must be closed, have ended."""
        self._socket.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _tend_and_exit(asks: socket.socket) -> NoReturn:
    status = 1
    try:
        _tend(asks)
        status = 0
    finally:
        os._exit(status)  # never the caller's exit handlers, never its copy of anything buffered


def _tend(asks: socket.socket) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The terminal's Ctrl-C is for the agent, which then closes the socket.
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT):
        # A crash ends a worker at once; a handler of the caller's would want system calls that are refused, for ever.
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # servers, and their workers, are reaped by the kernel
    signal.set_wakeup_fd(-1)
    let_go_of_everything_but(asks.fileno())
    # Where that fails, a server cannot give its privileges up either: it says so, and reads nothing.
    with contextlib.suppress(OSError, UnsupportedError):
        keep_only(_KEPT)
        install_without_network()
    began = _installed()
    while True:
        message, descriptors, _, _ = socket.recv_fds(asks, 1, 1)
        if not message:
            break
        if _installed() != began:
            asks.send(json.dumps(_REPLACED).encode())
        elif (pid := os.fork()) == 0:
            asks.close()
            serve_and_exit(socket.socket(fileno=descriptors[0]))
        else:
            asks.send(json.dumps(pid).encode())
        for descriptor in descriptors:
            os.close(descriptor)
    with contextlib.suppress(ChildProcessError):  # raised when none is left
        os.wait()


def _installed() -> tuple[tuple[str, int, int], ...]:
    """What tells the files that a server imports from others of the same names: another version's do not fit what this process holds."""
    rooms = Path(__file__).parents[1]
    found = []
    for room in _ROOMS:
        with contextlib.suppress(OSError), os.scandir(rooms / room) as files:
            for file in files:
                if file.name.endswith(".py"):
                    status = file.stat()
                    found.append((f"{room}/{file.name}", status.st_ino, status.st_mtime_ns))
    return tuple(sorted(found))
