# SPDX-License-Identifier: Apache-2.0
"""Runs the BPF tests, or a command, on Debian's kernels (amd64 and arm64) and Ubuntu's 5.15, in QEMU, and prints a table of what came of it.

    scripts/test-kernels                                   tests/bpf on every kernel
    scripts/test-kernels 6.1 newest-arm64                  on these
    scripts/test-kernels --quick 6.1 6.1-arm64             the core of it, as .ci/run does
    scripts/test-kernels --markdown docs/kernels.md        on every kernel, and renew the table there
    scripts/test-kernels --capabilities --markdown docs/kernels.md   what each asks of an agent that is not root, by trying
    scripts/test-kernels 6.1 -- python3 -m pytest tests/bpf/hazards -x

Emulation is slow: tests do a part of their usual rounds and wait longer (tests/scale.py); what they assert is as exact as ever.

The guest's root is an overlay of three read-only images: Debian 12's userland (with python3-bpfcc and compilers), the
project's Python dependencies, and the checkout in /src, which is where the command runs. What it leaves in /out is on
the host afterwards. All that is downloaded is kept in ${XDG_CACHE_HOME:-~/.cache}/otel_jb/kernels, about 500 MB for
each architecture and 150 MB for a kernel. Nothing here needs root but the squashfs tools' wish to keep owners.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import lzma
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel_jb/kernels"
USERLAND = "bookworm"
USERLAND_PYTHON = "3.11"
PACKAGES = (
    "bash binutils bpfcc-tools ca-certificates clang curl elfutils gcc g++ iproute2 kmod libboost-context-dev libc6-dev libspeexdsp1 libst-dev "
    "make mount procps python3 python3-bpfcc util-linux"
).split()
#: One thread for all processors: with one for each, QEMU 7.2 seems to run what stood in memory before another processor changed it. That killed
#: targets whose instructions the kernel steps outside of the line (docs/kernels.md).
EMULATED = ("-accel", "tcg,thread=single")
#: A part of the work, and more patience, where a second is a tenth of one.
SCALE = {"OTEL_JB_TEST_SCALE": "0.05", "OTEL_JB_TEST_PATIENCE": "10"}
PYTEST = ("python3", "-m", "pytest", "-p", "no:cacheprovider", "--timeout=900", "-o", "junit_duration_report=total",
          "-o", "junit_family=xunit1", "--junitxml=/out/results.xml")  # fmt: skip
#: What `--quick` runs, as pytest's -k: everything but the corpus, recordings and the second build of each hazard.
QUICK = (
    "test_counting and (exact or minimum or attached_again or in_flight or died) or test_cost or test_agent or verifier_takes or "
    "test_hazards and O2 and ends_as and (ucontext-up or switch-pointer or migrating or exception-through or longjmp or "
    "pthread-exit or recursion or tail-calls or cold or fork)"
)
#: By architecture, what cannot be run there, and why. Nothing else is left out, and a test that skips itself is a failure.
LEFT_OUT: dict[str, dict[str, str]] = {
    "amd64": {},
    "arm64": {
        "tests/bpf/test_edges_corpus.py": "edge sites are x86-64's; on AArch64 the kernel simulates `ret`, the cheapest end",
        "tests/bpf/test_return_register.py": "about edge sites, as the corpus is",
        "tests/bpf/test_state_threads.py": "Debian's State Threads crash there by themselves, without any probe",
        "tests/bpf/test_srs_like.py": "Debian's State Threads crash there by themselves, without any probe",
    },
}
#: QEMU 7.2 now and then spoils the flags of cmpxchg16b (6.12 panicked in kmem_cache_alloc); kernels do without.
CPU = "Nehalem,-cx16"
#: One that signs return addresses, as servers do, by QEMU's own quick algorithm instead of the architecture's.
ARM_CPU = "max,pauth-impdef=on"
#: What the guest needs to see its disks; with what these depend on.
MODULES = ("virtio_pci", "virtio_mmio", "virtio_blk", "squashfs", "overlay")
OUT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that Debian or Ubuntu ships, or one that somebody built."""

    name: str
    suite: str
    arch: str
    image: Path | None = None  #: None: Debian's; another one has what MODULES names built in


KERNELS = {
    kernel.name: kernel
    for kernel in (
        Kernel("5.10", "bullseye", "amd64"),
        Kernel("5.15", "jammy-updates", "amd64"),  # Debian has nothing between 5.10 and 6.1; this is Ubuntu 22.04's
        Kernel("6.1", "bookworm", "amd64"),
        Kernel("6.12", "bookworm-backports", "amd64"),
        Kernel("newest", "trixie-backports", "amd64"),
        Kernel("6.1-arm64", "bookworm", "arm64"),
        Kernel("newest-arm64", "trixie-backports", "arm64"),
    )
}
PACKAGED = tuple(KERNELS)
UBUNTU = ("jammy-updates",)
_RUNNING: list[subprocess.Popen[bytes]] = []
#: 5.10 is older than what is supported; it is there to be tried by name.
DEFAULT = ("5.15", "6.1", "6.12", "newest", "6.1-arm64")


class PreparationError(Exception):
    """A download or a tool failed; the message says which."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What became of the tests of one file."""

    passed: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a kernel."""

    kernel: str
    arch: str
    release: str = "-"
    links: str = "-"
    bcc: str = "-"
    status: int | None = None
    problem: str = ""
    suites: dict[str, Suite] = dataclasses.field(default_factory=dict)
    capabilities: dict[str, Any] = dataclasses.field(default_factory=dict)  #: as tests/bpf/capabilities.py found them
    seconds: float = 0.0
    day: str = ""

    @property
    def passed(self) -> bool:
        return self.status == 0 and not self.problem


def _line(result: Result) -> str:
    counts = ""
    if result.suites:
        passed, failed = (sum(getattr(s, what) for s in result.suites.values()) for what in ("passed", "failed"))
        counts = f"{passed} tests passed, {failed} failed; "
    verdict = result.problem or ("passed" if result.passed else f"failed ({result.status})")
    return (
        f"{result.kernel:<14} {result.release:<28} {result.links:<6} BCC {result.bcc:<7} {verdict:<12} "
        f"{counts}{result.seconds:.0f} s"
    )


def _suites(report: Path) -> dict[str, Suite]:
    """The outcomes by test file, in the order in which they ran, from pytest's JUnit report."""
    found: dict[str, Suite] = {}
    for case in ET.parse(report).iter("testcase"):  # our own guest's report
        name = re.sub(r"^tests/bpf/|test_|\.py$", "", case.get("file") or "?").replace("hazards/hazards", "hazards")
        old, failed = (
            found.get(name, Suite()),
            any(case.find(tag) is not None for tag in ("failure", "error", "skipped")),
        )
        found[name] = Suite(old.passed + (not failed), old.failed + failed, old.seconds + float(case.get("time") or 0))
    return found


def _needed(result: Result) -> str:
    """One row of the table of capabilities: what suffices, and what becomes of an agent without each of them."""
    found = result.capabilities
    short = {each: each.removeprefix("CAP_") for each in (*found.get("without", {}), *found.get("capabilities", []))}
    suffice = (
        "none that were tried" if found.get("refused") else " ".join(short[each] for each in found["capabilities"])
    )
    # A message may name a PID or a path of that run, or hold what a table cannot.
    without = [
        f"{short[each]}: {re.sub(r' b?.?/[^ ]*', '', re.sub(r'process [0-9]+', 'the process', why)).replace('|', '/') or 'works'}"
        for each, why in found["without"].items()
    ]
    return f"| {result.kernel} | {result.release} ({result.arch}) | {result.links} | {suffice} | {'<br>'.join(without)} | {result.day} |"


def _renew_capabilities(document: Path, results: Sequence[Result]) -> None:
    """Replace the rows of these kernels; those of others stay as they are."""
    before, _, rest = document.read_text().partition(CAPABILITY_MARKS[0])
    table, _, after = rest.partition(CAPABILITY_MARKS[1])
    rows = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ")}
    rows.pop("kernel", None)
    rows |= {result.kernel: _needed(result) for result in results if result.capabilities}
    head = ["| kernel | release | links | suffice | without one of them | on |", "|---|---|---|---|---|---|"]
    order = list(PACKAGED)
    # Somebody's own kernels come first: they are there because no package has them.
    lines = [*head, *(rows[name] for name in sorted(rows, key=lambda each: order.index(each) if each in order else -1))]
    document.write_text(f"{before}{CAPABILITY_MARKS[0]}\n\n" + "\n".join(lines) + f"\n\n{CAPABILITY_MARKS[1]}{after}")


# --------------------------------------------------------------------------------------------------------------
# The document

CAPABILITY_MARKS = ("<!-- written by scripts/test-kernels --capabilities --markdown -->", "<!-- to here, too -->")
MARKS = ("<!-- written by scripts/test-kernels --markdown -->", "<!-- to here -->")


def _tables(results: Sequence[Result]) -> str:
    names = list(dict.fromkeys(name for result in results for name in result.suites))
    lines = ["| kernel | release | links | BCC | result | whole run | on |", "|---|---|---|---|---|---|---|"]
    for r in results:
        passed, failed = (sum(getattr(s, what) for s in r.suites.values()) for what in ("passed", "failed"))
        verdict = r.problem or (f"{passed} passed" + (f", **{failed} failed**" if failed else ""))
        lines.append(
            f"| {r.kernel} | {r.release} ({r.arch}) | {r.links} | {r.bcc} | {verdict} | {r.seconds:.0f} s | {r.day} |"
        )
    lines += ["", "| suite | " + " | ".join(r.kernel for r in results) + " |", "|---" * (len(results) + 1) + "|"]
    for name in names:
        cells = []
        for r in results:
            s = r.suites.get(name)
            failed = f", **{s.failed} failed**" if s and s.failed else ""
            cells.append(f"{s.passed} passed{failed}, {s.seconds:.0f} s" if s else "not run")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    reasons = {
        f"`{node}` on {arch}: {why}" for r in results for arch in [r.arch] for node, why in LEFT_OUT[arch].items()
    }
    return "\n".join([*lines, "", *(f"Not run: {reason}." for reason in sorted(reasons))])


def _keep(result: Result, *, whole: bool) -> None:
    """For the document, which has each kernel's latest whole run, and the latest run of a suite that was run by itself since."""
    if not whole:
        for old in _kept():
            if old.kernel == result.kernel and old.release == result.release:
                suites = old.suites | result.suites
                status = int(any(suite.failed for suite in suites.values()))
                result = dataclasses.replace(old, suites=suites, status=status, day=result.day)
                break
        else:
            return
    (CACHE / "results").mkdir(exist_ok=True)
    (CACHE / "results" / f"{result.kernel}.json").write_text(json.dumps(dataclasses.asdict(result)))


def _kept() -> list[Result]:
    found = []
    for name in KERNELS:
        path = CACHE / "results" / f"{name}.json"
        if path.exists():
            fields = json.loads(path.read_text())
            suites = {suite: Suite(**values) for suite, values in fields.pop("suites").items()}
            found.append(Result(**fields, suites=suites))
    return found


def _renew(document: Path, results: Sequence[Result]) -> None:
    """Replace what stands between the marks."""
    before, _, rest = document.read_text().partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    document.write_text(f"{before}{MARKS[0]}\n\n{_tables(results)}\n\n{MARKS[1]}{after}")


def main() -> int:
    """Returns 0 if the command succeeded on every kernel."""
    parser = argparse.ArgumentParser(
        prog="scripts/test-kernels", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kernel", nargs="*", help=f"of {', '.join(KERNELS)} (default: {' '.join(DEFAULT)})")
    parser.add_argument(
        "--suite", action="append", default=[], metavar="FILE", help="only this file or directory of tests/bpf"
    )
    parser.add_argument("--quick", action="store_true", help="only the core of the tests, some two minutes a kernel")
    parser.add_argument(
        "--capabilities",
        action="store_true",
        help="instead of the tests, find out what an agent needs that is not root",
    )
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="renew the tables in this document: each kernel's latest whole run",
    )
    parser.add_argument("--logs", type=Path, metavar="DIR", help="the consoles' output goes to DIR/KERNEL.log instead")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for each kernel (default 1800)")
    parser.add_argument(
        "--jobs", type=int, default=1, help="virtual machines at a time (default 1); more than one wants --logs"
    )
    parser.add_argument(
        "--image",
        type=_own,
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a kernel of your own for amd64, which has virtio, squashfs and overlayfs built in; NAME can be given as a kernel",
    )
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--memory", type=int, default=2048, help="MiB (default 2048)")
    before, separator, command = _split(sys.argv[1:])
    args = parser.parse_args(before)
    signal.signal(signal.SIGTERM, _end)
    KERNELS.update({own.name: own for own in args.image})
    names = args.kernel or [own.name for own in args.image] or list(DEFAULT)
    unknown = [name for name in names if name not in KERNELS]
    if unknown:
        parser.error(f"unknown kernel {', '.join(unknown)}; there are {', '.join(KERNELS)}")
    if separator and (args.quick or args.markdown or args.capabilities):
        parser.error("--quick, --capabilities and --markdown are about the tests, not a command of your own")
    if separator and not command:
        parser.error("no command after --")
    if args.capabilities:
        settings = [f"{name}={value}" for name, value in SCALE.items()]
        command = ["env", *settings, "python3", "-m", "tests.bpf.capabilities", "/out/capabilities.json"]
    chosen = [KERNELS[name] for name in names]
    problems = {it.name: _prepare(it) for it in chosen}

    def outcome(it: Kernel) -> Result:
        if problems[it.name]:
            return Result(it.name, it.arch, problem="not prepared: " + problems[it.name])
        started = time.monotonic()
        result = run(it, command or _tests(it.arch, args.suite, quick=args.quick), args)
        day = time.strftime("%Y-%m-%d", time.gmtime())
        result = dataclasses.replace(result, seconds=time.monotonic() - started, day=day)
        if not command and not args.quick:
            _keep(result, whole=not args.suite)
        print(_line(result), flush=True)
        return result

    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(outcome, chosen))
    if args.logs:
        for result in results:
            if not result.passed and (log := args.logs / f"{result.kernel}.log").exists():
                print(f"== {result.kernel}\n{log.read_text(errors='replace')}")
    if len(results) > 1:
        print("\n" + "\n".join(map(_line, results)))
    if args.markdown and args.capabilities:
        _renew_capabilities(args.markdown, results)
    elif args.markdown:
        _renew(args.markdown, _kept())
    return 0 if all(result.passed for result in results) else 1


def _own(text: str) -> Kernel:
    """A kernel of one's own, as the command line names it."""
    name, _, path = text.partition("=")
    if not re.fullmatch(r"[\w.-]+", name) or name in KERNELS or not Path(path).is_file():
        raise argparse.ArgumentTypeError(
            f"expected NAME=FILE, with a name of your own and a file that is there, not {text!r}"
        )
    return Kernel(name, "own", "amd64", Path(path).resolve())


def _end(*_: object) -> None:
    """End the virtual machines too, so that their directories are cleared."""
    for process in _RUNNING:
        process.kill()
    sys.exit(143)


def _prepare(it: Kernel) -> str:
    """Get and build what its virtual machine needs; returns what went wrong."""
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        kernel(it), userland(it.arch), site(it.arch)
    except PreparationError as error:
        print(f"{it.name}: {error}", file=sys.stderr)
        return str(error)
    return ""


def _tests(arch: str, suites: Sequence[str], *, quick: bool) -> list[str]:
    """The command that runs the tests in a guest."""
    settings = [f"{name}={value}" for name, value in SCALE.items()]
    left_out = [f"--deselect={node}" for node in LEFT_OUT[arch]]
    chosen = ["-k", QUICK] if quick else ["--durations=15"]
    return [
        "env",
        "CI=true",
        *settings,
        *PYTEST,
        *(f"tests/bpf/{suite}" for suite in suites or [""]),
        "-m",
        "bpf",
        *left_out,
        *chosen,
    ]


def _split(arguments: Sequence[str]) -> tuple[list[str], bool, list[str]]:
    """Before and after the first `--`; argparse itself gives what follows to the positional arguments."""
    if "--" not in arguments:
        return list(arguments), False, []
    at = list(arguments).index("--")
    return list(arguments[:at]), True, list(arguments[at + 1 :])


# --------------------------------------------------------------------------------------------------------------
# Packages: an apt of our own for each suite and architecture, so that the machine's is left alone.


def _call(command: Sequence[object], environment: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    result: subprocess.CompletedProcess[str] = subprocess.run(
        [str(word) for word in command],
        env=os.environ | (environment or {}),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        tail = " | ".join((result.stderr or result.stdout).strip().splitlines()[-3:])
        raise PreparationError(f"{shlex.join(map(str, command))[:120]} failed: {tail}")
    return result.stdout


def _mirror() -> str:
    """The Debian mirror that this machine's apt is configured for; on Ubuntu the one that debootstrap would take."""
    if chosen := os.environ.get("OTEL_JB_DEBIAN_MIRROR"):
        return chosen.rstrip("/")
    sites = _call(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]).split()
    debian = [site.rstrip("/") for site in sites if re.search(r"/debian/?$", site)]
    script = Path("/usr/sbin/debootstrap")
    if not debian and script.exists():
        debian = re.findall(r'^DEF_MIRROR="(\S+/debian)/?"', script.read_text(), re.MULTILINE)
    if not debian:
        raise PreparationError("this machine's apt knows no Debian mirror; name one in OTEL_JB_DEBIAN_MIRROR")
    return debian[0]


@dataclass(frozen=True, slots=True)
class Apt:
    """A private apt directory: one suite, one architecture, nothing installed."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"APT_CONFIG": str(self.directory / "apt.conf")}

    def get(self, *arguments: str, cwd: Path | None = None) -> str:
        return _call(["apt-get", "-q", "-y", *arguments], self.environment, cwd)

    def cache(self, *arguments: str) -> str:
        return _call(["apt-cache", *arguments], self.environment)

    @property
    def archives(self) -> Path:
        return self.directory / "cache/archives"


def apt(suite: str, arch: str) -> Apt:
    directory = CACHE / f"apt-{suite}-{arch}"
    it = Apt(directory)
    if (directory / "ready").exists():
        return it
    for part in ("etc", "lists/partial", "cache/archives/partial"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    (directory / "status").touch()
    distribution, mirror = "debian", _mirror()
    if suite in UBUNTU:
        distribution, mirror = "ubuntu", os.environ.get("OTEL_JB_UBUNTU_MIRROR") or mirror.replace("/debian", "/ubuntu")
    keyring = Path(f"/usr/share/keyrings/{distribution}-archive-keyring.gpg")
    trust = f"signed-by={keyring}"
    if suite in UBUNTU and not keyring.exists():  # no package of Debian 12 has it
        print(f"no {keyring}: the signatures of {suite} are not checked; it runs in QEMU alone", file=sys.stderr)
        trust = "trusted=yes"
    (directory / "sources.list").write_text(f"deb [{trust}] {mirror} {suite} main\n")
    settings = {
        "Dir::Etc": f"{directory}/etc",
        "Dir::Etc::sourcelist": f"{directory}/sources.list",
        "Dir::Etc::parts": "/dev/null",
        "Dir::State": str(directory),
        "Dir::State::lists": f"{directory}/lists",
        "Dir::State::status": f"{directory}/status",
        "Dir::Cache": f"{directory}/cache",
        "Dir::Log": str(directory),
        "APT::Architecture": arch,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    # Proxies, certificates and the like, as this machine has them.
    inherited = _call(["apt-config", "dump", "Acquire"])
    lines = [f'{key} "{value}";' for key, value in settings.items()]
    lines.append(f'APT::Architectures {{ "{arch}"; }};')
    (directory / "apt.conf").write_text(inherited + "\n".join(lines) + "\n")
    it.get("update")
    (directory / "ready").touch()
    return it


def _unpack(debs: Iterable[Path], into: Path) -> None:
    """Lay packages out without running their scripts, which may be another architecture's."""
    for deb in debs:
        reader = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
        writer = subprocess.run(
            ["tar", "--keep-directory-symlink", "-xf", "-", "-C", into],
            stdin=reader.stdout,
            capture_output=True,
            check=False,
        )
        if reader.wait() or writer.returncode:
            raise PreparationError(f"{deb.name} could not be unpacked: {writer.stderr.decode()[-200:]}")


def _compile(tree: Path, *directories: Path) -> None:
    """Compile Python's modules here, for every run of them there, where this is the guest's version of Python."""
    if sys.version_info[:2] == tuple(map(int, USERLAND_PYTHON.split("."))):
        options = ["-q", "-j2", "--invalidation-mode", "unchecked-hash", "-x", r"lib2to3|/test/", "-s", tree, "-p", "/"]
        _call([sys.executable, "-m", "compileall", *options, *directories])


def _squash(tree: Path, image: Path, *options: str) -> None:
    part = image.with_suffix(".part")
    part.unlink(missing_ok=True)
    compression = ["-comp", "zstd", "-Xcompression-level", "6"]
    _call(["mksquashfs", tree, part, "-noappend", "-no-progress", "-quiet", "-all-root", *compression, *options])
    part.rename(image)


# --------------------------------------------------------------------------------------------------------------
# The three images


def userland(arch: str) -> Path:
    """Debian 12 with PACKAGES, unpacked."""
    key = hashlib.sha256(" ".join((*PACKAGES, "compiled")).encode()).hexdigest()[:12]
    image = CACHE / f"userland-{arch}-{key}.sqfs"
    if image.exists():
        return image
    print(f"making the {arch} userland (once)", file=sys.stderr)
    source, tree = apt(USERLAND, arch), CACHE / f"userland-{arch}.tree"
    shutil.rmtree(tree, ignore_errors=True)
    for directory in (
        "usr/bin",
        "usr/sbin",
        "usr/lib",
        "proc",
        "sys",
        "dev",
        "tmp",
        "run",
        "root",
        "etc",
        "out",
        "var/tmp",
        "mnt",
    ):
        (tree / directory).mkdir(parents=True)
    for name in ("bin", "sbin", "lib"):
        (tree / name).symlink_to(f"usr/{name}")
    if arch == "amd64":
        (tree / "usr/lib64").mkdir()
        (tree / "lib64").symlink_to("usr/lib64")
    essential = [
        match[1]
        for paragraph in source.cache("dumpavail").split("\n\n")
        if "\nEssential: yes" in paragraph and (match := re.match(r"Package: (\S+)", paragraph))
    ]
    for old in source.archives.glob("*.deb"):
        old.unlink()
    source.get("install", "--no-install-recommends", "--download-only", *PACKAGES, *essential)
    _unpack(sorted(source.archives.glob("*.deb")), tree)
    # What the packages' scripts would have done, as far as tests can tell.
    for name in ("passwd", "group"):
        shutil.copy(tree / f"usr/share/base-passwd/{name}.master", tree / "etc" / name)
    for link, target in {"sh": "dash", "awk": "mawk", "cc": "gcc", "c++": "g++"}.items():
        if not (tree / "usr/bin" / link).exists():
            (tree / "usr/bin" / link).symlink_to(target)
    (tree / "etc/hosts").write_text("127.0.0.1 localhost guest\n::1 localhost\n")
    _compile(tree, tree / f"usr/lib/python{USERLAND_PYTHON}", tree / "usr/lib/python3")
    _squash(tree, image, "-e", *(f"usr/share/{name}" for name in ("doc", "man", "locale", "info")))
    shutil.rmtree(tree)
    for deb in source.archives.glob("*.deb"):
        deb.unlink()
    return image


def _requirements() -> list[str]:
    """The project's and its tests' requirements, from pyproject.toml (a list of strings each; no tomllib before 3.11)."""
    text = (ROOT / "pyproject.toml").read_text()
    lists = [
        re.search(rf"^{name} = \[(.*?)\]\n", text, re.MULTILINE | re.DOTALL)
        for name in ("dependencies", "demo", "test")
    ]
    found = [item for match in lists if match for item in re.findall(r'"([^"]+)"', match[1])]
    return sorted(item for item in found if not item.startswith("otel-jb"))


def site(arch: str) -> Path:
    """The Python dependencies for the guest's Python, as wheels for its architecture, in /opt/site."""
    requirements = _requirements()
    key = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:12]
    image = CACHE / f"site-{arch}-{key}.sqfs"
    if image.exists():
        return image
    print(f"making the {arch} Python packages (once)", file=sys.stderr)
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[arch]
    tree = CACHE / f"site-{arch}.tree"
    shutil.rmtree(tree, ignore_errors=True)
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in range(17, 37)] + [
        f"--platform=manylinux2014_{machine}"
    ]
    wheels = ["--only-binary=:all:", "--implementation=cp", f"--python-version={USERLAND_PYTHON}", *platforms]
    target = tree / "opt/site"
    _call(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-input",
            "--no-compile",
            *wheels,
            "--target",
            target,
            *requirements,
        ]
    )
    _compile(tree, target)
    _squash(tree, image)
    shutil.rmtree(tree)
    for old in CACHE.glob(f"site-{arch}-*.sqfs"):
        if old != image:
            old.unlink()
    return image


GUEST = """\
#!/bin/sh
# The guest's first process, on the overlay root.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8 TERM=dumb PYTHONPATH=/src:/opt/site PYTHONUNBUFFERED=1
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
mkdir -p /dev/shm /dev/pts; mount -t tmpfs shm /dev/shm; mount -t devpts devpts /dev/pts
ln -sf /proc/self/fd /dev/fd; ln -sf fd/0 /dev/stdin; ln -sf fd/1 /dev/stdout; ln -sf fd/2 /dev/stderr
mount -t tracefs tracefs /sys/kernel/tracing; mount -t bpf bpf /sys/fs/bpf; mount -t cgroup2 cgroup /sys/fs/cgroup
hostname guest; ip link set lo up; ldconfig 2>/dev/null; cd /src
uname -r > /out/release
cp /usr/lib/python3/dist-packages/bcc/version.py /out/bcc
python3 -c 'from otel_jb.probes.features import multi_link_error; print("perf" if multi_link_error() else "multi")' > /out/links
echo "== $(uname -rm), up after $(cut -d' ' -f1 /proc/uptime) s"
setsid -w sh -c '{command}' < /dev/null
echo $? > /out/status
echo "== exit status $(cat /out/status), at $(cut -d' ' -f1 /proc/uptime) s"
for disk in /sys/block/vd*; do [ "$(cat $disk/serial)" = out ] && tar -C /out -cf /dev/${disk##*/} .; done
sync; echo 1 > /proc/sys/kernel/sysrq; echo o > /proc/sysrq-trigger; sleep 60
"""


def checkout(directory: Path, command: Sequence[str]) -> Path:
    """What would be committed, in /src, and the guest's first process."""
    tree, image = directory / "checkout.tree", directory / "checkout.sqfs"
    shutil.rmtree(tree, ignore_errors=True)
    names = _call(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z"]).split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (tree / "src" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / "src" / name)
    _compile(tree, tree / "src/otel_jb", tree / "src/tests")
    local = tree / "usr/bin"
    local.mkdir(parents=True)
    (local / "otel-jb").write_text('#!/bin/sh\nexec python3 -m otel_jb "$@"\n')
    (local / "otel-jb").chmod(0o755)
    quoted = shlex.join(command).replace("'", "'\\''")
    (tree / "guest").write_text(GUEST.replace("{command}", quoted))
    (tree / "guest").chmod(0o755)
    _squash(tree, image)
    shutil.rmtree(tree)
    return image


# --------------------------------------------------------------------------------------------------------------
# Kernel and initramfs

INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module || echo "insmod $module failed"; done
tries=0
until [ $(cat /sys/block/vd*/serial 2>/dev/null | grep -c .) -ge 4 ] || [ $tries = 100 ]; do sleep 0.1; tries=$((tries + 1)); done
for disk in /sys/block/vd*; do
    name=$(cat $disk/serial)
    case $name in userland | site | checkout) mkdir -p /$name; mount -t squashfs -o ro /dev/${disk##*/} /$name;; esac
done
mkdir /scratch /new; mount -t tmpfs -o size=75% scratch /scratch; mkdir /scratch/upper /scratch/work
mount -t overlay -o lowerdir=/checkout:/site:/userland,upperdir=/scratch/upper,workdir=/scratch/work root /new
mount -o move /dev /new/dev; umount /sys /proc
exec switch_root /new /guest
"""


def _cpio(entries: Iterable[tuple[str, int, bytes]]) -> Iterator[bytes]:
    """An archive in the kernel's initramfs format ("newc": Documentation/driver-api/early-userspace/buffer-format.rst)."""
    everything = [*entries, ("TRAILER!!!", 0, b"")]
    for number, (name, mode, data) in enumerate(everything):
        encoded = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        header = b"070701" + b"".join(b"%08x" % value for value in fields) + encoded
        yield header + b"\0" * (-len(header) % 4)
        yield data + b"\0" * (-len(data) % 4)


def _module_data(path: Path) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-qdc", path], capture_output=True, check=True).stdout
    return path.read_bytes()


def _modules(tree: Path) -> dict[str, bytes]:
    """MODULES and what they need, in the order in which to load them; those that are built in are left out."""
    (directory,) = [path for path in (tree / "usr/lib/modules", tree / "lib/modules") if path.is_dir()][:1]
    (release,) = directory.iterdir()
    if not (release / "modules.dep").exists():
        (tree / "lib").mkdir(exist_ok=True)
        if not (tree / "lib/modules").exists():
            (tree / "lib/modules").symlink_to(directory)
        _call(["depmod", "-b", tree, release.name])
    needs = {}
    for line in (release / "modules.dep").read_text().splitlines():
        path, _, dependencies = line.partition(":")
        needs[Path(path).name.partition(".")[0].replace("-", "_")] = [path, *dependencies.split()]
    loaded: dict[str, bytes] = {}
    for module in MODULES:
        # modules.dep names the nearest dependency first: load from the end.
        for path in reversed(needs.get(module, [])):
            loaded.setdefault(Path(path).name.partition(".")[0] + ".ko", _module_data(release / path))
    return loaded


def kernel(it: Kernel) -> tuple[Path, Path]:
    """The kernel's image and an initramfs that finds the disks."""
    directory = CACHE / f"kernel-{it.suite}-{it.arch}"
    image, initramfs = it.image or directory / "vmlinuz", directory / "initramfs"
    key = hashlib.sha256((INIT + " ".join(MODULES)).encode()).hexdigest()
    if (directory / "ready").exists() and (directory / "ready").read_text() == key:
        return image, initramfs
    print(f"getting kernel {it.name} for {it.arch} (once)", file=sys.stderr)
    shutil.rmtree(directory, ignore_errors=True)
    tree, debs = directory / "tree", directory / "debs"
    tree.mkdir(parents=True)
    debs.mkdir()
    if it.image is None:
        source = apt(it.suite, it.arch)
        closure = source.cache(
            "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances",
            "linux-image-virtual" if it.suite in UBUNTU else f"linux-image-cloud-{it.arch}",
        )  # fmt: skip
        names = re.findall(r"^(linux-(?:image|binary|modules)-\d\S*)$", closure, re.MULTILINE)
        source.get("download", *sorted(set(names)), cwd=debs)
        _unpack(sorted(debs.glob("*.deb")), tree)
        (built,) = [*tree.glob("boot/vmlinuz-*"), *tree.glob("usr/lib/modules/*/vmlinuz")][:1]
        shutil.copy(built, image)
    # busybox is that of the userland's Debian, whatever the kernel is.
    apt(USERLAND, it.arch).get("download", "busybox-static", cwd=directory)
    (busybox,) = directory.glob("busybox-static_*.deb")
    _unpack([busybox], tree)
    modules = _modules(tree) if it.image is None else {}
    entries: list[tuple[str, int, bytes]] = [(name, 0o040755, b"") for name in ("bin", "modules", "proc", "sys", "dev")]
    (program,) = [path for path in (tree / "bin/busybox", tree / "usr/bin/busybox") if path.is_file()][:1]
    entries.append(("bin/busybox", 0o100755, program.read_bytes()))
    entries.append(("init", 0o100755, INIT.encode()))
    entries += [(f"modules/{name}", 0o100644, data) for name, data in modules.items()]
    entries.append(("modules/order", 0o100644, "\n".join(modules).encode()))
    initramfs.write_bytes(b"".join(_cpio(entries)))
    for leftover in (tree, debs):
        shutil.rmtree(leftover)
    busybox.unlink()
    (directory / "ready").write_text(key)
    return image, initramfs


# --------------------------------------------------------------------------------------------------------------
# QEMU


def _machine(arch: str) -> tuple[list[str], str, str]:
    """QEMU's own arguments, its disk device and the console's name. Always emulated: virtual machines seldom nest."""
    if arch == "arm64":
        return (
            ["qemu-system-aarch64", "-M", "virt", "-cpu", ARM_CPU, *EMULATED],
            "virtio-blk-device",
            "ttyAMA0",
        )
    return ["qemu-system-x86_64", "-M", "q35", "-cpu", CPU, *EMULATED], "virtio-blk-pci", "ttyS0"


def run(it: Kernel, command: Sequence[str], args: argparse.Namespace) -> Result:
    """Boot, run, and return what came of it."""
    image, initramfs = kernel(it)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as name:
        return _run(it, command, args, Path(name), (image, initramfs))


def _run(
    it: Kernel, command: Sequence[str], args: argparse.Namespace, directory: Path, boot: tuple[Path, Path]
) -> Result:
    (directory / "out").mkdir()
    out = directory / "out.img"
    with out.open("wb") as file:
        file.truncate(OUT_BYTES)
    disks = {"userland": userland(it.arch), "site": site(it.arch), "checkout": checkout(directory, command), "out": out}
    qemu, device, console = _machine(it.arch)
    qemu += [
        "-smp",
        str(args.cpus),
        "-m",
        str(args.memory),
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
        "-serial",
        "stdio",
    ]
    qemu += ["-kernel", str(boot[0]), "-initrd", str(boot[1])]
    for name, path in disks.items():
        readonly = "off" if name == "out" else "on"
        qemu += [
            "-drive",
            f"if=none,id={name},file={path},format=raw,readonly={readonly}",
            "-device",
            f"{device},drive={name},serial={name}",
        ]
    # no_timer_check: QEMU's timer may come too late for kernels before 6.1, which panic ("IO-APIC + timer doesn't work").
    options = "quiet loglevel=4 panic=-1 mitigations=off nokaslr random.trust_cpu=on no_timer_check"
    qemu += ["-append", f"console={console} {options}"]
    print(f"== {it.name} ({it.suite}, {it.arch})", flush=True)
    log = None
    if args.logs:
        args.logs.mkdir(parents=True, exist_ok=True)
        log = (args.logs / f"{it.name}.log").open("wb")
    process = subprocess.Popen(qemu, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    _RUNNING.append(process)
    late = False
    try:
        process.wait(args.timeout)
    except subprocess.TimeoutExpired:
        late = True
    finally:
        process.kill()
        process.wait()
        if log:
            log.close()
    if late:
        return Result(it.name, it.arch, problem=f"not finished after {args.timeout:.0f} s")
    lost = Result(it.name, it.arch, problem="the guest died")
    try:
        _call(["tar", "-xf", out, "-C", directory / "out", "--no-same-owner"])
    except PreparationError:  # it died before it wrote
        return lost
    results = CACHE / "out" / it.name
    shutil.rmtree(results, ignore_errors=True)
    results.parent.mkdir(exist_ok=True)
    (directory / "out").rename(results)
    answers = {name: (results / name) for name in ("release", "status", "bcc", "links")}
    if not all(path.exists() for path in answers.values()):
        return lost
    release, status, bcc, links = (path.read_text().strip() for path in answers.values())
    report, capabilities = results / "results.xml", results / "capabilities.json"
    return Result(
        it.name, it.arch, release, links, "".join(re.findall(r"'(.+)'", bcc)), int(status),
        suites=_suites(report) if report.exists() else {},
        capabilities=json.loads(capabilities.read_text()) if capabilities.exists() else {},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
