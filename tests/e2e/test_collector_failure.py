# SPDX-License-Identifier: Apache-2.0
"""The Collector dies, comes back, refuses, or never answers: metrics end exact, spans wait up to a bound, and stopping is quick."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.e2e.agent_process import AgentProcess, Conversation, Exposition, agent, fetch, free_tcp_port, until
from tests.e2e.collector import collector, jaeger
from tests.e2e.test_overload import resident_mb
from tests.e2e.test_traces import PUT, UNGOVERNED, build
from tests.otlp_receiver import Receiver, attributes, grpc_receiver, http_receiver

QUEUE = 60
#: 100 of 1000 calls are slow, more than the queue takes.
CALLS, RUN = 1_000, "run 4 1000 100 15000"
OUTAGE_S = 30.0 if os.environ.get("OTEL_JB_LONG") else 6.0
#: After an outage the next try comes within the longest back-off, 30 s, the last one's time-out, 10 s, and some patience.
BACK_S = 60.0
MOST_MB = 100


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("failure"), "threads")


@pytest.fixture(autouse=True)
def small_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound of the queue, by the variable that OpenTelemetry has for it."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", str(QUEUE))


def options(server: Conversation, endpoint: str) -> tuple[str, ...]:
    return (
        *UNGOVERNED,
        *("--pid", str(server.pid), "--function", PUT, "--interval", "1s", "--otlp-endpoint", endpoint),
    )


def emitted(scraped: Exposition) -> int:
    # One or two may be held back by the rate limit: on a busy machine other calls are slow too.
    assert scraped.total("otel_jb_events_lost_total") == 0
    return int(scraped.total("otel_jb_events_emitted_total", function=PUT))


def dropped(scraped: Exposition) -> int:
    """Spans that found the queue full; none may be dropped for another reason."""
    found = int(scraped.total("otel_jb_spans_dropped_total", error_type="queue_full"))
    assert scraped.total("otel_jb_spans_dropped_total") == found
    return found


def run_while_nobody_takes(server: Conversation, measuring: AgentProcess, told: int = 0) -> int:
    """Make slow calls; returns how many were dropped once just the queue's bound of them waits. `told`: those that arrived before."""
    server.ask(RUN)
    measuring.settled(server.pid)

    def full() -> bool:
        scraped = measuring.scrape()
        return emitted(scraped) - told - dropped(scraped) == QUEUE

    until(full, f"{QUEUE} spans wait and the rest is counted", timeout=20, every=0.2)
    return dropped(measuring.scrape())


def test_a_collector_that_is_killed_and_comes_back(program: Path, tmp_path: Path) -> None:
    """What was measured meanwhile arrives: every count exactly, and as many spans as the queue takes; the rest is counted."""
    ports = {
        f"OTEL_JB_{name}_LISTEN": f"127.0.0.1:{free_tcp_port()}"
        for name in ("OTLP_GRPC", "OTLP_HTTP", "PROMETHEUS", "HEALTH")
    }
    endpoint = f"http://{ports['OTEL_JB_OTLP_GRPC_LISTEN']}"

    def counted(scrape: str) -> float | None:
        text = fetch(f"http://{scrape}/metrics")[1]
        return Exposition(text).value("jitterbuffer_delay_seconds_count", pid=server.pid, function=PUT)

    with jaeger(tmp_path) as traces, Conversation(program) as server:

        def spans() -> int:
            return sum(len(trace["spans"]) for trace in traces.traces(program.name))

        with agent(tmp_path, *options(server, endpoint)) as measuring:
            with collector(tmp_path, traces, environment=ports) as otel:
                server.ask("run 4 1000 20 15000")
                until(lambda: counted(otel.scrape) == CALLS, "the first calls are counted", timeout=20)
                told = emitted(measuring.settled(server.pid))
                until(lambda: spans() == told, "the first spans are there", timeout=20, every=0.2)
                otel.process.kill()
                otel.process.wait()
                down = time.monotonic()
            lost = run_while_nobody_takes(server, measuring, told)
            assert lost > 0
            time.sleep(max(0.0, OUTAGE_S - (time.monotonic() - down)))
            with collector(tmp_path, traces, environment=ports) as otel:
                until(lambda: counted(otel.scrape) == 2 * CALLS, "all calls are counted", timeout=BACK_S)
                until(lambda: spans() == told + QUEUE, "what waited is there", timeout=BACK_S, every=0.2)
                # It works as before: later ones arrive, and none of the dropped.
                server.ask("run 4 1000 20 15000")
                until(lambda: counted(otel.scrape) == 3 * CALLS, "later calls are counted", timeout=20)
                total = emitted(measuring.settled(server.pid))
                until(lambda: spans() == total - lost, "later spans arrive", timeout=20, every=0.2)
            assert dropped(measuring.scrape()) == lost
            assert resident_mb(measuring) <= MOST_MB


RECEIVERS: dict[str, Callable[[], AbstractContextManager[Receiver]]] = {"grpc": grpc_receiver, "http": http_receiver}


def refuse(receiver: Receiver) -> None:
    receiver.status = grpc.StatusCode.UNAVAILABLE if "grpc" in receiver.headers[0].get("user-agent", "") else 503


def hang(receiver: Receiver) -> None:
    receiver.hang.set()


def recover(receiver: Receiver) -> None:
    receiver.status = None
    receiver.hang.clear()


def count(receiver: Receiver) -> int:
    """The last point of put's delays."""
    named = ("code.function.name", PUT)
    (point,) = [
        point
        for (_, _, metric, labels), point in receiver.points().items()
        if metric == "jitterbuffer.delay" and named in labels
    ] or [None]
    return int(point.count) if point is not None else 0


def span_ids(receiver: Receiver) -> set[bytes]:
    """Those that arrived. An answer that came too late makes some arrive twice."""
    assert {dict(attributes(span.attributes))["code.function.name"] for _, span in receiver.spans()} <= {PUT}
    return {span.span_id for _, span in receiver.spans()}


@pytest.mark.parametrize("protocol", list(RECEIVERS))
@pytest.mark.parametrize("fault", [refuse, hang])
def test_a_collector_that_refuses_or_never_answers(
    program: Path, tmp_path: Path, protocol: str, fault: Callable[[Receiver], Any]
) -> None:
    """503 or silence: counts end exact, the queue's spans arrive, the others are counted, memory is bounded, stopping takes 5 s."""
    with RECEIVERS[protocol]() as receiver, Conversation(program) as server:
        how = ("--otlp-protocol", "grpc" if protocol == "grpc" else "http/protobuf")
        with agent(tmp_path, *options(server, receiver.endpoint), *how) as measuring:
            receiver.wait(lambda: receiver.metric_requests, 20)
            fault(receiver)
            begin = time.monotonic()
            lost = run_while_nobody_takes(server, measuring)
            assert lost > 0
            time.sleep(max(0.0, OUTAGE_S - (time.monotonic() - begin)))
            assert not span_ids(receiver)
            recover(receiver)
            receiver.wait(lambda: count(receiver) == CALLS, BACK_S)
            receiver.wait(lambda: len(span_ids(receiver)) == QUEUE, BACK_S)
            assert dropped(measuring.scrape()) == lost
            assert resident_mb(measuring) <= MOST_MB
            # Once more, and stop in the middle of it.
            fault(receiver)
            run_while_nobody_takes(server, measuring, QUEUE)
            begin = time.monotonic()
            assert measuring.stop() == 0
            assert time.monotonic() - begin <= 5.0
