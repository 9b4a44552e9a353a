# SPDX-License-Identifier: Apache-2.0
"""The measured processes: running ones, new ones, and those that end or load further libraries."""

from __future__ import annotations

import fnmatch
import itertools
import logging
import os
import queue
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.host import procfs
from otel_jb.host.identity import make_target
from otel_jb.host.procfs import MappedFile, Process
from otel_jb.host.watch import Watcher
from otel_jb.model.arrival import Arrival
from otel_jb.model.errors import AgentError, NamesAskedForError, NothingYetError
from otel_jb.model.plan import Probe, ProbePlan
from otel_jb.model.stream import Target
from otel_jb.planner.arrivals import Arrivals, is_of, ticks
from otel_jb.planner.changes import Changes, Found, Placed
from otel_jb.planner.expected import Ahead, Expectation
from otel_jb.planner.loading import Loading
from otel_jb.planner.looks import FIRST_LOOK_S, LAST_LOOK_S, Look, files_of, identities, mapped_of
from otel_jb.planner.mapped import only_plain, paths, worth_reading
from otel_jb.planner.missed import Missed
from otel_jb.planner.named_files import NamedFiles
from otel_jb.planner.planner import Planner, no_function, nothing_yet
from otel_jb.planner.selection import changes, of_running_only, pids_alone, said_of, selector_of, what_selects
from otel_jb.planner.servers import Unmeasured, is_server, loads_plugins
from otel_jb.sandbox.limits import MAX_FILES

if TYPE_CHECKING:
    from otel_jb.catalog import Catalog
    from otel_jb.config.model import Config, TargetSelector
    from otel_jb.planner.files import Examined
    from otel_jb.sandbox.client import Inspector

_logger = logging.getLogger(__name__)

LOADING_S = 0.002  #: between looks at a process that loads its libraries
MOST_AHEAD = (
    2  #: processes for which libraries are probed ahead: each of their links makes the others' calls more expensive
)
SLICE_S = 0.25  #: how long new processes are looked at before what was found is handed on

_AT_ONCE = 16  #: processes whose files are read ahead together


class Discovery:
    """Finds processes and has them planned."""

    def __init__(self, config: Config, inspector: Inspector, catalog: Catalog | None = None) -> None:
        """Loads the catalogue, the user's own profiles first. Raises ConfigError."""
        self.config = config
        self.planner = Planner(config, inspector, catalog)
        self._inspector = inspector
        self._numbers = itertools.count(1)
        self._watcher = Watcher(
            self._selected, again=any(map(changes, config.targets)), only=pids_alone(config.targets)
        )
        self._named = NamedFiles()
        self._anew = False  # another configuration selects
        self._ahead = Ahead()
        self._ask_s = 0.0  # when it is asked next whether selected programs load libraries
        self._looks: dict[Process, Look] = {}
        self._loading = Loading()
        self._target_of: dict[Process, int] = {}
        self._plan_of: dict[Process, ProbePlan] = {}  # of these
        self.held: Collection[int] = ()  #: PIDs of which `tell` hears when they end or execute another program
        self._missed = Missed()
        self._pending: dict[Process, None] = {}  # came and were not looked at yet; in the order in which they will be
        self._arrived = Arrivals()  # processes that the kernel met and that nobody has named yet
        self._told: queue.SimpleQueue[tuple[Sequence[Arrival], Mapping[int, bool]]] = queue.SimpleQueue()
        self._news = threading.Event()
        self._over: set[Process] = set()  # processes that the kernel saw end
        self._answered: queue.SimpleQueue[str] = queue.SimpleQueue()  # builds whose debug files came, or will not
        self._wanted: tuple[Config, Catalog] | None = None  # a configuration that is to be taken over

    @property
    def unmeasured(self) -> Mapping[Process, Unmeasured]:
        """Processes that run, should be measured and cannot be."""
        return self._missed.unmeasured

    @property
    def waiting(self) -> Mapping[Process, str]:
        """Processes that were named by their PID and have nothing to measure until they load a library; what to say of each."""
        return self._missed.waiting

    def _plan(self, process: Process) -> ProbePlan:
        """What would be attached to a process now. Raises TargetError, ElfError, PermissionDeniedError."""
        return self.planner.plan_process(process, named=self._selector(process) is not None)

    def find(
        self, process: Process, selector: TargetSelector | None, files: Sequence[tuple[str, MappedFile]] | None = None
    ) -> Found:
        """Plan one process; `files`: its `paths`, if they were looked at. Raises TargetError, ElfError, PermissionDeniedError, NoFunctionError."""
        examined, plan = self.planner.examined_plan(process, named=selector is not None, files=files)
        alone = selector is not None and selector.pid is not None
        if alone and not plan.probes and any(each.report.build_id in self.planner.files.awaited for each in examined):
            raise NamesAskedForError(
                f"{process.name} (process {process.pid}) has no names, and its debug file is asked for",
                "It is measured once a server of DEBUGINFOD_URLS has sent it.",
            )
        if alone and not plan.probes and not plan.skipped and self._may_load_one(process, examined):
            raise nothing_yet(process, self.config.functions.include)
        if not plan.probes:
            raise no_function(process.name, f"process {process.pid}", examined, plan, self.config.functions.include)
        build_id = next((each.report.build_id for each in examined if each.path == self._program(process)), None)
        build_id = build_id or (examined[0].report.build_id if examined else None)
        return Found(process, self._target(process, build_id, selector), plan, alone)

    def _may_load_one(self, process: Process, examined: Sequence[Examined]) -> bool:
        """Whether a process without a jitter buffer may load a library that has one. If it has a library that a profile knows, that library is
        stripped, and waiting would be pointless; so it would be for a media server whose jitter buffer is in its own program.
        """
        if is_server(process.name) and not loads_plugins(process.name):
            return False
        named = [(each.report.soname or each.path.rpartition("/")[2], each) for each in examined]
        # The C library has dlopen for its users. What it loads itself holds no jitter buffer.
        if not any(each.report.loads for name, each in named if not only_plain((name,))):
            return False
        names = [name for name, _ in named]
        known = [glob.rpartition("/")[2] for glob in self.planner.catalog.libraries()]
        return not any(fnmatch.fnmatchcase(name, glob) for name in names for glob in known)

    def _target(self, process: Process, build_id: str | None, selector: TargetSelector | None) -> Target:
        host = self.config.host_name
        return make_target(
            process,
            next(self._numbers),
            build_id,
            selector.service_name if selector else None,
            {
                **self.config.attributes,
                **({"host.name": host} if host else {}),
                **(selector.attributes if selector else {}),
            },
        )

    @staticmethod
    def _program(process: Process) -> str:
        return process.root + process.executable

    # -- selection ------------------------------------------------------------------------------------------

    def _selector(self, process: Process) -> TargetSelector | None:
        """The first selector that selects this process."""
        return selector_of(self.config, process, self._named.runs)

    def _selected(self, process: Process) -> bool:
        return self._is_meant(process, self._selector(process))

    def _is_meant(self, process: Process, selector: TargetSelector | None) -> bool:
        """Whether a process is to be measured; `selector`: the one that selects it."""
        if process.pid == os.getpid():
            return False
        if self.config.targets:
            return selector is not None  # unreadable ones too, so that a user who named the PID gets the reason
        return bool(process.executable)

    def first(self) -> list[Found]:
        """The processes to measure now, those named by PID first; `poll` reports those that take longer.

        A target that the user named and that can never be measured is an error at once: TargetError, ElfError, NoFunctionError.
        A file or name that no process runs yet is none; it is waited for.
        """
        for selector in self.config.targets:
            if selector.pid is not None:
                procfs.process(selector.pid)
            elif selector.binary is not None:
                self._check_binary(selector.binary)
        new, _ = self._watcher.poll()
        found = []
        for process in new:
            chosen = self._selector(process)
            if chosen is not None and chosen.pid is not None:
                files = files_of(process)  # before the plan: what is loaded meanwhile is news at the next look
                try:
                    found.append(self._remember(self.find(process, chosen)))
                except NothingYetError as error:
                    self._wait_for(process, error)
                self._looks[process] = Look(files, time.monotonic() + FIRST_LOOK_S, FIRST_LOOK_S)
            else:
                self._pending[process] = None
        # Programs that a profile is named after are the likeliest to be measured.
        likely = tuple(profile.profile for profile in self.planner.catalog.profiles)
        self._pending = dict.fromkeys(sorted(self._pending, key=lambda each: not each.name.startswith(likely)))
        return found + self._look_at_pending(SLICE_S, young=False)

    def _wait_for(self, process: Process, error: NothingYetError) -> None:
        """Remember a process, named by its PID, that has nothing to measure until it loads a library."""
        if self._missed.wait_for(process, error) and len(self.waiting) <= MOST_AHEAD:
            self._ahead.add_process(self.planner, process)

    def _next_expectation(self) -> list[Expectation]:
        """The next library to probe before processes load it."""
        now = time.monotonic()
        if not self._ahead.begun and now >= self._ask_s and self._ahead.may_begin(busy=self.more):
            self._ask_s = now + LAST_LOOK_S  # a program that loads nothing hardly becomes one that does
            if self._may_load():
                self._ahead.begin()
        found = self._ahead.next(self.planner, named=bool(self.config.targets))
        return [found] if found is not None else []

    def _may_load(self) -> bool:
        """Whether processes that are not known yet may be selected, and may load a library that a profile knows."""
        if not self.config.targets:
            return True
        return any(
            selector.pid is None and (selector.binary is None or self._may_load_any(selector.binary))
            for selector in self.config.targets
        )

    def _may_load_any(self, binary: str) -> bool:
        """Whether the program of this name loads libraries, as far as known."""
        try:
            return not self._loads_nothing_else(self.planner.files.examine(binary, Path(binary).name))
        except AgentError:
            return True

    @property
    def more(self) -> bool:
        """Whether processes wait to be looked at."""
        return bool(self._pending or self._arrived)

    def _look_at_pending(self, seconds: float, *, young: bool = True) -> list[Found]:
        """Look at new processes for about `seconds` at most; `young`: they may not have loaded their libraries yet."""
        found = []
        until = time.monotonic() + seconds
        while self._pending and time.monotonic() < until:
            for process, files in self._read_next():
                if young and self._loading.still(process, self.planner.files, files):
                    time.sleep(LOADING_S)
                    continue
                del self._pending[process]
                if (each := self._try(process, time.monotonic(), self._selector(process), files)) is not None:
                    found.append(each)
        return found

    def _read_next(self) -> list[tuple[Process, Sequence[tuple[str, MappedFile]] | None]]:
        """The next processes to look at, each with its `paths`: as many as share one request's worth of unknown files, which are
        read. That may take long; then their mappings must be read again: None.
        """
        files: list[tuple[str, str]] = []
        processes: list[tuple[Process, Sequence[tuple[str, MappedFile]] | None]] = []
        for process in itertools.islice(self._pending, _AT_ONCE):
            mapped: list[tuple[str, MappedFile]] | None
            try:
                mapped = paths(process)
            except AgentError:
                mapped = None  # it ended; `_try` says so
            unread = [
                (path, file.path)
                for path, file in worth_reading(process, mapped or (), everything=self.planner.asks_any)
                if not self.planner.files.is_read(path, file.device)
            ]
            if processes and len(files) + len(unread) > MAX_FILES:
                break
            processes.append((process, mapped))
            files += unread
        if not files:
            return processes
        self.planner.files.read_ahead(files)
        return [(process, None) for process, _ in processes]

    def _check_binary(self, binary: str) -> None:
        """Raise the error of a file whose processes could never be measured."""
        name = Path(binary).name
        if not os.path.lexists(binary) and any(self._named.runs(each, binary) for each in procfs.processes()):
            return  # it was deleted, and runs on
        examined = self.planner.files.examine(binary, name)
        if examined.report.kind == "executable" and not examined.matches and self._loads_nothing_else(examined):
            raise no_function(name, binary, [examined], ProbePlan(()))

    def _loads_nothing_else(self, examined: Examined) -> bool:
        """Whether a program has no code but its own and the plain system libraries', and no means to load more."""
        return only_plain(examined.report.needed) and not examined.report.loads

    def counts(self) -> dict[tuple[str, str], int]:
        """Examined processes by state and reason, without the measured ones. For any thread."""
        found: dict[tuple[str, str], int] = {}
        missed = list(self.unmeasured.items())
        for _, each in missed:
            found["unmeasurable", each.kind] = found.get(("unmeasurable", each.kind), 0) + 1
        known = {process for process, _ in missed}.union(list(self._target_of))
        found["ignored", "nothing_to_measure"] = sum(process not in known for process in list(self._looks))
        return found

    def _remember(self, found: Found) -> Found:
        self._missed.measured(found.process)
        self._target_of[found.process] = found.target.id
        self._plan_of[found.process] = found.plan
        return found

    def forget(self, process: Process) -> None:
        """It could not be attached after all; it is planned anew when it maps other files."""
        self._let_go(process)

    def _let_go(self, process: Process) -> int | None:
        """Stop measuring a process; returns its target id, if it had one."""
        self._plan_of.pop(process, None)
        return self._target_of.pop(process, None)

    def plans_again(self) -> list[tuple[int, ProbePlan]]:
        """(target id, plan) of the measured processes, planned again at current costs. Attaches nothing."""
        plans = []
        for process, target in list(self._target_of.items()):  # another thread may be at it
            try:
                named = self._selector(process) is not None
                plans.append((target, self.planner.priced_again(process, self._plan_of[process], named=named)))
            except (AgentError, KeyError):
                continue  # it ended meanwhile
        return plans

    # -- what the kernel tells ------------------------------------------------------------------------------

    def tell(self, arrivals: Sequence[Arrival], ended: Mapping[int, bool]) -> None:
        """Report new processes and ended targets (True: the process ended too; False: it executes another program); from any thread."""
        self._told.put((arrivals, ended))
        self._news.set()

    def wait(self, seconds: float) -> None:
        """Wait until there is news, or until the next look at what nobody tells: after these seconds, or later where nothing is to be seen before."""
        self._news.wait(max(seconds, self._next_look_s() - time.monotonic()) if self._is_told_all() else seconds)

    def _is_told_all(self) -> bool:
        """Whether nothing can come or end unheard: only PIDs are named, and the kernel tells when their processes end or execute another program."""
        only = self._watcher.only
        if only is None or self.more or self._over or self._missed.unmeasured or self._missed.waiting:
            return False
        measured = {process.pid for process in self._target_of}
        return all(pid in measured and pid in self.held for pid in only)

    def _next_look_s(self) -> float:
        """When a process is looked at next for libraries that it has loaded, in monotonic seconds."""
        return min((look.next_s for look in self._looks.values()), default=0.0)

    def stop(self) -> None:
        """End `wait`."""
        self._news.set()

    def reconfigure(self, config: Config, catalog: Catalog) -> None:
        """Use another configuration from the next `poll` on; from any thread."""
        self._wanted = (config, catalog)
        self._news.set()

    def debug_file_came(self, build_id: str) -> None:
        """Report that a requested debug file has arrived, or never will; from any thread."""
        self._answered.put(build_id)
        self._news.set()

    def _take_debug_files(self) -> list[int]:
        """Look again at processes of files whose debug files arrived. Returns targets to detach, because they are now measured differently."""
        left: list[int] = []
        while not self._answered.empty():
            build_id = self._answered.get()
            inodes = self.planner.files.inodes_of(build_id)
            processes = [each for each, look in self._looks.items() if inodes.intersection(i for _, i in look.files)]
            before = {each: self._meant(each) for each in processes if each in self._target_of}
            self.planner.forget_build(build_id)
            for process in processes:
                if process in self._target_of:
                    if before[process] == self._meant(process):
                        continue
                    left.append(self._target_of[process])
                    self._let_go(process)
                self._looks.pop(process, None)
                self._missed.measured(process)
                self._pending[process] = None
        return left

    def in_vain(self) -> AgentError | None:
        """Why nothing is or will be measured, if every process was named by its PID and the requested debug files did not help."""
        if self._target_of or self.waiting or self.more or any(each.pid is None for each in self.config.targets):
            return None
        return self._missed.in_vain()

    def _meant(self, process: Process) -> dict[tuple[int, str], tuple[object, ...]]:
        """What a process's plan measures, by place."""
        try:
            return {probe.place: probe.meaning for probe in self._plan(process).probes}
        except AgentError:
            return {}  # it is about to end

    def _take_over(self) -> tuple[list[int], list[tuple[int, ProbePlan]]]:
        """What a new configuration changes: targets to detach, and new plans for the others. Further processes arrive as new ones do."""
        wanted, self._wanted = self._wanted, None
        if wanted is None:
            return [], []
        old, planner = self.config, self.planner
        self.config = wanted[0]
        self.planner = planner.with_config(*wanted)
        if what_selects(old) == what_selects(self.config) and self.planner.catalog is planner.catalog:
            return [], []
        left: list[int] = []
        kept: list[tuple[int, ProbePlan]] = []
        for process, number in list(self._target_of.items()):
            plan = self._kept(process, old, planner)
            if plan is None:
                left.append(number)
                self._let_go(process)
                self._looks.pop(process, None)
            else:
                kept.append((number, plan))
                self._plan_of[process] = plan
        self._missed.clear()
        self._ahead.clear()
        self._ask_s = 0.0
        self._anew = True
        self._watcher.only = pids_alone(self.config.targets)  # others are news at the next look
        self._pending = dict.fromkeys(self._watcher.select_again(again=any(map(changes, self.config.targets))))
        return left, kept

    def _kept(self, process: Process, old: Config, planner: Planner) -> ProbePlan | None:
        """The new plan of a measured process; None if it is no longer to be measured, or must be measured anew as another target."""
        before, now = selector_of(old, process, self._named.runs), self._selector(process)
        if self.config.targets and now is None:
            return None
        if said_of(before) != said_of(now):
            return None
        try:
            plan = self.planner.plan_process(process, named=now is not None)
            if self.planner.catalog is not planner.catalog:
                earlier = planner.plan_process(process, named=before is not None)
                known = {probe.function: probe.meaning for probe in earlier.probes}
                if any(known.get(probe.function, probe.meaning) != probe.meaning for probe in plan.probes):
                    return None
        except AgentError:
            return ProbePlan(())  # it is about to end
        return plan if plan.probes else None

    def poll(self) -> Changes:
        """What happened since last time: processes came, ended, or loaded further libraries.

        A host full of processes is looked at in several calls (`Changes.more`); the newest first, since a server that was
        started again waits for its probes.
        """
        self._news.clear()
        self._arrived.add(self._take_told())
        names = [selector.binary for selector in self.config.targets if selector.binary is not None]
        renamed = self._named.look(names)
        left, kept = self._take_over()
        left += self._take_debug_files()
        now = time.monotonic()
        new, ended = self._watcher.poll(self.held)
        self._pending = dict.fromkeys([*new, *self._pending])
        if renamed:  # perhaps to the file of a process that runs already
            self._ask_s = 0.0
            self._pending |= dict.fromkeys(self._watcher.select_again(again=any(map(changes, self.config.targets))))
        # Of a thousand processes that are measured none is pending, most of the time.
        self._pending = {
            process: None for process in self._pending if process not in self._target_of and process not in self._over
        }
        self._over = {process for process in self._over if procfs.alive(process)}
        gone = [number for process in ended if (number := self._let_go(process)) is not None]
        for process in ended:
            self._looks.pop(process, None)
            self._pending.pop(process, None)
            self._loading.forget(process)
            self._missed.forget(process)
        placed = self._place_some()
        found = [each.found for each in placed if each.found is not None]
        grown = [each.grown for each in placed if each.grown is not None]
        found += self._look_at_pending(SLICE_S / 8 if self._arrived else SLICE_S)
        for process, look in list(self._looks.items()):
            if now < look.next_s:
                continue
            size = procfs.pages(process.pid)
            files = look.files if look.still(size) else files_of(process)
            changed = files != look.files
            last_s = FIRST_LOOK_S if process in self.waiting else LAST_LOOK_S
            self._looks[process] = look.again(now, files, size, last_s)
            missed = self.unmeasured.get(process)
            if not changed and (missed is None or missed.kind != "no_answer"):
                continue
            if process not in self._target_of:
                again = self._try(process, now, self._selector(process))
                found += [again] if again is not None else []
            elif (plan := self._planned_again(process)) is not None:
                grown.append((self._target_of[process], plan))
        anew, self._anew = self._anew, False
        ahead = self._next_expectation()
        return Changes(found, gone, grown, placed, left, kept, self.more or bool(ahead), ahead, anew)

    def _take_told(self) -> list[Arrival]:
        arrivals: list[Arrival] = []
        while True:
            try:
                came, ended = self._told.get_nowait()
            except queue.Empty:
                return arrivals
            arrivals += came
            for process in [process for process, number in self._target_of.items() if number in ended]:
                self._looks.pop(process, None)
                number = self._let_go(process)
                if number is not None and ended[number]:
                    self._over.add(process)  # /proc may still show it for a moment

    def _place_some(self) -> list[Placed]:
        """Name processes that the kernel has met, for at most about SLICE_S."""
        placed = []
        until = time.monotonic() + SLICE_S
        while self._arrived and time.monotonic() < until:
            placed.append(self._place(*self._arrived.next()))
        return placed

    def _place(self, group: Sequence[Arrival], again: bool) -> Placed:
        """A process that came by itself: a new one, or one that is measured already in another file. `again`: it has executed a program since."""
        if again or group[0].ended:
            return Placed(group, self._ended_before_it_was_named(group))
        process = procfs.look(group[0].pid)
        if process is None or not is_of(group[0], process):
            return Placed(group, self._ended_before_it_was_named(group))
        if process in self._target_of and self._plans(
            process, group
        ):  # it was looked at while its arrival was on its way
            target = self._target_of[process]
            return Placed(group, grown=(target, self._plan_of[process]), target=target)
        mapped = mapped_of(process)
        unloaded = self._unloaded(mapped, group)
        if process in self._target_of:
            plan = self._planned_again(process)
            if unloaded.probes:
                plan = ProbePlan((*plan.probes, *unloaded.probes), plan.skipped) if plan is not None else unloaded
            target = self._target_of[process]
            return Placed(group, grown=(target, plan) if plan is not None else None, target=target)
        selector = self._selector(process)
        if not self._is_meant(process, selector):
            return Placed(group)
        self._pending.pop(process, None)
        found = self._try(process, time.monotonic(), selector, mapped=mapped)
        if found is None and not files_of(process):  # it is about to end
            return Placed(group, self._ended_before_it_was_named(group))
        if found is None and unloaded.probes:
            found = self._remember(self._found_unloaded(process, unloaded))
        return Placed(group, found)

    def _plans(self, process: Process, group: Sequence[Arrival]) -> bool:
        """Whether a measured process's plan has everything that it came with."""
        planned = {(p.identity, p.build_id, p.place) for p in self._plan_of[process].probes}
        came = {(p.identity, p.build_id, p.place) for arrival in group for p in arrival.plan.probes}
        return came <= planned and all(identity is not None for identity, *_ in came)

    @staticmethod
    def _unloaded(mapped: Sequence[MappedFile], group: Sequence[Arrival]) -> ProbePlan:
        """What the kernel has counted of a process in libraries that it does not map any more; `mapped`: what it has."""
        inodes = {file.inode for file in mapped}
        every = [probe for arrival in group for probe in arrival.plan.probes]
        return ProbePlan(tuple(each for each in every if each.identity is not None and each.identity[1] not in inodes))

    def _found_unloaded(self, process: Process, plan: ProbePlan) -> Found:
        """A process with nothing to measure but what it has called in such libraries, and may call again."""
        try:
            build_id = self.planner.files.examine(process.executable_path, process.name).report.build_id
        except AgentError:
            build_id = None
        return Found(process, self._target(process, build_id, self._selector(process)), plan, came=True)

    def _planned_again(self, process: Process) -> ProbePlan | None:
        try:
            plan = self._plan_of[process] = self._plan(process)
        except AgentError as error:
            _logger.debug("%s", error.message)
            return None
        return plan

    def _ended_before_it_was_named(self, group: Sequence[Arrival]) -> Found | None:
        """A process that is gone, as the kernel knew it, if it was to be measured."""
        arrival = group[0]
        probe = arrival.plan.probes[0]
        name = self.planner.program_name(probe.file) or arrival.comm
        process = Process(
            pid=arrival.pid,
            start_time_ticks=ticks(arrival.start_ns),
            start_time_unix_nano=procfs.start_time_unix_nano(0) + arrival.start_ns,
            name=name,
            executable=procfs.inside(probe.file) if name != arrival.comm else "",
            root=f"{procfs.PROC}/{arrival.pid}/root",
            comm=arrival.comm,
        )
        selector = self._selector_of_ended(process, arrival)
        if self.config.targets and selector is None:
            return None
        plan = ProbePlan(tuple(probe for each in group for probe in each.plan.probes))
        return Found(process, self._target(process, probe.build_id, selector), plan, came=True)

    def _selector_of_ended(self, process: Process, arrival: Arrival) -> TargetSelector | None:
        """The first selector that means a process which cannot be looked at any more."""
        for selector in self.config.targets:
            if of_running_only(selector):
                continue
            if selector.name is not None and fnmatch.fnmatchcase(process.name, selector.name):
                return selector
            if selector.binary is not None and any(
                self._is_file_of(probe, selector.binary) for probe in arrival.plan.probes
            ):
                return selector
        return None

    def _is_file_of(self, probe: Probe, binary: str) -> bool:
        """Whether a probe is in the file that the user named."""
        if probe.identity is not None and self._named.had(binary, *probe.identity):
            return True
        return procfs.inside(probe.file) == binary

    def _try(
        self,
        process: Process,
        now: float,
        selector: TargetSelector | None,
        files: Sequence[tuple[str, MappedFile]] | None = None,
        mapped: Sequence[MappedFile] | None = None,
    ) -> Found | None:
        """Plan a process that may have nothing to measure (yet); it is looked at again when it maps other files. `selector`: the one that means it;
        `files`: its `paths`, or `mapped`, what it maps, if that was just looked at.
        """
        if mapped is None:
            mapped = mapped_of(process) if files is None else [file for _, file in files]
        if process not in self._looks:
            self._looks[process] = Look(identities(mapped), now + FIRST_LOOK_S, FIRST_LOOK_S)
            self._ahead.add_root(process.root)
        try:
            return self._remember(self.find(process, selector, paths(process, mapped) if files is None else files))
        except NothingYetError as error:
            self._wait_for(process, error)
            return None
        except AgentError as error:
            self._missed.note(process, error, named=selector is not None and selector.names_program)
            return None
