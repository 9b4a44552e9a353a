# SPDX-License-Identifier: Apache-2.0
"""Edge sites against `ret` sites, call by call, over functions that gcc and clang made in every usual way."""

from __future__ import annotations

import os
import re
import resource
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from otel_jb.arch.instruction import Price
from otel_jb.code.facts import FunctionCode, Spot
from otel_jb.code.sites import analyse
from otel_jb.elf import symbols
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.model.plan import Origin
from otel_jb.probes.attach import links
from otel_jb.probes.programs import bcc_module
from otel_jb.probes.programs.source import bpf_directory
from tests import corpus_functions as corpus
from tests.bpf.conftest import LINKS
from tests.scale import SCALE, patience

PROGRAM = r"""
#include <uapi/linux/ptrace.h>
// The cookie is the number of a row of `sites`.
enum { CONDITIONAL = 1, TAKEN = 2, FRAME_POINTER = 4, OPTIONAL = 8, SIGNED = 16, ENTERED = 32 };
enum { REGISTER = 1, CONSTANT = 2, STACK = 3 };
struct site { u64 function, offset, flags, condition, kind, number, width, known, callers[8]; };
struct call { u64 a, b, returned, state, known; };
BPF_ARRAY(sites, struct site, 65536);
BPF_HASH(calls, u64, struct call, 65536);
BPF_ARRAY(counts, u64, 16 * 4096);
#define INLINE static inline __attribute__((always_inline))
INLINE struct site *site_of(void *ctx) { u32 number = bpf_get_attach_cookie(ctx); return sites.lookup(&number); }
INLINE void count(struct site *s, u32 what) {
  u32 i = (s->function & 4095) * 16 + what;
  u64 *p = counts.lookup(&i);
  if (p) __sync_fetch_and_add(p, 1);
}
INLINE u64 key(struct site *s, u64 frame) { return frame << 12 | (s->function & 4095); }
INLINE int crosses(struct site *s, u64 fl) {
  if (!(s->flags & CONDITIONAL)) return 1;
  u32 cf = fl & 1, pf = fl >> 2 & 1, zf = fl >> 6 & 1, sf = fl >> 7 & 1, of = fl >> 11 & 1, t;
  switch (s->condition >> 1 & 7) {
    case 0: t = of; break; case 1: t = cf; break; case 2: t = zf; break; case 3: t = cf | zf; break;
    case 4: t = sf; break; case 5: t = pf; break; case 6: t = sf ^ of; break; default: t = zf | (sf ^ of);
  }
  t ^= s->condition & 1;
  return t == !!(s->flags & TAKEN);
}
INLINE u64 frame_of(struct site *s, u64 sp, u64 bp) {
  asm volatile("" : "+r"(sp), "+r"(bp));
  return (s->flags & FRAME_POINTER ? bp : sp) + s->offset;
}
INLINE u64 extended(u64 v, u64 width, u64 is_signed) {
  u64 shift = 64 - 8 * width & 63;
  return is_signed ? (u64)((s64)(v << shift) >> shift) : v << shift >> shift;
}
int on_first(struct pt_regs *ctx) {
  u64 frame = ctx->sp, a = ctx->di, b = ctx->si;
  struct site *s = site_of(ctx);
  if (!s) return 0;
  u64 k = key(s, frame);
  struct call c = {};
  c.a = a; c.b = b; c.state = s->flags & ENTERED ? 2 : 1;
  count(s, 0);
  calls.update(&k, &c);
  return 0;
}
int on_entry(struct pt_regs *ctx) {
  u64 sp = ctx->sp, bp = ctx->bp, di = ctx->di, si = ctx->si;
  struct site *s = site_of(ctx);
  if (!s) return 0;
  u64 k = key(s, frame_of(s, sp, bp));
  struct call *c = calls.lookup(&k);
  count(s, 1);
  if (!c || c->state != 1 || c->a != di || c->b != si) { count(s, 2); return 0; }
  c->state = 2;
  return 0;
}
int on_edge(struct pt_regs *ctx) {
  volatile u64 r[16] = { ctx->ax, ctx->cx, ctx->dx, ctx->bx, ctx->sp, ctx->bp, ctx->si, ctx->di,
                         ctx->r8, ctx->r9, ctx->r10, ctx->r11, ctx->r12, ctx->r13, ctx->r14, ctx->r15 };
  u64 fl = ctx->flags, ip = ctx->ip, word = 0;
  struct site *s = site_of(ctx);
  if (!s) return 0;
  if (!crosses(s, fl)) return 0;
  u64 frame = frame_of(s, r[4], r[5]), k = key(s, frame);
  struct call *c = calls.lookup(&k);
  if (!c) { if (!(s->flags & OPTIONAL)) count(s, 4); return 0; }
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (!s->callers[2 * i]) break;
    bpf_probe_read_user(&word, 8, (void *)(frame + s->callers[2 * i]));
    if (word - ip != s->callers[2 * i + 1]) { count(s, 11); return 0; }
  }
  count(s, 3);
  if (s->callers[0]) count(s, 12);
  if (c->state != 2) count(s, 5);
  c->state = s->kind ? 4 : 3;
  c->known = s->known;
  u64 v = r[s->number & 15];
  if (s->kind == CONSTANT) v = s->number;
  if (s->kind == STACK) { v = 0; bpf_probe_read_user(&v, 8, (void *)(frame + s->number)); }
  if (s->kind != CONSTANT) v = extended(v, s->width, s->flags & SIGNED);
  c->returned = v;
  return 0;
}
int on_ret(struct pt_regs *ctx) {
  u64 fl = ctx->flags, sp = ctx->sp, bp = ctx->bp, rv = ctx->ax;
  struct site *s = site_of(ctx);
  if (!s) return 0;
  if (!crosses(s, fl)) return 0;
  u64 k = key(s, frame_of(s, sp, bp));
  struct call *c = calls.lookup(&k);
  if (!c) { if (!(s->flags & OPTIONAL)) count(s, 7); return 0; }
  // What is called last is called from elsewhere, too, maybe where a call that an exception ended had its frame.
  if (c->state < 3 && s->flags & OPTIONAL) return 0;
  count(s, 6);
  if (c->state < 3) count(s, 8);
  if (c->state == 4 && s->width) {
    u64 width = c->known < s->width ? c->known : s->width;
    count(s, 9);
    if (extended(c->returned, width, 0) != extended(rv, width, 0)) count(s, 10);
  }
  calls.delete(&k);
  return 0;
}
"""
CONDITIONAL, TAKEN, FRAME_POINTER, OPTIONAL, SIGNED, ENTERED = (1 << n for n in range(6))
KINDS = {Origin.REGISTER: 1, Origin.RESULT: 1, Origin.CONSTANT: 2, Origin.STACK: 3}
_MASK = (1 << 64) - 1
ENTRIES, AT_ENTRY, WRONG_ENTRY, CROSSED, STRAY_EDGE, TWICE, RETURNED, STRAY_RET, NOT_CROSSED, COMPARED, WRONG_VALUE = (
    range(11)
)
OTHERS, LENT = 11, 12  #: ends of other callers that were told apart, and ends of functions that were called last
#: Where a site is a perf event, it takes two descriptors; a machine that boots without systemd gives a process 1 024.
DESCRIPTORS = 16_384
SLOTS = 4096
FUNCTIONS = 46  #: of each source: with 40 builds more than 1 500 are covered


@dataclass(frozen=True, slots=True)
class Kernel:
    """The loaded test program."""

    module: Any
    first: int
    entry: int
    edge: int
    ret: int

    def counts(self, function: int) -> list[int]:
        """The counters of one function."""
        table = self.module[b"counts"]
        return [table[table.Key(function * 16 + n)].value for n in range(16)]

    def clear(self) -> None:
        """Forget everything."""
        self.module[b"counts"].clear()
        self.module[b"calls"].clear()


@contextmanager
def loaded() -> Iterator[Kernel]:
    """A BPF program that follows every call from its entry over the edge that it crosses to its `ret`."""
    os.environ["BCC_KERNEL_SOURCE"] = str(bpf_directory() / "shim")
    bcc = bcc_module.load()
    module = bcc.BPF(text=PROGRAM.encode(), cflags=["-w", f"-DPAGE_SIZE={resource.getpagesize()}"])
    programs = [
        module.load_func(name.encode(), bcc.BPF.KPROBE, attach_type=48 if LINKS[0] == "multi" else 0).fd
        for name in ("on_first", "on_entry", "on_edge", "on_ret")
    ]
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(before[1], DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        yield Kernel(module, *programs)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        module.cleanup()


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """The program, loaded once."""
    with loaded() as program:
        yield program


class Sites:
    """Rows of the program's table of sites; a site's cookie is the number of its row."""

    def __init__(self, kernel: Kernel) -> None:
        self._table = kernel.module[b"sites"]
        self._rows = 0

    def add(self, function: int, spot: Spot | None = None, *, width: int = 0, entered: bool = False) -> int:
        """The cookie of a site; None is a function's first instruction. `width`: of the value that a `ret` returns; `entered`: no
        entry site follows.
        """
        row = self._table.Leaf()
        row.function, row.width, row.flags = function, width, ENTERED * entered
        if spot is not None:
            row.offset = spot.displacement & _MASK
            row.condition = spot.condition or 0
            place = spot.returned
            row.flags = (
                CONDITIONAL * (spot.condition is not None)
                | TAKEN * spot.taken
                | FRAME_POINTER * (spot.base == "fp")
                | OPTIONAL * spot.optional
                | SIGNED * (place is not None and place.signed)
            )
            if place is not None and not spot.ret:
                row.kind, row.number = KINDS[place.kind], place.number & _MASK
                row.width, row.known = place.width, place.known
            for n, number in enumerate(number for pair in spot.callers for number in pair):
                row.callers[n] = number & _MASK
        self._table[self._table.Key(self._rows)] = row
        self._rows += 1
        return self._rows - 1


def end_of_call(code: FunctionCode) -> tuple[Spot, ...]:
    """Where a call ends without doubt: `ret`, and the tail jumps that both ways of looking take as ends."""
    return code.rets.spots


def entry_of(code: FunctionCode) -> Spot | None:
    """The cheapest entry site with both arguments intact, before any end or at the first one."""
    block = {spot.address for spot in code.entries}
    limit = min((spot.address for spot in code.edges.spots if spot.address in block), default=1 << 64)
    fit = [s for s in code.entries if not {1, 2} & set(s.clobbered) and code.address < s.address <= limit]
    cheap = [s for s in fit if s.price is Price.EMULATED]
    last = cheap or fit
    return last[-1] if last else None  # the last of the block: the one most in danger


def passes_a_call(code: FunctionCode) -> bool:
    """Whether an end is seen at the call of a function that returns within a moment; `free`, which is known by name, is left out of the time."""
    return not code.edges.note and any(spot.text.startswith("call") for spot in code.edges.spots)


def begins_at_an_end(code: FunctionCode) -> bool:
    """Whether the entry is an end, too."""
    entry = entry_of(code)
    return entry is not None and entry.address in {spot.address for spot in code.edges.spots}


def run(kernel: Kernel, program: Path, codes: dict[str, FunctionCode]) -> dict[str, list[int]]:
    """Attach to a program, let it call every function, and return the counters by function."""
    kernel.clear()
    points: dict[int, list[links.Point]] = {kernel.first: [], kernel.entry: [], kernel.edge: [], kernel.ret: []}
    sites = Sites(kernel)
    image = Image.from_file(program)
    for number, (name, code) in enumerate(codes.items()):
        assert number < SLOTS
        width = corpus.WIDTHS[name[0]]
        entry = entry_of(code)
        first = sites.add(number, entered=entry is None)
        points[kernel.first].append(links.Point(image.offset(code.address), first))
        if entry is not None:
            points[kernel.entry].append(links.Point(entry.offset, sites.add(number, entry)))
        points[kernel.edge] += [links.Point(spot.offset, sites.add(number, spot)) for spot in code.edges.spots]
        points[kernel.ret] += [
            links.Point(spot.offset, sites.add(number, spot, width=width)) for spot in end_of_call(code)
        ]
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        order = (kernel.ret, kernel.edge, kernel.entry, kernel.first)  # of those at one instruction the last runs first
        opened: list[int] = []
        try:
            for program_fd in order:
                if points[program_fd]:
                    opened += links.attach(LINKS[0], program_fd, str(program), points[program_fd], child.pid)
            child.stdin.write(f"{corpus.CALLS_OF_EACH}\n")
            child.stdin.flush()
            assert child.stdout.readline() == "done\n"
        finally:
            links.close(opened)
            child.stdin.close()
        assert child.wait(patience(10)) == 0
    return {name: kernel.counts(number) for number, name in enumerate(codes)}


def covered(program: Path) -> tuple[dict[str, FunctionCode], Counter[str]]:
    """The functions of a program that edges cover, and why the others are not."""
    image = Image.from_file(program)
    found = symbols.find(image, [f"{kind}_*" for kind in corpus.WIDTHS])
    codes: dict[str, FunctionCode] = {}
    refused: Counter[str] = Counter()
    for symbol, code in zip(found, analyse(image, [(s.address, s.size) for s in found], Names(image)), strict=True):
        if not re.fullmatch(r"[a-z]_\d+", symbol.name):
            continue
        if code.problem or code.edges.refused or not code.edges.spots:
            refused[code.problem or code.edges.refused or "never returns"] += 1
        elif not code.rets.refused and code.edges.note.endswith(code.rets.note):  # the same tail calls, at least
            codes[symbol.name] = code
    return codes, refused


@pytest.mark.timeout(patience(900))
def test_edges_see_what_ret_probes_see(kernel: Kernel, tmp_path: Path) -> None:
    """In at least 1 500 functions every return crosses one edge, with the frame of its entry and the value that it returns."""
    sources = []
    for name, exceptions, seed in (("plain", False, 20261), ("throwing", True, 20262)):
        text, _ = corpus.source(FUNCTIONS, seed, exceptions=exceptions)
        path = tmp_path / f"{name}.cc"
        path.write_text(text)
        sources.append(path)
    everything = [(build, path) for build in corpus.builds() for path in sources]
    # An odd step takes gcc and clang, several levels, with exceptions and without.
    jobs = everything if SCALE >= 1 else everything[:: len(everything) // 4 | 1]

    def compile_one(job: tuple[corpus.Build, Path]) -> Path:
        build, path = job
        directory = tmp_path / path.stem
        directory.mkdir(exist_ok=True)
        return corpus.compile_build(build, path, directory)

    with ThreadPoolExecutor(2) as pool:
        programs = list(pool.map(compile_one, jobs))
    proven, passing, both, wrong, totals = 0, 0, 0, [], Counter[str]()
    refusals: Counter[str] = Counter()
    for program in programs:
        codes, refused = covered(program)
        refusals += refused
        for name, c in run(kernel, program, codes).items():
            bad = {
                what: c[n]
                for what, n in {
                    "wrong entry frame or arguments": WRONG_ENTRY,
                    "stray edges": STRAY_EDGE,
                    "crossed twice": TWICE,
                    "returned without crossing": NOT_CROSSED,
                    "wrong return value": WRONG_VALUE,
                    "stray rets": STRAY_RET,
                }.items()
                if c[n]
            }
            if program.parent.name == "plain" and c[RETURNED] != c[ENTRIES]:
                bad["never returned"] = c[ENTRIES] - c[RETURNED]
            if c[CROSSED] != c[RETURNED] or bad:
                wrong.append(
                    f"{program.parent.name}/{program.name} {name}: crossed {c[CROSSED]} of {c[RETURNED]}; {bad}"
                )
            proven += c[RETURNED] > 0
            passing += c[RETURNED] > 0 and passes_a_call(codes[name])
            both += c[RETURNED] > 0 and begins_at_an_end(codes[name])
            totals.update(
                entries=c[ENTRIES],
                returns=c[RETURNED],
                values=c[COMPARED],
                at_entry=c[AT_ENTRY],
                lent=c[LENT],
                others=c[OTHERS],
            )
    print(
        f"{proven} functions proven, {passing} of them with an end at a call, {both} with one at the entry, {len(wrong)} wrong, {dict(totals)}; refused: {refusals.most_common()}"
    )
    assert wrong == []
    assert proven >= 1500 * len(jobs) // len(everything)
    few = 100 if len(jobs) == len(everything) else 50  # a sample is of four builds, which differ in this
    assert passing >= few * len(jobs) // len(everything)
    assert both >= few * len(jobs) // len(everything)
    assert totals["values"] > totals["returns"] // 2
    assert totals["lent"] > 1000 * len(jobs) // len(everything)
    assert totals["others"] > 0
