# SPDX-License-Identifier: Apache-2.0
"""Wall-clock time of events that the kernel stamped with its monotonic clock.

The two clocks drift apart: the wall clock is stepped (by hand, by NTP at start, on resume) and can be slewed. So their offset is
sampled again and again, and an event is mapped with the offset that held when it happened, not with the one of now.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from itertools import takewhile

from otel_jb.model.dataclass import dataclass

#: Faster changes of the offset are steps. Kernels slew by at most 0.05 %, chrony by up to 10 % if configured.
MAX_SLEW = 0.1
#: Smaller changes between two samples are indistinguishable from sampling noise.
NOISE_NS = 200_000
#: Samples closer together than this tell nothing new; with HISTORY it bounds memory and how far back is remembered (20 s at least).
MIN_GAP_NS = 5_000_000
HISTORY = 4096
#: A slow call is mapped at most this long after it ended: rows, waiting for the call around it, and a busy machine.
TOLD_NS = 20_000_000_000


@dataclass(frozen=True, slots=True)
class _Sample:
    monotonic_ns: int
    offset_ns: int  #: wall clock minus monotonic clock
    stepped: bool  #: the wall clock was set since the sample before this one


class WallClock:
    """Maps CLOCK_MONOTONIC to Unix time; thread-safe.

    Call `sample()` about once a second, whenever events are fetched, and at once when `StepWatch` reports a step: then the error
    is that of reading two clocks, microseconds. A step takes effect at the sample that sees it.

    Args:
        monotonic_ns, wall_ns: the clocks, in nanoseconds.
    """

    def __init__(
        self, monotonic_ns: Callable[[], int] = time.monotonic_ns, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._wall_ns = wall_ns
        self._lock = threading.Lock()
        self._samples: deque[_Sample] = deque(maxlen=HISTORY)
        self._told_ns = 0  # the last sample that `news` has told
        self.sample()

    def sample(self) -> None:
        """Compare the clocks now."""
        self._add(*min((self._compare() for _ in range(3)), key=lambda one: one[1])[0])

    def news(self) -> list[tuple[int, int]]:
        """What another process's clock has to `learn`: the samples since the last call, as far as it may ask for them."""
        with self._lock:
            since = max(self._told_ns, self._samples[-1].monotonic_ns - TOLD_NS)
            self._told_ns = self._samples[-1].monotonic_ns
            new = takewhile(lambda one: one.monotonic_ns > since, reversed(self._samples))
            return [(one.monotonic_ns, one.offset_ns) for one in new][::-1]

    def learn(self, news: Iterable[tuple[int, int]]) -> None:
        """Take over samples of another process on this machine, see `news`."""
        for monotonic_ns, offset_ns in news:
            self._add(monotonic_ns, offset_ns)

    def _add(self, monotonic_ns: int, offset_ns: int) -> None:
        with self._lock:
            last = self._samples[-1] if self._samples else None
            if last is None:
                stepped = False
            elif monotonic_ns <= last.monotonic_ns:
                return  # another thread was quicker
            else:
                change = abs(offset_ns - last.offset_ns)
                stepped = change > NOISE_NS + (monotonic_ns - last.monotonic_ns) * MAX_SLEW
                if not stepped and monotonic_ns - last.monotonic_ns < MIN_GAP_NS:
                    return
            self._samples.append(_Sample(monotonic_ns, offset_ns, stepped))

    def sample_if_due(self) -> None:
        """Compare the clocks, unless they were a moment ago: for each of the events that were fetched together."""
        if self._monotonic_ns() - self._samples[-1].monotonic_ns >= MIN_GAP_NS:
            self.sample()

    def _compare(self) -> tuple[tuple[int, int], int]:
        before = self._monotonic_ns()
        wall = self._wall_ns()
        after = self._monotonic_ns()
        middle = (before + after) // 2
        return (middle, wall - middle), after - before

    def unix_nano(self, monotonic_ns: int) -> int:
        """Unix time, in nanoseconds, of a moment of the monotonic clock."""
        with self._lock:
            samples = self._samples
            # Nearly always the moment lies after the last sample but one: look there before searching.
            position = len(samples)
            if samples[-1].monotonic_ns > monotonic_ns:
                position = bisect_right(samples, monotonic_ns, key=lambda one: one.monotonic_ns)
            if position == 0:
                return monotonic_ns + samples[0].offset_ns
            earlier = samples[position - 1]
            if position == len(samples):
                return monotonic_ns + earlier.offset_ns
            later = samples[position]
        if later.stepped:
            return monotonic_ns + earlier.offset_ns
        passed = monotonic_ns - earlier.monotonic_ns
        span = later.monotonic_ns - earlier.monotonic_ns
        return monotonic_ns + earlier.offset_ns + (later.offset_ns - earlier.offset_ns) * passed // span


_TFD_TIMER_ABSTIME, _TFD_TIMER_CANCEL_ON_SET = 1, 2
_TFD_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK


class _Timerspec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class StepWatch:
    """A file descriptor that becomes readable when the wall clock is set (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).

    Raises:
        OSError: timerfd is not to be had.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.timerfd_create(time.CLOCK_REALTIME, _TFD_FLAGS)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._arm()

    def _arm(self) -> None:
        # A time that never comes: only the cancellation is of interest.
        never = _Timerspec(0, 0, 2**33, 0)
        flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
        if self._libc.timerfd_settime(self._fd, flags, ctypes.byref(never), None) != 0:
            error = ctypes.get_errno()
            self.close()
            raise OSError(error, "timerfd_settime")

    def fileno(self) -> int:
        """For poll and epoll."""
        return self._fd

    def stepped(self) -> bool:
        """Whether the clock was set since the last call; to be called when the descriptor is readable."""
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return False
        except OSError:  # ECANCELED: this is the news; and the timer has to be armed again
            self._arm()
        return True

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
