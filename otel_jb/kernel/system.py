"""What the checks ask of the machine, in one place that a test can replace: files, capabilities, system calls, sockets.

Nothing here raises for what is missing: absence is an answer.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import os
import platform
import socket
import struct
import sys
from functools import cached_property
from pathlib import Path

#: Bits of CapEff (linux/capability.h).
CAPABILITIES = {
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}
_BPF_NUMBER = {"x86_64": 321, "aarch64": 280}
_MAP_CREATE, _PROG_LOAD, _LINK_CREATE = 0, 5, 28
_ARRAY_MAP, _KPROBE_PROGRAM, _UPROBE_MULTI, _UPROBE_SESSION = 2, 2, 48, 57


class System:
    """The machine that the agent runs on."""

    @property
    def release(self) -> str:
        """Kernel release, as `uname -r` prints it."""
        return os.uname().release

    @property
    def machine(self) -> str:
        return platform.machine()

    @property
    def user_id(self) -> int:
        return os.geteuid()

    @property
    def interpreter(self) -> str:
        """The file of the Python that runs this, links resolved."""
        return os.path.realpath(sys.executable)

    @property
    def module_path(self) -> tuple[str, ...]:
        return tuple(sys.path)

    def text(self, path: str) -> str | None:
        """The file's text, or None where it cannot be read."""
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read(1 << 20)
        except OSError:
            return None

    def exists(self, path: str) -> bool:
        return os.access(path, os.F_OK)

    def glob(self, pattern: str) -> list[str]:
        return sorted(glob.glob(pattern))  # noqa: PTH207 - Path.glob takes no absolute pattern

    def real_path(self, path: str) -> str:
        return os.path.realpath(path)

    def link(self, path: str) -> str | None:
        """What a symbolic link says, or None."""
        try:
            return str(Path(path).readlink())
        except OSError:
            return None

    def file_capabilities(self, path: str) -> bool:
        """Whether the file grants capabilities to whoever runs it (`setcap`)."""
        try:
            return bool(os.getxattr(path, "security.capability"))
        except OSError:
            return False

    @cached_property
    def capabilities(self) -> frozenset[str]:
        """Names of the effective capabilities, of those that matter here."""
        mask = int(self.status("CapEff") or "0", 16)
        return frozenset(name for name, bit in CAPABILITIES.items() if mask >> bit & 1)

    def status(self, key: str) -> str | None:
        """A line of /proc/self/status."""
        for line in (self.text("/proc/self/status") or "").splitlines():
            name, _, value = line.partition(":")
            if name == key:
                return value.strip()
        return None

    @property
    def family(self) -> str:
        """`debian`, `fedora` (RHEL and its kin too) or `other`, by os-release."""
        words: set[str] = set()
        for line in (self.text("/etc/os-release") or "").splitlines():
            key, _, value = line.partition("=")
            if key in ("ID", "ID_LIKE"):
                words |= set(value.strip("\"'").split())
        if words & {"debian", "ubuntu"}:
            return "debian"
        return "fedora" if words & {"fedora", "rhel", "centos"} else "other"

    def bpf_error(self) -> int:
        """Error number of making a BPF map; 0: it works."""
        return _bpf_close(_MAP_CREATE, struct.pack("=IIII", _ARRAY_MAP, 4, 8, 1))

    def multi_link_error(self) -> int:
        """0 where the kernel has uprobe multi links that can be used (6.6 and later), else the error number that tells why not.

        Loading a program for them proves nothing: kernels before 6.6 load it and refuse the link. So a link to a directory is
        asked for: a kernel that knows the kind says EBADF, an older one EINVAL. The first ones compared the pid with the thread's
        instead of the process's, so that calls on other threads were lost; since that was mended (6.10 and stable kernels,
        46ba0e49b642) a pid of -1 is EINVAL. libbpf asks the same two questions. EOPNOTSUPP here means: too early a kind.
        """
        code = ctypes.create_string_buffer(struct.pack("=QQ", 0xB7, 0x95))  # r0 = 0; exit
        license_text = ctypes.create_string_buffer(b"GPL")
        load = struct.pack(
            "=IIQQIIQII", _KPROBE_PROGRAM, 2, ctypes.addressof(code), ctypes.addressof(license_text), *[0] * 5
        )
        program = _bpf(_PROG_LOAD, load.ljust(68, b"\0") + struct.pack("=I", _UPROBE_MULTI))
        if program < 0:
            return -program
        try:
            known = _link_to_directory(program, 0)
            if known != errno.EBADF:
                return known or errno.EINVAL
            return 0 if _link_to_directory(program, -1) == errno.EINVAL else errno.EOPNOTSUPP
        finally:
            os.close(program)

    def has_sessions(self) -> bool:
        """Whether the kernel has session links (6.13), which let a probe leave its return half out."""
        code = ctypes.create_string_buffer(struct.pack("=QQ", 0xB7, 0x95))  # r0 = 0; exit
        license_text = ctypes.create_string_buffer(b"GPL")
        load = struct.pack(
            "=IIQQIIQII", _KPROBE_PROGRAM, 2, ctypes.addressof(code), ctypes.addressof(license_text), *[0] * 5
        )
        program = _bpf(_PROG_LOAD, load.ljust(68, b"\0") + struct.pack("=I", _UPROBE_SESSION))
        if program < 0:
            return False
        try:
            return _link_to_directory(program, 0, _UPROBE_SESSION) == errno.EBADF
        finally:
            os.close(program)

    def compile(self) -> str:
        """Compile the BPF program in the loader child and load it, as `run` does; says what came of it. Raises AgentError."""
        from otel_jb.config import DEFAULT_BOUNDARIES
        from otel_jb.kernel.boundaries import build
        from otel_jb.kernel.instances import Instances
        from otel_jb.kernel.load import Loading

        buckets = build(DEFAULT_BOUNDARIES)
        loaded = Loading(len(buckets.bounds_ns) + 1, buckets.cell_bits, 16).result()
        try:
            Instances(loaded.templates, loaded.maps, multi=loaded.links == "multi").check()
        finally:
            loaded.close()
        return f"compiled and loaded with BCC {loaded.bcc_version}, for {loaded.links} links"

    def listen_error(self, host: str, port: int) -> int:
        """Error number of listening on an address; 0: it is free. -1: the name cannot be resolved."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
                listener.listen(1)
        except socket.gaierror:
            return -1
        except OSError as error:
            return error.errno or errno.EINVAL
        return 0

    def connect_error(self, host: str, port: int) -> str | None:
        """Why a TCP connection is not to be had within a second; None: it is."""
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError as error:
            return error.strerror or str(error)
        return None

    def http(self, host: str, port: int, path: str) -> tuple[int, str] | None:
        """Status and text of a GET, within a second; None where nobody speaks HTTP there."""
        import http.client

        connection = http.client.HTTPConnection(host, port, timeout=1)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read(4096).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def _bpf(command: int, attributes: bytes) -> int:
    """The system call: a descriptor, or the negative error number."""
    number = _BPF_NUMBER.get(platform.machine())
    if number is None:
        return -errno.ENOSYS
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attributes, max(len(attributes), 72))
    result = int(libc.syscall(ctypes.c_long(number), ctypes.c_int(command), buffer, ctypes.c_uint(len(buffer))))
    return result if result >= 0 else -ctypes.get_errno()


def _link_to_directory(program: int, pid: int, kind: int = _UPROBE_MULTI) -> int:
    """Error number of a uprobe multi link that cannot be made."""
    path = ctypes.create_string_buffer(b"/")
    offset = ctypes.c_uint64(0)
    attributes = struct.pack("=IIII", program, 0, kind, 0) + struct.pack(
        "=QQQQIIi", ctypes.addressof(path), ctypes.addressof(offset), 0, 0, 1, 0, pid
    )
    return _bpf_close(_LINK_CREATE, attributes)


def _bpf_close(command: int, attributes: bytes) -> int:
    result = _bpf(command, attributes)
    if result < 0:
        return -result
    os.close(result)
    return 0
