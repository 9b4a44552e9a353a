# SPDX-License-Identifier: Apache-2.0
"""An opened row as lines: its values, the verdict, calls by duration over time, and the last slow calls with their stacks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from otel_jb.views.numbers import NONE, span_text
from otel_jb.views.opened import Opened, SlowCall, Verdict
from otel_jb.views.rows import Row
from otel_jb.views.table import Line, width_of

_GAP = "   "


def detail(
    title: str,
    values: Mapping[str, str],
    row: object,
    opened: Opened | None,
    heat: Sequence[str],
    width: int,
) -> list[Line]:
    """The whole of it, as many lines as it takes; the caller cuts them to the width.

    Args:
        title: what was opened.
        values: its columns by name; those without a value are left out.
        row: a function's has what its profile adds up.
        opened: the verdict and slow calls; None: not read yet.
        heat: the picture of calls by duration.
        width: columns of the terminal.
    """
    parts = [f"{name} {text}" for name, text in values.items() if text != NONE]
    found = [Line(title, heading=True), *map(Line, _wrapped(parts, width))]
    if isinstance(row, Row):
        found += [Line(f"{name} {value:.12g} {unit.strip('{}')}") for name, unit, value in row.added]
    if opened is not None:
        found += [Line(""), *_of_verdict(opened.verdict)]
    if isinstance(row, Row):
        found.append(Line(""))
        found += [Line("calls by duration", heading=True), *map(Line, heat)] if heat else [Line("no timed call yet")]
    if opened is not None:
        found += [Line(""), *_of_slow_calls(opened)]
    return found


def _wrapped(parts: Iterable[str], width: int) -> Iterator[str]:
    """The parts side by side, on as many lines as they take."""
    line = ""
    for part in parts:
        longer = f"{line}{_GAP}{part}" if line else part
        if line and width_of(longer) > width:
            yield line
            longer = part
        line = longer
    if line:
        yield line


def _of_verdict(verdict: Verdict | None) -> Iterator[Line]:
    if verdict is None or not verdict.seconds:
        yield Line("verdict: not yet known", heading=True)
    elif verdict.culprits:
        yield Line(f"verdict: the {' and the '.join(verdict.culprits)}", heading=True)
    else:
        yield Line(f"verdict: nothing that could be seen is over a limit in {verdict.seconds} s", heading=True)
    if verdict is not None:
        yield from (Line(f"  {each}") for each in verdict.findings)
        yield from (Line(f"  not known: {each}", weak=True) for each in verdict.missing)


def _of_slow_calls(opened: Opened) -> Iterator[Line]:
    if not opened.slow_calls:
        said = "no slow call yet" if opened.keeps_slow_calls else "slow calls are not kept one by one: page.slow_calls"
        yield Line(said)
        return
    yield Line("last slow calls", heading=True)
    for call in opened.slow_calls:
        at, milliseconds = time.localtime(call.end_unix_ms // 1000), call.end_unix_ms % 1000
        yield Line(
            f"{time.strftime('%H:%M:%S', at)}.{milliseconds:03}  {span_text(call.took_ns)}  {call.function}  {call.thread}"
        )
        yield Line(f"  {_share(call)}")
        yield from (Line(f"  inside: {name} {span_text(took)}") for name, took in call.inside)
        yield from (Line(f"    {line}", weak=True) for line in call.stack)


def _share(call: SlowCall) -> str:
    """What the call's thread did meanwhile."""
    if call.share_ns is None:
        unknown = "not known" + (": other coroutines may have run meanwhile" if call.may_yield else "")
        return f"what its thread did is {unknown}"
    ran, waited, blocked = map(span_text, call.share_ns)
    return f"ran {ran}, waited for a CPU {waited}, blocked {blocked}"
