# SPDX-License-Identifier: Apache-2.0
"""How much of its CPU time a measured process spends in probe hits: the trap, the program and the way back, as cold as they are there."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from otel_jb.arch.machine import here
from otel_jb.host import procfs
from otel_jb.model.errors import AgentError
from otel_jb.model.plan import EndStrategy, SiteKind
from otel_jb.probes.attach.verify import mappings
from otel_jb.probes.backend import HitTime
from otel_jb.probes.read.hits import BEHIND, HitAddresses
from otel_jb.probes.read.sampler import Sampler
from otel_jb.probes.series import Attached, AttachedTarget

#: Where the end of a call is a hit of which a sample does not show the function.
_HIDDEN = (EndStrategy.URETPROBE, EndStrategy.RET_SITES)


class HitTimer:
    """Samples one process at a time."""

    def __init__(self) -> None:
        self._running: tuple[int, HitAddresses, frozenset[int], Sampler] | None = None

    def begin(self, attached: AttachedTarget) -> bool:
        """Sample the process until `end`; False where that cannot be: it has ended, has too many threads, or the kernel refuses."""
        self.close()
        pid = attached.target.pid
        try:
            addresses = addresses_of(pid, attached.probes)
            hidden = frozenset(item.series.id for item in attached.probes if item.probe.strategy in _HIDDEN)
            self._running = attached.target.id, addresses, hidden, Sampler(pid)
        except (OSError, AgentError):
            return False
        return True

    def end(self) -> HitTime | None:
        """What was seen since; None: nothing is sampled."""
        if self._running is None:
            return None
        target, addresses, hidden, sampler = self._running
        self._running = None
        samples, each_ns = sampler.end()
        counts, unknown = addresses.count(samples)
        each_s = each_ns / 1e9
        return HitTime(target, {s: count * each_s for s, count in counts.items()}, unknown * each_s, hidden, each_s)

    def close(self, targets: Collection[int] | None = None) -> None:
        """Sample no more; `targets`: if it is one of these."""
        if self._running is not None and (targets is None or self._running[0] in targets):
            self._running[3].close()
            self._running = None


def addresses_of(pid: int, probes: Iterable[Attached]) -> HitAddresses:
    """Where the process has the probes' instructions. Raises OSError, AgentError: it has ended."""
    found = HitAddresses(here())
    probes = list(probes)
    files = {file: mappings(pid, os.fstat(file)) for file in {item.set.file for item in probes}}
    for item in probes:
        for site in item.function.of(pid).sites:
            if site.kind is SiteKind.URETPROBE:  # at the entry, which is a site of its own
                continue
            code = os.pread(item.set.file, BEHIND, site.offset)  # no probe is ever in the file
            for mapping in files[item.set.file]:
                if mapping.offset <= site.offset < mapping.offset + mapping.end - mapping.start:
                    found.add(item.series.id, mapping.start + site.offset - mapping.offset, code)
    for area in procfs.uprobe_areas(pid):
        found.add_area(area)
    return found
