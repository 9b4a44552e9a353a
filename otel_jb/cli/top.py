# SPDX-License-Identifier: Apache-2.0
"""`otel-jb top`: functions, RTP streams and processes, live on the screen."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from otel_jb.cli import demo, showing, target, words
from otel_jb.cli import run as run_command
from otel_jb.cli.progress import STARTING, Progress
from otel_jb.cli.showing import Source
from otel_jb.model.errors import AgentError, TargetError, UsageError
from otel_jb.model.text import printable

if TYPE_CHECKING:
    from otel_jb.views.rows import Picture

OWN_AGENT = "http://127.0.0.1:9310"

EXAMPLES = """\
examples:
  otel-jb top                               the agent that runs on this host, if one does; else measures by itself
  sudo otel-jb top srs                      measures every process whose executable is called srs
  otel-jb top --connect http://media3:9310  the agent of another host
  otel-jb top --replay incident.jsonl.gz    a recording, at its original pace

Keys: Tab functions, RTP streams, processes; s order; / filter; Enter open; space freeze; ? help; q quit.
Without a terminal it prints what changed, once a second.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `top` to the main parser."""
    parser = subparsers.add_parser(
        "top",
        help="watch functions, streams and processes live",
        description="Show what is measured, live. Takes the options of `run`, and measures by itself unless --connect or --replay is given.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    target.add_arguments(parser, many=True)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--connect", metavar="URL", help="show what the agent at this address measures; needs no root")
    source.add_argument("--replay", metavar="FILE", help="show a recording; needs no root")
    parser.add_argument(
        "--seconds", metavar="N", type=demo.seconds, help="end after N seconds (default: at q or Ctrl-C)"
    )
    run_command.add_options(parser)
    parser.set_defaults(print_config=False)


def run(args: argparse.Namespace) -> int:
    """Show until stopped. Raises AgentError."""
    warnings: deque[str] = deque(maxlen=1)
    # Signals first: an interrupt in the middle of the start could leave a lock held that one of the agent's threads waits for.
    with _quiet_log(warnings), _stopping() as stop, _source(args) as (source, caption):
        left = showing.until(showing.deadline(args.seconds), stop)
        showing.show(source, lambda: warnings[0] if warnings else caption, left, stop)
    return 0


@contextmanager
def _quiet_log(kept: deque[str]) -> Iterator[None]:
    """Keep the last warning instead of printing it: the log would break the picture."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(printable(record.getMessage()))

    handler, root = Keep(logging.WARNING), logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


@contextmanager
def _source(args: argparse.Namespace) -> Iterator[tuple[Source, str]]:
    """Where pictures come from, and what that is called."""
    named = bool(target.given(args) or target.conditions(args))
    if args.connect and not args.connect.startswith(("http://", "https://")):
        raise UsageError(f"--connect {args.connect[:60]!r} is no URL", f"otel-jb top --connect {OWN_AGENT}")
    if named and (args.connect or args.replay):
        raise UsageError(
            f"--{'connect' if args.connect else 'replay'} shows what is measured already; it takes no TARGET"
        )
    if args.replay:
        with _recorded(args.replay) as source:
            yield source
        return
    url = args.connect or ("" if named or args.config or os.environ.get("OTEL_JB_CONFIG") else _running())
    if url:
        from otel_jb.views.scraped import Scraped

        scraped = Scraped(url)
        scraped.picture()  # what is wrong with the address is told before the screen opens
        yield Source(scraped.picture, scraped.opened), scraped.url
        return
    with run_command.early_children(args), _measured(args) as source:
        yield source


def _running() -> str:
    """The address of this host's agent; "" where none answers there."""
    from otel_jb.views.scraped import Scraped

    try:
        Scraped(OWN_AGENT).picture()
    except TargetError:
        return ""
    return OWN_AGENT


@contextmanager
def _recorded(file: str) -> Iterator[tuple[Source, str]]:
    from otel_jb.agent.recording import Reader
    from otel_jb.agent.replayed import ReplayedCalls
    from otel_jb.cli.replay import Replay
    from otel_jb.views.rows import LiveTable

    stop = threading.Event()
    with Reader(file) as reader:
        replay = Replay(reader)
        table, calls = LiveTable(replay.state), ReplayedCalls(replay.state)
        trouble: list[AgentError] = []

        def play() -> None:
            try:
                replay.play(1.0, stop, calls.take)
            except AgentError as error:  # the recording is cut off, or spoilt
                trouble.append(error)

        player = threading.Thread(target=play, name="replay", daemon=True)
        player.start()

        def picture() -> Picture:
            if trouble:
                raise trouble[0]
            return table.picture()

        try:
            looks = showing.page_of(replay.state, calls.kept.latest)
            yield Source(picture, looks), f"recorded on {printable(reader.header.host)}"
        finally:
            stop.set()
            player.join(5.0)
            calls.close()


@contextmanager
def _measured(args: argparse.Namespace) -> Iterator[tuple[Source, str]]:
    from otel_jb.agent.service import Service
    from otel_jb.agent.watched import Watched
    from otel_jb.doctor.preflight import preflight
    from otel_jb.doctor.system import System
    from otel_jb.views.rows import LiveTable

    # Unless an address is named, nothing is served: an agent may run beside it.
    config = run_command.configuration(args, os.environ)
    if not hasattr(args, "listen") and args.port is None:
        config = dataclasses.replace(config, listen=None)
    preflight(config, System(words.again(args.typed, "--port", "--listen")))
    watched = Watched(config.retain / 1e9)
    with Service(config, [watched.take], slow_calls=config.traces) as service:
        with Progress().during(STARTING):
            service.start()
            watched.start(service)
        loop = threading.Thread(target=service.agent.run, name="agent", daemon=True)
        loop.start()
        table = LiveTable(watched.state)

        def picture() -> Picture:
            service.agent.read()
            return table.picture()

        try:
            yield Source(picture, showing.page_of(watched.state, watched.kept.latest)), ""
        finally:
            service.agent.stop()
            loop.join(5.0)
            watched.close()


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Set by the first signal that ends `top`; a second one interrupts whatever takes so long."""
    stop = threading.Event()

    def end(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = [(number, signal.signal(number, end)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield stop
    finally:
        for number, handler in before:
            signal.signal(number, handler)
