# SPDX-License-Identifier: Apache-2.0
"""A UDP relay over loopback that loses, delays and duplicates RTP packets by a seeded plan, and counts them exactly.

RTP and RTCP arrive on two sockets and leave for two ports. RTCP is forwarded unchanged: losing it would only hide
what the receiver knows. Packets behind a delayed packet pass it, as when a network reorders packets.
"""

from __future__ import annotations

import contextlib
import heapq
import random
import selectors
import socket
import threading
import time

from otel_jb.model.dataclass import dataclass

LOOPBACK = "127.0.0.1"
LARGEST_DATAGRAM = 65535
#: Maximum packets held back at once; further ones leave immediately. This bounds memory for any rate and delay.
MAX_HELD = 4096


@dataclass(frozen=True, slots=True)
class Impairment:
    """What happens to RTP packets. A random generator with this seed decides for each packet, in order of arrival.

    `loss`, `delayed` and `duplicated` are probabilities (0 to 1); they are drawn independently, and a lost packet is
    neither delayed nor duplicated. `delay_seconds` is how long a delayed packet is held.
    """

    loss: float = 0.0
    delayed: float = 0.0
    delay_seconds: float = 0.03
    duplicated: float = 0.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class RelayCounts:
    """Counts so far. Forwarded counts datagrams that left, so a duplicate counts twice; bytes are payload bytes."""

    received_packets: int = 0
    received_bytes: int = 0
    forwarded_packets: int = 0
    forwarded_bytes: int = 0
    dropped_packets: int = 0
    dropped_bytes: int = 0
    delayed_packets: int = 0
    duplicated_packets: int = 0
    held_packets: int = 0  #: waiting now
    rtcp_packets: int = 0  #: RTCP datagrams forwarded
    rtcp_bytes: int = 0


class Relay:
    """The relay: a thread between the ports `rtp_port` and `rtcp_port`, which it opens, and a receiver's two ports.

    The sockets exist once the constructor returns, so a sender may start before `start`. `stop` sends the held packets,
    ends the thread and closes everything. Raises OSError if no port is free.
    """

    def __init__(self, receiver_rtp_port: int, receiver_rtcp_port: int, impairment: Impairment) -> None:
        self._impairment = impairment
        self._rtp_to = (LOOPBACK, receiver_rtp_port)
        self._rtcp_to = (LOOPBACK, receiver_rtcp_port)
        self._held: list[tuple[float, int, bytes]] = []
        self._arrivals = 0
        self._random = random.Random(impairment.seed)
        self._count = dict.fromkeys(RelayCounts.__dataclass_fields__, 0)
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.error: OSError | None = None  #: why the thread ended early, if it did
        with contextlib.ExitStack() as opened:
            self._rtp = opened.enter_context(_bound_socket())
            self._rtcp = opened.enter_context(_bound_socket())
            # A separate socket for output: the receiver's answers return to it and must not be relayed as input.
            self._out = opened.enter_context(_bound_socket())
            self._wake_read, self._wake_write = socket.socketpair()
            self._wake_read.settimeout(0)
            opened.enter_context(self._wake_read)
            opened.enter_context(self._wake_write)
            self._sockets = opened.pop_all()
        self.rtp_port: int = self._rtp.getsockname()[1]
        self.rtcp_port: int = self._rtcp.getsockname()[1]

    def start(self) -> None:
        """Start relaying."""
        self._thread = threading.Thread(target=self._run, name="rtp-relay", daemon=True)
        self._thread.start()

    def stop(self) -> RelayCounts:
        """Forward unread and held packets, end, and return the final counts; idempotent."""
        if self._thread is not None and self._thread.is_alive():
            self._stopping = True
            with contextlib.suppress(OSError):
                self._wake_write.send(b"x")
            self._thread.join()
        self._sockets.close()
        return self.counts()

    def counts(self) -> RelayCounts:
        """The counts at this moment, consistent with each other."""
        with self._changed:
            return RelayCounts(**self._count)

    def wait_for_forwarded(self, packets: int, timeout: float) -> bool:
        """Wait until `packets` RTP datagrams have left, at most `timeout` seconds; False if they have not."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._count["forwarded_packets"] >= packets or self.error is not None, timeout
            )

    def wait_until_drained(self, timeout: float) -> bool:
        """Wait until nothing is held and nothing unread waits on the inbound sockets, at most `timeout` seconds.

        Once the sender has ended, this means that everything it sent was forwarded or dropped: loopback delivers
        a datagram to the relay's socket before `sendto` returns.
        """
        from otel_jb.demo.udp import queued_bytes

        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                # The order matters: an unread datagram counts as queued until the thread holds the lock that
                # accounts for it, so both tests below can only be true together when nothing is on its way.
                empty = queued_bytes(self.rtp_port) + queued_bytes(self.rtcp_port) == 0
                if empty and self._count["held_packets"] == 0:
                    return True
                remaining = deadline - time.monotonic()
                if remaining <= 0 or self.error is not None:
                    return False
                self._changed.wait(min(remaining, 0.02))

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                for readable in (self._rtp, self._rtcp, self._wake_read):
                    selector.register(readable, selectors.EVENT_READ)
                while not self._stopping:
                    selector.select(self._seconds_until_due())
                    self._read_all()
                    self._forward_held(time.monotonic())
                self._read_all()
                self._forward_held(float("inf"))
        except OSError as error:
            with self._changed:
                self.error = error
                self._changed.notify_all()

    def _seconds_until_due(self) -> float | None:
        return max(0.0, self._held[0][0] - time.monotonic()) if self._held else None

    def _read_all(self) -> None:
        # Reading and accounting happen under one lock, so `wait_until_drained` never sees a packet in between.
        for inbound, arrived in ((self._rtp, self._rtp_arrived), (self._rtcp, self._rtcp_arrived)):
            while True:
                with self._changed:
                    try:
                        datagram = inbound.recv(LARGEST_DATAGRAM)
                    except BlockingIOError:
                        break
                    arrived(datagram)
                    self._changed.notify_all()

    def _rtp_arrived(self, datagram: bytes) -> None:
        self._add("received", datagram)
        impairment = self._impairment
        # Always three draws per packet, so that changing one probability does not affect the other choices.
        lost, delayed, duplicated = (self._random.random() for _ in range(3))
        if lost < impairment.loss:
            self._add("dropped", datagram)
            return
        if delayed < impairment.delayed and len(self._held) < MAX_HELD:
            self._count["delayed_packets"] += 1
            self._arrivals += 1
            heapq.heappush(self._held, (time.monotonic() + impairment.delay_seconds, self._arrivals, datagram))
            self._count["held_packets"] = len(self._held)
        else:
            self._forward(datagram)
        if duplicated < impairment.duplicated:
            self._count["duplicated_packets"] += 1
            self._forward(datagram)

    def _rtcp_arrived(self, datagram: bytes) -> None:
        self._send(datagram, self._rtcp_to)
        self._add("rtcp", datagram)

    def _forward_held(self, now: float) -> None:
        with self._changed:
            while self._held and self._held[0][0] <= now:
                self._forward(heapq.heappop(self._held)[2])
            self._count["held_packets"] = len(self._held)
            self._changed.notify_all()

    def _forward(self, datagram: bytes) -> None:
        self._send(datagram, self._rtp_to)
        self._add("forwarded", datagram)

    def _send(self, datagram: bytes, address: tuple[str, int]) -> None:
        # An unconnected socket gets no ICMP errors. On a full send buffer the relay waits, so nothing is lost here.
        while True:
            try:
                self._out.sendto(datagram, address)
                return
            except BlockingIOError:
                _wait_until_writable(self._out)

    def _add(self, what: str, datagram: bytes) -> None:
        self._count[f"{what}_packets"] += 1
        self._count[f"{what}_bytes"] += len(datagram)


def _wait_until_writable(outbound: socket.socket) -> None:
    """Block until `outbound` has room."""
    with selectors.DefaultSelector() as selector:
        selector.register(outbound, selectors.EVENT_WRITE)
        selector.select()


def _bound_socket() -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        bound.bind((LOOPBACK, 0))
        bound.settimeout(0)
    except OSError:
        bound.close()
        raise
    return bound
