# SPDX-License-Identifier: Apache-2.0
"""The sandbox's side: a server that forks a worker for each request, both of them confined before they see anything hostile.

The server gives up its user, every capability and most system calls as soon as it has imported what workers need; from then on
neither it nor a worker can open a file, make a socket, start a program, or touch another process.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

from otel_jb.host.memory import let_go_of_code
from otel_jb.host.privileges import give_up_everything
from otel_jb.model.errors import AgentError, UnsupportedError
from otel_jb.sandbox.limits import MAX_FILES, limit_server, limit_worker
from otel_jb.sandbox.seccomp import REMEDY

_ADDRESS_SPACE_BYTES = 1 << 30  #: beyond what the server has already, and twice the files' size
_PACKAGE = "otel_jb.sandbox."
IDLE_S = 10  #: a server that is not asked for so long ends
_TIMEVAL = struct.Struct("@ll")  # socket(7), SO_RCVTIMEO
#: imported before privileges are dropped, because nothing can be imported afterwards
_PRELOAD = ("lzma", "zlib", "traceback", "elftools.elf.structs")
#: What is asked first of all, and all that is imported for it.
_SEARCH = "otel_jb.sandbox.report:read_each"
_OF_SEARCH = (
    *("otel_jb.sandbox.report", "otel_jb.sandbox.signal_stacks", "elftools.elf.structs"),
    *(f"otel_jb.elf.{name}" for name in ("debugfile", "demangle", "places", "references", "symbols", "usdt")),
)
#: Of the twenty machines that capstone imports the constants of, those whose code is read.
_MACHINES = ("x86", "arm64")


def serve_and_exit(requests: socket.socket) -> NoReturn:
    """Answer requests until the socket is closed or nobody has asked for a while, then end this process, which has its starter's signals."""
    status = 1
    try:
        _serve(requests)
        status = 0
    finally:
        os._exit(status)  # never the caller's exit handlers, never its copy of anything buffered


def _serve(requests: socket.socket) -> None:
    let_go_of_everything_but(requests.fileno())
    requests.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(IDLE_S, 0))
    held = _preload(requests)
    let_go_of_code()
    address_space = _address_space()
    try:
        give_up_everything()
        limit_server()
    except (OSError, UnsupportedError) as error:
        why = (
            (error.message, error.help) if isinstance(error, AgentError) else (f"giving up privileges: {error}", REMEDY)
        )
        requests.send(json.dumps(why).encode())  # read where an answer fails to come
        return
    import gc

    gc.freeze()  # so that a worker's collection does not copy every page that it shares
    server = os.getpid()
    while True:
        try:
            message, descriptors = held if held is not None else _next(requests)
            held = None
        except InterruptedError:
            continue
        except BlockingIOError:  # nobody has asked for IDLE_S
            if _works():
                continue
            return
        if not message:
            return
        if len(descriptors) >= 2 and os.fork() == 0:
            _work_and_exit(server, address_space, requests, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _next(requests: socket.socket, flags: int = 0) -> tuple[bytes, list[int]]:
    message, descriptors, _, _ = socket.recv_fds(requests, 1, MAX_FILES + 2, flags)
    return message, descriptors


def let_go_of_everything_but(keep: int) -> None:
    """Leave the terminal, its session and every descriptor: an attacker's code would use inherited ones first."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        if standard != keep:
            os.dup2(nothing, standard)
    os.closerange(3, keep)
    os.closerange(keep + 1, 1 << 16)


def _works() -> bool:
    """Whether a worker still runs; those that ended are nobody's."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _preload(requests: socket.socket | None = None) -> tuple[bytes, list[int]] | None:
    """Import everything that a worker may need, because workers cannot: all of this package, and its late imports.

    What comes from `requests` meanwhile is begun with as soon as its modules are there, where they are few. Returns a request that has to wait.
    """
    rooms = Path(__file__).parents[1]
    own = [
        f"otel_jb.{room}.{path.stem}"
        for room in ("arch", "code", "elf", "sandbox")
        for path in (rooms / room).glob("*.py")
        if path.stem != "__init__"
    ]
    held = None
    for name in _OF_SEARCH:
        importlib.import_module(name)
    _use_once()
    held = _begin_early(requests) if requests is not None else None
    with contextlib.suppress(ImportError, OSError):  # a user who may not read the package has what was imported before
        _import_decoder()
    for name in (*_PRELOAD, *own):
        if held is None and requests is not None:
            held = _begin_early(requests)
        with contextlib.suppress(ImportError, OSError):
            importlib.import_module(name)
    return held


def _use_once() -> None:
    """The first use of a library costs more than the others."""
    from otel_jb.elf.demangle import available
    from otel_jb.elf.image import Image

    available()
    with contextlib.suppress(AgentError, OSError), open("/proc/self/exe", "rb") as file:
        _ = Image.from_file(file).build_id


def _begin_early(requests: socket.socket) -> tuple[bytes, list[int]] | None:
    """Have a worker begin with a request that has come, if it is a search; one that is not, or the end of all requests, is returned."""
    try:
        message, descriptors = _next(requests, socket.MSG_DONTWAIT)
    except (BlockingIOError, InterruptedError):
        return None
    if len(descriptors) < 2 or _asked(descriptors[1])["function"] != _SEARCH:
        return message, descriptors
    server = os.getpid()
    if os.fork() == 0:
        address_space = _address_space()
        with contextlib.suppress(OSError, UnsupportedError):
            give_up_everything()
            limit_server()
            _work_and_exit(server, address_space, requests, descriptors)
        os._exit(1)  # the server cannot be confined either, and says why when it is asked again
    for descriptor in descriptors:
        os.close(descriptor)
    return None


def _import_decoder() -> None:
    """Import capstone, first of all: what is forgotten of it, two megabytes, leaves room for what is imported next."""
    import capstone  # noqa: F401

    kept = {f"capstone.{machine}{part}" for machine in _MACHINES for part in ("", "_const")}
    others = [module for name, module in sys.modules.items() if name.startswith("capstone.") and name not in kept]
    for module in others:
        for constant in [name for name in vars(module) if name.isupper()]:
            delattr(module, constant)


def _work_and_exit(server: int, address_space: int, requests: socket.socket, descriptors: list[int]) -> NoReturn:
    status = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        requests.close()
        answering, body, *files = descriptors
        request = _asked(body)
        signal.alarm(int(request["seconds"]) + 1)
        if request["patient"]:
            with contextlib.suppress(PermissionError):  # as the unit's SystemCallFilter= answers
                os.nice(19)
        limit_worker(int(request["cpu_seconds"]), address_space + _ADDRESS_SPACE_BYTES + 2 * request["bytes"], server)
        answer = _answer(request, files)
        write_all(answering, struct.pack("<Q", len(answer)) + answer)
        status = 0
    finally:
        os._exit(status)


def _asked(body: int) -> dict[str, Any]:
    request: dict[str, Any] = json.loads(os.pread(body, os.lseek(body, 0, os.SEEK_END), 0))
    return request


def _answer(request: dict[str, Any], files: list[int]) -> bytes:
    try:
        module, _, name = str(request["function"]).partition(":")
        if not module.startswith(_PACKAGE) or name.startswith("_"):
            raise ValueError(f"not a function of the sandbox: {module}:{name}")
        function = getattr(importlib.import_module(module), name)
        return json.dumps({"result": function(files, **request["arguments"])}).encode()
    except AgentError as error:
        return json.dumps({"error": [error.message, error.help]}).encode()
    except MemoryError:
        return b""
    except Exception as error:  # noqa: BLE001
        # A defect of the agent, or an unforeseen file: one clear error either way, with its origin.
        import traceback

        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {last.name}: {error}"[:300]
        return json.dumps({"error": [f"the file cannot be analysed ({where})", ""]}).encode()


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, however often the kernel takes only a part."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _address_space() -> int:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
