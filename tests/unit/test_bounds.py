# SPDX-License-Identifier: Apache-2.0
"""Functions in code without unwind entries, against nm's names of the same file before it was stripped."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from otel_jb.code.bounds import Bounds
from otel_jb.code.marks import trails
from otel_jb.elf.image import Image
from otel_jb.model.marks import Mark, MarkKind

pytestmark = pytest.mark.unit

COUNT = 200
BARE = ["-ffunction-sections", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-fno-exceptions"]


def source(seed: int) -> str:
    """Functions that each refer to a text of their own: of all lengths, called or only pointed to, some of them ending in a call that does not
    return or in another function.
    """
    chance = random.Random(seed)
    lines = [
        "#include <stdio.h>",
        "#include <stdlib.h>",
        "__attribute__((noinline, noreturn)) static void die(void) { abort(); }",
    ]
    for number in range(COUNT):
        body = "".join(
            f"n = n * {chance.randrange(3, 99)} + {chance.randrange(1 << 20)};" for _ in range(chance.randrange(9))
        )
        middle = f'for (int i = 0; i < n; i++) {{ {body} printf("%d", i); }}' if chance.random() < 0.5 else body
        end = chance.choice(
            [f"if (n == {number}) die(); return n;", f"return n + {number};", f"if (n > {number}) exit(n); return 3;"]
        )
        if number and chance.random() < 0.3:
            end = f"return f{chance.randrange(number)}(n);"
        lines.append(
            f"__attribute__((noinline)) {chance.choice(['static ', ''])}int f{number}(int n) {{"
            f' if (n > {chance.randrange(99)}) puts("the text of {number}."); {middle} {end} }}'
        )
    table = ", ".join(f"f{number}" for number in range(0, COUNT, 2))
    lines.append(f"int (*volatile table[])(int) = {{ {table} }};")
    calls = " ".join(f"n += f{number}(n);" for number in range(1, COUNT, 2))
    lines.append(f"int main(int n, char **v) {{ {calls} return table[n](n); }}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        (["-O2"], (0.97, 1)),
        (["-O2", "-fno-omit-frame-pointer", "-fstack-protector-all"], (0.97, 1)),
        (["-Os"], (0, 0.05)),
    ],
)
def test_each_function_without_an_unwind_entry_is_found_or_unknown(
    options: list[str], shares: tuple[float, float], tmp_path: Path
) -> None:
    """Of 200 functions nearly all are found by their texts, with nm's address and size, or, where the compiler aligned none (-Os), none is."""
    whole, stripped = tmp_path / "whole", tmp_path / "stripped"
    command = ["clang", "-fuse-ld=lld", "-xc", "-", *options, *BARE, "-o", str(whole)]
    subprocess.run(command, input=source(len(options)), text=True, check=True)
    subprocess.run(["strip", "-o", stripped, whole], check=True)
    lines = subprocess.run(["nm", "-S", whole], capture_output=True, text=True, check=True).stdout.splitlines()
    true = {p[3]: (int(p[0], 16), int(p[1], 16)) for line in lines if len(p := line.split()) == 4}
    wanted = [number for number in range(COUNT) if f"f{number}" in true]
    marks = [Mark(MarkKind.STRING, f"the text of {number}.") for number in wanted]
    found = dict(zip(wanted, trails(Image.from_file(stripped), marks), strict=True))
    assert len(wanted) > COUNT // 2
    exact = 0
    for number, trail in found.items():
        if not trail.functions:
            assert trail.problem == "neither an unwind entry nor a call tells which function refers to it"
            continue
        (reached,) = trail.functions
        assert (reached.address, reached.size) == true[f"f{number}"]
        exact += 1
    assert shares[0] <= exact / len(wanted) <= shares[1]


def test_code_that_no_gap_separates_is_unknown(tmp_path: Path) -> None:
    """A linker that fills with nops leaves no gaps to see, and data that look like gaps lead nowhere."""
    file = tmp_path / "server"
    subprocess.run(["gcc", "-O2", "-xc", "-", *BARE, "-o", file], input=source(7), text=True, check=True)
    nm = subprocess.run(["nm", file], capture_output=True, text=True, check=True).stdout.splitlines()
    address = next(int(line.split()[0], 16) for line in nm if line.endswith(" T main"))
    bounds = Bounds(Image.from_file(file))
    assert bounds.around(address + 8) is None
    assert bounds.around(0) is None
    assert bounds.around(1 << 60) is None
