# SPDX-License-Identifier: Apache-2.0
"""The BPF backend: attaches plans to processes and keeps their series."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from otel_jb.model.arrival import Arrival
from otel_jb.model.errors import AgentError, AttachError
from otel_jb.model.plan import EndStrategy, Probe, ProbePlan
from otel_jb.model.reads import moves_packets, without_rtp
from otel_jb.model.stream import AgentCost, ProbeState, ProbeStatus, SlowCall, Snapshot, StreamRecord, Target
from otel_jb.model.text import printable
from otel_jb.probes import abi, cost
from otel_jb.probes.attach import links
from otel_jb.probes.attach.attacher import Attacher
from otel_jb.probes.attach.blocks import MORE_ROOM, NO_ROOM
from otel_jb.probes.attach.files import Files
from otel_jb.probes.attach.places import Groups
from otel_jb.probes.attach.table import Block, Table
from otel_jb.probes.attach.verify import UnverifiedError
from otel_jb.probes.backend import HitTime, KernelOptions
from otel_jb.probes.bpf import BpfError
from otel_jb.probes.hit_time import HitTimer
from otel_jb.probes.programs.compiled import RING_BYTES, Loaded, Loading
from otel_jb.probes.programs.instances import Instances
from otel_jb.probes.read import names
from otel_jb.probes.read.boundaries import Buckets, build, gap_bounds
from otel_jb.probes.read.events import decode
from otel_jb.probes.read.flight import FlightReader
from otel_jb.probes.read.maps import GlancedArray, HashMap, Ring, WordArray, wait_for_grace
from otel_jb.probes.read.reader import Reader
from otel_jb.probes.read.residence import ResidenceReader
from otel_jb.probes.read.returns import Returns
from otel_jb.probes.read.rtp import RtpReader
from otel_jb.probes.series import Attached, AttachedTarget, ProbeSet
from otel_jb.probes.told import described, failed, new_series, status
from otel_jb.streams.ledger import Key

FIRST_SERIES = 64  #: mapped at start; more are when they are given out
LATE_WAIT_NS = 500_000_000  #: from a late packet to its report, for the packets that come behind it
RETIRE_S = 1.0  #: after which nothing counts any more into the block of a process that is ignored


class BpfBackend:
    """Implements `otel_jb.probes.backend.Backend` over BPF maps and links."""

    def __init__(self, options: KernelOptions) -> None:
        """Start compiling; the program is ready when `attach` first needs it. Raises ConfigError for impossible boundaries."""
        self._options = options
        self.buckets: Buckets = build(options.boundaries_ns)
        self._loading: Loading | None = Loading(
            len(self.buckets.bounds_ns) + 1,
            self.buckets.cell_bits,
            options.max_series,
            options.links,
            cached=True,
            flights=abi.FLIGHTS if self._records_flights else 1,
        )
        self._loaded: Loaded | None = None
        self._loads = threading.Lock()  # held while the programs are loaded, which `close` may cut short
        self._opened = ExitStack()  #: closes what was opened, in reverse, wherever that ended
        self._targets: dict[int, AttachedTarget] = {}
        self._by_index: dict[int, Attached] = {}
        self._by_series: dict[int, Attached] = {}
        self._ids = itertools.count(1)
        self._groups = Groups()
        self._block_groups: dict[int, dict[str, int]] = {}  # first series of a block -> groups by profile
        self._waiting: dict[int, Block] = {}  # first series -> processes that came and that nobody has named
        self._waiting_of: dict[tuple[int, int], list[int]] = {}  # the same, by set and PID
        self._told: set[int] = set()  # those of them that were reported
        self._target_of: dict[int, int] = {}  # first series of a block -> target
        self._retiring: list[tuple[float, Block]] = []
        self._ended: list[Block] = []  # those whose process has ended
        self._held: list[SlowCall] = []  # calls of late packets, until more is known of those around them

        self._hit_timer = HitTimer()
        self._opened.callback(self._hit_timer.close)

    @property
    def _records_flights(self) -> bool:
        """If no slow call is reported, nobody reads the record."""
        return self._options.flight_recorder and self._options.events and self._options.streams > 0

    @property
    def link_kind(self) -> str:
        """`multi` or `perf`: how probes are attached here. Loads the program if it is not yet."""
        return self._ready().links

    @property
    def tells_ends(self) -> bool:
        """See `Backend.tells_ends`."""
        self._ready()
        return self._table.sees_ends

    @property
    def event_descriptor(self) -> int:
        """Readable (epoll) when slow calls wait, or processes have come or ended."""
        return self._ready().maps["events"]

    def _ready(self) -> Loaded:
        if self._loaded is not None:
            return self._loaded
        with self._loads:
            self._loaded = self._load()
            return self._loaded

    def _load(self) -> Loaded:
        assert self._loading is not None
        loaded = self._loading.result()
        self._loading = None
        self._opened.callback(loaded.close)
        maps, words = loaded.maps, abi.series_words(len(self.buckets.bounds_ns) + 1)
        self._series_words = words
        self._series = self._array(maps["all_series"], self._options.max_series * words, FIRST_SERIES * words)
        calls = GlancedArray(maps["calls"], (1 << abi.CALL_BITS) * abi.CALL_WORDS)
        control = self._array(maps["control"], abi.CONTROL_WORDS)
        buffers = self._array(maps["buffers"], abi.BUFFER_SLOTS * abi.PLACE_WORDS)
        gaps = gap_bounds(self._options.boundaries_ns)
        self._fill_cells(maps["cells"], gaps)
        self._ring = Ring(maps["events"], RING_BYTES)
        self._opened.callback(self._ring.close)
        overflow = HashMap(maps["overflow"], 8, abi.CALL_WORDS * 8)
        streams = GlancedArray(maps["rtp_streams"], abi.RTP_STREAMS * abi.RTP_STREAM_WORDS)
        self._rtp = RtpReader(
            streams,
            self._array(maps["rtp_unplaced"], self._options.max_series * abi.RTP_UNPLACED_WORDS),
            control,
            gaps,
            self._options.clock_rates,
            self._options.streams,
            self._stream_name,
            self._stream_clock,
            FlightReader(streams, maps["flights"]) if self._records_flights else None,
        )
        residence_words = abi.residence_words(len(self.buckets.bounds_ns) + 1)
        self._residence = ResidenceReader(
            buffers,
            self._array(maps["residences"], abi.RESIDENCES * residence_words, residence_words),
            len(self.buckets.bounds_ns) + 1,
        )
        self._instances = Instances(loaded.templates, maps, multi=loaded.links == "multi")
        self._opened.callback(self._instances.close)
        self._instances.check()
        self._table = Table(maps, self._instances, self._series, words, self._options.max_series)
        self._opened.callback(self._table.close)
        self._returns = Returns(self._series, words, len(self.buckets.bounds_ns) + 1, self._table.subtract)
        self._reader = Reader(
            self.buckets.bounds_ns,
            self._series,
            calls,
            control,
            buffers,
            overflow,
            self._by_index,
            self._rtp,
            self._residence,
            self._returns,
        )
        self._attacher = Attacher(
            loaded.links, self._instances, events=self._options.events, late=self._records_flights
        )
        self._files = Files(
            self._table, self._attacher, self._reader, self._series, words, self._configure, self._release
        )
        self._opened.callback(self._files.close)
        return loaded

    def _array(self, descriptor: int, words: int, first: int | None = None) -> WordArray:
        array = WordArray(descriptor, words, first)
        self._opened.callback(array.close)
        return array

    def _fill_cells(self, descriptor: int, gaps: Sequence[int]) -> None:
        cells = WordArray(descriptor, len(self.buckets.cells) * abi.CELL_WORDS)
        for at, word in enumerate(word for cell in self.buckets.words(gaps) for word in cell):
            cells.words[at] = word
        cells.close()

    # -- attaching ------------------------------------------------------------------------------------------

    def attach(
        self, target: Target, plan: ProbePlan, *, alone: bool = True, running: bool = True
    ) -> list[StreamRecord]:
        """See `Backend.attach`."""
        self._ready()
        records: list[StreamRecord] = [
            ProbeStatus(target.id, s.function, s.file, s.profile, ProbeState.SKIPPED, s.reason) for s in plan.skipped
        ]
        attached = self._targets[target.id] = AttachedTarget(target)
        made, refused = self._attach_probes(attached, plan.probes, alone=alone, running=running)
        if refused and not attached.probes and not isinstance(refused, UnverifiedError):
            del self._targets[target.id]
            message = f"no probe could be attached to process {target.pid} ({target.name}): {refused.message}"
            raise AttachError(message, refused.help or links.REMEDY)
        return records + made

    def extend(self, target_id: int, plan: ProbePlan, *, alone: bool = True) -> list[StreamRecord]:
        """See `Backend.extend`."""
        attached = self._targets[target_id]
        known = {_place(item.probe) for item in attached.probes}
        new = [probe for probe in plan.probes if _place(probe) not in known]
        return [*self._attach_probes(attached, new, alone=alone, running=True)[0], *self._clear(attached, plan)]

    def expect(self, plan: ProbePlan, pid: int) -> None:
        """See `Backend.expect`."""
        self._ready()
        for file in dict.fromkeys(probe.file for probe in plan.probes):
            of_file = [probe for probe in plan.probes if probe.file == file]
            nests = self._options.events and len(of_file) > 1
            for probes, _ in self._files.sets(self._without_streams(of_file), pid, nests=nests):
                self._files.expect(probes, pid)

    def _without_streams(self, probes: Sequence[Probe]) -> Sequence[Probe]:
        """The probes without those that only RTP streams need, if streams are off."""
        return probes if self._options.streams else [replace(each, read=without_rtp(each.read)) for each in probes]

    def _clear(self, attached: AttachedTarget, plan: ProbePlan) -> list[StreamRecord]:
        """Go by what a newer plan says of return probes: time no call by them any more where something in the process forbids them, and time
        calls again where nothing does, as in a process that had not yet loaded its libraries when it was first looked at.
        """
        planned = {_place(probe): probe for probe in plan.probes}
        records: list[StreamRecord] = []
        for item in attached.probes:
            new = planned.get(_place(item.probe))
            linked = item.function.probe
            if new is None or not linked.strategy.changes_return_address:
                continue
            was, now = (probe.strategy.changes_return_address for probe in (item.probe, new))
            if was == now or (now and item.set.private):
                continue
            if item.set.private:
                records += self._exchange(item, new)
                continue
            self._files.flag([item.index], *((abi.FLAG_CLEARED, 0) if now else (0, abi.FLAG_CLEARED)))
            item.probe = replace(
                item.probe, strategy=linked.strategy if now else EndStrategy.ENTRY_ONLY, reason=new.reason
            )
            item.series = described(item.series, item.probe)
            records += [item.series, status(item, ProbeState.ATTACHED, new.reason)]
        return records

    def _exchange(self, item: Attached, new: Probe) -> list[StreamRecord]:
        """Replace a return probe that only examined processes have."""
        try:
            self._files.exchange(item.function, item.set, item.pid, new)
        except AttachError as error:
            item.stop()
            self._reader.settle([item.index], returned_unseen=True)
            unverified = isinstance(error, UnverifiedError)
            return [status(item, ProbeState.UNVERIFIED if unverified else ProbeState.FAILED, error.message)]
        item.probe = new
        item.series = described(item.series, new)
        return [item.series, status(item, ProbeState.ATTACHED, new.reason)]

    def _attach_probes(
        self, attached: AttachedTarget, probes: Sequence[Probe], *, alone: bool, running: bool
    ) -> tuple[list[StreamRecord], AttachError | None]:
        """Attach probes; returns the resulting records, and why the last refused probe was refused."""
        probes = self._without_streams(probes)
        nests = self._options.events and len(probes) + len(attached.probes) > 1
        records: list[StreamRecord] = []
        refused: AttachError | None = None
        files: dict[str, list[Probe]] = {}
        for probe in probes:
            files.setdefault(probe.file, []).append(probe)
        for of_file in sorted(files.values(), key=_movers_first):
            fits = self._files.room(len(of_file))
            if 0 < fits < len(of_file):
                refused = AttachError(NO_ROOM, MORE_ROOM)
                records += [failed(attached.target.id, probe, refused) for probe in of_file[fits:]]
                del of_file[fits:]
            try:
                sets = self._files.sets(of_file, attached.target.pid, nests=nests)
                for probes_of, group in sorted(sets, key=lambda each: _movers_first(each[1])):
                    made, why = self._attach_set(attached, probes_of, group, alone=alone, running=running)
                    records += made
                    refused = why or refused
            except AgentError as error:
                refused = error if isinstance(error, AttachError) else AttachError(error.message, error.help)
                records += [failed(attached.target.id, probe, refused) for probe in of_file]
        return records, refused

    def _attach_set(
        self, attached: AttachedTarget, probes: ProbeSet, group: Sequence[Probe], *, alone: bool, running: bool
    ) -> tuple[list[StreamRecord], AttachError | None]:
        pid = attached.target.pid
        block = self._came_by_itself(probes, pid, newest=running)
        if block is None and not running:
            return [], None
        if block is None:
            try:
                block = self._claimed(probes, pid, alone=alone)
            except AgentError:
                self._files.drop_if_idle(probes)
                raise
        cleared = [
            block.base + function.number
            for function, probe in zip(probes.functions, group, strict=True)
            if function.probe.strategy is probe.strategy or not function.probe.strategy.changes_return_address
        ]
        self._files.flag(cleared, abi.FLAG_CLEARED, 0)
        try:
            refusals = {} if block.ended else self._files.join(probes, pid, block.base, alone=alone)
        except UnverifiedError as error:
            refusals = dict.fromkeys(range(len(group)), error)
        self._adopt(attached, probes, block)
        records: list[StreamRecord] = []
        refused: AttachError | None = None
        for function, probe in zip(probes.functions, group, strict=True):
            if function.number in refusals:
                refused = refusals[function.number]
                records.append(failed(attached.target.id, probe, refused))
                continue
            item = self._item(attached, probes, probe, function.number, block.base)
            records += [item.series, status(item, ProbeState.ATTACHED, probe.reason)]
        if len(refusals) == len(probes.functions):
            self._give_up(attached, probes, block)
        return records, refused

    def _give_up(self, attached: AttachedTarget, probes: ProbeSet, block: Block) -> None:
        """The kernel accepts none of the set's probes, or they are not meant for this process."""
        self._files.leave(probes, block.pid, block.base, ended=True)
        attached.blocks.remove(block.base)
        del self._target_of[block.base]
        if probes.everyone and any(function.links for function in probes.functions):
            self._retire(block)  # if it were forgotten, it would come again with its next call
        else:
            self._table.forget(probes.number, block.pid)
            self._free([block])
        if not any(function.links for function in probes.functions):
            probes.everyone = False
        self._files.drop_if_idle(probes)

    def _came_by_itself(self, probes: ProbeSet, pid: int, *, newest: bool) -> Block | None:
        """The block that a process claimed by itself. A process that executes programs may have claimed several: the newest, or the oldest."""
        self._collect()
        bases = self._waiting_of.get((probes.number, pid))
        return self._waiting[bases[-1 if newest else 0]] if bases else None

    def _claimed(self, probes: ProbeSet, pid: int, *, alone: bool) -> Block:
        base = self._files.claim(probes, pid, alone=alone)
        self._collect()
        block = self._table.block(base)
        if block is None or base in self._target_of:
            raise AttachError(f"process {pid} has other series already")
        return block

    def _adopt(self, attached: AttachedTarget, probes: ProbeSet, block: Block) -> None:
        self._waits_no_more(block.base)
        self._target_of[block.base] = attached.target.id
        if not block.ended or block.pid not in probes.members:
            probes.members[block.pid] = block.base
        attached.blocks.append(block.base)
        if block.ended:
            self._ended.append(block)
        # One group of buffers for a profile, whatever files of the process its functions are in.
        groups = self._block_groups[block.base]
        for profile, group in list(groups.items()):
            known = attached.groups.setdefault(profile, group)
            if known != group:
                self._groups.give_back(group)
                del groups[profile]

    def _item(self, attached: AttachedTarget, probes: ProbeSet, probe: Probe, number: int, base: int) -> Attached:
        index, function = base + number, probes.functions[number]
        series = new_series(next(self._ids), attached.target, probe)
        group = attached.groups[probe.profile]
        if group >= abi.RESIDENCES:
            series = replace(series, has_residence=False)
        item = Attached(series, probes, function, attached.target.pid, probe, index, group, time.monotonic_ns())
        attached.probes.append(item)
        self._by_index[index] = self._by_series[series.id] = item
        words, at = self._series.words, index * self._series_words
        words[at + abi.SERIES_SLOW_NS] = self._threshold(probe)
        words[at + abi.SERIES_GROUP_FLAGS] = words[at + abi.SERIES_GROUP_FLAGS] >> 32 << 32 | group
        if function.shed:
            try:
                self._files.restore(function, probes)
            except AttachError:
                item.stop()
        return item

    def _threshold(self, probe: Probe) -> int:
        threshold = self._options.threshold_ns(probe) if self._options.threshold_ns else None
        return abi.NEVER if threshold is None else threshold

    def _configure(self, probes: ProbeSet, base: int) -> None:
        """Zero a block and write its configuration; no process owns it yet."""
        moving = {each.probe.profile for each in probes.functions if moves_packets(each.probe.read)}
        groups = {profile: self._groups.take(followed=profile in moving) for profile in probes.profiles}
        self._block_groups[base] = groups
        for group in groups.values():
            self._residence.begin(group)
        words, options, size = self._series.words, self._options, self._series_words
        self._series.write(base * size, bytes(size * 8 * len(probes.functions)))
        for function in probes.functions:
            at = (base + function.number) * size
            words[at + abi.SERIES_SLOW_NS] = self._threshold(function.probe)
            words[at + abi.SERIES_EVENT_GAP_NS] = max(1, int(1e9 / options.event_rate))
            words[at + abi.SERIES_EVENT_BURST_NS] = max(1, int(1e9 / options.event_rate * options.event_burst))
            words[at + abi.SERIES_GROUP_FLAGS] = groups[function.probe.profile]

    def _release(self, _: ProbeSet, base: int) -> None:
        for group in self._block_groups.pop(base).values():
            self._groups.give_back(group)

    # -- processes that come and end by themselves ----------------------------------------------------------

    def _collect(self) -> None:
        """Note the processes that have claimed a block, and make sure that the next ones find one."""
        for block in self._table.came():
            self._waiting[block.base] = block
            self._waiting_of.setdefault((block.set, block.pid), []).append(block.base)
        self._files.top_up()

    def arrivals(self) -> list[Arrival]:
        """See `Backend.arrivals`."""
        self._ready()
        self._note_ended()
        found = []
        for base, block in self._waiting.items():
            if base not in self._told:
                self._told.add(base)
                probes = self._files.by_number[block.set]
                plan = ProbePlan(tuple(function.probe for function in probes.functions))
                found.append(Arrival(base, block.pid, block.start_ns, block.comm, block.uid, plan, block.ended))
        return found

    def ignore(self, arrival: Arrival, target_id: int | None = None) -> None:
        """See `Backend.ignore`."""
        if target_id is not None and self._is_another_program(arrival.block, target_id):
            self._told.discard(arrival.block)
            return
        block = self._waits_no_more(arrival.block)
        if block is not None:
            self._retire(block)

    def _is_another_program(self, base: int, target_id: int) -> bool:
        """Whether an unnamed process was executed by a target, or has executed the target."""
        self._note_ended()
        block = self._waiting.get(base)
        if block is None:
            return False
        of_target = [self._table.block(each) for each in self._targets[target_id].blocks]
        return block.ended or any(each is not None and each.ended for each in of_target)

    def _waits_no_more(self, base: int) -> Block | None:
        """The block, if its process has appeared but was not named yet."""
        self._told.discard(base)
        block = self._waiting.pop(base, None)
        if block is not None:
            bases = self._waiting_of[block.set, block.pid]
            bases.remove(base)
            if not bases:
                del self._waiting_of[block.set, block.pid]
        return block

    def _retire(self, block: Block) -> None:
        """Stop counting the calls of a process; its block is free once no call uses it."""
        self._table.ignore(block.set, block.pid)
        self._retiring.append((time.monotonic() + RETIRE_S, block))

    def ended(self) -> dict[int, bool]:
        """See `Backend.ended`."""
        self._ready()
        self._note_ended()
        blocks, self._ended = self._ended, []
        return {self._target_of[block.base]: not block.executed for block in blocks if block.base in self._target_of}

    def _note_ended(self) -> None:
        self._collect()  # what has ended may just have come
        self._ended += self._table.ended()

    def tidy(self) -> list[StreamRecord]:
        """See `Backend.tidy`."""
        if self._loaded is None:
            return []
        self._collect()
        now = time.monotonic()
        due = [block for when, block in self._retiring if when <= now]
        if due:
            self._retiring = [each for each in self._retiring if each[0] > now]
            for block in due:
                self._table.ignore(block.set, block.pid)  # what was cached meanwhile
            wait_for_grace()
            self._free(due)
        return [record for probes, reason in self._files.tidy() for record in self._given_up(probes, reason)]

    def _given_up(self, probes: ProbeSet, reason: UnverifiedError) -> list[StreamRecord]:
        """The probes of a set were removed permanently: its series stand still."""
        items = [item for item in self._by_index.values() if item.set is probes]
        for item in items:
            if item.since_ns is not None:
                item.stop()
        self._files.flag([item.index for item in items], abi.FLAG_SHUT, 0)
        self._reader.settle((item.index for item in items), returned_unseen=True)
        return [status(item, ProbeState.UNVERIFIED, reason.message) for item in items]

    def _free(self, blocks: Iterable[Block]) -> None:
        """Free blocks that nothing counts into any more and whose values were read."""
        blocks = list(blocks)
        self._reader.settle(block.base + at for block in blocks for at in range(block.functions))
        groups = set()
        for block in blocks:
            for group in self._block_groups.pop(block.base).values():
                groups.add(group)
                self._groups.give_back(group)
            self._table.free(block)
        self._reader.forget_buffers(groups)
        self._residence.forget(groups)
        self._rtp.forget(block.base + at for block in blocks for at in range(block.functions))

    def drop_idle(self) -> None:
        """See `Backend.drop_idle`."""
        self._ready()
        self._collect()
        self._files.drop_idle()

    def no_room(self) -> dict[str, int]:
        """See `Backend.no_room`."""
        if self._loaded is None:
            return {}
        return self._files.no_room()

    # -- detaching ------------------------------------------------------------------------------------------

    def detach(self, *target_ids: int, gone: bool = False) -> Snapshot:
        """See `Backend.detach`."""
        self._hit_timer.close(target_ids)
        every = [self._targets.pop(target_id) for target_id in target_ids]
        self._note_ended()
        if gone:
            self._end_processes(every)
        running: list[tuple[AttachedTarget, Block]] = []
        for attached in every:
            for base in attached.blocks:
                block = self._table.block(base)
                assert block is not None
                self._leave(self._files.by_number[block.set], block, ended=block.ended)
                if not block.ended:
                    running.append((attached, block))
        if running:
            wait_for_grace()
            for _, block in running:
                if self._files.by_number[block.set].everyone:
                    self._table.ignore(block.set, block.pid)  # what was cached meanwhile
            wait_for_grace()
        items = [item for attached in every for item in attached.probes]
        self._reader.settle(item.index for item in items)
        for item in items:
            if item.since_ns is not None:
                item.stop()
        last = self._reader.snapshot(roll=False, only={item.index for item in items})
        for item in items:
            del self._by_index[item.index]
            del self._by_series[item.series.id]
        blocks = [self._table.block(base) for attached in every for base in attached.blocks]
        self._free(block for block in blocks if block is not None)
        for item in items:
            self._reader.forget(item.index)
        for attached in every:
            for base in attached.blocks:
                del self._target_of[base]
        for probes in dict.fromkeys(item.set for item in items):
            self._files.drop_if_idle(probes)
        return last

    def _end_processes(self, every: Sequence[AttachedTarget]) -> None:
        """Tell the BPF program about ended processes whose exit it missed."""
        for attached in every:
            blocks = [block for base in attached.blocks if (block := self._table.block(base)) is not None]
            if any(not block.ended for block in blocks):
                self._table.end(attached.target.pid)
                for block in blocks:
                    block.ended = True

    def _leave(self, probes: ProbeSet, block: Block, *, ended: bool) -> None:
        self._files.leave(probes, block.pid, block.base, ended=ended)
        if ended:
            return
        if probes.everyone:
            self._table.ignore(probes.number, block.pid)
        else:
            self._table.forget(probes.number, block.pid)

    # -- reading --------------------------------------------------------------------------------------------

    def snapshot(self, roll: bool = False, only: int | None = None) -> Snapshot:
        """See `Backend.snapshot`."""
        self._ready()
        self._instances.rest()  # what is attached at once is attached between two snapshots
        if roll:
            self._reader.settle_dead_threads(self._table.settle)
        indices = None if only is None else {item.index for item in self._targets[only].probes}
        return self._reader.snapshot(roll, indices)

    def _stream_name(self, item: Attached, buffer: int) -> str | None:
        """The name of a buffer's stream, from the process's memory; None if it has none."""
        attached = self._targets.get(item.series.target)
        if attached is None or not item.probe.stream_name:
            return None
        return names.of_process(item.probe.stream_name, buffer, attached.target)

    def _stream_clock(self, item: Attached, key: Key) -> tuple[int, int] | None:
        """Payload type and clock rate in Hz of a stream, as negotiated by the process; None if not known."""
        attached = self._targets.get(item.series.target)
        if attached is None or item.probe.track_clock is None:
            return None
        ssrc, buffer = key
        return names.clock_of(item.probe.track_clock, buffer, ssrc, attached.target)

    def has_counted(self, target_id: int) -> bool:
        """See `Backend.has_counted`."""
        return any(self._reader.entered(item.index) for item in self._targets[target_id].probes)

    def entries(self) -> dict[int, int]:
        """See `Backend.entries`."""
        entered = self._reader.all_entered(self._by_index.keys())
        self._returns.relieve(self._by_index, entered)
        return {item.series.id: entered[index] for index, item in self._by_index.items()}

    def slow_calls(self, *, every: bool = False) -> list[SlowCall]:
        """See `Backend.slow_calls`."""
        self._ready()
        attached = self._by_index
        decoded = self._ring.read(lambda record: decode(record, attached) if len(record) == abi.EVENT_SIZE else None)
        if not decoded and not self._held:  # most of the time
            return []
        calls = [call for call in decoded if call is not None]
        for call in calls:
            if call.stream:
                self._name(call, call.stream)
        self._rtp.add_packets(calls, attached)
        if any(call.late for call in calls):
            self._held += [call for call in calls if _may_be_told_more(call)]
            calls = [call for call in calls if not _may_be_told_more(call)]
        if not self._held:
            return calls
        due_ns = time.monotonic_ns() - (0 if every else LATE_WAIT_NS)
        due = [call for call in self._held if call.end_ns <= due_ns]
        self._held = [call for call in self._held if call.end_ns > due_ns]
        self._rtp.add_packets(due, attached)
        return calls + due

    def _name(self, call: SlowCall, buffer: int) -> None:
        """Name the stream of a call that nobody else has yet, if this or another function reads the buffer's RTP."""
        item = self._by_series.get(call.series)
        found = self._rtp.called(item.series.target, buffer) if item is not None else None
        if found is not None:
            call.stream_name, call.ssrc = printable(found[0]), found[1]

    def set_threshold(self, series: int, threshold_ns: int | None) -> None:
        """See `Backend.set_threshold`."""
        at = self._by_series[series].index * self._series_words
        self._series.words[at + abi.SERIES_SLOW_NS] = abi.NEVER if threshold_ns is None else threshold_ns

    def shed(self, series: int, reason: str, *, shared: bool = True) -> ProbeStatus | None:
        """See `Backend.shed`."""
        item = self._by_series.get(series)
        if item is None or item.since_ns is None:
            return None
        users = [other for other in self._by_series.values() if other.function is item.function]
        if not shared and any(other is not item and other.since_ns is not None for other in users):
            return None
        item.stop()
        self._files.flag([item.index], abi.FLAG_SHUT, 0)
        if all(other.since_ns is None for other in users):
            self._files.shed(item.function, item.set)
            self._reader.settle((other.index for other in users), returned_unseen=True)
        return status(item, ProbeState.SHED, reason)

    def restore(self, series: int, reason: str) -> ProbeStatus | None:
        """See `Backend.restore`."""
        item = self._by_series.get(series)
        if item is None or item.since_ns is not None:
            return None
        if item.function.shed:
            try:
                self._files.restore(item.function, item.set)
            except AttachError as error:
                state = ProbeState.UNVERIFIED if isinstance(error, UnverifiedError) else ProbeState.SHED
                return status(item, state, error.message)
        if item.series.has_residence:
            self._residence.forget({item.group})  # what came out meanwhile was not seen
        item.since_ns = time.monotonic_ns()
        self._files.flag([item.index], 0, abi.FLAG_SHUT)
        return status(item, ProbeState.ATTACHED, f"{item.probe.reason} ({reason})")

    def measure_cost(self, run: Callable[[Callable[[], object]], object] = lambda work: work()) -> AgentCost:
        """What one hit of each kind costs here (about a second); measured with these very programs on a child of the agent's own.

        `run` has the thread that owns the backend do something: measuring itself may be on another one.
        """
        run(self._ready)
        specimen = cost.Specimen()

        def once(probe: Probe | None) -> cost.Sample:
            if probe is None:
                return specimen.run()
            target = Target(-1, specimen.pid, 0, "specimen", "", None, "", "", 0)
            run(partial(self._attach_specimen, target, probe))
            try:
                return specimen.run()
            finally:
                run(partial(self.detach, -1))

        try:
            return cost.as_costs(*cost.measure(once, cost.ways(specimen.path)))
        except (AttachError, BpfError):  # every series is in use
            return AgentCost()
        finally:
            specimen.close()

    def sample_hits(self, target_id: int) -> bool:
        """See `Backend.sample_hits`."""
        return self._hit_timer.begin(self._targets[target_id])

    def hit_time(self) -> HitTime | None:
        """See `Backend.hit_time`."""
        return self._hit_timer.end()

    def _attach_specimen(self, target: Target, probe: Probe) -> None:
        """No call counts as slow: the events would take room in the ring buffer from those of targets."""
        self.attach(target, ProbePlan((probe,)), alone=True)
        for item in self._targets[target.id].probes:
            self.set_threshold(item.series.id, None)

    def close(self) -> None:
        """See `Backend.close`."""
        loading = self._loading
        if loading is not None:
            loading.cancel()
        with self._loads:
            self._loading = None
            self._opened.close()
            self._targets.clear()
            self._loaded = None


def _may_be_told_more(call: SlowCall) -> bool:
    """Whether packets that belong to the call's story may come or leave the buffer after it."""
    return call.late and bool(call.packets)


def _place(probe: Probe) -> tuple[object, ...]:
    """The place of a probe, regardless of the path by which its file is opened."""
    return (probe.identity or probe.file, probe.place)


def _movers_first(probes: Iterable[Probe]) -> bool:
    """The key that sorts those with a function that puts or takes packets before those without.

    A profile's buffers are of the group that its first set takes, and only where packets are seen to move has that one a residence.
    """
    return not any(moves_packets(probe.read) for probe in probes)
