# SPDX-License-Identifier: Apache-2.0
"""`otel-jb profile`: a draft of a profile from a binary, and what of a profile holds in one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from otel_jb.catalog.matching import check
from otel_jb.catalog.spec import ProfileSpec
from otel_jb.cli.main import main
from otel_jb.config import yamlfile
from otel_jb.model.errors import ExitCode

SOURCE = """
struct packet { unsigned short seq; unsigned int size; char *data; };
typedef struct jitter { int count; short newest; struct packet *slots[8]; unsigned flag : 3; } jitter_t;
struct pair { double a, b; };
int my_insert(jitter_t *jb, const struct packet *p, unsigned char how) { jb->slots[jb->count++ & 7] = (struct packet *)p; return how; }
struct packet *my_take(jitter_t *jb) { return jb->slots[--jb->count & 7]; }
void my_tick(struct pair by, long now) { }
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Three functions, with debug information."""
    (tmp_path / "mine.c").write_text(SOURCE)
    made = tmp_path / "mine.so"
    subprocess.run(["gcc", "-g", "-O1", "-shared", "-fPIC", "-o", made, tmp_path / "mine.c"], check=True)
    return made


def drafted(target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *names: str) -> tuple[str, Path]:
    """The draft's text, and the file that holds it."""
    assert main(["profile", "draft", str(target), *names]) == ExitCode.OK
    text, file = capsys.readouterr().out, tmp_path / "mine.yaml"
    file.write_text(text)
    return text, file


def test_a_draft_has_what_debug_information_says_and_holds_once_it_is_filled_in(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Arguments, result and fields are those of the source; it loads as it is, and the suggestions that are taken hold in the binary."""
    text, file = drafted(library, tmp_path, capsys, "my_*")
    spec = check(yamlfile.load(file, ProfileSpec))
    assert [function.name for function in spec.functions] == ["my_insert", "my_take", "my_tick"]
    assert [str(function.returns) for function in spec.functions] == ["i32", "ptr", "void"]
    assert {name: list(fields) for name, fields in spec.structs.items()} == {
        "jitter": ["count", "newest"],
        "packet": ["seq", "size", "data"],
    }
    assert "# arg2: p, pointer to packet" in text
    assert "# arg3: how, u8" in text
    assert "may take several registers" in text  # my_tick has a struct
    filled = (
        text.replace("role: other", "role: put", 1)
        .replace("# bytes: arg2", "bytes: arg2")
        .replace("# depth: arg1", "depth: arg1", 1)
    )
    file.write_text(filled)
    assert main(["profile", "check", str(file), str(library)]) == ExitCode.OK
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("✓ my_insert  put, ")
    assert said[0].endswith("bytes, depth, packets")
    assert said[-1].startswith("3 of 3 functions")


def test_a_draft_without_debug_information_says_so_and_loads(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names are all that there is then, and arguments, results and structs are left to fill in."""
    subprocess.run(["strip", "-g", library], check=True)
    text, file = drafted(library, tmp_path, capsys, "my_insert")
    assert "is not known: it has no debug information" in text
    spec = check(yamlfile.load(file, ProfileSpec))
    assert [(function.name, str(function.returns)) for function in spec.functions] == [("my_insert", "void")]
    assert spec.structs == {}


def test_check_says_what_does_not_hold(library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A function that is not there, and a field that nobody can place, each with the reason; a profile without any function is an error."""
    file = tmp_path / "mine.yaml"
    file.write_text(
        "profile: mine\ntitle: x\nstructs: {packet: {size: u32 gone}}\nfunctions:\n"
        "  - {name: my_insert, role: put, bytes: arg2->packet.size}\n  - {name: my_gone, role: get}\n"
    )
    assert main(["profile", "check", str(file), str(library)]) == ExitCode.CHECK_FAILED
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("✗ my_insert")
    assert "gone" in first
    assert second.startswith("✗ my_gone")
    assert "not in this file" in second
    assert last.startswith("0 of 2")
    assert main(["profile", "check", str(file), "/bin/true"]) == ExitCode.NO_FUNCTION
    assert main(["profile", "draft", str(library), "nothing_of_that_name"]) == ExitCode.NO_FUNCTION
    file.write_text("profile: mine\ntitle: x\nfunctions: [{name: f, rolle: put}]\n")
    assert main(["profile", "check", str(file), str(library)]) == ExitCode.USAGE
    assert "rolle" in capsys.readouterr().err


def test_check_says_which_calls_are_probed_in_a_functions_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where each of `at_calls` is, as objdump shows it, and what it tells; or why one is no place, and that the function itself is probed then."""
    library, file = tmp_path / "timer.so", tmp_path / "mine.yaml"
    source = """
    struct list { unsigned asked; };
    __attribute__((noipa)) void t_ask(struct list *l) { l->asked++; }
    __attribute__((noipa)) void t_drop(struct list *l) { l->asked--; }
    int t_timer(struct list *l, int n) { while (n--) t_ask(l); if (l->asked > 9) t_drop(l); if (TWICE) t_drop(l); return 0; }
    """
    file.write_text(
        "profile: mine\ntitle: x\nstructs: {list: {asked: u32 @0}}\nfunctions:\n  - name: t_timer\n    role: nack\n    returns: i32\n"
        "    adds: [{to: requested_packets, value: arg1->list.asked}, {to: unrecovered_packets, value: arg1->list.asked}]\n"
        "    at_calls:\n      - {of: [t_ask], adds: [{to: requested_packets, value: 1}]}\n"
        "      - {of: [t_old, t_drop], adds: [{to: unrecovered_packets, value: 1}]}\n"
    )

    def checked(twice: str) -> list[str]:
        flags = ("-O0", "-shared", "-fPIC", "-Wl,-Bsymbolic", f"-DTWICE={twice}")
        subprocess.run(["gcc", *flags, "-o", library, "-x", "c", "-"], input=source, text=True, check=True)
        assert main(["profile", "check", str(file), str(library)]) == ExitCode.OK
        first, *lines, last = capsys.readouterr().out.splitlines()
        assert first.startswith("✓ t_timer  nack, ")
        assert last.startswith("1 of 1 functions")
        return [line.strip() for line in lines]

    places = checked("0")
    shown = subprocess.run(["objdump", "-d", library], capture_output=True, text=True, check=True).stdout
    asks, drops = (
        re.findall(rf"^ *([0-9a-f]+):.*call .*<{name}>$", shown, re.MULTILINE) for name in ("t_ask", "t_drop")
    )
    assert places == [
        f"the call of t_ask at 0x{asks[0]} tells requested_packets",
        f"the call of t_drop at 0x{drops[0]} tells unrecovered_packets",
        "by default, these calls are probed",
    ]
    assert checked("n < l->asked")[1:] == [
        "no place at a call of t_old or t_drop: 2 calls of it, and of another copy only parts may be left",
        "by default, the function itself is probed",
    ]
