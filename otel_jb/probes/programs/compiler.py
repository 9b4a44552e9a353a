# SPDX-License-Identifier: Apache-2.0
"""The child that compiles the BPF programs and hands the instructions over, then ends.

BCC and LLVM take 100 MB and 0.4 s; the agent needs them once. So they live in this short-lived process, and the agent, which
stays privileged, never maps them. `load` starts it, perhaps before it knows what to ask for, and sends a request to its socket.

The answer is one JSON object: templates of `abi.PROGRAM_NAMES` and specifications of `abi.MAPS`, of which the agent makes programs
and maps itself, or an error.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import socket
import struct
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NoReturn

from otel_jb.host.privileges import holds, keep_only
from otel_jb.model.errors import AgentError, UnsupportedError


def main(descriptor: int) -> NoReturn:
    """Serve one request on this socket, then exit; exit at once if the peer closes it without one."""
    connection = socket.socket(fileno=descriptor)
    # The compiler makes maps, to learn how they are laid out; whatever LLVM does, it can do no more than that.
    keep_only(("CAP_BPF",) if holds("CAP_BPF") else ("CAP_SYS_ADMIN",))
    load = _unprepared if _is_kept() else _prepared()
    with connection:
        data = connection.recv(65536)
        if not data:
            os._exit(0)
        try:
            answer = load(json.loads(data))
        except AgentError as error:
            answer = {"error": type(error).__name__, "message": error.message, "help": error.help}
        except Exception as error:  # noqa: BLE001 - BCC raises bare Exception
            kind = "PermissionDeniedError" if _is_permission(error) else "UnsupportedError"
            answer = {"error": kind, "message": str(error), "help": ""}
        with contextlib.suppress(BrokenPipeError):
            connection.send(json.dumps(answer).encode())
    os._exit(
        0
    )  # no interpreter shutdown: BCC's clean-up takes time and leaves nothing that the kernel would not clean up


def _is_kept() -> bool:
    """Whether the request will probably be served from the cache: then BCC would take processor time from what is at work meanwhile."""
    from otel_jb.probes.programs import cache

    return cache.has_some()


def _unprepared(request: dict[str, Any]) -> dict[str, Any]:
    """For a request that was not expected."""
    return _prepared()(request)


def _prepared() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What answers a request. BCC and all else is imported before there is one: that takes 0.1 s."""
    from otel_jb.probes import abi  # noqa: F401
    from otel_jb.probes.programs import bcc_module

    try:
        return partial(compile_programs, bcc_module.load())
    except AgentError as error:
        problem = error

    def refuse(_: dict[str, Any]) -> NoReturn:
        raise problem

    return refuse


def _is_permission(error: Exception) -> bool:
    return isinstance(error, PermissionError) or "Operation not permitted" in str(error)


def compile_programs(bcc: ModuleType, request: dict[str, Any]) -> dict[str, Any]:
    """Compile what `load.Loading` asks for, and keep it if that is asked too. Raises UnsupportedError, or what BCC raises."""
    from otel_jb.probes import abi
    from otel_jb.probes.programs import cache
    from otel_jb.probes.programs.source import bpf_directory, program_text
    from otel_jb.probes.programs.template import Template

    directory = bpf_directory()
    name = cache.name_of(request) if request["cached"] else ""
    os.environ["BCC_KERNEL_SOURCE"] = str(directory / "shim")
    # Before 5.11 maps count against this limit; later kernels ignore it.
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):
        pass
    # No debug information: nobody reads it, and it is a tenth of the time.
    flags = ["-w", "-g0", f"-I{directory}", f"-DPAGE_SIZE={resource.getpagesize()}"]
    flags += [f"-D{key}={value}" for key, value in request["defines"].items()]
    try:
        module = bcc.BPF(text=program_text(directory), cflags=flags)
    except Exception as error:
        raise UnsupportedError(
            f"the BPF program does not compile with BCC {bcc.__version__}: {error}",
            "Run `otel-jb doctor`; it names what is missing.",
        ) from error
    # Not by `module[name]`: that makes Python classes of what the maps hold.
    maps = {each: bcc.lib.bpf_table_fd(module.module, each.encode()) for each in abi.MAPS}
    names = {descriptor: each for each, descriptor in maps.items()}
    programs = {each: Template.of(bytes(module.dump_func(each)), names).plain() for each in abi.PROGRAM_NAMES}
    specifications = {each: _specification(descriptor) for each, descriptor in maps.items()}
    compiled = {"bcc": bcc.__version__, "maps": specifications, "programs": programs}
    if name:
        cache.store(name, compiled)
    return compiled


def _specification(descriptor: int) -> list[int]:
    """Type, key and value size, entries and flags of a map (struct bpf_map_info)."""
    from otel_jb.probes.bpf import OBJ_GET_INFO_BY_FD, bpf

    info = ctypes.create_string_buffer(80)
    bpf(OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", descriptor, len(info), ctypes.addressof(info)))
    kind, _, *rest = struct.unpack_from("=6I", info)
    return [kind, *rest]
