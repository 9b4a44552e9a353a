# SPDX-License-Identifier: Apache-2.0
"""Receivers of WebRTC: `@roamhq/wrtc`, Chromium, Janus. The sender is a browser's engine, and a relay here loses, delays and duplicates its RTP by a seed."""

from __future__ import annotations

import heapq
import itertools
import json
import os
import random
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, SimpleQueue

from benchmarks.real.children import Started, started
from benchmarks.real.players import BYTES, PACKETS
from benchmarks.real.row import (
    Claim,
    NotMeasuredError,
    Row,
    bpftrace,
    command_output,
    counted,
    measuring,
    package_version,
    probed,
    streams,
)
from benchmarks.real.sender import Plan
from otel_jb.demo.udp import free_port_pair
from tests.e2e.agent_process import Exposition

SCRIPT = Path(__file__).parents[1] / "programs" / "webrtc_pair.js"
NETEQ = "webrtc::NetEqImpl::InsertPacket"
#: W3C's names for what came out of NetEq's buffer and what it did to the sound, and the agent's. All of them rest once no packet comes.
W3C = {
    "jitterBufferEmittedCount": "webrtc_jitter_buffer_emitted_count_total",
    "jitterBufferDelay": "webrtc_jitter_buffer_delay_seconds_total",
    "jitterBufferTargetDelay": "webrtc_jitter_buffer_target_delay_seconds_total",
    "jitterBufferMinimumDelay": "webrtc_jitter_buffer_minimum_delay_seconds_total",
    "concealmentEvents": "webrtc_concealment_events_total",
    "insertedSamplesForDeceleration": "webrtc_inserted_samples_for_deceleration_total",
    "removedSamplesForAcceleration": "webrtc_removed_samples_for_acceleration_total",
    "packetsDiscarded": "webrtc_packets_discarded_total",
    "fecPacketsReceived": "webrtc_fec_packets_received_total",
    "fecPacketsDiscarded": "webrtc_fec_packets_discarded_total",
}
#: These go on for ever, each silent sample being a concealed one; so their differences are compared.
PLAYED, CONCEALED = (
    ("totalSamplesReceived", "webrtc_samples_received_total"),
    ("concealedSamples", "webrtc_concealed_samples_total"),
)
SILENT = ("silentConcealedSamples", "webrtc_silent_concealed_samples_total")
RELAY, OWN = "the relay", "its statistics"
SECONDS = 10  #: of sound
LOSSY = Plan(longest=0.15)
_PATIENCE_S = 120.0


class Relay:
    """Passes datagrams between a sender, the first to come, and a receiver. It loses, delays and duplicates some of the sender's RTP."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._chance = plan, random.Random(plan.seed)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("", 0))  # of this machine's addresses, the receiver's: it may not reach others from there
        self.port: int = self._socket.getsockname()[1]
        self.receiver: tuple[str, int] | None = None
        self.passed = self.bytes = self.lost = self.delayed = self.duplicated = (
            0  #: of RTP; passed, bytes: without the duplicates
        )
        self._open = True
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End; nothing waits any more."""
        self._open = False
        self._thread.join(5)
        self._socket.close()

    def _work(self) -> None:
        sender: tuple[str, int] | None = None
        held: list[tuple[float, int, bytes]] = []
        order = itertools.count()
        while self._open:
            now = time.monotonic()
            while held and held[0][0] <= now:
                self._pass(heapq.heappop(held)[2])
            self._socket.settimeout(min(0.05, max(0.0005, held[0][0] - now)) if held else 0.05)
            try:
                data, source = self._socket.recvfrom(65536)
            except TimeoutError:
                continue
            if (
                self.receiver is not None and source[1] == self.receiver[1]
            ):  # it may answer from another address of this machine
                if sender is not None:
                    self._socket.sendto(data, sender)
                continue
            sender = source
            for hold in self._fate(data):
                heapq.heappush(held, (time.monotonic() + hold, next(order), data))

    def _pass(self, data: bytes) -> None:
        if self.receiver is not None:
            self._socket.sendto(data, self.receiver)

    def _fate(self, data: bytes) -> list[float]:
        """The seconds after which each copy leaves. RTP by RFC 7983 and RFC 5761."""
        if not (128 <= data[0] < 192 and not 64 <= data[1] & 127 < 96):
            return [0.0]
        draws = [self._chance.random() for _ in range(4)]
        if draws[0] < self._plan.loss:
            self.lost += 1
            return []
        hold, copies = 0.0, 1
        if draws[1] < self._plan.delayed:
            self.delayed += 1
            hold = self._plan.shortest + draws[3] * (self._plan.longest - self._plan.shortest)
        if draws[2] < self._plan.duplicated:
            self.duplicated += 1
            copies = 2
        self.passed += 1
        self.bytes += len(data)
        return [hold] * copies


class Scene:
    """The HTTP server that the script speaks to, and what it said."""

    def __init__(
        self,
        relay: Relay,
        janus: Callable[[str], str] | None = None,
        hold: str = "/connected",
        seconds: float = SECONDS,
    ) -> None:
        """`hold`: what the script says before it waits for `go`, and what is heard first. `seconds`: of sound."""
        self.relay, self._janus, self._hold, self._seconds = relay, janus, hold, seconds
        self._said: SimpleQueue[tuple[str, dict[str, object]]] = SimpleQueue()
        self.go = threading.Event()
        scene = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer("text/html", b"<script>" + SCRIPT.read_bytes() + b"</script>")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer("application/json", json.dumps(scene.answer(self.path, body)).encode())

            def _answer(self, kind: str, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, body: dict[str, object]) -> dict[str, object]:
        """What the script is told."""
        if path == "/plan":
            return {"seconds": self._seconds, "janus": self._janus is not None}
        if path == "/relay":
            self.relay.receiver = (str(body["host"]), int(str(body["port"])))
            return {"host": body["host"], "port": self.relay.port}
        if path == "/janus":
            assert self._janus is not None
            return {"sdp": self._janus(str(body["sdp"]))}
        if path in ("/loaded", "/connected") and path != self._hold:
            return {}
        self._said.put((path, body))
        if path == self._hold:
            self.go.wait(_PATIENCE_S)
        return {}

    def wait(self, path: str) -> dict[str, object]:
        """Until the script has said this. Raises NotMeasuredError if it failed, or says nothing."""
        try:
            said, body = self._said.get(timeout=_PATIENCE_S)
        except Empty:
            raise NotMeasuredError(f"it did not come to {path} within {_PATIENCE_S:g} s") from None
        if said != path:
            raise NotMeasuredError(str(body.get("why", said)).splitlines()[0][:200])
        return body


@contextmanager
def scene(
    janus: Callable[[str], str] | None = None,
    hold: str = "/connected",
    plan: Plan = LOSSY,
    seconds: float = SECONDS,
) -> Iterator[Scene]:
    """A relay and a server, ended again."""
    relay = Relay(plan)
    made = Scene(relay, janus, hold, seconds)
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.go.set()
        made.server.shutdown()
        made.server.server_close()
        relay.close()


def _counted(scene: Scene, pid: int, directory: Path, version: str, function: str) -> tuple[Row, Exposition, object]:
    """The row of a receiver, once the script is connected; what was scraped; and what the script's own statistics say."""
    (put,) = probed(pid, function)
    with measuring(pid) as agent, bpftrace(pid, directory, (put, "1", "@put = count();")) as other:
        scene.go.set()
        received = scene.wait("/done")["received"]
        scraped = agent.settled(pid, BYTES)  # sound is taken from the buffer without end
        seen = other.read()
    packets = counted(scraped, pid, function, PACKETS)
    claims = (
        Claim("packets", packets, scene.relay.passed, RELAY),
        Claim("packets", packets, seen.get("put"), "bpftrace"),
    )
    return Row("", version, put.source, function, claims), scraped, received


def _neteq(scene: Scene, pid: int, directory: Path, version: str) -> Row:
    row, scraped, received = _counted(scene, pid, directory, version, NETEQ)
    statistics = dict(received) if isinstance(received, dict) else {}
    packets = Claim("packets", row.claims[0].counted, statistics.get("packetsReceived"), OWN)
    named = row.found != "inferred"  # the functions of its statistics are found by their names only
    return replace(row, claims=(*row.claims, packets, *(_w3c(scraped, pid, statistics) if named else ())))


def _w3c(scraped: Exposition, pid: int, statistics: Mapping[str, float]) -> Iterator[Claim]:
    """NetEq's counters, compared with what `getStats()` says of them."""
    for name, here in W3C.items():
        if name in statistics:
            yield Claim(name, _rounded(streams(scraped, pid, here)), _rounded(statistics[name]), OWN)
    for what, of, less in (("samples not concealed", PLAYED, CONCEALED), ("concealed, not silent", CONCEALED, SILENT)):
        told = _rounded(streams(scraped, pid, of[1]), streams(scraped, pid, less[1]))
        yield Claim(what, told, _rounded(statistics.get(of[0]), statistics.get(less[0])), OWN)


def _rounded(value: float | None, less: float | None = 0.0) -> float | None:
    """A difference to the millisecond, in which NetEq counts; None where a part is missing."""
    return None if value is None or less is None else round(value - less, 3)


def _module() -> tuple[Path, str]:
    """Where npm put `@roamhq/wrtc`, and its version."""
    root = Path(os.environ.get("WRTC_MODULES") or command_output("npm", "root", "-g").strip()) / "@roamhq" / "wrtc"
    if not (root / "package.json").exists():
        raise NotMeasuredError("the npm package @roamhq/wrtc is not installed (WRTC_MODULES names its node_modules)")
    return root, f"@roamhq/wrtc {json.loads((root / 'package.json').read_text())['version']}"


@contextmanager
def _node(scene: Scene, directory: Path) -> Iterator[Started]:
    command_output("node", "--version")
    with started(["node", SCRIPT, scene.url], directory, {"WRTC": str(_module()[0])}) as program:
        yield program


def wrtc(directory: Path) -> Row:
    """`@roamhq/wrtc` in Node, which sends to itself."""
    _, version = _module()
    with scene(hold="/loaded") as here, _node(here, directory) as program:
        here.wait("/loaded")
        return _neteq(here, program.pid, directory, version)


def _renderer(pid: int) -> int:
    """The process of the page, which has the threads of WebRTC."""
    parents = {pid}
    for each in sorted(int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()):
        try:
            status = Path(f"/proc/{each}/stat").read_text()
            threads = [Path(path, "comm").read_text() for path in Path(f"/proc/{each}/task").iterdir()]
        except OSError:
            continue
        if int(status.rpartition(")")[2].split()[1]) in parents:
            parents.add(each)
            if any(name.startswith("WebRTC") for name in threads):
                return each
    raise NotMeasuredError("no process of it has threads of WebRTC")


def chromium(directory: Path) -> Row:
    """Debian's Chromium, headless: a page that sends to itself."""
    version = package_version("chromium")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--autoplay-policy=no-user-gesture-required",
        "--no-first-run",
    ]
    options += [
        "--allow-loopback-in-peer-connection",
        "--disable-features=WebRtcHideLocalIpsWithMdns,SpareRendererForSitePerProcess",
    ]
    with scene() as here, ExitStack() as stack:
        arguments = ["chromium", *options, f"--user-data-dir={directory}/profile", here.url]
        program = stack.enter_context(started(arguments, directory))
        here.wait("/connected")
        return _neteq(here, _renderer(program.pid), directory, version)


@dataclass(frozen=True, slots=True)
class EchoTest:
    """A Janus, and the script that sends sound to its echo test: connected, and waiting for `scene.go`."""

    pid: int
    scene: Scene
    packets: Callable[[], float | None]  #: that it received, by its own statistics


@contextmanager
def echo_test(directory: Path, plan: Plan = LOSSY, seconds: float = SECONDS) -> Iterator[EchoTest]:
    """Debian's Janus; `@roamhq/wrtc` sends. Raises NotMeasuredError."""
    port, admin = free_port_pair()
    for name, text in {
        "janus.jcfg": 'general: { admin_secret = "secret"; }\nnat: { ice_enforce_list = "lo,eth0"; }\n',
        "janus.transport.http.jcfg": f'general: {{ http = true; port = {port}; ip = "127.0.0.1"; }}\n'
        f'admin: {{ admin_http = true; admin_port = {admin}; admin_ip = "127.0.0.1"; }}\n',
    }.items():
        (directory / name).write_text(text)
    with started(["janus", f"--configs-folder={directory}"], directory) as program:
        program.wait_for("HTTP webserver started|HTTP transport|webserver started")
        root, handle = f"http://127.0.0.1:{port}/janus", ""

        def ask(path: str, **body: object) -> dict[str, object]:
            data = json.dumps({"transaction": "one", **body}).encode()
            with urllib.request.urlopen(urllib.request.Request(root + path, data), timeout=30) as answer:
                return dict(json.load(answer))

        def offer(sdp: str) -> str:
            nonlocal handle
            session = f"/{ask('', janus='create')['data']['id']}"  # type: ignore[index]
            handle = f"{session}/{ask(session, janus='attach', plugin='janus.plugin.echotest')['data']['id']}"  # type: ignore[index]
            ask(handle, janus="message", body={"audio": True}, jsep={"type": "offer", "sdp": sdp})
            while True:
                with urllib.request.urlopen(f"{root}{session}?maxev=1", timeout=60) as answer:
                    event = json.load(answer)
                if "jsep" in event:
                    break
            answer_sdp = str(event["jsep"]["sdp"])
            words = re.findall(r"a=candidate:(\S+ 1 udp .*)", answer_sdp, re.IGNORECASE)[0].split()
            here.relay.receiver = (
                words[4],
                int(words[5]),
            )  # before its first word, so that it is not taken for the sender
            sender = f"candidate:1 1 udp 2122194687 {words[4]} {here.relay.port} typ host"
            ask(handle, janus="trickle", candidate={"sdpMid": "0", "sdpMLineIndex": 0, "candidate": sender})
            ask(handle, janus="trickle", candidate={"completed": True})
            return answer_sdp

        def packets() -> float | None:
            data = json.dumps({"transaction": "two", "janus": "handle_info", "admin_secret": "secret"}).encode()
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/admin{handle}", data, timeout=30) as answer:
                return _packets_in(json.load(answer))

        with scene(offer, plan=plan, seconds=seconds) as here, _node(here, directory):
            here.wait("/connected")
            yield EchoTest(program.pid, here, packets)


def janus(directory: Path) -> Row:
    """Debian's Janus with its echo test."""
    version = package_version("janus")
    with echo_test(directory) as call:
        row, _, _ = _counted(call.scene, call.pid, directory, version, "janus_rtcp_process_incoming_rtp")
        own = call.packets()
    return replace(row, claims=(*row.claims, Claim("packets", row.claims[0].counted, own, "its statistics")))


def _packets_in(told: object) -> float | None:
    """Packets received of the first audio medium, wherever Janus lists it for a handle."""
    if isinstance(told, dict) and told.get("type") == "audio" and "stats" in told:
        return float(told["stats"]["in"]["packets"])
    parts = told.values() if isinstance(told, dict) else told if isinstance(told, list) else ()
    return next((found for each in parts if (found := _packets_in(each)) is not None), None)
