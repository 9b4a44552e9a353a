# SPDX-License-Identifier: Apache-2.0
"""Pairs of functions in a plan: what they need, and why one is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otel_jb.arch.instruction import Price
from otel_jb.code.facts import FunctionCode, Spot
from otel_jb.config.model import Config, Pair
from otel_jb.config.yamlfile import parse
from otel_jb.model.errors import ConfigError
from otel_jb.model.plan import EndStrategy, PairKey, SiteKind
from otel_jb.planner.choose import make_plan
from otel_jb.planner.inputs import FileFacts, Options
from tests.meanings import Known, Meaning, symbol

ASKED = Meaning(profile="none", role="other", generic=True, asked=True)
PAIR = Pair("queue", "put", "take", "arg1", "arg2")


def code(address: int, clobbered: tuple[int, ...] = ()) -> FunctionCode:
    """A function whose first instruction is expensive and whose second is cheap but has lost arguments."""
    spots = (
        Spot(address, address, "endbr64", Price.STEPPED),
        Spot(address + 4, address + 4, "push rbp", Price.EMULATED, clobbered=clobbered),
    )
    return FunctionCode(address, "x86_64", 16, entries=spots)


FACTS = FileFacts(
    "/bin/server", None, [Known(symbol("put", 16), ASKED), Known(symbol("take", 32), ASKED)],
    {16: code(16), 32: code(32, (2,))},
)  # fmt: skip


def test_a_pair_is_probed_at_both_entries_where_its_arguments_are_intact() -> None:
    """The cheapest instruction with the argument still in its register carries each probe; its functions are no probes of their own."""
    plan = make_plan([FACTS], options=Options(pairs=(PAIR,), target_named=True))
    (probe,) = plan.probes
    assert plan.skipped == ()
    assert (probe.function, probe.strategy, probe.pair) == ("queue", EndStrategy.START_STOP, PairKey(1, 2))
    assert [(site.kind, site.address, site.optional) for site in probe.sites] == [
        (SiteKind.ENTRY, 20, False),
        (SiteKind.STOP, 32, True),
    ]


@pytest.mark.parametrize(
    ("pair", "named", "reason"),
    [
        (PAIR, False, "name the process or file"),
        (replace(PAIR, stop="gone"), True, "must be in one"),
        (replace(PAIR, stop="*"), True, "means 2 functions"),
        (replace(PAIR, stop="put", stop_by="arg1"), True, "the same function"),
    ],
)
def test_a_pair_that_cannot_be_measured_says_why(pair: Pair, named: bool, reason: str) -> None:
    """Whatever is wrong with a pair is said under its own name, and nothing is probed."""
    plan = make_plan([FACTS], options=Options(pairs=(pair,), target_named=named))
    assert plan.probes == ()
    (skipped,) = [each for each in plan.skipped if each.function == "queue"]
    assert reason in skipped.reason


def test_a_file_with_neither_function_of_a_pair_is_not_mentioned() -> None:
    """Most files of a process have nothing to do with a pair."""
    plan = make_plan([replace(FACTS, matches=[])], options=Options(pairs=(PAIR,), target_named=True))
    assert (plan.probes, plan.skipped) == ((), ())


@pytest.mark.parametrize(
    "text",
    [
        "pairs: [{name: a, start: b, stop: c, by: arg7}]",
        "pairs: [{name: a, start: b, stop: c, stop_by: arg1}]",
        "pairs: [{name: a, start: b, stop: c, by: arg1, stop_by: thread}]",
        "pairs: [{name: '', start: b, stop: c}]",
        "pairs: [{name: a, start: b}]",
    ],
)
def test_a_pair_that_means_nothing_is_refused_with_its_line(text: str) -> None:
    """A mistake in a pair is an error of the configuration, with file and line."""
    with pytest.raises(ConfigError, match=r"^a\.yaml:1"):
        parse(text, "a.yaml", Config)
