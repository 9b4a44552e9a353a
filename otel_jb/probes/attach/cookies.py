# SPDX-License-Identifier: Apache-2.0
"""From a probe's sites to attach points: which program runs at which file offset, with which cookie."""

from __future__ import annotations

from collections.abc import Sequence

from otel_jb.model.plan import FrameBase, Probe, ProbeSite, SiteKind
from otel_jb.probes import abi
from otel_jb.probes.attach.links import FRAME_BELOW_CFA, Point
from otel_jb.probes.programs.markcode import MarkCode, mark_codes
from otel_jb.probes.programs.sitecode import SiteCode


def points(probe: Probe, of_set: int, number: int) -> tuple[list[Point], list[Point]]:
    """The entry points (program `on_entry`) and the end points (program `on_end`) of a probe, the set's function of this number.

    Raises ValueError for a frame offset that the cookie cannot hold; no compiler makes one.
    """
    codes, which = site_codes(probe), number | of_set << abi.NUMBER_BITS
    entries = [_point(site, which, probe, codes) for site in probe.sites if site.kind is SiteKind.ENTRY]
    ends = [_point(site, which, probe, codes) for site in probe.sites if site.kind is not SiteKind.ENTRY]
    return entries, ends


def site_codes(probe: Probe) -> tuple[SiteCode, ...]:
    """The code of a probe's end sites, by the number that their cookies carry."""
    return tuple(dict.fromkeys(_code(site) for site in probe.sites if site.has_code))


def marks(probe: Probe) -> tuple[MarkCode, ...]:
    """Where the arguments of a USDT probe are."""
    return mark_codes([(site.offset, site.arguments) for site in probe.sites if site.arguments is not None])


def _code(site: ProbeSite) -> SiteCode:
    return SiteCode(site.returned, site.callers)


def _point(site: ProbeSite, which: int, probe: Probe, codes: Sequence[SiteCode]) -> Point:
    base, offset = site.frame_base, site.frame_offset
    if site.kind is SiteKind.URETPROBE:
        # It runs after the return, when the stack pointer is the CFA again, wherever in the entry block it was placed.
        base, offset = FrameBase.SP, FRAME_BELOW_CFA
    if not -(1 << 31) <= offset < 1 << 31:
        raise ValueError(f"frame offset {offset}")
    if site.has_code:
        bits = abi.COOKIE_SITE_BITS
        if not -(1 << 31 - bits) <= offset < 1 << 31 - bits:
            raise ValueError(f"frame offset {offset} of a site with code of its own")
        offset = offset << bits | codes.index(_code(site))
    cookie = which | (offset & 0xFFFFFFFF) << abi.COOKIE_OFFSET_SHIFT
    if site.has_code:
        cookie |= abi.COOKIE_SITE
    if base is FrameBase.FP:
        cookie |= abi.COOKIE_FP
    if site.kind is SiteKind.EDGE and site.condition is not None:
        cookie |= abi.COOKIE_CONDITIONAL | site.condition << abi.COOKIE_CC_SHIFT
        if site.taken:
            cookie |= abi.COOKIE_TAKEN
    if site.kind is SiteKind.EDGE and any(
        other.kind is SiteKind.ENTRY and other.offset == site.offset for other in probe.sites
    ):
        cookie |= abi.COOKIE_BOTH
    if site.optional:
        cookie |= abi.COOKIE_OPTIONAL
    # Where nothing is returned there is nothing that an end could fail to know: its program runs at every end.
    if probe.return_width and site.returned is None:
        cookie |= abi.COOKIE_NO_RETURN
    if site.kind is SiteKind.ENTRY and not probe.strategy.timed:
        cookie |= abi.COOKIE_ENTRY_ONLY
    return Point(site.offset, cookie, site.kind is SiteKind.URETPROBE, site.semaphore)
