# SPDX-License-Identifier: Apache-2.0
"""Slow calls of a real program as traces in Jaeger, through the real Collector: exactly those of the program's own log."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics import parser

from tests.e2e.agent_process import TARGETS, AgentProcess, Conversation, agent, fetch, until
from tests.e2e.collector import collector, jaeger

PUT, DECODE = "SrsRtpJitterBuffer::put", "SrsRtpPacket::decode"
CALLS, SLOW, WAIT_US = 10_000, 50, 20_000
THRESHOLD_NS = 10_000_000
#: The governor would take probes of so busy a program away again.
UNGOVERNED = ("--overhead-budget", "off")

PROGRAMS = {
    "threads": ("slow_calls", ("-pthread",), 4),
    "coroutines": ("slow_calls_st", ("-pthread", "-DCOROUTINES", "-lst"), 20),
}


def build(directory: Path, kind: str, *flags: str) -> Path:
    """The program with threads or with State Threads' coroutines."""
    name, needs, _ = PROGRAMS[kind]
    built = directory / name
    source = TARGETS / "slow_calls.cc"
    subprocess.run(["g++", "-O2", "-Wall", "-Werror", *flags, "-o", built, source, *needs], check=True)
    return built


@dataclass(frozen=True)
class Span:
    """A span as Jaeger's API has it; times in microseconds."""

    name: str
    start_us: int
    duration_us: int
    tags: dict[str, Any]
    parent: str | None
    id: str


def spans_of(trace: dict[str, Any]) -> list[Span]:
    return [
        Span(
            one["operationName"],
            one["startTime"],
            one["duration"],
            {tag["key"]: tag["value"] for tag in one["tags"]},
            one["references"][0]["spanID"] if one["references"] else None,
            one["spanID"],
        )
        for one in trace["spans"]
    ]


def root_of(trace: dict[str, Any]) -> Span:
    (root,) = [span for span in spans_of(trace) if span.parent is None]
    return root


@dataclass(frozen=True)
class Run:
    """What the program did and what Jaeger has of it."""

    log: list[dict[str, Any]]
    traces: list[dict[str, Any]]
    exemplars: list[tuple[str, str, str, float]]  #: function, trace id, span id, seconds
    kind: str


@pytest.fixture(scope="module", params=list(PROGRAMS))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """10 000 calls, 50 of them slow, seen through the whole way."""
    directory = tmp_path_factory.mktemp(request.param)
    program = build(directory, request.param)
    with jaeger(directory) as traces, collector(directory, traces) as otel, Conversation(program) as server:
        with agent(
            directory, *UNGOVERNED, "--pid", str(server.pid), "--otlp-endpoint", f"http://{otel.grpc}"
        ) as measuring:
            log = server.ask(f"run {PROGRAMS[request.param][2]} {CALLS} {SLOW} {WAIT_US}")["log"]
            puts, decodes = (accounted(measuring, server.pid, function) for function in (PUT, DECODE))
            assert puts["calls"] == decodes["calls"] == CALLS
            emitted = int(puts["emitted"] + decodes["emitted"])

            def all_there() -> list[dict[str, Any]] | None:
                found = traces.traces(program.name)
                slow = [span for trace in found for span in spans_of(trace) if "code.stacktrace" in span.tags]
                return found if len(slow) >= emitted else None

            found = until(all_there, f"{emitted} slow calls in Jaeger", timeout=20, every=0.2)
            page = exemplars(measuring)
        yield Run(log, found or [], page, request.param)


def exemplars(measuring: AgentProcess) -> list[tuple[str, str, str, float]]:
    """Those of the agent's own page, as OpenMetrics."""
    status, text = fetch(f"{measuring.url}/metrics", "application/openmetrics-text; version=1.0.0")
    assert status == 200
    parse: Any = parser.text_string_to_metric_families
    return [
        (sample.labels["function"], one.labels["trace_id"], one.labels["span_id"], one.value)
        for family in parse(text)
        for sample in family.samples
        if (one := sample.exemplar) is not None
    ]


def accounted(measuring: AgentProcess, pid: int, function: str) -> dict[str, float]:
    """Calls and events of a function; none may be lost or held back here."""
    scraped = measuring.settled(pid)
    where = {"pid": pid, "function": function}
    assert scraped.total("otel_jb_events_lost_total", **where) == 0
    assert scraped.total("otel_jb_events_suppressed_total", **where) == 0
    return {
        "calls": scraped.total("jitterbuffer_calls_total", outcome="returned", **where),
        "emitted": scraped.total("otel_jb_events_emitted_total", **where),
    }


def own(run: Run, trace: dict[str, Any]) -> dict[str, Any]:
    """The call of the program's own log that a trace shows: that of its thread whose bounds it keeps, the nearest in time."""
    root = root_of(trace)

    def off_us(one: dict[str, Any]) -> float:
        return abs(float(one["start_unix_nano"]) / 1000 - root.start_us)

    mine = [
        one
        for one in run.log
        if one["thread"] == root.tags["thread.id"]
        # A probe's time lies between the two that the program itself took; Jaeger's clock is in microseconds.
        and one["inner_ns"] / 1000 - 2 <= root.duration_us <= one["outer_ns"] / 1000 + 2
        and off_us(one) <= 2_000 + one["inner_after_ns"] / 1000
    ]
    assert mine, (root, sorted(run.log, key=off_us)[:3])
    return min(mine, key=off_us)


def test_jaeger_has_exactly_the_slow_calls(run: Run) -> None:
    """Every planned slow call has its one trace, what else has one was slow by the program's own clock, and decodes have none."""
    assert [root_of(trace).name for trace in run.traces if root_of(trace).name != PUT] == []
    entries = [own(run, trace) for trace in run.traces]
    assert len({id(entry) for entry in entries}) == len(entries)
    # State Threads counts a sleep from when it last looked at the clock: on a machine that held the program some end early.
    planned = [one for one in run.log if one["planned"] and one["inner_ns"] >= THRESHOLD_NS]
    assert len(planned) >= 0.8 * SLOW
    assert sum(entry["planned"] for entry in entries) >= len(planned)
    assert all(entry["outer_ns"] >= THRESHOLD_NS for entry in entries)


def test_times_are_those_of_the_programs_own_log(run: Run) -> None:
    """Each trace starts within 2 ms and lasts within 5 % of what the program noted around the call."""
    sure = 0
    for trace in run.traces:
        root, entry = root_of(trace), own(run, trace)
        # Where the machine kept the program from the call for longer than that, its own two times differ by as much.
        if entry["outer_ns"] - entry["inner_ns"] > 0.05 * entry["inner_ns"] or entry["inner_after_ns"] > 1_000_000:
            continue
        sure += entry["planned"]
        assert abs(root.start_us - entry["start_unix_nano"] / 1000) <= 2_000
        assert root.duration_us * 1000 == pytest.approx(entry["outer_ns"], rel=0.05)
    assert sure >= 0.8 * SLOW


def test_a_trace_says_where_the_time_of_its_call_went(run: Run) -> None:
    """A thread that sleeps in a call is blocked in it; of a coroutine's call that is not known, and the trace says why."""
    names = [f"jitterbuffer.call.{name}" for name in ("cpu_time", "run_delay", "blocked_time")]
    known = 0
    for trace in run.traces:
        root, entry = root_of(trace), own(run, trace)
        told = [root.tags[name] for name in names if name in root.tags]
        if run.kind != "threads":
            assert told == []
            assert root.tags["jitterbuffer.call.may_yield"] is True
            continue
        assert "jitterbuffer.call.may_yield" not in root.tags
        if not told:  # the thread lost its processor while that was read
            continue
        known += 1
        assert sum(told) * 1e6 == pytest.approx(root.duration_us, abs=2)
        if entry["planned"]:
            ran, waited, blocked = told
            assert blocked * 1e6 >= 0.95 * WAIT_US - waited * 1e6
            assert ran < 0.005
    assert known >= 0.8 * len(run.traces) * (run.kind == "threads")


def test_nested_calls_are_children_of_their_own_call(run: Run) -> None:
    """A slow decode is the child of the put that it ran in, with its own stack; no put has another's."""
    for trace in run.traces:
        root, entry = root_of(trace), own(run, trace)
        children = [span for span in spans_of(trace) if span.parent is not None]
        assert [(child.name, child.parent) for child in children] == [(DECODE, root.id)] * len(children)
        if run.kind == "threads" or (entry["planned"] and entry["slow_decode"]):
            assert len(children) == 1
        else:
            # Whose a quick decode was cannot be told once coroutines took turns, unless it was slow by mischance.
            assert len(children) <= 1
        for child in children:
            assert root.start_us <= child.start_us
            assert child.start_us + child.duration_us <= root.start_us + root.duration_us + 1
            assert entry["decode_ns"] / 1000 - 2 <= child.duration_us <= root.duration_us
            assert child.tags["thread.id"] == entry["thread"]
            if child.duration_us * 1000 >= THRESHOLD_NS:
                names = functions(child)
                assert names[:4] == [DECODE, PUT, "receive_packet", "serve_session"]


def functions(span: Span) -> list[str]:
    """The names in a stack trace, innermost first, without displacement and file."""
    return [line.split(" ")[0].split("+0x")[0] for line in span.tags["code.stacktrace"].split("\n")]


def test_the_stack_is_the_programs_call_path(run: Run) -> None:
    """Every trace says where the call came from, out to where its thread or coroutine began, and on which thread."""
    below = {"threads": "libc.so.6", "coroutines": "st_thread_create"}[run.kind]
    for trace in run.traces:
        root, entry = root_of(trace), own(run, trace)
        names = functions(root)
        assert names[:3] == [PUT, "receive_packet", "serve_session"]
        assert names[-1] == below, root.tags["code.stacktrace"]
        if run.kind == "coroutines":
            assert "coroutine" in names
        assert root.tags["thread.id"] == entry["thread"]
        assert root.tags["thread.name"] == PROGRAMS[run.kind][0]
        assert root.tags["code.function.name"] == PUT
        assert root.tags["jitterbuffer.role"] == "put"


def test_exemplars_of_both_functions_lead_into_these_traces(run: Run) -> None:
    """The agent's own page names, for put and decode, a span of that function and length in one of the traces."""
    spans = {(trace["traceID"], span.id): span for trace in run.traces for span in spans_of(trace)}
    seen = set()
    for function, trace_id, span_id, seconds in run.exemplars:
        span = spans[trace_id, span_id]
        assert span.name == function
        assert span.duration_us / 1e6 == pytest.approx(seconds, abs=2e-6)
        seen.add(function)
    assert seen == {PUT, DECODE}
