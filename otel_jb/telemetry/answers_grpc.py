# SPDX-License-Identifier: Apache-2.0
"""Reads the answers of OTLP receivers by gRPC with limits: whatever a receiver does, an export ends in time and reports its result.

The SDK's exporter throws the answer away. `NotingStub` takes the place of its stub; what it finds goes to `outcome`.
"""

from __future__ import annotations

from typing import Any

import grpc

from otel_jb.telemetry.answers import note_partial

_GRACE_S = 0.5  #: for gRPC to keep its deadline by itself


class NotingStub:
    """A gRPC stub that reads the answers which the exporter throws away.

    Args:
        stub: the exporter's own.
        timeout_seconds: of one call, at most.
    """

    def __init__(self, stub: Any, timeout_seconds: float) -> None:
        self._stub = stub
        self._timeout = timeout_seconds

    def Export(self, request: Any, metadata: Any, timeout: float) -> Any:  # noqa: N802 (gRPC's name)
        """Export, and note what was refused. Raises RpcError."""
        seconds = min(timeout, self._timeout)
        # gRPC's own deadline is not kept while a peer floods it with headers: it looks at the time only once they end.
        call = self._stub.Export.future(request, metadata=metadata, timeout=seconds)
        try:
            answer = call.result(timeout=max(0.0, seconds) + _GRACE_S)
        except grpc.FutureTimeoutError:
            call.cancel()
            raise _LateError from None
        note_partial(answer)
        return answer


class _LateError(grpc.RpcError):  # type: ignore[misc]
    """What gRPC itself would have raised, had it looked at the time."""

    def code(self) -> Any:
        return grpc.StatusCode.DEADLINE_EXCEEDED

    def details(self) -> str:
        return "no complete answer in time"

    def trailing_metadata(self) -> tuple[()]:
        return ()
