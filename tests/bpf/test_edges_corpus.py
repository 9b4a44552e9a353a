"""Edge sites against `ret` sites, call by call, over functions that gcc and clang made in every usual way."""

from __future__ import annotations

import os
import re
import resource
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from otel_jb.probes.attach import links
from otel_jb.probes.programs import bcc_module
from otel_jb.probes.programs.source import bpf_directory
from tests import corpus_functions as corpus
from tests.bpf.conftest import LINKS
from tests.scale import SCALE, patience

PROGRAM = r"""
#include <uapi/linux/ptrace.h>
// cookie: 0-3 condition, 4 conditional, 5 taken, 6 frame pointer, 7 optional, 8 return value known, 9-12 its register,
// 13 void, 16-31 function, 32-63 frame offset
struct call { u64 a, b, returned, state; };
BPF_HASH(calls, u64, struct call, 65536);
BPF_ARRAY(counts, u64, 16 * 4096);
#define INLINE static inline __attribute__((always_inline))
INLINE void count(u64 ck, u32 what) {
  u32 i = (ck >> 16 & 4095) * 16 + what;
  u64 *p = counts.lookup(&i);
  if (p) __sync_fetch_and_add(p, 1);
}
INLINE u64 key(u64 ck, u64 frame) { return frame << 12 | (ck >> 16 & 4095); }
INLINE int crosses(u64 ck, u64 fl) {
  if (!(ck & 16)) return 1;
  u32 cf = fl & 1, pf = fl >> 2 & 1, zf = fl >> 6 & 1, sf = fl >> 7 & 1, of = fl >> 11 & 1, t;
  switch (ck >> 1 & 7) {
    case 0: t = of; break; case 1: t = cf; break; case 2: t = zf; break; case 3: t = cf | zf; break;
    case 4: t = sf; break; case 5: t = pf; break; case 6: t = sf ^ of; break; default: t = zf | (sf ^ of);
  }
  t ^= ck & 1;
  return t == (ck >> 5 & 1);
}
INLINE u64 frame_of(u64 ck, u64 sp, u64 bp) {
  asm volatile("" : "+r"(sp), "+r"(bp));
  return (ck & 64 ? bp : sp) + (s64)(s32)(ck >> 32);
}
int on_first(struct pt_regs *ctx) {
  u64 ck = bpf_get_attach_cookie(ctx), frame = ctx->sp, k = key(ck, frame);
  struct call c = {};
  c.a = ctx->di; c.b = ctx->si; c.state = 1;
  count(ck, 0);
  calls.update(&k, &c);
  return 0;
}
int on_entry(struct pt_regs *ctx) {
  u64 ck = bpf_get_attach_cookie(ctx);
  u64 sp = ctx->sp, bp = ctx->bp, di = ctx->di, si = ctx->si, k = key(ck, frame_of(ck, sp, bp));
  struct call *c = calls.lookup(&k);
  count(ck, 1);
  if (!c || c->state != 1 || c->a != di || c->b != si) { count(ck, 2); return 0; }
  c->state = 2;
  return 0;
}
int on_edge(struct pt_regs *ctx) {
  volatile u64 r[16] = { ctx->ax, ctx->cx, ctx->dx, ctx->bx, ctx->sp, ctx->bp, ctx->si, ctx->di,
                         ctx->r8, ctx->r9, ctx->r10, ctx->r11, ctx->r12, ctx->r13, ctx->r14, ctx->r15 };
  u64 fl = ctx->flags, ck = bpf_get_attach_cookie(ctx);
  if (!crosses(ck, fl)) return 0;
  u64 k = key(ck, frame_of(ck, r[4], r[5])), rv = r[ck >> 9 & 15];
  struct call *c = calls.lookup(&k);
  if (!c) { if (!(ck & 128)) count(ck, 4); return 0; }
  count(ck, 3);
  if (c->state != 2) count(ck, 5);
  c->state = ck & 256 ? 4 : 3;
  c->returned = rv;
  return 0;
}
int on_ret(struct pt_regs *ctx) {
  u64 fl = ctx->flags, sp = ctx->sp, bp = ctx->bp, rv = ctx->ax, ck = bpf_get_attach_cookie(ctx);
  if (!crosses(ck, fl)) return 0;
  u64 k = key(ck, frame_of(ck, sp, bp));
  struct call *c = calls.lookup(&k);
  if (!c) { if (!(ck & 128)) count(ck, 7); return 0; }
  count(ck, 6);
  if (c->state < 3) count(ck, 8);
  if (c->state == 4 && !(ck & 8192)) { count(ck, 9); if ((u32)c->returned != (u32)rv) count(ck, 10); }
  calls.delete(&k);
  return 0;
}
"""
ENTRIES, AT_ENTRY, WRONG_ENTRY, CROSSED, STRAY_EDGE, TWICE, RETURNED, STRAY_RET, NOT_CROSSED, COMPARED, WRONG_VALUE = (
    range(11)
)
SLOTS = 4096


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


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    """A BPF program that follows every call from its entry over the edge that it crosses to its `ret`."""
    os.environ["BCC_KERNEL_SOURCE"] = str(bpf_directory() / "shim")
    bcc = bcc_module.load()
    module = bcc.BPF(text=PROGRAM.encode(), cflags=["-w", f"-DPAGE_SIZE={resource.getpagesize()}"])
    programs = [
        module.load_func(name.encode(), bcc.BPF.KPROBE, attach_type=48 if LINKS[0] == "multi" else 0).fd
        for name in ("on_first", "on_entry", "on_edge", "on_ret")
    ]
    yield Kernel(module, *programs)
    module.cleanup()


def cookie(number: int, spot: Spot, *, void: bool = False) -> int:
    """The test program's cookie of a site."""
    value = number << 16 | (spot.displacement & 0xFFFFFFFF) << 32
    if spot.condition is not None:
        value |= 16 | spot.condition | (32 if spot.taken else 0)
    value |= 64 if spot.base == "fp" else 0
    value |= 128 if spot.optional else 0
    if spot.returned is not None:
        value |= 256 | spot.returned.number << 9
    return value | (8192 if void else 0)


def end_of_call(code: FunctionCode) -> tuple[Spot, ...]:
    """Where a call ends without doubt: `ret`, and the tail jumps that both ways of looking take as ends."""
    return code.rets.spots


def entry_of(code: FunctionCode) -> Spot | None:
    """The cheapest entry site with both arguments intact, before any end."""
    block = {spot.address for spot in code.entries}
    limit = min((spot.address for spot in code.edges.spots if spot.address in block), default=1 << 64)
    fit = [s for s in code.entries if not {1, 2} & set(s.clobbered) and code.address < s.address < limit]
    cheap = [s for s in fit if s.price is Price.EMULATED]
    last = cheap or fit
    return last[-1] if last else None  # the last of the block: the one most in danger


def run(kernel: Kernel, program: Path, codes: dict[str, FunctionCode]) -> dict[str, list[int]]:
    """Attach to a program, let it call every function, and return the counters by function."""
    kernel.clear()
    points: dict[int, list[links.Point]] = {kernel.first: [], kernel.entry: [], kernel.edge: [], kernel.ret: []}
    image = Image.from_file(program)
    for number, (name, code) in enumerate(codes.items()):
        assert number < SLOTS
        void = name.startswith("v_")
        points[kernel.first].append(links.Point(image.offset(code.address), number << 16))
        entry = entry_of(code)
        if entry is not None:
            points[kernel.entry].append(links.Point(entry.offset, cookie(number, entry)))
        points[kernel.edge] += [links.Point(spot.offset, cookie(number, spot)) for spot in code.edges.spots]
        points[kernel.ret] += [links.Point(spot.offset, cookie(number, spot, void=void)) for spot in end_of_call(code)]
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        opened = [
            fd
            for program_fd in (
                kernel.first,
                kernel.entry,
                kernel.edge,
                kernel.ret,
            )  # programs of one site run in this order
            if points[program_fd]
            for fd in links.attach(LINKS[0], program_fd, str(program), points[program_fd], child.pid)
        ]
        try:
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
    found = symbols.find(image, ["f_*", "v_*"])
    codes: dict[str, FunctionCode] = {}
    refused: Counter[str] = Counter()
    for symbol, code in zip(found, analyse(image, [(s.address, s.size) for s in found], Names(image)), strict=True):
        if not re.fullmatch(r"[fv]_\d+", symbol.name):
            continue
        if code.problem or code.edges.refused or not code.edges.spots:
            refused[code.problem or code.edges.refused or "never returns"] += 1
        elif not code.rets.refused and code.edges.note == code.rets.note:
            codes[symbol.name] = code
    return codes, refused


@pytest.mark.timeout(patience(400))
def test_edges_see_what_ret_probes_see(kernel: Kernel, tmp_path: Path) -> None:
    """In at least 500 functions every return crosses one edge, with the frame of its entry and the value that it returns."""
    sources = []
    for name, exceptions, seed in (("plain", False, 20261), ("throwing", True, 20262)):
        text, _ = corpus.source(20, seed, exceptions=exceptions)
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
    proven, wrong, totals = 0, [], Counter[str]()
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
            if c[CROSSED] != c[RETURNED] or bad:
                wrong.append(
                    f"{program.parent.name}/{program.name} {name}: crossed {c[CROSSED]} of {c[RETURNED]}; {bad}"
                )
            proven += c[RETURNED] > 0
            totals.update(entries=c[ENTRIES], returns=c[RETURNED], values=c[COMPARED], at_entry=c[AT_ENTRY])
    print(f"{proven} functions proven, {len(wrong)} wrong, {dict(totals)}; refused: {refusals.most_common()}")
    assert wrong == []
    assert proven >= 500 * len(jobs) // len(everything)
    assert totals["values"] > totals["returns"] // 4
