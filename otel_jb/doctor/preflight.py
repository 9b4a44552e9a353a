# SPDX-License-Identifier: Apache-2.0
"""Checks whether this machine can measure, with remedies: small pure functions over `System`.

`doctor` shows all of them; `preflight` raises for the first that would stop `run`, in a few milliseconds.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
from enum import Enum
from pathlib import Path

from otel_jb.arch.machine import MACHINES
from otel_jb.config.model import Config
from otel_jb.doctor.system import System
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AddressInUseError, AgentError, PermissionDeniedError, UnsupportedError
from otel_jb.probes import features
from otel_jb.probes.programs import bcc_module
from otel_jb.sandbox.seccomp import REMEDY

LIBRARY_PLACES = (
    "/usr/lib/*/libbcc.so.0",
    "/usr/lib64/libbcc.so.0",
    "/usr/lib/libbcc.so.0",
    "/usr/local/lib*/libbcc.so.0",
)
HOST_PID_NAMESPACE = "pid:[4026531836]"  #: PROC_PID_INIT_INO of linux/proc_ns.h: the initial namespace, on every kernel


class Status(Enum):
    """The result of a check."""

    OK = "ok"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"  #: with the reason in the detail


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `doctor`: the check, its finding, and the commands that fix the problem."""

    name: str
    status: Status
    detail: str
    remedy: str = ""
    error: type[AgentError] = UnsupportedError  #: the consequence for `run` if it failed


def preflight(config: Config, system: System | None = None) -> None:
    """Raise PermissionDeniedError, UnsupportedError or AddressInUseError early if `run` would fail later."""
    system = system or System()
    checks = [machine(system), kernel(system), interpreter_capabilities(system, blocking=True), capabilities(system)]
    checks += [
        user_namespace(system),
        pid_namespace(system),
        bpf(system),
        seccomp(system),
        bcc(system),
        library(system),
    ]
    for check in checks:
        if check.status is Status.FAILED:
            raise check.error(check.detail, check.remedy)
    if config.listen is not None:
        check = listening(system, config.listen.host, config.listen.port)
        if check.status is Status.FAILED:
            raise check.error(check.detail, check.remedy)


def service_capabilities(system: System) -> tuple[str, ...]:
    """Exactly the capabilities that a service needs on this kernel."""
    return features.CAPABILITIES if _has_multi_links(system) else (*features.CAPABILITIES, features.OLD_KERNELS)


def may_attach(system: System) -> bool:
    """Whether the kernel lets this process load probe programs."""
    return "CAP_SYS_ADMIN" in system.capabilities or {"CAP_BPF", "CAP_PERFMON"} <= system.capabilities


def _has_multi_links(system: System) -> bool:
    """Asks the kernel if it answers; otherwise decides by its version."""
    code = system.multi_link_error()
    return _version(system) >= features.MULTI_LINKS_SINCE if code in (errno.EPERM, errno.EACCES) else code == 0


def safe_way(system: System) -> str:
    """How to give privileges to the agent but not to every script: commands and a unit file."""
    program = str(Path(sys.argv[0]).absolute()) if Path(sys.argv[0]).name == "otel-jb" else "otel-jb"
    return f"""\
run it as root:
  sudo {system.command}
or as a service with only what it needs, /etc/systemd/system/otel-jb.service:
  [Service]
  DynamicUser=yes
  AmbientCapabilities={" ".join(service_capabilities(system))}
  ExecStart={program} run"""


def machine(system: System) -> Check:
    """The supported architectures."""
    if system.machine in MACHINES:
        return Check("architecture", Status.OK, system.machine)
    return Check(
        "architecture",
        Status.FAILED,
        f"this machine is {system.machine}; otel-jb knows {' and '.join(MACHINES)}",
        "run it on one of those; this machine cannot be supported",
    )


def _version(system: System) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", system.release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def kernel(system: System) -> Check:
    """5.15 brought attach cookies for uprobes; RHEL 9's 5.14 has them by backport."""
    version = _version(system)
    if version >= (5, 15):
        return Check("kernel", Status.OK, system.release)
    if version == (5, 14) and re.search(r"\.el9", system.release):
        return Check("kernel", Status.OK, f"{system.release} (RHEL 9 has what is needed by backport)")
    remedy = {
        "debian": "sudo apt-get install linux-image-$(dpkg --print-architecture)    # Debian 12 and later have 6.1\n"
        "sudo apt-get install linux-generic-hwe-$(lsb_release -rs)    # Ubuntu 20.04: 5.15\nthen: sudo reboot",
        "fedora": "sudo dnf upgrade kernel && sudo reboot    # RHEL 8's 4.18 cannot; RHEL 9 and later can",
    }.get(system.family, "install Linux 5.15 or later and reboot")
    return Check(
        "kernel", Status.FAILED, f"Linux {system.release} is too old: attach cookies need 5.15 (RHEL 9: 5.14)", remedy
    )


def capabilities(system: System) -> Check:
    """Multi links (since Linux 6.6) need CAP_BPF and CAP_PERFMON; perf events need CAP_SYS_ADMIN (CVE-2025-38466 and its backports)."""
    have, name = system.capabilities, "capabilities"
    old = features.OLD_KERNELS
    needed = service_capabilities(system)
    # CAP_SYS_ADMIN includes everything that attaching needs.
    missing = [
        each for each in needed if each not in have and (old not in have or each not in ("CAP_BPF", "CAP_PERFMON"))
    ]
    if missing == [old] and system.defines_events():
        return Check(
            name, Status.OK, f"{', '.join(sorted(have))}; probes by tracefs, without {old}", error=PermissionDeniedError
        )
    if not missing:
        return Check(name, Status.OK, ", ".join(sorted(have)), error=PermissionDeniedError)
    if set(missing) <= {"CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}:
        return Check(
            name,
            Status.FAILED if "CAP_SYS_PTRACE" in missing else Status.OK,
            f"{', '.join(missing)} is missing: processes of other users cannot be read",
            safe_way(system),
            PermissionDeniedError,
        )
    why = (
        ""
        if missing != [old]
        else f" (without multi links, which Linux 6.6 brought, it asks {old}, or write access to tracefs)"
    )
    in_container = " ".join(f"--cap-add {each.removeprefix('CAP_')}" for each in needed)
    return Check(
        name,
        Status.FAILED,
        f"user {system.user_id} lacks {', '.join(missing)}: the kernel will not let it attach probes{why}",
        f"{safe_way(system)}\nin a container: {in_container}",
        PermissionDeniedError,
    )


def interpreter_capabilities(system: System, *, blocking: bool = False) -> Check:
    """`setcap` on a shared Python gives root's power to every script of every user; `run` refuses to use it.

    With `blocking`, it fails only if this process got its privileges that way.
    """
    places = dict.fromkeys([system.interpreter, system.real_path("/usr/bin/python3")])
    marked = [place for place in places if system.file_capabilities(place)]
    if blocking:
        marked = [place for place in marked if place == system.interpreter and system.user_id != 0]
    if not marked:
        return Check("python's own capabilities", Status.OK, "none: running a script grants nobody privileges")
    removal = "\n".join(f"sudo setcap -r {shlex.quote(place)}" for place in marked)
    return Check(
        "python's own capabilities",
        Status.FAILED,
        f"{' and '.join(marked)} has file capabilities (setcap): any user who can run it can take over this machine",
        f"take them away:\n  {removal}\nthen {safe_way(system)}",
        PermissionDeniedError,
    )


def user_namespace(system: System) -> Check:
    """Capabilities inside a user namespace do not reach the kernel's BPF and perf checks."""
    words = (system.text("/proc/self/uid_map") or "").split()
    if words[:3] in ([], ["0", "0", "4294967295"]):
        return Check("user namespace", Status.OK, "the host's")
    return Check(
        "user namespace",
        Status.FAILED,
        "this is a user namespace (a rootless container?), whose root cannot attach probes",
        "run the container with the host's user namespace:\n  sudo docker run --userns=host --pid=host ...\n"
        "  sudo podman run --pid=host ...    # as root, not rootless",
        PermissionDeniedError,
    )


def pid_namespace(system: System) -> Check:
    """Probes use the host's PIDs; in another namespace, /proc shows different ones."""
    namespace = system.link("/proc/self/ns/pid")
    if namespace in (None, HOST_PID_NAMESPACE):
        return Check("pid namespace", Status.OK, "the host's")
    return Check(
        "pid namespace",
        Status.FAILED,
        "this container has its own PID namespace and cannot see the host's processes",
        "docker run --pid=host ...    # Compose: pid: host; Kubernetes: hostPID: true",
        PermissionDeniedError,
    )


def bpf(system: System) -> Check:
    """The system call itself: the kernel may lack it, or a seccomp profile may block it."""
    code = system.bpf_error()
    if code == 0:
        return Check("bpf()", Status.OK, "works")
    if code == errno.EPERM and not system.capabilities & {"CAP_BPF", "CAP_SYS_ADMIN"}:
        return Check("bpf()", Status.NOT_APPLICABLE, "cannot be tried without CAP_BPF")
    if code in (errno.EPERM, errno.EACCES):
        filtered = system.status("Seccomp") == "2"
        return Check(
            "bpf()",
            Status.FAILED,
            "bpf() is refused" + (" by the container's seccomp profile" if filtered else " despite CAP_BPF"),
            "docker run --security-opt seccomp=unconfined ...    # or a profile that allows bpf and perf_event_open"
            if filtered
            else "look for a security module that refuses it:\n  sudo dmesg | grep -i -E 'denied|bpf' | tail",
            PermissionDeniedError,
        )
    return Check(
        "bpf()",
        Status.FAILED,
        f"bpf() does not work here: {os.strerror(code)}",
        "use a kernel with CONFIG_BPF_SYSCALL=y (every distribution's has it):\n"
        "  zgrep CONFIG_BPF_SYSCALL /proc/config.gz /boot/config-$(uname -r)",
    )


def seccomp(system: System) -> Check:
    """Files that targets control are read only in a sandbox that the kernel confines."""
    name, why = "sandbox", system.seccomp_refusal()
    if not why:
        return Check(name, Status.OK, "the kernel accepts its seccomp filter")
    return Check(name, Status.FAILED, f"no file can be read safely here: {why}", REMEDY)


def bcc(system: System) -> Check:
    """The distribution's `bcc` is installed; a virtual environment's `bcc` is another package."""
    place = bcc_module.find(system.glob, system.exists)
    others = bcc_module.impostors(system.module_path, system.exists)
    note = f"; {', '.join(others)} is another package of that name (crystal lattices)" if others else ""
    if place is not None:
        match = re.search(r"['\"]([^'\"]+)['\"]", system.text(f"{place}/version.py") or "")
        return Check(
            "bcc", Status.OK, f"{match[1] if match else 'unknown version'} in {place}{note and note + ', ignored'}"
        )
    return Check(
        "bcc",
        Status.FAILED,
        f"the distribution's `bcc` is not installed{note}",
        f"{_install(system)}\nnot `pip install bcc`: that is an unrelated package"
        + ("".join(f"\n  {sys.executable} -m pip uninstall bcc" for _ in others[:1])),
    )


def library(system: System) -> Check:
    """`libbcc.so.0` contains the compiler."""
    found = [path for pattern in LIBRARY_PLACES for path in system.glob(pattern)]
    if found:
        return Check("libbcc", Status.OK, found[0])
    return Check(
        "libbcc", Status.FAILED, "libbcc.so.0, which contains the compiler, is not installed", _install(system)
    )


def listening(system: System, host: str, port: int) -> Check:
    """The address of /metrics is free, or a running agent uses it."""
    name = "address to listen on"
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    code = system.listen_error(host, port)
    if code == 0:
        return Check(name, Status.OK, f"{where} is free")
    if code == errno.EADDRINUSE:
        why, remedy = (
            "is taken",
            f"sudo ss -ltnp 'sport = :{port}'    # shows who uses it\n{system.command} --port {port + 1}",
        )
    elif code == errno.EACCES:
        why, remedy = "may not be bound", f"choose a port from 1024 up:\n  {system.command} --port 9310"
    elif code == -1:
        why, remedy = "has a host name that cannot be resolved", f"{system.command} --listen 127.0.0.1:9310"
    else:
        why, remedy = f"cannot be bound: {os.strerror(code)}", "ip -brief address    # the addresses of this machine"
    return Check(name, Status.FAILED, f"{where} {why}", remedy, AddressInUseError)


def _install(system: System) -> str:
    return {
        "debian": "sudo apt-get install python3-bpfcc",
        "fedora": "sudo dnf install python3-bcc",
    }.get(system.family, "install BCC with its Python package:\n  Debian: python3-bpfcc    Fedora: python3-bcc")
