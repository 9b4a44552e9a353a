"""The child that compiles and loads the BPF program and hands its descriptors over, then ends.

BCC and LLVM take 100 MB and 0.4 s; the agent needs them once. So they live in this short-lived process, and the agent, which
stays privileged, never maps them. `load` starts it, perhaps before it knows what to ask for, and sends a request to its socket.

The answer is one JSON object; on success the descriptors of `abi.PROGRAM_NAMES` and `abi.MAPS` travel with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NoReturn

from otel_jb.errors import AgentError, UnsupportedError

UPROBE_MULTI = 48  # enum bpf_attach_type, BPF_TRACE_UPROBE_MULTI


def main(descriptor: int) -> NoReturn:
    """Serve one request on this socket, then end; end at once where the other side goes away without one."""
    connection = socket.socket(fileno=descriptor)
    load = _prepared()
    with connection:
        data = connection.recv(65536)
        if not data:
            os._exit(0)
        try:
            answer, descriptors = load(json.loads(data))
        except AgentError as error:
            answer, descriptors = {"error": type(error).__name__, "message": error.message, "help": error.help}, []
        except Exception as error:  # noqa: BLE001 - BCC raises bare Exception
            kind = "PermissionDeniedError" if _is_permission(error) else "UnsupportedError"
            answer, descriptors = {"error": kind, "message": str(error), "help": ""}, []
        with contextlib.suppress(BrokenPipeError):
            socket.send_fds(connection, [json.dumps(answer).encode()], descriptors)
    # No interpreter shutdown: BCC's clean-up would only close what the agent now holds.
    os._exit(0)


def _prepared() -> Callable[[dict[str, Any]], tuple[dict[str, Any], list[int]]]:
    """What answers a request. BCC and all else is imported before there is one: that takes 0.1 s."""
    from otel_jb.kernel import abi, bcc_module, cache, source, system  # noqa: F401

    try:
        return partial(_load, bcc_module.load())
    except AgentError as error:
        problem = error

    def refuse(_: dict[str, Any]) -> NoReturn:
        raise problem

    return refuse


def _is_permission(error: Exception) -> bool:
    return isinstance(error, PermissionError) or "Operation not permitted" in str(error)


def _load(bcc: ModuleType, request: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
    from otel_jb.kernel import abi, cache
    from otel_jb.kernel.source import PROGRAM, bpf_directory
    from otel_jb.kernel.system import System

    directory = bpf_directory()
    entry = cache.name_of(request) if request["cached"] else ""
    os.environ["BCC_KERNEL_SOURCE"] = str(directory / "shim")
    # Before 5.11 maps count against this limit; later kernels ignore it.
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):
        pass
    # No debug information: nobody reads it, and it is a tenth of the time.
    flags = ["-w", "-g0", f"-I{directory}", f"-DPAGE_SIZE={resource.getpagesize()}"]
    flags += [f"-D{name}={value}" for name, value in request["defines"].items()]
    try:
        module = bcc.BPF(src_file=str(directory / PROGRAM), cflags=flags)
    except Exception as error:
        raise UnsupportedError(
            f"the BPF program does not compile with BCC {bcc.__version__}: {error}",
            "Run `otel-jb doctor`; it names what is missing.",
        ) from error
    # That the program loads for multi links proves nothing: kernels before 6.6 load it, and refuse only the link.
    multi = request["links"] != "perf" and System().multi_link_error() == 0
    if request["links"] == "multi" and not multi:
        raise UnsupportedError("this kernel has no uprobe multi links (Linux 6.6 brought them)", "Use --link auto.")
    kinds = ("multi",) if request["links"] == "multi" else ("multi", "perf") if multi else ("perf",)
    for kind in kinds:
        module.funcs.clear()  # load_func caches by name
        attach_type = UPROBE_MULTI if kind == "multi" else -1
        try:
            programs = [
                module.load_func(name, bcc.BPF.KPROBE, attach_type=attach_type).fd for name in abi.PROGRAM_NAMES
            ]
        except Exception:
            if kind == kinds[-1]:
                raise
            continue
        maps = [module[name].map_fd for name in abi.MAPS]
        answer = {"links": kind, "bcc": bcc.__version__}
        if entry:
            code = {name: bytes(module.dump_func(name)) for name in abi.PROGRAM_NAMES}
            cache.store(entry, answer, code, dict(zip(abi.MAPS, maps, strict=True)))
        return answer, programs + maps
    raise UnsupportedError("the BPF program could not be loaded")
