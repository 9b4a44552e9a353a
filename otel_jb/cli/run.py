"""`otel-jb run`: measure until stopped. Its options are also those of `record`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.model.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from otel_jb.config.model import Config

EXAMPLES = """\
examples:
  otel-jb run                                   every process on this host that a profile recognises, new ones too
  otel-jb run --pid 1234 --pid 1240             these processes
  otel-jb run --binary /usr/bin/ffmpeg --port 9310
                                                every process that runs this file, new ones too
  otel-jb run --name 'srs*' --exclude '*::get_time'
  otel-jb run --name srs --slow-threshold p99.5 --otlp-endpoint http://collector:4317
  otel-jb run --config /etc/otel-jb.yaml        see docs/configuration.md
  otel-jb run --config otel-jb.yaml --print-config
                                                what is in effect, as a file that can be used again

/metrics, /health and /ready are served on http://127.0.0.1:9310. Ctrl-C or SIGTERM stops cleanly (exit code 0).
The command line wins over the environment (OTEL_JB_*, OTEL_*), which wins over the file; a list replaces a list.
"""


#: Options that set one key of the configuration by the text of one word: option, key, metavar, help.
_OPTIONS = {
    "which functions (default: those that a profile knows)": (
        ("--max-probes", "max_probes", "N", "at most so many functions of one target (default: 256)"),
    ),
    "how they are probed": (
        ("--end-strategy", "end_strategy", "S", "auto, or a safer one by force: edge-sites, ret-sites, entry-only"),
        ("--link", "link", "KIND", "auto, multi or perf"),
        ("--overhead-budget", "overhead.budget", "SHARE", "of one CPU, for a target's probes (default: 10%%), or off"),
    ),
    "what is measured": (
        ("--interval", "interval", "TIME", "of min, max and avg, and between exports (default: 10s)"),
        ("--histogram", "histogram.kind", "KIND", "explicit (default) or exponential, for OTLP"),
        (
            "--slow-threshold",
            "slow.threshold",
            "TIME|pNN",
            "a call over it becomes a trace (default: 10ms); p99.5: a percentile of the function's own calls; or off",
        ),
        ("--traces", "traces", "on|off", "spans and exemplars for slow calls (default: on)"),
        ("--retain", "retain", "TIME", "how long an ended target's values stay (default: 1m)"),
        ("--max-series", "max_series", "N", "at most so many functions of all targets (default: 1024)"),
    ),
    "where it goes": (
        ("--listen", "listen", "HOST:PORT", "of /metrics, /health, /ready (default: 127.0.0.1:9310), or off"),
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
            "grpc or http/protobuf (default: as the endpoint's port implies)",
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
    add_print_config(parser)
    add_options(parser)


def add_print_config(parser: argparse.ArgumentParser) -> None:
    """Add the option that shows the configuration instead of using it."""
    parser.add_argument("--print-config", action="store_true", help="print the configuration in effect and exit")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that make a configuration."""
    parser.add_argument("--config", metavar="FILE", type=Path, help="YAML file (default: $OTEL_JB_CONFIG)")

    group = parser.add_argument_group("which processes (default: every one that a profile recognises)")
    group.add_argument("--pid", metavar="PID", type=_pid, action="append", help="this process; repeatable")
    group.add_argument(
        "--binary", metavar="PATH", action="append", help="those that run this file or map it as a library; repeatable"
    )
    group.add_argument(
        "--name", metavar="GLOB", action="append", help="those whose executable has such a name; repeatable"
    )
    group.add_argument("--service-name", metavar="NAME", help="their service.name (default: the executable's name)")

    for title, options in _OPTIONS.items():
        group = parser.add_argument_group(title)
        if title.startswith("which functions"):
            group.add_argument(
                "--function",
                metavar="NAME|GLOB",
                action="append",
                help="only these, demangled without arguments (Srs*::put) or as in the symbol table; repeatable",
            )
            group.add_argument("--exclude", metavar="NAME|GLOB", action="append", help="not these; repeatable")
            group.add_argument("--profile", metavar="FILE", action="append", help="one more profile file; repeatable")
        for option, key, metavar, help_text in options:
            group.add_argument(
                option, dest=key, metavar=metavar, type=value_of(key), default=argparse.SUPPRESS, help=help_text
            )
        if title.startswith("how"):
            group.add_argument(
                "--unsafe-uretprobe",
                metavar="NAME|GLOB",
                action="append",
                help="put a uretprobe on it although it is not shown to be safe: THIS MAY KILL THE TARGET; repeatable",
            )
        if title.startswith("where"):
            group.add_argument("--port", metavar="PORT", type=port, help="--listen with only the port changed")
            group.add_argument(
                "--otlp-header", metavar="KEY=VALUE", type=_header, action="append", help="with each export; repeatable"
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
    from otel_jb.probes.programs import compiled

    compiled.start_early()
    try:
        from otel_jb.sandbox import client

        client.start_early()
        try:
            yield
        finally:
            client.end_early()
    finally:
        compiled.end_early()


def run_with(config: Config, args: argparse.Namespace) -> int:
    """Print the configuration if that was asked for, else check the machine and start the agent."""
    if args.print_config:
        from otel_jb.config.layers import to_yaml

        sys.stdout.write(to_yaml(config))
        return 0
    from otel_jb.doctor.preflight import preflight

    preflight(config)
    from otel_jb.agent import service

    return service.run(config)


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
        return override(config, _from_command_line(args, config))
    except ValueError as error:
        raise UsageError(str(error)) from None


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
    from otel_jb.config.model import Address, Config, TargetSelector

    values: dict[str, object] = {key: value for key, value in vars(args).items() if key in _KEYS}
    targets = [
        *(TargetSelector(pid=pid, service_name=args.service_name) for pid in args.pid or ()),
        *(TargetSelector(binary=path, service_name=args.service_name) for path in args.binary or ()),
        *(TargetSelector(name=name, service_name=args.service_name) for name in args.name or ()),
    ]
    if targets:
        values["targets"] = tuple(targets)
    elif args.service_name is not None:
        raise UsageError("--service-name needs --pid, --binary or --name")
    for key, given in (
        ("functions.include", args.function),
        ("functions.exclude", args.exclude),
        ("profiles", args.profile),
        ("unsafe_uretprobe", args.unsafe_uretprobe),
    ):
        if given is not None:
            values[key] = tuple(given)
    if args.otlp_header is not None:
        values["otlp_command_line.headers"] = dict(args.otlp_header)
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


def _pid(text: str) -> int:
    if not text.isdecimal() or len(text) > 9 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a process id, got {text[:60]!r}")
    return int(text)


def port(text: str) -> int:
    """A reader for argparse of a TCP port; 0 lets the kernel choose."""
    if not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text[:60]!r}")
    return int(text)


def _header(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text[:60]!r}")
    return key.strip(), value.strip()
