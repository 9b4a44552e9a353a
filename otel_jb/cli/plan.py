# SPDX-License-Identifier: Apache-2.0
"""`otel-jb plan TARGET --rate N`: predicts the cost of measuring before anything is attached."""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_jb.cli import target
from otel_jb.cli.progress import Progress
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ExitCode, NoFunctionError, UsageError
from otel_jb.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_jb.cli.target import Target
    from otel_jb.host.procfs import Process
    from otel_jb.model.plan import Probe, ProbePlan
    from otel_jb.model.stream import AgentCost
    from otel_jb.planner.files import Examined
    from otel_jb.planner.planner import Planner

EXAMPLES = """\
examples:
  otel-jb plan 1234 --rate 1000              this process, at 1000 calls per second of each function
  otel-jb plan ./objs/srs --rate 5000 --budget 5%
  otel-jb plan 1234 --measure                with probe costs measured on this machine (needs root)

Nothing is attached to the target. Costs are per call, entry and end together.
"""
_STRATEGY_HEADS = ("FUNCTION", "STRATEGY", "SITES", "NS/CALL", "CPU", "REASON")


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    from otel_jb.cli.run import value_of

    parser = subparsers.add_parser(
        "plan",
        help="predict what measuring a target would cost",
        description="Show where each function would be probed, how, and at what cost. Attaches nothing.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    target.add_arguments(parser, many=False)
    parser.add_argument(
        "--rate", type=_rate, default=1000.0, metavar="N", help="calls per second of each function (default: 1000)"
    )
    parser.add_argument(
        "--budget", type=value_of("overhead.budget"), metavar="SHARE", help="share of one CPU (default: 10%%), or off"
    )
    parser.add_argument(
        "--measure", action="store_true", help="first measure the cost of a probe on this machine; needs root"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument("--detail", type=value_of("detail"), metavar="D", help="default, or all functions of a profile")
    parser.add_argument(
        "--inferred",
        type=value_of("inferred"),
        metavar="I",
        help="which functions found without names: agreed, all or none",
    )
    parser.add_argument("--function", action="append", default=[], metavar="NAME|GLOB", help="only these (repeatable)")
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="NAME|GLOB", help="all but these (repeatable)"
    )
    parser.add_argument(
        "--profile", action="append", default=[], metavar="FILE", help="additional profile file (repeatable)"
    )
    target.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Plan and print. Raises the errors of an unreadable target, NoFunctionError."""
    from otel_jb.config.model import Config, Detail, Functions, Inferred
    from otel_jb.sandbox.client import Inspector

    wanted = target.only(args)
    if wanted is None:
        raise UsageError("plan needs a TARGET", f"TARGET is {target.HELP}.")
    with Inspector() as inspector:
        progress = Progress()
        with progress.during("measuring what a probe costs"):
            cost = _measured() if args.measure else None
        from otel_jb.planner.planner import Planner

        functions = Functions(include=tuple(args.function), exclude=tuple(args.exclude))
        inferred = args.inferred or Inferred.AGREED
        config = Config(functions=functions, profiles=tuple(args.profile), inferred=inferred)
        planner = Planner(config, inspector)
        if cost is not None:
            planner.use_costs(cost)
        with progress.during(f"examining {printable(str(wanted))}"):
            process, examined = _examine(planner, wanted)
            default, everything = (
                planner.plan(examined, named=True, process=process, detail=detail) for detail in (False, True)
            )
    plan, other = (everything, default) if args.detail is Detail.ALL else (default, everything)
    if not plan.probes:
        from otel_jb.planner.planner import no_function

        name = process.name if process is not None else Path(str(wanted)).name
        raise no_function(name, str(wanted), examined, plan, args.function)
    budget = Config().overhead.budget if args.budget is None else args.budget
    prediction = replace(predict(plan, args.rate, float(budget) if budget else None), other=other)
    if args.json:
        print(json.dumps(prediction.to_json(), indent=2))
    else:
        print("\n".join(prediction.lines(str(wanted))))
    return int(ExitCode.OK)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The cost of a plan at a given call rate of each function, in fractions of one CPU."""

    plan: ProbePlan
    rate: float
    budget: float | None
    shed: tuple[str, ...]  #: what the governor would detach, in that order
    other: ProbePlan | None = None  #: with the other detail: all functions, or those that feed a metric

    def share(self, probe: Probe) -> float:
        """Of one CPU, for one function."""
        return probe.cost_ns * self.rate / 1e9

    @property
    def total(self) -> float:
        """Of one CPU, for all."""
        return sum(self.share(probe) for probe in self.plan.probes)

    @property
    def other_total(self) -> float:
        """The same with the other detail."""
        return sum(self.share(probe) for probe in self.other.probes) if self.other is not None else self.total

    def to_json(self) -> dict[str, Any]:
        """For programs; numbers are nanoseconds and fractions of one CPU."""
        return {
            "rate": self.rate,
            "budget": self.budget,
            "cpu": self.total,
            "cpu_by_detail": self._by_detail(),
            "shed": list(self.shed),
            "functions": [
                {
                    "function": probe.function,
                    "role": probe.role,
                    "primary": probe.primary,
                    "strategy": probe.strategy.value,
                    "reason": probe.reason,
                    "evidence": probe.symbol.evidence,
                    "cost_ns": probe.cost_ns,
                    "cpu": self.share(probe),
                    "sites": [
                        {"kind": site.kind.value, "address": site.address, "instruction": site.instruction}
                        for site in probe.sites
                    ],
                }
                for probe in self.plan.probes
            ],
            "skipped": [{"function": skipped.function, "reason": skipped.reason} for skipped in self.plan.skipped],
        }

    def _by_detail(self) -> dict[str, float]:
        """Share of one CPU by `--detail`."""
        return {"default": min(self.total, self.other_total), "all": max(self.total, self.other_total)}

    def lines(self, target: str) -> list[str]:
        """For people."""
        rows = [
            _STRATEGY_HEADS,
            *(
                (
                    probe.function + ("*" if probe.primary else ""),
                    probe.strategy.value,
                    str(len(probe.sites)),
                    f"{probe.cost_ns:.0f}",
                    f"{self.share(probe):.2%}",
                    probe.reason,
                )
                for probe in self.plan.probes
            ),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_STRATEGY_HEADS) - 1)]
        text = [
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
            for row in rows
        ]
        text.append("")
        text += [f"{each.function}: {each.symbol.evidence}" for each in self.plan.probes if each.symbol.evidence]
        if any(each.symbol.evidence for each in self.plan.probes):
            text.append("")
        text.append(
            f"{target}: {len(self.plan.probes)} functions at {self.rate:g} calls per second each: {self.total:.2%} of one CPU"
        )
        if self.other is not None and len(self.other.probes) != len(self.plan.probes):
            more = len(self.other.probes) > len(self.plan.probes)
            text.append(
                f"with --detail {'all' if more else 'default'}: {len(self.other.probes)} functions, "
                f"{self.other_total:.2%} of one CPU"
            )
        if self.budget is not None and self.shed:
            text.append(f"over the budget of {self.budget:.1%}: the governor would detach {', '.join(self.shed)}")
        elif self.budget is not None:
            text.append(f"within the budget of {self.budget:.1%}; all stay attached")
        return text


def predict(plan: ProbePlan, rate: float, budget: float | None) -> Prediction:
    """The cost of a plan, and the functions that the governor (`otel_jb.agent.shedding`) would detach."""
    from otel_jb.agent.shedding import Cost, over_budget, tells

    if budget is None:
        return Prediction(plan, rate, budget, ())
    costs = {at: Cost(probe.cost_ns * rate / 1e9, tells(probe)) for at, probe in enumerate(plan.probes)}
    return Prediction(plan, rate, budget, tuple(plan.probes[at].function for at in over_budget(costs, budget)))


def _examine(planner: Planner, wanted: Target) -> tuple[Process | None, Sequence[Examined]]:
    if wanted.file is None:
        process = target.process(wanted)
        return process, planner.examine_process(process)
    resolved = target.real_path(wanted.file)
    examined = planner.examine_file(wanted.file, resolved)
    if not any(each.matches for each in examined):
        raise NoFunctionError(
            f"no jitter-buffer function in {printable(wanted.file)}",
            f"see what was examined and what would help:\n  otel-jb discover {shlex.quote(wanted.file)}",
        )
    return None, examined


def _measured() -> AgentCost:
    from otel_jb.config.model import Config
    from otel_jb.doctor.preflight import preflight
    from otel_jb.probes.backend import KernelOptions
    from otel_jb.probes.live import BpfBackend

    preflight(Config(listen=None))
    backend = BpfBackend(KernelOptions([1_000_000]))
    try:
        return backend.measure_cost()
    finally:
        backend.close()


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 < rate <= 1e9:
        raise argparse.ArgumentTypeError(f"expected a number of calls per second, got {text[:60]!r}")
    return rate
