# SPDX-License-Identifier: Apache-2.0
"""`otel-jb plan`: the prediction of what measuring would cost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otel_jb.cli.main import main
from otel_jb.cli.plan import predict
from otel_jb.model.plan import EndStrategy, Probe, ProbePlan, Symbol, SymbolSource
from otel_jb.model.reads import ReadProgram

SPEEX = "/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1"


def probe(function: str, cost_ns: float, *, primary: bool) -> Probe:
    """A probe of which only name, price and rank matter."""
    symbol = Symbol(function, 0, 0, SymbolSource.SYMTAB, function)
    strategy = EndStrategy.EDGE_SITES
    return Probe(
        function, symbol, "", None, "put", primary, "p", strategy, "", (), ReadProgram(), True, False, False, False, False,
        cost_ns=cost_ns,
    )  # fmt: skip


def test_the_total_is_the_sum_of_rates_times_prices() -> None:
    """1 000 calls a second of 1 µs and of 9 µs are 1 % of a CPU."""
    plan = ProbePlan((probe("a", 1_000, primary=True), probe("b", 9_000, primary=False)))
    prediction = predict(plan, 1_000, 0.10)
    assert prediction.total == pytest.approx(0.01)
    assert prediction.shed == ()


def test_what_the_governor_would_detach_is_named() -> None:
    """As few as suffice; a primary function only where all others do not, and then no other that is not needed beside it."""
    plan = ProbePlan(
        (probe("a", 9_000, primary=True), probe("b", 2_000, primary=False), probe("c", 3_000, primary=False))
    )
    assert predict(plan, 10_000, 0.139).shed == ("c",)
    assert predict(plan, 10_000, 0.05).shed == ("b", "a")
    assert predict(plan, 10_000, None).shed == ()


def test_a_real_library_is_planned_without_attaching(capsys: pytest.CaptureFixture[str]) -> None:
    """Debian's speexdsp: each function with a site, a strategy, its reason and its price."""
    assert main(["plan", SPEEX, "--rate", "1000", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    functions = {one["function"]: one for one in plan["functions"]}
    assert functions["jitter_buffer_put"]["strategy"] == "uretprobe"
    assert "memory, which is read at the end" in functions["jitter_buffer_put"]["reason"]
    assert all(one["cost_ns"] > 0 and one["reason"] and one["sites"] for one in functions.values())
    assert plan["cpu"] == pytest.approx(sum(one["cpu"] for one in functions.values()))


def test_both_details_have_their_price(capsys: pytest.CaptureFixture[str]) -> None:
    """By default what tells nothing new is left out with a reason, and the price of all is beside it; --detail all the other way round."""
    assert main(["plan", SPEEX, "--rate", "1000"]) == 0
    default = capsys.readouterr().out
    assert main(["plan", SPEEX, "--rate", "1000", "--detail", "all"]) == 0
    everything = capsys.readouterr().out
    assert "jitter_buffer_remaining_span" not in default
    assert "jitter_buffer_remaining_span" in everything
    assert "with --detail all: " in default
    assert "with --detail default: " in everything
    assert main(["plan", SPEEX, "--rate", "1000", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["cpu"] == pytest.approx(plan["cpu_by_detail"]["default"])
    assert plan["cpu_by_detail"]["default"] < plan["cpu_by_detail"]["all"]
    (reason,) = {s["reason"] for s in plan["skipped"] if s["function"] == "jitter_buffer_remaining_span"}
    assert "--detail all attaches it" in reason


def test_the_listing_names_budget_and_total(capsys: pytest.CaptureFixture[str]) -> None:
    """For people: a row a function, then the sum and what the governor would do."""
    assert main(["plan", SPEEX, "--rate", "1000000", "--budget", "5%"]) == 0
    text = capsys.readouterr().out
    assert "jitter_buffer_put*" in text
    assert "over the budget of 5.0%: the governor would detach" in text


def test_a_file_without_such_functions_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 5 and one message."""
    assert main(["plan", "/bin/ls"]) == 5
    assert "no jitter-buffer function in /bin/ls" in capsys.readouterr().err


def test_a_rate_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Exit code 2, before the file is read."""
    assert main(["plan", str(tmp_path), "--rate", "-3"]) == 2
    assert "--rate" in capsys.readouterr().err
