"""From a probe's sites to attach points: which program runs at which file offset, with which cookie."""

from __future__ import annotations

from otel_jb.model.plan import EndStrategy, FrameBase, Probe, ProbeSite, SiteKind
from otel_jb.probes import abi
from otel_jb.probes.attach.links import FRAME_BELOW_CFA, Point


def points(probe: Probe, series: int) -> tuple[list[Point], list[Point]]:
    """The entry points (program `on_entry`) and the end points (program `on_end`) of a probe.

    Raises ValueError for a frame offset that the cookie cannot hold; no compiler makes one.
    """
    entries = [_point(site, series, probe) for site in probe.sites if site.kind is SiteKind.ENTRY]
    ends = [_point(site, series, probe) for site in probe.sites if site.kind is not SiteKind.ENTRY]
    return entries, ends


def _point(site: ProbeSite, series: int, probe: Probe) -> Point:
    base, offset = site.frame_base, site.frame_offset
    if site.kind is SiteKind.URETPROBE:
        # It runs after the return, when the stack pointer is the CFA again, wherever in the entry block it was placed.
        base, offset = FrameBase.SP, FRAME_BELOW_CFA
    if not -(1 << 31) <= offset < 1 << 31:
        raise ValueError(f"frame offset {offset}")
    if site.return_register is not None:
        if not -(1 << 27) <= offset < 1 << 27 or not 0 <= site.return_register < 16:
            raise ValueError(f"frame offset {offset}, return value in register {site.return_register}")
        offset = offset << 4 | site.return_register
    cookie = series | (offset & 0xFFFFFFFF) << abi.COOKIE_OFFSET_SHIFT
    if site.return_register is not None:
        cookie |= abi.COOKIE_RETURN_ELSEWHERE
    if base is FrameBase.FP:
        cookie |= abi.COOKIE_FP
    if site.kind is SiteKind.EDGE and site.condition is not None:
        cookie |= abi.COOKIE_CONDITIONAL | site.condition << abi.COOKIE_CC_SHIFT
        if site.taken:
            cookie |= abi.COOKIE_TAKEN
    if site.optional:
        cookie |= abi.COOKIE_OPTIONAL
    # Where nothing is returned there is nothing that an end could fail to know: its program runs at every end.
    if probe.return_width and not site.return_valid and site.return_register is None:
        cookie |= abi.COOKIE_NO_RETURN
    if site.kind is SiteKind.ENTRY and probe.strategy is EndStrategy.ENTRY_ONLY:
        cookie |= abi.COOKIE_ENTRY_ONLY
    return Point(site.offset, cookie, site.kind is SiteKind.URETPROBE)
