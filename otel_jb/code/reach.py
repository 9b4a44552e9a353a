# SPDX-License-Identifier: Apache-2.0
"""Whether a return probe on a function is shown to be safe: what its calls can reach, instruction by instruction.

A return probe puts another return address on the stack. It harms a process in which, before the function returns, the stack is
switched, an exception passes the frame, or a jump leaves it. The closure over all calls, through the PLT into the
libraries that the process maps, must show that none of this can happen; what cannot be bounded is not shown.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import field

from otel_jb.arch.instruction import Flow
from otel_jb.code import known
from otel_jb.code.body import Body, Context, UndecodableError, body_of
from otel_jb.code.facts import Reach
from otel_jb.code.stack_pointer import foreign_load
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.elf.symbols import tables
from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import SymbolSource

BUDGET = 20_000  #: instructions of one closure

#: Before a return: it then goes where that says, as in a retpoline.
_MAKES_RETURN = re.compile(r"push |mov qword ptr \[rsp\], ")

#: Library functions that wait: coroutine libraries put their own, which yield, in their place. All others compute.
_WAITS = re.compile(r"(pthread|sem|mtx|cnd)_\w+|sched_yield|__cxa_guard_acquire")
_SYSTEM = re.compile(
    r"(libc|libm|librt|libdl|libpthread|libgcc_s|libstdc\+\+|libc\+\+|libc\+\+abi|ld-linux[\w-]*|libc\.musl-\w+)\.so\b.*"
)

Way = tuple[str, ...]  #: the functions called on the way


@dataclass(frozen=True, slots=True)
class Summary:
    """What one function does by itself."""

    instructions: int
    calls: tuple[int, ...]  #: addresses called or tail-called, in the same file
    imports: tuple[str, ...]  #: functions called in other files
    hazard: str = ""  #: it switches stacks itself
    unbounded: str = ""  #: it calls through a pointer


@dataclass(slots=True)
class Program:
    """The files of one process: the one that is examined and the libraries behind it, in the loader's order."""

    main: Context
    libraries: Sequence[tuple[Image, Names]] = ()
    _contexts: dict[int, Context] = field(default_factory=dict)
    _exports: dict[int, tuple[dict[int, int], bytes]] = field(default_factory=dict)
    _summaries: dict[tuple[int, int], Summary | str] = field(default_factory=dict)
    _replaced: dict[str, list[tuple[Context, int]]] = field(default_factory=dict)

    def resolve(self, name: str) -> tuple[Context, int] | None:
        """The definition of an exported function in the main file or a library."""
        for number in range(len(self.libraries) + 1):
            address = self._exported(number, name.encode())
            if address is not None:
                return self._context(number), address
        return None

    def replacements(self, name: str) -> list[tuple[Context, int]]:
        """Definitions of a C library's function in files that are not the system's: what the loader may take instead."""
        if name not in self._replaced:
            self._replaced[name] = []
            for number in range(len(self.libraries) + 1):
                image = self.main.image if number == 0 else self.libraries[number - 1][0]
                if _SYSTEM.fullmatch(image.soname or ""):
                    continue
                address = self._exported(number, name.encode())
                if address is not None:
                    self._replaced[name].append((self._context(number), address))
        return self._replaced[name]

    def _context(self, number: int) -> Context:
        if number == 0:
            return self.main
        if number not in self._contexts:
            image, names = self.libraries[number - 1]
            self._contexts[number] = Context.of(image, names)
        return self._contexts[number]

    def _exported(self, number: int, name: bytes) -> int | None:
        """Address of a function in the dynamic symbols of a file, by the position of its name: no name is decoded."""
        if number not in self._exports:
            image = self.main.image if number == 0 else self.libraries[number - 1][0]
            table = next((table for table in tables(image) if table.source is SymbolSource.DYNSYM), None)
            # An indirect function leads to its resolver, not to the function.
            found = dict(zip(*table.places(indirect=False), strict=True)) if table is not None else {}
            self._exports[number] = (found, table.strings if table is not None else b"")
        positions, strings = self._exports[number]
        sought = name + b"\0"
        at = strings.find(sought)  # linkers let a name begin in the middle of another that it ends
        while at >= 0:
            if at in positions:
                return positions[at]
            at = strings.find(sought, at + 1)
        return None

    def summary(self, context: Context, address: int) -> Summary | str:
        """What the function does by itself, or why it cannot be told."""
        key = (id(context), address)
        if key not in self._summaries:
            try:
                self._summaries[key] = summarise(body_of(context, address, 0))
            except UndecodableError as reason:
                self._summaries[key] = str(reason)
        return self._summaries[key]


def summarise(body: Body) -> Summary:
    """Collect one function's calls and hazards."""
    context = body.context
    calls: dict[int, None] = {}
    imports: dict[str, None] = {}
    unbounded = body.unclear

    def add(target: int) -> None:
        if context.in_plt(target):
            imports[known.plain(context.names.get(target, ""))] = None
        else:
            calls[target] = None

    for instruction in body.calls:
        if instruction.target is not None:
            add(instruction.target)
            continue
        name = context.cell_name(instruction)
        if name:
            imports[name] = None
        else:
            unbounded = unbounded or f"a call through a pointer at {instruction.address:#x}"
    for exit_ in body.exits:
        if exit_.target is not None:
            add(exit_.target)
            continue
        name = context.cell_name(body.instructions[exit_.index])
        if name:
            imports[name] = None
        else:
            unbounded = unbounded or f"a call through a pointer at {body.instructions[exit_.index].address:#x}"
    for index, instruction in enumerate(body.instructions):
        if instruction.flow is Flow.RETURN and index and _MAKES_RETURN.match(body.instructions[index - 1].text):
            unbounded = unbounded or f"a return to a made-up address at {instruction.address:#x}"
    load = foreign_load(body)
    hazard = f"code that loads the stack pointer (`{load.text}`)" if load is not None else ""
    return Summary(len(body.instructions), tuple(calls), tuple(imports), hazard, unbounded)


def examine_reach(program: Program, address: int, budget: int = BUDGET) -> Reach:
    """Follow everything that the function at `address` of the main file can call; stop at the first thing that forbids it."""
    if program.main.image.arch != "x86_64":
        return Reach(False, "not examined on AArch64, where ret sites cost no more")
    start = (program.main, address)
    queue: deque[tuple[Context, int, Way]] = deque([(*start, ())])
    seen = {(id(program.main), address)}
    spent = 0
    opening = ""  # behind it nobody knows what is reached: only what holds of the whole process can tell more, so the search ends
    while queue:
        context, here, way = queue.popleft()
        summary = program.summary(context, here)
        if isinstance(summary, str):
            return Reach(False, f"it reaches code that is not decodable{_via(way)}: {summary}", spent, open=True)
        spent += summary.instructions
        if summary.hazard:
            return Reach(False, f"it reaches {summary.hazard}{_via(way)}", spent, kills=True)
        found: list[tuple[Context, int, Way]] = []
        for target in summary.calls:
            name = known.plain(context.names.get(target, ""))
            verdict = known.judge(name, imported=False)
            if verdict is known.Verdict.HARMLESS:
                continue
            if verdict is not known.Verdict.UNKNOWN:
                return _forbidden(verdict, name, way, spent)
            if context is program.main and target == address:
                return Reach(False, "it can call itself", spent)
            found.append((context, target, (*way, name or f"{target:#x}")))
        for name in summary.imports:
            verdict = known.judge(name)
            if verdict is known.Verdict.HARMLESS:
                if _WAITS.fullmatch(name):
                    found += [(*replacement, (*way, name)) for replacement in program.replacements(name)]
                continue
            if verdict is not known.Verdict.UNKNOWN:
                return _forbidden(verdict, name, way, spent)
            resolved = program.resolve(name) if name else None
            if resolved is None:
                opening = opening or f"it calls {name or 'a stub'}{_via(way)}, which is in no file that was given"
                continue
            found.append((*resolved, (*way, name)))
        if summary.unbounded:
            opening = opening or f"it makes {summary.unbounded}{_via(way)}, whose targets are not known"
        if spent > budget:
            opening = opening or f"what it can reach is more than {budget} instructions"
        if opening:
            return Reach(False, opening, spent, open=True)
        for item in found:
            key = (id(item[0]), item[1])
            if key not in seen:
                seen.add(key)
                queue.append(item)
    count = len(seen) - 1
    callees = "nothing unknown" if count == 0 else f"{count} function{'s' if count > 1 else ''}"
    reason = f"nothing that it can reach ({callees}, {spent} instructions) switches stacks, throws or jumps out"
    return Reach(True, reason, spent)


def _forbidden(verdict: known.Verdict, name: str, way: Way, spent: int) -> Reach:
    kills = verdict in (known.Verdict.SWITCHES, known.Verdict.THROWS)
    return Reach(False, f"it reaches {known.readable(name)}{_via(way)}, which {verdict.value}", spent, kills)


def _via(way: Way) -> str:
    steps = [known.readable(step) for step in way]
    return " via " + " → ".join(steps if len(steps) <= 4 else [steps[0], "…", *steps[-2:]]) if steps else ""
