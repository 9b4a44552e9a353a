# SPDX-License-Identifier: Apache-2.0
"""Edge sites beside `ret` sites on every function of a running server that a profile knows: counts, frames and return values.

    .venv/bin/python -m benchmarks.ends_and_rets PID [--seconds N]

Root. It asks for the server to be without traffic while probes come and go, says when traffic may begin, and waits for that many seconds. Every call is
followed from its entry over the edge that it crosses to its `ret`, by the program that proves the generated functions in
`tests/bpf/test_edges_corpus.py`. A `ret` site is single-stepped: the server is slower meanwhile.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from otel_jb import catalog
from otel_jb.code.sites import analyse
from otel_jb.elf import symbols
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.probes.attach import links
from tests.bpf import test_edges_corpus as corpus
from tests.bpf.conftest import LINKS

WRONG = {
    "entry frame or arguments": corpus.WRONG_ENTRY,
    "stray edges": corpus.STRAY_EDGE,
    "crossed twice": corpus.TWICE,
    "returned without crossing": corpus.NOT_CROSSED,
    "return value": corpus.WRONG_VALUE,
    "stray rets": corpus.STRAY_RET,
}


def main() -> int:
    """Measure and print; 1 if anything differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pid", type=int)
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    path = Path(f"/proc/{args.pid}/exe").resolve()
    image = Image.from_file(path)
    known = catalog.load()
    matches = [
        m for m in known.match(image.soname, path.name, symbols.find(image, known.patterns())) if not m.function.generic
    ]
    places = {(m.symbol.address, m.symbol.size): m for m in matches}
    codes = analyse(image, list(places), Names(image))
    chosen = [
        (m, c)
        for m, c in zip(places.values(), codes, strict=True)
        if c.edges.spots and not c.edges.refused and not c.rets.refused
    ]
    with corpus.loaded() as kernel:
        sites = corpus.Sites(kernel)
        order = (kernel.ret, kernel.edge, kernel.entry, kernel.first)  # of those at one instruction the last runs first
        points: dict[int, list[links.Point]] = {program: [] for program in order}
        for number, (match, code) in enumerate(chosen):
            entry = corpus.entry_of(code)
            points[kernel.first].append(
                links.Point(image.offset(code.address), sites.add(number, entered=entry is None))
            )
            if entry is not None:
                points[kernel.entry].append(links.Point(entry.offset, sites.add(number, entry)))
            points[kernel.edge] += [links.Point(spot.offset, sites.add(number, spot)) for spot in code.edges.spots]
            width = match.function.return_width
            points[kernel.ret] += [
                links.Point(s.offset, sites.add(number, s, width=width)) for s in corpus.end_of_call(code)
            ]
        opened = [
            fd
            for program, at in points.items()
            if at
            for fd in links.attach(LINKS[0], program, str(path), at, args.pid)
        ]
        print("attached", flush=True)
        time.sleep(args.seconds)
        counts = [kernel.counts(number) for number in range(len(chosen))]
        links.close(opened)
    called, wrong = 0, 0
    for (match, _), c in zip(chosen, counts, strict=True):
        bad = {what: c[at] for what, at in WRONG.items() if c[at]}
        called += c[corpus.RETURNED] > 0
        wrong += bool(bad) or c[corpus.CROSSED] != c[corpus.RETURNED]
        if bad or c[corpus.CROSSED] != c[corpus.RETURNED] or c[corpus.RETURNED] != c[corpus.ENTRIES]:
            print(
                f"{match.symbol.function}: {c[corpus.ENTRIES]} entries, {c[corpus.CROSSED]} crossed, {c[corpus.RETURNED]} returned; {bad}"
            )
    totals = [sum(c[at] for c in counts) for at in (corpus.ENTRIES, corpus.CROSSED, corpus.RETURNED, corpus.COMPARED)]
    print(
        f"{len(matches)} functions known, {len(chosen)} with edges, {called} called, {wrong} wrong; entries, crossed, returned, values compared: {totals}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
