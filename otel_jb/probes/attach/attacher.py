# SPDX-License-Identifier: Apache-2.0
"""Puts probes into files and takes them out: which programs at which sites, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from otel_jb.model.errors import AgentError, AttachError
from otel_jb.model.plan import Probe
from otel_jb.model.reads import LATE
from otel_jb.probes import abi, features
from otel_jb.probes.attach import cookies, links
from otel_jb.probes.bpf import BpfError
from otel_jb.probes.programs import sharecode
from otel_jb.probes.programs.instances import Instances, shared
from otel_jb.probes.programs.template import Shape, at_site, of_pair, shape_of, with_arguments
from otel_jb.probes.series import Function, Links, ProbeSet

MOST_COOKIES = 2  #: maximum number of programs, one for each cookie of a probe's sites: each is another link to detach


class Attacher:
    """Makes and closes links. Not thread-safe, as the backend that it serves."""

    def __init__(self, kind: str, instances: Instances, *, events: bool, late: bool) -> None:
        self.kind = kind
        self.instances = instances
        self._events, self._late = events, late  # calls that are slow, and those of late packets, leave events
        self._sessions: bool | None = None

    @property
    def sessions(self) -> bool:
        """Whether a return probe can be left out, call by call."""
        if self._sessions is None:
            self._sessions = self.kind == "multi" and features.has_sessions()
        return self._sessions

    def is_private(self, probe: Probe) -> bool:
        """Whether the probe must not reach a process that was not examined."""
        return probe.strategy.changes_return_address and not self.sessions

    def link(self, function: Function, probes: ProbeSet, pid: int, form: int, base: int | None = None) -> Links:
        """Attach a function's sites, ends first so that no call is entered whose end would not be seen; pid 0: every process. `form`: of
        the links, to tell them from those that they replace. `base`: the first series of this process, where it has any yet.

        Raises AttachError with nothing left attached.
        """
        probe, made = function.of(pid), Links()
        late = [place for place, reason in enumerate(probe.drop_reasons) if self._late and reason == LATE]
        shape = shape_of(
            probe.read,
            events=self._events,
            nests=probes.nests,
            form=form,
            goroutine=probe.goroutine,
            late=late,
            # What the scheduler did with a thread that may run something else meanwhile says nothing of the call.
            share=sharecode.here() if self._events and not probe.may_yield else None,
        )
        if pid and base is not None and self.sessions and not probes.private:
            shape = replace(shape, word=abi.cache_word(pid, probes.number, base))
        starts, stops = with_arguments(shape, cookies.marks(probe)), shape
        if probe.pair is not None:
            starts, stops = (of_pair(shape, probe.pair, stop=stop) for stop in (False, True))
        entries, ends = cookies.points(probe, probes.number, function.number)
        try:
            if probe.strategy.changes_return_address and self.sessions:
                self._place("on_session", ends, shape, made.entries, made, probes.path, pid)
            else:
                with_code = replace(stops, sites=cookies.site_codes(probe))
                self._place("on_end", ends, with_code, made.ends, made, probes.path, pid)
                self._place("on_entry", entries, starts, made.entries, made, probes.path, pid)
        except (BpfError, AgentError) as error:
            self.close([made])
            if isinstance(error, AgentError):
                raise AttachError(error.message, error.help) from error
            raise AttachError(links.explain(error)) from error
        return made

    def _place(
        self,
        name: str,
        points: Sequence[links.Point],
        shape: Shape,
        opened: list[int],
        made: Links,
        path: str,
        pid: int,
    ) -> None:
        session = name == "on_session"
        for one, group in self._grouped(points, shape):
            if session and one.cookie is not None and len(group) == 1:
                one = at_site(one, group[0].offset)
            program = self.instances.take(name, one)
            made.programs.append((name, one))
            if session:
                opened.append(links.link_multi(program, path, group, pid, session=True))
            else:
                opened += links.attach(self.kind, program, path, group, pid)

    def _grouped(self, points: Sequence[links.Point], shape: Shape) -> list[tuple[Shape, list[links.Point]]]:
        """The points by the program that serves them: one for each cookie where these are few, else one that asks for the cookie."""
        groups: dict[int, list[links.Point]] = {}
        for point in points:
            groups.setdefault(point.cookie, []).append(point)
        if len(groups) > MOST_COOKIES or not self.instances.room(len(groups)):
            return [(shared(shape), list(points))]
        return [(replace(shape, cookie=cookie), group) for cookie, group in groups.items()]

    def close_entries(self, made: Iterable[Links]) -> None:
        """No call begins any more."""
        everything = list(made)
        links.close([fd for one in everything for fd in one.entries])
        for one in everything:
            one.entries = []

    def close(self, made: Iterable[Links]) -> None:
        """Detach, entries first, and give the programs back."""
        everything = list(made)
        self.close_entries(everything)
        links.close([fd for one in everything for fd in one.ends])
        for one in everything:
            one.ends = []
            for name, shape in one.programs:
                self.instances.give_back(name, shape)
            one.programs = []
