# SPDX-License-Identifier: Apache-2.0
"""`otel-jb why`: measure for a minute, or read a recording, and say who is at fault."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from otel_jb.cli import run as run_command
from otel_jb.cli import target
from otel_jb.cli.progress import STARTING, Progress
from otel_jb.model.errors import TargetError, UsageError

if TYPE_CHECKING:
    from otel_jb.config.model import Config
    from otel_jb.diagnosis.history import History
    from otel_jb.diagnosis.limits import Culprit
    from otel_jb.diagnosis.verdict import Reading, Verdict
    from otel_jb.model.stream import StreamRecord, Target

EXAMPLES = """\
examples:
  otel-jb why                                every process that a profile recognises, for a minute
  otel-jb why srs --stream live/cam0         this stream alone
  otel-jb why 1234 --for 20s --json          for programs
  otel-jb why --recording incident.jsonl.gz  what `otel-jb record` wrote; its last minute, without root

It says what each of the three, network, host and server, is accused of, and what is not known. Nothing over a limit is no fault.
"""
_BAR = 20  #: characters of a bar that is twice the limit or more
_LAYERS = {"network": "network", "host": "host", "application": "server"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `why` to the main parser."""
    parser = subparsers.add_parser(
        "why",
        help="say whether network, host or server is at fault",
        description="Measure for a while and say whether the network, the host or the server is at fault, with the evidence.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    target.add_arguments(parser, many=True)
    parser.add_argument("--stream", metavar="NAME", help="judge this stream alone, by its label (see docs/metrics.md)")
    parser.add_argument(
        "--for", dest="window", metavar="TIME", type=_window, default=60.0, help="how long to look (default: 60s)"
    )
    parser.add_argument(
        "--recording", metavar="FILE", help="judge the end of a recording instead; - for standard input"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    run_command.add_print_config(parser)
    run_command.add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Look, judge and print. Raises AgentError."""
    from otel_jb.diagnosis.history import History

    history = History(args.window)
    if args.recording is not None:
        if target.given(args):
            raise UsageError("a recording has its own targets", "leave TARGET out")
        _read(history, args.recording)
    else:
        with run_command.early_children(args):
            config = _config(args)
            if args.print_config:
                return run_command.run_with(config, args)
            _measure(history, config, args)
    return _print(history, args)


def _config(args: argparse.Namespace) -> Config:
    """As for `run`, but that nothing is served or sent, and the kernel is read often enough to tell since when."""
    from otel_jb.config.model import LogLevel, Otlp
    from otel_jb.config.yamlfile import Duration

    config = run_command.configuration(args, os.environ)
    quiet = (
        config.log if config.log.level is not LogLevel.INFO else dataclasses.replace(config.log, level=LogLevel.WARNING)
    )
    interval = Duration(max(500_000_000, int(args.window * 1e9 / 12)))
    return dataclasses.replace(
        config, listen=None, otlp=Otlp(), otlp_command_line=Otlp(), traces=False, interval=interval, log=quiet
    )


def _measure(history: History, config: Config, args: argparse.Namespace) -> None:
    from otel_jb.agent import service
    from otel_jb.cli import words
    from otel_jb.doctor.preflight import preflight
    from otel_jb.doctor.system import System

    preflight(config, System(words.again(args.typed, "--port", "--listen")))
    for each in target.given(args):
        if each.pid is not None or each.name is not None:
            target.processes(each)  # nobody waits a minute for a name that no process has
    with Progress() as progress:
        began: list[float] = []

        def take(record: StreamRecord) -> None:
            history.apply(record)
            began[:] = began or [time.monotonic()]
            progress(f"looking: {time.monotonic() - began[0]:.0f} of {args.window:.0f} s")

        service.run(config, [take], seconds=args.window, starting=progress.during(STARTING), slow_calls=True)


def _read(history: History, path: str) -> None:
    from otel_jb.agent.recording import Reader

    with Reader(path) as reader:
        for item in reader:
            history.apply(item.record)


def _print(history: History, args: argparse.Namespace) -> int:
    from otel_jb.diagnosis.verdict import judge

    found = [(each, judge(history, each.id, args.stream)) for each in history.targets]
    if not found:
        raise TargetError("nothing was measured", "`otel-jb discover` shows which processes can be.")
    if args.json:
        json.dump({"targets": [_plain(*each) for each in found]}, sys.stdout, indent=2)
        print()
        return 0
    for each, verdict in found:
        print("\n".join(_lines(each, verdict)))
    return 0


def _lines(target_: Target, verdict: Verdict) -> Iterator[str]:
    who = f"{target_.name} (process {target_.pid})"
    if verdict.culprit is not None:
        accused = dict.fromkeys(_LAYERS[each.reading.measure.culprit.value] for each in verdict.findings)
        yield f"{who}: it is the {' and the '.join(accused)}"
        for each in verdict.findings:
            since = time.strftime("%H:%M:%S", time.localtime(each.since_unix_nano / 1e9))
            limit = each.reading.measure.shown(each.reading.measure.limit)
            yield f"  {each.sentence} (limit {limit}), since {since}"
    elif verdict.seconds and not verdict.missing:
        yield f"{who}: nothing is over a limit in {verdict.seconds:.0f} s"
    else:
        yield f"{who}: nothing that could be seen is over a limit in {verdict.seconds:.0f} s"
    if verdict.culprit is not None:
        for culprit, reading in _worst(verdict).items():
            filled = min(_BAR, round(reading.severity / 2 * _BAR))
            where = f" ({reading.stream})" if reading.stream is not None else ""
            value = f"{reading.measure.name.replace('_', ' ')} {reading.measure.shown(reading.value)}{where}"
            yield f"  {_LAYERS[culprit.value]:8} {'█' * filled:{_BAR}} {value}"
    for each_missing in verdict.missing:
        yield f"  not known: {each_missing}"


def _worst(verdict: Verdict) -> dict[Culprit, Reading]:
    """The strongest reading of each culprit, over a limit or not."""
    found: dict[Culprit, Reading] = {}
    for reading in sorted(verdict.readings, key=lambda each: (each.exceeds, each.severity)):
        found[reading.measure.culprit] = reading
    return {culprit: found[culprit] for culprit in sorted(found, key=lambda each: list(_LAYERS).index(each.value))}


def _plain(target_: Target, verdict: Verdict) -> dict[str, Any]:
    return {
        "name": target_.name,
        "pid": target_.pid,
        "service": target_.service_name,
        "seconds": round(verdict.seconds, 3),
        "culprit": verdict.culprit.value if verdict.culprit else None,
        "findings": [
            {
                **_reading(each.reading),
                "sentence": each.sentence,
                "since_unix_seconds": round(each.since_unix_nano / 1e9, 3),
            }
            for each in verdict.findings
        ],
        "measured": [_reading(each) for each in verdict.readings],
        "missing": list(verdict.missing),
    }


def _reading(reading: Reading) -> dict[str, Any]:
    measure = reading.measure
    return {
        "culprit": measure.culprit.value,
        "measure": measure.name,
        "stream": reading.stream,
        "value": reading.value,
        "limit": measure.limit,
        "about": reading.about,
    }


def _window(text: str) -> float:
    from otel_jb.config.yamlfile import Duration

    try:
        seconds = Duration.from_yaml(text).seconds
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 2 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"expected 2s to 1h, got {text[:60]!r}")
    return seconds
