# SPDX-License-Identifier: Apache-2.0
"""`otel-jb doctor`: checks whether this machine and a target can be measured, and says what to fix."""

from __future__ import annotations

import argparse
import errno
import json
import os
import shlex
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from otel_jb.cli import target
from otel_jb.cli.progress import Progress
from otel_jb.doctor import preflight
from otel_jb.doctor.preflight import Check, Status
from otel_jb.doctor.system import System
from otel_jb.model.errors import AgentError, ExitCode

if TYPE_CHECKING:
    from otel_jb.cli.target import Target
    from otel_jb.config.environment import OtelSettings
    from otel_jb.config.model import Config

EXAMPLES = """\
examples:
  sudo otel-jb doctor                     the machine
  sudo otel-jb doctor 1234                the machine and the process 1234: its file, symbols, functions
  otel-jb doctor /usr/bin/ffmpeg          the machine and a file
  otel-jb doctor --json | jq '.checks[] | select(.status == "failed")'

✓ passes, ✗ needs the fix printed below it, – does not apply here, with the reason. Any ✗ makes the exit code 10.
See docs/troubleshooting.md for: cannot attach, no data, permission denied, names do not match, too slow.
"""
MARKS = {Status.OK: "✓", Status.FAILED: "✗", Status.NOT_APPLICABLE: "–"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor` to the main parser."""
    parser = subparsers.add_parser(
        "doctor",
        help="check this machine and a target, and say what to fix",
        description="Check the machine, and a target if you name one. Each ✗ comes with the commands that fix it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    from otel_jb.cli import run as run_command

    target.add_arguments(parser, many=False)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    run_command.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print every check. Raises ConfigError for a configuration that cannot be read."""
    from otel_jb.cli.run import configuration
    from otel_jb.config.environment import read

    targets = target.given(args)
    config = configuration(args, os.environ)
    settings = read(os.environ, config.otlp, config.otlp_command_line)
    system = System()
    checks: list[Check] = []
    progress, remaining = Progress(), all_checks(system, config, settings, targets)
    while True:
        with progress.during("checking"):
            check = next(remaining, None)
        if check is None:
            break
        checks.append(check)
        if not args.json:
            sys.stdout.write(render(check))
            sys.stdout.flush()
    failed = [check for check in checks if check.status is Status.FAILED]
    if args.json:
        plain = [
            {"name": check.name, "status": check.status.value, "detail": check.detail, "remedy": check.remedy}
            for check in checks
        ]
        print(json.dumps({"ready": not failed, "checks": plain}, indent=2))
    else:
        ready = (
            "Ready." if not failed else f"{len(failed)} of {len(checks)} checks failed; each ✗ above says what to do."
        )
        print(f"\n{ready}")
    return int(ExitCode.CHECK_FAILED if failed else ExitCode.OK)


def render(check: Check) -> str:
    """A line, followed by the remedy if there is something to do."""
    text = f"{MARKS[check.status]} {check.name}: {check.detail}\n"
    if check.status is Status.FAILED and check.remedy:
        text += textwrap.indent(check.remedy.rstrip() + "\n", "    ")
    return text


def all_checks(system: System, config: Config, settings: OtelSettings, targets: Sequence[Target]) -> Iterator[Check]:
    """Every check, in the order in which a user would fix problems."""
    for check in (
        preflight.machine,
        preflight.kernel,
        preflight.capabilities,
        preflight.interpreter_capabilities,
        preflight.user_namespace,
        preflight.pid_namespace,
        preflight.bpf,
        preflight.seccomp,
        uprobe_pmu,
        multi_links,
        tracefs,
        btf,
        lockdown,
        perf_event_paranoid,
        memlock,
        ptrace_scope,
        preflight.bcc,
        preflight.library,
        compiler,
    ):
        yield check(system)
    yield endpoint(system, config)
    yield collector(system, settings)
    yield overhead(config)
    for each in targets:
        yield from _target_checks(system, config, each)


def _target_checks(system: System, config: Config, wanted: Target) -> Iterator[Check]:
    """The checks of each process or file that the user named."""
    from otel_jb.doctor.target import target_checks

    if wanted.file is not None:
        yield from target_checks(system, config, wanted.file)
        return
    try:
        found = target.processes(wanted)
    except AgentError as error:
        yield Check("target", Status.FAILED, error.message, error.help, type(error))
        return
    for process in found:
        yield from target_checks(system, config, process.pid)


def uprobe_pmu(system: System) -> Check:
    """Perf events for uprobes, which kernels without multi links use."""
    place = "/sys/bus/event_source/devices/uprobe"
    if system.exists(f"{place}/type"):
        return Check("uprobe PMU", Status.OK, place)
    if not system.exists("/sys/kernel"):
        return Check("uprobe PMU", Status.FAILED, "/sys is not mounted", "sudo mount -t sysfs sysfs /sys")
    return Check(
        "uprobe PMU",
        Status.FAILED,
        f"{place} is missing: this kernel has no uprobes",
        "use a kernel with CONFIG_UPROBE_EVENTS=y (every distribution's has it):\n"
        "  grep CONFIG_UPROBE_EVENTS /boot/config-$(uname -r)",
    )


def multi_links(system: System) -> Check:
    """One link for all probes of a file; without it, each probe is a perf event."""
    name = "multi links"
    if not preflight.may_attach(system):
        return Check(name, Status.NOT_APPLICABLE, "cannot be tried without CAP_BPF and CAP_PERFMON")
    code = system.multi_link_error()
    if code == 0:
        return Check(name, Status.OK, "supported")
    why = "its first kind, which loses calls of other threads" if code == errno.EOPNOTSUPP else os.strerror(code)
    return Check(
        name,
        Status.NOT_APPLICABLE,
        f"not available ({why}; they came with Linux 6.6): perf events with cookies are used instead",
    )


def tracefs(system: System) -> Check:
    """Only tools that attach through tracefs need it; otel-jb does not."""
    mounted = [line.split()[1] for line in (system.text("/proc/mounts") or "").splitlines() if " tracefs " in line]
    if mounted:
        return Check("tracefs", Status.OK, f"mounted on {mounted[0]} (not needed)")
    return Check("tracefs", Status.NOT_APPLICABLE, "not mounted, and not needed")


def btf(system: System) -> Check:
    """The BPF program uses no kernel types."""
    present = "there" if system.exists("/sys/kernel/btf/vmlinux") else "not there"
    return Check("BTF and kernel headers", Status.NOT_APPLICABLE, f"not needed (BTF is {present})")


def lockdown(system: System) -> Check:
    """Confidentiality mode keeps BPF from kernel memory, which otel-jb never reads."""
    text = system.text("/sys/kernel/security/lockdown") or ""
    mode = text.partition("[")[2].partition("]")[0] or "none"
    if mode == "confidentiality":
        reason = "confidentiality: BPF cannot read kernel memory, and otel-jb reads only its target's"
        return Check("lockdown", Status.NOT_APPLICABLE, reason)
    return Check("lockdown", Status.OK, mode)


def perf_event_paranoid(system: System) -> Check:
    """Applies only to users without CAP_PERFMON."""
    value = (system.text("/proc/sys/kernel/perf_event_paranoid") or "unknown").strip()
    return Check("perf_event_paranoid", Status.NOT_APPLICABLE, f"{value}; it applies only without CAP_PERFMON")


def memlock(system: System) -> Check:
    """Since Linux 5.11 BPF memory is accounted to the control group."""
    del system
    return Check("memlock", Status.NOT_APPLICABLE, "BPF memory is not locked memory since Linux 5.11")


def ptrace_scope(system: System) -> Check:
    """Yama restricts attaching as a debugger, not reading /proc."""
    value = system.text("/proc/sys/kernel/yama/ptrace_scope")
    if value is None:
        return Check("yama ptrace_scope", Status.NOT_APPLICABLE, "no Yama here")
    return Check("yama ptrace_scope", Status.NOT_APPLICABLE, f"{value.strip()}; it applies to debuggers only")


def compiler(system: System) -> Check:
    """Compile and load the BPF program, as `run` does."""
    name = "compiler"
    if not preflight.may_attach(system):
        return Check(name, Status.NOT_APPLICABLE, "cannot be tried without CAP_BPF and CAP_PERFMON")
    try:
        return Check(name, Status.OK, system.compile())
    except AgentError as error:
        again = {
            "debian": "sudo apt-get install --reinstall python3-bpfcc libbpfcc",
            "fedora": "sudo dnf reinstall python3-bcc bcc",
        }.get(system.family, "install BCC again")
        # The loader's own advice is to run this command.
        remedy = again if "otel-jb doctor" in error.help or not error.help else error.help
        return Check(name, Status.FAILED, error.message, remedy)


def endpoint(system: System, config: Config) -> Check:
    """The address of /metrics: free, or used by an agent, whose state is then checked."""
    if config.listen is None:
        return Check("address to listen on", Status.NOT_APPLICABLE, "--listen is off")
    host, port = config.listen.host, config.listen.port
    check = preflight.listening(system, host, port)
    if check.status is Status.OK or "is taken" not in check.detail:
        return check
    answer = system.http("127.0.0.1" if host in ("0.0.0.0", "") else host, port, "/ready")  # noqa: S104 - compared only
    try:
        said = json.loads(answer[1]) if answer else None
    except ValueError:
        said = None
    if answer is None or not isinstance(said, dict) or "ready" not in said:
        return check
    reason = str(said.get("reason", ""))[:300]
    if said["ready"] is True:
        return Check(check.name, Status.NOT_APPLICABLE, f"otel-jb already serves {config.listen}: {reason}")
    return Check(
        check.name,
        Status.FAILED,
        f"otel-jb serves {config.listen} and has no data: {reason or f'HTTP {answer[0]}'}",
        "see what it could not attach to:\n  sudo otel-jb discover",
    )


def collector(system: System, settings: OtelSettings) -> Check:
    """Whether something accepts connections at the OTLP endpoint."""
    from urllib.parse import urlsplit

    name = "OTLP endpoint"
    wanted = {
        signal.endpoint
        for signal, sends in ((settings.metrics, settings.sends_metrics), (settings.traces, settings.sends_traces))
        if sends
    }
    if not wanted:
        return Check(name, Status.NOT_APPLICABLE, "none is configured; Prometheus scrapes the agent")
    for url in sorted(wanted):
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        why = system.connect_error(parts.hostname or "", port)
        if why is not None:
            return Check(
                name,
                Status.FAILED,
                f"{url}: {why}",
                f"is the Collector running, and is this its address?  nc -zv {shlex.quote(parts.hostname or '')} {port}\n"
                "gRPC is usually on 4317, HTTP on 4318; the agent runs without it and loses no metrics",
            )
    return Check(name, Status.OK, f"{', '.join(sorted(wanted))} accepts connections")


def overhead(config: Config) -> Check:
    """The overhead budget of the probes."""
    if config.overhead.budget is None:
        return Check(
            "overhead budget",
            Status.NOT_APPLICABLE,
            "off: probes on a busy function may slow the target down; --overhead-budget 10% limits them",
        )
    return Check("overhead budget", Status.OK, f"probes of one target may take {config.overhead.budget} of one CPU")
