"""Puts probes into processes and takes them out: which programs at which sites, and in which order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from otel_jb.model.errors import AgentError, AttachError
from otel_jb.model.plan import LoadHook
from otel_jb.model.reads import ReadProgram
from otel_jb.probes import abi
from otel_jb.probes.attach import cookies, links
from otel_jb.probes.attach.gates import Gates
from otel_jb.probes.bpf import BpfError
from otel_jb.probes.programs.compiled import Loaded
from otel_jb.probes.programs.instances import Instances, shared
from otel_jb.probes.programs.template import Shape, at_site, shape_of
from otel_jb.probes.read.maps import WordArray
from otel_jb.probes.read.reader import Reader
from otel_jb.probes.series import Attached, AttachedTarget

DRAIN_S = 0.1  #: how long a detached probe's calls in flight may still end
MOST_COOKIES = (
    2  #: a program of its own for each cookie of a probe's sites, up to so many: each is another link to detach
)
_SHUT = 1 << 32  #: in the word of `series.group`: a gated probe begins no call any more


class Attacher:
    """Links of all probes. Not thread-safe, as the backend that it serves."""

    def __init__(self, loaded: Loaded, series: WordArray, series_words: int, reader: Reader, *, events: bool) -> None:
        """Loads each program once, for whoever is to be told early. Raises PermissionDeniedError, UnsupportedError."""
        self.kind = loaded.links
        self.instances = Instances(loaded.templates, loaded.maps, multi=loaded.links == "multi")
        self.instances.check()
        self.gates = Gates(loaded.maps["gates"])
        self._series, self._series_words = series, series_words
        self._reader = reader
        self._events = events

    def link(self, item: Attached, attached: AttachedTarget, hook: LoadHook | None = None) -> None:
        """Attach the probe's sites, ends first so that no call is entered whose end would not be seen. Raises AttachError."""
        if item.probe.gated:
            self._watch_loads(attached, hook)
        self._series.words[item.index * self._series_words + abi.SERIES_GROUP] = item.group
        shape = shape_of(item.probe.read, events=self._events, nests=item.nests, gate=attached.gate or 0)
        entries, ends = cookies.points(item.probe, item.index)
        # What was loaded for it before (it was shed since) stays loaded until its links are there again.
        before, item.programs = item.programs, []
        try:
            if item.probe.gated:
                self._place(item, "on_session", ends, shape, item.entry_links, attached.target.pid)
            else:
                with_code = replace(shape, sites=cookies.site_codes(item.probe))
                self._place(item, "on_end", ends, with_code, item.end_links, attached.target.pid)
                self._place(item, "on_entry", entries, shape, item.entry_links, attached.target.pid)
        except (BpfError, AgentError) as error:
            links.close([*item.entry_links, *item.end_links])
            item.entry_links, item.end_links = [], []
            if isinstance(error, AgentError):
                raise AttachError(error.message, error.help) from error
            raise AttachError(links.explain(error)) from error
        finally:
            self._give_back(before)
        item.since_ns = time.monotonic_ns()

    def _place(
        self, item: Attached, name: str, points: Sequence[links.Point], shape: Shape, opened: list[int], pid: int
    ) -> None:
        session = name == "on_session"
        for one, group in self._grouped(points, shape):
            if session and one.cookie is not None and len(group) == 1:
                one = at_site(one, group[0].offset)
            program = self.instances.take(name, one)
            item.programs.append((name, one))
            if session:
                opened.append(links.link_multi(program, item.probe.file, group, pid, session=True))
            else:
                opened += links.attach(self.kind, program, item.probe.file, group, pid)

    def _grouped(self, points: Sequence[links.Point], shape: Shape) -> list[tuple[Shape, list[links.Point]]]:
        """The points by the program that serves them: one for each cookie where these are few, else one that asks for the cookie."""
        groups: dict[int, list[links.Point]] = {}
        for point in points:
            groups.setdefault(point.cookie, []).append(point)
        if len(groups) > MOST_COOKIES or not self.instances.room(len(groups)):
            return [(shared(shape), list(points))]
        return [(replace(shape, cookie=cookie), group) for cookie, group in groups.items()]

    def _watch_loads(self, attached: AttachedTarget, hook: LoadHook | None) -> None:
        """Have the gate of the process close when it loads something. Raises AttachError."""
        if attached.gate is not None:
            return
        if hook is None:
            raise AttachError("nothing tells what the process loads")
        gate = self.gates.take()
        shape = shape_of(ReadProgram(), events=False, nests=False, cookie=0, gate=gate)
        try:
            program = self.instances.take("on_load", shape)
            try:
                points = [links.Point(hook.offset, 0)]
                attached.hook_links = links.attach(self.kind, program, hook.file, points, attached.target.pid)
            finally:
                self.instances.give_back("on_load", shape)  # its link keeps it
        except BpfError as error:
            self.gates.give_back(gate)
            raise AttachError(f"what the process loads cannot be seen: {links.explain(error)}") from error
        attached.gate = gate

    def unlink(self, items: Sequence[Attached]) -> None:
        """Detach entries, let calls in flight end, then detach ends."""
        linked = [item for item in items if item.entry_links]
        if not linked:
            return
        now = time.monotonic_ns()
        gated = [item for item in linked if item.probe.gated]
        links.close([fd for item in linked if not item.probe.gated for fd in item.entry_links])
        for item in gated:  # one link is both
            self._series.words[item.index * self._series_words + abi.SERIES_GROUP] = item.group | _SHUT
        deadline = time.monotonic() + DRAIN_S
        indices = {item.index for item in linked}
        while self._reader.in_flight(indices) and time.monotonic() < deadline:
            time.sleep(0.005)
        links.close(
            [fd for item in linked for fd in item.end_links] + [fd for item in gated for fd in item.entry_links]
        )
        for item in linked:
            item.attached_ns = item.time_attached(now)
            item.since_ns = None
            item.entry_links, item.end_links = [], []

    def forget(self, item: Attached) -> None:
        """Nothing of the probe is attached any more, and nothing will be."""
        self._give_back(item.programs)
        item.programs = []

    def forget_target(self, attached: AttachedTarget) -> None:
        """Nothing of the process is attached any more."""
        links.close(attached.hook_links)
        attached.hook_links = []
        if attached.gate is not None:
            self.gates.give_back(attached.gate)
            attached.gate = None

    def _give_back(self, programs: Sequence[tuple[str, Shape]]) -> None:
        for name, shape in programs:
            self.instances.give_back(name, shape)

    def close(self, targets: Sequence[AttachedTarget]) -> None:
        """Detach everything at once, without waiting for calls in flight."""
        everything = [item for attached in targets for item in attached.probes]
        links.close([fd for item in everything for fd in item.entry_links])
        links.close([fd for item in everything for fd in item.end_links] + [fd for a in targets for fd in a.hook_links])
        self.instances.close()
        self.gates.close()
