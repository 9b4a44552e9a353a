# SPDX-License-Identifier: Apache-2.0
"""`otel-jb doctor` and the preflight of `run`: each ✗ on a machine that is made up to have it."""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_jb.cli import doctor
from otel_jb.config.environment import OtelSettings, read
from otel_jb.config.model import Config, Functions, Overhead
from otel_jb.doctor import preflight
from otel_jb.doctor import target as doctor_target
from otel_jb.doctor.preflight import Check, Status
from otel_jb.doctor.system import System
from otel_jb.doctor.target import Inspected, InspectedFile
from otel_jb.host.privileges import CAPABILITIES
from otel_jb.model.errors import (
    AddressInUseError,
    AgentError,
    ExitCode,
    NoFunctionError,
    PermissionDeniedError,
    TargetError,
    UnsupportedError,
)
from otel_jb.model.plan import ProbePlan
from otel_jb.probes import features
from otel_jb.sandbox.report import FileReport
from tests.unit.test_plan_command import probe

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3.11"
DEBIAN_BCC = "/usr/lib/python3/dist-packages/bcc"


class FakeSystem(System):
    """A Debian machine where all is well; a test breaks one thing."""

    release = "6.1.0-18-amd64"
    machine = "x86_64"
    user_id = 0
    interpreter = PYTHON
    module_path = ("/opt/otel-jb/lib/python3.11/site-packages",)
    capabilities = frozenset(CAPABILITIES)
    marked: tuple[str, ...] = ()
    bpf = 0
    multi = 0
    events = False
    seccomp = ""
    listen = 0
    connect: str | None = None
    ready: tuple[int, str] | None = None
    compiled: AgentError | None = None

    def __init__(self, **changes: object) -> None:
        self.files = {
            "/etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
            "/proc/self/uid_map": "         0          0 4294967295\n",
            "/proc/self/ns/pid": preflight.HOST_PID_NAMESPACE,
            "/proc/self/status": "Name:\tpython3\nSeccomp:\t0\n",
            "/proc/mounts": "tracefs /sys/kernel/tracing tracefs rw 0 0\n",
            "/sys/kernel": "",
            "/sys/kernel/btf/vmlinux": "",
            "/sys/bus/event_source/devices/uprobe/type": "9\n",
            "/proc/sys/kernel/perf_event_paranoid": "2\n",
            DEBIAN_BCC: "",
            f"{DEBIAN_BCC}/libbcc.py": "",
            f"{DEBIAN_BCC}/version.py": "__version__ = '0.26.0'\n",
            "/usr/lib/x86_64-linux-gnu/libbcc.so.0": "",
        }
        for name, value in changes.items():
            setattr(self, name, value)

    def without(self, *paths: str) -> FakeSystem:
        for path in paths:
            del self.files[path]
        return self

    def text(self, path: str) -> str | None:
        return self.files.get(path)

    def link(self, path: str) -> str | None:
        return self.files.get(path)

    def exists(self, path: str) -> bool:
        return path in self.files

    def glob(self, pattern: str) -> list[str]:
        return sorted(
            path for path in self.files if fnmatch.fnmatch(path, pattern) and path.count("/") == pattern.count("/")
        )

    def real_path(self, path: str) -> str:
        return PYTHON if path == "/usr/bin/python3" else path

    def file_capabilities(self, path: str) -> bool:
        return path in self.marked

    def bpf_error(self) -> int:
        return self.bpf

    def seccomp_refusal(self) -> str:
        return self.seccomp

    def multi_link_error(self) -> int:
        return self.multi

    def defines_events(self) -> bool:
        return self.events

    def listen_error(self, host: str, port: int) -> int:  # noqa: ARG002
        return self.listen

    def connect_error(self, host: str, port: int) -> str | None:  # noqa: ARG002
        return self.connect

    def http(self, host: str, port: int, path: str) -> tuple[int, str] | None:  # noqa: ARG002
        return self.ready

    def compile(self) -> str:
        if self.compiled is not None:
            raise self.compiled
        return "compiled"


def changed(path: str, text: str, **changes: object) -> FakeSystem:
    system = FakeSystem(**changes)
    system.files[path] = text
    return system


def checks(system: System, config: Config | None = None, settings: OtelSettings | None = None) -> list[Check]:
    return list(doctor.all_checks(system, config or Config(), settings or read({}), []))


FEDORA = "ID=fedora\n"
NOBODY = frozenset[str]()


def test_a_machine_where_all_is_well_has_no_cross() -> None:
    """Every check of a ready machine is ✓ or –, and run may start."""
    assert [check for check in checks(FakeSystem()) if check.status is Status.FAILED] == []
    preflight.preflight(Config(), FakeSystem())


FOUR = frozenset(features.CAPABILITIES)


def test_from_linux_6_6_four_capabilities_suffice() -> None:
    """With multi links BPF, PERFMON, SYS_PTRACE and DAC_READ_SEARCH are enough, and without them SYS_ADMIN beside."""
    assert preflight.capabilities(FakeSystem(capabilities=FOUR)).status is Status.OK
    both = FOUR | {"CAP_SYS_ADMIN"}
    assert preflight.capabilities(FakeSystem(capabilities=both, multi=errno.EINVAL)).status is Status.OK


def test_who_may_write_to_tracefs_needs_no_sys_admin() -> None:
    """Before Linux 6.6 the four are enough where probes can be defined in tracefs, and fewer are not."""
    check = preflight.capabilities(FakeSystem(capabilities=FOUR, multi=errno.EINVAL, events=True))
    assert (check.status, "by tracefs, without CAP_SYS_ADMIN" in check.detail) == (Status.OK, True)
    fewer = FakeSystem(capabilities=FOUR - {"CAP_PERFMON"}, multi=errno.EINVAL, events=True)
    assert preflight.capabilities(fewer).status is Status.FAILED


CROSSES: list[tuple[str, FakeSystem, str, str, type[AgentError] | None]] = [
    # check, machine, part of the detail, part of the remedy, what run raises
    ("architecture", FakeSystem(machine="riscv64"), "riscv64", "cannot be supported", UnsupportedError),
    (
        "sandbox",
        FakeSystem(seccomp="Invalid argument"),
        "no file can be read safely here: Invalid argument",
        "CONFIG_SECCOMP_FILTER",
        UnsupportedError,
    ),
    (
        "kernel",
        FakeSystem(release="5.10.0-28-amd64"),
        "5.10.0-28-amd64 is too old",
        "apt-get install",
        UnsupportedError,
    ),
    ("kernel", FakeSystem(release="5.14.0-generic"), "too old", "apt-get install", UnsupportedError),
    (
        "kernel",
        changed("/etc/os-release", FEDORA, release="4.18.0-513.el8"),
        "too old",
        "dnf upgrade",
        UnsupportedError,
    ),
    (
        "capabilities",
        FakeSystem(capabilities=NOBODY, user_id=1000, multi=errno.EPERM, release="6.6.1"),
        "user 1000 lacks CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH:",
        "AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE CAP_DAC_READ_SEARCH\n",
        PermissionDeniedError,
    ),
    (
        "capabilities",  # which the kernel does not say to those who may not ask, so its version does
        FakeSystem(capabilities=NOBODY, user_id=1000, multi=errno.EPERM, release="6.5.0-generic"),
        "CAP_SYS_ADMIN: the kernel will not let it attach probes",
        "--cap-add BPF --cap-add PERFMON --cap-add SYS_PTRACE --cap-add DAC_READ_SEARCH --cap-add SYS_ADMIN",
        PermissionDeniedError,
    ),
    (
        "capabilities",
        FakeSystem(capabilities=FOUR, multi=errno.EINVAL),
        "lacks CAP_SYS_ADMIN: the kernel will not let it attach probes (without multi links, which Linux 6.6 brought, it asks CAP_SYS_ADMIN, or write access to tracefs)",
        "DAC_READ_SEARCH CAP_SYS_ADMIN\n",
        PermissionDeniedError,
    ),
    (
        "capabilities",
        FakeSystem(capabilities=FOUR, multi=errno.EOPNOTSUPP, release="6.6.1"),
        "lacks CAP_SYS_ADMIN",
        "CAP_SYS_ADMIN\n",
        PermissionDeniedError,
    ),
    (
        "capabilities",
        FakeSystem(capabilities=FOUR - {"CAP_SYS_PTRACE"}),
        "CAP_SYS_PTRACE is missing: processes of other users",
        "sudo ",
        PermissionDeniedError,
    ),
    (
        "capabilities",
        FakeSystem(capabilities=frozenset({"CAP_SYS_ADMIN"})),
        "CAP_SYS_PTRACE",
        "sudo",
        PermissionDeniedError,
    ),
    (
        "python's own capabilities",
        FakeSystem(marked=(PYTHON,)),
        "any user who can run it can take over this machine",
        f"sudo setcap -r {PYTHON}",
        None,  # root has no need of them: only doctor minds
    ),
    (
        "python's own capabilities",
        FakeSystem(marked=(PYTHON,), user_id=1000),
        "setcap",
        "AmbientCapabilities",
        PermissionDeniedError,
    ),
    (
        "user namespace",
        changed("/proc/self/uid_map", "0 1000 1\n"),
        "rootless",
        "--userns=host",
        PermissionDeniedError,
    ),
    (
        "pid namespace",
        changed("/proc/self/ns/pid", "pid:[4026532000]"),
        "its own PID namespace",
        "--pid=host",
        PermissionDeniedError,
    ),
    ("bpf()", FakeSystem(bpf=errno.ENOSYS), "Function not implemented", "CONFIG_BPF_SYSCALL", UnsupportedError),
    ("bpf()", FakeSystem(bpf=errno.EPERM), "despite CAP_BPF", "dmesg", PermissionDeniedError),
    (
        "bpf()",
        changed("/proc/self/status", "Seccomp:\t2\n", bpf=errno.EPERM),
        "seccomp profile",
        "--security-opt seccomp=unconfined",
        PermissionDeniedError,
    ),
    (
        "uprobe PMU",
        FakeSystem().without("/sys/bus/event_source/devices/uprobe/type"),
        "no uprobes",
        "CONFIG_UPROBE_EVENTS",
        None,
    ),
    (
        "uprobe PMU",
        FakeSystem().without("/sys/bus/event_source/devices/uprobe/type", "/sys/kernel"),
        "not mounted",
        "mount -t sysfs",
        None,
    ),
    (
        "bcc",
        FakeSystem().without(f"{DEBIAN_BCC}/libbcc.py"),
        "not installed",
        "sudo apt-get install python3-bpfcc",
        UnsupportedError,
    ),
    (
        "bcc",
        changed("/etc/os-release", FEDORA).without(f"{DEBIAN_BCC}/libbcc.py"),
        "not installed",
        "sudo dnf install python3-bcc",
        UnsupportedError,
    ),
    (
        "libbcc",
        FakeSystem().without("/usr/lib/x86_64-linux-gnu/libbcc.so.0"),
        "libbcc.so.0",
        "apt-get install",
        UnsupportedError,
    ),
    (
        "compiler",
        FakeSystem(compiled=UnsupportedError("does not compile", "reinstall")),
        "not compile",
        "reinstall",
        None,
    ),
    (
        "address to listen on",
        FakeSystem(listen=errno.EADDRINUSE),
        "127.0.0.1:9310 is taken",
        "otel-jb run --port 9311",
        AddressInUseError,
    ),
    ("address to listen on", FakeSystem(listen=errno.EACCES), "may not be bound", "--port 9310", AddressInUseError),
    ("address to listen on", FakeSystem(listen=-1), "cannot be resolved", "--listen 127.0.0.1", AddressInUseError),
    ("address to listen on", FakeSystem(listen=errno.EADDRNOTAVAIL), "cannot be bound", "ip -brief", AddressInUseError),
    (
        "address to listen on",
        FakeSystem(listen=errno.EADDRINUSE, ready=(503, '{"ready": false, "reason": "no process runs"}')),
        "has no data: no process runs",
        "otel-jb discover",
        AddressInUseError,
    ),
]


@pytest.mark.parametrize(("name", "system", "detail", "remedy", "error"), CROSSES, ids=lambda value: str(value)[:40])
def test_each_cross_says_what_is_wrong_and_what_to_do(
    name: str, system: FakeSystem, detail: str, remedy: str, error: type[AgentError] | None
) -> None:
    """A broken machine has its ✗ with the exact remedy, and `run` raises it before anything is attached."""
    crosses = [check for check in checks(system) if check.status is Status.FAILED]
    assert [check.name for check in crosses if check.name == name] == [name]
    check = next(check for check in crosses if check.name == name)
    assert detail in check.detail
    assert remedy in check.remedy
    text = doctor.render(check)
    assert text.startswith(f"✗ {name}: ")
    assert all(line.startswith("    ") for line in text.splitlines()[1:])
    if error is None:
        preflight.preflight(Config(), system)
    else:
        with pytest.raises(error) as caught:
            preflight.preflight(Config(), system)
        assert caught.value.help


def test_rhel_9_has_what_is_needed() -> None:
    """5.14 is too old, RHEL 9's own 5.14 is not."""
    check = preflight.kernel(FakeSystem(release="5.14.0-427.13.1.el9_4.x86_64"))
    assert check.status is Status.OK


def test_the_impostor_is_named() -> None:
    """The package index's `bcc` is named for what it is, missing or beside the right one."""
    system = FakeSystem()
    place = f"{system.module_path[0]}/bcc"
    system.files[place] = ""
    assert f"{place} is another package of that name (crystal lattices), ignored" in preflight.bcc(system).detail
    system.without(f"{DEBIAN_BCC}/libbcc.py")
    check = preflight.bcc(system)
    assert check.status is Status.FAILED
    assert "crystal lattices" in check.detail
    assert "pip uninstall bcc" in check.remedy


@pytest.mark.parametrize(
    ("check", "system", "reason"),
    [
        (doctor.multi_links, FakeSystem(multi=errno.EINVAL), "perf events with cookies are used instead"),
        (doctor.multi_links, FakeSystem(multi=errno.EOPNOTSUPP), "loses calls of other threads"),
        (doctor.multi_links, FakeSystem(capabilities=NOBODY), "cannot be tried"),
        (doctor.compiler, FakeSystem(capabilities=NOBODY), "cannot be tried"),
        (preflight.bpf, FakeSystem(capabilities=NOBODY, bpf=errno.EPERM), "cannot be tried"),
        (doctor.tracefs, changed("/proc/mounts", ""), "not needed"),
        (doctor.btf, FakeSystem(), "not needed"),
        (
            doctor.lockdown,
            changed("/sys/kernel/security/lockdown", "none integrity [confidentiality]"),
            "confidentiality",
        ),
        (doctor.ptrace_scope, changed("/proc/sys/kernel/yama/ptrace_scope", "3\n"), "3; it applies to debuggers"),
        (doctor.ptrace_scope, FakeSystem(), "no Yama"),
        (doctor.perf_event_paranoid, changed("/proc/sys/kernel/perf_event_paranoid", "4\n"), "4; it applies only"),
        (doctor.memlock, FakeSystem(), "5.11"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_does_not_matter_is_a_dash_with_its_reason(
    check: Callable[[System], Check], system: FakeSystem, reason: str
) -> None:
    """What is different here and harms nothing is no ✗."""
    found = check(system)
    assert found.status is Status.NOT_APPLICABLE
    assert reason in found.detail
    assert doctor.render(found).startswith("– ")


def test_an_agent_that_is_ready_on_the_port_is_no_problem() -> None:
    """Where the port is taken by an agent that has data, doctor says so and finds nothing wrong."""
    system = FakeSystem(listen=errno.EADDRINUSE, ready=(200, '{"ready": true, "reason": "3 functions"}'))
    check = doctor.endpoint(system, Config())
    assert check.status is Status.NOT_APPLICABLE
    assert "otel-jb already serves 127.0.0.1:9310: 3 functions" in check.detail


@pytest.mark.parametrize("answer", [None, (200, "<html>"), (200, "[]"), (200, '"x"')])
def test_a_stranger_on_the_port_is_a_cross(answer: tuple[int, str] | None) -> None:
    """Whatever else answers on the port is not taken for an agent."""
    check = doctor.endpoint(FakeSystem(listen=errno.EADDRINUSE, ready=answer), Config())
    assert check.status is Status.FAILED
    assert "is taken" in check.detail


def test_the_collector_is_asked_for_where_one_is_configured() -> None:
    """No Collector configured is –, one that refuses ✗, one that listens ✓."""
    settings = read({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"})
    assert doctor.collector(FakeSystem(), read({})).status is Status.NOT_APPLICABLE
    assert doctor.collector(FakeSystem(), settings).status is Status.OK
    refused = doctor.collector(FakeSystem(connect="Connection refused"), settings)
    assert refused.status is Status.FAILED
    assert "http://collector:4317: Connection refused" in refused.detail
    assert "nc -zv collector 4317" in refused.remedy


def test_no_budget_is_said() -> None:
    """A switched-off governor is shown, as the first thing to look at where a target is slow."""
    check = doctor.overhead(Config(overhead=Overhead(None)))
    assert check.status is Status.NOT_APPLICABLE
    assert "--overhead-budget" in check.detail


def report(arch: str = "x86_64", symbol_count: int = 5, has_symtab: bool = True) -> FileReport:
    return FileReport(arch, "executable", None, None, (), has_symtab, None, (), symbol_count, True)


def target(config: Config | None = None, system: System | None = None, **changes: object) -> list[Check]:
    values: dict[str, object] = {"report": report(), "functions": ("A::put",), "generic": (), **changes}
    file = InspectedFile("/opt/x", **values)  # type: ignore[arg-type]
    found = Inspected("/opt/x", (file,))
    made = ProbePlan((probe("A::put", 1_000, primary=True),))
    return list(
        doctor_target.target_checks(
            system or FakeSystem(), config or Config(), "/opt/x", lambda *_: found, plan=lambda *_: made
        )
    )


def test_a_target_that_can_be_measured_has_no_cross() -> None:
    """Readable, of this architecture, with symbols and known functions."""
    found = target()
    assert [check.name for check in found] == [
        "target",
        "target's architecture",
        "symbols",
        "jitter-buffer functions",
        "probes",
    ]
    assert {check.status for check in found} == {Status.OK}
    assert "A::put" in found[-2].detail
    assert found[-1].detail == "1 function can be probed (1 edge-sites)"


@pytest.mark.parametrize(
    ("changes", "name", "detail", "remedy"),
    [
        ({"report": report(arch="aarch64")}, "target's architecture", "is for aarch64", "this machine's own"),
        ({"report": report(symbol_count=0, has_symtab=False)}, "symbols", "stripped", "find-dbgsym-packages /opt/x"),
        ({"functions": ()}, "jitter-buffer functions", "no profile or pattern", "otel-jb discover /opt/x"),
        (
            {"config": Config(functions=Functions(("B::*",)))},
            "jitter-buffer functions",
            "leave none of A::put",
            "--function '*put*'",
        ),
    ],
)
def test_a_target_that_cannot_be_measured_has_its_cross_last(
    changes: dict[str, object], name: str, detail: str, remedy: str
) -> None:
    """What is wrong with the target is the last line, with what to do."""
    check = target(**changes)[-1]  # type: ignore[arg-type]
    assert (check.name, check.status) == (name, Status.FAILED)
    assert detail in check.detail
    assert remedy in check.remedy


def test_a_target_that_is_not_there_is_one_cross() -> None:
    """An error of looking is shown with its own help, and nothing more is asked."""

    def gone(_target: int | str, _config: Config) -> Inspected:
        raise TargetError("no process with PID 1", "look again")

    (check,) = doctor_target.target_checks(FakeSystem(), Config(), 1, gone)
    assert (check.status, check.detail, check.remedy) == (Status.FAILED, "no process with PID 1", "look again")


def doctor_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_jb", "doctor", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
    )


def test_json_says_the_same_as_the_text() -> None:
    """--json has each check with name, status, detail and remedy, and the exit code follows `ready`."""
    done = doctor_process("--json", "--listen", "127.0.0.1:0", "/nonexistent/file")
    answer = json.loads(done.stdout)
    assert done.returncode == ExitCode.CHECK_FAILED
    assert answer["ready"] is False
    assert all(set(check) == {"name", "status", "detail", "remedy"} for check in answer["checks"])
    last = answer["checks"][-1]
    assert (last["name"], last["status"]) == ("target", "failed")
    assert "/nonexistent/file" in last["detail"]


def test_a_real_file_is_really_looked_at() -> None:
    """The Python that runs the tests is readable, of this machine, has symbols, and no jitter buffer."""
    program = os.path.realpath(sys.executable)
    found = list(doctor_target.target_checks(System(), Config(), program))
    assert [check.status for check in found[:3]] == [Status.OK] * 3
    assert found[3].status is Status.FAILED


def test_a_program_is_looked_at_with_its_libraries() -> None:
    """Debian's ffmpeg has its jitter buffer in libavformat, where `doctor` finds it as `discover` does."""
    found = list(doctor_target.target_checks(System(), Config(), "/usr/bin/ffmpeg"))
    assert {check.status for check in found} == {Status.OK}
    assert "2 files read" in found[0].detail
    assert "rtp_parse_queued_packet" in found[3].detail


def test_a_target_is_ready_only_if_run_would_probe_it() -> None:
    """Where every function is left out, doctor has a ✗ with the reasons, as `run` has; where one is not, it counts them."""
    speex = "/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1"
    found = list(doctor_target.target_checks(System(), Config(), speex))
    assert [check.status for check in found] == [Status.OK] * 5
    assert re.fullmatch(r"\d+ functions can be probed \(.*edge-sites.*\)", found[-1].detail)

    def left_out(_target: int | str, _config: Config) -> ProbePlan:
        raise NoFunctionError("no jitter-buffer function of x can be probed", "Found, but left out:\n  f: why")

    last = list(doctor_target.target_checks(System(), Config(), speex, plan=left_out))[-1]
    assert (last.name, last.status, last.error) == ("probes", Status.FAILED, NoFunctionError)
    assert "f: why" in last.remedy


def test_a_real_process_is_really_looked_at() -> None:
    """A PID stands for its executable and the libraries that it maps."""
    found = list(doctor_target.target_checks(System(), Config(), os.getpid()))
    assert found[0].status is Status.OK
    assert f"process {os.getpid()} (" in found[0].detail


def test_a_port_in_use_is_really_noticed() -> None:
    """The real System sees a listener on the port, and a free port as free."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert preflight.listening(System(), "127.0.0.1", port).status is Status.FAILED
        assert System().connect_error("127.0.0.1", port) is None
    assert preflight.listening(System(), "127.0.0.1", port).status is Status.OK
    assert System().connect_error("127.0.0.1", port) == "Connection refused"


def test_the_preflight_is_quick() -> None:
    """Looking at the real machine before run starts no program and is quicker than starting one, so that the first probe is not late."""
    looked_at = (
        preflight.machine,
        preflight.kernel,
        preflight.interpreter_capabilities,
        preflight.capabilities,
        preflight.user_namespace,
        preflight.pid_namespace,
        preflight.bpf,
        preflight.seccomp,
        preflight.bcc,
        preflight.library,
        lambda system: preflight.listening(system, "127.0.0.1", 0),
    )

    def look() -> None:
        system = System()
        for check in looked_at:
            check(system)

    def an_empty_python() -> None:
        subprocess.run([sys.executable, "-c", ""], check=True)

    def seconds(action: Callable[[], None]) -> float:
        began = time.perf_counter()
        action()
        return time.perf_counter() - began

    started: list[str] = []
    listening = True

    def hook(event: str, _: object) -> None:
        if listening and event in ("subprocess.Popen", "os.system", "os.fork", "os.posix_spawn"):
            started.append(event)

    sys.addaudithook(hook)
    look()
    listening = False
    assert started == []
    assert min(seconds(look) for _ in range(9)) < min(seconds(an_empty_python) for _ in range(9))
