# SPDX-License-Identifier: Apache-2.0
"""`otel-jb demo`: the agent measuring a real RTP stream that the demo generates."""

from __future__ import annotations

import argparse
import dataclasses
import math
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from otel_jb.cli import showing, words
from otel_jb.cli.progress import STARTING, Progress
from otel_jb.model.errors import ExitCode

if TYPE_CHECKING:
    from otel_jb.agent.loop import Agent
    from otel_jb.config.model import Config
    from otel_jb.demo.ffmpeg import Receiver, Sender
    from otel_jb.demo.relay import Impairment, Relay, RelayCounts
    from otel_jb.views.rows import Picture

FUNCTION = "ff_rtp_parse_packet"

DESCRIPTION = """\
FFmpeg receives an audio stream over loopback, through a relay that loses, delays and duplicates packets. The agent
measures that FFmpeg from outside, as it would any running server. Needs root (see doctor).
"""
EXAMPLES = """\
examples:
  otel-jb demo                      until Ctrl-C; meanwhile curl http://127.0.0.1:9310/metrics
  otel-jb demo --seconds 10 --loss 5

The last line compares the agent's count with the relay's.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `demo` to the main parser."""
    from otel_jb.cli.run import port

    parser = subparsers.add_parser(
        "demo",
        help="show the agent measuring a real stream over loopback",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--seconds", metavar="N", type=seconds, help="end after N seconds (default: at Ctrl-C)")
    parser.add_argument(
        "--port", metavar="PORT", type=port, default=9310, help="port of /metrics (default: 9310; 0: any free port)"
    )
    parser.add_argument(
        "--loss", metavar="PERCENT", type=_percent, default=0.03, help="share of packets to lose (default: 3)"
    )
    parser.add_argument(
        "--delayed", metavar="PERCENT", type=_percent, default=0.05, help="share to hold back for 30 ms (default: 5)"
    )
    parser.add_argument(
        "--duplicated", metavar="PERCENT", type=_percent, default=0.02, help="share to send twice (default: 2)"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="seed of the random choices (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Show the agent at work. Raises AgentError."""
    from otel_jb.config.model import Address, Config, TargetSelector
    from otel_jb.demo.ffmpeg import Receiver, find_ffmpeg, temporary_directory
    from otel_jb.demo.relay import Impairment
    from otel_jb.doctor.preflight import preflight
    from otel_jb.doctor.system import System

    # The log would break the table; the demo prints the important parts itself.
    quiet = dataclasses.replace(Config(), listen=Address("127.0.0.1", args.port))
    preflight(quiet, System(words.again(args.typed, "--port")))
    executable = find_ffmpeg()
    impairment = Impairment(loss=args.loss, delayed=args.delayed, duplicated=args.duplicated, seed=args.seed)
    stop = threading.Event()
    with ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            before = signal.signal(number, lambda *_: stop.set())
            stack.callback(signal.signal, number, before)
        directory = Path(stack.enter_context(temporary_directory()))
        receiver = Receiver(directory, executable)
        stack.callback(receiver.stop)
        receiver.wait_until_listening()
        # The probes are attached before the first packet, so that both sides count the same ones.
        config = dataclasses.replace(quiet, targets=(TargetSelector(pid=receiver.pid),))
        return _measure(config, receiver, impairment, directory, stop, args.seconds, stack)


def _measure(
    config: Config,
    receiver: Receiver,
    impairment: Impairment,
    directory: Path,
    stop: threading.Event,
    seconds: float | None,
    stack: ExitStack,
) -> int:
    from otel_jb.agent.service import Service
    from otel_jb.agent.watched import Watched
    from otel_jb.demo.ffmpeg import Sender
    from otel_jb.demo.relay import Relay
    from otel_jb.views.rows import LiveTable
    from otel_jb.views.screen import Screen

    watched = Watched(config.retain / 1e9)
    service = stack.enter_context(Service(config, [watched.take], slow_calls=True))
    stack.callback(watched.close)
    # At once, because it may follow the first start's set-up: a newcomer sees something move all the time.
    with Progress(after_s=0.0).during(STARTING):
        service.start()
        watched.start(service)
    agent, url = service.agent, service.url
    relay = Relay(receiver.rtp_port, receiver.rtcp_port, impairment)
    stack.callback(relay.stop)
    relay.start()
    sender = Sender(directory, relay.rtp_port, relay.rtcp_port)
    stack.callback(sender.stop)

    loop = threading.Thread(target=agent.run, name="agent", daemon=True)
    loop.start()
    stack.callback(_end_loop, agent, loop)
    print(
        f"FFmpeg, process {receiver.pid}, receives audio over RTP through a relay that loses, delays and duplicates packets."
    )
    if url:
        print(f"Look at {url} in a browser; metrics: {url}metrics    Ctrl-C ends.", flush=True)
    live = showing.until(showing.deadline(seconds), stop)

    def left() -> float:
        """Until the end, which comes early if one of the two FFmpegs ends."""
        for child in (receiver, sender):
            status = child.process.poll()
            if status is not None:
                failed[child.name] = f"FFmpeg, the {child.name}, ended with status {status}: {child.log()}"
        return 0.0 if failed else live()

    failed: dict[str, str] = {}
    table = LiveTable(watched.state)

    def picture() -> Picture:
        agent.read()
        return table.picture()

    def relayed() -> str:
        return _relayed(relay.counts())

    # What was printed above is hidden while the screen is shown.
    hint = f"{url}  ? help  q quit  |  " if sys.stdout.isatty() else ""
    source = showing.Source(picture, showing.page_of(watched.state, watched.kept.latest))
    showing.show(source, lambda: hint + relayed(), left, stop)
    for message in failed.values():
        print(message, file=sys.stderr)
    last = Screen(bars=False)
    last.take(picture())
    print("\n".join([*last.text_lines(showing.columns()), relayed()]), flush=True)
    return _compare(agent, receiver, relay, sender)


def _compare(agent: Agent, receiver: Receiver, relay: Relay, sender: Sender) -> int:
    """Wait for packets in flight, then compare the relay's count with the agent's."""
    from otel_jb.telemetry.metrics import packets

    sender.stop()
    relay.wait_until_drained(2.0)
    counts = relay.stop()
    receiver.wait_until_handled(5.0)
    agent.read()
    counted = [
        each.values for target in agent.state.view().live for each in target.series if each.series.function == FUNCTION
    ]
    agents_packets, agents_bytes = sum(packets(each) for each in counted), sum(each.bytes for each in counted)
    equal = (counts.forwarded_packets, counts.forwarded_bytes) == (agents_packets, agents_bytes)
    print(
        f"relay forwarded {counts.forwarded_packets} packets, {counts.forwarded_bytes} bytes "
        f"{'=' if equal else '≠'} agent counted {agents_packets} packets, {agents_bytes} bytes"
    )
    lost_by_kernel = receiver.kernel_drops()
    if lost_by_kernel:
        print(f"the kernel dropped {lost_by_kernel} more at FFmpeg's socket before FFmpeg could read them")
    return int(ExitCode.OK if equal or lost_by_kernel else ExitCode.INTERNAL)


def _relayed(counts: RelayCounts) -> str:
    return (
        f"relay: {counts.received_packets} received, {counts.dropped_packets} lost, {counts.delayed_packets} delayed, "
        f"{counts.duplicated_packets} duplicated, {counts.forwarded_packets} forwarded"
    )


def _end_loop(agent: Agent, loop: threading.Thread) -> None:
    agent.stop()
    loop.join(5.0)


def seconds(text: str) -> float:
    """A number of seconds of an option. Raises argparse.ArgumentTypeError."""
    return _between(text, 0.0, 1e7, "a number of seconds")


def _percent(text: str) -> float:
    return _between(text, 0.0, 100.0, "a percentage from 0 to 100") / 100


def _between(text: str, low: float, high: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"expected {what}, got {text[:60]!r}")
    return value
