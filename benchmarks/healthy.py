# SPDX-License-Identifier: Apache-2.0
"""Healthy servers for two minutes: `otel-jb why` accuses nobody, and no shipped alert fires in a real Prometheus.

    .venv/bin/python -m benchmarks.healthy [--seconds N] [--only NAME ...] [--dry-run]

Root; the programs of docs/real-programs.md that it starts, gcc, and Prometheus. All of them run at once and each gets one stream of 50 packets a second,
each packet in its turn. Alerts fire after a second instead of minutes, so that what is over a limit for a moment is seen. The table goes to
docs/is-it-the-network.md. The exit status is 1 if anybody was accused, or a server was not measured.

The servers and the sender come before ordinary programs (SCHED_FIFO), so that a busy machine is not among their troubles.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gstreamer import receiver
from benchmarks.real import ng, sip, telephony, webrtc
from benchmarks.real.children import started
from benchmarks.real.row import NotMeasuredError
from benchmarks.real.sender import Plan
from benchmarks.report import machine, replaced
from otel_jb.demo.udp import free_port_pair
from tests.diagnosis import injections, programs
from tests.diagnosis.alerts import alerting
from tests.diagnosis.injections import PCMA, Codec, Rate, first_of_all, runs_first
from tests.e2e.agent_process import TARGETS, Exposition, agent, run_command
from tests.e2e.collector import Prometheus
from tests.rtp_oracle import packet

PAGE = Path(__file__).parents[1] / "docs" / "is-it-the-network.md"
PART = "healthy"
PCMU = Codec(0, 8000, 160)
BEFORE_AND_AFTER_S = 10.0  #: packets come for so much longer than anybody looks
LEAST_RATE = 10  #: calls a second; on a busy machine the browser's engine, which sends to Janus, makes less sound than there should be


@dataclass(frozen=True)
class Healthy:
    """A running server. `port`: where its stream is sent, by `source` if it wants a certain sender; None: it makes its own work."""

    pid: int
    port: int | None
    codec: Codec = PCMA
    source: socket.socket | None = None
    begin: Callable[[], object] = lambda: None  #: makes the work come, where it is not sent to `port`


Start = Callable[[Path, float], contextlib.AbstractContextManager[Healthy]]


@contextlib.contextmanager
def _ffmpeg(directory: Path, _: float) -> Iterator[Healthy]:
    with programs.ffmpeg(directory, "receiver") as program, programs.kept_awake([program.port]):
        yield Healthy(program.pid, program.port)


@contextlib.contextmanager
def _gstreamer(directory: Path, _: float) -> Iterator[Healthy]:
    port, _rtcp = free_port_pair()
    with receiver(directory, port) as pid:
        yield Healthy(pid, port)


@contextlib.contextmanager
def _speaking(*command: str | Path) -> Iterator[Healthy]:
    with programs.speaking(*command) as program:
        yield Healthy(program.pid, program.port)


def _speexdsp(_: Path, _seconds: float) -> contextlib.AbstractContextManager[Healthy]:
    return _speaking(sys.executable, "-m", "tests.targets.speex_receiver")


def _ortp(_: Path, _seconds: float) -> contextlib.AbstractContextManager[Healthy]:
    return _speaking("/usr/bin/python3", TARGETS / "ortp_driver.py", "0.02")


@contextlib.contextmanager
def _srs_like(directory: Path, seconds: float) -> Iterator[Healthy]:
    built = directory / "srs_like"
    subprocess.run(["g++", "-O1", "-pthread", "-o", built, TARGETS / "srs_like.cc"], check=True)
    child = subprocess.Popen([built], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()

        def serve() -> None:
            assert child.stdin is not None
            child.stdin.write(f"serve 50 {int(seconds)} 1000 10\n")
            child.stdin.flush()

        yield Healthy(child.pid, None, begin=serve)
    finally:
        child.kill()
        child.communicate()


@contextlib.contextmanager
def _rtpengine(directory: Path, _: float) -> Iterator[Healthy]:
    with (
        telephony.rtpengine_started(directory, telephony.JITTER_BUFFER) as (program, control),
        ng.Call(control, transcode=False) as call,
    ):
        yield Healthy(program.pid, call.remote_rtp, PCMU, call.rtp)


@contextlib.contextmanager
def _baresip(directory: Path, _: float) -> Iterator[Healthy]:
    port, _rtcp = free_port_pair()
    sip.configure(directory, port)
    with started(["baresip", "-f", directory], directory) as program:
        program.wait_until_open(port)
        with sip.Call(port) as call:
            yield Healthy(program.pid, call.remote_rtp, PCMU, call.rtp)


@contextlib.contextmanager
def _janus(directory: Path, seconds: float) -> Iterator[Healthy]:
    unhurt = Plan(loss=0, delayed=0, duplicated=0)
    with webrtc.echo_test(directory, unhurt, seconds) as call:
        yield Healthy(call.pid, None, begin=call.scene.go.set)


#: Each program's title and how it starts.
PROGRAMS: dict[str, tuple[str, Start]] = {
    "ffmpeg": ("FFmpeg", _ffmpeg),
    "gstreamer": ("GStreamer's `rtpjitterbuffer`", _gstreamer),
    "speexdsp": ("a player with libspeexdsp", _speexdsp),
    "ortp": ("a player with oRTP", _ortp),
    "srs-like": ("the tests' server with SRS's functions", _srs_like),
    "rtpengine": ("rtpengine with its jitter buffer", _rtpengine),
    "baresip": ("baresip in a call", _baresip),
    "janus": ("Janus' echo test", _janus),
}


def send(servers: list[Healthy], seconds: float) -> None:
    """One healthy stream to each server that takes one, by this thread, which comes first meanwhile."""
    with contextlib.ExitStack() as stack:
        ordinary = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        takers = [each for each in servers if each.port is not None]
        # They do not all send in the same moment.
        schedule = [
            (sent.at + place * 0.002, place, sent)
            for place, each in enumerate(takers)
            for sent in injections.healthy(Rate(0.02, each.codec), seconds)
        ]
        schedule.sort(key=lambda entry: entry[:2])
        ssrcs = [random.Random(place).getrandbits(32) for place in range(len(takers))]
        stack.enter_context(first_of_all())
        for each in servers:
            each.begin()
        begin = time.monotonic()
        for at, place, sent in schedule:
            time.sleep(max(0.0, begin + at - time.monotonic()))
            to = takers[place]
            data = packet(sent.number, sent.rtp_time, ssrcs[place], sent.codec.payload_type, 12 + sent.codec.bytes)
            (to.source or ordinary).sendto(data, ("127.0.0.1", to.port or 0))


@dataclass(frozen=True)
class Seen:
    """What was said of one server. `wrong`: why it is not as it should be."""

    calls: int  #: of the function that packets pass first, as far as the agent knows it
    findings: tuple[str, ...]
    alerts: tuple[str, ...]
    wrong: str = ""

    @property
    def good(self) -> bool:
        return not (self.findings or self.alerts or self.wrong)


def look(seconds: float, names: list[str]) -> dict[str, Seen]:
    """Each program's verdict and alerts after so many seconds. A program that does not start has a reason instead."""
    seen: dict[str, Seen] = {}
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="healthy-")))
        servers: dict[str, Healthy] = {}
        for name in names:
            directory = root / name
            directory.mkdir()
            try:
                servers[name] = stack.enter_context(PROGRAMS[name][1](directory, seconds + BEFORE_AND_AFTER_S))
            except (NotMeasuredError, FileNotFoundError) as error:
                seen[name] = Seen(0, (), (), f"not started: {error}")
        for each in servers.values():
            runs_first(each.pid)
        pids = [part for each in servers.values() for part in ("--pid", str(each.pid))]
        running = stack.enter_context(agent(root, *pids, "--interval", "1s"))
        runs_first(running.process.pid, 5)
        prometheus = stack.enter_context(alerting(root, running.port))
        sending = threading.Thread(target=send, args=(list(servers.values()), seconds + BEFORE_AND_AFTER_S))
        sending.start()
        time.sleep(BEFORE_AND_AFTER_S / 4)  # the first packet comes before anybody looks
        told = run_command("why", *pids, "--for", f"{seconds:g}s", "--json", timeout=seconds + 60)
        sending.join()
        if told.returncode:
            raise RuntimeError(told.stderr)
        verdicts: dict[int, dict[str, Any]] = {each["pid"]: each for each in json.loads(told.stdout)["targets"]}
        fired = alerts(prometheus, seconds + 60)
        scraped = running.scrape()
        for name, each in servers.items():
            findings = tuple(str(found) for found in verdicts.get(each.pid, {"findings": ["no verdict"]})["findings"])
            of_it = tuple(sorted({alert for alert, pid in fired if pid in (str(each.pid), "")}))
            calls, least = handled(scraped, each.pid), int(LEAST_RATE * seconds)
            seen[name] = Seen(
                calls, findings, of_it, "" if calls >= least else f"{calls} of at least {least} calls seen"
            )
    return seen


def handled(scraped: Exposition, pid: int) -> int:
    """Calls of the function of a process that most packets pass."""
    found = scraped.find("jitterbuffer_calls_total", pid=pid, outcome="returned")
    return int(max((calls for labels, calls in found if labels["jitterbuffer_role"] in ("put", "parse")), default=0))


def alerts(server: Prometheus, seconds: float) -> set[tuple[str, str]]:
    """Every alert that fired at any time of the last seconds, with the process that it is about ("": the agent)."""
    found = server.query(f'max_over_time(ALERTS{{alertstate="firing"}}[{int(seconds)}s])')
    return {(labels["alertname"], labels.get("pid", "")) for labels, _ in found}


def table(seen: dict[str, Seen], seconds: float) -> str:
    """One row a program."""
    lines = [
        f"{seconds:g} seconds each, all at once:",
        "",
        "| program | calls | `why` accuses | alerts |",
        "|---|---:|---|---|",
    ]
    for name, each in seen.items():
        said = each.wrong or "; ".join(each.findings) or "nobody"
        lines.append(f"| {PROGRAMS[name][0]} | {each.calls} | {said} | {', '.join(each.alerts) or 'none'} |")
    return "\n".join(lines)


def main() -> int:
    """Run, print, and write the table to the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--only", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--dry-run", action="store_true", help="print the table, and leave the page as it is")
    args = parser.parse_args()
    where = machine()
    seen = look(args.seconds, args.only)
    text = table(seen, args.seconds)
    print(text, flush=True)
    if not args.dry_run:
        PAGE.write_text(replaced(PAGE.read_text(), PART, f"{where}\n\n{text}"))
    return 0 if all(each.good for each in seen.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
