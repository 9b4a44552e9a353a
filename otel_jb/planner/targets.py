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
from collections import Counter, deque
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.host import procfs
from otel_jb.host.identity import make_target
from otel_jb.host.procfs import MappedFile, Process
from otel_jb.host.watch import Watcher
from otel_jb.model.arrival import Arrival
from otel_jb.model.errors import AgentError, NamesAskedForError, NoFunctionError, NothingYetError
from otel_jb.model.plan import Probe, ProbePlan
from otel_jb.model.stream import Target
from otel_jb.planner.expected import Ahead, Expectation
from otel_jb.planner.loading import Loading
from otel_jb.planner.named_files import NamedFiles
from otel_jb.planner.planner import Planner, no_function, nothing_yet, only_plain, paths, worth_reading
from otel_jb.planner.selection import changes, means, of_running_only
from otel_jb.planner.servers import Unmeasured, is_server, loads_plugins, unmeasured
from otel_jb.sandbox.limits import MAX_FILES

if TYPE_CHECKING:
    from otel_jb.catalog import Catalog
    from otel_jb.config.model import Config, TargetSelector
    from otel_jb.planner.files import Examined
    from otel_jb.sandbox.client import Inspector

_logger = logging.getLogger(__name__)

FIRST_LOOK_S = 1.0  #: after which the files that a process maps are looked at again
LAST_LOOK_S = 16.0
MOST_UNREAD = 7  #: looks at a process whose memory has not grown, before its files are read again
LOADING_S = 0.002  #: between looks at a process that loads its libraries
MOST_AHEAD = (
    2  #: processes for which libraries are probed ahead: each of their links makes the others' calls more expensive
)
SLICE_S = 0.25  #: how long new processes are looked at before what was found is handed on

_AT_ONCE = 16  #: processes whose files are read ahead together


@dataclass(frozen=True, slots=True)
class Found:
    """A process that is to be measured, and how."""

    process: Process
    target: Target
    plan: ProbePlan
    alone: bool = False  #: it was named by its PID
    came: bool = False  #: the kernel has counted for it already, so it is reported even if it has ended

    def still_runs(self) -> bool:
        """Whether it is still this very process."""
        return procfs.alive(self.process)


class Discovery:
    """Finds processes and has them planned."""

    def __init__(self, config: Config, inspector: Inspector, catalog: Catalog | None = None) -> None:
        """Loads the catalogue, the user's own profiles first. Raises ConfigError."""
        self.config = config
        self.planner = Planner(config, inspector, catalog)
        self._inspector = inspector
        self._numbers = itertools.count(1)
        self._watcher = Watcher(self._selected, again=any(map(changes, config.targets)))
        self._named = NamedFiles()
        self._anew = False  # another configuration selects
        self._ahead = Ahead()
        self._ask_s = 0.0  # when it is asked next whether selected programs load libraries
        self._looks: dict[Process, _Look] = {}
        self._loading = Loading()
        self._target_of: dict[Process, int] = {}
        self._plan_of: dict[Process, ProbePlan] = {}  # of these
        self.held: Collection[int] = ()  #: PIDs of which `tell` hears when they end or execute another program
        self.unmeasured: dict[Process, Unmeasured] = {}  #: processes that run, should be measured and cannot be
        self._pending: dict[Process, None] = {}  # came and were not looked at yet; in the order in which they will be
        self._arrived: deque[list[Arrival]] = deque()  # processes that the kernel met and that nobody has named yet
        self._images: Counter[Hashable] = Counter()  # of these, how often each process came with the same file
        self._told: queue.SimpleQueue[tuple[Sequence[Arrival], Mapping[int, bool]]] = queue.SimpleQueue()
        self._news = threading.Event()
        self._over: set[Process] = set()  # processes that the kernel saw end
        self._answered: queue.SimpleQueue[str] = queue.SimpleQueue()  # builds whose debug files came, or will not
        self._wanted: tuple[Config, Catalog] | None = None  # a configuration that is to be taken over
        self.waiting: dict[
            Process, str
        ] = {}  #: named by their PID, with nothing to measure until they load a library; what to say of each
        # Of these, those whose debug files were asked for; why that was in vain.
        self._nameless: dict[Process, AgentError | None] = {}

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
        """Whether a process without a jitter buffer may load a library that has one. If it has a library that a profile knows, that one has
        lost its names, and waiting would be in vain; the same holds for a media server that has its jitter buffer in its own program.
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
        """The first selector that means this process."""
        return _selector_in(self.config, process, self._named.runs)

    def _selected(self, process: Process) -> bool:
        return self._is_meant(process, self._selector(process))

    def _is_meant(self, process: Process, selector: TargetSelector | None) -> bool:
        """Whether a process is to be measured; `selector`: the one that means it."""
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
                files = _files(process)  # before the plan: what is loaded meanwhile is news at the next look
                try:
                    found.append(self._remember(self.find(process, chosen)))
                except NothingYetError as error:
                    self._wait_for(process, error)
                self._looks[process] = _Look(files, time.monotonic() + FIRST_LOOK_S, FIRST_LOOK_S)
            else:
                self._pending[process] = None
        # Programs that a profile is named after are the likeliest to be measured.
        likely = tuple(profile.profile for profile in self.planner.catalog.profiles)
        self._pending = dict.fromkeys(sorted(self._pending, key=lambda each: not each.name.startswith(likely)))
        return found + self._look_at_pending(SLICE_S, young=False)

    def _wait_for(self, process: Process, error: NothingYetError) -> None:
        """Say once that a process that was named by its PID has nothing to measure until it loads a library."""
        if process not in self.waiting:
            about = {"pid": process.pid, "target": process.name}
            if isinstance(error, NamesAskedForError):
                self._nameless[process] = None
                _logger.info("%s; waiting for it", error.message, extra=about)
            else:
                _logger.info("%s; waiting until it loads a library that has one", error.message, extra=about)
            if len(self.waiting) < MOST_AHEAD:
                self._ahead.add_process(self.planner, process)
        self.waiting[process] = error.message

    def _next_expectation(self) -> list[Expectation]:
        """The next library that is to be probed before processes load it."""
        now = time.monotonic()
        if not self._ahead.begun and now >= self._ask_s and self._ahead.may_begin(busy=self.more):
            self._ask_s = now + LAST_LOOK_S  # a program that loads nothing hardly becomes one that does
            if self._may_load():
                self._ahead.begin()
        found = self._ahead.next(self.planner, named=bool(self.config.targets))
        return [found] if found is not None else []

    def _may_load(self) -> bool:
        """Whether processes are selected that are not known yet, and that may have a library which a profile knows."""
        if not self.config.targets:
            return True
        return any(
            selector.pid is None and (selector.binary is None or self._may_load_any(selector.binary))
            for selector in self.config.targets
        )

    def _may_load_any(self, binary: str) -> bool:
        """Whether the program of this name loads libraries, as far as is known of it."""
        try:
            return not self._loads_nothing_else(self.planner.files.examine(binary, Path(binary).name))
        except AgentError:
            return True

    @property
    def more(self) -> bool:
        """Whether processes wait to be looked at."""
        return bool(self._pending or self._arrived)

    def _look_at_pending(self, seconds: float, *, young: bool = True) -> list[Found]:
        """Look at processes that came, for about so long at most; `young`: they have perhaps not loaded their libraries yet."""
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
        """The next processes to look at, each with its `paths`: as many as have one request's worth of files that are not known, which are
        read. That may take long, and then what they map has to be looked at again: None.
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
        """Whether processes of this file could be measured at all."""
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
        """Processes that were looked at, by state and reason, but for those that are measured. For any thread."""
        found: dict[tuple[str, str], int] = {}
        missed = list(self.unmeasured.items())
        for _, each in missed:
            found["unmeasurable", each.kind] = found.get(("unmeasurable", each.kind), 0) + 1
        known = {process for process, _ in missed}.union(list(self._target_of))
        found["ignored", "nothing_to_measure"] = sum(process not in known for process in list(self._looks))
        return found

    def _remember(self, found: Found) -> Found:
        self.unmeasured.pop(found.process, None)
        self.waiting.pop(found.process, None)
        self._target_of[found.process] = found.target.id
        self._plan_of[found.process] = found.plan
        return found

    def forget(self, process: Process) -> None:
        """It could not be attached after all; it is planned anew when it maps other files."""
        self._let_go(process)

    def _let_go(self, process: Process) -> int | None:
        """It is measured no more; its target id, if it had one."""
        self._plan_of.pop(process, None)
        return self._target_of.pop(process, None)

    def plans_again(self) -> list[tuple[int, ProbePlan]]:
        """(target id, plan) of the processes that are measured, planned anew: what they cost now, nothing is attached by it."""
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
        """Processes have come, and targets have ended (True: the process too; False: it executes another program); from any thread."""
        self._told.put((arrivals, ended))
        self._news.set()

    def wait(self, seconds: float) -> None:
        """Wait until there is news, or until the time-out."""
        self._news.wait(seconds)

    def stop(self) -> None:
        """End `wait`."""
        self._news.set()

    def reconfigure(self, config: Config, catalog: Catalog) -> None:
        """Select and plan by another configuration from the next `poll` on; from any thread."""
        self._wanted = (config, catalog)
        self._news.set()

    def debug_file_came(self, build_id: str) -> None:
        """A debug file that was asked for is there, or will never be; from any thread."""
        self._answered.put(build_id)
        self._news.set()

    def _take_debug_files(self) -> list[int]:
        """Look again at processes of files whose debug files came. Targets that are to be let go, since they are measured otherwise now."""
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
                self.unmeasured.pop(process, None)
                self.waiting.pop(process, None)
                self._pending[process] = None
        return left

    def in_vain(self) -> AgentError | None:
        """Why nothing is measured and nothing will be, where every process was named by its PID and debug files that were asked for did not help."""
        if self._target_of or self.waiting or self.more or any(each.pid is None for each in self.config.targets):
            return None
        return next((error for error in self._nameless.values() if error is not None), None)

    def _meant(self, process: Process) -> dict[tuple[int, str], tuple[object, ...]]:
        """What a process's plan measures, by place."""
        try:
            return {probe.place: _meaning(probe) for probe in self._plan(process).probes}
        except AgentError:
            return {}  # it is about to end

    def _take_over(self) -> tuple[list[int], list[tuple[int, ProbePlan]]]:
        """What a new configuration changes: targets that are to be let go, and the others' new plans. Others come as new processes do."""
        wanted, self._wanted = self._wanted, None
        if wanted is None:
            return [], []
        old, planner = self.config, self.planner
        self.config = wanted[0]
        self.planner = planner.with_config(*wanted)
        if _selection(old) == _selection(self.config) and self.planner.catalog is planner.catalog:
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
        self.unmeasured.clear()
        self.waiting.clear()
        self._nameless.clear()
        self._ahead.clear()
        self._ask_s = 0.0
        self._anew = True
        self._pending = dict.fromkeys(self._watcher.select_again(again=any(map(changes, self.config.targets))))
        return left, kept

    def _kept(self, process: Process, old: Config, planner: Planner) -> ProbePlan | None:
        """The new plan of a process that is measured; None where it is to be measured no more, or anew as another."""
        before, now = _selector_in(old, process, self._named.runs), self._selector(process)
        if self.config.targets and now is None:
            return None
        if _said_of(before) != _said_of(now):
            return None
        try:
            plan = self.planner.plan_process(process, named=now is not None)
            if self.planner.catalog is not planner.catalog:
                earlier = planner.plan_process(process, named=before is not None)
                known = {probe.function: _meaning(probe) for probe in earlier.probes}
                if any(known.get(probe.function, _meaning(probe)) != _meaning(probe) for probe in plan.probes):
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
        for group in _by_process(self._take_told()):
            self._arrived.append(group)
            self._images[_image(group[0])] += 1
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
            self.unmeasured.pop(process, None)
            self.waiting.pop(process, None)
            self._nameless.pop(process, None)
        placed = self._place_some()
        found = [each.found for each in placed if each.found is not None]
        grown = [each.grown for each in placed if each.grown is not None]
        found += self._look_at_pending(SLICE_S / 8 if self._arrived else SLICE_S)
        for process, look in list(self._looks.items()):
            if now < look.next_s:
                continue
            size = procfs.pages(process.pid)
            files = look.files if look.still(size) else _files(process)
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
            placed.append(self._place(self._arrived.popleft()))
        return placed

    def _place(self, group: Sequence[Arrival]) -> Placed:
        """A process that came by itself: a new one, or one that is measured already in another file."""
        image = _image(group[0])
        self._images[image] -= 1
        again = self._images[image]  # it has executed a program since, perhaps the same one
        if not again:
            del self._images[image]
        if again or group[0].ended:
            return Placed(group, self._ended_before_it_was_named(group))
        process = procfs.look(group[0].pid)
        if process is None or not _is_of(group[0], process):
            return Placed(group, self._ended_before_it_was_named(group))
        if process in self._target_of and self._plans(
            process, group
        ):  # it was looked at while its arrival was on its way
            target = self._target_of[process]
            return Placed(group, grown=(target, self._plan_of[process]), target=target)
        mapped = _mapped(process)
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
        if found is None and not _files(process):  # it is about to end
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
            start_time_ticks=_ticks(arrival.start_ns),
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
            mapped = _mapped(process) if files is None else [file for _, file in files]
        if process not in self._looks:
            self._looks[process] = _Look(_identities(mapped), now + FIRST_LOOK_S, FIRST_LOOK_S)
            self._ahead.add_root(process.root)
        try:
            return self._remember(self.find(process, selector, paths(process, mapped) if files is None else files))
        except NothingYetError as error:
            self._wait_for(process, error)
            return None
        except AgentError as error:
            self._note_unmeasured(process, error, named=selector is not None and selector.names_program)
            if process in self._nameless and isinstance(error, NoFunctionError):
                self._nameless[process] = error
            return None

    def _note_unmeasured(self, process: Process, error: AgentError, *, named: bool) -> None:
        """Log that a process is not measured: as a warning if users would expect it to be, once per program."""
        missed = unmeasured(process, error, named=named)
        level = logging.DEBUG
        if missed is not None:
            known = {(each.executable or each.name) for each in self.unmeasured.values()}
            level = logging.DEBUG if not named and (missed.executable or missed.name) in known else logging.WARNING
            level = logging.DEBUG if process in self.unmeasured else level  # it was said
            self.unmeasured[process] = missed
        _logger.log(
            level,
            "%s (process %d) is not measured: %s%s",
            process.name,
            process.pid,
            error.message,
            f"; for a remedy, run: otel-jb doctor {process.pid}" if missed is not None else "",
            extra={"pid": process.pid, "target": process.name},
        )


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a process that the kernel had met: nothing of these, and it is not wanted."""

    arrivals: Sequence[Arrival]
    found: Found | None = None
    grown: tuple[int, ProbePlan] | None = None
    target: int | None = None  #: it is measured already


@dataclass(frozen=True, slots=True)
class Changes:
    """What a poll found."""

    found: list[Found]
    ended: list[int]  #: target ids
    grown: list[tuple[int, ProbePlan]]  #: target id and its plan with what it loaded since
    placed: list[Placed]  #: what the kernel had met
    left: list[int]  #: target ids that a new configuration does not select, or describes otherwise
    kept: list[tuple[int, ProbePlan]]  #: the other targets' plans by a new configuration
    more: bool = False  #: processes wait to be looked at: call again soon
    expected: Sequence[Expectation] = ()  #: what processes may load from now on
    anew: bool = False  #: a new configuration selects: nothing waits any more for what the old one expected


@dataclass(frozen=True, slots=True)
class _Look:
    """When a process's mapped files are looked at again; a young process loads libraries, an old one hardly."""

    files: frozenset[tuple[str, int]]
    next_s: float
    step_s: float
    size: int | None = None  #: of its memory then, in pages
    unread: int = 0  #: looks since its files were read

    def still(self, size: int | None) -> bool:
        """Whether it can have mapped nothing since: its memory is as large as it was. Now and then that is not trusted."""
        return size is not None and size == self.size and self.unread < MOST_UNREAD

    def again(self, now: float, files: frozenset[tuple[str, int]], size: int | None, last_s: float) -> _Look:
        """The look after this one: soon where something changed, else ever later, at most after `last_s`."""
        step = FIRST_LOOK_S if files != self.files else min(last_s, self.step_s * 2)
        return _Look(files, now + step, step, size, self.unread + 1 if self.still(size) else 0)


def _selector_in(config: Config, process: Process, runs: Callable[[Process, str], bool]) -> TargetSelector | None:
    """The first selector that means this process."""
    return next((selector for selector in config.targets if means(selector, process, runs)), None)


def _selection(config: Config) -> tuple[object, ...]:
    """What decides which functions of which processes are measured."""
    return (
        config.targets,
        config.functions,
        config.profiles,
        config.detail,
        config.max_probes,
        config.pairs,
        config.usdt,
    )


def _said_of(selector: TargetSelector | None) -> tuple[object, ...]:
    return (
        (selector.service_name, selector.attributes, selector.pid is None) if selector is not None else (None, {}, True)
    )


def _meaning(probe: Probe) -> tuple[object, ...]:
    """What a probe's values mean; the same function under another profile may count something else."""
    means = (probe.role, probe.primary, probe.profile, probe.read, probe.drop_reasons, probe.adds, probe.error_return)
    return (*means, probe.has_packets, probe.has_bytes, probe.has_depth, probe.has_duplicates, probe.has_underruns)


def _by_process(arrivals: Sequence[Arrival]) -> list[list[Arrival]]:
    """The arrivals of each process together. What comes again with the same file has executed a program meanwhile, and is another one."""
    groups: list[list[Arrival]] = []
    latest: dict[Hashable, tuple[list[Arrival], set[Hashable]]] = {}
    for arrival in arrivals:
        process, image = (arrival.pid, arrival.start_ns, arrival.ended), _image(arrival)
        if process not in latest or image in latest[process][1]:
            latest[process] = ([], set())
            groups.append(latest[process][0])
        latest[process][0].append(arrival)
        latest[process][1].add(image)
    return groups


def _image(arrival: Arrival) -> Hashable:
    """What two arrivals have in common only if the process has executed a program between them."""
    probe = arrival.plan.probes[0]
    return (arrival.pid, arrival.start_ns, probe.identity or probe.file, probe.place)


def _is_of(arrival: Arrival, process: Process) -> bool:
    """Whether this very process came."""
    return not arrival.start_ns or _ticks(arrival.start_ns) == process.start_time_ticks


def _ticks(start_ns: int) -> int:
    return start_ns * os.sysconf("SC_CLK_TCK") // 1_000_000_000


def _files(process: Process) -> frozenset[tuple[str, int]]:
    """The files that the process has code of, by device and inode."""
    return _identities(_mapped(process))


def _mapped(process: Process) -> list[MappedFile]:
    """The files that the process has code of; none where it has ended, or cannot be looked at."""
    try:
        return procfs.mapped_files(process.pid)
    except AgentError:
        return []


def _identities(files: Sequence[MappedFile]) -> frozenset[tuple[str, int]]:
    return frozenset((file.device, file.inode) for file in files)
