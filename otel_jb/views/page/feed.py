# SPDX-License-Identifier: Apache-2.0
"""What the page shows, as server-sent events: everything for a page that opens or fell behind, then only what changed.

One thread makes each event once, whatever the number of open pages, and only while there are any. It paces itself: the more there is to
show, the less often.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_jb.views.page.tables import Table, Tables

_logger = logging.getLogger(__name__)

LEAST_PERIOD_S = 1.0
MOST_PERIOD_S = 10.0
SHARE_OF_A_CPU = 0.008  #: what making the events may take; sending them takes more
IDLE_S = 30.0  #: for so long after the last page has closed the thread goes on, for one that is reloaded


class Feed:
    """Makes the events.

    Args:
        refresh: reads the kernel.
        content: makes an object whose `tables()` are shown; a new one after nobody looked for a while.
        now: monotonic seconds.
    """

    def __init__(
        self,
        refresh: Callable[[], object],
        content: Callable[[], Callable[[], Tables]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._refresh = refresh
        self._content = content
        self._now = now
        self._changed = threading.Condition()
        self._readers: dict[_Reader, Callable[[], None]] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        self._version = 0
        self._tables: Tables | None = None
        self._whole: bytes | None = None  # of this version, once somebody asked for it
        self._change = b""

    def subscribe(self, wake: Callable[[], None]) -> _Reader:
        """A new page. `wake` says that there is something to take."""
        reader = _Reader(self)
        with self._changed:
            self._readers[reader] = wake
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="page-feed", daemon=True)
                self._thread.start()
        return reader

    def close(self) -> None:
        """Make no more events."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def readers(self) -> int:
        """How many pages are open."""
        return len(self._readers)

    def take(self, seen: int) -> tuple[int, bytes]:
        """The version now, and what brings a page that has seen another one to it."""
        with self._changed:
            if self._tables is None or seen == self._version:
                return seen, b""
            if seen == self._version - 1 and self._change:
                return self._version, self._change
            if self._whole is None:
                self._whole = _event("whole", _whole(self._tables, self._version))
            return self._version, self._whole

    def leave(self, reader: _Reader) -> None:
        """A page was closed."""
        with self._changed:
            self._readers.pop(reader, None)

    def _work(self) -> None:
        content = self._content()
        unread_since: float | None = None
        while True:
            begin, begin_cpu = self._now(), time.thread_time()
            trouble = self._make(content)
            cost = self._refresh_s + time.thread_time() - begin_cpu
            period = MOST_PERIOD_S if trouble else min(MOST_PERIOD_S, max(LEAST_PERIOD_S, cost / SHARE_OF_A_CPU))
            with self._changed:
                self._changed.wait_for(lambda: self._closed, max(0.0, begin + period - self._now()))
                unread_since = None if self._readers else unread_since or self._now()
                if self._closed or (unread_since is not None and self._now() - unread_since > IDLE_S):
                    self._thread, self._tables, self._whole, self._change = None, None, None, b""
                    return

    _refresh_s = 0.0  #: processor time of the last reading of the kernel, which another thread does

    def _make(self, content: Callable[[], Tables]) -> bool:
        """One event for everybody; whether it failed."""
        process, own = time.process_time(), time.thread_time()
        try:
            self._refresh()
            # What the whole process used meanwhile, so rather too much; not how long it took, which a busy machine decides.
            self._refresh_s = time.process_time() - process - (time.thread_time() - own)
            tables = content()
            before = self._tables
            version = self._version + 1
            change = _event("change", _changed(before, tables, version)) if before is not None else b""
        except Exception as error:  # noqa: BLE001 (whatever it is: the page says so, and the agent goes on)
            _logger.warning("the page could not be renewed: %s", error)
            return True
        with self._changed:
            self._tables, self._version, self._whole, self._change = tables, version, None, change
            wakes = list(self._readers.values())
        for wake in wakes:
            wake()
        return False


class _Reader:
    """One page's place. Implements `otel_jb.telemetry.http1.Subscription`."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._seen = -1

    def take(self) -> bytes:
        """The next event; empty: there is none yet."""
        self._seen, event = self._feed.take(self._seen)
        return event

    def close(self) -> None:
        """The page was closed."""
        self._feed.leave(self)


def _event(name: str, value: dict[str, Any]) -> bytes:
    # JSON has no line ends of its own, so one `data` line holds it.
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return f"event: {name}\ndata: {text}\n\n".encode()


def _whole(tables: Tables, version: int) -> dict[str, Any]:
    return {
        "version": version,
        "head": tables.head,
        "tables": tables.tables,
        "buckets": {key: _sparse(counts) for key, counts in tables.buckets.items()},
    }


def _changed(before: Tables, after: Tables, version: int) -> dict[str, Any]:
    """Rows that are new or different, keys that are gone, and calls since `before` by bucket."""
    head = {key: value for key, value in after.head.items() if before.head.get(key) != value}
    tables = {}
    for name, table in after.tables.items():
        old: Table = before.tables.get(name, {})
        if table is old:
            continue
        put = {key: row for key, row in table.items() if old.get(key) != row}
        gone = [key for key in old if key not in table]
        if put or gone:
            tables[name] = [put, gone]
    buckets = {}
    for key, counts in after.buckets.items():
        earlier = before.buckets.get(key)
        if earlier is counts:
            continue
        more = counts
        if earlier is not None and len(earlier) == len(counts):
            more = tuple(new - old for new, old in zip(counts, earlier, strict=True))
        if found := _sparse(more):
            buckets[key] = found
    return {"version": version, "head": head, "tables": tables, "buckets": buckets}


def _sparse(counts: tuple[int, ...]) -> list[int]:
    """Place, count, place, count … of those that are not zero."""
    return [value for place, count in enumerate(counts) if count for value in (place, count)]
