# SPDX-License-Identifier: Apache-2.0
"""A State Threads server with 20 coroutines and some 200 slow calls a second, default settings: one span each, with its stack, in one trace."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.agent_process import Conversation, agent, until
from tests.e2e.test_traces import DECODE, PUT, build
from tests.otlp_receiver import attributes, grpc_receiver

#: 133 puts a second, for as long as the default limit of 100 a second and 200 at once lets each of them through.
COROUTINES, SECONDS, WAIT_US = 20, 5, 150_000
#: Each put waits; every second one because of the decode inside it, which is a slow call too.
CALLS = COROUTINES * SECONDS * 1_000_000 // WAIT_US
#: While the agent is stopped.
UNREAD = 240
#: The library's own sleep makes the calls slow; its role is to wait.
PROFILE = """\
profile: state-threads
title: State Threads
versions: "1.9"
functions:
  - {name: st_usleep, role: wait}
"""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("overflow", [False, True])
def test_each_slow_call_of_coroutines_is_one_span_of_one_trace(overflow: bool, tmp_path: Path) -> None:
    """No call is told twice, whatever else waits or was lost; stacks are whole down to the coroutine's start; a wait is no slow call."""
    program, profile = build(tmp_path, "coroutines"), tmp_path / "state-threads.yaml"
    profile.write_text(PROFILE)
    with (
        grpc_receiver() as receiver,
        Conversation(program) as server,
        agent(
            tmp_path, "--pid", str(server.pid), "--profile", str(profile), "--otlp-endpoint", receiver.endpoint
        ) as measuring,
    ):
        log, calls = [], CALLS
        if overflow:  # nobody empties the ring buffer, which has room for a third of this
            os.kill(measuring.process.pid, signal.SIGSTOP)
            log = server.ask(f"run {COROUTINES} {UNREAD} {UNREAD} {WAIT_US}")["log"]
            os.kill(measuring.process.pid, signal.SIGCONT)
            calls += UNREAD
        log += server.ask(f"run {COROUTINES} {CALLS} {CALLS} {WAIT_US}")["log"]
        scraped = measuring.settled(server.pid)

        def count(name: str, function: str) -> int:
            return int(scraped.total(name, pid=server.pid, function=function))

        emitted = {function: count("otel_jb_events_emitted_total", function) for function in (PUT, DECODE)}
        # On a machine that keeps the agent waiting some find the ring buffer full, and the wait of others ends after the limit: counted.
        untold = int(scraped.total("otel_jb_events_suppressed_total") + scraped.total("otel_jb_events_lost_total"))
        assert (scraped.total("otel_jb_events_lost_total") > 0) >= overflow
        assert count("jitterbuffer_calls_total", "st_usleep") >= calls
        assert count("otel_jb_events_emitted_total", "st_usleep") == 0
        until(
            lambda: (
                sum("code.stacktrace" in dict(attributes(s.attributes)) for _, s in receiver.spans())
                >= sum(emitted.values())
            ),
            "every slow call is a span",
            timeout=30,
            every=0.5,
        )
        spans = [(span, dict(attributes(span.attributes))) for _, span in receiver.spans()]
        assert scraped.total("otel_jb_spans_dropped_total", error_type="queue_full") == 0
        assert scraped.total("otel_jb_spans_dropped_total", error_type="defect") == 0, measuring.log()
    slow = [(span, its) for span, its in spans if "code.stacktrace" in its]
    by_id = {span.span_id: span for span, _ in spans}
    told = {(span.name, span.start_time_unix_nano, span.end_time_unix_nano) for span, _ in slow}
    assert len(told) == len(slow) == sum(emitted.values())
    assert {span.name for span, _ in spans} == {PUT, DECODE}
    puts = [span for span, _ in slow if span.name == PUT]
    assert len(puts) == emitted[PUT] >= 0.9 * calls - untold
    assert not any(span.parent_span_id for span in puts)
    assert len({span.trace_id for span in puts}) == len(puts)
    for span, its in slow:
        lines = its["code.stacktrace"].split("\n")
        assert lines[0] == span.name
        assert lines[-1].startswith("st_thread_create+"), lines
        if span.name == DECODE and span.parent_span_id:
            # With its own stack, under the put that it made slow.
            assert by_id[span.parent_span_id].name == PUT
            assert by_id[span.parent_span_id].trace_id == span.trace_id
    alone = sum(not span.parent_span_id for span, _ in slow if span.name == DECODE)
    assert alone <= untold  # only where its put was not told
    assert emitted[DECODE] >= 0.9 * sum(entry["slow_decode"] for entry in log) - untold
