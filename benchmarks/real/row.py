# SPDX-License-Identifier: Apache-2.0
"""One measured program: the agent beside it, an independent counter, and the row of the table that they make."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from otel_jb.elf.image import Image
from tests.e2e.agent_process import AgentProcess, Exposition, run_command, until

OPTIONS = ("--interval", "1s")


class NotMeasuredError(Exception):
    """Why a program cannot be measured here."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One equation: what the agent counted, and what it must be by somebody else's count."""

    what: str
    counted: float | None
    true: float | None
    by: str  #: who says so

    @property
    def holds(self) -> bool:
        """Whether both are there and equal."""
        return self.counted is not None and self.counted == self.true


@dataclass(frozen=True, slots=True)
class Row:
    """What was seen of one program. `why` says why there are no claims."""

    program: str
    version: str
    found: str = ""  #: where the names of its functions come from
    function: str = ""
    claims: tuple[Claim, ...] = ()
    why: str = ""
    date: str = ""  #: when it was measured: a table's rows are not all of one run

    @property
    def good(self) -> bool:
        """Whether everything that was compared is equal, and something was."""
        return bool(self.claims) and all(each.holds for each in self.claims)


@dataclass(frozen=True, slots=True)
class Probed:
    """A function of a running process, as `discover` sees it; `at` is where bpftrace wants it."""

    function: str
    path: Path
    at: int
    source: str


def command_output(*arguments: str) -> str:
    """What a command prints on either stream; raises NotMeasuredError if it is not installed."""
    if shutil.which(arguments[0]) is None:
        raise NotMeasuredError(f"{arguments[0]} is not installed")
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def package_version(package: str) -> str:
    """Debian's version of a package; raises NotMeasuredError if it is not installed."""
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False
    )
    if done.returncode or not done.stdout:
        raise NotMeasuredError(f"Debian's package {package} is not installed")
    return f"{package} {done.stdout}"


def probed(pid: int, *functions: str, options: Sequence[str] = ()) -> list[Probed]:
    """Where the agent finds these functions in a process. Raises NotMeasuredError with what `discover` says if one is missing."""
    wanted = [each for name in functions for each in ("--function", name)]
    done = run_command("discover", str(pid), "--json", "--all", *wanted, *options)
    found: dict[str, Probed] = {}
    listed = json.loads(done.stdout) if done.stdout else {"targets": []}
    for target in listed["targets"]:
        for each in target["functions"]:
            if each.get("address") is not None and each["function"] in functions:
                path, address = Path(each["file"]), int(each["address"])
                # bpftrace takes an address for one if a symbol is there, and else for a place in the file.
                at = address if each["source"] in (".symtab", ".dynsym") else _offset(path, address)
                place = Probed(each["function"], path, at, each["source"])
                found.setdefault(each["function"], place)
    missing = [name for name in functions if name not in found]
    if missing:
        raise NotMeasuredError(f"not found: {', '.join(missing)}")
    return [found[name] for name in functions]


def _offset(path: Path, address: int) -> int:
    with path.open("rb") as file:
        return Image.from_file(file).offset(address)


@dataclass
class Counter:
    """bpftrace on the same functions: hits, counted and summed without the agent."""

    process: subprocess.Popen[str]
    log: Path
    values: dict[str, int] = field(default_factory=dict)

    def read(self) -> dict[str, int]:
        """End it; what each of its maps holds, 0 where nothing came."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(120)
        text = self.log.read_text(errors="replace")
        self.values = {name: int(value) for name, value in re.findall(r"(?m)^@(\w+): (-?\d+)$", text)}
        return self.values


@contextmanager
def bpftrace(pid: int, directory: Path, *clauses: tuple[Probed, str, str]) -> Iterator[Counter]:
    """Count beside the agent, by clauses of (function, condition, actions). Other processes of the same file do not count."""
    text = 'BEGIN { printf("attached\\n"); } ' + " ".join(
        f"uprobe:{_plain(place.path, directory)}:{place.at:#x} /pid == {pid} && ({condition})/ {{ {actions} }}"
        for place, condition, actions in clauses
    )
    log = directory / "bpftrace.log"
    with open(log, "w") as output:
        child = subprocess.Popen(
            ["bpftrace", "--unsafe", "-p", str(pid), "-e", text], stdout=output, stderr=subprocess.STDOUT, text=True
        )
    counter = Counter(child, log)
    try:

        def attached() -> bool:
            assert child.poll() is None, log.read_text()
            return "attached" in log.read_text()

        until(attached, "bpftrace is attached")
        yield counter
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def _plain(path: Path, directory: Path) -> Path:
    """A path that bpftrace takes, to the same file: an `@` in it is a map to its grammar."""
    if "@" not in str(path):
        return path
    link = directory / path.name
    link.unlink(missing_ok=True)
    link.symlink_to(path)
    return link


@contextmanager
def measuring(pid: int, *options: str) -> Iterator[AgentProcess]:
    """The agent on one process."""
    with tempfile.TemporaryDirectory() as name:
        running = AgentProcess(Path(name), "--pid", str(pid), *OPTIONS, *options)
        try:
            running.wait_until_ready()
            yield running
            running.stop()
        finally:
            running.kill()


def counted(scraped: Exposition, pid: int, function: str, metric: str, **labels: object) -> float | None:
    """A value of one function; the sum where it has several; None where it has none."""
    found = scraped.find(metric, pid=pid, function=function, **labels)
    return sum(value for _, value in found) if found else None


def streams(scraped: Exposition, pid: int, metric: str) -> float | None:
    """A value of all RTP streams of a process."""
    found = scraped.find(metric, pid=pid)
    return sum(value for _, value in found) if found else None


HEAD = ("| program | functions | compared | agent | other | equal |", "|---|---|---|---:|---:|---|")


def table(rows: Sequence[Row], before: str = "") -> str:
    """The table of these rows, and of the programs of the table `before` that are not among them, in its order."""
    blocks: dict[str, list[str]] = {}
    title = ""
    for line in before.splitlines():
        if line.startswith("| ") and line not in HEAD:
            if not line.startswith("| | |"):  # which goes on with the program above
                title = re.split(r"<br>| \|", line.removeprefix("| "))[0]
            blocks.setdefault(title, []).append(line)
    blocks |= {row.program: _lines(row) for row in rows}
    return "\n".join([*HEAD, *(line for block in blocks.values() for line in block)])


def _lines(row: Row) -> list[str]:
    name = "<br>".join(each for each in (row.program, row.version, row.date) if each)
    if not row.claims:
        return [f"| {name} | not measured | {row.why} | | | |"]
    lines = []
    for index, each in enumerate(row.claims):
        begin = f"| {name} | `{row.function}` ({row.found}) |" if index == 0 else "| | |"
        equal = "yes" if each.holds else "**no**"
        lines.append(f"{begin} {each.what}: {each.by} | {_shown(each.counted)} | {_shown(each.true)} | {equal} |")
    return lines


def _shown(value: float | None) -> str:
    return "absent" if value is None else f"{value:g}" if value != int(value) else str(int(value))


#: Measures one program, with a directory of its own for files. Raises NotMeasuredError.
Measure = Callable[[Path], Row]
