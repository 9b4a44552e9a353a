# SPDX-License-Identifier: Apache-2.0
"""Everything that the checks ask of the machine, in one place that a test can replace: files, capabilities, system calls, sockets.

Nothing here raises if something is missing: absence is an answer.
"""

from __future__ import annotations

import errno
import glob
import os
import platform
import socket
import sys
from functools import cached_property
from pathlib import Path

from otel_jb.host.privileges import CAPABILITIES
from otel_jb.probes import features
from otel_jb.probes.attach import tracefs
from otel_jb.sandbox import seccomp


class System:
    """The machine that the agent runs on.

    Args:
        command: the command that remedies tell the user to run again, without its address.
    """

    command = "otel-jb run"

    def __init__(self, command: str = command) -> None:
        self.command = command

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
        """The running Python's executable, with links resolved."""
        return os.path.realpath(sys.executable)

    @property
    def module_path(self) -> tuple[str, ...]:
        return tuple(sys.path)

    def text(self, path: str) -> str | None:
        """The file's text, or None if it cannot be read."""
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
        """The target of a symbolic link, or None."""
        try:
            return str(Path(path).readlink())
        except OSError:
            return None

    def file_capabilities(self, path: str) -> bool:
        """Whether the file grants capabilities to everybody who runs it (`setcap`)."""
        try:
            return bool(os.getxattr(path, "security.capability"))
        except OSError:
            return False

    @cached_property
    def capabilities(self) -> frozenset[str]:
        """Names of the effective capabilities that matter here."""
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
        """`debian`, `fedora` (including RHEL and its relatives) or `other`, by os-release."""
        words: set[str] = set()
        for line in (self.text("/etc/os-release") or "").splitlines():
            key, _, value = line.partition("=")
            if key in ("ID", "ID_LIKE"):
                words |= set(value.strip("\"'").split())
        if words & {"debian", "ubuntu"}:
            return "debian"
        return "fedora" if words & {"fedora", "rhel", "centos"} else "other"

    def bpf_error(self) -> int:
        """Error number of creating a BPF map; 0: it works."""
        return features.bpf_error()

    def seccomp_refusal(self) -> str:
        """Why the kernel rejects the sandbox's system call filter; empty if it accepts it."""
        return seccomp.refusal()

    def multi_link_error(self) -> int:
        """0 if uprobe multi links work, otherwise the error number that says why not (`features.multi_link_error`)."""
        return features.multi_link_error()

    def defines_events(self) -> bool:
        """Whether this process may define uprobes in tracefs."""
        return tracefs.events_file() is not None

    def compile(self) -> str:
        """Compile the BPF program in the loader child and load it, as `run` does; describes the result. Raises AgentError."""
        from otel_jb.config.model import DEFAULT_BOUNDARIES
        from otel_jb.probes.programs.compiled import Loading
        from otel_jb.probes.programs.instances import Instances
        from otel_jb.probes.read.boundaries import build

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
        """Why a TCP connection cannot be made within a second; None: it can."""
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError as error:
            return error.strerror or str(error)
        return None

    def http(self, host: str, port: int, path: str) -> tuple[int, str] | None:
        """Status and text of a GET, within a second; None if there is no HTTP server."""
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
