# SPDX-License-Identifier: Apache-2.0
"""A bounded queue of spans with a thread that sends them.

The SDK's batch processor throws away the oldest spans when it is full and a whole batch when an export fails. Here an accepted
span is kept until it is delivered or refused for good: an exemplar may point to it.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from otel_jb.telemetry.instruments import SPANS_DROPPED
from otel_jb.telemetry.outcome import Outcome
from otel_jb.telemetry.tally import Tally

if TYPE_CHECKING:
    from otel_jb.telemetry.call_span import CallSpan
    from otel_jb.telemetry.exporters import CallSpanExporter

_MAX_BACKOFF_SECONDS = 30.0
MAX_REQUEST_BYTES = 2 << 20  #: about, as `CallSpan.size` has it; a Collector refuses a gRPC message of more than 4 MiB


class SpanQueue:
    """Takes spans and sends them in batches.

    Args:
        exporter: where they go.
        outcome: counts and logs failed exports.
        tally: counts dropped spans (`otel_jb.spans.dropped`).
        size: most spans that wait, those being sent included.
        batch: most spans of one request; fewer where they are large.
        delay_seconds: how long to wait for more before sending.
    """

    def __init__(
        self,
        exporter: CallSpanExporter,
        outcome: Outcome,
        tally: Tally,
        size: int = 2048,
        batch: int = 1024,
        delay_seconds: float = 5.0,
    ) -> None:
        self._exporter = exporter
        self._outcome = outcome
        self._tally = tally
        self._size = size
        self._batch = batch
        self._delay = delay_seconds
        self._spans: deque[CallSpan] = deque()
        self._changed = threading.Condition()
        self._stopping = self._given_up = False
        self._thread = threading.Thread(target=self._work, name="span-export", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._spans)

    def offer(self, spans: Sequence[CallSpan]) -> bool:
        """Take all of these spans, a trace, or none: then they are counted as dropped."""
        with self._changed:
            if self._stopping or len(self._spans) + len(spans) > self._size:
                self._dropped(len(spans), "queue_full")
                return False
            self._spans.extend(spans)
            if len(self._spans) >= self._batch or len(self._spans) == len(spans):
                self._changed.notify_all()
            return True

    def _dropped(self, count: int, kind: str) -> None:
        self._tally.add(SPANS_DROPPED, count, signal="traces", error__type=kind)

    def _work(self) -> None:
        failures = 0
        more = False  # of a full batch that was divided
        while True:
            with self._changed:
                while not self._spans and not self._stopping:
                    self._changed.wait()
                if not self._spans:
                    return
                if not more:
                    self._changed.wait_for(lambda: self._stopping or len(self._spans) >= self._batch, self._delay)
                # They stay in the queue while they are sent, so that its bound is one of memory.
                batch = self._next()
                more = len(batch) < min(self._batch, len(self._spans))
            failure = self._outcome.of(self._export(batch))
            with self._changed:
                if self._given_up:
                    return  # they are counted already
                if failure is not None and failure.retryable:
                    if self._stopping:
                        return
                    backoff = min(_MAX_BACKOFF_SECONDS, 2.0 ** min(failures, 10) * random.uniform(0.8, 1.2))
                    failures += 1
                    self._changed.wait_for(lambda: self._stopping, backoff)
                    continue
                failures = 0
                for _ in batch:
                    self._spans.popleft()
                if failure is not None:
                    self._dropped(len(batch), failure.kind)
                self._changed.notify_all()

    def _next(self) -> list[CallSpan]:
        """The spans of the next request, which stay in the queue."""
        batch: list[CallSpan] = []
        size = 0
        for span in islice(self._spans, self._batch):
            size += span.size
            if size > MAX_REQUEST_BYTES and batch:
                break
            batch.append(span)
        return batch

    def _export(self, batch: list[CallSpan]) -> Callable[[], bool]:
        def export() -> bool:
            from opentelemetry.sdk.trace.export import SpanExportResult

            return self._exporter.export(batch) is SpanExportResult.SUCCESS

        return export

    def shutdown(self, budget_seconds: float = 5.0) -> None:
        """Send the waiting spans as far as the budget allows; the rest counts as dropped."""
        deadline = time.monotonic() + budget_seconds
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self.give_up()
        # Ends an export under way (gRPC), or leaves it to its daemon thread.
        closing = threading.Thread(target=self._exporter.shutdown, name="span-exporter-shutdown", daemon=True)
        closing.start()
        closing.join(0.2)

    def give_up(self) -> None:
        """Count the spans that still wait as dropped, once, however many callers there are. Never blocks."""
        with self._changed:
            self._stopping = self._given_up = True
            if self._spans:
                self._dropped(len(self._spans), "shutdown")
                self._spans.clear()
            self._changed.notify_all()
