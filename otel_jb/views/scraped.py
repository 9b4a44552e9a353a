# SPDX-License-Identifier: Apache-2.0
"""Rows of the live tables from the metrics page of an agent that runs already, here or on another host. Needs no privileges."""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from http.client import HTTPException
from typing import Any, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from otel_jb.model.added import ADDED
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import TargetError
from otel_jb.views.numbers import at_most
from otel_jb.views.opened import Opened, opened
from otel_jb.views.rows import WINDOW_SECONDS, Picture, ProcessRow, Row, StreamRow

_TIMEOUT_S = 5.0
_MAX_BYTES = 64 << 20
_EVENTS_EVERY_S = 2.0
#: An agent is asked directly: a proxy of the environment knows nothing of this host's loopback address.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_Read = TypeVar("_Read")
_Key = tuple[str, str, str]  #: host, PID, function
_LATENCY = "jitterbuffer_delay_seconds"
_COUNTS = {
    "jitterbuffer_bytes_total": "bytes",
    "jitterbuffer_packet_count_total": "packets",
    "jitterbuffer_buffer_size_packets": "depth",
}
_ADDED = {row.instrument.prometheus: row.instrument for row in ADDED.values()}
_RTP = {
    "rtp_packets_received_total": "packets",
    "rtp_received_bytes_total": "bytes",
    "rtp_packets_lost": "lost",
    "rtp_packets_reordered_total": "reordered",
    "rtp_packets_duplicated_total": "duplicated",
    "rtp_jitter_seconds": "jitter",
}
_HOST = {
    "jitterbuffer_host_cpu_time_seconds_total": "cpu",
    "jitterbuffer_host_run_delay_seconds_total": "waited",
    "jitterbuffer_host_throttled_time_seconds_total": "throttled",
    "jitterbuffer_host_udp_drops_total": "udp_drops",
}


@dataclass(slots=True)
class _Function:
    process: str = ""
    role: str = ""
    calls: float = 0
    values: dict[str, float] = field(default_factory=dict)
    drops: dict[str, float] = field(default_factory=dict)
    added: dict[str, float] = field(default_factory=dict)  #: by the metric's name
    buckets: dict[float, float] = field(default_factory=dict)  #: cumulative, by upper bound in seconds


@dataclass(slots=True)
class _Page:
    """One reading."""

    at: float
    functions: dict[_Key, _Function] = field(default_factory=dict)
    streams: dict[tuple[_Key, str], dict[str, float]] = field(default_factory=dict)
    hosts: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)


class Scraped:
    """Pictures of what an agent serves, with rates over the last `window_seconds`.

    Args:
        url: of its metrics page, or of the agent.
        now: monotonic seconds.
    """

    def __init__(
        self, url: str, window_seconds: float = WINDOW_SECONDS, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.url = url if url.rstrip("/").endswith("/metrics") else url.rstrip("/") + "/metrics"
        self._window, self._now = window_seconds, now
        self._pages: deque[_Page] = deque()

    def picture(self) -> Picture:
        """Take a reading and make the rows. Raises TargetError where nobody answers, or somebody else does."""
        page = read_page(self._fetch(), self._now())
        if not page.functions and not page.hosts and not self._pages and not self._is_agent:
            raise TargetError(
                f"{self.url} is not an agent's metrics page", "Name the address of an agent: --connect URL"
            )
        while len(self._pages) > 1 and self._pages[1].at <= page.at - self._window:
            self._pages.popleft()
        self._pages.append(page)
        return picture_between(self._pages[0], page)

    def opened(self, key: tuple[int, str]) -> Opened:
        """What the agent's page has of the row with this key, at most two seconds old. Raises TargetError."""
        now = self._now()
        if self._events is None or now - self._events[0] >= _EVENTS_EVERY_S:
            self._events = now, self._first_event()
        try:
            return opened(self._events[1]["head"], self._events[1]["tables"], key)
        except (LookupError, TypeError, ValueError, AttributeError):
            raise TargetError(f"the events of {self.url} are not those of this version's page") from None

    _is_agent = False
    _events: tuple[float, dict[str, Any]] | None = None  #: the page's content, and when it was read

    def _fetch(self) -> str:
        body: bytes = self._get(self.url, "text/plain", lambda answer: answer.read(_MAX_BYTES))
        text = body.decode("utf-8", "replace")
        self._is_agent = "otel_jb_build_info" in text
        return text

    def _first_event(self) -> dict[str, Any]:
        """A page that opens gets everything in one event."""
        url = self.url.removesuffix("/metrics") + "/events"
        kind, data = self._get(
            url, "text/event-stream", lambda answer: (answer.readline(), answer.readline(_MAX_BYTES))
        )
        try:
            found = json.loads(data.removeprefix(b"data: "))
        except ValueError:
            found = None
        if kind != b"event: whole\n" or not isinstance(found, dict):
            raise TargetError(f"{url} does not serve the events of an agent's page")
        return found

    @staticmethod
    def _get(url: str, accept: str, read: Callable[[Any], _Read]) -> _Read:
        try:
            request = urllib.request.Request(url, headers={"Accept": accept})
            with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
                return read(answer)
        except urllib.error.HTTPError as error:
            raise TargetError(
                f"{url} answers {error.code} {error.reason}", "See web_config in docs/configuration.md."
            ) from None
        except (OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise TargetError(f"no answer from {url}: {reason}", "Is the agent running? otel-jb run") from None


def read_page(text: str, at: float) -> _Page:
    """The samples of a metrics page by function, stream and process. Raises TargetError for a page that is none."""
    page = _Page(at)
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                _take(page, sample.name, sample.labels, sample.value)
    except (ValueError, KeyError, IndexError) as error:
        raise TargetError(f"the metrics page cannot be read: {error}") from None
    return page


def _take(page: _Page, name: str, labels: Mapping[str, str], value: float) -> None:
    host, pid, function = labels.get("host_name", ""), labels.get("pid", ""), labels.get("function", "")
    if not pid.isdecimal():
        return
    if name in _HOST:
        found = page.hosts.setdefault((host, pid), {})
        found[_HOST[name]] = found.get(_HOST[name], 0.0) + value
        return
    if not function:
        return
    key = (host, pid, function)
    if name in _RTP:
        page.streams.setdefault((key, labels.get("stream", "")), {})[_RTP[name]] = value
        return
    if not name.startswith("jitterbuffer_") and name not in _ADDED:
        return
    entry = page.functions.setdefault(key, _Function())
    entry.process, entry.role = labels.get("job", entry.process), labels.get("jitterbuffer_role", entry.role)
    if name == "jitterbuffer_calls_total":
        entry.calls += value
    elif name == "jitterbuffer_dropped_packets_total":
        entry.drops[labels.get("reason", "")] = value
    elif name == f"{_LATENCY}_bucket":
        entry.buckets[float(labels["le"])] = value
    elif name in _ADDED:
        entry.added[name] = value
    elif name in _COUNTS:
        entry.values[_COUNTS[name]] = value


def picture_between(before: _Page, after: _Page) -> Picture:
    """The rows of `after`, with rates since `before`."""
    seconds = after.at - before.at
    functions = tuple(_row(key, before.functions.get(key), each, seconds) for key, each in after.functions.items())
    streams = tuple(_streams(before, after, seconds))
    return Picture(functions, streams, tuple(_processes(before, after, functions, seconds)))


def _row(key: _Key, before: _Function | None, after: _Function, seconds: float) -> Row:
    bounds = sorted(bound for bound in after.buckets if not math.isinf(bound))
    known = before is not None and seconds > 0

    def of(page: _Function | None) -> list[float]:
        cumulative = [page.buckets.get(bound, 0.0) for bound in (*bounds, math.inf)] if page is not None else []
        return [high - low for low, high in zip([0.0, *cumulative], cumulative, strict=False)]

    new, old = of(after), of(before) if known else []
    buckets = tuple(int(each - (old[number] if old else 0)) for number, each in enumerate(new))
    bounds_ns = tuple(round(bound * 1e9) for bound in bounds)
    value, earlier = after.values, before.values if before is not None else {}
    return Row(
        process=after.process,
        pid=int(key[1]),
        function=key[2],
        role=after.role,
        calls=int(after.calls),
        calls_per_second=(after.calls - before.calls) / seconds if before is not None and known else None,
        p50_at_most_ns=at_most(buckets, bounds_ns, 0.5) if buckets else None,
        p99_at_most_ns=at_most(buckets, bounds_ns, 0.99) if buckets else None,
        bytes_per_second=(value["bytes"] - earlier.get("bytes", 0)) / seconds if known and "bytes" in value else None,
        packets=int(value["packets"]) if "packets" in value else None,
        drops=int(sum(after.drops.values())) if after.drops else None,
        depth=int(value["depth"]) if "depth" in value else None,
        buckets=buckets,
        bounds_ns=bounds_ns,
        totals=tuple(map(int, new)) if bounds else (),
        drops_by_reason=tuple((reason, int(count)) for reason, count in after.drops.items()),
        added=tuple((_ADDED[name].name, _ADDED[name].unit, each) for name, each in after.added.items()),
    )


def _streams(before: _Page, after: _Page, seconds: float) -> Iterator[StreamRow]:
    for (key, stream), values in after.streams.items():
        old = before.streams.get((key, stream))
        known = old is not None and seconds > 0
        jitter = values.get("jitter")
        process = after.functions[key].process if key in after.functions else ""

        def per_second(
            what: str, old: dict[str, float] | None = old, values: dict[str, float] = values
        ) -> float | None:
            return (values.get(what, 0) - old.get(what, 0)) / seconds if old is not None and seconds > 0 else None

        yield StreamRow(
            process=process,
            pid=int(key[1]),
            function=key[2],
            stream=stream,
            packets=int(values.get("packets", 0)),
            packets_per_second=per_second("packets") if known else None,
            bytes_per_second=per_second("bytes") if known else None,
            lost=int(values.get("lost", 0)),
            reordered=int(values.get("reordered", 0)),
            duplicated=int(values.get("duplicated", 0)),
            jitter_ns=None if jitter is None else round(jitter * 1e9),
        )


def _processes(before: _Page, after: _Page, rows: tuple[Row, ...], seconds: float) -> Iterator[ProcessRow]:
    own: dict[tuple[str, str], list[Row]] = {}
    for key, row in zip(after.functions, rows, strict=True):
        own.setdefault((key[0], key[1]), []).append(row)
    for process, functions in own.items():
        values, old = after.hosts.get(process, {}), before.hosts.get(process, {})
        shares = {
            what: (values[what] - old[what]) / seconds if what in values and what in old and seconds > 0 else None
            for what in ("cpu", "waited", "throttled")
        }
        rates = [row.calls_per_second for row in functions if row.calls_per_second is not None]
        yield ProcessRow(
            process=functions[0].process,
            pid=int(process[1]),
            functions=len(functions),
            calls=sum(row.calls for row in functions),
            calls_per_second=sum(rates) if rates else None,
            cpu=shares["cpu"],
            waited=shares["waited"],
            throttled=shares["throttled"],
            udp_drops=int(values["udp_drops"]) if "udp_drops" in values else None,
        )
