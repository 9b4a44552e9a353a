# SPDX-License-Identifier: Apache-2.0
"""The page's stream of events: what it says adds up to what is there, and it takes no place that scrapes need."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.model.errors import UsageError
from otel_jb.telemetry import connections
from otel_jb.telemetry.endpoint import Endpoint
from otel_jb.telemetry.http1 import Events, Response
from otel_jb.views.page import feed, site
from otel_jb.views.page.feed import Feed
from otel_jb.views.page.tables import Content, Facts, Tables
from tests import telemetry_samples
from tests.scale import patience

pytestmark = pytest.mark.unit

ROWS = st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(0, 3), min_size=1, max_size=1))
MOMENTS = st.builds(
    Tables,
    st.fixed_dictionaries({"read_ms": st.integers(0, 3)}),
    st.fixed_dictionaries({"functions": ROWS, "streams": ROWS}),
    st.dictionaries(st.sampled_from("abcd"), st.just((0, 0))),
)


def message(event: bytes) -> tuple[str, Any]:
    """An event's name and value, as the specification of server-sent events reads it."""
    name, data, *rest = event.decode().split("\n")
    assert rest == ["", ""]
    assert name.startswith("event: ")
    assert data.startswith("data: ")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@given(st.lists(MOMENTS, min_size=2, max_size=6))
def test_what_changed_adds_up_to_what_is_there(moments: list[Tables]) -> None:
    """A page that takes every change has the same rows and calls by bucket as one that opens now."""
    calls: dict[str, list[int]] = {}
    made: list[Tables] = []
    for moment in moments:  # counts of calls only grow
        calls = {key: [calls.get(key, [0, 0])[0] + 1, calls.get(key, [0, 0])[1] + len(made)] for key in moment.buckets}
        made.append(Tables(moment.head, moment.tables, {key: (counts[0], counts[1]) for key, counts in calls.items()}))
    first = feed._whole(made[0], 1)
    tables, head = {name: dict(table) for name, table in first["tables"].items()}, dict(first["head"])
    buckets = {key: _dense(sparse) for key, sparse in first["buckets"].items()}
    for before, after in pairwise(made):
        change = feed._changed(before, after, 2)
        head.update(change["head"])
        for name, (put, gone) in change["tables"].items():
            for key in gone:
                del tables[name][key]
            tables[name].update(put)
        buckets = {key: counts for key, counts in buckets.items() if key in after.buckets}
        for key, sparse in change["buckets"].items():
            buckets[key] = [old + new for old, new in zip(buckets.get(key, [0, 0]), _dense(sparse), strict=True)]
    assert tables == made[-1].tables
    assert head == made[-1].head
    assert {key: tuple(counts) for key, counts in buckets.items() if any(counts)} == {
        key: counts for key, counts in made[-1].buckets.items() if any(counts)
    }


def _dense(sparse: list[int]) -> list[int]:
    counts = [0, 0]
    for place, count in zip(sparse[::2], sparse[1::2], strict=True):
        counts[place] = count
    return counts


def test_a_page_gets_everything_first_and_then_what_changed() -> None:
    """The first event is whole, the next one holds the change, and a page that was asleep gets everything anew."""
    moment = 0

    def tables() -> Tables:
        nonlocal moment
        moment += 1
        return Tables({"moment": moment}, {"functions": {"1": [moment], "2": [0]}}, {"1": (moment, 0)})

    made = Feed(lambda: None, lambda: tables)
    woken = threading.Semaphore(0)
    reader, sleeper = made.subscribe(woken.release), made.subscribe(lambda: None)
    try:
        assert woken.acquire(timeout=patience(20))
        name, value = message(reader.take())
        assert (name, value["tables"]["functions"]) == ("whole", {"1": [1], "2": [0]})
        assert woken.acquire(timeout=patience(20))
        name, value = message(reader.take())
        assert (name, value["tables"], value["buckets"]) == ("change", {"functions": [{"1": [2]}, []]}, {"1": [0, 1]})
        assert reader.take() == b""
        assert message(sleeper.take())[0] == "whole"
        reader.close()
        sleeper.close()
        assert made.readers == 0
    finally:
        made.close()


def test_nothing_is_read_while_no_page_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel is read for open pages only: not before the first one, and not after the last one has been gone for a while."""
    monkeypatch.setattr(feed, "IDLE_S", 0.0)
    monkeypatch.setattr(feed, "LEAST_PERIOD_S", 0.01)
    read: list[int] = []
    made = Feed(lambda: read.append(1), lambda: lambda: Tables({}, {}))
    assert read == []
    reader = made.subscribe(lambda: None)
    _until(lambda: len(read) > 1)
    thread = made._thread
    assert thread is not None
    reader.close()
    thread.join(patience(20))
    assert not thread.is_alive()
    assert made.subscribe(lambda: None) is not reader  # and one that opens later is served again
    _until(lambda: made._tables is not None)
    made.close()


def test_a_page_that_cannot_be_renewed_is_no_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error while reading is logged, and the next reading reaches the page."""
    monkeypatch.setattr(feed, "MOST_PERIOD_S", 0.01)
    failing = [UsageError("no reading"), UsageError("no reading")]

    def refresh() -> None:
        if failing:
            raise failing.pop()

    made = Feed(refresh, lambda: lambda: Tables({}, {}))
    woken = threading.Event()
    reader = made.subscribe(woken.set)
    try:
        assert woken.wait(patience(20))
        assert message(reader.take())[0] == "whole"
        assert caplog.text.count("the page could not be renewed: no reading") == 2
    finally:
        made.close()


def test_the_page_shows_what_the_state_holds() -> None:
    """Rows of a sample world: processes, functions with their drops by reason, and probes; numbers that a browser cannot hold are texts."""
    state = telemetry_samples.state()
    facts = Facts(
        lambda: {1: 0.004}, lambda: {("measured", ""): 2}, lambda: [(7, "x", "no_function", "why")], lambda: 1 << 60
    )
    tables = Content(state, facts, {"host": "media-1"}).tables()
    json.dumps([tables.head, tables.tables], allow_nan=False)
    view = state.view()
    assert set(tables.tables["functions"]) == {str(each.series.id) for target in view.targets for each in target.series}
    assert tables.tables["processes"]["1"][:2] == ["ffmpeg", 4711]
    assert tables.tables["processes"]["1"][9] == 0.004
    assert (tables.head["host"], tables.head["uncounted"]) == ("media-1", str(1 << 60))
    for target in view.targets:
        for each in target.series:
            reasons = tables.tables["functions"][str(each.series.id)][8]
            assert [tuple(pair) for pair in reasons] == list(
                zip(each.series.drop_reasons, each.values.drops, strict=True)
            )
            if each.series.has_timing:
                assert tables.buckets[str(each.series.id)] == each.values.buckets


def test_the_script_is_small_and_may_load_nothing_else() -> None:
    """The browser may load scripts, styles and data from this agent only, and loads less than 150 KB in all."""
    pages = site.pages(lambda wake: Feed(lambda: None, lambda: lambda: Tables({}, {})).subscribe(wake))
    size = 0
    for path, page in pages.items():
        response = page(None)  # type: ignore[arg-type]
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy
        assert "*" not in policy
        size += len(response.body) if isinstance(response.body, bytes) else 0
    assert 0 < size < 150_000


# -- its place among the connections -----------------------------------------------------------------------


class _Endless:
    """A stream that says something each time that it is asked."""

    def __init__(self) -> None:
        self.open = 0

    def subscribe(self, wake: Callable[[], None]) -> _Endless:
        self.open += 1
        wake()
        return self

    def take(self) -> bytes:
        return b"data: x\n\n"

    def close(self) -> None:
        self.open -= 1


@contextmanager
def streaming() -> Iterator[tuple[Endpoint, _Endless]]:
    stream = _Endless()
    pages = {
        "/events": lambda _: Response(Events(stream.subscribe), "text/event-stream"),
        "/hello": lambda _: Response(b"hello\n"),
    }
    made = Endpoint("127.0.0.1", 0, pages)
    made.start()
    try:
        yield made, stream
    finally:
        made.close()


def ask(made: Endpoint, path: str, stack: ExitStack) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(made.host, made.port, timeout=patience(20))
    stack.callback(connection.close)
    connection.request("GET", path)
    response = connection.getresponse()
    stack.callback(response.close)  # the socket is the response's by now
    return response


def test_open_pages_leave_places_for_scrapes() -> None:
    """Of one client's 64 connections at most 24 are streams of events: the 25th is refused, and 40 others are served beside them."""
    with ExitStack() as stack, streaming() as (made, stream):
        for _ in range(24):
            response = ask(made, "/events", stack)
            assert response.status == 200
            assert response.read(9) == b"data: x\n\n"
        refused = ask(made, "/events", stack)
        assert refused.status == 503
        assert b"too many pages are open" in refused.read()
        for _ in range(60):
            assert ask(made, "/hello", stack).read() == b"hello\n"
        assert stream.open == 24


def test_a_page_that_is_closed_gives_its_place_back() -> None:
    """As soon as the client is gone, its stream ends, and another one has its place."""
    with streaming() as (made, stream):
        for _ in range(3):
            with ExitStack() as stack:
                for _ in range(24):
                    assert ask(made, "/events", stack).status == 200
            _until(lambda: stream.open == 0)


def test_other_rules_of_access_end_the_streams() -> None:
    """Who was let in by old rules has to ask again: streams end when others are set."""
    with ExitStack() as stack, streaming() as (made, stream):
        response = ask(made, "/events", stack)
        assert response.read(9) == b"data: x\n\n"
        made.use(None)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            response.read()
        _until(lambda: stream.open == 0)


def test_a_page_that_reads_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not take an event in time loses its place, whatever waits for it."""
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.2)
    with ExitStack() as stack, streaming() as (made, stream):
        monkeypatch.setattr(stream, "take", lambda: b"x" * 50_000_000)
        ask(made, "/events", stack)
        _until(lambda: stream.open == 0)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + patience(20)
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
