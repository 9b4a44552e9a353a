# SPDX-License-Identifier: Apache-2.0
"""Choosing the sites and the end strategy of every function, and which functions are left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from otel_jb.arch.machine import named
from otel_jb.code.facts import FunctionCode
from otel_jb.model.plan import USDT, EndStrategy, Probe, ProbePlan, Skipped, Symbol, SymbolSource
from otel_jb.planner.at_calls import call_ways
from otel_jb.planner.detail import REASON, Told
from otel_jb.planner.ends import SAFE_WAYS, Refusal, Way, entry_way, uretprobe_way
from otel_jb.planner.inputs import WORTH_IT, FileFacts, FunctionMeaning, KernelFacts, MatchedFunction, Options, telling
from otel_jb.planner.marked import marked_probes, meant_probe
from otel_jb.planner.pairs import pair_probe
from otel_jb.planner.process import UNKNOWN, ProcessFacts
from otel_jb.planner.sums import Place, only_whole, place

_WILD = re.compile(r"[*?[]")
DOUBT = "not certain: "  #: how the reason begins why a function that was found by marks is skipped
NOT_ASKED_FOR = "not among the functions asked for"  #: why a function is skipped that --function does not name

#: A return probe that the code alone does not prove to be safe must be cheaper than edges by this factor (cf. `inputs.WORTH_IT`).
_WORTH_A_DOUBT = 2.0


def make_plan(
    files: Sequence[FileFacts],
    kernel: KernelFacts | None = None,
    options: Options | None = None,
    process: ProcessFacts = UNKNOWN,
) -> ProbePlan:
    """The plan for one process (or for files alone)."""
    kernel = kernel or KernelFacts()
    options = options or Options()
    probes: list[Probe] = []
    skipped: list[Skipped] = []
    meanings: dict[Place, FunctionMeaning] = {}
    options = replace(options, any_function=_of_any_function(files, options.functions))
    for facts in files:
        told = Told([match for match in facts.matches if not _left_to_the_user(match.symbol, options)])
        for group in _folded(facts.matches):
            if _only_of_pairs(group, options):
                continue
            made = _plan_one(facts, group, facts.kernel or kernel, options, process, told)
            if isinstance(made, Skipped):
                skipped.append(made)
                continue
            for probe, meaning in made:
                probes.append(probe)
                meanings[place(probe)] = meaning
        known = {probe.symbol.name for probe in probes if probe.symbol.source is SymbolSource.USDT}
        globs = options.usdt if options.target_named else ()
        probes += marked_probes(facts, globs, facts.kernel or kernel, known)
        for pair in options.pairs:
            of_pair = pair_probe(facts, pair, facts.kernel or kernel, process, named=options.target_named)
            if isinstance(of_pair, Probe):
                probes.append(of_pair)
            elif of_pair is not None:
                skipped.append(of_pair)
    kept, over = _limit(probes, options.max_probes)
    return ProbePlan(_told_apart(only_whole(kept, meanings)), (*skipped, *over))


def _folded(matches: Sequence[MatchedFunction]) -> Iterable[list[MatchedFunction]]:
    """Functions grouped by address, the deciding one first: primaries, then a profile's, then a pattern's."""
    groups: dict[tuple[int, str], list[MatchedFunction]] = {}
    for match in matches:
        mark = (
            match.symbol.name if match.symbol.source is SymbolSource.USDT else ""
        )  # a mark may be where a function begins
        groups.setdefault((match.symbol.address, mark), []).append(match)
    for group in groups.values():
        yield sorted(group, key=lambda match: (match.function.generic, not match.function.primary))


def _names(group: Sequence[MatchedFunction]) -> tuple[str, ...]:
    names = [match.symbol.function for match in group]
    return tuple(dict.fromkeys([*names, *(alias for match in group for alias in match.symbol.aliases)]))


def _matches(symbols: Iterable[Symbol], globs: Sequence[str]) -> bool:
    return any(symbol.is_meant(globs) for symbol in symbols)


def _only_of_pairs(group: Sequence[MatchedFunction], options: Options) -> bool:
    """Whether a function is looked at for nothing but the pairs that it is part of."""
    names = [name for pair in options.pairs for name in (pair.start, pair.stop)]
    symbols = [match.symbol for match in group]
    return (
        all(match.function.asked for match in group)
        and _matches(symbols, names)
        and not _matches(symbols, options.functions)
    )


def _left_to_the_user(symbol: Symbol, options: Options) -> bool:
    """Whether it was found by marks that leave a doubt, or that the user does not want to rely on."""
    if symbol.doubt and (symbol.rivals or not options.doubtful):
        return True
    return bool(symbol.evidence) and not options.inferred


def _of_any_function(files: Sequence[FileFacts], globs: Sequence[str]) -> tuple[str, ...]:
    """The globs that mean functions of which nothing is known too: whole names, and those that mean no function that is known."""
    known = [match.symbol for facts in files for match in facts.matches if not match.function.asked]
    return tuple(glob for glob in globs if not _WILD.search(glob) or not _matches(known, [glob]))


def _plan_one(
    facts: FileFacts,
    group: list[MatchedFunction],
    kernel: KernelFacts,
    options: Options,
    process: ProcessFacts,
    told: Told,
) -> list[tuple[Probe, FunctionMeaning]] | Skipped:
    """The probe of a function, or those of its calls, each with what it means."""
    symbol, meaning = group[0].symbol, group[0].function
    name = symbol.function
    symbols = [match.symbol for match in group]

    def skip(reason: str) -> Skipped:
        return Skipped(name, facts.file, meaning.profile, reason)

    is_mark = symbol.source is SymbolSource.USDT
    by_usdt = is_mark and options.target_named and _matches(symbols, [f"{USDT}{glob}" for glob in options.usdt])
    if options.functions and not by_usdt and not _matches(symbols, options.functions):
        return skip(NOT_ASKED_FOR)
    if _matches(symbols, options.exclude):
        return skip("excluded")
    if symbol.evidence and not options.inferred:
        return skip("found by marks, which --inferred none leaves out")
    if _left_to_the_user(symbol, options):
        return skip(f"{DOUBT}{symbol.doubt}" + ("" if symbol.rivals else "; --inferred all attaches it"))
    if meaning.asked and not _matches(symbols, options.any_function):
        return skip(NOT_ASKED_FOR)
    if meaning.asked and not options.target_named:
        return skip("no profile knows it: name the process or file in which to measure it")
    if (
        not options.functions
        and not by_usdt
        and not meaning.attach_by_default
        and not (meaning.generic and options.target_named)
    ):
        return skip("attached only if named explicitly")
    if not options.detail and not options.functions and not by_usdt and not told.needs(meaning):
        return skip(REASON)
    if is_mark:
        made = meant_probe(facts, symbol, meaning, kernel)
        return [(made, meaning)] if isinstance(made, Probe) else skip(made)
    code = facts.code.get(symbol.address)
    if code is None:
        return skip("its code was not examined")
    if code.problem:
        return skip(code.problem)
    forced = _matches(symbols, options.unsafe_uretprobe)
    named = bool(options.functions) or forced
    whole = named or (options.detail and not meaning.untimed_in_detail)
    if not whole and (calls := call_ways(facts, symbol, meaning, kernel, process)):
        return [
            (
                replace(
                    _probe(facts, group, call.meaning, call.way, code, process),
                    function=call.named(name),
                    callee=call.callee.function,
                ),
                call.meaning,
            )
            for call in calls
        ]
    untimed = None if named else told.why_untimed(meaning, detail=options.detail)
    if untimed is not None:
        way = _say(entry_way(code, meaning, kernel, process=process), untimed)
    else:
        way = choose(code, meaning, kernel, options.end_strategy, process=process, forced=forced)
    if isinstance(way, Refusal):
        return skip(way.reason)
    return [(_probe(facts, group, meaning, way, code, process), meaning)]


def _probe(
    facts: FileFacts,
    group: Sequence[MatchedFunction],
    meaning: FunctionMeaning,
    way: Way,
    code: FunctionCode,
    process: ProcessFacts,
) -> Probe:
    symbol = group[0].symbol
    return Probe(
        function=symbol.function,
        symbol=symbol,
        file=facts.file,
        build_id=facts.build_id,
        strategy=way.strategy,
        reason=way.reason,
        sites=way.sites,
        read=meaning.program,
        **telling(meaning),
        error_return=tuple(meaning.error_return),
        return_width=meaning.return_width,
        return_signed=meaning.return_signed,
        cost_ns=way.cost_ns,
        names=_names(group),
        code=facts.text.get(symbol.address, ()),
        identity=facts.identity,
        goroutine=code.goroutine,
        may_yield=_may_yield(code, meaning, process),
    )


def _may_yield(code: FunctionCode, meaning: FunctionMeaning, process: ProcessFacts) -> bool:
    """Whether another coroutine may run on the function's thread before it returns. What makes a return probe safe excludes that."""
    if code.leaf or code.reach.safe or meaning.uretprobe is not None:
        return False
    return code.goroutine or meaning.may_yield or bool(process.stack_switches)


def choose(
    code: FunctionCode,
    meaning: FunctionMeaning,
    kernel: KernelFacts,
    wish: EndStrategy | None = None,
    *,
    process: ProcessFacts = UNKNOWN,
    forced: bool = False,
) -> Way | Refusal:
    """The way to measure one function: the first strategy that is safe, in order of price; the reason says why others are not."""
    returning = uretprobe_way(code, meaning, kernel, process=process, forced=forced)
    if forced and isinstance(returning, Way):
        return returning
    if wish is EndStrategy.ENTRY_ONLY:
        return _say(entry_way(code, meaning, kernel, process=process), "as --end-strategy demands")
    ways = {each.strategy: each.find(code, meaning, kernel, process=process) for each in SAFE_WAYS}
    preferred = SAFE_WAYS[0].strategy
    if wish in ways and wish is not preferred and isinstance(asked := ways[wish], Way):
        return _say(asked, "as --end-strategy demands")
    if wish is EndStrategy.URETPROBE and isinstance(returning, Way):
        return returning
    # AArch64's kernel simulates `ret`: as cheap as an edge and closer to the end, so it comes first there.
    cheap_rets = named(code.arch).emulates_return
    if cheap_rets and isinstance(rets := ways[EndStrategy.RET_SITES], Way):
        return _say(rets, "the kernel simulates them")
    refused = {
        each.strategy: f"no {each.sites}: {way.reason}"
        for each, way in zip(SAFE_WAYS, ways.values(), strict=True)
        if isinstance(way, Refusal)
    }
    notes = [refused[preferred]] if preferred in refused and not cheap_rets else []
    safe = min((way for way in ways.values() if isinstance(way, Way)), key=lambda way: way.cost_ns, default=None)
    if safe and (wish is preferred or not _better(returning, safe)):
        return _say(safe, *notes, *([] if isinstance(returning, Way) else _why_not(returning, safe)))
    if safe and not notes:
        notes = [
            f"{safe.strategy.value} would cost {safe.cost_ns:.0f} ns"
            if not safe.partial
            else f"{safe.strategy.value} would not time {safe.partial}"
        ]
    if isinstance(returning, Way) and wish not in ways:
        return _say(returning, *notes)
    if safe:
        return _say(safe)
    if isinstance(returning, Refusal):
        notes.append(f"no return probe: {returning.reason}")
    notes += [reason for strategy, reason in refused.items() if strategy is not preferred]
    return _say(entry_way(code, meaning, kernel, process=process), *notes)


def _why_not(returning: Refusal, safe: Way) -> list[str]:
    """Why an expensive way has no cheaper one."""
    return [f"no return probe: {returning.reason}"] if safe.strategy is EndStrategy.RET_SITES else []


def _better(returning: Way | Refusal, safe: Way) -> bool:
    """Whether a return probe, shown to be safe, measures more of the call or costs less.

    Edges that see the whole call yield immediately to a return probe that the code proves safe. They yield to one that a profile vouches
    for, or that depends on the whole process, only if they cost much more: a profile may be wrong for another version, and a process
    changes.
    """
    if not isinstance(returning, Way) or safe.partial:
        return isinstance(returning, Way)
    if safe.strategy is not EndStrategy.RET_SITES:
        return safe.cost_ns > (WORTH_IT if returning.proven else _WORTH_A_DOUBT) * returning.cost_ns
    return returning.cost_ns < safe.cost_ns


def _say(way: Way | Refusal, *notes: str) -> Way | Refusal:
    if isinstance(way, Refusal):
        return way
    if way.partial:
        notes = (f"not timed: {way.partial}", *notes)
    return replace(way, reason="; ".join((way.reason, *notes)))


def _limit(probes: list[Probe], most: int | None) -> tuple[list[Probe], list[Skipped]]:
    """At most `most` probes: first the primaries of each role, then the cheapest."""
    if most is None or len(probes) <= most:
        return probes, []
    ranked = sorted(range(len(probes)), key=lambda n: (not probes[n].primary, n))
    roles: Counter[tuple[str, bool]] = Counter()
    turn: dict[int, int] = {}
    for number in ranked:
        key = (probes[number].role, probes[number].primary)
        turn[number] = roles[key]
        roles[key] += 1
    ranked.sort(key=lambda n: (not probes[n].primary, turn[n], n))
    kept = set(ranked[:most])
    reason = f"over --max-probes {most}: the primary functions of each role come first"
    over = [Skipped(p.function, p.file, p.profile, reason) for n, p in enumerate(probes) if n not in kept]
    return [p for n, p in enumerate(probes) if n in kept], over


def _told_apart(probes: Sequence[Probe]) -> tuple[Probe, ...]:
    """Distinguish functions of one name by something that is stable across builds: their arguments (overloads), else
    their symbol (the destructors of one class), else their file, and only if all of that is equal, their address.
    """
    ways: tuple[Callable[[Probe], str], ...] = (
        lambda probe: probe.symbol.demangled,
        lambda probe: f"{probe.function} [{probe.symbol.name}]",
        lambda probe: f"{probe.function} [{probe.file.rsplit('/', 1)[-1]}]",
        lambda probe: f"{probe.function} [{probe.file.rsplit('/', 1)[-1]}+{probe.symbol.address:#x}]",
    )
    names = [probe.function for probe in probes]
    for way in ways:
        times = Counter(names)
        names = [way(probe) if times[name] > 1 else name for probe, name in zip(probes, names, strict=True)]
    return tuple(replace(probe, function=name) for probe, name in zip(probes, names, strict=True))
