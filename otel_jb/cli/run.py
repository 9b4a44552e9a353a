# SPDX-License-Identifier: Apache-2.0
"""`otel-jb run`: measure until stopped. Its options are also those of `record`."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.cli import target, words
from otel_jb.cli.progress import STARTING, Progress
from otel_jb.config.model import EndChoice
from otel_jb.model.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from otel_jb.config.model import Config

_logger = logging.getLogger(__name__)

EXAMPLES = """\
examples:
  otel-jb run                                   every process that a profile recognises, now and later
  otel-jb run 1234 1240                         these processes; ends when they have ended
  otel-jb run srs                               every process whose executable is called srs
  otel-jb run --binary /usr/bin/ffmpeg --port 9310
                                                every process that runs this file, now and later
  otel-jb run 'srs*' --exclude '*::get_time'
  otel-jb run srs --slow-threshold p99.5 --otlp-endpoint http://collector:4317
  otel-jb run --config /etc/otel-jb.yaml        see docs/configuration.md
  otel-jb run --config otel-jb.yaml --print-config
                                                print the configuration in effect, as a file to use again

/metrics, /health and /ready are on http://127.0.0.1:9310. Ctrl-C or SIGTERM stops cleanly (exit code 0).
The command line overrides the environment (OTEL_JB_*, OTEL_*), which overrides the file; a list replaces a list.
"""


_SAFER = ", ".join(word for word, choice in EndChoice.known().items() if choice.strategy is not None)
#: Options that set one key of the configuration by the text of one word: option, key, metavar, help.
_OPTIONS = {
    "which functions (default: those that a profile knows)": (
        ("--detail", "detail", "D", "default: those that feed a metric; all: every function that a profile knows"),
        ("--inferred", "inferred", "I", "which functions found without names: agreed (default), all, or none"),
        ("--max-probes", "max_probes", "N", "maximum number of functions probed per target (default: 256)"),
    ),
    "how they are probed": (
        ("--end-strategy", "end_strategy", "S", f"auto, or force a safer one: {_SAFER}"),
        ("--link", "link", "KIND", "auto, multi or perf"),
        (
            "--overhead-budget",
            "overhead.budget",
            "SHARE",
            "share of one CPU that a target's probes may take (default: 10%%), or off",
        ),
    ),
    "what is measured": (
        ("--interval", "interval", "TIME", "period of min, max and avg, and of exports (default: 10s)"),
        ("--histogram", "histogram.kind", "KIND", "explicit (default) or exponential, for OTLP"),
        (
            "--slow-threshold",
            "slow.threshold",
            "TIME|pNN",
            "trace calls slower than this (default: 10ms), or than a percentile of the function's own calls (p99.5); or off",
        ),
        ("--traces", "traces", "on|off", "spans and exemplars for slow calls (default: on)"),
        (
            "--streams",
            "rtp.streams",
            "N",
            "RTP streams of a function that have a label of their own, the busiest (default: 20), or off",
        ),
        (
            "--flight-recorder",
            "rtp.flight_recorder",
            "on|off",
            "show the packets around a slow call in its trace, from a record of each stream's last packets (default: on)",
        ),
        ("--retain", "retain", "TIME", "keep an ended target's values this long (default: 1m)"),
        (
            "--inherit-attributes",
            "inherit_attributes",
            "on|off",
            "give targets the agent's resource attributes (OTEL_RESOURCE_ATTRIBUTES) too (default: off)",
        ),
        (
            "--max-series",
            "max_series",
            "N",
            "maximum number of functions probed in all, times the processes that call them (default: 4096)",
        ),
    ),
    "where it goes": (
        (
            "--listen",
            "listen",
            "HOST:PORT",
            "address of /metrics, /health and /ready (default: 127.0.0.1:9310), or off",
        ),
        (
            "--web-config",
            "web_config",
            "FILE",
            "TLS, passwords and tokens for it, in the format of Prometheus' exporters",
        ),
        (
            "--otlp-endpoint",
            "otlp_command_line.endpoint",
            "URL",
            "send metrics and traces to this OpenTelemetry Collector",
        ),
        (
            "--otlp-protocol",
            "otlp_command_line.protocol",
            "P",
            "grpc or http/protobuf (default: by the endpoint's port)",
        ),
    ),
    "the agent's log, on stderr": (
        ("--log-level", "log.level", "LEVEL", "debug, info (default), warning or error"),
        ("--log-format", "log.format", "FORMAT", "text (default) or json"),
    ),
}
_KEYS = frozenset(option[1] for options in _OPTIONS.values() for option in options)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `run` to the main parser."""
    parser = subparsers.add_parser(
        "run",
        help="measure running processes until stopped",
        description="Measure the jitter-buffer functions of running processes until stopped. Needs root (see doctor).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    target.add_arguments(parser, many=True)
    add_print_config(parser)
    add_wait(parser)
    add_options(parser)


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Add the option that keeps the command running without its targets."""
    parser.add_argument("--wait", action="store_true", help="keep running after every process named by PID has ended")


def add_print_config(parser: argparse.ArgumentParser) -> None:
    """Add the option that shows the configuration instead of using it."""
    parser.add_argument("--print-config", action="store_true", help="print the configuration in effect and exit")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that make a configuration."""
    parser.add_argument("--config", metavar="FILE", type=Path, help="YAML file (default: $OTEL_JB_CONFIG)")

    group = parser.add_argument_group("which processes (default: every one that a profile recognises)")
    target.add_options(group)
    target.add_conditions(group)
    group.add_argument(
        "--service-name", metavar="NAME", help="service.name of these processes (default: the executable's name)"
    )

    for title, options in _OPTIONS.items():
        group = parser.add_argument_group(title)
        if title.startswith("which functions"):
            group.add_argument(
                "--function",
                metavar="NAME|GLOB",
                action="append",
                help="only these: demangled without arguments (Srs*::put), as in the symbol table, or by address "
                "(libfoo.so+0x1a40); in a target that is named, any function; repeatable",
            )
            group.add_argument("--exclude", metavar="NAME|GLOB", action="append", help="all but these; repeatable")
            group.add_argument(
                "--usdt",
                metavar="PROVIDER:NAME",
                action="append",
                help="count the hits of this USDT probe too (globs work); repeatable",
            )
            group.add_argument("--profile", metavar="FILE", action="append", help="additional profile file; repeatable")
        for option, key, metavar, help_text in options:
            group.add_argument(
                option, dest=key, metavar=metavar, type=value_of(key), default=argparse.SUPPRESS, help=help_text
            )
        if title.startswith("how"):
            group.add_argument(
                "--clock-rate",
                metavar="TYPE=HZ",
                type=_clock_rate,
                action="append",
                help="clock rate of a dynamic RTP payload type (111=48000), which jitter needs; repeatable",
            )
            group.add_argument(
                "--sdp",
                metavar="FILE",
                type=_sdp,
                action="append",
                help="session description whose a=rtpmap lines give clock rates; --clock-rate comes first; repeatable",
            )
            group.add_argument(
                "--unsafe-uretprobe",
                metavar="NAME|GLOB",
                action="append",
                help="use a uretprobe although nothing proves it safe: THIS MAY KILL THE TARGET; repeatable",
            )
        if title.startswith("where"):
            group.add_argument(
                "--port", metavar="PORT", type=port, help="port of /metrics, as --listen with another port"
            )
            group.add_argument(
                "--otlp-header",
                metavar="KEY=VALUE",
                type=_header,
                action="append",
                help="header of every export; repeatable",
            )


def run(args: argparse.Namespace) -> int:
    """Measure until stopped. Raises AgentError."""
    with early_children(args):
        return run_with(configuration(args, os.environ), args)


@contextmanager
def early_children(args: argparse.Namespace) -> Iterator[None]:
    """Start the two children that the first probe waits for, before all else is imported; end them if they are not needed."""
    if args.print_config:
        yield
        return
    from otel_jb.sandbox import client

    client.start_early()  # first: it imports for longer than the loader, and this process waits for it
    try:
        from otel_jb.probes.programs import compiled

        compiled.start_early()
        try:
            yield
        finally:
            compiled.end_early()
    finally:
        client.end_early()


def run_with(config: Config, args: argparse.Namespace) -> int:
    """Print the configuration if that was asked for; otherwise check the machine, measure, and say what was measured."""
    if args.print_config:
        from otel_jb.config.layers import to_yaml

        sys.stdout.write(to_yaml(config))
        return 0
    from otel_jb.doctor.preflight import preflight
    from otel_jb.doctor.system import System

    preflight(config, System(words.again(args.typed, "--port", "--listen")))
    from otel_jb.agent import service
    from otel_jb.config.model import LogFormat
    from otel_jb.views.summary import Summary

    summary, started = Summary(), time.monotonic()
    ended = None if args.wait else _ended(config)

    def again() -> Config:
        return dataclasses.replace(configuration(args, os.environ), record_to=config.record_to)

    # Where the log is for programs, nothing comes between its lines.
    progress = Progress(shown=False if config.log.format is LogFormat.JSON else None)
    code = service.run(config, [summary.take], ended, again, starting=progress.during(STARTING))
    _say(config, summary.lines(time.monotonic() - started))
    return code


def _ended(config: Config) -> Callable[[], bool] | None:
    """Whether every process that was named by PID has ended; None where others may come. Raises TargetError."""
    pids = [selector.pid for selector in config.targets]
    if not pids or None in pids:
        return None
    from otel_jb.host import procfs

    named = [procfs.process(pid) for pid in pids if pid is not None]
    return lambda: not any(procfs.alive(each) for each in named)


def _say(config: Config, lines: Sequence[str]) -> None:
    """Print the last words where the log goes, and as the log does if that is for programs."""
    from otel_jb.config.model import LogFormat, LogLevel

    if config.log.format is LogFormat.JSON:
        for line in lines:
            _logger.info("%s", line.strip())
    elif config.log.level in (LogLevel.DEBUG, LogLevel.INFO):
        print("\n".join(lines), file=sys.stderr)


def configuration(args: argparse.Namespace, environ: Mapping[str, str]) -> Config:
    """What is in effect: defaults < file < OTEL_* < OTEL_JB_* < command line. Raises ConfigError, UsageError."""
    from otel_jb.config.layers import CONFIG_FILE_VARIABLE, from_environment, load, override
    from otel_jb.config.model import Config

    file = args.config or (Path(environ[CONFIG_FILE_VARIABLE]) if environ.get(CONFIG_FILE_VARIABLE) else None)
    config = load(file) if file else Config()
    for values in (_standard(environ, config), from_environment(environ)):
        try:
            config = override(config, values)
        except ValueError as error:
            raise ConfigError(f"environment: {error}") from None
    try:
        config = override(config, _from_command_line(args, config))
    except ValueError as error:
        raise UsageError(str(error), _corrected(args, error)) from None
    return _with_inherited(environ, config) if config.inherit_attributes else config


def _with_inherited(environ: Mapping[str, str], config: Config) -> Config:
    """The configuration with the agent's resource attributes among those of all targets; the configured ones win."""
    from otel_jb.config.environment import read as read_standard

    inherited = read_standard(environ, config.otlp).target_attributes()
    return dataclasses.replace(config, attributes={**inherited, **config.attributes})


def _corrected(args: argparse.Namespace, error: ValueError) -> str:
    """The typed command with a valid value for the option that sets the key which is wrong; "" if it is no such error."""
    from otel_jb.cli import corrections
    from otel_jb.config.yamlfile import KeyValueError

    if not isinstance(error, KeyValueError):
        return ""
    options = (
        option for group in _OPTIONS.values() for option, key, *_ in group if key.rpartition(".")[2] == error.key
    )
    option = next(options, "")
    return corrections.with_value(args.typed, f"argument {option}: {error}") or ""


def _standard(environ: Mapping[str, str], config: Config) -> dict[str, object]:
    """Values by key of OpenTelemetry's own variables, as far as they are not about OTLP alone.

    What goes by OTLP, where and how is settled by the agent from the same variables, `otlp` and `otlp_command_line`.
    """
    from otel_jb.config.environment import read as read_standard
    from otel_jb.config.layers import read
    from otel_jb.config.model import Address, Config, HistogramKind
    from otel_jb.config.yamlfile import Duration

    settings = read_standard(environ, config.otlp)
    values: dict[str, object] = {}
    if settings.metric_interval_seconds is not None:
        values["interval"] = Duration(round(settings.metric_interval_seconds * 1e9))
    if settings.exponential_histogram is not None:
        exponential = settings.exponential_histogram
        values["histogram.kind"] = HistogramKind.EXPONENTIAL if exponential else HistogramKind.EXPLICIT
    host = dict(settings.resource_attributes).get("host.name")
    if host:
        values["host_name"] = host
    if settings.log_level is not None:
        values["log.level"] = read("log.level", settings.log_level)
    base = config.listen or Config().listen
    if settings.prometheus_host is not None or settings.prometheus_port is not None:
        assert base is not None
        port_number = base.port if settings.prometheus_port is None else settings.prometheus_port
        values["listen"] = Address(settings.prometheus_host or base.host, port_number)
    return values


def _from_command_line(args: argparse.Namespace, config: Config) -> dict[str, object]:
    from otel_jb.config.model import Address, Config

    values: dict[str, object] = {key: value for key, value in vars(args).items() if key in _KEYS}
    targets = target.selectors(target.given(args), args.service_name, target.conditions(args))
    if targets:
        values["targets"] = targets
    elif args.service_name is not None:
        raise UsageError("--service-name needs a TARGET, --pid, --binary, --name or a condition such as --command")
    for key, given in (
        ("functions.include", args.function),
        ("usdt", args.usdt),
        ("functions.exclude", args.exclude),
        ("profiles", args.profile),
        ("unsafe_uretprobe", args.unsafe_uretprobe),
    ):
        if given is not None:
            values[key] = tuple(given)
    if args.otlp_header is not None:
        values["otlp_command_line.headers"] = dict(args.otlp_header)
    if args.clock_rate is not None or args.sdp is not None:
        values["rtp.clock_rates"] = {
            **config.rtp.clock_rates,
            **_described(args.sdp or ()),
            **dict(args.clock_rate or ()),
        }
    if args.port is not None:
        listen = values.get("listen", config.listen) or Config().listen
        assert isinstance(listen, Address)
        values["listen"] = Address(listen.host, args.port)
    return values


def value_of(key: str) -> Callable[[str], object]:
    """A reader for argparse of the text of one key; argparse shows only the messages of its own error."""

    def reader(text: str) -> object:
        from otel_jb.config.layers import read

        try:
            return read(key, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return reader


def port(text: str) -> int:
    """A reader for argparse of a TCP port; 0 lets the kernel choose."""
    if not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text[:60]!r}")
    return int(text)


def _clock_rate(text: str) -> tuple[str, object]:
    from otel_jb.config.model import ClockRate, Rtp

    payload_type, equals, rate = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected TYPE=HZ such as 111=48000, got {text[:60]!r}")
    try:
        found = ClockRate.from_yaml(rate.strip())
        Rtp(clock_rates={payload_type.strip(): found})
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return payload_type.strip(), found


def _sdp(path: str) -> tuple[str, dict[str, object]]:
    """The file's name and the clock rates in it."""
    from otel_jb.config.model import ClockRate
    from otel_jb.streams import sdp

    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = sdp.clock_rates(file.read(sdp.LONGEST + 1))
        return path, {str(key): ClockRate.from_yaml(str(rate)) for key, rate in found.items()}
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path[:60]}: {error.strerror}") from None
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{path[:60]}: {error}") from None


def _described(descriptions: Iterable[tuple[str, dict[str, object]]]) -> dict[str, object]:
    """The clock rates of several descriptions. Raises UsageError if two of them disagree."""
    found: dict[str, object] = {}
    for path, rates in descriptions:
        for payload_type, rate in rates.items():
            if found.setdefault(payload_type, rate) != rate:
                raise UsageError(
                    f"--sdp {path}: payload type {payload_type} has a clock rate of {rate} Hz, and {found[payload_type]} Hz in another description",
                    "leave one of them out, and measure the servers by two agents",
                )
    return found


def _header(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text[:60]!r}")
    return key.strip(), value.strip()
