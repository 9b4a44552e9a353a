# SPDX-License-Identifier: Apache-2.0
"""Probed files: one set of links for all processes of a file, or one for each of the few that are selected by PID."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from otel_jb.host import procfs
from otel_jb.model.errors import AttachError
from otel_jb.model.plan import EndStrategy, Probe
from otel_jb.model.reads import Op
from otel_jb.model.text import printable
from otel_jb.probes import abi
from otel_jb.probes.attach import lease, verify
from otel_jb.probes.attach.attacher import Attacher
from otel_jb.probes.attach.blocks import MORE_ROOM, NO_ROOM
from otel_jb.probes.attach.opening import open_analysed
from otel_jb.probes.attach.table import Table
from otel_jb.probes.attach.verify import UnverifiedError
from otel_jb.probes.read.maps import WordArray, wait_for_grace
from otel_jb.probes.read.reader import Reader
from otel_jb.probes.series import Function, Links, ProbeSet

MOST_BY_PID = 2  #: maximum processes of a file with separate links; each makes the others' calls more expensive
DRAIN_S = 0.1  #: how long a detached probe's calls in flight may still end
IDLE_SETS = 64  #: maximum number of files that stay linked for their next process though nobody runs them
LINGER_S = 5.0  #: how long a process that executes another program keeps its links
EVERYONE = 0  #: in the place of a PID
_WRITTEN = "its file was written to in place while processes had it"

_logger = logging.getLogger(__name__)

Configure = Callable[[ProbeSet, int], None]


class Files:
    """Makes sets of probes and links them. Not thread-safe, as the backend that it serves."""

    def __init__(
        self,
        table: Table,
        attacher: Attacher,
        reader: Reader,
        series: WordArray,
        words: int,
        configure: Configure,
        release: Configure,
    ) -> None:
        """`configure` is called for a block before a process can have it, `release` for one that no process will have."""
        self._table, self._attacher, self._reader = table, attacher, reader
        self._series, self._words = series, words
        self._configure, self._release = configure, release
        self._by_key: dict[tuple[object, ...], ProbeSet] = {}
        self.by_number: dict[int, ProbeSet] = {}
        self._uncounted: Counter[str] = Counter()  # calls that found no room in sets that are dropped, by file

    # -- sets -----------------------------------------------------------------------------------------------

    def sets(self, probes: Sequence[Probe], pid: int, *, nests: bool) -> list[tuple[ProbeSet, list[Probe]]]:
        """The sets that these probes belong to, made where they are not known, each with its probes in the order of its functions.

        `pid`: a process that has the file, or will.
        Raises AttachError, and what opening a file raises.
        """
        known = {id(each.functions[0].probe): each for each in self.by_number.values()}
        groups: dict[tuple[str, bool], list[Probe]] = {}
        found: list[tuple[ProbeSet, list[Probe]]] = []
        rest = list(probes)
        while rest:
            of_set = known.get(id(rest[0]))  # of a process that is perhaps gone, and its paths with it
            if of_set is None:
                groups.setdefault((rest[0].file, self._attacher.is_private(rest[0])), []).append(rest.pop(0))
            else:
                found.append((of_set, rest[: len(of_set.functions)]))
                del rest[: len(of_set.functions)]
        for (_, private), group in groups.items():
            shared, own = self._shared(group, nests=nests)
            found += shared
            if own:
                found.append((self._set(own, pid, nests=nests, private=private), own))
        return found

    def _shared(
        self, probes: Sequence[Probe], *, nests: bool
    ) -> tuple[list[tuple[ProbeSet, list[Probe]]], list[Probe]]:
        """The sets that measure these functions already, if otherwise than was planned for this process, and the probes that none has.

        They are linked for all processes of the file, or ahead of one that loads it. Another set would count none of the calls that the
        process made before it was looked at.
        """
        left = {probe.place: probe for probe in probes}
        found = []
        for each in self.by_number.values():
            if not (each.everyone or each.awaited) or each.key[:4] != (
                *(probes[0].identity or ()),
                probes[0].build_id,
                nests,
            ):
                continue
            own = [left.get(function.probe.place) for function in each.functions]
            if all(probe and _mean(probe) == _mean(f.probe) for probe, f in zip(own, each.functions, strict=True)):
                group = [left.pop(function.probe.place) for function in each.functions]
                found.append((each, list(map(_as_linked, each.functions, group))))
        return found, list(left.values())

    def _set(self, probes: Sequence[Probe], pid: int, *, nests: bool, private: bool) -> ProbeSet:
        identity = probes[0].identity
        alike = tuple(replace(probe, file="", cost_ns=0.0, function="", names=(), identity=None) for probe in probes)
        if identity is not None:  # of a thousand processes of a file only the first has it opened
            known = self._by_key.get((*identity, probes[0].build_id, nests, alike))
            if known is not None:
                return known
        file = open_analysed(probes[0], pid)
        try:
            status = os.fstat(file)
            key = (status.st_dev, status.st_ino, probes[0].build_id, nests, alike)
            known = self._by_key.get(key)
            if known is not None:
                os.close(file)
                return known
            if any(each.key[:2] == key[:2] and _given_up(each) for each in self.by_number.values()):
                # A breakpoint would also go into the processes that have what the file was.
                raise UnverifiedError(f"{_WRITTEN}", "Restart those processes.")
            number = self._table.new_set(len(probes))
        except BaseException:
            os.close(file)
            raise
        functions = [Function(probe, at, _closes(probe, probes)) for at, probe in enumerate(probes)]
        made = ProbeSet(number, key, file, f"/proc/{os.getpid()}/fd/{file}", functions, nests, private)
        made.changed = _changed(status)
        self._by_key[key] = self.by_number[number] = made
        return made

    def drop(self, probes: ProbeSet) -> None:
        """Unlink a set that has no members."""
        self._unlink([(function, pid) for function in probes.functions for pid in list(function.links)], [])
        self._uncounted[probes.functions[0].probe.file] += self._table.no_room(probes.number)
        for base in self._table.drop_set(probes.number):
            self._release(probes, base)
        del self._by_key[probes.key]
        del self.by_number[probes.number]
        os.close(probes.file)

    def drop_if_idle(self, probes: ProbeSet) -> None:
        """Drop a set without members, unless further processes may come by themselves."""
        # Without a lease the file may be another by the time that the next process runs it.
        linked = any(function.links for function in probes.functions) and (probes.leased or not probes.everyone)
        used = probes.members or linked or probes.number not in self.by_number or self._table.taken(probes.number)
        if not used:
            self.drop(probes)

    def drop_idle(self) -> None:
        """Drop every set without members, those too that wait for processes to come."""
        for each in list(self.by_number.values()):
            if not each.members and not self._table.taken(each.number):
                self.drop(each)

    def tidy(self) -> list[tuple[ProbeSet, UnverifiedError]]:
        """Drop sets whose file is gone and not running, and the oldest sets if too many wait for a process.

        Returns the sets whose probes were taken out because their file was written to while processes have it, with the reason.
        """
        idle = [e for e in self.by_number.values() if not e.members and e.everyone and not self._table.taken(e.number)]
        idle.sort(key=lambda each: each.used_s)
        now = time.monotonic()
        for each in list(self.by_number.values()):
            self._forget_awaited(each)
            wanted = {*each.members, *each.awaited, EVERYONE}
            left = [(f, pid) for f in each.functions for pid in f.links if pid not in wanted]
            if left and now - each.used_s > LINGER_S:
                self._unlink(left, [])
                self.drop_if_idle(each)
        given_up = []
        for each in list(self.by_number.values()):
            reason = self._give_way(each) if each.leased and lease.broken(each.file) else self._look_again(each)
            if reason is not None:
                given_up.append((each, reason))
        idle = [each for each in idle if each.number in self.by_number]
        for at, each in enumerate(idle):
            if (
                not each.leased
                or at < len(idle) - IDLE_SETS
                or (now - each.used_s > 60 and os.fstat(each.file).st_nlink == 0)
            ):
                self.drop(each)
        return given_up

    @staticmethod
    def _forget_awaited(probes: ProbeSet) -> None:
        """Wait no more for processes that have ended."""
        for pid, start in list(probes.awaited.items()):
            status = procfs.read_stat(pid)
            if status is None or status.ended or status.start_time_ticks != start:
                del probes.awaited[pid]

    def _give_way(self, probes: ProbeSet) -> UnverifiedError | None:
        """Somebody waits to write to the file in place: take its probes out, and let them."""
        _logger.warning("%s is about to be written to in place: its probes are taken out", _name_of(probes))
        if not probes.members and not self._table.taken(probes.number):
            self.drop(probes)
            return None
        return self._give_up(probes, UnverifiedError(f"{_WRITTEN}; its probes were taken out before"))

    def _look_again(self, probes: ProbeSet) -> UnverifiedError | None:
        """Take the probes out of a file that was written to without breaking the lease."""
        changed = _changed(os.fstat(probes.file))
        if changed == probes.changed:
            return None
        probes.changed = changed
        try:
            verify.in_file(probes.file, (function.probe for function in probes.functions))
        except UnverifiedError:
            return self._give_up(probes, UnverifiedError(f"{_WRITTEN}; what was counted since may be wrong"))
        return None  # its name, its owner or something else about it was changed

    def _give_up(self, probes: ProbeSet, reason: UnverifiedError) -> UnverifiedError:
        for function in probes.functions:
            self.shed(function, probes)
            function.refused = reason
        if probes.leased:
            lease.release(probes.file)
            probes.leased = False
        return reason

    # -- blocks ---------------------------------------------------------------------------------------------

    def top_up(self) -> None:
        """Grant blocks to the sets that processes come to by themselves."""
        for probes in self.by_number.values():
            self._grant(probes, self._table.wanting(probes.number))

    def _grant(self, probes: ProbeSet, count: int) -> bool:
        for _ in range(count):
            base = self._table.grant(probes.number)
            if base is None:
                return False
            self._configure(probes, base)
            self._table.give(probes.number, base)
        return True

    def _take_back(self) -> None:
        """Free what other sets have ready."""
        for number, bases in self._table.take_back():
            for base in bases:
                self._release(self.by_number[number], base)

    def claim(self, probes: ProbeSet, pid: int, *, alone: bool) -> int:
        """The first series of a process, which has some from now on; `alone` as in `join`. Raises AttachError."""
        uid = None if alone else procfs.user_id(pid)
        if uid is not None and not self._table.room_in_shares(probes.number, uid):
            raise AttachError(f"user {uid}, or the file, has used up its share of the series", MORE_ROOM)
        for _ in range(3):  # a process that comes by itself may take what was granted for this one
            base = self._table.claim(probes.number, pid, uid)
            if base is not None:
                return base
            self._table.forget(probes.number, pid)  # it was not measured until now
            if not self._grant(probes, 1):
                self._take_back()
                self._grant(probes, 1)
        raise AttachError(NO_ROOM, MORE_ROOM)

    def room(self, wanted: int) -> int:
        """How many of the wanted series there is room for."""
        if self._table.blocks.left < wanted:
            self._take_back()
        return self._table.blocks.left

    def no_room(self) -> dict[str, int]:
        """Calls so far of processes that found no room, by file."""
        found = {file: calls for file, calls in self._uncounted.items() if calls}
        for number, probes in self.by_number.items():
            if calls := self._table.no_room(number):  # hardly ever
                file = probes.functions[0].probe.file
                found[file] = found.get(file, 0) + calls
        return found

    # -- links ----------------------------------------------------------------------------------------------

    def join(self, probes: ProbeSet, pid: int, base: int, *, alone: bool) -> dict[int, AttachError]:
        """See to it that the calls of a process, whose first series is `base`, are seen. `alone`: of its file, only processes of known PIDs are measured.

        Returns why the kernel refuses functions, by number.
        """
        if not probes.everyone:
            verify.in_file(probes.file, (function.probe for function in probes.functions))
        verify.in_memory(pid, probes.file, (f.probe for f in probes.functions), *self._linked(probes))
        if not probes.everyone:
            probes.leased = probes.leased or lease.take(probes.file)
            if probes.private or (alone and len(probes.members) < MOST_BY_PID):
                return self._refusals((each, self._link(each, probes, pid, base)) for each in _packets_first(probes))
            self._widen(probes)
        return self._refusals((function, function.refused) for function in probes.functions)

    def expect(self, probes: ProbeSet, pid: int) -> None:
        """Link a set for a process, or EVERYONE, that may map its file later. Raises AttachError.

        Nobody may write to the file meanwhile: a breakpoint would go into whatever it held by then.
        """
        if probes.everyone or pid in probes.members or pid in probes.awaited:
            return
        try:
            if probes.private:
                raise AttachError("a return probe is put only into a process whose files are known")
            probes.leased = probes.leased or lease.take(probes.file)
            if not probes.leased:
                raise AttachError("the file cannot be leased")
            verify.in_file(probes.file, (function.probe for function in probes.functions))
            if pid == EVERYONE:
                self._expect_everyone(probes)
            else:
                self._expect_one(probes, pid)
        except AttachError:
            self.drop_if_idle(probes)
            raise

    def _expect_one(self, probes: ProbeSet, pid: int) -> None:
        status = procfs.read_stat(pid)
        if status is None:
            raise AttachError("the process ended")
        if not self._grant(probes, 1):
            raise AttachError(NO_ROOM, MORE_ROOM)
        probes.awaited[pid] = status.start_time_ticks
        for function in _packets_first(probes):
            self._link(function, probes, pid)

    def _expect_everyone(self, probes: ProbeSet) -> None:
        self._widen(probes, expected=True)
        if not any(function.links for function in probes.functions):
            probes.everyone = False
            raise AttachError("the kernel refuses every probe")

    def _linked(self, probes: ProbeSet) -> tuple[set[int], set[int]]:
        """The file offsets at which the set's file may have probes by now, and those at which every process has them."""
        alike = [each for each in self.by_number.values() if each.key[:2] == probes.key[:2]]
        linked = [function for each in alike for function in each.functions if function.links]
        everywhere = {site.offset for f in linked if EVERYONE in f.links for site in f.probe.sites}
        return {site.offset for f in linked for pid in f.links for site in f.of(pid).sites}, everywhere

    @staticmethod
    def _refusals(found: Iterable[tuple[Function, AttachError | None]]) -> dict[int, AttachError]:
        return {function.number: error for function, error in found if error is not None}

    def _link(self, function: Function, probes: ProbeSet, pid: int, base: int | None = None) -> AttachError | None:
        """Link a function for a process, whose first series is `base` if it has any, or for EVERYONE; why the kernel refuses."""
        if isinstance(function.refused, UnverifiedError):
            return function.refused
        if function.shed or pid in function.links:
            return None
        try:
            function.links[pid] = self._attacher.link(function, probes, pid, probes.form, base)
        except AttachError as error:
            return error
        return None

    def _widen(self, probes: ProbeSet, *, expected: bool = False) -> None:
        """Link a set for every process; `expected`: none is known that has its file mapped.

        Those that have links of their own lose no call: both see it, and one counts it.
        """
        self._stop_awaiting(probes)
        before = {function: dict(function.links) for function in probes.functions}
        exchanged = [base + function.number for base in probes.members.values() for function in probes.functions]
        if exchanged:
            probes.form ^= 1
            self.flag(exchanged, abi.FLAG_EXCHANGE | (abi.FLAG_NEW if probes.form else 0), abi.FLAG_NEW)
        probes.everyone = True
        probes.leased = probes.leased or lease.take(probes.file)
        self._table.let_come(probes.number, few=expected)
        self._grant(probes, self._table.wanting(probes.number))  # hundreds of its processes may call at once
        for function in _packets_first(probes):
            function.refused = self._link(function, probes, EVERYONE)
        if exchanged:
            wait_for_grace()  # calls that began when only the old links were there
            self._retire(before, set(exchanged), probes.form ^ 1)
            self.flag(exchanged, 0, abi.FLAG_EXCHANGE | abi.FLAG_NEW)

    def _stop_awaiting(self, probes: ProbeSet) -> None:
        """Take out the links that were made ahead for single processes: with those for every process, each call would be seen twice."""
        alone = [pid for pid in probes.awaited if pid not in probes.members]
        self._unlink([(f, pid) for f in probes.functions for pid in alone if pid in f.links], [])
        probes.awaited.clear()

    def _retire(self, before: dict[Function, dict[int, Links]], indices: set[int], form: int) -> None:
        """Take out the old links of functions whose new ones are in; new ends see the calls that old entries began, but a session's."""
        made = [one for old in before.values() for one in old.values()]
        self._attacher.close_entries(made_apart(made))
        sessions = [one for one in made if not one.ends]
        deadline = time.monotonic() + DRAIN_S
        while sessions and time.monotonic() < deadline and self._reader.open_of(indices, form):
            time.sleep(0.005)
        self._attacher.close(made)
        for function, old in before.items():
            of_function = {index for index in indices if any(not one.ends for one in old.values())}
            for slot, key, start in self._reader.open_of(of_function, form) if sessions else ():
                if (key & ((1 << abi.SERIES_BITS) - 1)) in of_function:
                    self._table.settle(slot, key, start, unseen=True)
            for pid in old:
                del function.links[pid]

    def exchange(self, function: Function, probes: ProbeSet, pid: int, wanted: Probe) -> None:
        """Put another probe of a function in the place of the one that a process has links of its own for; no call is lost.

        Raises AttachError; the old probe is out then, too.
        """
        old = function.links.pop(pid, None)
        function.instead[pid] = wanted
        if old is None:
            return  # it is shed
        index, form = probes.members[pid] + function.number, probes.form ^ 1
        try:
            verify.in_file(probes.file, [wanted])
            verify.in_memory(pid, probes.file, [wanted], *self._linked(probes))
            self.flag([index], abi.FLAG_EXCHANGE | (abi.FLAG_NEW if form else 0), abi.FLAG_NEW)
            function.links[pid] = self._attacher.link(function, probes, pid, form)
        except AttachError:
            function.links[pid] = old
            self._unlink([(function, pid)], [index])
            raise
        wait_for_grace()  # calls that began when only the old links were there
        self._attacher.close_entries([old])
        deadline = time.monotonic() + DRAIN_S
        while not wanted.strategy.timed and time.monotonic() < deadline and self._reader.open_of({index}, probes.form):
            time.sleep(0.005)
        self._attacher.close([old])
        for slot, key, start in self._reader.open_of({index}, probes.form) if not wanted.strategy.timed else ():
            self._table.settle(slot, key, start, unseen=True)
        self.flag([index], 0, abi.FLAG_EXCHANGE | abi.FLAG_NEW)

    def flag(self, indices: Iterable[int], on: int, off: int) -> None:
        """Change the flags of series (abi.FLAG_*)."""
        for index in indices:
            at = index * self._words + abi.SERIES_GROUP_FLAGS
            word = self._series.words[at]
            flags = (word >> 32) & ~off | on
            self._series.words[at] = word & 0xFFFFFFFF | flags << 32

    def leave(self, probes: ProbeSet, pid: int, base: int, *, ended: bool) -> None:
        """A process is no longer a member. If it keeps running, its calls in flight may still end for a moment, unless others share its links.
        `base`: its first series.
        """
        if probes.members.get(pid) != base:
            return  # it has executed the same program again, which is the member now
        del probes.members[pid]
        probes.used_s = time.monotonic()
        for function in probes.functions:
            function.instead.pop(pid, None)
        own = [function for function in probes.functions if pid in function.links]
        if ended and own and os.path.exists(f"/proc/{pid}"):  # noqa: PTH110
            return  # it executes another program, perhaps the same: that has these links until it is known which
        if own:
            self._unlink([(function, pid) for function in own], [] if ended else [base + f.number for f in own])

    def shed(self, function: Function, probes: ProbeSet) -> None:
        """Unlink a function for all processes; calls that are in flight for long are not seen to end."""
        function.shed = True
        indices = [base + function.number for base in probes.members.values()]
        self._unlink([(function, pid) for pid in list(function.links)], indices)

    def restore(self, function: Function, probes: ProbeSet) -> None:
        """Link a function again. Raises AttachError."""
        if isinstance(function.refused, UnverifiedError):
            raise function.refused
        function.shed = False
        for pid in [EVERYONE] if probes.everyone else list(probes.members):
            refused = self._link(function, probes, pid, probes.members.get(pid))
            if refused is not None:
                function.shed = True
                raise refused

    def _unlink(self, which: Sequence[tuple[Function, int]], indices: Sequence[int]) -> None:
        """Detach entries, let calls of these series that are in flight end, then detach ends."""
        made = [function.links.pop(pid) for function, pid in which]
        self.flag(indices, abi.FLAG_SHUT, 0)  # a session link is entry and end
        self._attacher.close_entries(made_apart(made))
        deadline = time.monotonic() + DRAIN_S
        while time.monotonic() < deadline and any(self._reader.in_flight(index) > 0 for index in indices):
            time.sleep(0.005)
        self._attacher.close(made)

    def close(self) -> None:
        """Detach everything at once, without waiting for calls in flight."""
        self._attacher.close(
            [one for each in self.by_number.values() for f in each.functions for one in f.links.values()]
        )
        for each in self.by_number.values():
            os.close(each.file)
        self._by_key.clear()
        self.by_number.clear()


def _mean(probe: Probe) -> tuple[object, ...]:
    """What is measured by a probe, wherever its sites are."""
    read = (probe.read, probe.drop_reasons, probe.sources, probe.error_return, probe.return_width, probe.return_signed)
    told = (probe.adds, probe.stream_name, probe.track_clock)
    has = (probe.has_packets, probe.has_bytes, probe.has_depth, probe.has_duplicates, probe.has_underruns)
    return (probe.symbol, probe.role, probe.primary, probe.profile, told, probe.code[:1], read, has)


def _as_linked(function: Function, wanted: Probe) -> Probe:
    """A function of one process as its set measures it: without times if by a return probe that must not be put into this process."""
    made = replace(function.probe, file=wanted.file, function=wanted.function, names=wanted.names)
    if made.strategy.changes_return_address and not wanted.strategy.changes_return_address:
        return replace(made, strategy=EndStrategy.ENTRY_ONLY, reason=wanted.reason, cost_ns=wanted.cost_ns)
    return made


def made_apart(made: Iterable[Links]) -> list[Links]:
    """Those whose entries can be detached before their ends: a session link is both."""
    return [one for one in made if one.ends]


def _packets_first(probes: ProbeSet) -> list[Function]:
    """The functions in the order in which they are linked, which takes some 30 ms each: those that handle packets first."""
    return sorted(probes.functions, key=lambda function: not function.probe.has_packets)


def _given_up(probes: ProbeSet) -> bool:
    return any(isinstance(function.refused, UnverifiedError) for function in probes.functions)


def _changed(status: os.stat_result) -> tuple[int, int]:
    """What changes when a file is written to: size, time of change."""
    return (status.st_size, status.st_ctime_ns)


def _name_of(probes: ProbeSet) -> str:
    try:
        return printable(os.readlink(probes.path))  # noqa: PTH115
    except OSError:
        return "a probed file"


def _closes(probe: Probe, probes: Iterable[Probe]) -> bool:
    """Whether the end of a buffer is seen by any function of the profile."""
    return any(op.op is Op.CLOSE for p in probes if p.profile == probe.profile for op in (*p.read.entry, *p.read.end))
