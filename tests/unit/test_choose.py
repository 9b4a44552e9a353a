# SPDX-License-Identifier: Apache-2.0
"""Choosing strategy and site: safety before price, the reasons given, and what the user may force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from otel_jb.arch.instruction import Price
from otel_jb.code.facts import Ends, FunctionCode, Reach, Spot
from otel_jb.model.plan import (
    EndStrategy,
    Origin,
    Probe,
    ProbePlan,
    ReturnPlace,
    SiteKind,
    Symbol,
    SymbolSource,
)
from otel_jb.model.reads import Op, ReadOp, ReadProgram
from otel_jb.planner.choose import make_plan
from otel_jb.planner.ends import LENT_HITS
from otel_jb.planner.inputs import FileFacts, KernelFacts, Options
from otel_jb.planner.peers import peer_note
from otel_jb.planner.prices import of_processor
from otel_jb.planner.process import ProcessFacts
from tests.meanings import Known, Meaning, symbol

STEPPED_FIRST = Spot(0x1000, 0x1000, "sub rsp, 8", Price.STEPPED, at_return=True)
PUSH = Spot(0x1000, 0x1000, "push rbx", Price.EMULATED, at_return=True)
LATER = Spot(0x1008, 0x1008, "je 0x1100", Price.EMULATED, displacement=8, clobbered=(2,))
EDGE = Spot(0x1080, 0x1080, "jne 0x1100", Price.EMULATED, displacement=40, condition=5)
RET = Spot(0x1090, 0x1090, "ret", Price.STEPPED, ret=True)
PLAIN = FunctionCode(
    0x1000,
    "x86_64",
    0x100,
    first="push rbx",
    first_price=Price.EMULATED,
    entries=(PUSH, LATER),
    edges=Ends((EDGE,)),
    rets=Ends((RET,)),
    reach=Reach(False, "it makes a call through a pointer, whose targets are not known"),
)
NO_EDGES = replace(PLAIN, edges=Ends(refused="an end is reached straight from a call"))
ABOUT_PROCESS = frozenset({"shadow_stack", "system_call_filter", "signal_stacks", "stack_switches"})
SAFE = Reach(True, "nothing that it can reach switches stacks")


def plan(
    code: FunctionCode, meaning: Meaning | None = None, options: Options | None = None, **facts: object
) -> ProbePlan:
    """The plan for one function called `jb_put`; facts are of the kernel or of the process."""
    return plan_with(facts, code, meaning, options)


def plan_with(
    facts: Mapping[str, object], code: FunctionCode, meaning: Meaning | None = None, options: Options | None = None
) -> ProbePlan:
    """The same with facts of a mapping."""
    known = [Known(symbol("jb_put", code.address), meaning or Meaning())]
    file = FileFacts("/lib/x.so", None, known, {code.address: code})
    process = ProcessFacts(**{key: value for key, value in facts.items() if key in ABOUT_PROCESS})  # type: ignore[arg-type]
    kernel = KernelFacts(**{key: value for key, value in facts.items() if key not in ABOUT_PROCESS})  # type: ignore[arg-type]
    return make_plan([file], kernel, options, process=process)


def only(made: ProbePlan) -> Probe:
    """The one probe of a plan."""
    assert len(made.probes) == 1, made.skipped
    return made.probes[0]


def test_edges_come_first() -> None:
    """Where edges cover every end they are chosen, with the cheapest entry site."""
    probe = only(plan(PLAIN))
    assert probe.strategy is EndStrategy.EDGE_SITES
    assert [(s.kind, s.address, s.frame_offset) for s in probe.sites] == [
        (SiteKind.ENTRY, 0x1000, 0),
        (SiteKind.EDGE, 0x1080, 40),
    ]
    assert (probe.sites[1].condition, probe.sites[1].taken) == (5, False)
    assert probe.cost_ns == pytest.approx(2 * KernelFacts().emulated_ns)


def test_without_edges_a_return_probe_needs_proof() -> None:
    """A return probe is chosen only where it is shown safe; else the ret instructions are probed, and both reasons are given."""
    assert only(plan(replace(NO_EDGES, reach=SAFE))).strategy is EndStrategy.URETPROBE
    probe = only(plan(NO_EDGES))
    assert probe.strategy is EndStrategy.RET_SITES
    assert "no edge sites: an end is reached straight from a call" in probe.reason
    assert "no return probe: it makes a call through a pointer" in probe.reason


@pytest.mark.parametrize(
    ("code", "meaning", "kernel", "why"),
    [
        (replace(NO_EDGES, reach=SAFE, recursive=True), Meaning(), {}, "recursive"),
        (replace(NO_EDGES, reach=SAFE), Meaning(uretprobe_forbidden="it may yield"), {}, "forbids it: it may yield"),
        (replace(NO_EDGES, reach=SAFE), Meaning(), {"shadow_stack": True, "shadow_stack_safe": False}, "shadow stack"),
        (replace(NO_EDGES, leaf=True), Meaning(), {"system_call_filter": True, "seccomp_passes": False}, "filters its"),
        (replace(NO_EDGES, leaf=True), Meaning(uretprobe_forbidden="it throws"), {}, "it throws"),
        (
            replace(NO_EDGES, reach=Reach(False, "it reaches swapcontext", kills=True)),
            Meaning(uretprobe="jitter.c"),
            {},
            "it reaches swapcontext",
        ),
    ],
)
def test_what_forbids_a_return_probe(code: FunctionCode, meaning: Meaning, kernel: dict[str, object], why: str) -> None:
    """Recursion, the profile's word, a shadow stack on an old kernel, and a path to a stack switch each forbid it."""
    probe = only(plan(code, meaning, None, **kernel))
    assert probe.strategy is EndStrategy.RET_SITES
    assert why in probe.reason


def test_memory_that_is_read_at_the_end_must_be_written_by_then() -> None:
    """Where memory may be written behind the last branch, edges serve only functions at whose end none is read."""
    written = replace(PLAIN, edges=Ends((EDGE, replace(EDGE, address=0x1070, writes=True))))
    reads = Meaning(program=ReadProgram(end=(ReadOp(Op.READ, 1, 0, width=4), ReadOp(Op.BYTES, 0, 1), ReadOp(Op.END))))
    assert only(plan(written)).strategy is EndStrategy.EDGE_SITES
    assert only(plan(PLAIN, reads)).strategy is EndStrategy.EDGE_SITES
    probe = only(plan(written, reads))
    assert probe.strategy is EndStrategy.RET_SITES
    assert "no edge sites: memory, which is read at the end, may be written after the last branch" in probe.reason


def test_a_profile_may_vouch() -> None:
    """Where the closure is not bounded the profile's word counts, and its reference is in the reason."""
    probe = only(plan(NO_EDGES, Meaning(uretprobe="jitter.c: arithmetic only")))
    assert probe.strategy is EndStrategy.URETPROBE
    assert "jitter.c: arithmetic only" in probe.reason


def test_a_return_value_that_is_not_there_yet_rules_edges_out() -> None:
    """A profile that reads the return value needs it at every end, in whatever register."""
    late = replace(PLAIN, edges=Ends((replace(EDGE, returned=None),)))
    elsewhere = replace(PLAIN, edges=Ends((replace(EDGE, returned=ReturnPlace(Origin.REGISTER, 3)),)))
    assert only(plan(late)).strategy is EndStrategy.EDGE_SITES
    assert only(plan(late, Meaning(uses_return=True))).strategy is EndStrategy.RET_SITES
    probe = only(plan(elsewhere, Meaning(uses_return=True)))
    assert (probe.strategy, probe.sites[1].returned) == (EndStrategy.EDGE_SITES, ReturnPlace(Origin.REGISTER, 3))


@pytest.mark.parametrize(
    ("vendor", "strategy"), [("GenuineIntel", EndStrategy.URETPROBE), ("AuthenticAMD", EndStrategy.EDGE_SITES)]
)
def test_the_cheaper_of_two_safe_ways_depends_on_the_processor(
    vendor: str, strategy: EndStrategy, tmp_path: Path
) -> None:
    """A proven return probe on Intel's processors, an edge on AMD's; never a return probe that only a profile vouches for."""
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\n")
    kernel = of_processor(KernelFacts(), cpuinfo)
    assert kernel.prefers_return_probes == (strategy is EndStrategy.URETPROBE)

    def chosen(code: FunctionCode, meaning: Meaning) -> EndStrategy:
        file = FileFacts("/lib/x.so", None, [Known(symbol("jb_put", code.address), meaning)], {code.address: code})
        return only(make_plan([file], kernel)).strategy

    assert chosen(replace(PLAIN, reach=SAFE), Meaning()) is strategy
    assert chosen(PLAIN, Meaning(uretprobe="jitter.c: arithmetic only")) is EndStrategy.EDGE_SITES
    assert of_processor(KernelFacts(), tmp_path / "none") == KernelFacts()


def test_the_entry_site_keeps_what_is_read() -> None:
    """A cheaper site is passed over where an argument that the profile reads is gone."""
    code = replace(PLAIN, entries=(STEPPED_FIRST, LATER))
    assert only(plan(code)).sites[0].address == LATER.address
    assert only(plan(code, Meaning(argument_registers=frozenset({1})))).sites[0].address == LATER.address
    assert only(plan(code, Meaning(argument_registers=frozenset({2})))).sites[0].address == STEPPED_FIRST.address


def test_the_entry_site_comes_before_every_end_or_is_the_first_one() -> None:
    """An end in the entry block is never before the entry site. It may be the same branch, but no `ret`, none where a cheaper site is before, and
    none if memory is read at the entry, which the function may have written by then.
    """
    end = replace(LATER, clobbered=(), condition=4)
    behind = replace(LATER, address=LATER.address + 16, clobbered=())
    code = replace(PLAIN, entries=(STEPPED_FIRST, LATER, behind), edges=Ends((end,)))
    assert [site.address for site in only(plan(code)).sites] == [LATER.address, LATER.address]
    cheap = replace(STEPPED_FIRST, address=STEPPED_FIRST.address + 4, price=Price.EMULATED)
    assert only(plan(replace(code, entries=(STEPPED_FIRST, cheap, LATER)))).sites[0].address == cheap.address
    assert only(plan(code, Meaning(argument_registers=frozenset({2})))).sites[0].address == STEPPED_FIRST.address
    reads = Meaning(program=ReadProgram(entry=(ReadOp(Op.READ, 1, 0, width=4), ReadOp(Op.BYTES, 0, 1), ReadOp(Op.END))))
    assert only(plan(code, reads)).sites[0].address == STEPPED_FIRST.address
    rets = replace(NO_EDGES, entries=(STEPPED_FIRST, LATER), rets=Ends((replace(end, ret=True, condition=None),)))
    assert only(plan(rets)).sites[0].address == STEPPED_FIRST.address


def test_no_call_carries_the_entry_probe_under_a_shadow_stack() -> None:
    """An emulated call is a cheap entry site, but not where a shadow stack would miss its return address."""
    call = Spot(0x1010, 0x1010, "call 0x2000", Price.EMULATED, displacement=8)
    code = replace(PLAIN, entries=(STEPPED_FIRST, call))
    assert only(plan(code)).sites[0].address == call.address
    assert only(plan(code, shadow_stack=True)).sites[0].address == STEPPED_FIRST.address


def test_no_call_carries_an_end_under_a_shadow_stack() -> None:
    """The `ret` behind it would not find the call's return address there, which ends the process."""
    call = Spot(0x1080, 0x1080, "call 0x2000", Price.EMULATED, displacement=40)
    code = replace(PLAIN, edges=Ends((*PLAIN.edges.spots, call)))
    assert only(plan(code)).strategy is EndStrategy.EDGE_SITES
    made = only(plan(code, shadow_stack=True))
    assert made.strategy is EndStrategy.RET_SITES
    assert "an end is a call, whose return address may miss the process's shadow stack" in made.reason


def test_a_safe_return_probe_beats_edges_with_a_stepped_entry() -> None:
    """Where edges would cost ten times as much, and a return probe is shown safe, price decides."""
    leaf = replace(LATER, clobbered=(), at_return=True, displacement=0)
    error = replace(STEPPED_FIRST, address=0x1004, rare=True)
    code = replace(PLAIN, entries=(STEPPED_FIRST, error, leaf), edges=Ends((EDGE, error)), leaf=True)
    assert only(plan(code)).strategy is EndStrategy.URETPROBE
    assert only(plan(replace(code, leaf=False))).strategy is EndStrategy.EDGE_SITES


def test_long_nops_are_cheap_from_6_16() -> None:
    """The price of a 5-byte nop depends on the kernel, and so does the site."""
    nop = Spot(0x1004, 0x1004, "nop dword ptr [rax + rax]", Price.LONG_NOP, at_return=True)
    code = replace(PLAIN, entries=(STEPPED_FIRST, nop))
    assert only(plan(code, long_nops_emulated=True)).sites[0].address == nop.address
    assert only(plan(code, long_nops_emulated=False)).sites[0].address == STEPPED_FIRST.address
    assert KernelFacts.of_version(6, 12) == KernelFacts((6, 12), True, False, True, False, False)
    assert KernelFacts.of_version(6, 1) == KernelFacts((6, 1), False, False, False, True, False)


def test_signal_handlers_on_stacks_of_their_own_forbid_return_probes() -> None:
    """A leaf too, and what a profile vouches for; other tools' return probes are warned of."""
    stacks = "x uses sigaltstack"
    for code, meaning in ((replace(NO_EDGES, leaf=True), Meaning()), (NO_EDGES, Meaning(uretprobe="jitter.c"))):
        probe = only(plan(code, meaning, signal_stacks=stacks))
        assert probe.strategy is EndStrategy.RET_SITES
        assert stacks in probe.reason
    assert stacks in peer_note(PLAIN, process=ProcessFacts(signal_stacks=stacks))


def test_a_function_may_yield_unless_its_code_or_its_profile_excludes_it() -> None:
    """Where the process can switch stacks, or the profile says that the function does; the reasons that make a return probe safe exclude it."""
    assert not only(plan(PLAIN)).may_yield
    assert only(plan(PLAIN, stack_switches="swapcontext")).may_yield
    assert only(plan(PLAIN, Meaning(may_yield=True))).may_yield
    assert only(plan(replace(PLAIN, goroutine=True))).may_yield
    for code, meaning in (
        (replace(PLAIN, leaf=True), Meaning()),
        (replace(PLAIN, reach=SAFE), Meaning()),
        (PLAIN, Meaning(uretprobe="jitter.c: arithmetic only")),
    ):
        assert not only(plan(code, meaning, stack_switches="swapcontext")).may_yield


def test_arm_takes_its_cheap_rets_first() -> None:
    """On AArch64 the kernel simulates `ret`, so it is the end, and no return probe is needed."""
    code = replace(PLAIN, arch="aarch64", rets=Ends((replace(RET, price=Price.EMULATED),)), leaf=True)
    assert only(plan(code)).strategy is EndStrategy.RET_SITES


@pytest.mark.parametrize("wish", [EndStrategy.RET_SITES, EndStrategy.ENTRY_ONLY])
def test_a_safer_strategy_can_be_forced(wish: EndStrategy) -> None:
    """--end-strategy takes the safer way although a cheaper one holds."""
    assert only(plan(PLAIN, None, Options(end_strategy=wish))).strategy is wish


def test_a_return_probe_cannot_be_forced_but_by_name() -> None:
    """--end-strategy uretprobe changes nothing where it is not shown safe; --unsafe-uretprobe NAME does."""
    assert only(plan(NO_EDGES, None, Options(end_strategy=EndStrategy.URETPROBE))).strategy is EndStrategy.RET_SITES
    probe = only(plan(NO_EDGES, None, Options(unsafe_uretprobe=("jb_*",))))
    assert probe.strategy is EndStrategy.URETPROBE
    assert "--unsafe-uretprobe" in probe.reason
    assert [s.kind for s in probe.sites] == [SiteKind.ENTRY, SiteKind.URETPROBE]


def test_nothing_holds_then_calls_are_counted() -> None:
    """Where no end can be seen the entry is still counted, and the reason says why there are no times."""
    code = replace(NO_EDGES, rets=Ends(refused="the indirect jump at 0x1050 cannot be classified"))
    probe = only(plan(code))
    assert probe.strategy is EndStrategy.ENTRY_ONLY
    assert "no ret sites: the indirect jump" in probe.reason


def test_undecodable_functions_are_skipped_with_the_reason() -> None:
    """A function whose bytes do not decode carries no probe."""
    made = plan(replace(PLAIN, problem="not decodable: the bytes at 0x1005 are no instruction"))
    assert [s.reason for s in made.skipped] == ["not decodable: the bytes at 0x1005 are no instruction"]
    assert made.probes == ()


def facts_of(*functions: tuple[str, int, Meaning]) -> Sequence[FileFacts]:
    """One file with functions at addresses."""
    known = [Known(symbol(name, address), meaning) for name, address, meaning in functions]
    code = {address: replace(PLAIN, address=address) for _, address, _ in functions}
    return [FileFacts("/bin/x", "ab", known, code)]


def test_functions_of_one_address_are_one_probe() -> None:
    """Folded functions are probed once, under all their names; the profile's primary decides."""
    made = make_plan(facts_of(("C2", 0x1000, Meaning()), ("C1", 0x1000, Meaning(primary=True, role="open"))))
    probe = only(made)
    assert (probe.function, probe.role, probe.names) == ("C1", "open", ("C1", "C2"))


def test_functions_of_one_name_are_told_apart_by_what_no_build_changes() -> None:
    """Overloads get their arguments, destructors their symbol, equal names their file, and addresses are the last resort."""

    def named(function: str, demangled: str, name: str, address: int) -> Known:
        made = Symbol(name, address, 0, SymbolSource.SYMTAB, demangled)
        assert made.function == function
        return Known(made, Meaning())

    here = [
        named("A::put", "A::put(int)", "_ZN1A3putEi", 0x1000),
        named("A::put", "A::put(long)", "_ZN1A3putEl", 0x1100),
        named("A::~A", "A::~A()", "_ZN1AD0Ev", 0x1200),
        named("A::~A", "A::~A()", "_ZN1AD1Ev", 0x1300),
        named("helper", "helper", "helper", 0x1400),
        named("twice", "twice", "twice", 0x1500),
        named("twice", "twice", "twice", 0x1600),
    ]
    there = [named("helper", "helper", "helper", 0x1000)]
    files = [
        FileFacts(
            path, None, known, {each.symbol.address: replace(PLAIN, address=each.symbol.address) for each in known}
        )
        for path, known in (("/opt/srs-7.0.128", here), ("/lib/libjb.so", there))
    ]
    assert [probe.function for probe in make_plan(files).probes] == [
        "A::put(int)",
        "A::put(long)",
        "A::~A [_ZN1AD0Ev]",
        "A::~A [_ZN1AD1Ev]",
        "helper [srs-7.0.128]",
        "twice [srs-7.0.128+0x1500]",
        "twice [srs-7.0.128+0x1600]",
        "helper [libjb.so]",
    ]


def test_the_limit_keeps_primaries_of_each_role() -> None:
    """--max-probes keeps one primary of each role before any second, and says what was left out."""
    functions = [
        ("put_a", 0x1000, Meaning(role="put", primary=True)),
        ("put_b", 0x1100, Meaning(role="put", primary=True)),
        ("put_c", 0x1200, Meaning(role="put")),
        ("get_a", 0x1300, Meaning(role="get", primary=True)),
        ("get_b", 0x1400, Meaning(role="get")),
    ]
    made = make_plan(facts_of(*functions), options=Options(max_probes=2))
    assert [p.function for p in made.probes] == ["put_a", "get_a"]
    assert {s.function for s in made.skipped} == {"put_b", "put_c", "get_b"}
    assert all("--max-probes 2" in s.reason for s in made.skipped)


def test_globs_select_and_exclude() -> None:
    """--function takes only what it names, --exclude takes out; a generic match needs a named target."""
    functions = facts_of(("jb_put", 0x1000, Meaning()), ("jb_get", 0x1100, Meaning()))
    assert [p.function for p in make_plan(functions, options=Options(functions=("*_put",))).probes] == ["jb_put"]
    assert [p.function for p in make_plan(functions, options=Options(exclude=("*_put",))).probes] == ["jb_get"]
    generic = facts_of(("jb_put", 0x1000, Meaning(generic=True, attach_by_default=False)))
    assert make_plan(generic).probes == ()
    assert len(make_plan(generic, options=Options(target_named=True)).probes) == 1


def test_what_others_would_do_is_said() -> None:
    """The note on other tools names death and price, and is empty where nothing is wrong."""
    assert peer_note(PLAIN) == ""
    killing = replace(
        PLAIN, reach=Reach(False, "it reaches swapcontext via st_cond_wait, which switches stacks", kills=True)
    )
    assert "can kill this process: it reaches swapcontext via st_cond_wait" in peer_note(killing)
    expensive = replace(PLAIN, first="endbr64", first_price=Price.STEPPED)
    assert peer_note(expensive) == "they probe `endbr64`: 18 times the price of the entry site chosen here"


def test_a_function_that_no_profile_knows_is_measured_where_user_and_target_are_plain() -> None:
    """By its whole name, or by a glob that means no function that is known; only in a target that was named."""
    known, other = Known(symbol("jb_put", 0x1000)), Known(symbol("jb_puts", 0x2000), Meaning(asked=True, generic=True))
    code = {0x1000: PLAIN, 0x2000: replace(PLAIN, address=0x2000)}
    facts = FileFacts("/f", None, [known, other], code)

    def probed(*functions: str, named: bool = True) -> set[str]:
        made = make_plan([facts], options=Options(functions=functions, target_named=named))
        assert len(made.probes) + len(made.skipped) == 2
        return {probe.function for probe in made.probes}

    assert probed("jb_puts") == {"jb_puts"}
    assert probed("jb_*") == {"jb_put"}
    assert probed("jb_*s") == {"jb_puts"}
    assert probed("jb_*", "jb_puts") == {"jb_put", "jb_puts"}
    assert probed("jb_puts", named=False) == set()


def test_an_end_lent_by_another_function_costs_all_calls_of_that() -> None:
    """The price counts the calls that others make of it, so a vouched return probe is cheaper than such an end; without one the end stays."""
    lent = replace(PLAIN, edges=Ends((replace(EDGE, callers=((-48, -0x20),)),)))
    vouched = Meaning(uretprobe="jitter.c: arithmetic only")
    assert only(plan(lent, vouched)).strategy is EndStrategy.URETPROBE
    assert only(plan(PLAIN, vouched)).strategy is EndStrategy.EDGE_SITES
    one, kernel = only(plan(lent)), KernelFacts()
    assert one.strategy is EndStrategy.EDGE_SITES
    assert one.cost_ns >= (1 + LENT_HITS) * kernel.emulated_ns


def test_a_step_of_constant_work_is_timed_where_it_is_named() -> None:
    """`--detail all` counts it at its entry."""
    step = Meaning(
        primary=True,
        untimed=True,
        untimed_in_detail=True,
        program=ReadProgram((ReadOp(Op.STREAM, src=1), ReadOp(Op.END))),
    )
    files = facts_of(("jb_store", 0x1000, step))
    assert only(make_plan(files, options=Options(detail=True))).strategy is EndStrategy.ENTRY_ONLY
    assert (
        only(make_plan(files, options=Options(detail=True, functions=("jb_store",)))).strategy is EndStrategy.EDGE_SITES
    )


def test_an_entry_is_enough_where_the_end_tells_nothing_more() -> None:
    """By default a second function of a role, attached for what its entry shows, is not timed; `--detail all`, or its name, times it."""
    depth = ReadProgram(entry=(ReadOp(Op.DEPTH, src=1), ReadOp(Op.END)))
    files = facts_of(("jb_put", 0x1000, Meaning(primary=True)), ("jb_queue", 0x2000, Meaning(program=depth)))

    def strategies(options: Options) -> dict[str, EndStrategy]:
        return {probe.function: probe.strategy for probe in make_plan(files, options=options).probes}

    both = dict.fromkeys(("jb_put", "jb_queue"), EndStrategy.EDGE_SITES)
    assert strategies(Options(detail=False)) == both | {"jb_queue": EndStrategy.ENTRY_ONLY}
    assert strategies(Options(detail=True)) == both
    assert strategies(Options(detail=False, functions=("jb_queue",))) == {"jb_queue": EndStrategy.EDGE_SITES}
