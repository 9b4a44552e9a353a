# SPDX-License-Identifier: Apache-2.0
"""Calls that a function makes as places for probes: which there are, which stand for the function, and what is refused."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from otel_jb.arch.instruction import Price
from otel_jb.catalog.matching import load
from otel_jb.code.facts import CallSite, Ends, FunctionCode, Spot
from otel_jb.code.sites import analyse
from otel_jb.elf.addresses import Names
from otel_jb.elf.image import Image
from otel_jb.elf.properties import allows_shadow_stack
from otel_jb.elf.symbols import find
from otel_jb.model.errors import ConfigError
from otel_jb.model.plan import EndStrategy, ProbePlan, Symbol, SymbolSource
from otel_jb.planner.at_calls import callees
from otel_jb.planner.choose import make_plan
from otel_jb.planner.inputs import FileFacts, FunctionMeaning, Options
from otel_jb.planner.process import ProcessFacts
from otel_jb.sandbox import functions as sandboxed
from otel_jb.sandbox.client import Inspector
from tests.meanings import Known, Meaning, symbol

SOURCE = """
__attribute__((noinline, noclone)) int t_callee(int x) { __asm__ volatile(""); return x + 1; }
static inline __attribute__((always_inline)) int dissolved(int x) { return x + 1; }
int t_once(int x) { if (x) return t_callee(x) * 3; return 0; }
int t_loop(int x) { int sum = 0; while (x-- > 0) sum += t_callee(x) * 3; return sum; }
int t_twice(int x) { if (x > 5) return t_callee(x) * 3; return t_callee(7) * x; }
int t_jump(int x) { if (x) return t_callee(x); return 0; }
int t_both(int x) { if (x > 5) return t_callee(x) * 3; return t_callee(x); }
int t_pointer(int x) { int (*volatile p)(int) = t_callee; return p(x) * 3; }
int t_dissolved(int x) { return dissolved(x) * 3; }
"""


def built(directory: Path, *flags: str) -> Path:
    """A library of SOURCE."""
    path = directory / "library.so"
    command = ["gcc", "-shared", "-fPIC", *flags, "-o", str(path), "-x", "c", "-"]
    subprocess.run(command, input=SOURCE, text=True, check=True)
    return path


def examined(path: Path) -> dict[str, CallSite]:
    """By function, its call of t_callee as a place, or why it is none."""
    image = Image.from_file(path)
    found = {each.name: each for each in find(image, ["t_*"])}
    wanted = [(each.address, each.size) for each in found.values()]
    codes = analyse(image, wanted, Names(image), callees=[found["t_callee"].address])
    return {name: call for name, code in zip(found, codes, strict=True) for call in code.calls}


def calls_of(path: Path) -> dict[str, list[Spot]]:
    """By function, its calls of t_callee that are places."""
    return {name: [] if call.spot is None else [call.spot] for name, call in examined(path).items()}


def objdumped(path: Path) -> dict[str, list[int]]:
    """The same by objdump: where a function calls t_callee itself."""
    text = subprocess.run(["objdump", "-d", path], capture_output=True, text=True, check=True).stdout
    found: dict[str, list[int]] = {}
    for name, body in re.findall(r"^[0-9a-f]+ <(t_\w+)>:\n((?:.+\n)*)", text, re.MULTILINE):
        found[name] = [
            int(at, 16) for at in re.findall(r"^ *([0-9a-f]+):.*\b(?:call|bl) .*<t_callee>$", body, re.MULTILINE)
        ]
    return found


def test_the_places_are_the_only_calls_that_objdump_shows(tmp_path: Path) -> None:
    """In a loop too; not one of two, nor where the function may also end with a jump there, call it by a pointer, or have it dissolved."""
    path = built(tmp_path, "-O2", "-Wl,-Bsymbolic")
    found, shown = calls_of(path), objdumped(path)
    assert {name: len(each) for name, each in shown.items()} == {
        "t_callee": 0,
        "t_once": 1,
        "t_loop": 1,
        "t_twice": 2,
        "t_jump": 0,
        "t_both": 1,
        "t_pointer": 0,
        "t_dissolved": 0,
    }
    assert {name for name, each in found.items() if each} == {"t_once", "t_loop"}
    for name in ("t_once", "t_loop"):
        (call,) = found[name]
        assert [call.address] == shown[name]
        assert call.price is Price.EMULATED
        assert call.text.startswith(("call", "bl"))


def test_what_is_no_place_says_why(tmp_path: Path) -> None:
    """What `profile check` tells, for each function of the source that has none."""
    refused = {name: call.refused for name, call in examined(built(tmp_path, "-O2", "-Wl,-Bsymbolic")).items()}
    assert refused == {
        "t_callee": "no direct call of it in the code",
        "t_once": "",
        "t_loop": "",
        "t_twice": "2 calls of it, and of another copy only parts may be left",
        "t_jump": "no direct call of it in the code",
        "t_both": "it is also jumped to at the end",
        "t_pointer": "no direct call of it in the code",
        "t_dissolved": "no direct call of it in the code",
    }
    marked = examined(built(tmp_path, "-O2", "-Wl,-Bsymbolic", "-Wl,-z,shstk"))
    assert {call.refused for call in marked.values()} == {
        "the file is made for user shadow stacks, which a probed call may miss"
    }


def test_an_unoptimised_function_calls_what_it_is_written_to_call(tmp_path: Path) -> None:
    """There a last call is no jump."""
    path = built(tmp_path, "-O0", "-Wl,-Bsymbolic")
    found, shown = calls_of(path), objdumped(path)
    assert {name for name, each in found.items() if each} == {"t_once", "t_loop", "t_jump"}
    assert all([spot.address for spot in each] == shown[name] for name, each in found.items() if each)


def test_a_call_through_the_linkers_table_is_no_place(tmp_path: Path) -> None:
    """Another file's function of the same name may be what is called."""
    assert not any(calls_of(built(tmp_path, "-O2")).values())


def test_a_file_that_is_made_for_shadow_stacks_has_no_place(tmp_path: Path) -> None:
    """A process of it may have one, which a probed call may miss."""
    path = built(tmp_path, "-O2", "-Wl,-Bsymbolic", "-Wl,-z,shstk")
    said = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=True).stdout
    assert "SHSTK" in said
    assert allows_shadow_stack(Image.from_file(path))
    assert not any(calls_of(path).values())
    assert not allows_shadow_stack(Image.from_file(built(tmp_path, "-O2", "-Wl,-z,ibt")))
    assert not allows_shadow_stack(Image.from_file(built(tmp_path, "-O2")))


def test_on_aarch64_the_place_is_the_branch_with_link() -> None:
    """What the source of the prebuilt program calls once (golden/aarch64/frames.c); the frame is the stack pointer there."""
    image = Image.from_file(Path(__file__).parent / "golden/aarch64/frames")
    found = {each.name: each for each in find(image, ["note", "put", "middle", "outer"])}
    names = {each.address: each.name for each in found.values()}
    codes = analyse(image, [(each.address, each.size) for each in found.values()], Names(image), callees=[*names])
    assert {names[code.address]: {names[call.callee] for call in code.calls if call.spot} for code in codes} == {
        "note": set(),
        "put": {"note"},
        "middle": {"note", "put"},
        "outer": {"middle"},
    }
    spots = [call.spot for code in codes for call in code.calls if call.spot]
    assert {(each.text.split()[0], each.base, each.displacement, each.price) for each in spots} == {
        ("bl", "sp", 0, Price.EMULATED)
    }


def test_the_sandbox_tells_them(tmp_path: Path) -> None:
    """What is asked from outside is answered with the same places."""
    path = built(tmp_path, "-O2", "-Wl,-Bsymbolic")
    found = {each.name: each for each in find(Image.from_file(path), ["t_*"])}
    wanted = [(each.address, each.size) for each in found.values()]
    with Inspector() as inspector, path.open("rb") as file:
        codes = sandboxed.examine_file(
            inspector, file.fileno(), "library.so", wanted, callees=[found["t_callee"].address]
        )
    assert {name: codes[each.address].calls for name, each in found.items()} == {
        name: (call,) for name, call in examined(path).items()
    }


# -- which function is called ---------------------------------------------------------------------------------------------


def test_a_name_that_two_functions_have_means_none() -> None:
    """A compiler's clone, whose arguments may be others, is not the function; of two overloads it is not known which one is called."""
    plain = Symbol("_ZN1A3addEi", 1, 1, SymbolSource.SYMTAB, "A::add(int)")
    clone = Symbol("_ZN1A3addEi.isra.0", 2, 1, SymbolSource.SYMTAB, "A::add(int) [clone .isra.0]")
    overload = Symbol("_ZN1A3addEl", 3, 1, SymbolSource.SYMTAB, "A::add(long)")
    found = Symbol("A::add", 4, 1, SymbolSource.INFERRED, "A::add")
    assert callees(["A::add"], [plain, clone, found]) == {"A::add": plain}
    assert callees(["A::add"], [clone, found]) == {}
    assert callees(["A::add"], [plain, overload]) == {}
    assert callees(["_ZN1A3addEl"], [plain, overload]) == {"_ZN1A3addEl": overload}


# -- what is planned -------------------------------------------------------------------------------------------------------

PUSH = Spot(0x1000, 0x1000, "push rbx", Price.EMULATED, at_return=True)
EDGE = Spot(0x1080, 0x1080, "jne 0x1100", Price.EMULATED, displacement=40, condition=5)
ADD, DROP = (Spot(address, address, "call 0x2000", Price.EMULATED, displacement=-8) for address in (0x1040, 0x1050))
CODE = FunctionCode(
    0x1000, "x86_64", 0x100, entries=(PUSH,), edges=Ends((EDGE,)), calls=(CallSite(0x2000, ADD), CallSite(0x3000, DROP))
)
ASKED = Meaning(role="nack", adds=("requested_packets",))
GIVEN_UP = Meaning(role="nack", adds=("unrecovered_packets",))


@dataclass(frozen=True)
class Call:
    """A call that a function makes."""

    of: tuple[str, ...]
    function: FunctionMeaning


TIMER = Meaning(
    role="nack",
    adds=("unrecovered_packets", "requested_packets"),
    at_calls=(Call(("List::older_name", "List::add"), ASKED), Call(("List::drop",), GIVEN_UP)),
)
CALLED = {"List::add": symbol("List::add", 0x2000), "List::drop": symbol("List::drop", 0x3000)}


def plan(
    code: FunctionCode = CODE,
    called: dict[str, Symbol] = CALLED,
    options: Options | None = None,
    process: ProcessFacts | None = None,
    meaning: Meaning = TIMER,
) -> ProbePlan:
    """Of one function."""
    known = [Known(symbol("Timer::tick", 0x1000), meaning)]
    facts = FileFacts("server", None, known, {0x1000: code}, callees=called)
    return make_plan([facts], options=options or Options(detail=False), process=process or ProcessFacts())


def test_by_default_the_calls_stand_for_the_function() -> None:
    """One probe for each, at its entry alone, under a name that says what is counted."""
    asked, given_up = plan().probes
    assert (asked.function, asked.adds) == ("Timer::tick [calling add]", ("requested_packets",))
    assert (given_up.function, given_up.adds) == ("Timer::tick [calling drop]", ("unrecovered_packets",))
    assert [[(s.address, s.frame_offset) for s in each.sites] for each in (asked, given_up)] == [
        [(0x1040, -8)],
        [(0x1050, -8)],
    ]
    assert {asked.strategy, given_up.strategy} == {EndStrategy.ENTRY_ONLY}
    assert asked.place != given_up.place
    assert "at its call of List::add" in asked.reason


def test_in_detail_the_calls_stand_for_a_function_whose_times_are_by_name() -> None:
    """All that its own probe would add is how many of its calls have nothing to tell. Its name has it probed itself."""
    step = replace(TIMER, untimed=True, untimed_in_detail=True)
    by_default, detailed = (plan(options=Options(detail=detail), meaning=step).probes for detail in (False, True))
    assert by_default == detailed
    assert [probe.function for probe in detailed] == ["Timer::tick [calling add]", "Timer::tick [calling drop]"]
    assert all("its name has the function itself probed" in probe.reason for probe in detailed)
    (itself,) = plan(options=Options(detail=True, functions=("Timer::tick",)), meaning=step).probes
    assert itself.function == "Timer::tick"


@pytest.mark.parametrize(
    "other",
    [
        {"options": Options(detail=True)},
        {"options": Options(detail=False, functions=("Timer::tick",))},
        {"process": ProcessFacts(shadow_stack=True)},
        {"called": {"List::add": CALLED["List::add"]}},
        {"code": replace(CODE, calls=CODE.calls[1:])},
        {"code": replace(CODE, goroutine=True)},
    ],
    ids=["all detail", "by name", "shadow stack", "one is not there", "one is not called", "Go"],
)
def test_otherwise_the_function_is_probed_itself(other: dict[str, object]) -> None:
    """Wanted whole, or without a place for each of the calls, or where a probed call might miss the shadow stack."""
    made = plan(**other)  # type: ignore[arg-type]
    assert [(probe.function, probe.adds) for probe in made.probes] == [("Timer::tick", TIMER.adds)]


# -- what a profile says -----------------------------------------------------------------------------------------------------

OWN = """\
profile: timers
title: a timer
structs:
  Queue: {first: ptr @16}
functions:
  - name: Queue::take
    role: get
    returns: ptr
    stream: this
    depth: {value: u32 @ (this->Queue.first), when: entry}
    at_calls:
      - of: ["List::front"]
        stream: arg1 - offset(Queue.first)
        depth: u32 @ (stream->Queue.first)
"""


def test_the_object_is_found_from_its_member(tmp_path: Path) -> None:
    """`offset` is how far a member lies behind the beginning; without a place for the field there is no value, and no call."""
    path = tmp_path / "mine.yaml"
    path.write_text(OWN)
    known = next(each for each in load([path]).functions() if each.name == "Queue::take")
    (call,) = known.at_calls
    at_function, at_call = (str(each.program.entry) for each in (known, call.function))
    assert "imm=-16" in at_call
    assert "imm=-16" not in at_function
    assert call.function.has_depth
    assert not call.function.program.end
    assert known.untrusted("another version", return_trusted=True).at_calls == ()


BY_NAME = """\
profile: lists
title: a list of missing packets
structs:
  Request: {asked: u32 @8}
functions:
  - name: Missing::tick
    role: nack
    times: named
    stream: this
    adds: [{to: requested_packets, value: arg2->Request.asked, at: end}]
    at_calls:
      - of: ["Request::add"]
        adds: [{to: requested_packets, value: 1}]
"""


def test_times_by_name_may_be_of_a_function_whose_end_its_calls_make_needless(tmp_path: Path) -> None:
    """Where it is probed itself nevertheless, its end is probed, too."""
    path = tmp_path / "mine.yaml"
    path.write_text(BY_NAME)
    known = next(each for each in load([path]).functions() if each.name == "Missing::tick")
    assert (known.untimed_in_detail, bool(known.program.end)) == (True, True)
    assert not known.at_calls[0].function.program.end
    path.write_text(BY_NAME.partition("    at_calls")[0])
    with pytest.raises(ConfigError) as error:
        load([path])
    assert "what is read at the end needs the end" in error.value.message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["List::front"]', '["List::*"]', "the names of the function that is called, without wildcards"),
        ('["List::front"]', "[]", "the names of the function that is called, without wildcards"),
        (
            "        depth: u32 @ (stream->Queue.first)\n",
            "",
            "together they tell once what the function tells: depth",
        ),
        ("Queue.first)\n        depth", "Queue.last)\n        depth", "unknown field Queue.last"),
        (
            "    returns: ptr\n",
            "    returns: ptr\n    outcomes: [{is: no_packet, when: ret == 0}]\n",
            "a call that the function makes cannot tell 'outcomes'",
        ),
        (
            "        depth: u32 @ (stream->Queue.first)\n",
            "        depth: u32 @ (stream->Queue.first)\n        adds: [{to: resets, value: 1, at: end}]\n",
            "a call of another function has no end: it is read where it is made",
        ),
    ],
)
def test_a_profile_that_would_lose_a_number_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Together the calls tell each value once, and nothing that only the function's own end shows."""
    assert OWN.count(old) == 1
    path = tmp_path / "mine.yaml"
    path.write_text(OWN.replace(old, new))
    with pytest.raises(ConfigError) as error:
        load([path])
    assert message in error.value.message
