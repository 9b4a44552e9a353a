# SPDX-License-Identifier: Apache-2.0
"""Reads how long packets stayed in buffers (bpf/residence.h), and frees what ended buffers leave behind."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING

from otel_jb.model.reads import Op
from otel_jb.model.stream import ResidenceSnapshot
from otel_jb.probes import abi
from otel_jb.probes.programs.reading import emits
from otel_jb.probes.read.maps import WordArray, wait_for_grace

if TYPE_CHECKING:
    from otel_jb.probes.series import Attached

IDLE_NS = 60_000_000_000  #: a buffer without a packet for so long has ended


class ResidenceReader:
    """The one reader of the histograms of residence, and who frees slots of buffers.

    Args:
        places: the slots of buffers whose packets are followed, among others.
        residences: the histograms, by group of buffers.
        buckets: how many buckets one has.
    """

    def __init__(self, places: WordArray, residences: WordArray, buckets: int) -> None:
        self._places, self._residences = places, residences
        self._words = abi.residence_words(buckets)

    def begin(self, group: int) -> None:
        """A group of buffers begins to be measured; nobody counts into it yet."""
        if group < abi.RESIDENCES:
            self._residences.reach((group + 1) * self._words)
            self._residences.write(group * self._words, bytes(8 * self._words))

    def snapshot(self, items: Iterable[Attached], *, roll: bool) -> tuple[ResidenceSnapshot, ...]:
        """What the buffers of these functions told, by group; nothing of groups where packets are seen to go in or to come out alone."""
        groups: dict[int, list[Attached]] = {}
        for item in items:
            if item.series.has_residence and item.group < abi.RESIDENCES:
                groups.setdefault(item.group, []).append(item)
        if groups and roll:
            self._free_idle(groups)
        found = []
        for group, members in groups.items():
            leaving = [item for item in members if _leaves(item)]
            if not leaving or not any(emits(item.probe.read.entry, Op.ENTERS) for item in members):
                continue
            teller = min(leaving, key=lambda item: (not item.series.primary, item.series.id))
            words = self._residences.block(group, self._words)
            found.append(
                ResidenceSnapshot(
                    target=teller.series.target,
                    series=teller.series.id,
                    sum_ns=words[abi.RESIDENCE_SUM_NS],
                    buckets=tuple(words[abi.RESIDENCE_BUCKETS :]),
                    unmatched=tuple(zip(abi.UNMATCHED, words[abi.RESIDENCE_UNMATCHED :], strict=False)),
                )
            )
        return tuple(found)

    def _free_idle(self, groups: Iterable[int]) -> None:
        wanted, now = set(groups), time.monotonic_ns()
        words = self._places.words
        self._free(
            at
            for at, key in self._keys()
            if key & 0xFFFF in wanted and 0 < words[at + abi.FLOW_SEEN_NS] < now - IDLE_NS
        )

    def _keys(self) -> Iterator[tuple[int, int]]:
        """Where each slot begins, and the key in it."""
        keys = self._places.words[abi.FLOW_AT :: abi.PLACE_WORDS].tolist()
        return zip(count(abi.FLOW_AT, abi.PLACE_WORDS), keys, strict=False)

    def _free(self, slots: Iterable[int]) -> None:
        """No packet has passed these buffers for long; should one come now, it begins another."""
        slots = list(slots)
        if not slots:
            return
        words = self._places.words
        for at in slots:
            words[at] = abi.FLOW_ENDED
        wait_for_grace()
        for at in slots:
            self._places.write(at + 1, bytes(8 * (abi.FLOW_WORDS - 1)))
            words[at] = 0

    def forget(self, groups: set[int]) -> None:
        """Forget which packets are in the buffers of these groups: those that come out later count as unseen.

        Their places are not looked for. A buffer that is found again is born anew, so what was put before is never found.
        """
        wanted = {group for group in groups if group < abi.RESIDENCES}
        if wanted:
            self._free(at for at, key in self._keys() if key and key & 0xFFFF in wanted)


def _leaves(item: Attached) -> bool:
    """Whether packets are seen to come out by this function."""
    read = item.probe.read
    return emits(read.entry, Op.LEAVES) or emits(read.end, Op.LEAVES)
