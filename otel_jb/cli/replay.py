# SPDX-License-Identifier: Apache-2.0
"""`otel-jb replay FILE`: serve a recording as the agent served what it measured. Needs no privileges."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from typing import TYPE_CHECKING

from otel_jb.cli import run as run_command
from otel_jb.model.errors import UsageError
from otel_jb.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_jb.agent.recording import Reader
    from otel_jb.config.model import Address
    from otel_jb.model.stream import StreamRecord

EXAMPLES = """\
examples:
  otel-jb replay incident.jsonl.gz                      at its original pace
  otel-jb replay incident.jsonl.gz --speed 60           a minute in a second
  otel-jb replay incident.jsonl.gz --no-wait            skip to the end, then serve that
  otel-jb replay incident.jsonl.gz --print              print the metrics as they were at the end

After the last record the metrics stay as they are; Ctrl-C ends the command.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `replay` to the main parser."""
    parser = subparsers.add_parser(
        "replay",
        help="serve a recording, without root",
        description="Serve a recording as a page and on /metrics, as the agent did while it recorded. Needs no privileges.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="file written by `otel-jb record`; - for standard input")
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=run_command.value_of("listen"),
        default=argparse.SUPPRESS,
        help="of /metrics (default: 127.0.0.1:9310)",
    )
    parser.add_argument("--port", metavar="PORT", type=run_command.port, help="the same address with another port")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--speed", metavar="N", type=_speed, default=1.0, help="N times as fast (default: 1)")
    pace.add_argument("--no-wait", action="store_true", help="do not wait between the records")
    pace.add_argument("--print", action="store_true", help="print the metrics at the end of the recording, and exit")


def run(args: argparse.Namespace) -> int:
    """Replay; returns the exit code. Raises UsageError, AddressInUseError."""
    from otel_jb.agent.recording import Reader

    with Reader(args.file) as reader:
        replay = Replay(reader)
        if args.print:
            replay.play(None, threading.Event())
            text, _ = replay.page.render("", "")
            sys.stdout.write(text.decode())
            return 0
        return _serve(replay, args)


class Replay:
    """A recording, the state that it adds up to so far, and the page that shows it.

    The state's clock is the recording's, so that an ended target's values go when they went for the agent.
    """

    def __init__(self, reader: Reader) -> None:
        from prometheus_client import CollectorRegistry

        from otel_jb.telemetry.histogram import DEFAULT_SHAPE, HistogramShape
        from otel_jb.telemetry.prometheus import MetricsPage, TargetCollector
        from otel_jb.telemetry.state import StreamState

        self.reader = reader
        self.records = 0
        self._at_seconds = 0.0
        self.state = StreamState(reader.header.retain_ns / 1e9, now=lambda: self._at_seconds)
        registry = CollectorRegistry(auto_describe=False)
        boundaries = reader.header.boundaries_ns
        shape = HistogramShape(boundaries) if boundaries else DEFAULT_SHAPE
        registry.register(TargetCollector(self.state.view, shape))
        self.page = MetricsPage(registry)

    def play(
        self, speed: float | None, stop: threading.Event, take: Callable[[StreamRecord], None] = lambda _: None
    ) -> None:
        """Fold the records in, each at its time, and hand them on; returns at the end or when stopped."""
        from otel_jb.agent.replay import play

        for item in play(self.reader, speed, wait=stop.wait):
            if stop.is_set():
                return
            self._at_seconds = item.at_ns / 1e9
            self.state.apply(item.record)
            take(item.record)
            self.records += 1


def _serve(replay: Replay, args: argparse.Namespace) -> int:
    from otel_jb.agent.replayed import ReplayedCalls
    from otel_jb.telemetry.endpoint import Endpoint, SharedRefresh, standard_pages
    from otel_jb.views.page import site
    from otel_jb.views.page.feed import Feed
    from otel_jb.views.page.tables import Content, Facts

    def readiness() -> tuple[bool, str]:
        return replay.records > 0, f"replay of {args.file}: {replay.records} records"

    refresh = SharedRefresh(lambda: None)
    calls = ReplayedCalls(replay.state)
    head = {"host": f"{printable(replay.reader.header.host)}, recorded", "keeps_slow_calls": True}
    feed = Feed(refresh, lambda: Content(replay.state, Facts(slow_calls=calls.kept.latest), head).tables)
    pages = {**standard_pages(replay.page.stream, refresh, readiness), **site.pages(feed.subscribe)}
    listen = _listen(args)
    endpoint = Endpoint(listen.host, listen.port, pages)
    stop = threading.Event()
    before = [(number, signal.signal(number, lambda *_: stop.set())) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        endpoint.start()
        header = replay.reader.header
        print(
            f"recorded on {header.host} by otel-jb {header.agent}; serving {endpoint.url} and {endpoint.url}metrics",
            file=sys.stderr,
        )
        replay.play(None if args.no_wait else args.speed, stop, calls.take)
        if not stop.is_set():
            print(f"end of the recording after {replay.records} records; Ctrl-C ends the replay", file=sys.stderr)
        stop.wait()
    finally:
        feed.close()
        endpoint.close()
        calls.close()
        for number, handler in before:
            signal.signal(number, handler)
    return 0


def _listen(args: argparse.Namespace) -> Address:
    from otel_jb.config.model import Address, Config

    listen = getattr(args, "listen", Config().listen)
    if not isinstance(listen, Address):
        raise UsageError("a replay needs an address to listen on", "see --print")
    return listen if args.port is None else Address(listen.host, args.port)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.001 <= speed <= 1_000_000:
        raise argparse.ArgumentTypeError(f"expected a number from 0.001 to 1000000, got {text[:60]!r}")
    return speed
