# SPDX-License-Identifier: Apache-2.0
"""Generated C and C++ functions of every shape that compilers make ends of, and the builds of them.

The same seed gives the same source. Functions are named by what they return (`f_N`: int, see `TYPES`) and take (long, long); `q_N` takes
(struct object *, long), returns a long, and stores where its argument leads.
"""

from __future__ import annotations

import itertools
import random
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

CALLS_OF_EACH = 80

#: By the first letter of a function's name: what it returns, and its bytes.
TYPES = {"f": "int", "v": "void", "l": "long", "b": "bool", "c": "unsigned char", "s": "short", "p": "void *"}
WIDTHS = {"f": 4, "v": 0, "l": 8, "b": 1, "c": 1, "s": 2, "p": 8, "q": 8}

_HEAD = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef int (*fn)(long, long);
#define NI __attribute__((noinline))
extern "C" {
volatile long sink; static unsigned long state = 88172645463325252UL;
static long rnd(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return (long)(state & 0xffffff); }
NI int g1(long a) { sink += a; return (int)(a & 7); }
NI int g2(long a, long b) { if (a > b) return g1(a - b); sink = b; return (int)(a ^ b) & 15; }
NI void g3(char *p, long n) { snprintf(p, 32, "%ld", n); }
NI double g4(double d) { sink = (long)d; return d * 1.5; }
NI void *g5(void *p) { sink++; return p; }
NI void g6(long *p, long n) { if (n & 1) p[0] += n; else p[1] ^= n; sink++; if (n == 3) sink += 2; }
NI long g7(long *p) { long s = 0; for (int i = 0; i < (p[0] & 3); i++) s += p[1]; return s; }
struct object { long a, b; int c; char d[24]; };
NI void g8(struct object *o, long n) { o->a = n; if (n & 4) { o->c = (int)n; return; } o->d[n & 7] = 1; g6(&o->a, n); }
NI void h1(struct object *o) { asm volatile("" : : "r"(o)); }
NI void h2(struct object *o, long n) { o->b = n; asm volatile("" : : : "memory"); }
NI long h3(long a) { asm volatile("" : "+r"(a)); return a + 5; }
NI int h4(struct object *o, long n) { asm volatile("" : : : "memory"); if (n > 9) return o->c; o->a = n; return 3; }
NI void h5(struct object *o) { asm volatile("" : : "r"(o)); h1(o); }
NI int g9(struct object *o, unsigned short *e) { *e = (unsigned short)o->a; if (o->a & 1) return -1; return (int)(o->b & 7); }
}
"""

_TAIL = """
int main(int argc, char **argv) {
  char line[64]; setvbuf(stdout, 0, _IOLBF, 0); puts("ready");
  while (fgets(line, sizeof line, stdin)) {
    long n = atol(line);
    for (unsigned f = 0; f < sizeof table / sizeof *table; f++)
      for (long i = 0; i < n; i++) { long a = rnd() >> (i % 19), b = rnd() >> (i % 13); CALL(table[f], a, b); }
    puts("done");
  }
  return 0;
}
"""


@dataclass(frozen=True, slots=True)
class Build:
    """One way to compile."""

    compiler: str
    level: str
    flags: tuple[str, ...]

    @property
    def name(self) -> str:
        return "_".join([self.compiler, self.level, *self.flags]).replace("-", "")


def builds() -> list[Build]:
    """gcc and clang, -O0 to -O3 and -Os, with and without stack protector and frame pointer."""
    protectors = ("-fno-stack-protector", "-fstack-protector-all")
    pointers = ("-fomit-frame-pointer", "-fno-omit-frame-pointer")
    levels = ("-O0", "-O1", "-O2", "-O3", "-Os")
    return [
        Build(compiler, level, (protector, pointer))
        for compiler, level, protector, pointer in itertools.product(("gcc", "clang"), levels, protectors, pointers)
    ]


def compile_build(build: Build, source: Path, directory: Path) -> Path:
    """The program of one build."""
    output = directory / build.name
    driver = {"gcc": "g++", "clang": "clang++"}[build.compiler]
    command = [driver, "-w", "-x", "c++", build.level, *build.flags, "-o", str(output), str(source)]
    if source.name.startswith("plain"):
        command.insert(1, "-fno-exceptions")
    subprocess.run(command, check=True, capture_output=True, text=True)
    return output


class _Writer:
    """Writes one function at a time."""

    def __init__(self, seed: int, exceptions: bool) -> None:
        self.random = random.Random(seed)
        self.exceptions = exceptions
        self.lines: list[str] = []

    def value(self) -> str:
        return self.random.choice(
            [
                "a",
                "b",
                "r",
                "r + a",
                "a - b",
                "a * 3",
                "b & 31",
                "r ^ b",
                "(a >> 2) + 1",
                str(self.random.randint(-40, 40)),
            ]
        )

    def condition(self) -> str:
        return self.random.choice(
            ["a & 1", "b & 2", "a > b", "r < 3", "a == 7", "(a + b) % 3 == 0", "!r", "r & 4", "a < 100", "g1(a) == 2",
             "g2(b, a) > 5 && a & 2", "(a & 3) && g1(b)", "a % 5 == 1 || b % 7 == 2"]
        )  # fmt: skip

    def exit_(self, void: bool, others: list[str]) -> str:
        if void:
            return self.random.choice(
                [
                    "return;",
                    "{ g1(r); return; }",
                    "{ sink = r; return; }",
                    "{ free(malloc(r & 15)); return; }",
                    "{ h1(&o); return; }",
                    "{ h2(&o, a); return; }",
                ]
            )
        calls = ["return g1(r);", "return g2(a, r);"] + [f"return {name}(b, a);" for name in others[-2:]]
        calls += [f"{{ {name}(a, b); return r; }}" for name in others[-3:]] + [
            "{ g8(&o, a); return r; }",
            "{ g6(&o.a, r); return -2; }",
            "{ free(malloc(b & 7)); return r; }",
            "{ free(malloc(9)); return -3; }",
            "{ h1(&o); return r; }",
            "{ h2(&o, r); return o.a > 3; }",
            "return (int)h3(a);",
            "{ h3(b); return -5; }",
            "return h4(&o, b);",
            "{ h4(&o, a); return r; }",
            "{ h5(&o); return r; }",
        ]
        return self.random.choice([f"return {self.value()};"] * 4 + ["return r;", "return 0;", "return -1;", *calls])

    def block(self, depth: int, void: bool, others: list[str], loop: bool) -> str:
        return " ".join(self.statement(depth, void, others, loop) for _ in range(self.random.randint(1, 3)))

    def statement(self, depth: int, void: bool, others: list[str], loop: bool = False) -> str:
        kinds = ["set", "call", "store", "buffer", "double", "exit-if", "object"]
        if depth < 3:
            kinds += ["if", "if-else", "for", "while", "switch", "exit-if"]
        if loop:
            kinds += ["break-if", "continue-if"]
        if self.exceptions:
            kinds += ["try", "throw-if"] if depth < 3 else ["throw-if"]
        kind = self.random.choice(kinds)

        def inner(looping: bool = loop) -> str:
            return self.block(depth + 1, void, others, looping)

        match kind:
            case "set":
                return f"r = {self.value()};"
            case "call":
                return self.random.choice(["r += g1(r);", f"r = g2({self.value()}, {self.value()});", "g1(a);"])
            case "object":
                return self.random.choice(
                    ["o.a = r; g8(&o, b); r += o.c;", "o.b = b; r ^= (int)g7(&o.a);", "o.c = r; w = &o;"]
                )
            case "store":
                return f"sink = {self.value()};"
            case "buffer":
                return "{ char t[40]; g3(t, a); r += t[0]; if (strlen(t) > 5) r++; }"
            case "double":
                return "{ double d = g4(a * 0.5); if (d > 50) r += (int)d & 3; }"
            case "exit-if":
                return f"if ({self.condition()}) {self.exit_(void, others)}"
            case "if":
                return f"if ({self.condition()}) {{ {inner()} }}"
            case "if-else":
                return f"if ({self.condition()}) {{ {inner()} }} else {{ {inner()} }}"
            case "for":
                return f"for (long i{depth} = 0; i{depth} < (b & 7); i{depth}++) {{ r += i{depth}; {inner(True)} }}"
            case "while":
                return f"{{ int k = (int)(a & 5); while (k-- > 0) {{ {inner(True)} }} }}"
            case "switch":
                cases = " ".join(f"case {n}: {inner(False)} break;" for n in range(self.random.choice([2, 3, 7, 9])))
                return f"switch ((a + r) & {self.random.choice([3, 7, 15])}) {{ {cases} default: r--; }}"
            case "break-if":
                return f"if ({self.condition()}) break;"
            case "continue-if":
                return f"if ({self.condition()}) continue;"
            case "throw-if":
                return f"if ((a + b) % {self.random.randint(5, 11)} == 3) throw (int)a;"
            case _:
                return f"try {{ {inner(False)} }} catch (int e) {{ r ^= e & 7; }}"

    def function(self, name: str, others: list[str]) -> str:
        void = name.startswith("v_")
        head = f"NI {TYPES[name[0]]} {name}(long a, long b)"
        body = " ".join(self.statement(0, void, others) for _ in range(self.random.randint(1, 4)))
        if self.random.random() < 0.15:
            again = f"{name}(a / 3, b / 2)"
            body += f" if (a > 40) {again};" if void else f" if (a > 40) r += (int)(long){again};"
        last = "sink += r;" if void else self.exit_(False, others)
        if self.random.random() < 0.3:
            last = f"{self.random.choice(['g6(&o.a, r);', 'g8(&o, b);', 'h1(&o);', 'h2(&o, r);', 'h4(&o, b);', *(f'{other}(b, a);' for other in others[-2:])])} {last}"
        if name.startswith("p_"):
            body, last = re.sub(r"return ([^;]+);", r"return (void *)(long)(\1);", f"{body}\0{last}").split("\0")
        declarations = "int r = (int)(a - b); struct object o = {a, b}; struct object *w = 0;"
        return f'extern "C" {head} {{ {declarations} {body} sink += w != 0; {last} }}'


def _storing(random_: random.Random, number: int) -> list[str]:
    """A function that stores through its argument in front of its end, and two that have it store into their own frames."""
    condition = random_.choice(["k == -1", "k < 3", "e & 1", "b & 2", "s->c == k"])
    one = random_.choice(["r = b;", "s->b = k; r = e;", "r = g2(k, b);", "r = -7; s->a = k;"])
    other = random_.choice(["s->c = k;", "s->a = b;", "s->d[k & 7] = 1;", "s->b = k; s->c = (int)b;"])
    middle = random_.choice(["", "if (k == 5) return -4;", "if (b & 64) r += g1(b);", "if (k == 2) s = &spare;"])
    head = f'extern "C" NI long q_{number}(struct object *s, long b)'
    taken = random_.choice(["long r = 0; unsigned short e = 0;", "unsigned short e = 0; long r = b & 3;"])
    body = f"{taken} int k = g9(s, &e); {middle} if ({condition}) {{ {one} }} else {{ {other} }} return r;"
    frame = "struct object o = {a, b};"
    return [
        f"{head} {{ {body} }}",
        f'extern "C" NI long l_{number}(long a, long b) {{ {frame} long r = q_{number}(&o, b); if (a & 1) r += o.c; return r; }}',
        f'extern "C" NI long l_{number + 1}(long a, long b) {{ {frame} if (a == 3) return 1; q_{number}(&o, b); return o.{"ab"[number // 2 & 1]}; }}',
    ]


STORING = 6  #: functions that store through an argument, in each source
_KINDS = "fvflfbvcfsvp"  #: how often each kind of function is made


def source(count: int, seed: int, *, exceptions: bool) -> tuple[str, list[str]]:
    """(the program, names of its functions)."""
    writer = _Writer(seed, exceptions)
    names: list[str] = []
    lines = [_HEAD]
    for number in range(count):
        name = f"{_KINDS[number % len(_KINDS)]}_{number}"
        lines.append(writer.function(name, [other for other in names if other[0] in "fls"]))
        names.append(name)
    others = random.Random(seed + 1)
    lines.append("static struct object spare;")
    for number in range(count, count + 2 * STORING, 2):
        lines += _storing(others, number)
        names += [f"l_{number}", f"l_{number + 1}"]
    entries = ", ".join(f"(fn){name}" for name in names)
    lines.append(f"static int (*const table[])(long, long) = {{ {entries} }};")
    guarded = "try { sink += f(a, b); } catch (int) { sink--; }"
    call = guarded if exceptions else "sink += f(a, b);"
    lines.append(f"static inline void CALL(int (*f)(long, long), long a, long b) {{ {call} }}")
    lines.append(_TAIL)
    return "\n".join(lines), names
