# SPDX-License-Identifier: Apache-2.0
"""BPF programs for probes: filled from a template, loaded once for all probes that need the same, and closed with the last."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Mapping
from dataclasses import replace

from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AgentError, PermissionDeniedError, UnsupportedError
from otel_jb.model.reads import ReadProgram
from otel_jb.probes import abi
from otel_jb.probes.bpf import PROG_TYPE_KPROBE, PROG_TYPE_RAW_TRACEPOINT, BpfError, load, put_program
from otel_jb.probes.programs.prepared import Prepared, prepare
from otel_jb.probes.programs.template import Shape, Template, shape_of

MOST_OF_ONE_PROBE = 512  #: programs with a cookie of their own; each takes about 10 KiB of the kernel's memory
UPROBE_MULTI, UPROBE_SESSION = 48, 57  #: enum bpf_attach_type, BPF_TRACE_UPROBE_MULTI and BPF_TRACE_UPROBE_SESSION
_LOG_BYTES = 1 << 20
_OF_PROCESSES = frozenset({"on_exec", "on_exit", "on_command"})

PRIVILEGES = "Run as root, or with CAP_BPF, CAP_PERFMON and (before Linux 6.6) CAP_SYS_ADMIN."


@dataclass(slots=True)
class _Instance:
    descriptor: int
    users: int


class Instances:
    """Loads programs of templates by name; equal ones are loaded once."""

    def __init__(self, templates: Mapping[str, Template], maps: Mapping[str, int], *, multi: bool) -> None:
        self._templates, self._maps = templates, maps
        self._attach_type = UPROBE_MULTI if multi else 0
        self._loaded: dict[tuple[str, Shape], _Instance] = {}
        self._prepared: dict[tuple[str, bool], Prepared] = {}  # by template, and whether for sessions
        self._settles: set[str] = set()  # the program arrays that are filled

    def check(self) -> None:
        """Load each program once, as it is for a probe that reads nothing. Raises PermissionDeniedError, UnsupportedError."""
        for name in ("on_entry", "on_end"):  # those that every kernel has a use for
            shape = shape_of(ReadProgram(), events=True, nests=True)
            self.take(name, shape)
            self.give_back(name, shape)

    def room(self, programs: int) -> bool:
        """Whether this many more programs may contain their own cookie; other programs are shared and get it from the kernel."""
        return sum(shape.cookie is not None for _, shape in self._loaded) + programs <= MOST_OF_ONE_PROBE

    def take(self, name: str, shape: Shape) -> int:
        """The descriptor of the program `name` for this shape; to be given back. Raises PermissionDeniedError, UnsupportedError."""
        key = (name, shape)
        if key not in self._loaded:
            session = name == "on_session"
            if shape.features & abi.FEATURE_RTP and name != "on_end":
                self._fill_onward(session=session)
            kind = PROG_TYPE_RAW_TRACEPOINT if name in _OF_PROCESSES else PROG_TYPE_KPROBE
            self._loaded[key] = _Instance(self._load(name, shape, kind, session=session), 0)
        self._loaded[key].users += 1
        return self._loaded[key].descriptor

    def _load(self, name: str, shape: Shape, kind: int, *, session: bool) -> int:
        attach_type = UPROBE_SESSION if session else self._attach_type
        template = name if shape.features & abi.FEATURES_RARE else abi.PLAIN.get(name, name)
        if (template, session) not in self._prepared:
            maps = {**self._maps, "onward": self._maps["onward_in_session"]} if session else self._maps
            self._prepared[template, session] = prepare(self._templates[template], maps)
        code = self._prepared[template, session].filled(shape)
        return load_program(name, code, 0 if kind == PROG_TYPE_RAW_TRACEPOINT else attach_type, kind)

    def _fill_onward(self, *, session: bool) -> None:
        """Put what settles losses where programs of this kind find it, once. The array keeps it, and the kernel empties that with its descriptor."""
        array = "onward_in_session" if session else "onward"
        if array in self._settles:
            return
        for place, name in abi.ONWARD[array].items():
            program = self._load(
                name, shape_of(ReadProgram(), events=False, nests=False), PROG_TYPE_KPROBE, session=session
            )
            try:
                put_program(self._maps[array], place, program)
            finally:
                os.close(program)
        self._settles.add(array)

    def rest(self) -> None:
        """Forget what makes programs quickly: until the next is taken, which makes it anew, it would only take memory."""
        self._prepared.clear()

    def give_back(self, name: str, shape: Shape) -> None:
        """One user less; the kernel frees the program when its last link is gone."""
        key = (name, shape)
        self._loaded[key].users -= 1
        if not self._loaded[key].users:
            os.close(self._loaded.pop(key).descriptor)

    def close(self) -> None:
        """Close every program."""
        for instance in self._loaded.values():
            os.close(instance.descriptor)
        self._loaded.clear()


def shared(shape: Shape) -> Shape:
    """The shape for all probes that differ in nothing but their cookie."""
    return replace(shape, cookie=None, word=0)


def load_program(name: str, code: bytes, attach_type: int, kind: int = PROG_TYPE_KPROBE) -> int:
    """A descriptor of the loaded program. Raises PermissionDeniedError, UnsupportedError with the verifier's message."""
    try:
        return _load(name, code, attach_type, kind, None)
    except BpfError as error:
        if error.errno in (errno.EPERM, errno.ENOSYS):
            raise refusal(error) from error
    log = ctypes.create_string_buffer(_LOG_BYTES)  # again, for the reason: writing the log takes longer than verifying
    try:
        return _load(name, code, attach_type, kind, log)
    except BpfError as error:
        said = [line for line in log.value.decode(errors="replace").splitlines() if line.strip()]
        reason = next((line for line in reversed(said) if not line.startswith("processed ")), error.strerror)
        raise UnsupportedError(f"the kernel does not load the BPF program {name}: {reason}") from error


def refusal(error: BpfError) -> AgentError:
    """The error of a system call `bpf` that the kernel refused."""
    if error.errno == errno.EPERM:
        return PermissionDeniedError("the kernel does not let this process load BPF programs", PRIVILEGES)
    if error.errno == errno.ENOSYS:
        return UnsupportedError("this kernel has no BPF, or a seccomp filter blocks bpf() for this process")
    return UnsupportedError(f"the kernel refuses BPF maps or programs: {error.strerror}")


def _load(name: str, code: bytes, attach_type: int, kind: int, log: ctypes.Array[ctypes.c_char] | None) -> int:
    instructions = ctypes.create_string_buffer(code, len(code))
    license_text = ctypes.create_string_buffer(b"GPL")
    pointers = (ctypes.addressof(instructions), ctypes.addressof(license_text))
    logging = (1, len(log), ctypes.addressof(log)) if log is not None else (0, 0, 0)
    # union bpf_attr of BPF_PROG_LOAD: type, instructions, licence, log level, size and buffer, version, flags, name, device, attach type
    head = struct.pack("=IIQQIIQII16sI", kind, len(code) // 8, *pointers, *logging, 0, 0, name.encode()[:15], 0)
    return load(head + struct.pack("=I", attach_type))
