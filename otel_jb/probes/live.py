"""The BPF backend: attaches plans to processes and keeps their series."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from otel_jb.model.errors import AttachError
from otel_jb.model.plan import EndStrategy, LoadHook, Probe, ProbePlan
from otel_jb.model.reads import Op, ReadProgram
from otel_jb.model.stream import AgentCost, ProbeState, ProbeStatus, Series, SlowCall, Snapshot, StreamRecord, Target
from otel_jb.probes import abi, cost
from otel_jb.probes.attach import links
from otel_jb.probes.attach.attacher import Attacher
from otel_jb.probes.attach.places import Indices
from otel_jb.probes.backend import KernelOptions
from otel_jb.probes.bpf import BpfError
from otel_jb.probes.programs.compiled import RING_BYTES, Loaded, Loading
from otel_jb.probes.programs.template import Shape, shape_of
from otel_jb.probes.read.boundaries import Buckets, build
from otel_jb.probes.read.events import decode
from otel_jb.probes.read.maps import HashMap, Ring, WordArray
from otel_jb.probes.read.reader import Reader
from otel_jb.probes.series import Attached, AttachedTarget


def _way(probe: Probe) -> tuple[object, ...]:
    """What makes the difference between two ways to measure a function."""
    return probe.strategy, probe.gated, probe.sites


class BpfBackend:
    """Implements `otel_jb.probes.backend.Backend` over BPF maps and links."""

    def __init__(self, options: KernelOptions) -> None:
        """Start compiling; the program is ready when `attach` first needs it. Raises ConfigError for impossible boundaries."""
        self._options = options
        self.buckets: Buckets = build(options.boundaries_ns)
        self._loading: Loading | None = Loading(
            len(self.buckets.bounds_ns) + 1, self.buckets.cell_bits, options.max_series, options.links, cached=True
        )
        self._loaded: Loaded | None = None
        self._opened = ExitStack()  #: closes what was opened, in reverse, wherever that ended
        self._targets: dict[int, AttachedTarget] = {}
        self._by_index: dict[int, Attached] = {}
        self._by_series: dict[int, Attached] = {}
        self._ids = itertools.count(1)
        self._groups = Indices(1, 0xFFFF, "groups of buffers")
        self._indices = Indices(0, options.max_series - 1, "series")

    @property
    def link_kind(self) -> str:
        """`multi` or `perf`: how probes are attached here. Loads the program if it is not yet."""
        return self._ready().links

    @property
    def event_descriptor(self) -> int:
        """Readable (epoll) when slow calls wait."""
        return self._ready().maps["events"]

    def _ready(self) -> Loaded:
        if self._loaded is not None:
            return self._loaded
        assert self._loading is not None
        loading, self._loading = self._loading, None
        loaded = loading.result()
        self._opened.callback(loaded.close)
        maps, words = loaded.maps, abi.series_words(len(self.buckets.bounds_ns) + 1)
        self._series_words = words
        self._series = self._array(maps["all_series"], self._options.max_series * words)
        self._calls = self._array(maps["calls"], (1 << abi.CALL_BITS) * abi.CALL_WORDS)
        self._control = self._array(maps["control"], abi.CONTROL_WORDS)
        self._buffers = self._array(maps["buffers"], abi.BUFFER_SLOTS * abi.BUFFER_WORDS)
        cells = WordArray(maps["cells"], len(self.buckets.cells) * abi.CELL_WORDS)
        flat = [word for cell in self.buckets.cells for word in cell]
        for at, word in enumerate(flat):
            cells.words[at] = word
        cells.close()
        self._ring = Ring(maps["events"], RING_BYTES)
        self._opened.callback(self._ring.close)
        overflow = HashMap(maps["overflow"], 8, abi.CALL_WORDS * 8)
        self._reader = Reader(
            self.buckets.bounds_ns, self._series, self._calls, self._control, self._buffers, overflow, self._by_index
        )
        self._attacher = Attacher(loaded, self._series, words, self._reader, events=self._options.events)
        self._opened.callback(lambda: self._attacher.close(list(self._targets.values())))
        self._loaded = loaded
        return loaded

    def _array(self, descriptor: int, words: int) -> WordArray:
        array = WordArray(descriptor, words)
        self._opened.callback(array.close)
        return array

    def attach(self, target: Target, plan: ProbePlan) -> list[StreamRecord]:
        """See `Backend.attach`."""
        self._ready()
        records: list[StreamRecord] = [
            ProbeStatus(target.id, s.function, s.file, s.profile, ProbeState.SKIPPED, s.reason) for s in plan.skipped
        ]
        attached = self._targets[target.id] = AttachedTarget(target, [], {})
        made, refused = self._attach_probes(attached, plan.probes, plan.load_hook)
        if refused and not attached.probes:
            self._forget_target(self._targets.pop(target.id))
            message = f"no probe could be attached to process {target.pid} ({target.name}): {refused.message}"
            raise AttachError(message, refused.help or links.REMEDY)
        return records + made

    def extend(self, target_id: int, plan: ProbePlan) -> list[StreamRecord]:
        """See `Backend.extend`."""
        attached = self._targets[target_id]
        known = {(item.probe.file, item.probe.symbol.address) for item in attached.probes}
        new = [probe for probe in plan.probes if (probe.file, probe.symbol.address) not in known]
        return self._attach_probes(attached, new, plan.load_hook)[0]

    def replace(self, target_id: int, plan: ProbePlan) -> list[StreamRecord]:
        """See `Backend.replace`."""
        attached = self._targets[target_id]
        planned = {(probe.file, probe.symbol.address): probe for probe in plan.probes}
        records: list[StreamRecord] = []
        for item in attached.probes:
            new = planned.get((item.probe.file, item.probe.symbol.address))
            if new is not None and _way(new) != _way(item.probe):
                records += self._exchange(item, attached, new, plan.load_hook)
        return records

    def _exchange(
        self, item: Attached, attached: AttachedTarget, new: Probe, hook: LoadHook | None
    ) -> list[StreamRecord]:
        """Measure a function in another way from now on; its counts go on."""
        was_attached, old = item.since_ns is not None, item.probe
        self._attacher.unlink([item])
        self._reader.settle(item.index, returned_unseen=True)
        item.probe = new
        if was_attached:
            try:
                self._attacher.link(item, attached, hook)
            except AttachError as error:
                return self._keep_old(item, attached, old, error)
        item.series = self._described(item.series, item.probe)
        status = [self._status(item, ProbeState.ATTACHED, new.reason)] if was_attached else []
        return [item.series, *status]

    def _keep_old(
        self, item: Attached, attached: AttachedTarget, old: Probe, refused: AttachError
    ) -> list[StreamRecord]:
        """The new way was refused: back to the old one, unless that is what must not be any more."""
        item.probe = old
        if old.gated or old.strategy is EndStrategy.URETPROBE:
            return [self._status(item, ProbeState.FAILED, refused.message)]
        try:
            self._attacher.link(item, attached)
        except AttachError as error:
            return [self._status(item, ProbeState.FAILED, error.message)]
        return [
            self._status(item, ProbeState.ATTACHED, f"{old.reason} (in another way it is refused: {refused.message})")
        ]

    def loads(self, target_id: int) -> int | None:
        """See `Backend.loads`."""
        gate, gates = self._targets[target_id].gate, self._attacher.gates
        return None if gate is None or gates.is_open(gate) else gates.loads(gate)

    def open_gate(self, target_id: int, loads: int) -> None:
        """See `Backend.open_gate`."""
        gate = self._targets[target_id].gate
        if gate is not None:
            self._attacher.gates.open_gate(gate, loads)

    def _attach_probes(
        self, attached: AttachedTarget, probes: Sequence[Probe], hook: LoadHook | None
    ) -> tuple[list[StreamRecord], AttachError | None]:
        """Attach probes; returns the records that come of it and why the last refused one was refused."""
        target, refused = attached.target, None
        records: list[StreamRecord] = []
        nests = len(probes) + len(attached.probes) > 1
        for probe in probes:
            closes = any(
                op.op is Op.CLOSE for p in probes if p.profile == probe.profile for op in (*p.read.entry, *p.read.end)
            )
            item = Attached(self._new_series(target, probe), probe, -1, 0, closes, nests and self._options.events)
            try:
                self._place(item, attached)
                self._attacher.link(item, attached, hook)
            except AttachError as error:
                self._forget(item)
                refused = error
                records.append(self._status(item, ProbeState.FAILED, error.message))
                continue
            attached.probes.append(item)
            self._by_series[item.series.id] = item
            records += [item.series, self._status(item, ProbeState.ATTACHED, probe.reason)]
        return records, refused

    def _place(self, item: Attached, attached: AttachedTarget) -> None:
        """Give the probe its places in the kernel's arrays. Raises AttachError where there is no room."""
        profile = item.probe.profile
        if profile not in attached.groups:
            attached.groups[profile] = self._groups.take()
        item.group = attached.groups[profile]
        item.index = self._indices.take()
        self._by_index[item.index] = item
        self._configure(item)

    def _new_series(self, target: Target, probe: Probe) -> Series:
        series = Series(
            id=next(self._ids),
            target=target.id,
            function=probe.function,
            role=probe.role,
            primary=probe.primary,
            profile=probe.profile,
            strategy="",
            reason="",
            file=probe.file,
            has_timing=True,
            has_packets=False,
            has_bytes=False,
            has_depth=False,
            has_duplicates=False,
            drop_reasons=(),
            fields=probe.read.fields,
            sources=probe.sources,
            error_return=probe.error_return,
        )
        return self._described(series, probe)

    @staticmethod
    def _described(series: Series, probe: Probe) -> Series:
        """The series with what follows from how the probe is measured."""
        # What was ever timed keeps what was counted then.
        timed = probe.strategy is not EndStrategy.ENTRY_ONLY or (series.strategy != "" and series.has_timing)
        return replace(
            series,
            strategy=probe.strategy.value,
            reason=probe.reason,
            has_timing=timed,
            has_packets=probe.has_packets and timed,
            has_bytes=probe.has_bytes and timed,
            has_depth=probe.has_depth and timed,
            has_duplicates=probe.has_duplicates and timed,
            drop_reasons=probe.drop_reasons if timed else (),
        )

    def _configure(self, item: Attached) -> None:
        """Zero the series and write its configuration; nothing is attached to this index yet."""
        at, size = item.index * self._series_words, self._series_words
        self._series.write(at, bytes(size * 8))
        words, options = self._series.words, self._options
        threshold = options.threshold_ns(item.probe) if options.threshold_ns else None
        words[at + abi.SERIES_SLOW_NS] = abi.NEVER if threshold is None else threshold
        words[at + abi.SERIES_EVENT_GAP_NS] = max(1, int(1e9 / options.event_rate))
        words[at + abi.SERIES_EVENT_BURST_NS] = max(1, int(1e9 / options.event_rate * options.event_burst))
        words[at + abi.SERIES_GROUP] = item.group

    def _status(self, item: Attached, state: ProbeState, reason: str) -> ProbeStatus:
        probe = item.probe
        return ProbeStatus(
            item.series.target,
            probe.function,
            probe.file,
            probe.profile,
            state,
            reason,
            probe.strategy.value,
            item.series.id if state is not ProbeState.FAILED else None,
        )

    def _forget(self, item: Attached) -> None:
        self._attacher.forget(item)
        self._by_series.pop(item.series.id, None)
        if item.index >= 0:
            self._reader.forget(item.index)
            del self._by_index[item.index]
            self._indices.give_back(item.index)

    def detach(self, target_id: int) -> Snapshot:
        """See `Backend.detach`."""
        attached = self._targets.pop(target_id)
        self._attacher.unlink(attached.probes)
        for item in attached.probes:
            self._reader.settle(item.index)
        last = self._reader.snapshot(roll=False, only={item.index for item in attached.probes})
        self._forget_target(attached)
        for item in attached.probes:
            self._forget(item)
        return last

    def _forget_target(self, attached: AttachedTarget) -> None:
        self._attacher.forget_target(attached)
        for group in attached.groups.values():
            self._reader.forget_buffers(group)
            self._groups.give_back(group)

    def snapshot(self, roll: bool = False) -> Snapshot:
        """See `Backend.snapshot`."""
        self._ready()
        if roll:
            self._reader.settle_dead_threads(
                {t.target.pid: {p.index for p in t.probes} for t in self._targets.values()}
            )
        return self._reader.snapshot(roll)

    def slow_calls(self) -> list[SlowCall]:
        """See `Backend.slow_calls`."""
        self._ready()
        decoded = (decode(record, self._by_index) for record in self._ring.records())
        return [call for call in decoded if call is not None]

    def set_threshold(self, series: int, threshold_ns: int | None) -> None:
        """See `Backend.set_threshold`."""
        at = self._by_series[series].index * self._series_words
        self._series.words[at + abi.SERIES_SLOW_NS] = abi.NEVER if threshold_ns is None else threshold_ns

    def shed(self, series: int, reason: str) -> ProbeStatus | None:
        """See `Backend.shed`."""
        item = self._by_series.get(series)
        if item is None or item.since_ns is None:
            return None
        self._attacher.unlink([item])
        self._reader.settle(item.index, returned_unseen=True)
        return self._status(item, ProbeState.SHED, reason)

    def restore(self, series: int, reason: str) -> ProbeStatus | None:
        """See `Backend.restore`."""
        item = self._by_series.get(series)
        if item is None or item.since_ns is not None:
            return None
        try:
            self._attacher.link(item, self._targets[item.series.target])
        except AttachError as error:
            return self._status(item, ProbeState.SHED, error.message)
        return self._status(item, ProbeState.ATTACHED, f"{item.probe.reason} ({reason})")

    def measure_cost(self) -> AgentCost:
        """What one hit of each kind costs here (about a second); measured with these very programs on a child of the agent's own."""
        loaded = self._ready()
        try:
            index = self._indices.take()
        except AttachError:  # every series is in use
            return AgentCost()
        specimen = cost.Specimen()
        try:
            at, size = index * self._series_words, self._series_words
            self._series.write(at, bytes(size * 8))
            self._series.words[at + abi.SERIES_SLOW_NS] = abi.NEVER
            entry, branch, stepped, _ = cost.code()[1]
            below = links.FRAME_BELOW_CFA & 0xFFFFFFFF
            inside = index | (8 & 0xFFFFFFFF if links.FRAME_BELOW_CFA else 0) << abi.COOKIE_OFFSET_SHIFT
            ways: tuple[links.Point | None, ...] = (
                None,
                links.Point(branch, inside),
                links.Point(entry, index | below << abi.COOKIE_OFFSET_SHIFT, is_return=True),
                links.Point(stepped, inside),
            )

            def once(end: links.Point | None) -> cost.Sample:
                opened: list[int] = []
                taken: list[tuple[str, Shape]] = []
                try:
                    for name, point in (("on_end", end), ("on_entry", links.Point(entry, index) if end else None)):
                        if point is not None:
                            taken.append(
                                (name, shape_of(ReadProgram(), events=False, nests=False, cookie=point.cookie))
                            )
                            program = self._attacher.instances.take(*taken[-1])
                            opened += links.attach(loaded.links, program, specimen.path, [point], specimen.pid)
                    return specimen.run()
                finally:
                    links.close(opened)
                    for each in taken:
                        self._attacher.instances.give_back(*each)

            return cost.as_costs(*cost.measure(once, ways))
        except BpfError:
            return AgentCost()
        finally:
            specimen.close()
            self._indices.give_back(index)

    def close(self) -> None:
        """See `Backend.close`."""
        if self._loading is not None:
            self._loading.cancel()
            self._loading = None
        self._opened.close()
        self._targets.clear()
        self._loaded = None
