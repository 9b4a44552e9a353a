# SPDX-License-Identifier: Apache-2.0
"""From when on a measure is evidence, and against whom: the one table that `otel-jb why`, the metric and the rules share."""

from __future__ import annotations

from enum import Enum

from otel_jb.model.dataclass import dataclass


class Culprit(Enum):
    """Who may be at fault."""

    NETWORK = "network"  #: or the sender: what happens before the packets reach this host
    HOST = "host"
    APPLICATION = "application"


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of evidence: a share of something, or a time in seconds.

    `limit` is the least that counts, and `least` how many packets or calls it must be about at least: one packet of three says nothing.
    """

    name: str
    culprit: Culprit
    limit: float
    says: str  #: `{value}` is the value
    least: int = 0
    of_stream: bool = False
    is_time: bool = False

    def shown(self, value: float) -> str:
        """The value for people."""
        return f"{value * 1000:.1f} ms" if self.is_time else f"{value * 100:.1f} %"


LOSS = Measure("loss", Culprit.NETWORK, 0.01, "lost {value} of its packets", least=5, of_stream=True)
REORDERING = Measure("reordering", Culprit.NETWORK, 0.03, "got {value} of its packets out of order", 5, of_stream=True)
DUPLICATION = Measure("duplication", Culprit.NETWORK, 0.03, "got {value} of its packets twice", 5, of_stream=True)
JITTER = Measure("jitter", Culprit.NETWORK, 0.03, "has a jitter of {value}", 100, of_stream=True, is_time=True)
SILENCE = Measure(
    "silence", Culprit.NETWORK, 0.25, "has sent nothing for the last {value} of the time", 50, of_stream=True
)
RUN_DELAY = Measure("run_delay", Culprit.HOST, 0.05, "was ready to run and waited for a CPU {value} of the time")
THROTTLED = Measure("throttled", Culprit.HOST, 0.02, "was kept from the CPU by its cgroup's quota {value} of the time")
SOCKET_DROPS = Measure(
    "socket_drops", Culprit.APPLICATION, 0.005, "left {value} of its packets unread until the kernel dropped them", 5
)
UNREAD = Measure(
    "unread",
    Culprit.APPLICATION,
    0.015,
    "left its packets unread in its socket for {value}, on average",
    50,
    is_time=True,
)
STALLED = Measure(
    "stalled",
    Culprit.APPLICATION,
    0.05,
    "took no packet for {value} of the time while more and more waited in its socket",
)
SLOW_CALLS = Measure("slow_calls", Culprit.APPLICATION, 0.01, "took over 10 ms for {value} of its packets", 5)
REFUSED = Measure("refused", Culprit.APPLICATION, 0.01, "threw away {value} of its packets for want of room", 5)

MEASURES = (
    LOSS,
    REORDERING,
    DUPLICATION,
    JITTER,
    SILENCE,
    RUN_DELAY,
    THROTTLED,
    SOCKET_DROPS,
    UNREAD,
    STALLED,
    SLOW_CALLS,
    REFUSED,
)

SLOW_NS = 10_000_000  #: a call that handles a packet and takes longer is slow
PACKET_ROLES = frozenset({"put", "parse", "decode"})  #: whose calls handle a packet and wait for none
FULL_REASONS = frozenset({"full", "overflow"})
#: Of the kernel's memory, an unread datagram of up to 1 500 bytes takes at most this (2 KiB of data and a struct sk_buff), on loopback a third
#: of it where it is small. So the time that packets wait, by Little's law what waits over what comes, is rather told too short.
DATAGRAM_BYTES = 2304
MOST_OF_IT = 0.5  #: what explains so much of another measure explains it
#: Many short waits hurt nobody: a server that is woken for each packet waits some 0.03 ms each time, on a machine that others use 0.2 ms. Waiting is
#: evidence where it takes this long on average, or so much of the time that it does not matter in how many parts.
LONG_WAIT_S = 0.001
MUCH_WAITING = 0.25
BUSY_SHARE = 0.2  #: waiting for a CPU is evidence only beside so much of the time that was spent running
