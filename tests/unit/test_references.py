# SPDX-License-Identifier: Apache-2.0
"""Instructions that refer to texts and functions near and far away, against objdump."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from otel_jb.elf.image import Image
from otel_jb.elf.references import called, called_or_taken, places, references

pytestmark = pytest.mark.unit

FILL = (
    40 << 20
)  #: bytes of code between functions: beyond the 16 MB from which a distance's last byte is neither 0 nor 255
TEXT = "a text that is referred to from near and from far"
SOURCE = f"""
extern int puts(const char *);
__attribute__((noinline)) int helper(int n) {{ return n * 3; }}
__attribute__((noinline)) int taken(int n) {{ return n * 5; }}
int near(int n) {{ puts("{TEXT}"); return helper(n) + 1; }}
__asm__(".text; .skip {FILL}");
int (*volatile pointer)(int);
int far(int n) {{ puts("{TEXT}"); pointer = taken; return helper(n) + 2; }}
__asm__(".text; .skip {FILL}");
int main(int n, char **v) {{ puts("{TEXT}"); return near(n) + far(n) + helper(n); }}
"""


def test_references_and_calls_are_those_of_objdump(tmp_path: Path) -> None:
    """At every distance, what computes a text's address, calls a function, or takes its address is what objdump shows."""
    file = tmp_path / "server"
    command = [
        "gcc",
        "-O1",
        "-fno-toplevel-reorder",
        "-fno-reorder-functions",
        "-fPIE",
        "-pie",
        "-xc",
        "-",
        "-o",
        str(file),
    ]
    subprocess.run(command, input=SOURCE, text=True, check=True)
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", file], capture_output=True, text=True, check=True
    ).stdout
    nm = subprocess.run(["nm", file], capture_output=True, text=True, check=True).stdout
    functions = {name: int(at, 16) for at, name in re.findall(r"^(\w+) [tT] (\w+)$", nm, re.MULTILINE)}
    image = Image.from_file(file)
    (text,) = places(image, TEXT.encode(), whole=True)
    loads = re.findall(rf"^ *(\w+):\s+lea .*# {text:x} ", listing, re.MULTILINE)
    assert len(loads) == 3
    assert text - min(int(at, 16) for at in loads) > FILL
    assert [at - 1 for at, _ in references(image, [text])] == [int(at, 16) for at in loads]  # behind the prefix
    assert {target for _, target in references(image, [functions["taken"], text])} == {functions["taken"], text}
    assert called(image, [functions["helper"], functions["taken"]]) == {functions["helper"]}
    everything = [functions["helper"], functions["taken"], functions["helper"] + 1]
    assert called_or_taken(image, everything) == {functions["helper"], functions["taken"]}
